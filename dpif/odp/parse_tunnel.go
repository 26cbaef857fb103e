package odp

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/dpif/flow"
)

// parseTunnel parses the inside of tunnel(…) into t and its mask.
func parseTunnel(n *node, t, mask *flow.Tunnel) error {
	var kf, mf flow.Flow
	size := 0
	for i := range n.kids {
		k := &n.kids[i]
		if size += netlinkSize(k.name); size > maxNetlink {
			return unix.E2BIG
		}
		var err error
		switch k.name {
		case "tun_id":
			err = parseTunID(k, &kf.Tunnel, &mf.Tunnel)
		case "flags":
			err = parseTunFlags(k, &kf.Tunnel, &mf.Tunnel)
		case "geneve":
			err = parseGeneve(k, &kf.Tunnel, &mf.Tunnel)
		case "vxlan":
			err = parseGBP(k, &kf.Tunnel, &mf.Tunnel)
		case "erspan":
			err = parseERSPAN(k, &kf.Tunnel, &mf.Tunnel)
		case "gtpu":
			err = parseGTPU(k, &kf.Tunnel, &mf.Tunnel)
		default:
			err = parseTunMember(k, &kf, &mf)
		}
		if err != nil {
			return fmt.Errorf("tunnel: %w", err)
		}
	}
	*t, *mask = kf.Tunnel, mf.Tunnel
	return nil
}

// maxNetlink is the room for attributes in another one, whose length has 16 bits.
const maxNetlink = 0xffff - netlinkHeader

const netlinkHeader = 4

// netlinkSize is the least size of a member of tunnel() as a Netlink attribute.
func netlinkSize(name string) int {
	switch name {
	case "tun_id":
		return netlinkHeader + 8
	case "ipv6_src", "ipv6_dst":
		return netlinkHeader + 16
	case "flags":
		return netlinkHeader
	}
	return netlinkHeader + 4
}

func parseTunMember(k *node, kf, mf *flow.Flow) error {
	for i := range tunnelMembers {
		m := &tunnelMembers[i].m
		if m.name != k.name {
			continue
		}
		v, mask, err := parseMasked(m, k.value)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		m.set(kf, v)
		m.set(mf, mask)
		return nil
	}
	return fmt.Errorf("unknown member %s", k.name)
}

func parseTunID(k *node, t, mask *flow.Tunnel) error {
	v, m, err := parseMasked(&member{kind: kindHex, bits: 64}, k.value)
	t.ID, mask.ID = v.lo, m.lo
	t.Flags |= flow.TunFlagKey
	mask.Flags |= flow.TunFlagKey
	return err
}

func parseTunFlags(k *node, t, mask *flow.Tunnel) error {
	const full = flow.TunFlagDF | flow.TunFlagCsum | flow.TunFlagKey | flow.TunFlagOAM
	if len(k.kids) == 0 {
		mask.Flags |= full
		return nil
	}
	text, err := only(k)
	if err != nil {
		return err
	}
	v, m, err := parseFlags(text, tunFlagNames, full)
	t.Flags |= uint16(v)
	mask.Flags |= uint16(m)
	return err
}

// parseGeneve parses {class=,type=,len=,0xBODY}… into the wire form of options.
func parseGeneve(k *node, t, mask *flow.Tunnel) error {
	for i := range k.kids {
		for _, opt := range strings.SplitAfter(k.kids[i].name, "}") {
			if opt == "" {
				continue
			}
			if err := parseGeneveOpt(strings.Trim(opt, "{}"), t, mask); err != nil {
				return err
			}
		}
	}
	return nil
}

