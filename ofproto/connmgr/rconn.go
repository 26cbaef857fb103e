package connmgr

import (
	"io"
	"math"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp"
	"sluice/ovsdb/stream"
)

// rconnState is where a connection is in its life.
type rconnState uint8

const (
	rcVoid rconnState = iota
	rcBackoff
	rcConnecting
	rcActive
	rcIdle
	rcDisconnected
)

var rconnStateNames = [...]string{"VOID", "BACKOFF", "CONNECTING", "ACTIVE", "IDLE", "DISCONNECTED"}

// counter counts what is queued on a connection by one source.
type counter struct{ packets, bytes int }

// queued is a message that waits to be sent.
type queued struct {
	b []byte
	c *counter // nil: nobody counts
}

// rconn keeps a connection to one peer: a reliable one is set up again whenever it
// breaks, with growing pauses; an accepted one is not.  An idle peer is probed with
// echo requests.
type rconn struct {
	name     string
	target   string
	reliable bool
	open     func(target string, dscp uint8) (stream.Conn, error)
	allowed  ofp.VersionBitmap
	dscp     uint8

	state   rconnState
	entered int64 // ms
	v       *vconn
	version ofp.Version // current or most recent, 0: none
	txq     []queued
	corked  bool  // messages wait in txq for uncork, to leave together
	txBytes int   // in txq
	lastTx  int64 // ms, when the peer last took something, or txq was empty

	backoff, maxBackoff int64 // ms
	backoffDeadline     int64
	lastConnected       int64 // math.MinInt64: never
	lastDisconnected    int64
	lastError           error

	// probablyAdmitted says that the peer seems to have accepted this switch; only
	// then does the connection count against failing open.
	probablyAdmitted bool
	lastAdmitted     int64

	probeMs      int64 // 0: no probes
	lastActivity int64

	snoopers []*vconn
}

func newRconn(name, target string, allowed ofp.VersionBitmap, now int64) *rconn {
	return &rconn{
		name: name, target: target, allowed: allowed, entered: now,
		maxBackoff: 8000, backoffDeadline: math.MinInt64,
		lastConnected: math.MinInt64, lastDisconnected: math.MinInt64,
		lastAdmitted: now, lastActivity: now,
	}
}

// connect makes r a reliable connection to its target.
func (r *rconn) connect(now int64) {
	r.reliable = true
	r.reconnectNow(now)
}

// adopt makes r the unreliable owner of a connection that was accepted.
func (r *rconn) adopt(v *vconn, now int64) {
	r.v = v
	r.transition(rcConnecting, now)
}

// reset drops the connection, if there is one, to set it up again.
func (r *rconn) reset(now int64) {
	if r.connected() {
		logRconn.Info("%s: disconnecting", r.name)
		r.disconnect(nil, now)
	}
}

// close ends the connection.
func (r *rconn) close() {
	if r.v != nil {
		r.v.close()
		r.v = nil
	}
	for _, s := range r.snoopers {
		s.close()
	}
	r.snoopers = nil
	r.flushQueue()
}

func (r *rconn) connected() bool { return r.state == rcActive || r.state == rcIdle }

// alive reports whether the connection may still become or be usable.
func (r *rconn) alive() bool { return r.state != rcVoid && r.state != rcDisconnected }

func (r *rconn) admitted(now int64) bool { return r.connected() && r.lastAdmitted >= r.lastConnected }

// failureSeconds returns how long the peer has not been connected and admitting.
func (r *rconn) failureSeconds(now int64) int64 {
	if r.admitted(now) {
		return 0
	}
	return (now - r.lastAdmitted) / 1000
}

func (r *rconn) stateName() string { return rconnStateNames[r.state] }

// verbose reports whether attempts are still worth a log message.
func (r *rconn) verbose() bool { return r.backoff < r.maxBackoff }

func (r *rconn) setMaxBackoff(seconds int, now int64) {
	r.maxBackoff = 1000 * int64(max(1, seconds))
	if r.state == rcBackoff && r.backoff > r.maxBackoff {
		r.backoff = r.maxBackoff
		r.backoffDeadline = min(r.backoffDeadline, now+r.maxBackoff)
	}
}

func (r *rconn) setProbe(seconds int) {
	r.probeMs = 0
	if seconds > 0 {
		r.probeMs = 1000 * int64(max(5, seconds))
	}
}

func (r *rconn) transition(s rconnState, now int64) {
	if (s == rcActive || s == rcIdle) && !r.connected() {
		r.probablyAdmitted = false
	}
	logRconn.Dbg("%s: entering %s", r.name, rconnStateNames[s])
	r.state, r.entered = s, now
}

