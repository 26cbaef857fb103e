package xlate

import (
	"math/bits"
	"sync/atomic"

	"sluice/ofproto/maclearn"
)

// MaxMirrors is the most mirrors that a bridge can have.
const MaxMirrors = 32

// Mirror copies packets that it selects to a bundle or into a VLAN.  Which bundles
// it selects packets of is in their SourceMask and DestMask, where bit i stands for
// Bridge.Mirrors[i].
type Mirror struct {
	Name    string
	VLANs   *maclearn.VLANSet // selects packets of these only; nil: of all
	Out     *Bundle           // nil: into OutVLAN
	OutVLAN uint16
	SnapLen uint16 // longer packets are cut; 0: none
	Stats   *MirrorStats

	same uint32 // mirrors that send to the same place, with this one
}

// MirrorStats counts what a mirror sent, over all snapshots.
type MirrorStats struct {
	Packets, Bytes atomic.Uint64
}

// linkMirrors completes what Build was given about mirrors.
func (b *Bridge) linkMirrors() {
	for i, m := range b.Mirrors {
		if m == nil {
			continue
		}
		b.mirrors = true
		if m.Out != nil {
			m.Out.MirrorOut = true
		}
		m.same = 1 << i
		for j, o := range b.Mirrors {
			if o != nil && o.Out == m.Out && o.OutVLAN == m.OutVLAN {
				m.same |= 1 << j
			}
		}
	}
}

// mirrorInput copies a packet that came in to the mirrors that select it.
func (ctx *context) mirrorInput() {
	if !ctx.bridge.mirrors {
		return
	}
	if in, _ := ctx.inputBundle(); in != nil {
		ctx.mirror(in, in.SourceMask)
	}
}

// mirrorOutput copies a packet that leaves by p to the mirrors that select it.
func (ctx *context) mirrorOutput(p *Port) {
	if ctx.bridge.mirrors && p.Bundle != nil {
		ctx.mirror(p.Bundle, p.Bundle.DestMask)
	}
}

// mirror copies a packet of b to those of the mirrors in set that select its VLAN,
// but not twice to the same place.
func (ctx *context) mirror(b *Bundle, set uint32) {
	br := ctx.bridge
	wire := tagsOf(&ctx.flow)
	if !ctx.vidValid(wire[0].vid, b) {
		return
	}
	t := b.fromWire(&wire)
	for set &^= ctx.mirrors; set != 0; set &^= ctx.mirrors {
		i := bits.TrailingZeros32(set)
		set &^= 1 << i
		m := br.Mirrors[i]
		if m.VLANs != nil {
			ctx.wc.VLANs[0].TCI |= vidAndCFI
			if !m.VLANs.Has(t[0].vid) {
				continue
			}
		}
		// Before the copies go: a bundle that they leave by may be mirrored, too.
		ctx.mirrors |= m.same
		ctx.snapLen = m.SnapLen
		switch {
		case m.Out != nil:
			ctx.toBundle(m.Out, &t)
		case t[0].vid != m.OutVLAN && !isReservedMAC(ctx.flow.DLDst):
			copied := t
			copied[0].vid = m.OutVLAN
			for _, o := range br.Bundles {
				if o.includes(&copied) && !o.MirrorOut {
					ctx.toBundle(o, &copied)
				}
			}
		}
		ctx.snapLen = 0
		ctx.effect(Effect{Kind: EffectMirror, Mirror: m.Stats})
	}
}
