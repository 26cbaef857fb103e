// Package match is the OpenFlow match: which packets a flow entry applies to.
//
// Match is the working form, big and quick to change; Mini is the stored form.  Both
// come from and go to the wire (NXM, OXM, the fixed structs of OpenFlow 1.0 and 1.1)
// and text, byte for byte and character for character as stock Open vSwitch 3.1.
// Flow tables, the message codec, learning and tracing use it; classification itself
// is not here.
package match

import (
	"fmt"
	"math/bits"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/ofver"
)

var (
	log = vlog.New("ofp_match")
	rl  = vlog.NewLimiter(1, 5)

	nxLog = vlog.New("nx_match")
	nxRL  = vlog.NewLimiter(1, 5)
)

// Match is a flow's fields under a mask.  Flow has zero bits wherever Mask has, and
// the zero Match matches everything.  In OpenFlow, Flow.InPort is an OpenFlow port.
type Match struct {
	Flow flow.Flow
	Mask flow.Mask
	// Tun says where the tun_metadata fields are; nil if none is matched and no
	// table was given.
	Tun *field.TunTable
}

// IsCatchall says whether m matches every packet.
func (m *Match) IsCatchall() bool { return m.Mask == flow.Mask{} }

// Equal says whether a and b match the same packets by the same fields.
func (m *Match) Equal(b *Match) bool { return m.Flow == b.Flow && m.Mask == b.Mask }

// ZeroWildcarded clears the bits of Flow that Mask does not have, for a match whose
// members were changed by hand.
func (m *Match) ZeroWildcarded() {
	f, w := m.Flow.Words(), m.Mask.Words()
	for i := range f {
		f[i] &= w[i]
	}
}

// Matches says whether packets with the fields of f are matched.
func (m *Match) Matches(f *flow.Flow) bool {
	a, w, b := m.Flow.Words(), m.Mask.Words(), f.Words()
	for i := range a {
		if (a[i]^b[i])&w[i] != 0 {
			return false
		}
	}
	return true
}

// SetDefaultPacketType makes m match Ethernet packets unless it already matches a
// packet type.
func (m *Match) SetDefaultPacketType() {
	if m.Mask.PacketType == 0 {
		m.Flow.PacketType, m.Mask.PacketType = flow.PacketTypeEth, 0xffffffff
	}
}

// HasDefaultPacketType says whether m matches Ethernet packets only, by the packet
// type.
func (m *Match) HasDefaultPacketType() bool {
	return m.Flow.PacketType == flow.PacketTypeEth && m.Mask.PacketType == 0xffffffff
}

// AddEthernetPrereq makes m match Ethernet packets if field id is one of a packet's
// (not metadata) and m matches no packet type.  OpenFlow means Ethernet where nothing
// is said; but a match on metadata alone, or none, says nothing of the packet type.
func (m *Match) AddEthernetPrereq(id field.ID) {
	if field.Get(id).Prereq != field.PreNone {
		m.SetDefaultPacketType()
	}
}

// PrereqsOK says whether m implies the prerequisites of field id.
func (m *Match) PrereqsOK(id field.ID) bool { return field.MatchPrereqsOK(&m.Flow, &m.Mask, id) }

// Get puts the value and mask of field id into v and mask.
func (m *Match) Get(id field.ID, v, mask *field.Value) {
	field.Read(&m.Flow, id, m.Tun, v)
	field.Read(m.Mask.AsFlow(), id, m.Tun, mask)
}

const pcpCFI = flow.VLANPCPMask | flow.VLANCFI
const vidCFI = flow.VLANVIDMask | flow.VLANCFI

// Set makes m match field id on v under mask; a nil mask is exact, a zero mask
// wildcards the field.  It returns the protocols that can say this, none if the field
// cannot be matched under such a mask.  It fails only for tun_metadata fields.
func (m *Match) Set(id field.ID, v, mask *field.Value) (ofver.Protocols, error) {
	f := field.Get(id)
	switch {
	case id.IsTunMetadata():
		if err := m.setTunMetadata(id, v, mask); err != nil {
			return ofver.Any, err
		}
		if mask == nil || f.AllOnes(mask) {
			return f.Exact, nil
		}
		return f.Bitwise, nil
	case mask == nil || isExact(f, mask):
		m.setExact(id, v)
		return f.Exact, nil
	case f.AllZero(mask):
		m.SetWild(id)
		return ofver.Any, nil
	case !f.Maskable:
		return ofver.None, nil
	}
	switch id {
	case field.VLANVID:
		tci, wild := &m.Flow.VLANs[0].TCI, &m.Mask.VLANs[0].TCI
		mm := uint16(mask[0])<<8 | uint16(mask[1])
		vv := uint16(v[0])<<8 | uint16(v[1])
		*tci = *tci&^vidCFI | vv&mm&vidCFI
		*wild = *wild&^vidCFI | mm&vidCFI
	case field.TunERSPANVer, field.TunERSPANDir, field.TunERSPANHwID, field.TunGTPUFlags, field.TunGTPUMsgType:
		// Stock takes the value for the mask too, here and in ovs-ofctl, which sends it
		// so: what was meant comes out only if we do the same.
		x := *v
		x[0] &= mask[0]
		field.StoreMasked(&m.Flow, &m.Mask, id, &x, v)
	default:
		field.StoreMasked(&m.Flow, &m.Mask, id, v, mask)
	}
	if f.Bitwise == f.CIDR {
		return f.CIDR, nil
	}
	if field.IsCIDR(uint32(mask[0])<<24 | uint32(mask[1])<<16 | uint32(mask[2])<<8 | uint32(mask[3])) {
		return f.CIDR, nil
	}
	return f.Bitwise, nil
}

