package xlate

import (
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/tunnel"
)

// This file turns the difference between the packet as the datapath has it (the
// base flow) and as the OpenFlow actions want it (the flow) into datapath
// actions.  Order and grouping are those of commit_odp_actions in stock: other
// orders are as right, but tests and people compare the text.

// span is the part of a field that lies in one word of a Flow.
type span struct {
	word int
	bits uint64
}

// header is what one set() action may change: the fields of one header.
type header struct {
	attr   odp.Attr
	fields [][]span
	all    flow.Mask
}

func newHeader(attr odp.Attr, fields ...func(*flow.Mask)) *header {
	h := &header{attr: attr}
	for _, set := range fields {
		var m flow.Mask
		set(&m)
		set(&h.all)
		var spans []span
		for i, w := range m.Words() {
			if w != 0 {
				spans = append(spans, span{i, w})
			}
		}
		h.fields = append(h.fields, spans)
	}
	return h
}

var (
	hdrEth = newHeader(odp.AttrEth,
		func(m *flow.Mask) { m.DLSrc = onesMAC }, func(m *flow.Mask) { m.DLDst = onesMAC })
	hdrIPv4 = newHeader(odp.AttrIPv4,
		func(m *flow.Mask) { m.NwSrc = ones32 }, func(m *flow.Mask) { m.NwDst = ones32 },
		func(m *flow.Mask) { m.NwProto = 0xff }, func(m *flow.Mask) { m.NwTOS = 0xff },
		func(m *flow.Mask) { m.NwTTL = 0xff }, func(m *flow.Mask) { m.NwFrag = 0xff })
	hdrIPv6 = newHeader(odp.AttrIPv6,
		func(m *flow.Mask) { m.IPv6Src = onesIPv6 }, func(m *flow.Mask) { m.IPv6Dst = onesIPv6 },
		func(m *flow.Mask) { m.IPv6Label = 0xfffff }, func(m *flow.Mask) { m.NwProto = 0xff },
		func(m *flow.Mask) { m.NwTOS = 0xff }, func(m *flow.Mask) { m.NwTTL = 0xff },
		func(m *flow.Mask) { m.NwFrag = 0xff })
	hdrARP = newHeader(odp.AttrARP,
		func(m *flow.Mask) { m.NwSrc = ones32 }, func(m *flow.Mask) { m.NwDst = ones32 },
		func(m *flow.Mask) { m.NwProto = 0xff }, func(m *flow.Mask) { m.ARPSha = onesMAC },
		func(m *flow.Mask) { m.ARPTha = onesMAC })
	hdrND = newHeader(odp.AttrND,
		func(m *flow.Mask) { m.NDTarget = onesIPv6 }, func(m *flow.Mask) { m.ARPSha = onesMAC },
		func(m *flow.Mask) { m.ARPTha = onesMAC })
	hdrNDExt = newHeader(odp.AttrNDExt,
		func(m *flow.Mask) { m.IGMPGroup = ones32 }, func(m *flow.Mask) { m.NDOptType = 0xff })
	hdrNSH = newHeader(odp.AttrNSH,
		func(m *flow.Mask) {
			m.NSH = flow.NSH{Flags: 0xff, TTL: 0xff, MDType: 0xff, NP: 0xff, PathHdr: ones32,
				Context: [4]uint32{ones32, ones32, ones32, ones32}}
		})
	hdrTCP    = newHeader(odp.AttrTCP, portFields...)
	hdrUDP    = newHeader(odp.AttrUDP, portFields...)
	hdrSCTP   = newHeader(odp.AttrSCTP, portFields...)
	hdrICMP   = newHeader(odp.AttrICMP, portFields...)
	hdrICMPv6 = newHeader(odp.AttrICMPv6, portFields...)
	hdrPrio   = newHeader(odp.AttrSkbPriority, func(m *flow.Mask) { m.SkbPriority = ones32 })
	hdrMark   = newHeader(odp.AttrSkbMark, func(m *flow.Mask) { m.PktMark = ones32 })
)

var portFields = []func(*flow.Mask){
	func(m *flow.Mask) { m.TpSrc = ones16 }, func(m *flow.Mask) { m.TpDst = ones16 },
}

// committer is the state of one commit.
type committer struct {
	flow, base *flow.Flow
	wc         *flow.Mask
	acts       []odp.Action
	masked     bool // the datapath has masked set actions
}

