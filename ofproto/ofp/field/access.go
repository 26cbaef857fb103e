package field

import (
	"encoding/binary"

	"sluice/dpif/flow"
)

var be = binary.BigEndian

// putUint writes x into the first n bytes of v.
func (v *Value) putUint(x uint64, n uint8) {
	for i := int(n) - 1; i >= 0; i-- {
		v[i] = byte(x)
		x >>= 8
	}
}

// uint reads the first n bytes of v, at most 8.
func (v *Value) uint(n uint8) (x uint64) {
	for _, b := range v[:n] {
		x = x<<8 | uint64(b)
	}
	return x
}

// PortTo16 returns a port of the 32-bit numbering as OpenFlow 1.0 numbers it.
func PortTo16(port uint32) uint16 { return uint16(port) }

// PortFrom16 returns a port of OpenFlow 1.0 in the 32-bit numbering.
func PortFrom16(port uint16) uint32 {
	if port >= flow.OFPMax&0xffff {
		return 0xffff0000 | uint32(port)
	}
	return uint32(port)
}

// PortValid says whether a 32-bit port number can be said in 16 bits too, as the
// switch demands of every port.
func PortValid(port uint32) bool { return port < flow.OFPMax&0xffff || port >= flow.OFPMax }

// Read puts the value of field id in f into v.  Bytes of v behind the field's size
// are left alone.  tab locates tun_metadata fields; without it they read as zero.
//
// Read of a Mask (through AsFlow) gives the mask over the field.
func Read(f *flow.Flow, id ID, tab *TunTable, v *Value) {
	l := &locs[id]
	switch l.kind {
	case kindU8, kindU16, kindU32, kindU64:
		v.putUint(l.load(f)&l.mask>>l.shift, table[id].Size)
	case kindBytes6, kindBytes16:
		copy(v[:], l.bytes(f))
	case kindU128:
		u := l.u128(f)
		be.PutUint64(v[:8], u.Hi)
		be.PutUint64(v[8:], u.Lo)
	case kindPort:
		be.PutUint16(v[:], uint16(l.load(f)))
	case kindXReg:
		r := l.regs(f)
		be.PutUint32(v[:], r[0])
		be.PutUint32(v[4:], r[1])
	case kindXXReg:
		r := l.regs(f)
		for i := range r {
			be.PutUint32(v[4*i:], r[i])
		}
	case kindTun:
		tab.read(&f.Tunnel, int(id-TunMetadata0), v)
	default:
		clear(v[:table[id].Size])
	}
}

// ReadUint returns the value of a field of at most 8 bytes.
func ReadUint(f *flow.Flow, id ID) uint64 {
	var v Value
	Read(f, id, nil, &v)
	return v.uint(min(table[id].Size, 8))
}

// Write sets field id of f to v, as an action does: a VLAN field adds the tag that it
// needs.  tab locates tun_metadata fields; those that it does not map are left alone.
func Write(f *flow.Flow, id ID, tab *TunTable, v *Value) {
	switch id {
	case DLVLAN:
		if be.Uint16(v[:]) == 0xffff {
			f.VLANs[0].TCI = 0
		} else {
			f.VLANs[0].TCI = f.VLANs[0].TCI&^flow.VLANVIDMask | be.Uint16(v[:])&flow.VLANVIDMask | flow.VLANCFI
		}
		fixTPID(f)
	case DLVLANPCP, VLANPCP:
		f.VLANs[0].TCI = f.VLANs[0].TCI&^flow.VLANPCPMask | uint16(v[0]&7)<<flow.VLANPCPShift | flow.VLANCFI
		fixTPID(f)
	case VLANTCI, VLANVID:
		put(f, id, tab, v)
		fixTPID(f)
	case IPv6Label:
		f.IPv6Label = be.Uint32(v[:]) & 0xfffff
	default:
		put(f, id, tab, v)
	}
}

func fixTPID(f *flow.Flow) {
	if f.VLANs[0].TPID == 0 && f.VLANs[0].TCI != 0 {
		f.VLANs[0].TPID = flow.EthVLAN
	}
}

// put stores v and nothing else.
func put(f *flow.Flow, id ID, tab *TunTable, v *Value) {
	l := &locs[id]
	switch l.kind {
	case kindU8, kindU16, kindU32, kindU64:
		x := v.uint(table[id].Size) << l.shift & l.mask
		l.store(f, l.load(f)&^l.mask|x)
	case kindBytes6, kindBytes16:
		copy(l.bytes(f), v[:])
	case kindU128:
		*l.u128(f) = flow.U128{Hi: be.Uint64(v[:8]), Lo: be.Uint64(v[8:])}
	case kindPort:
		l.store(f, uint64(PortFrom16(be.Uint16(v[:]))))
	case kindXReg:
		r := l.regs(f)
		r[0], r[1] = be.Uint32(v[:]), be.Uint32(v[4:])
	case kindXXReg:
		r := l.regs(f)
		for i := range r {
			r[i] = be.Uint32(v[4*i:])
		}
	case kindTun:
		tab.write(&f.Tunnel, int(id-TunMetadata0), v)
	}
}

