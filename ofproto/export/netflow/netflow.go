// Package netflow makes NetFlow version 5 datagrams of the statistics of flows.
//
// An Exporter is that of one bridge.  It keeps a record for each IPv4 flow (addresses,
// ports, protocol, TOS, input port) that translation saw, adds up what the datapath's
// statistics credit to it, and reports the record when the flow takes another output
// port, when it goes away, and at every active timeout.
//
// The package opens no sockets and reads no clock: times are ms, datagrams go to a
// function.
package netflow

import (
	"cmp"
	"encoding/binary"
	"slices"
	"sync"

	"sluice/dpif/flow"
	"sluice/internal/coverage"
	"sluice/internal/vlog"
)

var (
	log       = vlog.New("netflow")
	rlCounter = vlog.NewLimiter(1, 1)

	cOverflow = coverage.New("netflow_queue_overflow")
)

// DefaultActiveTimeout is in seconds.
const DefaultActiveTimeout = 600

// Output ports that are none.
const (
	OutFlood = 0xffff // all ports
	OutMulti = 0xfffe // several ports
	OutDrop  = 0xfffd // no port
)

// Options are how an exporter reports.
type Options struct {
	EngineType, EngineID uint8
	// AddIDToInterface puts 7 bits of the engine id in front of 9 bits of port
	// numbers.
	AddIDToInterface bool
	ActiveTimeoutMs  int64 // 0: never
}

// Key is what makes a flow.
type Key struct {
	Src, Dst     uint32
	InPort       uint16 // OpenFlow port
	TpSrc, TpDst uint16
	Proto, TOS   uint8
}

// KeyOf returns the key of a packet's flow, with an OpenFlow port as InPort; ok: it
// is one that NetFlow reports.
func KeyOf(f *flow.Flow) (k Key, ok bool) {
	return Key{Src: f.NwSrc, Dst: f.NwDst, InPort: uint16(f.InPort), TpSrc: f.TpSrc, TpDst: f.TpDst, Proto: f.NwProto, TOS: f.NwTOS},
		f.DLType == flow.EthIPv4
}

// Usage is what to credit to a flow.
type Usage struct {
	Packets, Bytes uint64
	Used           int64 // ms, of the last packet
	TCPFlags       uint16
}

// record is what is known of a flow since it was last reported.
type record struct {
	key     Key
	serial  uint64 // order of making
	out     uint16
	usage   Usage
	created int64 // of its first packet
	expired int64 // when it was last reported, 0: never used
}

// report is a record as it goes out.
type report struct {
	key            Key
	out            uint16
	packets, bytes uint32
	first, last    int64
	tcpFlags       uint8
}

// Exporter is the NetFlow exporter of one bridge.
//
// Thread-safety: Update and Clear may be called on any thread; the rest belongs to
// the control loop.
type Exporter struct {
	boot int64

	mu       sync.Mutex // guards what follows
	opts     Options
	flows    map[Key]*record
	serial   uint64
	pending  []report
	next     int64 // when active flows are looked at
	reconfig int64 // when the timeout was last changed
	seq      uint32
}

// New makes an exporter at ms now.
func New(now int64) *Exporter {
	return &Exporter{boot: now, flows: map[Key]*record{}}
}

// SetOptions changes how the exporter reports.
func (e *Exporter) SetOptions(o Options, now int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if o.ActiveTimeoutMs != e.opts.ActiveTimeoutMs {
		e.reconfig, e.next = now, now
	}
	e.opts = o
}

// Update credits u to a flow whose packets leave by port out.
func (e *Exporter) Update(k *Key, out uint16, u *Usage, now int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.flows[*k]
	if r == nil {
		r = &record{key: *k, serial: e.serial, out: out, created: u.Used}
		e.serial++
		e.flows[*k] = r
	}
	if r.out != out {
		e.expire(r)
		r.created, r.out = u.Used, out
	}
	r.usage.Packets += u.Packets
	r.usage.Bytes += u.Bytes
	r.usage.TCPFlags |= u.TCPFlags
	if u.Used > r.usage.Used {
		r.usage.Used = u.Used
		if e.opts.ActiveTimeoutMs == 0 || r.expired == 0 || e.reconfig > r.expired {
			// Keep it current, or all flows would be due at once later.
			r.expired = now
		}
	}
}

// Clear reports a flow that goes away, and forgets it.
func (e *Exporter) Clear(k *Key) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r := e.flows[*k]; r != nil {
		e.expire(r)
		delete(e.flows, *k)
	}
}

// Limits of what waits to be sent, and of what one record can tell.
const (
	maxPending = 30000
	maxBytes   = 176 << 32 // more than a 10 Gbit/s link moves in 600 seconds
)

