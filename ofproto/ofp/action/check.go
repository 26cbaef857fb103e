package action

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

// CheckParams says what a list of actions must fit.
type CheckParams struct {
	// Match is the flow's match.  Check changes it on the way (a push adds a tag) and
	// restores it.
	Match *match.Match
	// MaxPort is the least number of a port that cannot exist; flow.OFPMax at most.
	MaxPort uint32
	// Table is the flow's table, 255 if it is not known.
	Table uint8
	// NTables is the number of tables, 255 to allow any.
	NTables uint8
}

// checker carries the parameters and the protocols that allow what it has seen.
type checker struct {
	CheckParams
	usable ofver.Protocols
}

// Check says whether l fits the flow: ports and tables exist, prerequisites of fields
// are matched.  usable are the protocols in which it does: OpenFlow 1.0 allows actions
// that do not fit the packet (they do nothing), later versions do not.
//
// It also notes in the actions what a later encoding for another version needs to
// know (FlowHasVLAN, FlowIPProto); so call it before sharing the list.
func (l List) Check(p CheckParams) (usable ofver.Protocols, err error) {
	f := &p.Match.Flow
	packetType, dlType, proto, vlans := f.PacketType, f.DLType, f.NwProto, f.VLANs
	c := checker{p, ofver.Any}
	for _, a := range l {
		if err = c.check(a); err != nil {
			break
		}
	}
	f.PacketType, f.DLType, f.NwProto, f.VLANs = packetType, dlType, proto, vlans
	return c.usable, err
}

// CheckConsistent is Check that fails unless all protocols in needed allow the list.
func (l List) CheckConsistent(needed ofver.Protocols, p CheckParams) error {
	usable, err := l.Check(p)
	if err == nil && needed&^usable != 0 {
		return oferr.OFPBAC_MATCH_INCONSISTENT
	}
	return err
}

// inconsistent notes that the packet does not have what an action needs.
func (c *checker) inconsistent(bad bool) {
	if bad {
		c.usable &= ofver.OF10Any
	}
}

func (c *checker) sub(l List) error {
	usable, err := l.Check(c.CheckParams)
	c.usable &= usable
	return err
}

func isMPLS(t uint16) bool { return t == flow.EthMPLS || t == flow.EthMPLSMc }

func (c *checker) check(a Action) error {
	m := c.Match
	f := &m.Flow
	switch a := a.(type) {
	case *Output:
		return checkOutputPort(a.Port, c.MaxPort)
	case *OutputTrunc:
		return checkOutputPort(a.Port, c.MaxPort)
	case *Enqueue:
		if (a.Port >= c.MaxPort || a.Port >= flow.OFPMax&0xffff) && a.Port != flow.OFPInPort && a.Port != flow.OFPLocal {
			return oferr.OFPBAC_BAD_OUT_PORT
		}
	case *OutputReg:
		return a.Src.CheckSrc(f, &m.Mask)
	case *Bundle:
		return a.check(c.MaxPort, m)
	case *SetField:
		return c.setField(a)
	case *SetVLANVID:
		a.FlowHasVLAN = c.vlan(a.PushIfNeeded)
	case *SetVLANPCP:
		a.FlowHasVLAN = c.vlan(a.PushIfNeeded)
	case *StripVLAN:
		c.inconsistent(f.VLANs[0].TCI&flow.VLANCFI == 0)
		popVLANTag(f)
	case *PushVLAN:
		if f.VLANs[len(f.VLANs)-1].TCI&flow.VLANCFI != 0 {
			return oferr.OFPBAC_BAD_TAG
		}
		copy(f.VLANs[1:], f.VLANs[:])
		f.VLANs[0] = flow.VLAN{TCI: flow.VLANCFI}
	case *SetIPv4Src, *SetIPv4Dst:
		c.inconsistent(field.DLType(f) != flow.EthIPv4)
	case *SetIPDSCP, *SetIPECN, *SetIPTTL, *DecTTL:
		c.inconsistent(!field.IsIPAny(f))
	case *SetL4SrcPort:
		a.FlowIPProto = c.l4()
	case *SetL4DstPort:
		a.FlowIPProto = c.l4()
	case *RegMove:
		if err := a.Src.CheckSrc(f, &m.Mask); err != nil {
			return err
		}
		return a.Dst.CheckDst(f, &m.Mask)
	case *StackPush:
		return a.Sub.CheckSrc(f, &m.Mask)
	case *StackPop:
		return a.Sub.CheckDst(f, &m.Mask)
	case *SetMPLSLabel, *SetMPLSTC, *SetMPLSTTL, *DecMPLSTTL:
		c.inconsistent(!isMPLS(field.DLType(f)))
	case *PushMPLS:
		c.inconsistent(f.PacketType != flow.PacketTypeEth)
		f.DLType, f.NwProto = a.EthType, 0
	case *PopMPLS:
		c.inconsistent(f.PacketType != flow.PacketTypeEth || !isMPLS(field.DLType(f)))
		f.DLType = a.EthType
	case *FinTimeout:
		c.inconsistent(f.NwProto != protoTCP)
	case *Multipath:
		return a.Dst.CheckDst(f, &m.Mask)
	case *Learn:
		return a.check(m)
	case *UnrollXlate:
		return oferr.OFPBAC_BAD_TYPE
	case *Clone:
		return c.sub(a.Actions)
	case *WriteActions:
		// The packet may be different when the action set is carried out.
		_, err := a.Actions.Check(c.CheckParams)
		return err
	case *Meter:
		if a.ID == 0 || a.ID > maxMeter {
			return oferr.OFPMMFC_INVALID_METER
		}
	case *GotoTable:
		if c.Table != 255 && a.Table <= c.Table || c.NTables != 255 && a.Table >= c.NTables {
			return oferr.OFPBIC_BAD_TABLE_ID
		}
	case *DeleteField:
		if !a.ID.IsTunMetadata() {
			return oferr.OFPBAC_BAD_ARGUMENT
		}
	default:
		return c.rest(a)
	}
	return nil
}

