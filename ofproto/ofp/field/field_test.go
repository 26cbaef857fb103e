package field

import (
	"bytes"
	"errors"
	"testing"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

func TestTable(t *testing.T) {
	if N != 183 {
		t.Fatalf("%d fields, want 183", N)
	}
	for id := range N {
		f := Get(id)
		if f.ID != id || f.Name == "" || int(f.Bits) > 8*int(f.Size) {
			t.Errorf("row %d: %+v", id, f)
		}
		for _, w := range f.IDs {
			if w.Header.PayloadLen() != int(f.Size) {
				t.Errorf("%s: %s has %d bytes, field %d", f.Name, w.Name, w.Header.PayloadLen(), f.Size)
			}
			if got, ok := ByHeader(w.Header); !ok || got != id {
				t.Errorf("%s: header %s resolves to %v", f.Name, w.Header, got)
			}
			if got, ok := ByHeader(w.Header.WithPayload(int(f.Size), true)); !ok || got != id {
				t.Errorf("%s: masked header %s resolves to %v", f.Name, w.Header, got)
			}
			if got, _, ok := ByWireName(w.Name); !ok || got != id {
				t.Errorf("%s does not resolve", w.Name)
			}
		}
		if locs[id].kind == kindNone {
			t.Errorf("%s has no place in a flow", f.Name)
		}
	}
}

// Every field reads back what was written, and touches nothing else.
func TestReadWrite(t *testing.T) {
	tab, err := (*TunTable)(nil).Add([]TunMapping{{0xffff, 3, 8, 0}, {0xffff, 4, 124, 1}})
	if err != nil {
		t.Fatal(err)
	}
	for id := range N {
		f := Get(id)
		if id.IsTunMetadata() && tab.Size(id) == 0 {
			continue
		}
		size := int(f.Size)
		if id.IsTunMetadata() {
			size = int(tab.Size(id))
		}
		var v, got Value
		for i := range size {
			v[int(f.Size)-1-i] = byte(0x11 * (i + 1))
		}
		top := int(f.Size) - 1 - (int(f.Bits)-1)/8
		for i := range top {
			v[i] = 0
		}
		if f.Bits%8 != 0 {
			v[top] &= 1<<(f.Bits%8) - 1
		}
		switch id {
		case VLANVID, IPDSCP:
			v[0] |= 0x10
			v[0] &= 0xfc
		case ARPOp, ICMPv4Type:
			v[0] = 0
		case InPort:
			v = Value{0xff, 0xfe}
		case CTState:
			v = Value{0, 0, 0, 0x22}
		}
		var fl flow.Flow
		Write(&fl, id, tab, &v)
		Read(&fl, id, tab, &got)
		if !bytes.Equal(got[:f.Size], v[:f.Size]) {
			t.Errorf("%s: wrote %x, read %x", f.Name, v[:f.Size], got[:f.Size])
		}
		var m flow.Mask
		if !IsWild(&m, id) {
			t.Errorf("%s is not wild in an empty mask", f.Name)
		}
		AddExact(&m, id, tab)
		if IsWild(&m, id) {
			t.Errorf("%s is wild after AddExact", f.Name)
		}
		for i, w := range m.Words() {
			if fl.Words()[i]&^w != 0 && id != VLANTCI && id != VLANVID && id != DLVLAN && id != DLVLANPCP && id != VLANPCP {
				t.Errorf("%s: mask does not cover the field", f.Name)
			}
		}
	}
}

func TestPreferredHeader(t *testing.T) {
	for _, c := range []struct {
		id   ID
		v    ofver.Version
		want string
	}{
		{EthSrc, 0, "0:0:2:0:6"},
		{EthSrc, ofver.OF12, "0:32768:4:0:6"},
		{TunID, ofver.OF12, "0:1:16:0:8"},
		{TunID, ofver.OF13, "0:32768:38:0:8"},
		{DPHash, 0, "0:1:35:0:4"},
		{NSHTTL, ofver.OF15, "0x5ad650:65535:10:0:5"},
	} {
		if got := PreferredHeader(c.id, c.v).String(); got != c.want {
			t.Logf("%v in %v: %s, want %s", c.id, c.v, got, c.want)
		}
	}
}

func TestParseFormat(t *testing.T) {
	for _, c := range []struct {
		id       ID
		in, want string
	}{
		{TunID, "5", "0x5"},
		{TunID, "0x1234/0xff00", "0x1234/0xff00"},
		{DLVLANPCP, "7", "7"},
		{EthSrc, "0:1:2:3:4:5", "00:01:02:03:04:05"},
		{EthSrc, "01:00:00:00:00:00/01:00:00:00:00:00", "01:00:00:00:00:00/01:00:00:00:00:00"},
		{IPv4Src, "10.0.0.0/8", "10.0.0.0/8"},
		{IPv4Src, "10.0.0.1/255.0.255.0", "10.0.0.1/255.0.255.0"},
		{IPv6Src, "fe80::/10", "fe80::/10"},
		{IPv6Src, "::1.2.3.4", "::1.2.3.4"},
		{IPv6Src, "::1", "::1"},
		{CTState, "+new-est", "+new-est"},
		{CTState, "5/5", "+new+rel"},
		{TCPFlags, "+syn-ack", "+syn-ack"},
		{TCPFlags, "syn|ack", "syn|ack"},
		{TCPFlags, "0xfff", "fin|syn|rst|psh|ack|urg|ece|cwr|ns|[200]|[400]|[800]"},
		{TunFlags, "oam", "oam"},
		{TunFlags, "-oam", "0"},
		{IPFrag, "first", "first"},
		{IPFrag, "not_later", "not_later"},
		{InPort, "local", "LOCAL"},
		{InPortOXM, "65534", "LOCAL"},
		{InPort, "3", "3"},
		{PacketType, "(1,0x800)", "packet_type=(1,0x800)"},
		{CTLabel, "0x1/0xf", "0x1/0xf"},
		{XXReg0, "0x123456789abcdef0fedcba9876543210", "0x123456789abcdef0fedcba9876543210"},
		{TunMetadata0, "0x0102", "0x102"},
		{EthType, "010", "0x8"},
	} {
		var v, mask Value
		f := Get(c.id)
		if err := f.Parse(c.in, nil, &v, &mask); err != nil {
			t.Errorf("%s=%s: %v", f.Name, c.in, err)
			continue
		}
		if got := string(f.AppendValue(nil, &v, &mask, nil)); got != c.want {
			t.Errorf("%s=%s prints %s, want %s", f.Name, c.in, got, c.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, c := range []struct {
		id       ID
		in, want string
	}{
		{IPProto, "256", "256: value too large for 1-byte field nw_proto"},
		{IPProto, "x", "x: bad syntax for nw_proto value"},
		{TunID, "1/x", "1/x: bad syntax for tun_id mask"},
		{IPProto, "1/1", "1/1: invalid mask for field nw_proto"},
		{EthSrc, "1:2:3", "1:2:3: invalid Ethernet address"},
		{IPv4Src, "1.2.3", "1.2.3: invalid IP address"},
		{IPv4Src, "1.2.3.4/33", "1.2.3.4/33: IPv4 network prefix bits not between 0 and 32, inclusive"},
		{CTState, "+new+new", "new: Each ct_state flag can be specified only once"},
		{CTState, "+bad", "bad: unknown ct_state flag(s)"},
		{InPort, "nope", "nope: invalid or unknown port for in_port"},
		{PacketType, "1,2", "1,2: bad syntax for packet type missing '('"},
	} {
		var v, mask Value
		err := Get(c.id).Parse(c.in, nil, &v, &mask)
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: %v, want %s", c.in, err, c.want)
		}
	}
}

func TestSub(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"reg0", "NXM_NX_REG0[]"},
		{"NXM_NX_REG0[0..5]", "NXM_NX_REG0[0..5]"},
		{"NXM_NX_REG0[7]", "NXM_NX_REG0[7]"},
		{"NXM_OF_VLAN_TCI[0..11]", "NXM_OF_VLAN_TCI[0..11]"},
		{"nw_src[]", "NXM_OF_IP_SRC[]"},
		{"xreg1", "OXM_OF_PKT_REG1[]"},
		{"nsh_flags", "NXOXM_NSH_FLAGS[]"},
	} {
		s, err := ParseSub(c.in)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := string(s.AppendText(nil)); got != c.want {
			t.Errorf("%s prints %s, want %s", c.in, got, c.want)
		}
	}
	for in, want := range map[string]string{
		"reg0[5..2]":  "reg0[5..2]: starting bit 5 is after ending bit 2",
		"reg0[0..32]": "reg0[0..32]: ending bit 32 is not valid because field is only 32 bits wide",
		"reg0[x]":     "reg0[x]: syntax error expecting [] or [<bit>] or [<start>..<end>]",
		"nope":        "nope: unknown field `nope'",
		"reg0[1]x":    "unexpected input following field syntax",
	} {
		if _, err := ParseSub(in); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

func TestCopyBits(t *testing.T) {
	var f flow.Flow
	f.Regs[0] = 0x12345678
	src, dst := Sub{ID: Reg0, Ofs: 4, Bits: 12}, Sub{ID: Reg1, Ofs: 20, Bits: 12}
	var wc flow.Mask
	Copy(&f, &wc, nil, src, dst)
	if f.Regs[1] != 0x56700000 || wc.Regs[0] != 0xfff0 || wc.Regs[1] != 0xfff00000 {
		t.Errorf("got %#x, mask %#x %#x", f.Regs[1], wc.Regs[0], wc.Regs[1])
	}
	if got := src.Get(&f, nil); got != 0x567 {
		t.Errorf("Get: %#x", got)
	}
	Sub{ID: XReg1, Ofs: 28, Bits: 8}.Set(&f, nil, 0xab)
	if f.Regs[2] != 0xa || f.Regs[3] != 0xb0000000 {
		t.Errorf("xreg: %#x %#x", f.Regs[2], f.Regs[3])
	}
}

func TestTunTable(t *testing.T) {
	tab, err := (*TunTable)(nil).Add([]TunMapping{{1, 1, 4, 0}, {1, 2, 4, 1}, {1, 3, 120, 2}, {1, 4, 124, 3}})
	if err != nil {
		t.Fatal(err)
	}
	tab = tab.Delete([]TunMapping{{Index: 0}, {Index: 2}})
	tab, err = tab.Add([]TunMapping{{2, 1, 124, 5}}) // in two pieces
	if err != nil {
		t.Fatal(err)
	}
	if e := &tab.Entries[5]; len(e.rest) != 1 {
		t.Errorf("pieces: %+v", e)
	}
	for ms, want := range map[TunMapping]error{
		{1, 2, 4, 9}: oferr.NXTTMFC_DUP_ENTRY, {9, 9, 4, 5}: oferr.NXTTMFC_ALREADY_MAPPED,
		{9, 9, 8, 9}: oferr.NXTTMFC_TABLE_FULL, {9, 9, 4, 64}: oferr.NXTTMFC_BAD_FIELD_IDX,
	} {
		if _, err := tab.Add([]TunMapping{ms}); !errors.Is(err, want) {
			t.Errorf("%+v: %v, want %v", ms, err, want)
		}
	}
	var f flow.Flow
	var v, got Value
	for i := range 124 {
		v[i] = byte(i + 1)
	}
	Write(&f, TunMetadata0+5, tab, &v)
	Read(&f, TunMetadata0+5, tab, &got)
	if got != v {
		t.Error("option in pieces is not read back")
	}
	raw, _ := tab.AppendGeneve(nil, &f.Tunnel)
	var tun flow.Tunnel
	if !tab.FromGeneve(raw, &tun) || tun.Present != f.Tunnel.Present || tun.Opts != f.Tunnel.Opts {
		t.Error("Geneve form does not round-trip")
	}
}

func FuzzPullEntry(f *testing.F) {
	f.Add([]byte("\x00\x01\x03\x10\x00\x00\x00\x00\x00\x00\x00\x01\xff\xff\xff\xff\xff\xff\xff\xff"))
	f.Add([]byte("\xff\xff\x01\x08\x00\x00\x23\x20\x00\x00\x00\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var v, mask Value
		for _, inAction := range []bool{false, true} {
			e, n, err := PullEntry(b, nil, inAction, !inAction, &v, &mask)
			if n < 0 || n > len(b) {
				t.Fatalf("took %d of %d bytes", n, len(b))
			}
			if err != nil || e.ID >= N {
				continue
			}
			out := AppendEntry(nil, e.ID, 0, &v, &mask)
			var v2, mask2 Value
			e2, _, err := PullEntry(out, nil, inAction, false, &v2, &mask2)
			size := Get(e.ID).Size
			if err != nil || e2.ID != e.ID || !bytes.Equal(v[:size], v2[:size]) {
				t.Fatalf("%x re-encoded as %x: %v", b, out, err)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add(uint8(4), "0x1234/0xff00")
	f.Add(uint8(70), "10.0.0.0/8")
	f.Fuzz(func(t *testing.T, n uint8, s string) {
		id := ID(n) % N
		var v, mask Value
		if Get(id).Parse(s, nil, &v, &mask) == nil {
			Get(id).AppendValue(nil, &v, &mask, nil)
		}
		ScanSub(s)
	})
}
