package userspace

import (
	"encoding/binary"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/coverage"
	"sluice/netdev/packet"
	"sluice/netdev/tnl"
)

var (
	cInvalidTunnel = coverage.New("datapath_drop_invalid_tnl_port")
	cTunnelPush    = coverage.New("datapath_drop_tunnel_push_error")
	cTunnelPop     = coverage.New("datapath_drop_tunnel_pop_error")
)

// kindOfPush is the format of a header that a tnl_push() action carries.
func kindOfPush(typ uint32) tnl.Kind {
	switch typ {
	case odp.TnlVXLAN:
		return tnl.VXLAN
	case odp.TnlGeneve:
		return tnl.Geneve
	case odp.TnlGRE, odp.TnlIP6GRE:
		return tnl.GRE
	case odp.TnlERSPAN, odp.TnlIP6ERSPAN:
		return tnl.ERSPAN
	case odp.TnlGTPU:
		return tnl.GTPU
	}
	return tnl.None
}

// TunnelPush implements exec.Env: the packets are new ones, which leave by the port
// that leads to the other end of the tunnel.
func (t *thread) TunnelPush(b *packet.Batch, arg *odp.TunnelPushArg) {
	pr := tnl.BadHeader
	u := &t.pusher
	if p := t.cfg.port(arg.Port); p != nil {
		u.Ports, u.Now, u.Seq = t.dp.tunnelPorts.Load(), t.now, p.seq
		pr = u.SetHeader(kindOfPush(arg.Type), arg.Header)
	}
	kept := 0
	for _, i := range b.Slice() {
		one := pr
		if one == tnl.OK {
			t.x.Hash(i)
			one = u.Push(t.p, i)
		}
		if one != tnl.OK {
			cTunnelPush.Inc()
			one.Warn()
			t.c.Free(i)
			continue
		}
		t.renew(i, arg.OutPort)
		b.Pkts[kept] = i
		kept++
	}
	b.N = kept
}

// renew clears the metadata of a packet whose headers are others now.  Its mark and
// priority stay, since translation goes on with them.
func (t *thread) renew(i packet.Index, port uint32) {
	m := t.p.Meta(i)
	m.InPort, m.RecircID, m.DPHash = port, 0, 0
	m.CTState, m.CTZone, m.CTMark = 0, 0, 0
	m.Cold = 0
}

// TunnelPop implements exec.Env: the packets come in again, by the tunnel's port.
func (t *thread) TunnelPop(b *packet.Batch, port uint32) {
	if !t.canRecirculate(b) {
		return
	}
	p := t.cfg.port(port)
	if p == nil || p.tunnel == tnl.None {
		cInvalidTunnel.Add(uint64(b.N))
		t.c.FreeBatch(b)
		return
	}
	kept := 0
	for _, i := range b.Slice() {
		if pr := t.pop(i, p); pr != tnl.OK {
			cTunnelPop.Inc()
			pr.Warn()
			t.c.Free(i)
			continue
		}
		b.Pkts[kept] = i
		kept++
	}
	b.N = kept
	t.recirculate(b)
}

// pop takes the headers off one packet and makes them its tunnel metadata.
func (t *thread) pop(i packet.Index, p *port) tnl.Problem {
	md := &t.popped
	if pr := tnl.Pop(t.p, i, p.tunnel, md); pr != tnl.OK {
		return pr
	}
	t.renew(i, p.no)
	t.p.Meta(i).Cold = packet.ColdTunnel
	setTunnel(flow.TunnelWords(&t.p.Cold(i).Tunnel), md, p.tunnel)
	return tnl.OK
}

// setTunnel makes f the tunnel that headers told of.
func setTunnel(f *flow.Tunnel, md *tnl.Meta, kind tnl.Kind) {
	*f = flow.Tunnel{ID: md.ID, TOS: md.TOS, TTL: md.TTL, TpSrc: md.TpSrc, TpDst: md.TpDst,
		GBPID: md.GBPID, GBPFlags: md.GBPFlags, ERSPANVer: md.ERSPANVer, ERSPANDir: md.ERSPANDir,
		ERSPANHwID: md.ERSPANHwID, ERSPANIdx: md.ERSPANIdx, GTPUFlags: md.GTPUFlags, GTPUMsgType: md.GTPUType}
	if md.V6 {
		f.IPv6Src, f.IPv6Dst = md.Src, md.Dst
	} else {
		f.IPSrc, f.IPDst = binary.BigEndian.Uint32(md.Src[:]), binary.BigEndian.Uint32(md.Dst[:])
	}
	if md.Key {
		f.Flags |= flow.TunFlagKey
	}
	if md.Csum {
		f.Flags |= flow.TunFlagCsum
	}
	if md.OAM {
		f.Flags |= flow.TunFlagOAM
	}
	if kind == tnl.Geneve {
		f.Flags |= flow.TunFlagUDPIF
		f.OptsLen = uint32(copy(f.Opts[:], md.Opts))
	}
}
