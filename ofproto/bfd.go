package ofproto

import (
	"math/rand/v2"

	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/proto/bfd"
	"sluice/ofproto/xlate"
)

// bfdPorts runs BFD on the ports of a Switch.
type bfdPorts struct {
	linkMachines[*bfd.Session]
	ids *bfd.Identities
}

func newBFD(sw *Switch) *bfdPorts {
	b := &bfdPorts{linkMachines: newLinkMachines[*bfd.Session](sw, "BFD"), ids: sw.env.BFDIdentities}
	if b.ids == nil {
		b.ids = &bfd.Identities{}
	}
	b.gone = func(s *bfd.Session) { b.ids.Give(s.ID()) }
	b.prepare = func(s *bfd.Session) action.List {
		if s.Config().OAM {
			return oamFlag
		}
		return nil
	}
	return b
}

func (b *bfdPorts) configure(now int64) bool {
	return b.follow(func(p *Port, c *MemberConfig) bool {
		if c.BFD == nil {
			return false
		}
		s, ok := b.on(p)
		if !ok {
			env := bfd.Env{Rand: rand.IntN, RxPackets: func() uint64 { return rxPackets(p) }}
			b.add(p, bfd.New(p.Name, b.ids.Take(rand.Uint32), *c.BFD, env, now))
		} else if *s.Config() != *c.BFD {
			s.Configure(*c.BFD, now)
		}
		return true
	})
}

// oamFlag sets the OAM bit of the tunnel header that a packet gets.
var oamFlag = action.List{&action.SetField{ID: field.TunFlags, Data: []byte{0, 1, 0, 1}}}

// mayEnable lets p carry packets if CFM does: one of the two is enough.
func (b *bfdPorts) mayEnable(p *Port) bool {
	s, ok := b.on(p)
	return !ok || s.Forwarding(b.sw.conns.Now()) || b.sw.cfm.isUp(p)
}

// forwards reports that p has a session which is up.
func (b *bfdPorts) forwards(p *Port) bool {
	s, ok := b.on(p)
	return ok && s.Forwarding(b.sw.conns.Now())
}

func (b *bfdPorts) describe(p *Port, x *xlate.Port) {
	if s, ok := b.on(p); ok {
		x.Hears |= xlate.SlowBFD
		x.BFD = s.Config().Match()
	}
}

// BFDStatus returns what the database shows of a port's BFD session; nil: it has
// none.
func (sw *Switch) BFDStatus(ofport uint32, now int64) map[string]string {
	if p := sw.Port(ofport); p != nil {
		if s, ok := sw.bfd.on(p); ok {
			return s.Status(now)
		}
	}
	return nil
}

// TakeBFDNews returns the ports whose BFDStatus has changed since the last call.
func (sw *Switch) TakeBFDNews() map[uint32]bool { return sw.bfd.takeNews() }

// EachBFD calls fn for the BFD session of the interface with a name, or for all
// sessions if it is empty, and reports whether there was the one.
func (sw *Switch) EachBFD(name string, fn func(*bfd.Session)) bool {
	return sw.bfd.named(name, func(_ *Port, s *bfd.Session) { fn(s) })
}
