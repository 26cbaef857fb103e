package match

import (
	"testing"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

func TestSwitchTunTable(t *testing.T) {
	tab, err := (*field.TunTable)(nil).Add([]field.TunMapping{
		{Class: 0xffff, Type: 1, Len: 4, Index: 0}, {Class: 0xffff, Type: 2, Len: 8, Index: 3}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in, out, text string
		err           error
	}{
		{"NXM_NX_TUN_METADATA0(12345678)", "NXM_NX_TUN_METADATA0(12345678)", "tun_metadata0=0x12345678", nil},
		{"NXM_NX_TUN_METADATA3_W(0102/ff0f)", "NXM_NX_TUN_METADATA3_W(0000000000000102/000000000000ff0f)",
			"tun_metadata3=0x102/0xff0f", nil},
		{"NXM_NX_TUN_METADATA3(01)", "NXM_NX_TUN_METADATA3(0000000000000001)", "tun_metadata3=0x1", nil},
		{"NXM_NX_TUN_METADATA0_W(00000000/00000000)", "NXM_NX_TUN_METADATA0_W(00000000/00000000)", "tun_metadata0", nil},
		{"NXM_NX_TUN_METADATA1(01)", "", "", oferr.NXFMFC_INVALID_TLV_FIELD},
		{"NXM_NX_TUN_METADATA0(01), NXM_NX_TUN_METADATA0(01)", "", "", oferr.OFPBMC_DUP_FIELD},
	} {
		var m Match
		if err := m.Decode(fromText(t, c.in), Options{Tun: tab}, nil); err != c.err {
			t.Errorf("%s: %v, want %v", c.in, err, c.err)
			continue
		}
		if c.err != nil {
			continue
		}
		if got := toText(m.AppendEntries(nil, ofver.OF13, Cookie{})); got != c.out {
			t.Errorf("%s: encodes as %s, want %s", c.in, got, c.out)
		}
		if got := m.String(); got != c.text {
			t.Errorf("%s: prints %s, want %s", c.in, got, c.text)
		}
		z := m.Mini()
		if z.TunMetadata() != m.Mask.Tunnel.Present || z.TunMetadata() == 0 {
			t.Errorf("%s: uses %#x", c.in, z.TunMetadata())
		}
	}
}

func TestPipelineOnly(t *testing.T) {
	for in, want := range map[string]error{
		"OXM_OF_IN_PORT(00000001), OXM_OF_METADATA(0000000000000001)": nil,
		"OXM_OF_PACKET_TYPE(00010800), NXM_NX_TUN_IPV4_SRC(01020304)": nil,
		"OXM_OF_ETH_TYPE(0800)":     oferr.OFPBRC_PIPELINE_FIELDS_ONLY,
		"NXM_NX_PKT_MARK(00000001)": oferr.OFPBRC_PIPELINE_FIELDS_ONLY,
	} {
		var m Match
		if err := m.Decode(fromText(t, in), Options{PipelineOnly: true}, nil); err != want {
			t.Errorf("%s: %v, want %v", in, err, want)
		}
	}
}

func TestPullErrors(t *testing.T) {
	for _, c := range []struct {
		hex  string
		want error
	}{
		{"", oferr.OFPBMC_BAD_LEN},
		{"0001", oferr.OFPBMC_BAD_LEN},
		{"0002000800000000", oferr.OFPBMC_BAD_TYPE},
		{"0001000300000000", oferr.OFPBMC_BAD_LEN},
		{"0001000c00000000", oferr.OFPBMC_BAD_LEN},
		{"0000005800000000", oferr.OFPBMC_BAD_LEN},
		{"0001000400000000", nil},
	} {
		var m Match
		if _, err := m.Pull(unhex(c.hex), Options{}); err != c.want {
			t.Errorf("%s: %v, want %v", c.hex, err, c.want)
		}
	}
}

func TestFromMetadata(t *testing.T) {
	var f flow.Flow
	f.InPort, f.Metadata, f.Regs[3], f.DLType = 7, 9, 5, flow.EthIPv4
	f.CTState, f.CTZone, f.CTNwProto = flow.CTTracked|flow.CTEstablished, 3, 6
	f.CTNwSrc, f.CTTpDst = 0x01020304, 80
	f.NwSrc = 0x0a000001 // not metadata
	var m Match
	m.FromMetadata(&f, nil)
	want := "ct_state=est|trk,ct_zone=3,ct_nw_src=1.2.3.4,ct_nw_dst=0.0.0.0,ct_nw_proto=6,ct_tp_src=0,ct_tp_dst=80," +
		"ip,reg3=0x5,metadata=0x9,in_port=7"
	if got := m.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestParseExactFlow(t *testing.T) {
	f, err := ParseExactFlow("tcp,in_port=3,dl_vlan=5,nw_src=1.2.3.4,tp_dst=80", nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f.InPort != 3 || f.VLANs[0] != (flow.VLAN{TPID: flow.EthVLAN, TCI: 0x1005}) || f.NwProto != 6 || f.TpDst != 80 {
		t.Errorf("%+v", f)
	}
	for in, want := range map[string]string{
		"tp_dst=80":             "tp_dst=80: prerequisites not met for setting tp_dst",
		"ip,arp":                "ip,arp: Ethernet type set multiple times",
		"foo=1":                 "foo=1: unknown field foo",
		"metadata=1,metadata=2": "metadata=1,metadata=2: field metadata set multiple times",
		"ip,nw_src=1.0.0.0/8":   "ip,nw_src=1.0.0.0/8: bad value for nw_src (1.0.0.0/8: wildcards not allowed here)",
	} {
		if _, err := ParseExactFlow(in, nil, nil, nil); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

func TestSubsetOf(t *testing.T) {
	mini := func(s string) Mini {
		m, _, err := Parse(s, nil)
		if err != nil {
			t.Fatal(err)
		}
		return m.Mini()
	}
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"tcp,tp_dst=80", "ip", true},
		{"ip", "tcp", false},
		{"ip,nw_src=10.1.0.0/16", "ip,nw_src=10.0.0.0/8", true},
		{"ip,nw_src=10.0.0.0/8", "ip,nw_src=10.1.0.0/16", false},
		{"in_port=1", "in_port=2", false},
		{"in_port=1", "", true},
	} {
		a, b := mini(c.a), mini(c.b)
		if got := a.SubsetOf(&b); got != c.want {
			t.Errorf("%s in %s: %v", c.a, c.b, got)
		}
	}
}