// reconnectNow tries to connect.
func (r *rconn) reconnectNow(now int64) {
	if r.verbose() {
		logRconn.Info("%s: connecting...", r.name)
	}
	cVconnOpen.Inc()
	c, err := r.open(r.target, r.dscp)
	if err == nil {
		if err = c.Connect(); err != nil && !isAgain(err) {
			c.Close()
		} else {
			err = nil
		}
	}
	if err != nil {
		logRconn.Warn("%s: connection failed (%s)", r.name, errno.Text(err))
		r.backoffDeadline = math.MaxInt64
		r.disconnect(err, now)
		return
	}
	r.v = newVconn(c, r.allowed)
	r.backoffDeadline = now + r.backoff
	r.transition(rcConnecting, now)
}

// timeout returns when the state has to be left, math.MaxInt64 for never.
func (r *rconn) timeout() int64 {
	switch r.state {
	case rcBackoff:
		return r.entered + r.backoff
	case rcConnecting:
		return r.entered + max(1000, r.backoff)
	case rcActive:
		if r.probeMs != 0 {
			return max(r.lastActivity, r.entered) + r.probeMs
		}
	case rcIdle:
		if r.probeMs != 0 {
			return r.entered + r.probeMs
		}
		return r.entered
	}
	return math.MaxInt64
}

// run does what is due.
func (r *rconn) run(now int64) {
	if r.v != nil {
		r.v.run()
		if err := r.v.status(); err != nil {
			r.report(err)
			r.disconnect(err, now)
		}
	}
	r.runSnoopers()
	for old := rconnState(255); old != r.state; {
		old = r.state
		due := now >= r.timeout()
		switch r.state {
		case rcBackoff:
			if due {
				r.reconnectNow(now)
			}
		case rcConnecting:
			r.runConnecting(due, now)
		case rcActive:
			if due {
				logRconn.Dbg("%s: idle %d seconds, sending inactivity probe", r.name, (now-max(r.lastActivity, r.entered))/1000)
				r.transition(rcIdle, now)
				r.send(ofp.Encode(r.version, 0, &ofp.EchoRequest{}), nil, now)
			} else {
				r.transmit(now)
			}
		case rcIdle:
			if due {
				logRconn.Err("%s: no response to inactivity probe after %d seconds, disconnecting", r.name, (now-r.entered)/1000)
				r.disconnect(unix.ETIMEDOUT, now)
			} else {
				r.transmit(now)
			}
		}
	}
}

func (r *rconn) runConnecting(due bool, now int64) {
	err := r.v.connect()
	switch {
	case err == nil:
		level := vlog.Info
		if !r.reliable {
			level = vlog.Dbg
		}
		logRconn.Log(level, "%s: connected", r.name)
		r.transition(rcActive, now)
		r.version = r.v.version
		r.lastConnected = now
	case !isAgain(err):
		if r.verbose() {
			logRconn.Info("%s: connection failed (%s)", r.name, errno.Text(err))
		}
		r.disconnect(err, now)
	case due:
		if r.verbose() {
			logRconn.Info("%s: connection timed out", r.name)
		}
		r.backoffDeadline = math.MaxInt64
		r.disconnect(unix.ETIMEDOUT, now)
	}
}

// report says why the connection breaks.
func (r *rconn) report(err error) {
	if err != io.EOF {
		logRconn.Warn("%s: connection dropped (%s)", r.name, errno.Text(err))
		return
	}
	level := vlog.Info
	if !r.reliable {
		level = vlog.Dbg
	}
	logRconn.Log(level, "%s: connection closed by peer", r.name)
}

// disconnect ends the current connection; a reliable one is tried again later.
func (r *rconn) disconnect(err error, now int64) {
	r.lastError = err
	if r.v != nil {
		r.v.close()
		r.v = nil
	}
	if !r.reliable {
		r.lastDisconnected = now
		r.transition(rcDisconnected, now)
		return
	}
	if r.state == rcConnecting || r.connected() {
		r.lastDisconnected = now
		r.flushQueue()
	}
	switch {
	case now >= r.backoffDeadline:
		r.backoff = 1000
	case r.backoff < r.maxBackoff/2:
		r.backoff = max(1000, 2*r.backoff)
		logRconn.Info("%s: waiting %d seconds before reconnect", r.name, r.backoff/1000)
	default:
		if r.verbose() {
			logRconn.Info("%s: continuing to retry connections in the background but suppressing further logging", r.name)
		}
		r.backoff = r.maxBackoff
	}
	r.backoffDeadline = now + r.backoff
	r.transition(rcBackoff, now)
}

func (r *rconn) flushQueue() {
	for _, q := range r.txq {
		q.uncount()
		cRconnDiscarded.Inc()
	}
	r.txq, r.txBytes = nil, 0
}

func (q *queued) uncount() {
	if q.c != nil {
		q.c.packets--
		q.c.bytes -= len(q.b)
	}
}

// recv returns the next message, nil when there is none.
func (r *rconn) recv(now int64) []byte {
	if !r.connected() {
		return nil
	}
	b, err := r.v.recv()
	if err != nil {
		if !isAgain(err) {
			r.report(err)
			r.disconnect(err, now)
		}
		return nil
	}
	r.copyToSnoopers(b)
	if r.probablyAdmitted || admits(b) || now-r.lastConnected >= 30*1000 {
		r.probablyAdmitted = true
		r.lastAdmitted = now
	}
	r.lastActivity = now
	if r.state == rcIdle {
		r.transition(rcActive, now)
	}
	return b
}

