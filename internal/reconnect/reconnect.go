// Package reconnect decides when to connect, to probe and to give up a
// connection. It is a state machine without any input or output of its own:
// its user reports what happened, calls Run every turn and does what Run says.
// ovsdb/jsonrpc's sessions and the OpenFlow connections use it.
//
// An attempt that fails is repeated after a pause that doubles from the
// smallest to the largest back-off; the pause is also how long an attempt may
// take. A connection that is silent for the probe interval is probed, and
// dropped when it stays silent for another one.
//
// Thread-safety: an FSM belongs to one goroutine.
package reconnect

import (
	"io"
	"math"

	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
)

var log = vlog.New("reconnect")

// The settings of a new machine, in ms.
const (
	DefaultMinBackoff    = 1000
	DefaultMaxBackoff    = 8000
	DefaultProbeInterval = 5000

	shortest = 1000
)

// Unlimited is the number of tries of a machine that never gives up.
const Unlimited = math.MaxUint32

// never stands for a time that does not come.
const never = math.MaxInt64

// Action is what the user has to do.
type Action int

// The actions. Each is answered by reports: Connect by Connecting, Connected
// or ConnectFailed (passive: Listening), Disconnect by Disconnected.
const (
	None Action = iota
	// Connect asks for an attempt to connect or to listen.
	Connect
	// Disconnect asks to give up the connection or attempt.
	Disconnect
	// Probe asks for a message that the peer must answer.
	Probe
)

// State is a state of the machine.
type State int

// The states.
const (
	Void State = iota
	Backoff
	ConnectInProgress
	Active
	Idle
	Reconnect
	Listening
)

var stateNames = [...]string{"VOID", "BACKOFF", "CONNECTING", "ACTIVE", "IDLE", "RECONNECT", "LISTENING"}

// String returns the name that logs and status columns show.
func (s State) String() string { return stateNames[s] }

func (s State) connected() bool { return s == Active || s == Idle }

// FSM is one machine.
type FSM struct {
	name                   string
	minBackoff, maxBackoff int64
	probe                  int64
	passive                bool
	info                   vlog.Level

	state        State
	entered      int64
	backoff      int64
	lastActivity int64
	// never before the first time.
	lastConnected, lastDisconnected int64
	lastReceive                     int64
	tries, freeTries                uint32

	created              int64
	attempted, succeeded uint
	connectedMs          int64
	seqno                uint
}

// New makes a machine that is disabled.
func New(now int64) *FSM {
	return &FSM{
		name:       "void",
		minBackoff: DefaultMinBackoff, maxBackoff: DefaultMaxBackoff, probe: DefaultProbeInterval,
		info: vlog.Info, entered: now, lastActivity: now, lastReceive: now, created: now,
		lastConnected: never, lastDisconnected: never, tries: Unlimited,
	}
}

// SetQuiet logs the normal course of events at debug level only, for
// connections that are expected to be short.
func (f *FSM) SetQuiet(quiet bool) {
	f.info = vlog.Info
	if quiet {
		f.info = vlog.Dbg
	}
}

// Name returns the name that logs show.
func (f *FSM) Name() string { return f.name }

// SetName changes the name that logs show.
func (f *FSM) SetName(name string) { f.name = name }

// MinBackoff, MaxBackoff and ProbeInterval return the settings in ms.
func (f *FSM) MinBackoff() int64 { return f.minBackoff }

// MaxBackoff returns the longest pause between attempts in ms.
func (f *FSM) MaxBackoff() int64 { return f.maxBackoff }

// ProbeInterval returns the silence that makes a probe, in ms.
func (f *FSM) ProbeInterval() int64 { return f.probe }

// SetMaxTries limits the attempts from now on; then the machine disables
// itself.
func (f *FSM) SetMaxTries(n uint32) { f.tries = n }

// MaxTries returns how many attempts are left.
func (f *FSM) MaxTries() uint32 { return f.tries }

// SetBackoffFreeTries lets that many attempts follow each other without a
// pause, as is right when there are several remotes to try.
func (f *FSM) SetBackoffFreeTries(n uint32) { f.freeTries = n }

// SetBackoff changes the shortest and longest pause; 0 is the default.
func (f *FSM) SetBackoff(minMs, maxMs int64) {
	f.minBackoff = max(minMs, shortest)
	f.maxBackoff = DefaultMaxBackoff
	if maxMs != 0 {
		f.maxBackoff = max(maxMs, shortest)
	}
	f.maxBackoff = max(f.minBackoff, f.maxBackoff)
	if f.state == Backoff && f.backoff > maxMs {
		f.backoff = maxMs
	}
}