// WriteMasked sets the bits of field id of f that mask has to those of v.
func WriteMasked(f *flow.Flow, id ID, tab *TunTable, v, mask *Value) {
	var cur Value
	Read(f, id, tab, &cur)
	for i := range cur[:table[id].Size] {
		cur[i] = v[i]&mask[i] | cur[i]&^mask[i]
	}
	Write(f, id, tab, &cur)
}

// StoreExact makes m match field id of f on exactly v: it sets the field and all
// bits of its mask, those above the field's significant bits included.  The caller
// handles fields that share storage with a meaning (VLAN) or need a table.
func StoreExact(f *flow.Flow, m *flow.Mask, id ID, v *Value) {
	put(f, id, nil, v)
	storeOnes(m, id)
}

func storeOnes(m *flow.Mask, id ID) {
	l := &locs[id]
	switch l.kind {
	case kindU8, kindU16, kindU32, kindU64:
		l.store(m.AsFlow(), l.load(m.AsFlow())|l.mask)
	case kindPort:
		l.store(m.AsFlow(), 0xffffffff)
	default:
		put(m.AsFlow(), id, nil, &Ones)
	}
}

// StoreMasked makes m match the bits of field id of f that mask has; the mask
// replaces the one that was there.
func StoreMasked(f *flow.Flow, m *flow.Mask, id ID, v, mask *Value) {
	var x Value
	for i := range x[:table[id].Size] {
		x[i] = v[i] & mask[i]
	}
	put(f, id, nil, &x)
	put(m.AsFlow(), id, nil, mask)
}

// AddMask adds the bits that mask has to the mask over field id: translation calls
// it for what it has looked at.
func AddMask(m *flow.Mask, id ID, tab *TunTable, mask *Value) {
	if locs[id].kind == kindPort {
		m.InPort = 0xffffffff
		return
	}
	var cur Value
	f := m.AsFlow()
	Read(f, id, tab, &cur)
	for i := range cur[:table[id].Size] {
		cur[i] |= mask[i]
	}
	put(f, id, tab, &cur)
	if id == DLVLAN || id == DLVLANPCP || id == VLANPCP {
		m.VLANs[0].TCI |= flow.VLANCFI
	}
}

// AddExact adds all of field id to the mask.
func AddExact(m *flow.Mask, id ID, tab *TunTable) {
	if locs[id].kind == kindTun {
		AddMask(m, id, tab, &Ones)
		return
	}
	storeOnes(m, id)
	if id == DLVLAN || id == DLVLANPCP || id == VLANPCP {
		m.VLANs[0].TCI |= flow.VLANCFI
	}
}

// IsWild says whether the mask has no bit of field id.
func IsWild(m *flow.Mask, id ID) bool {
	f := m.AsFlow()
	l := &locs[id]
	switch l.kind {
	case kindU8, kindU16, kindU32, kindU64:
		return l.load(f)&l.mask == 0
	case kindPort:
		return l.load(f) == 0
	case kindBytes6, kindBytes16:
		return allZero(l.bytes(f))
	case kindU128:
		return *l.u128(f) == flow.U128{}
	case kindXReg:
		r := l.regs(f)
		return r[0]|r[1] == 0
	case kindXXReg:
		r := l.regs(f)
		return r[0]|r[1]|r[2]|r[3] == 0
	case kindTun:
		return f.Tunnel.Present>>(id-TunMetadata0)&1 == 0
	}
	return true
}

// IsSet says whether the packet has a value in field id: any but zero, or for a
// tun_metadata field that the option is present.
func IsSet(f *flow.Flow, id ID) bool {
	if id.IsTunMetadata() {
		return f.Tunnel.Present>>(id-TunMetadata0)&1 != 0
	}
	var v Value
	Read(f, id, nil, &v)
	return !allZero(v[:table[id].Size])
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

func allOnes(b []byte) bool {
	for _, x := range b {
		if x != 0xff {
			return false
		}
	}
	return true
}

// AllOnes says whether mask covers every byte of the field.
func (f *Field) AllOnes(mask *Value) bool { return allOnes(mask[:f.Size]) }

// AllZero says whether mask (or a value) has no bit set.
func (f *Field) AllZero(mask *Value) bool { return allZero(mask[:f.Size]) }

// ExactMask says whether mask covers every significant bit of the field.
func (f *Field) ExactMask(mask *Value) bool {
	n := int(f.Size) - int(f.Bits)/8
	if !allOnes(mask[n:f.Size]) {
		return false
	}
	rest := f.Bits % 8
	return rest == 0 || mask[n-1]&(1<<rest-1) == 1<<rest-1
}