// set appends a set action for header h if its fields differ in flow and base.
// Fields that are equal are not written; of those that differ the bits are
// written that were read or written before (wc), less the ones of drop, or all
// when the datapath cannot write under a mask.
func (c *committer) set(h *header, masked bool, drop *flow.Mask) bool {
	fw, bw, ww := c.flow.Words(), c.base.Words(), c.wc.Words()
	differ := false
	for _, f := range h.fields {
		if fieldDiffers(fw, bw, f) {
			differ = true
			break
		}
	}
	if !differ {
		return false
	}
	arg := &odp.SetArg{Attr: h.attr}
	mw, kw := arg.Mask.Words(), arg.Key.Words()
	exact := true
	for _, f := range h.fields {
		d := fieldDiffers(fw, bw, f)
		for _, s := range f {
			var m uint64
			if d {
				m = ww[s.word] & s.bits
				if drop != nil {
					m &^= drop.Words()[s.word]
				}
			}
			mw[s.word] |= m
			exact = exact && m == s.bits
		}
	}
	if !masked && !exact {
		arg.Mask = h.all
	}
	for _, f := range h.fields {
		for _, s := range f {
			kw[s.word] |= fw[s.word] & mw[s.word] & s.bits
			bw[s.word] = bw[s.word]&^s.bits | fw[s.word]&s.bits
			ww[s.word] |= mw[s.word] & s.bits
		}
	}
	c.acts = append(c.acts, odp.Action{Type: odp.Set, Ext: &odp.Ext{Set: arg}})
	return true
}

func fieldDiffers(a, b *flow.Words, f []span) bool {
	for _, s := range f {
		if (a[s.word]^b[s.word])&s.bits != 0 {
			return true
		}
	}
	return false
}

// commit appends to ctx.actions what brings the datapath's packet up to date with
// the flow.
func (ctx *context) commit() {
	if !ctx.pendingEncap && !ctx.pendingDecap && ctx.flow == ctx.base {
		ctx.wc.PacketType = ones32
		return
	}
	c := committer{flow: &ctx.flow, base: &ctx.base, wc: ctx.wc, acts: ctx.actions,
		masked: ctx.bridge.Support.MaskedSetAction}
	c.encapDecap(ctx)
	if c.flow.PacketType == flow.PacketTypeEth && c.base.PacketType == flow.PacketTypeEth {
		c.set(hdrEth, c.masked, nil)
	}
	mplsDone := isMPLSType(c.base.DLType) && !isMPLSType(c.flow.DLType)
	if mplsDone {
		// Without its labels first, L3 changes would find no L3 header.
		c.mpls(false)
	}
	c.nsh()
	slow := c.network()
	c.ports()
	slow = c.icmp() || slow
	if !mplsDone {
		c.mpls(false)
	}
	c.vlans()
	c.set(hdrPrio, c.masked, nil)
	c.set(hdrMark, c.masked, nil)
	if slow {
		ctx.out.Slow |= SlowAction
	}
	ctx.actions = c.acts
	ctx.pendingEncap, ctx.pendingDecap, ctx.encapData = false, false, nil
}

// encapDecap pushes or pops whole headers: Ethernet, NSH, and MPLS when it is
// pushed in front of the Ethernet header.
func (c *committer) encapDecap(ctx *context) {
	f, b := c.flow, c.base
	c.wc.PacketType = ones32
	switch {
	case ctx.pendingEncap:
		switch f.PacketType {
		case flow.PacketTypeEth:
			c.pushEth()
		case flow.PacketTypeNSH:
			nsh := f.NSH
			c.acts = append(c.acts, odp.Action{Type: odp.PushNSH, Ext: &odp.Ext{NSH: &nsh, NSHMD2: ctx.encapData}})
			b.PacketType = f.PacketType
			copy(b.Words()[flow.EndMetadata:], f.Words()[flow.EndMetadata:])
		case flow.PacketTypeMPLS, flow.PacketTypeMPLSMc:
			c.mpls(true)
		}
	case ctx.pendingDecap || f.PacketType != b.PacketType:
		if f.PacketType>>16 == 1 && b.PacketType == flow.PacketTypeEth {
			c.acts = append(c.acts, odp.Action{Type: odp.PopEth})
			b.PacketType, b.DLSrc, b.DLDst = f.PacketType, flow.MAC{}, flow.MAC{}
			return
		}
		if f.PacketType == flow.PacketTypeEth && !ctx.pendingDecap && b.PacketType != flow.PacketTypeNSH {
			// An output to a port without Ethernet took the header off.
			c.wc.DLSrc, c.wc.DLDst = onesMAC, onesMAC
			c.pushEth()
			return
		}
		switch b.PacketType {
		case flow.PacketTypeNSH:
			c.acts = append(c.acts, odp.Action{Type: odp.PopNSH})
		case flow.PacketTypeMPLS, flow.PacketTypeMPLSMc:
			c.mpls(false)
		}
	}
}

// pushEth puts the flow's Ethernet header in front of the packet.
func (c *committer) pushEth() {
	f, b := c.flow, c.base
	c.acts = append(c.acts, odp.Action{Type: odp.PushEth, Ext: &odp.Ext{Eth: &odp.EthArg{Dst: f.DLDst, Src: f.DLSrc}}})
	b.PacketType, b.DLSrc, b.DLDst = f.PacketType, f.DLSrc, f.DLDst
}