// isExact says whether mask makes a match on f exact.  All bytes must be ones, but for
// fields that cannot be masked or whose missing high bits do not count.
func isExact(f *field.Field, mask *field.Value) bool {
	switch f.ID {
	case field.IPv6Label, field.VLANVID, field.IPFrag:
		return f.ExactMask(mask)
	}
	return f.AllOnes(mask) || !f.Maskable && f.ExactMask(mask)
}

func (m *Match) setExact(id field.ID, v *field.Value) {
	tci, mask := &m.Flow.VLANs[0].TCI, &m.Mask.VLANs[0].TCI
	switch id {
	case field.DLVLAN:
		if vid := uint16(v[0])<<8 | uint16(v[1]); vid == 0xffff {
			*tci, *mask = 0, 0xffff
		} else {
			*tci = *tci&^flow.VLANVIDMask | flow.VLANCFI | vid&flow.VLANVIDMask
			*mask |= vidCFI
		}
	case field.DLVLANPCP, field.VLANPCP:
		*tci = *tci&^flow.VLANPCPMask | uint16(v[0]&7)<<flow.VLANPCPShift | flow.VLANCFI
		*mask |= pcpCFI
	case field.TunERSPANVer, field.TunERSPANDir, field.TunERSPANHwID, field.TunGTPUFlags, field.TunGTPUMsgType:
		// Stock matches only the bits that are one, and the wire form shows it.
		field.StoreMasked(&m.Flow, &m.Mask, id, v, v)
	default:
		field.StoreExact(&m.Flow, &m.Mask, id, v)
	}
}

// SetWild makes m match any value of field id.
func (m *Match) SetWild(id field.ID) {
	tci, mask := &m.Flow.VLANs[0].TCI, &m.Mask.VLANs[0].TCI
	switch id {
	case field.DLVLAN, field.VLANVID:
		if *mask&flow.VLANPCPMask != 0 {
			*mask &^= flow.VLANVIDMask
			*tci &^= flow.VLANVIDMask
		} else {
			*tci, *mask = 0, 0
		}
	case field.DLVLANPCP, field.VLANPCP:
		if *mask&flow.VLANVIDMask != 0 {
			*mask &^= flow.VLANPCPMask
			*tci &^= flow.VLANPCPMask
		} else {
			*tci, *mask = 0, 0
		}
	default:
		var zero field.Value
		if id.IsTunMetadata() {
			bit := uint64(1) << (id - field.TunMetadata0)
			if m.Mask.Tunnel.Present&bit == 0 {
				return
			}
			field.Write(m.Mask.AsFlow(), id, m.Tun, &zero)
			field.Write(&m.Flow, id, m.Tun, &zero)
			m.Mask.Tunnel.Present &^= bit
			m.Flow.Tunnel.Present &^= bit
			return
		}
		field.StoreMasked(&m.Flow, &m.Mask, id, &zero, &zero)
	}
}

// setTunMetadata finds or makes the field's place.  A switch's table that does not
// map the field leaves m unchanged.
func (m *Match) setTunMetadata(id field.ID, v, mask *field.Value) error {
	f := field.Get(id)
	masked := mask != nil && !f.AllOnes(mask)
	n := f.EffectiveLen(v, nil)
	if masked {
		n = f.EffectiveLen(v, mask)
	}
	switch {
	case m.Tun != nil && !m.Tun.Private:
		if !m.Tun.Maps(id) {
			return nil
		}
	default:
		if m.Tun == nil {
			m.Tun = &field.TunTable{Private: true}
		}
		if used := m.Tun.Used() + n; used > flow.MaxTunOpts {
			return fmt.Errorf("field %s exceeds maximum size for tunnel metadata (used %d, max %d)", f.Name, used, flow.MaxTunOpts)
		}
		if m.Mask.Tunnel.Present>>(id-field.TunMetadata0)&1 != 0 {
			return fmt.Errorf("field %s set multiple times", f.Name)
		}
		m.Tun.AddPrivate(id, n, masked)
	}
	if mask == nil {
		mask = &field.Ones
	}
	var x field.Value
	for i := range f.Size {
		x[i] = v[i] & mask[i]
	}
	field.Write(&m.Flow, id, m.Tun, &x)
	field.Write(m.Mask.AsFlow(), id, m.Tun, mask)
	return nil
}

