// Package meter is the token buckets of the datapath's meters: drop and DSCP
// remark bands in kbit/s or packets/s.
//
// dpif/userspace keeps a Table for each datapath, sets it from ofproto's meter
// modifications and runs it for meter actions.  The package touches no packets: it
// is told their sizes and answers what to do with each.
//
// # Thread-safety
//
// Run may be called from any thread; a meter has a lock that one batch holds.  Set
// and Del are for the control thread alone.
package meter

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/netdev/packet"
)

// Limits and flags (OFPMF_*) of meters.
const (
	MaxMeters = 1 << 18
	MaxBands  = 8

	flagKbps  = 1 << 0
	flagPktps = 1 << 1
	flagBurst = 1 << 2
	flagStats = 1 << 3

	bandDrop   = 1
	bandRemark = 2
)

// Features are what stock's userspace datapath reports: drop bands only, since
// that is what controllers were told so far.
func Features() dpif.MeterFeatures {
	return dpif.MeterFeatures{MaxMeters: MaxMeters, BandTypes: 1 << bandDrop,
		Capabilities: flagKbps | flagPktps | flagBurst | flagStats, MaxBands: MaxBands}
}

// Verdict says what to do with one packet: a band that fired, or Pass.
type Verdict struct {
	Drop bool
	// Remark raises the drop precedence of the packet's DSCP so many levels.
	Remark uint8
}

type band struct {
	dpif.MeterBand
	bucket         uint64 // 1/1000 packets, or bits
	packets, bytes uint64
}

type meter struct {
	mu      sync.Mutex
	flags   uint16
	maxIdle int64 // ms that fill every bucket; +checklocks:mu
	used    int64 // ms; +checklocks:mu
	packets uint64
	bytes   uint64
	bands   []band
}

// Table is the meters of a datapath by id.
type Table struct {
	meters atomic.Pointer[map[uint32]*meter] // replaced whole
}

func (t *Table) get(id uint32) *meter {
	if m := t.meters.Load(); m != nil {
		return (*m)[id]
	}
	return nil
}

// replace publishes the table with id set to m, or without id when m is nil.
func (t *Table) replace(id uint32, m *meter) {
	next := map[uint32]*meter{}
	if old := t.meters.Load(); old != nil {
		for k, v := range *old {
			next[k] = v
		}
	}
	if m == nil {
		delete(next, id)
	} else {
		next[id] = m
	}
	t.meters.Store(&next)
}

// Set makes or replaces a meter; its buckets are full and its counters zero.
func (t *Table) Set(id uint32, cfg dpif.MeterConfig, now int64) error {
	switch {
	case id >= MaxMeters:
		return unix.EFBIG
	case cfg.Flags&^(flagKbps|flagPktps|flagBurst|flagStats) != 0:
		return unix.EBADF
	case len(cfg.Bands) > MaxBands:
		return unix.EINVAL
	}
	m := &meter{flags: cfg.Flags, used: now, bands: make([]band, len(cfg.Bands))}
	for i, b := range cfg.Bands {
		if b.Type != bandDrop && b.Type != bandRemark {
			return unix.ENODEV
		}
		if b.Burst == 0 {
			b.Burst = b.Rate
		}
		full := uint64(b.Burst) * 1000
		m.bands[i] = band{MeterBand: b, bucket: full}
		if b.Rate != 0 {
			m.maxIdle = max(m.maxIdle, int64(full/uint64(b.Rate)))
		}
	}
	t.replace(id, m)
	return nil
}

// Get returns the counters of a meter.
func (t *Table) Get(id uint32) (dpif.MeterStats, error) {
	m := t.get(id)
	if m == nil {
		return dpif.MeterStats{}, unix.ENOENT
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := dpif.MeterStats{Packets: m.packets, Bytes: m.bytes}
	for i := range m.bands {
		s.BandPackets = append(s.BandPackets, m.bands[i].packets)
		s.BandBytes = append(s.BandBytes, m.bands[i].bytes)
	}
	return s, nil
}

// Del removes a meter and returns its last counters.
func (t *Table) Del(id uint32) (dpif.MeterStats, error) {
	s, err := t.Get(id)
	if err == nil {
		t.replace(id, nil)
	}
	return s, err
}

// Run passes packets of the given sizes through a meter at time now and sets a
// verdict for each.  A meter that does not exist passes all.
func (t *Table) Run(id uint32, sizes []uint32, now int64, out *[packet.BatchSize]Verdict) {
	for i := range sizes {
		out[i] = Verdict{}
	}
	m := t.get(id)
	if m == nil || len(sizes) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// Threads that read the clock in another order must not turn time back.
	idle := min(max(now-m.used, 0), m.maxIdle)
	m.used = max(m.used, now)
	m.packets += uint64(len(sizes))
	for _, n := range sizes {
		m.bytes += uint64(n)
	}
	var fired [packet.BatchSize]int8 // band + 1
	for i := range m.bands {
		m.runBand(i, sizes, idle, &fired)
	}
	for i, n := range sizes {
		if fired[i] == 0 {
			continue
		}
		b := &m.bands[fired[i]-1]
		b.packets++
		b.bytes += uint64(n)
		if b.Type == bandDrop {
			out[i].Drop = true
		} else {
			out[i].Remark = b.PrecLevel
		}
	}
}

// runBand fills and drains the bucket of a band.  Of several bands that a packet
// exceeds the one with the highest rate fires.
func (m *meter) runBand(i int, sizes []uint32, idle int64, fired *[packet.BatchSize]int8) {
	b := &m.bands[i]
	b.bucket = min(b.bucket+uint64(idle)*uint64(b.Rate), uint64(b.Burst)*1000)
	for n, size := range sizes {
		cost := uint64(size) * 8
		if m.flags&flagPktps != 0 {
			cost = 1000
		}
		if b.bucket >= cost {
			b.bucket -= cost
			continue
		}
		if f := fired[n]; f == 0 || b.Rate > m.bands[f-1].Rate {
			fired[n] = int8(i + 1)
		}
	}
}