func parseGeneveOpt(s string, t, mask *flow.Tunnel) error {
	var hdr, hm [4]byte
	length := 0
	var body, bodyMask string
	for _, part := range strings.Split(s, ",") {
		name, val, _ := strings.Cut(part, "=")
		val, maskText, hasMask := strings.Cut(val, "/")
		bits := map[string]int{"class": 16, "type": 8, "len": 8}[name]
		if bits == 0 {
			body, bodyMask, _ = strings.Cut(part, "/")
			continue
		}
		v, err := strconv.ParseUint(val, 0, bits)
		m := onesOf(bits).lo
		if err == nil && hasMask {
			m, err = strconv.ParseUint(maskText, 0, bits)
		}
		if err != nil {
			return fmt.Errorf("bad geneve option %q", s)
		}
		switch name {
		case "class":
			binary.BigEndian.PutUint16(hdr[:], uint16(v))
			binary.BigEndian.PutUint16(hm[:], uint16(m))
		case "type":
			hdr[2], hm[2] = byte(v), byte(m)
		case "len":
			length = int(v)
			hdr[3], hm[3] = byte(v/4), byte(min(m, 0x1f))
		}
	}
	at := int(t.OptsLen)
	if length%4 != 0 || length > 124 || at+4+length > len(t.Opts) {
		return fmt.Errorf("bad geneve option length %d", length)
	}
	copy(t.Opts[at:], hdr[:])
	copy(mask.Opts[at:], hm[:])
	if err := hexRight(t.Opts[at+4:at+4+length], body); err != nil {
		return err
	}
	if bodyMask == "" {
		bodyMask = "0x" + strings.Repeat("ff", length)
	}
	if err := hexRight(mask.Opts[at+4:at+4+length], bodyMask); err != nil {
		return err
	}
	t.Flags |= flow.TunFlagUDPIF
	t.OptsLen = uint32(at + 4 + length)
	mask.OptsLen = t.OptsLen
	return nil
}

// hexRight writes a hexadecimal number right-justified into dst.
func hexRight(dst []byte, s string) error {
	h := strings.TrimPrefix(s, "0x")
	if len(h)%2 != 0 {
		h = "0" + h
	}
	b, err := hex.DecodeString(h)
	if err != nil || len(b) > len(dst) {
		return fmt.Errorf("bad hexadecimal value %q", s)
	}
	copy(dst[len(dst)-len(b):], b)
	return nil
}

func parseGBP(k *node, t, mask *flow.Tunnel) error {
	g := k.kid("gbp")
	if g == nil {
		return fmt.Errorf("vxlan without gbp")
	}
	for i := range g.kids {
		bits := map[string]int{"id": 16, "flags": 8}[g.kids[i].name]
		if bits == 0 {
			return fmt.Errorf("gbp has no member %s", g.kids[i].name)
		}
		v, m, err := parseMasked(&member{kind: kindHex, bits: bits}, g.kids[i].value)
		if err != nil {
			return err
		}
		if bits == 16 {
			t.GBPID, mask.GBPID = uint16(v.lo), uint16(m.lo)
		} else {
			t.GBPFlags, mask.GBPFlags = uint8(v.lo), uint8(m.lo)
		}
	}
	return nil
}

func parseERSPAN(k *node, t, mask *flow.Tunnel) error {
	for i := range k.kids {
		bits := map[string]int{"ver": 8, "idx": 20, "dir": 1, "hwid": 6}[k.kids[i].name]
		if bits == 0 {
			return fmt.Errorf("erspan has no member %s", k.kids[i].name)
		}
		v, m, err := parseMasked(&member{kind: kindHex, bits: bits}, k.kids[i].value)
		if err != nil {
			return err
		}
		switch bits {
		case 8:
			t.ERSPANVer, mask.ERSPANVer = uint8(v.lo), uint8(m.lo)
		case 20:
			t.ERSPANIdx, mask.ERSPANIdx = uint32(v.lo), uint32(m.lo)
		case 1:
			t.ERSPANDir, mask.ERSPANDir = uint8(v.lo), uint8(m.lo)
		case 6:
			t.ERSPANHwID, mask.ERSPANHwID = uint8(v.lo), uint8(m.lo)
		}
	}
	return nil
}

func parseGTPU(k *node, t, mask *flow.Tunnel) error {
	for i := range k.kids {
		name := k.kids[i].name
		v, m, err := parseMasked(&member{kind: kindHex, bits: 8}, k.kids[i].value)
		switch {
		case err != nil:
			return err
		case name == "flags":
			t.GTPUFlags, mask.GTPUFlags = uint8(v.lo), uint8(m.lo)
		case name == "msgtype":
			t.GTPUMsgType, mask.GTPUMsgType = uint8(v.lo), uint8(m.lo)
		default:
			return fmt.Errorf("gtpu has no member %s", name)
		}
	}
	return nil
}