// expire reports what was credited to r.  Records have 32-bit counters: what does
// not fit one is spread evenly over several.
func (e *Exporter) expire(r *record) {
	r.expired += e.opts.ActiveTimeoutMs
	packets, bytes := r.usage.Packets, r.usage.Bytes
	if packets == 0 {
		return
	}
	if bytes >= maxBytes {
		log.WarnRL(rlCounter, "impossible byte counter %d", bytes)
		bytes = 0
	}
	for bytes > 0 {
		const most = 1<<32 - 1
		n := (bytes + most - 1) / most
		p, b := packets/n, bytes/n
		packets, bytes = packets-p, bytes-b
		if len(e.pending) >= maxPending {
			cOverflow.Inc()
			continue
		}
		e.pending = append(e.pending, report{key: r.key, out: r.out, packets: uint32(p), bytes: uint32(b),
			first: r.created, last: max(r.created, r.usage.Used), tcpFlags: uint8(r.usage.TCPFlags)})
	}
	r.usage.Packets, r.usage.Bytes, r.usage.TCPFlags = 0, 0, 0
}

// Run sends what is due at ms now, wall being ms since the epoch.
func (e *Exporter) Run(now, wall int64, send func([]byte)) {
	e.mu.Lock()
	e.timeouts(now)
	pending, opts, seq := e.pending, e.opts, e.seq
	e.pending = nil
	e.seq += uint32(len(pending))
	e.mu.Unlock()
	for len(pending) > 0 {
		n := min(len(pending), maxRecords)
		send(e.datagram(pending[:n], &opts, seq, now, wall))
		pending, seq = pending[n:], seq+uint32(n)
	}
}

// timeouts reports the flows that are active for long, and forgets those that are
// not active any more: what they belonged to may have lost track of them.
func (e *Exporter) timeouts(now int64) {
	if e.opts.ActiveTimeoutMs == 0 || now < e.next {
		return
	}
	e.next = now + 1000
	var due []*record
	for _, r := range e.flows {
		if now > r.expired+e.opts.ActiveTimeoutMs {
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(a, b *record) int { return cmp.Compare(a.serial, b.serial) })
	for _, r := range due {
		idle := r.usage.Used < r.expired
		e.expire(r)
		if idle {
			delete(e.flows, r.key)
		}
	}
}

// Next returns when Run has something to do; ok is false if that is not known yet.
func (e *Exporter) Next() (at int64, ok bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.pending) > 0 {
		return 0, true
	}
	return e.next, e.opts.ActiveTimeoutMs != 0
}

const (
	version    = 5
	maxRecords = 30
	headerSize = 24
	recordSize = 48
	protoICMP  = 1
	dscpMask   = 0xfc
)

// datagram encodes reports, the first of which is number seq.  Open vSwitch counts
// in the header's sequence number up to the last record, not to the first.
func (e *Exporter) datagram(reports []report, o *Options, seq uint32, now, wall int64) []byte {
	b := make([]byte, 0, headerSize+recordSize*maxRecords)
	u16 := func(v uint16) { b = binary.BigEndian.AppendUint16(b, v) }
	u32 := func(v uint32) { b = binary.BigEndian.AppendUint32(b, v) }
	u16(version)
	u16(uint16(len(reports)))
	u32(uint32(now - e.boot))
	u32(uint32(wall / 1000))
	u32(uint32(wall % 1000 * 1000000))
	u32(seq + uint32(len(reports)) - 1)
	b = append(b, o.EngineType, o.EngineID)
	u16(0) // sampling
	for i := range reports {
		r := &reports[i]
		u32(r.key.Src)
		u32(r.key.Dst)
		u32(0) // next hop
		u16(o.port(r.key.InPort))
		u16(o.port(r.out))
		u32(r.packets)
		u32(r.bytes)
		u32(uint32(r.first - e.boot))
		u32(uint32(r.last - e.boot))
		if r.key.Proto == protoICMP {
			u16(0)
			u16(r.key.TpSrc<<8 | r.key.TpDst&0xff) // type and code
		} else {
			u16(r.key.TpSrc)
			u16(r.key.TpDst)
		}
		b = append(b, 0, r.tcpFlags, r.key.Proto, r.key.TOS&dscpMask)
		u32(0) // autonomous systems
		u32(0) // prefix lengths, padding
	}
	return b
}

// port is a port number as it goes out.
func (o *Options) port(p uint16) uint16 {
	if !o.AddIDToInterface {
		return p
	}
	return uint16(o.EngineID&0x7f)<<9 | p&0x1ff
}