// SetProbeInterval changes the silence that makes a probe; 0 never probes.
func (f *FSM) SetProbeInterval(ms int64) {
	if ms != 0 {
		ms = max(ms, shortest)
	}
	f.probe = ms
}

// Passive says whether the machine listens.
func (f *FSM) Passive() bool { return f.passive }

// SetPassive makes the machine listen instead of connect, or back.
func (f *FSM) SetPassive(passive bool, now int64) {
	if f.passive == passive {
		return
	}
	f.passive = passive
	over := f.state == ConnectInProgress || f.state == Reconnect
	if !passive {
		over = f.state == Listening && f.mayRetry()
	}
	if over {
		f.transition(now, Backoff)
		f.backoff = 0
	}
}

// Enabled says whether the machine is at work.
func (f *FSM) Enabled() bool { return f.state != Void }

// Enable sets the machine to work: the next Run asks to connect.
func (f *FSM) Enable(now int64) {
	if f.state == Void && f.mayRetry() {
		f.transition(now, Backoff)
		f.backoff = 0
	}
}

// Disable stops the machine.
func (f *FSM) Disable(now int64) {
	if f.state != Void {
		f.transition(now, Void)
	}
}

// ForceReconnect makes the next Run ask to give up the connection or attempt.
func (f *FSM) ForceReconnect(now int64) {
	if f.state == ConnectInProgress || f.state.connected() {
		f.transition(now, Reconnect)
	}
}

// Disconnected reports that the connection is gone or an attempt failed: err
// is io.EOF if the peer ended it and nil if there is no reason to name.
func (f *FSM) Disconnected(now int64, err error) {
	if f.state == Backoff || f.state == Void {
		return
	}
	f.logEnd(err)
	if f.state.connected() {
		f.lastDisconnected = now
	}
	if !f.mayRetry() {
		f.transition(now, Void)
		return
	}
	f.nextBackoff()
	f.transition(now, Backoff)
}

// logEnd logs what ended. At the largest back-off it is silent, so that a
// peer that is away for days does not fill the log.
func (f *FSM) logEnd(err error) {
	because := err != nil && err != io.EOF
	switch {
	case f.state.connected():
		switch {
		case because:
			log.Warn("%s: connection dropped (%s)", f.name, errno.Text(err))
		case err == io.EOF:
			log.Log(f.info, "%s: connection closed by peer", f.name)
		default:
			log.Log(f.info, "%s: connection dropped", f.name)
		}
	case f.state == Listening:
		if because {
			log.Warn("%s: error listening for connections (%s)", f.name, errno.Text(err))
		} else {
			log.Log(f.info, "%s: error listening for connections", f.name)
		}
	case f.backoff < f.maxBackoff:
		kind := "connection"
		if f.passive {
			kind = "listen"
		}
		if because {
			log.Info("%s: %s attempt failed (%s)", f.name, kind, errno.Text(err))
		} else {
			log.Log(f.info, "%s: %s attempt timed out", f.name, kind)
		}
	}
}

func (f *FSM) nextBackoff() {
	lasted := f.state.connected() && (f.lastActivity-f.lastConnected >= f.backoff || f.passive)
	switch {
	case f.freeTries > 1:
		f.freeTries--
		f.backoff = 0
	case lasted && f.passive:
		f.backoff = 0
	case lasted:
		f.backoff = f.minBackoff
	case f.backoff < f.minBackoff:
		f.backoff = f.minBackoff
	case f.backoff < f.maxBackoff/2:
		f.backoff *= 2
		what := "reconnect"
		if f.passive {
			what = "trying to listen again"
		}
		log.Log(f.info, "%s: waiting %.3g seconds before %s", f.name, float64(f.backoff)/1000, what)
	default:
		if f.backoff < f.maxBackoff {
			what := "reconnect"
			if f.passive {
				what = "try to listen"
			}
			log.Info("%s: continuing to %s in the background but suppressing further logging", f.name, what)
		}
		f.backoff = f.maxBackoff
	}
}

// Connecting reports that an attempt is in progress.
func (f *FSM) Connecting(now int64) {
	if f.state == ConnectInProgress {
		return
	}
	if f.passive {
		log.Log(f.info, "%s: listening...", f.name)
	} else if f.backoff < f.maxBackoff {
		log.Log(f.info, "%s: connecting...", f.name)
	}
	f.transition(now, ConnectInProgress)
}

// Listening reports that connections are waited for.
func (f *FSM) Listening(now int64) {
	if f.state != Listening {
		log.Log(f.info, "%s: listening...", f.name)
		f.transition(now, Listening)
	}
}

// ListenError reports that accepting failed.
func (f *FSM) ListenError(now int64, err error) {
	if f.state == Listening {
		f.Disconnected(now, err)
	}
}

