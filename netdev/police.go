package netdev

import (
	"sync"
	"sync/atomic"

	"sluice/internal/coverage"
	"sluice/netdev/packet"
)

var cPoliced = coverage.New("netdev_policing_drop")

// Policing limits what a device receives (columns ingress_policing_* of table
// Interface).  A rate of 0 is no limit.
type Policing struct {
	KbitRate, KbitBurst uint32 // kbit/s, kbit
	KpktRate, KpktBurst uint32 // 1000 packets/s, 1000 packets
}

// Normalize puts stock's defaults where no burst is given, and drops bursts without a
// rate.
func (p Policing) Normalize() Policing {
	p.KbitBurst = burst(p.KbitRate, p.KbitBurst, 8000)
	p.KpktBurst = burst(p.KpktRate, p.KpktBurst, 16)
	return p
}

func burst(rate, burst, usual uint32) uint32 {
	switch {
	case rate == 0:
		return 0
	case burst == 0:
		return usual
	}
	return burst
}

// On reports that there is a limit.
func (p Policing) On() bool { return p.KbitRate != 0 || p.KpktRate != 0 }

// BytesRate is the limit in bytes a second, BytesBurst the burst in bytes.  As in
// stock, a kbit of the burst is 1024 bits, and one of the rate is 1000.
func (p Policing) BytesRate() uint64 { return uint64(p.KbitRate) * 1000 / 8 }

// BytesBurst is the burst in bytes.
func (p Policing) BytesBurst() uint64 { return min(1<<32/1024-1, uint64(p.KbitBurst)) * 1024 / 8 }

// Policed is implemented by devices whose received packets can be limited.
type Policed interface {
	// SetPolicing sets the limits; an error says what of it the device could not do
	// by itself, which does not keep the datapath from enforcing them.
	SetPolicing(Policing) error
	// Policer is what the datapath asks about the packets that it receives.
	Policer() *Policer
}

// Policer drops what comes in above the rate of a Policing: a token bucket of bytes and
// one of packets, for all queues of a device.  A packet that finds too few tokens in
// either goes, and takes none.
//
// The obvious place for this is the kernel's policer, which stock configures.  But it
// stands behind packet sockets and XDP, so that none of its verdicts reach a datapath
// that receives by those.
//
// Thread-safety: any thread may call any method; threads that receive share the
// buckets under a lock, once a batch, and only while there is a limit.
type Policer struct {
	on      atomic.Bool // read by threads that receive, written by Set
	dropped atomic.Uint64

	mu sync.Mutex
	// +checklocks:mu
	cfg Policing
	// +checklocks:mu
	bytes bucket
	// +checklocks:mu
	frames bucket
	// begun says that the buckets have been used.
	// +checklocks:mu
	begun bool
}

// bucket is a token bucket.
type bucket struct {
	rate   uint64 // tokens a second; 0: no limit
	size   uint64 // thousandths of tokens, as below
	tokens uint64
	last   int64 // ms
}

// Set puts limits into force, with full buckets if they are new.
func (p *Policer) Set(cfg Policing) {
	cfg = cfg.Normalize()
	p.mu.Lock()
	defer p.mu.Unlock()
	if cfg == p.cfg {
		return
	}
	p.cfg, p.begun = cfg, false
	p.bytes = newBucket(cfg.BytesRate(), cfg.BytesBurst())
	p.frames = newBucket(uint64(cfg.KpktRate)*1000, uint64(cfg.KpktBurst)*1000)
	p.on.Store(cfg.On())
}

// newBucket makes a full bucket.  It holds at least what comes in during a tick of the
// clock: with less, a high rate could never be reached.
func newBucket(rate, burst uint64) bucket {
	size := max(burst*1000, rate)
	return bucket{rate: rate, size: size, tokens: size}
}

// On reports that there is a limit.
func (p *Policer) On() bool { return p.on.Load() }

// Dropped counts the packets that went.
func (p *Policer) Dropped() uint64 { return p.dropped.Load() }

// Sizes as the kernel's policer counts them: without the Ethernet header, and no
// packet for less than the shortest frame.
const (
	policeHeader = 14
	policeMin    = 60
)

// Police takes the packets out of b that are above the limits at ms now, and frees
// them.
func (p *Policer) Police(c *packet.Cache, b *packet.Batch, now int64) {
	pool, kept := c.Pool(), 0
	p.mu.Lock()
	if !p.begun {
		p.bytes.last, p.frames.last, p.begun = now, now, true
	}
	p.bytes.fill(now)
	p.frames.fill(now)
	for _, i := range b.Slice() {
		size := max(uint64(pool.Meta(i).Len), policeHeader) - policeHeader
		cost := max(size, policeMin) * 1000
		if !p.bytes.has(cost) || !p.frames.has(1000) {
			c.Free(i)
			continue
		}
		p.bytes.take(cost)
		p.frames.take(1000)
		b.Pkts[kept] = i
		kept++
	}
	p.mu.Unlock()
	if n := b.N - kept; n > 0 {
		p.dropped.Add(uint64(n))
		cPoliced.Add(uint64(n))
		b.N = kept
	}
}

// maxFillMs is the longest pause that fills buckets, 70 minutes; it keeps products in
// range.
const maxFillMs = 1 << 22

func (t *bucket) fill(now int64) {
	if t.rate == 0 || now <= t.last {
		return
	}
	ms := uint64(min(now-t.last, maxFillMs))
	t.tokens = min(t.tokens+t.rate*ms, t.size)
	t.last = now
}

func (t *bucket) has(n uint64) bool { return t.rate == 0 || t.tokens >= n }

func (t *bucket) take(n uint64) {
	if t.rate != 0 {
		t.tokens -= n
	}
}