// SetSub makes m match the bits of s on the low bits of src, in addition to what m
// already matches of the field.
func (m *Match) SetSub(s field.Sub, src []byte) {
	var v, mask field.Value
	m.Get(s.ID, &v, &mask)
	size := field.Get(s.ID).Size
	n := min(int(s.Bits), 8*len(src))
	field.CopyBits(src, 0, v[:size], int(s.Ofs), n)
	if n < int(s.Bits) {
		var zero field.Value
		field.CopyBits(zero[:], 0, v[:size], int(s.Ofs)+n, int(s.Bits)-n)
	}
	field.SetBits(mask[:size], int(s.Ofs), int(s.Bits))
	m.Set(s.ID, &v, &mask)
}

// Fields returns the set of the fields that m matches, by the names of their lowest
// layer that fits its types.  It is for "used protocols" and feature checks.
func (m *Match) Fields() (s field.Set) {
	for id := range field.N {
		if !field.IsWild(&m.Mask, id) && m.PrereqsOK(id) {
			s.Add(id)
		}
	}
	return s
}

// HasDefaultHiddenFields says whether m matches neither recirculated packets nor a
// datapath hash, as all flows of controllers do.
func (m *Match) HasDefaultHiddenFields() bool {
	r := m.Mask.RecircID
	return m.Flow.RecircID == 0 && (r == 0 || r == 0xffffffff) && m.Flow.DPHash|m.Mask.DPHash == 0
}

// InitHiddenFields makes m match packets that were not recirculated.
func (m *Match) InitHiddenFields() {
	m.Flow.RecircID, m.Mask.RecircID = 0, 0xffffffff
	m.Flow.DPHash, m.Mask.DPHash = 0, 0
}

// FromMetadata makes m the exact match on the metadata of f that packet-ins carry:
// tunnel, registers, conntrack state and so on, as far as it is set.
func (m *Match) FromMetadata(f *flow.Flow, tab *field.TunTable) {
	*m = Match{}
	var v field.Value
	set := func(id field.ID) {
		if field.IsSet(f, id) {
			field.Read(f, id, nil, &v)
			m.Set(id, &v, nil)
		}
	}
	if f.PacketType != flow.PacketTypeEth {
		set(field.PacketType)
	}
	for id := field.TunID; id <= field.TunGTPUMsgType; id++ {
		if id != field.TunTTL && id != field.TunTOS {
			set(id)
		}
	}
	for left := f.Tunnel.Present; left != 0 && tab != nil; left &= left - 1 {
		id := field.TunMetadata0 + field.ID(bits.TrailingZeros64(left))
		field.Read(f, id, tab, &v)
		m.addTunExact(id, &v, int(tab.Size(id)))
	}
	set(field.Metadata)
	for id := field.Reg0; id <= field.Reg15; id++ {
		set(id)
	}
	set(field.PktMark)
	m.Flow.InPort, m.Mask.InPort = f.InPort, 0xffffffff
	m.metadataCT(f)
}

func (m *Match) addTunExact(id field.ID, v *field.Value, n int) {
	if m.Tun == nil {
		m.Tun = &field.TunTable{Private: true}
	}
	if m.Tun.AddPrivate(id, n, false) {
		field.Write(&m.Flow, id, m.Tun, v)
		field.Write(m.Mask.AsFlow(), id, m.Tun, &field.Ones)
	}
}

func (m *Match) metadataCT(f *flow.Flow) {
	var v field.Value
	exact := func(ids ...field.ID) {
		for _, id := range ids {
			field.Read(f, id, nil, &v)
			m.Set(id, &v, nil)
		}
	}
	for _, id := range []field.ID{field.CTZone, field.CTMark, field.CTLabel} {
		if field.IsSet(f, id) {
			exact(id)
		}
	}
	if f.CTState == 0 {
		return
	}
	// The Ethernet type says how to read the original tuple.
	exact(field.CTState, field.EthType)
	if !field.PrereqsOK(f, field.CTNwSrc, nil) || f.CTNwProto == 0 {
		return
	}
	switch f.DLType {
	case flow.EthIPv4:
		exact(field.CTNwSrc, field.CTNwDst, field.CTNwProto, field.CTTpSrc, field.CTTpDst)
	case flow.EthIPv6:
		exact(field.CTIPv6Src, field.CTIPv6Dst, field.CTNwProto, field.CTTpSrc, field.CTTpDst)
	}
}