// Connected reports that a connection stands.
func (f *FSM) Connected(now int64) {
	if f.state.connected() {
		return
	}
	f.Connecting(now)
	log.Log(f.info, "%s: connected", f.name)
	f.transition(now, Active)
	f.lastConnected = now
}

// ConnectFailed reports that an attempt failed.
func (f *FSM) ConnectFailed(now int64, err error) {
	f.Connecting(now)
	f.Disconnected(now, err)
}

// Activity reports a sign of life of the peer.
func (f *FSM) Activity(now int64) {
	if f.state == Idle {
		f.transition(now, Active)
	}
	f.lastActivity = now
}

// ReceiveAttempted reports that the user looked for something to receive. A
// probe interval only ends after that, lest a loop that was held up drops a
// peer whose bytes were waiting to be read.
func (f *FSM) ReceiveAttempted(now int64) { f.lastReceive = now }

func (f *FSM) transition(now int64, to State) {
	if f.state == ConnectInProgress {
		f.attempted++
		if to == Active {
			f.succeeded++
		}
	}
	if f.state.connected() != to.connected() {
		if f.state.connected() {
			f.connectedMs += now - f.lastConnected
		}
		f.seqno++
	}
	log.Dbg("%s: entering %s", f.name, to)
	f.state, f.entered = to, now
}

// Deadline returns when Run must be called at the latest; never is
// math.MaxInt64.
func (f *FSM) Deadline(now int64) int64 {
	switch f.state {
	case Backoff:
		return f.entered + f.backoff
	case ConnectInProgress:
		return f.entered + max(shortest, f.backoff)
	case Active:
		return f.probeDeadline(now, max(f.lastActivity, f.entered))
	case Idle:
		return f.probeDeadline(now, f.entered)
	case Reconnect:
		return f.entered
	}
	return never
}

func (f *FSM) probeDeadline(now, since int64) int64 {
	if f.probe == 0 {
		return never
	}
	end := since + f.probe
	if now >= end && f.lastReceive < end {
		// Let the user look once more.
		return now + 1
	}
	return end
}

// Run says what to do now.
func (f *FSM) Run(now int64) Action {
	if now < f.Deadline(now) {
		return None
	}
	switch f.state {
	case Backoff:
		return Connect
	case ConnectInProgress, Reconnect:
		return Disconnect
	case Active:
		log.Dbg("%s: idle %d ms, sending inactivity probe", f.name, now-max(f.lastActivity, f.entered))
		f.transition(now, Idle)
		return Probe
	case Idle:
		log.Err("%s: no response to inactivity probe after %.3g seconds, disconnecting",
			f.name, float64(now-f.entered)/1000)
		return Disconnect
	}
	return None
}

// Wait wakes s when Run has something to say.
func (f *FSM) Wait(s *poll.Set, now int64) {
	if at := f.Deadline(now); at != never {
		s.Timer(at)
	}
}

// IsConnected says whether the connection stands.
func (f *FSM) IsConnected() bool { return f.state.connected() }

// State returns the state and since when, for status displays.
func (f *FSM) State() (State, int64) { return f.state, f.entered }

// Stats is a machine's history; times are in ms.
type Stats struct {
	// Created, LastActivity are moments.
	Created, LastActivity int64
	// Backoff is the pause in use.
	Backoff int64
	// Seqno grows with every connection and disconnection.
	Seqno uint
	// Connected says whether the connection stands.
	Connected bool
	// SinceConnect and SinceDisconnect are durations, -1 for never.
	SinceConnect, SinceDisconnect int64
	// TotalConnected adds up all connections.
	TotalConnected int64
	// Attempted and Successful count connections.
	Attempted, Successful uint
	// State is the state and StateElapsed how long it lasts.
	State        State
	StateElapsed int64
}

// Stats returns the history.
func (f *FSM) Stats(now int64) Stats {
	since := func(t int64) int64 {
		if t == never {
			return -1
		}
		return now - t
	}
	st := Stats{
		Created: f.created, LastActivity: f.lastActivity, Backoff: f.backoff, Seqno: f.seqno,
		Connected: f.state.connected(), SinceConnect: since(f.lastConnected), SinceDisconnect: since(f.lastDisconnected),
		TotalConnected: f.connectedMs, Attempted: f.attempted, Successful: f.succeeded,
		State: f.state, StateElapsed: now - f.entered,
	}
	if st.Connected {
		st.TotalConnected += st.SinceConnect
	}
	return st
}

// mayRetry uses up one try.
func (f *FSM) mayRetry() bool {
	if f.tries == 0 {
		return false
	}
	if f.tries != Unlimited {
		f.tries--
	}
	return true
}
