package action

import (
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

func (d *Decoder) decodeCT(a []byte, ver ofver.Version) error {
	c := d.ct.new()
	*c = CT{Flags: be.Uint16(a[10:]), RecircTable: a[18], Alg: be.Uint16(a[22:])}
	if c.Flags&CTForce != 0 && c.Flags&CTCommit == 0 {
		return oferr.OFPBAC_BAD_ARGUMENT
	}
	var err error
	if src := be.Uint32(a[12:]); src != 0 {
		if c.ZoneSrc, err = d.nxmSub(src, be.Uint16(a[16:])); err != nil {
			return err
		}
		if err := c.ZoneSrc.CheckSrc(nil, nil); err != nil {
			return err
		}
		if c.ZoneSrc.Bits != 16 {
			log.WarnRL(rl, "zone n_bits %d not within valid range [16..16]", c.ZoneSrc.Bits)
			return oferr.OFPBAC_BAD_SET_LEN
		}
		c.HasZoneSrc = true
	} else {
		c.Zone = be.Uint16(a[16:])
	}
	if c.Actions, err = d.nested(a[24:], ver, KindCT); err != nil {
		return err
	}
	if c.Flags&CTCommit == 0 {
		for _, x := range c.Actions {
			if n, ok := x.(*NAT); !ok || n.Flags != 0 || n.HasAddr {
				log.WarnRL(rl, "CT action requires commit flag if actions other than NAT without arguments are specified.")
				return oferr.OFPBAC_BAD_ARGUMENT
			}
		}
	}
	d.push1(c)
	return nil
}

const natFlags = NATSrc | NATDst | NATPersistent | NATProtoHash | NATProtoRandom

func (d *Decoder) decodeNAT(a []byte) error {
	n := d.nat.new()
	*n = NAT{Flags: be.Uint16(a[12:])}
	present := be.Uint16(a[14:])
	both := func(x uint16) bool { return n.Flags&x == x }
	if n.Flags&^natFlags != 0 || both(NATSrc|NATDst) || both(NATProtoHash|NATProtoRandom) {
		return oferr.OFPBAC_BAD_ARGUMENT
	}
	b := a[16:]
	ok := true
	take := func(bit uint16, size int) (p []byte) {
		if present&bit == 0 {
			return nil
		}
		if len(b) < size {
			ok = false
			return nil
		}
		p, b = b[:size], b[size:]
		return p
	}
	switch v4, v6 := present&(natIPv4Min|natIPv4Max), present&(natIPv6Min|natIPv6Max); {
	case v4 != 0 && (v6 != 0 || v4 == natIPv4Max), v6 == natIPv6Max:
		return oferr.OFPBAC_BAD_ARGUMENT
	case v4 != 0:
		n.HasAddr = true
		ok = n.addresses(take(natIPv4Min, 4), take(natIPv4Max, 4), v4 == natIPv4Min) && ok
	case v6 != 0:
		n.HasAddr, n.IPv6 = true, true
		ok = n.addresses(take(natIPv6Min, 16), take(natIPv6Max, 16), v6 == natIPv6Min) && ok
	}
	if p := take(natProtoMin, 2); p != nil {
		n.ProtoMin = be.Uint16(p)
		ok = ok && n.HasAddr && n.ProtoMin != 0
		if p := take(natProtoMax, 2); p != nil {
			n.ProtoMax = be.Uint16(p)
			ok = ok && n.ProtoMax >= n.ProtoMin
		}
	} else if present&natProtoMax != 0 {
		ok = false
	}
	if !ok {
		return oferr.OFPBAC_BAD_ARGUMENT
	}
	d.push1(n)
	return nil
}

// addresses sets the range; a nil max is right only if there is none.
func (n *NAT) addresses(lo, hi []byte, noMax bool) bool {
	if lo == nil || allZero(lo) || hi == nil && !noMax {
		return false
	}
	copy(n.AddrMin[:], lo)
	copy(n.AddrMax[:], hi)
	return noMax || string(hi) >= string(lo)
}
