package action

import "sluice/ofproto/ofp/field"

// slab hands out zeroed values of T, making them in chunks.
type slab[T any] struct{ free []T }

const slabChunk = 32

func (s *slab[T]) new() *T {
	if len(s.free) == 0 {
		s.free = make([]T, slabChunk)
	}
	p := &s.free[0]
	s.free = s.free[1:]
	return p
}

// take returns n values of T that nobody else has; big runs are made apart.
func (s *slab[T]) take(n, chunk int) []T {
	if n > chunk/4 {
		return make([]T, n)
	}
	if len(s.free) < n {
		s.free = make([]T, chunk)
	}
	p := s.free[:n:n]
	s.free = s.free[n:]
	return p
}

// Decoder decodes actions.  It makes the common ones in chunks, so that a flow_mod
// costs no allocation of its own most of the time; the collector frees a chunk when
// the last action in it is gone.  The zero Decoder is ready; it serves one goroutine
// at a time.
type Decoder struct {
	tun   *field.TunTable
	depth int

	lists  slab[Action]
	bytes  slab[byte]
	output slab[Output]
	reg    slab[SetField]
	move   slab[RegMove]
	resub  slab[Resubmit]
	conj   slab[Conjunction]
	group  slab[Group]
	goTo   slab[GotoTable]
	mac    slab[SetEthSrc]
	macDst slab[SetEthDst]
	ct     slab[CT]
	nat    slab[NAT]
	write  slab[WriteActions]
	push   slab[PushVLAN]
	vid    slab[SetVLANVID]
	pcp    slab[SetVLANPCP]
	queue  slab[SetQueue]
	meter  slab[Meter]
	meta   slab[WriteMetadata]
	tunnel slab[SetTunnel]

	// stack collects the actions of the lists being decoded, innermost last.
	stack []Action
}

// finish takes the actions that were pushed since the stack had base entries.
func (d *Decoder) finish(base int) List {
	n := len(d.stack) - base
	if n == 0 {
		return nil
	}
	l := d.lists.take(n, 128)
	copy(l, d.stack[base:])
	clear(d.stack[base:])
	d.stack = d.stack[:base]
	return List(l)
}

// drop forgets the actions that were pushed since the stack had base entries.
func (d *Decoder) drop(base int) {
	clear(d.stack[base:])
	d.stack = d.stack[:base]
}

func (d *Decoder) push1(a Action) { d.stack = append(d.stack, a) }

// copy returns a copy of b that outlives the message.
func (d *Decoder) copy(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	p := d.bytes.take(len(b), 512)
	copy(p, b)
	return p
}

// Actions without parameters have one instance each.
var (
	stripVLAN    = &StripVLAN{}
	popVLAN      = &StripVLAN{Pop: true}
	decMPLSTTL   = &DecMPLSTTL{}
	decNSHTTL    = &DecNSHTTL{}
	popQueue     = &PopQueue{}
	exit         = &Exit{}
	ctClear      = &CTClear{}
	debugRecirc  = &DebugRecirc{}
	debugSlow    = &DebugSlow{}
	clearActions = &ClearActions{}
	decTTL       = &DecTTL{IDs: []uint16{0}}
)
