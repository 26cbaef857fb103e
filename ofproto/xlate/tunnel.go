package xlate

import (
	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/tunnel"
)

// tunnelOutput sends the packet out of a tunnel: its ends and options become tunnel
// fields, and the packet goes to the datapath port that p shares with other tunnels.
// It reports whether the packet was sent.
//
// What the tunnel sets is not seen by what is translated after it; what actions set
// is.
func (ctx *context) tunnelOutput(p *Port, last, trunc bool) bool {
	f := &ctx.flow
	if p.ODP == dpif.PortNone {
		ctx.report(NodeWarn, "Tunneling decided against output")
		return false
	}
	own := f.Tunnel
	tunnel.Encapsulate(p.Tunnel, f, ctx.wc)
	if f.Tunnel.IPDst == ctx.origTunnel.IPDst && f.Tunnel.IPv6Dst == ctx.origTunnel.IPv6Dst {
		ctx.report(NodeWarn, "Not tunneling to our own address")
		f.Tunnel = own
		return false
	}
	ctx.effect(Effect{Kind: EffectPort, Tx: p.Counters})
	if ctx.bridge.Support.TunnelPushPop {
		ctx.report(NodeDetail, "output to native tunnel")
		ctx.commit()
		ctx.nativeTunnel(p, last, trunc)
		f.Tunnel = own
		return true
	}
	ctx.report(NodeDetail, "output to kernel tunnel")
	ctx.commitTunnel(p.Tunnel.Type)
	f.Tunnel = own
	ctx.commit()
	ctx.emitOutput(p)
	return true
}

// commitTunnel makes the datapath know the tunnel fields, as far as they are of use to
// tunnels of a type.
func (ctx *context) commitTunnel(typ string) {
	t := ctx.flow.Tunnel
	if !tunnel.Received(&ctx.flow) || ctx.base.Tunnel == t {
		return
	}
	ctx.base.Tunnel = t
	set := ctx.datapathTunnel(typ)
	ctx.actions = append(ctx.actions, odp.Action{Type: odp.SetTunnel, Ext: &odp.Ext{Tunnel: &set}})
}

// datapathTunnel is the tunnel fields of the flow as a tunnel of a type carries them in
// the datapath: with its own options only, and these in the form that they have on the
// wire.
func (ctx *context) datapathTunnel(typ string) flow.Tunnel {
	t := ctx.flow.Tunnel
	if typ != "vxlan" {
		t.GBPID, t.GBPFlags = 0, 0
	}
	if typ != "erspan" && typ != "ip6erspan" {
		t.ERSPANVer, t.ERSPANIdx, t.ERSPANDir, t.ERSPANHwID = 0, 0, 0, 0
	}
	if typ != "gtpu" {
		t.GTPUFlags, t.GTPUMsgType = 0, 0
	}
	t.Present, t.OptsLen = 0, 0
	clear(t.Opts[:])
	t.Flags &^= flow.TunFlagUDPIF
	if typ == "geneve" {
		raw, _ := ctx.bridge.TunTable.AppendGeneve(nil, &ctx.flow.Tunnel)
		t.OptsLen = uint32(copy(t.Opts[:], raw))
		if t.OptsLen > 0 {
			t.Flags |= flow.TunFlagUDPIF
		}
	}
	return t
}

// rawOptions says that a packet's tunnel options are as they were on the wire.
func rawOptions(t *flow.Tunnel) bool { return t.Flags&flow.TunFlagUDPIF != 0 || t.OptsLen > 0 }

// Normalize makes the tunnel options of a packet from the datapath the tun_metadata
// fields that they are in br; false: they are malformed.
func (br *Bridge) Normalize(f *flow.Flow) bool {
	if !rawOptions(&f.Tunnel) {
		return true
	}
	n := min(int(f.Tunnel.OptsLen), len(f.Tunnel.Opts))
	raw := f.Tunnel.Opts
	return br.TunTable.FromGeneve(raw[:n], &f.Tunnel)
}

// tunnelMetadata makes the raw options of a tunnel into tun_metadata fields; false:
// they are malformed.
func (ctx *context) tunnelMetadata() bool {
	if ctx.bridge.Normalize(&ctx.flow) {
		return true
	}
	ctx.errorf("Invalid Geneve tunnel metadata")
	ctx.err = ErrInvalidTunnelMetadata
	return false
}

// DatapathMask makes the mask of a translation one that a datapath can use for the
// key f: where fields of tunnel options were looked at, it has the options that they
// stand for.
func (br *Bridge) DatapathMask(f *flow.Flow, m *flow.Mask) {
	t := &m.Tunnel
	looked := t.Present
	fields := t.Opts
	t.Present, t.OptsLen = 0, 0
	clear(t.Opts[:])
	if looked == 0 || !rawOptions(&f.Tunnel) {
		return
	}
	// Which options there are decides what each field is, also one that is not there.
	t.OptsLen = ones32
	br.TunTable.GeneveMask(f.Tunnel.Opts[:min(int(f.Tunnel.OptsLen), len(f.Tunnel.Opts))], looked, &fields, &t.Opts)
}