// admits reports whether b is a message that a controller sends only to a switch that
// it accepted.
func admits(b []byte) bool {
	h, err := ofp.DecodePartialHeader(b)
	if err != nil {
		return false
	}
	switch h.Type {
	case ofp.TypeHello, ofp.TypeError, ofp.TypeEchoRequest, ofp.TypeEchoReply,
		ofp.TypeFeaturesRequest, ofp.TypeFeaturesReply, ofp.TypeGetConfigRequest, ofp.TypeGetConfigReply,
		ofp.TypeSetConfig, ofp.TypeQueueGetConfigRequest, ofp.TypeQueueGetConfigReply,
		ofp.TypeGetAsyncRequest, ofp.TypeGetAsyncReply,
		ofp.TypeGroupStatsRequest, ofp.TypeGroupStatsReply,
		ofp.TypeGroupDescStatsRequest, ofp.TypeGroupDescStatsReply,
		ofp.TypeGroupFeaturesStatsRequest, ofp.TypeGroupFeaturesStatsReply,
		ofp.TypeTableFeaturesStatsRequest, ofp.TypeTableFeaturesStatsReply,
		ofp.TypeTableDescRequest, ofp.TypeTableDescReply:
		return false
	}
	return true
}

// send queues b, which is the connection's from now on, and counts it in c (nil: not)
// until it is sent.  Without a connection it is dropped.
func (r *rconn) send(b []byte, c *counter, now int64) {
	if !r.connected() {
		return
	}
	cRconnQueued.Inc()
	r.copyToSnoopers(b)
	if c != nil {
		c.packets++
		c.bytes += len(b)
	}
	if len(r.txq) == 0 {
		r.lastTx = now
	}
	r.txq = append(r.txq, queued{b, c})
	r.txBytes += len(b)
	if len(r.txq) == 1 && !r.corked {
		r.trySend(now)
	}
}

// cork keeps messages back until uncork, so that the answers to many requests cost one
// system call.  Where they are logged one by one they go out one by one.
func (r *rconn) cork() { r.corked = len(r.txq) == 0 && !logVconn.DbgEnabled() }

func (r *rconn) uncork(now int64) {
	if r.corked {
		r.corked = false
		for len(r.txq) > 0 && r.connected() && r.trySend(now) {
		}
	}
}

// sendLimited is send, but drops b when c has limit messages already.
func (r *rconn) sendLimited(b []byte, c *counter, limit int, now int64) bool {
	if c.packets >= limit {
		cRconnOverflow.Inc()
		return false
	}
	r.send(b, c, now)
	return true
}

const (
	stalledBytes = 1 << 20   // queued on a peer that takes nothing for stalledMs
	stalledMs    = 5000      // is too much,
	tooManyBytes = 128 << 20 // and this on any
)

// stalled reports whether more is queued than a peer that reads would leave.
func (r *rconn) stalled(now int64) bool {
	return r.txBytes > tooManyBytes || r.txBytes > stalledBytes && now-r.lastTx > stalledMs
}

// transmit sends what is queued, as far as it goes.
func (r *rconn) transmit(now int64) {
	for len(r.txq) > 0 && r.trySend(now) {
		r.lastActivity = now
	}
}

// batchBytes is how much queued messages are joined to, to save system calls.
const batchBytes = 32 << 10

// trySend sends the first messages of the queue; false if they do not go out.
func (r *rconn) trySend(now int64) bool {
	n, b := 1, r.txq[0].b
	if len(r.txq) > 1 && !logVconn.DbgEnabled() && len(r.v.tx) == 0 {
		b = append(make([]byte, 0, batchBytes), b...)
		for n < len(r.txq) && len(b)+len(r.txq[n].b) <= batchBytes {
			b = append(b, r.txq[n].b...)
			n++
		}
	}
	if err := r.v.send(b); err != nil {
		if !isAgain(err) {
			r.report(err)
			r.disconnect(err, now)
		}
		return false
	}
	r.lastTx = now
	for i := range n {
		r.txBytes -= len(r.txq[i].b)
		r.txq[i].uncount()
		cRconnSent.Inc()
		r.txq[i] = queued{}
	}
	if r.txq = r.txq[n:]; len(r.txq) == 0 {
		r.txq = nil
	}
	return true
}

// wait wakes s when run or, with recv, recv has something to do.
func (r *rconn) wait(s *poll.Set, recv bool) {
	if r.v != nil {
		r.v.wait(s, recv, r.connected() && len(r.txq) > 0)
	}
	for _, v := range r.snoopers {
		v.wait(s, true, false)
	}
	if t := r.timeout(); t != math.MaxInt64 {
		s.Timer(t)
	}
}