// network sets fields of the IPv4, IPv6 or ARP header and reports whether that
// needs the slow path.
func (c *committer) network() (slow bool) {
	if c.flow.NwProto == 0 {
		return false // no network header
	}
	switch c.base.DLType {
	case flow.EthIPv4:
		c.set(hdrIPv4, c.masked, c.notWritable())
	case flow.EthIPv6:
		c.set(hdrIPv6, c.masked, c.notWritable())
		if c.base.NwProto == protoICMPv6 {
			// The extension first: it makes sure that the option is there.
			slow = c.set(hdrNDExt, c.masked, nil)
			return c.set(hdrND, c.masked, nil) || slow
		}
	case flow.EthARP:
		return c.set(hdrARP, true, nil)
	}
	return false
}

// notWritable are the bits of an IP header that set() must leave alone.
func (c *committer) notWritable() *flow.Mask {
	if tunnel.Received(c.base) && (c.base.NwTOS^c.flow.NwTOS)&ecnMask == 0 {
		return &ipFixedECN
	}
	return &ipFixed
}

var (
	ipFixed    = flow.Mask{NwProto: 0xff, NwFrag: 0xff}
	ipFixedECN = flow.Mask{NwProto: 0xff, NwFrag: 0xff, NwTOS: ecnMask}
)

func (c *committer) ports() {
	if c.flow.NwProto == 0 || !isIPAny(c.base) {
		return
	}
	switch c.flow.NwProto {
	case protoTCP:
		c.set(hdrTCP, c.masked, nil)
	case protoUDP:
		c.set(hdrUDP, c.masked, nil)
	case protoSCTP:
		c.set(hdrSCTP, c.masked, nil)
	}
}

func (c *committer) icmp() (slow bool) {
	switch {
	case isICMPv4(c.flow):
		return c.set(hdrICMP, false, nil)
	case isICMPv6(c.flow):
		return c.set(hdrICMPv6, false, nil)
	}
	return false
}

// nsh sets fields of the NSH header.  Unlike other headers all that was looked at
// is written, changed or not.
func (c *committer) nsh() {
	f, b := &c.flow.NSH, &c.base.NSH
	if c.flow.DLType != flow.EthNSH || *f == *b {
		return
	}
	arg := &odp.SetArg{Attr: odp.AttrNSH}
	arg.Mask.NSH = c.wc.NSH
	arg.Mask.NSH.MDType, arg.Mask.NSH.NP = 0, 0
	if !c.masked {
		arg.Mask = hdrNSH.all
		c.wc.NSH = hdrNSH.all.NSH
	}
	for _, s := range hdrNSH.fields[0] {
		arg.Key.Words()[s.word] |= c.flow.Words()[s.word] & arg.Mask.Words()[s.word]
	}
	*b = *f
	c.acts = append(c.acts, odp.Action{Type: odp.Set, Ext: &odp.Ext{Set: arg}})
}

// vlans pops the tags of base that flow has not at the same place from the
// inside, and pushes those that it has more.
func (c *committer) vlans() {
	bn, fn := countVLANs(c.base)-1, countVLANs(c.flow)-1
	for bn >= 0 && fn >= 0 && c.base.VLANs[bn] == c.flow.VLANs[fn] {
		bn--
		fn--
	}
	for ; bn >= 0; bn-- {
		c.acts = append(c.acts, odp.Action{Type: odp.PopVLAN})
		c.wc.VLANs[bn] = onesVLAN
	}
	for ; fn >= 0; fn-- {
		c.acts = append(c.acts, odp.Action{Type: odp.PushVLAN, VLAN: c.flow.VLANs[fn]})
	}
	c.base.VLANs = c.flow.VLANs
}

// mpls pops, changes and pushes label stack entries; add pushes them in front of
// the Ethernet header.
func (c *committer) mpls(add bool) {
	f, b := c.flow, c.base
	bn, fn := countMPLS(b, nil), countMPLS(f, nil)
	common := commonMPLS(f, fn, b, bn)
	for bn > common {
		if bn-1 == common && fn > common {
			// The outermost entry that differs can be changed in place.
			lse := f.MPLS[fn-bn]
			arg := &odp.SetArg{Attr: odp.AttrMPLS}
			arg.Key.MPLS[0], arg.Mask.MPLS[0] = lse, ones32
			c.acts = append(c.acts, odp.Action{Type: odp.Set, Ext: &odp.Ext{Set: arg}})
			b.MPLS[0] = lse
			common++
			continue
		}
		// Below an entry that is not the last one lies MPLS again, whatever the
		// packet will be in the end.
		t := f.DLType
		if !isMPLSType(t) && bn > 1 {
			t = flow.EthMPLS
		}
		if !popMPLS(b, bn, f.DLType, nil) {
			return
		}
		c.acts = append(c.acts, odp.Action{Type: odp.PopMPLS, EtherType: t})
		bn--
	}
	for ; bn < fn; bn++ {
		lse := f.MPLS[fn-bn-1]
		a := odp.Action{Type: odp.PushMPLS, EtherType: f.DLType, Port: lse}
		if add {
			a.Type = odp.AddMPLS
		}
		c.acts = append(c.acts, a)
		// The L3 fields stay in base: they are needed again when the flow is
		// restored after a patch port or a group's bucket.
		pushMPLS(b, bn, f.DLType, nil, false)
		b.MPLS[0] = lse
	}
}