const maxMeter = 0xffff0000

func (c *checker) rest(a Action) error {
	f := &c.Match.Flow
	switch a := a.(type) {
	case *Encap:
		f.PacketType = a.PacketType
		if f.PacketType>>16 == 1 {
			f.DLType = uint16(f.PacketType)
		}
		if !field.IsIPAny(f) {
			f.NwProto = 0
		}
	case *Decap:
		if f.PacketType == flow.PacketTypeEth {
			f.PacketType = 1<<16 | uint32(f.DLType)
		} else {
			// What is inside is known only when it is there.
			f.PacketType, f.DLType = packetTypeUnknown, 0xffff
		}
	case *DecNSHTTL:
		c.inconsistent(f.PacketType != flow.PacketTypeNSH && f.DLType != flow.EthNSH)
	case *Resubmit:
		if a.CT && !c.Match.PrereqsOK(field.CTNwSrc) {
			return oferr.OFPBAC_MATCH_INCONSISTENT
		}
	case *CT:
		return c.ct(a)
	case *NAT:
		t := field.DLType(f)
		if t != flow.EthIPv4 && t != flow.EthIPv6 ||
			a.HasAddr && (a.IPv6 && t != flow.EthIPv6 || !a.IPv6 && t != flow.EthIPv4) {
			return oferr.OFPBAC_MATCH_INCONSISTENT
		}
	}
	return nil
}

const packetTypeUnknown = 0xffffffff // (0xffff, 0xffff)

func popVLANTag(f *flow.Flow) {
	n := len(f.VLANs) - 1
	copy(f.VLANs[:n], f.VLANs[1:])
	f.VLANs[n] = flow.VLAN{}
}

// vlan checks an action that sets a part of the tag, and says whether there is one.
func (c *checker) vlan(pushes bool) (has bool) {
	tci := &c.Match.Flow.VLANs[0].TCI
	has = *tci&flow.VLANCFI != 0
	c.inconsistent(!has && !pushes)
	*tci |= flow.VLANCFI
	return has
}

func (c *checker) l4() uint8 {
	f := &c.Match.Flow
	p := f.NwProto
	c.inconsistent(!field.IsIPAny(f) || f.NwFrag&flow.NwFragLater != 0 ||
		p != protoTCP && p != protoUDP && p != protoSCTP)
	return p
}

func (c *checker) setField(s *SetField) error {
	f := &c.Match.Flow
	tci := &f.VLANs[0].TCI
	has := *tci&flow.VLANCFI != 0
	if !field.PrereqsOK(f, s.ID, nil) || s.ID == field.VLANVID && !has {
		log.WarnRL(rl, "set_field %s lacks correct prerequisites", s.ID)
		return oferr.OFPBAC_MATCH_INCONSISTENT
	}
	s.FlowHasVLAN = has
	if s.ID == field.VLANTCI {
		*tci = be.Uint16(s.Data)
	}
	return nil
}

// Well-known ports that name the helper of CT.
const (
	algFTP  = 21
	algTFTP = 69
)

func (c *checker) ct(a *CT) error {
	f := &c.Match.Flow
	if !field.IsIPAny(f) || f.CTState&flow.CTInvalid != 0 && a.Flags&CTCommit != 0 ||
		a.Alg == algFTP && f.NwProto != protoTCP || a.Alg == algTFTP && f.NwProto != protoUDP {
		return oferr.OFPBAC_MATCH_INCONSISTENT
	}
	if a.HasZoneSrc {
		return a.ZoneSrc.CheckSrc(f, &c.Match.Mask)
	}
	return c.sub(a.Actions)
}

// flowOf returns the parts of a match that the checks of fields want; a nil match
// skips the prerequisites.
func flowOf(m *match.Match) (*flow.Flow, *flow.Mask) {
	if m == nil {
		return nil, nil
	}
	return &m.Flow, &m.Mask
}

func (b *Bundle) check(maxPort uint32, m *match.Match) error {
	if b.Load {
		f, mask := flowOf(m)
		if err := b.Dst.CheckDst(f, mask); err != nil {
			return err
		}
	}
	for _, port := range b.Members {
		if port == flow.OFPNone {
			continue
		}
		if err := checkOutputPort(port, maxPort); err != nil {
			bundleLog.WarnRL(bundleRL, "invalid member %d", field.PortTo16(port))
			return err
		}
		if port == flow.OFPController {
			bundleLog.WarnRL(bundleRL, "unsupported controller member")
			return oferr.OFPBAC_BAD_OUT_PORT
		}
	}
	return nil
}

func (l *Learn) check(src *match.Match) error {
	var dst match.Match
	f, mask := flowOf(src)
	for i := range l.Specs {
		s := &l.Specs[i]
		if s.Imm == nil {
			if err := s.Src.CheckSrc(f, mask); err != nil {
				return err
			}
		}
		switch s.Kind {
		case LearnMatch:
			if err := s.Dst.CheckSrc(&dst.Flow, &dst.Mask); err != nil {
				return err
			}
			if s.Imm != nil {
				dst.SetSub(s.Dst, s.Imm)
			}
		case LearnLoad:
			if err := s.Dst.CheckDst(&dst.Flow, &dst.Mask); err != nil {
				return err
			}
		}
	}
	return nil
}
