package ofproto

import (
	"encoding/binary"
	"slices"

	"sluice/dpif/flow"
	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ofproto/proto/lacp"
	"sluice/ofproto/xlate"
)

// lacpProtocol is LACP on the bundles of a Switch: the adapter of proto/lacp.  Links
// go by the OpenFlow numbers of their ports.
type lacpProtocol struct {
	sw     *Switch
	groups []*lacpGroup // in the order in which they were made
	byPort map[uint32]*lacpGroup
}

// lacpGroup is LACP on one bundle.
type lacpGroup struct {
	bundle string
	lacp   *lacp.LACP
	links  []lacpLink
}

// lacpLink is a port of a group.
type lacpLink struct {
	port   *Port
	resets uint64 // of the carrier, as last seen
}

func (l *lacpLink) id() uint64 { return uint64(l.port.OFPort) }

var (
	rlSendLACP = vlog.NewLimiter(1, 5)
	_          = protocol(&lacpProtocol{})
)

func (x *lacpProtocol) group(bundle string) *lacpGroup {
	for _, g := range x.groups {
		if g.bundle == bundle {
			return g
		}
	}
	return nil
}

// of returns the group that p is a link of, or nil.
func (x *lacpProtocol) of(p *Port) *lacpGroup { return x.byPort[p.OFPort] }

// configure implements protocol.
func (x *lacpProtocol) configure(now int64) bool {
	wanted := map[string]bool{}
	for i := range x.sw.cfg.Bundles {
		c := &x.sw.cfg.Bundles[i]
		if c.LACP == nil {
			continue
		}
		wanted[c.Name] = true
		g := x.group(c.Name)
		if g == nil {
			g = &lacpGroup{bundle: c.Name, lacp: lacp.New()}
			x.groups = append(x.groups, g)
		}
		g.lacp.Configure(*c.LACP)
		x.configureLinks(g, c.Members, now)
	}
	x.groups = slices.DeleteFunc(x.groups, func(g *lacpGroup) bool { return !wanted[g.bundle] })
	x.byPort = map[uint32]*lacpGroup{}
	for _, g := range x.groups {
		for _, l := range g.links {
			x.byPort[l.port.OFPort] = g
		}
	}
	return len(x.groups) > 0
}

func (x *lacpProtocol) configureLinks(g *lacpGroup, members []MemberConfig, now int64) {
	old := g.links
	g.links = nil
	for _, m := range members {
		p := x.sw.ports.byNumber[m.OFPort]
		if p == nil {
			continue
		}
		l := lacpLink{p, p.Dev.CarrierResets()}
		if i := slices.IndexFunc(old, func(l lacpLink) bool { return l.port == p }); i >= 0 {
			l = old[i]
		}
		g.links = append(g.links, l)
		g.lacp.Register(l.id(), m.LACP, now)
	}
	for _, l := range old {
		if !slices.ContainsFunc(g.links, func(o lacpLink) bool { return o.id() == l.id() }) {
			g.lacp.Unregister(l.id())
		}
	}
}

// portGone implements protocol.
func (x *lacpProtocol) portGone(p *Port) {
	if g := x.of(p); g != nil {
		g.lacp.Unregister(uint64(p.OFPort))
		g.links = slices.DeleteFunc(g.links, func(l lacpLink) bool { return l.port == p })
		delete(x.byPort, p.OFPort)
	}
}

// receive implements protocol.
func (x *lacpProtocol) receive(p *Port, frame []byte, now int64) {
	if g := x.of(p); g != nil {
		_, b := flow.EtherPayload(frame)
		g.lacp.Process(uint64(p.OFPort), b, now)
	}
}

// run implements protocol.
func (x *lacpProtocol) run(now int64) (changed bool) {
	for _, g := range x.groups {
		for i := range g.links {
			g.links[i].follow(g.lacp, now)
		}
		frames, _ := g.lacp.Run(now)
		for _, f := range frames {
			x.send(g, f, now)
		}
	}
	// Whether a port may be enabled is asked for each turn; translation knows no more
	// of LACP than that the port hears it.
	return false
}

// follow tells the machine of the link's carrier.
func (l *lacpLink) follow(m *lacp.LACP, now int64) {
	up := l.port.Dev.Carrier()
	if n := l.port.Dev.CarrierResets(); n != l.resets {
		l.resets = n
		m.CarrierChanged(l.id(), up, now)
	}
	if up {
		m.CarrierUp(l.id())
	}
}

func (x *lacpProtocol) send(g *lacpGroup, f lacp.Frame, now int64) {
	p := x.sw.ports.byNumber[uint32(f.Member)]
	if p == nil {
		return
	}
	src := p.Dev.EtherAddr()
	frame := make([]byte, 0, 14+len(f.Payload))
	frame = append(append(frame, lacp.Group[:]...), src[:]...)
	frame = append(binary.BigEndian.AppendUint16(frame, lacp.EthType), f.Payload...)
	if err := x.sw.sendFrame(p, frame, now); err != nil {
		dpifLog.WarnRL(rlSendLACP, "port %s: cannot transmit LACP PDU (%s).", g.bundle, errno.Text(err))
	}
}

// wait implements protocol.
func (x *lacpProtocol) wait(s *poll.Set) {
	for _, g := range x.groups {
		if at, ok := g.lacp.Next(); ok {
			s.Timer(at)
		}
	}
}

// mayEnable implements protocol.
func (x *lacpProtocol) mayEnable(p *Port) bool {
	g := x.of(p)
	return g == nil || g.lacp.MayEnable(uint64(p.OFPort))
}

// describe implements protocol.
func (x *lacpProtocol) describe(p *Port, to *xlate.Port) {
	if x.of(p) != nil {
		to.Hears |= xlate.SlowLACP
	}
}

// status returns the status of LACP on a bundle.
func (x *lacpProtocol) status(bundle string) lacp.Status {
	if g := x.group(bundle); g != nil {
		return g.lacp.Status()
	}
	return lacp.Off
}

// AppendLACP appends what lacp/show, or with stats lacp/show-stats, prints of a
// bundle, or of all if bundle is empty; ok is false: the bundle has no LACP.
func (sw *Switch) AppendLACP(b []byte, bundle string, stats bool) (_ []byte, ok bool) {
	for _, g := range sw.lacp.groups {
		if bundle != "" && bundle != g.bundle {
			continue
		}
		ok = true
		if stats {
			b = g.lacp.AppendStats(b)
		} else {
			b = g.lacp.AppendShow(b)
		}
	}
	return b, ok
}

// LACPCurrent reports whether LACP on a port knows of a partner; ok is false: there is
// no LACP on it.
func (sw *Switch) LACPCurrent(ofport uint32) (current, ok bool) {
	if p := sw.ports.byNumber[ofport]; p != nil {
		if g := sw.lacp.of(p); g != nil {
			return g.lacp.Current(uint64(ofport)), true
		}
	}
	return false, false
}

// LACPStats returns the statistics of LACP on a port; ok is false: there is none.
func (sw *Switch) LACPStats(ofport uint32) (s lacp.MemberStats, ok bool) {
	if p := sw.ports.byNumber[ofport]; p != nil {
		if g := sw.lacp.of(p); g != nil {
			return g.lacp.Stats(uint64(ofport))
		}
	}
	return s, false
}
