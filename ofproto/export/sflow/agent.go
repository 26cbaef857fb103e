// Package sflow makes sFlow datagrams (version 5, sflow.org/sflow_version_5.txt) of
// sampled packets and of polled counters.
//
// An Agent is the exporter of one bridge.  Samples, counters and time go in,
// datagrams come out of a function that the wiring gives; the package opens no
// sockets and reads no clock.
//
//  1. Sample adds a flow sample to the datagram that is being filled
//  2. once a second, Run adds counter samples of the ports that are due
//  3. a datagram leaves when it is full, or at the end of the second
//
// The data source of flow samples is the bridge as a physical entity, that of
// counters the interface, as in Open vSwitch.
package sflow

import (
	"cmp"
	"net/netip"
	"slices"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/ofproto/export"
)

// Defaults of the settings, and where collectors listen.
const (
	DefaultSampling = 400 // packets
	DefaultPolling  = 30  // seconds
	DefaultHeader   = 128 // bytes
	DefaultPort     = 6343
)

// tickMs is the time between two looks at what is to be polled, which are at whole
// seconds of the clock.
const tickMs = 1000

// tickAfter returns the first tick after ms now.
func tickAfter(now int64) int64 { return (now/tickMs + 1) * tickMs }

// Config is how an agent reports.
type Config struct {
	// Agent is the address by which collectors know this host.
	Agent netip.Addr
	// SubID tells the bridges of a host apart.
	SubID uint32
	// Sampling is one of how many packets is sampled, Polling the seconds between
	// two reports of a port's counters (0: never), Header the bytes of a packet
	// that are reported.
	Sampling, Polling, Header uint32
	// Rand returns a number below n; it spreads the times of polling.
	Rand func(n uint32) uint32
}

// Probability is the share of packets that a sampling action takes, of 2^32-1.
func Probability(sampling uint32) uint32 {
	if sampling == 0 {
		return 0
	}
	return max(1, ^uint32(0)/sampling)
}

// Port is a port whose packets and counters are reported.
type Port struct {
	ODP     uint32 // datapath port
	Ifindex uint32 // 0: it has none, and no counters are reported
	// TunnelProto is the IP protocol of a tunnel port's packets; 0: not one, or not
	// known.
	TunnelProto uint8
}

// TunnelProto returns the IP protocol of the outer header for a type of port.
func TunnelProto(portType string) uint8 {
	switch portType {
	case "gre":
		return 47
	case "vxlan", "lisp", "geneve":
		return 17
	}
	return 0
}

// PortCounters is what a counter sample tells of a port.
type PortCounters struct {
	Name       string
	Speed      uint64 // bit/s
	Direction  uint32 // 0: not known, 1: full duplex, 2: half duplex
	AdminUp    bool
	LinkUp     bool
	Stats      dpif.DeviceStats
	DatapathID uint64
	OFPort     uint32
	LACP       *LACP // nil: not part of an aggregation
}

// LACP is the state of a port in a link aggregation (sflow.org/sflow_lag.txt).
type LACP struct {
	ActorSystem, PartnerSystem flow.MAC
	AggregatorID               uint32
	ActorAdmin, ActorOper      uint8
	PartnerAdmin, PartnerOper  uint8
	RxPDUs, RxBad, TxPDUs      uint32
}

// Totals are the counters of the whole switch, which one agent of a host reports.
type Totals struct {
	Datapath      dpif.DPStats
	UserMs, SysMs uint32 // time on a processor
	MemoryUsed    uint64 // bytes
}

// Source is where counters come from.
type Source interface {
	// PortCounters returns the counters of a datapath port; ok: there are some.
	PortCounters(odp uint32) (c PortCounters, ok bool)
	// Totals returns the counters of the switch; ok: this agent is to report them.
	Totals(subID uint32) (t Totals, ok bool)
}

// poller is the data source of counter samples.
type poller struct {
	source    uint32 // class and index
	odp       uint32
	global    bool
	countdown uint32 // seconds until the next sample
	seq       uint32
}

// Agent is the sFlow exporter of one bridge.
//
// Thread-safety: it belongs to the control loop.
type Agent struct {
	cfg   Config
	src   Source
	send  func([]byte)
	boot  int64 // ms
	now   int64
	next  int64           // tick
	ports map[uint32]Port // by datapath port
	polls []*poller       // by falling source

	buf      []byte
	nSamples uint32
	seq      uint32 // of datagrams
	flowSeq  uint32 // of flow samples
	pool     uint32 // packets that could have been sampled
}

// Classes of data sources.
const (
	classIfindex = 0
	classEntity  = 2
	entityBase   = 1000 // of the index of a bridge
)

// New makes an agent that reports to send.
func New(cfg Config, src Source, send func([]byte), now int64) *Agent {
	a := &Agent{cfg: cfg, src: src, send: send, boot: now, now: now, next: tickAfter(now)}
	a.polls = []*poller{{source: a.entity(), global: true, countdown: a.spread()}}
	return a
}

// entity is the data source that stands for the bridge.
func (a *Agent) entity() uint32 { return classEntity<<24 | (entityBase+a.cfg.SubID)&0xffffff }

// spread is when a poller begins, so that not all ports are polled at once.
func (a *Agent) spread() uint32 {
	if a.cfg.Polling == 0 {
		return 0
	}
	return 1 + a.cfg.Rand(a.cfg.Polling)
}

// SetPorts says which ports there are.  One that stays goes on counting its samples.
func (a *Agent) SetPorts(ports []Port) {
	type key struct{ source, odp uint32 }
	old := make(map[key]*poller, len(a.polls))
	polls := make([]*poller, 0, len(ports)+1)
	for _, p := range a.polls {
		if p.global {
			polls = append(polls, p)
		} else {
			old[key{p.source, p.odp}] = p
		}
	}
	a.ports = make(map[uint32]Port, len(ports))
	for _, p := range ports {
		a.ports[p.ODP] = p
		if p.Ifindex == 0 {
			continue
		}
		source := uint32(classIfindex<<24) | p.Ifindex&0xffffff
		q := old[key{source, p.ODP}]
		if q == nil {
			q = &poller{source: source, odp: p.ODP, countdown: a.spread()}
		}
		polls = append(polls, q)
	}
	slices.SortStableFunc(polls, func(x, y *poller) int { return cmp.Compare(y.source, x.source) })
	a.polls = polls
}

// Sample reports a packet.  drops is how many samples were lost since the bridge
// exists, before they got here.
func (a *Agent) Sample(s *export.Sample, drops uint32) {
	// The draws of the datapath have the mean that was asked for.
	a.pool += a.cfg.Sampling
	a.flowSeq++
	a.flowSample(s, drops)
}

// Run does what is due at ms now.
func (a *Agent) Run(now int64) {
	if now < a.next {
		return
	}
	a.now, a.next = now, tickAfter(now)
	for _, p := range a.polls {
		if p.countdown == 0 {
			continue
		}
		if p.countdown--; p.countdown == 0 {
			p.countdown = a.cfg.Polling
			a.poll(p)
		}
	}
	a.flush()
}

// Next returns when Run has something to do.
func (a *Agent) Next() int64 { return a.next }

func (a *Agent) poll(p *poller) {
	if p.global {
		if t, ok := a.src.Totals(a.cfg.SubID); ok {
			p.seq++
			a.totals(p, &t)
		}
		return
	}
	if c, ok := a.src.PortCounters(p.odp); ok {
		p.seq++
		a.counters(p, &c)
	}
}
