package action

import (
	"bytes"
	"strings"
	"testing"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

func mustParse(t testing.TB, s string) List {
	l, _, err := ParseInstructions(s, nil, nil)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return l
}

func TestKinds(t *testing.T) {
	for k := Kind(0); k < NKinds; k++ {
		if got, ok := kindByName(strings.ToUpper(k.String())); !ok || got != k {
			t.Errorf("%s is found as %v", k, got)
		}
	}
	if NKinds > 64 {
		t.Error("a set of kinds does not fit 64 bits")
	}
}

func TestAppendSet(t *testing.T) {
	for in, want := range map[string]string{
		"output:1,dec_ttl,set_field:5->reg0,pop_vlan,push_vlan:0x8100": "pop_vlan,push_vlan:0x8100,dec_ttl,set_field:0x5->reg0,output:1",
		"output:1,group:2,output:3":                                    "group:2",
		"output:1,output:3":                                            "output:3",
		"set_field:5->reg0":                                            "drop",
		"push_mpls:0x8847,pop_mpls:0x0800,resubmit(,5)":                "pop_mpls:0x0800,push_mpls:0x8847,resubmit(,5)",
	} {
		w := mustParse(t, "write_actions("+in+")")[0].(*WriteActions)
		if got := AppendSet(nil, w.Actions).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		match, actions string
		max            uint32
		err            error
		usable         ofver.Protocols
	}{
		{"", "output:5", 5, oferr.OFPBAC_BAD_OUT_PORT, 0},
		{"", "output:4", 5, nil, ofver.Any},
		{"", "output:LOCAL", 5, nil, ofver.Any},
		{"", "enqueue:5:1", 5, oferr.OFPBAC_BAD_OUT_PORT, 0},
		{"", "strip_vlan", 5, nil, ofver.OF10Any},
		{"dl_vlan=1", "strip_vlan,strip_vlan", 5, nil, ofver.OF10Any},
		{"dl_vlan=1", "strip_vlan", 5, nil, ofver.Any},
		{"", "set_field:80->tcp_src", 5, oferr.OFPBAC_MATCH_INCONSISTENT, 0},
		{"", "set_field:4097->vlan_vid", 5, oferr.OFPBAC_MATCH_INCONSISTENT, 0},
		{"", "push_vlan:0x8100,set_field:4097->vlan_vid", 5, nil, ofver.Any},
		{"", "push_vlan:0x8100,push_vlan:0x8100,push_vlan:0x8100", 5, oferr.OFPBAC_BAD_TAG, 0},
		{"ip", "push_mpls:0x8847,dec_ttl", 5, nil, ofver.OF10Any},
		{"ip", "clone(output:7)", 5, oferr.OFPBAC_BAD_OUT_PORT, 0},
		{"", "write_actions(output:7)", 5, oferr.OFPBAC_BAD_OUT_PORT, 0},
		{"", "meter:0", 5, oferr.OFPMMFC_INVALID_METER, 0},
		{"", "goto_table:3", 5, oferr.OFPBIC_BAD_TABLE_ID, 0},
		{"", "goto_table:4", 5, nil, ofver.Any},
		{"", "goto_table:10", 5, oferr.OFPBIC_BAD_TABLE_ID, 0},
		{"", "bundle(eth_src,0,hrw,ofport,members:7)", 5, oferr.OFPBAC_BAD_OUT_PORT, 0},
		{"ip,ct_state=+inv+trk", "ct(commit)", 5, oferr.OFPBAC_MATCH_INCONSISTENT, 0},
	} {
		m, _, err := match.Parse(c.match, nil)
		if err != nil {
			t.Fatal(err)
		}
		before := *m
		usable, err := mustParse(t, c.actions).Check(CheckParams{Match: m, MaxPort: c.max, Table: 3, NTables: 10})
		if err != c.err || err == nil && usable != c.usable {
			t.Errorf("%s|%s: %v %x, want %v %x", c.match, c.actions, err, usable, c.err, c.usable)
		}
		if *m != before {
			t.Errorf("%s|%s: Check changed the match", c.match, c.actions)
		}
	}
}

func TestQueries(t *testing.T) {
	l := mustParse(t, "meter:7,clone(output:5),ct(commit,nat),enqueue:3:1,write_actions(group:9)")
	if !l.OutputsTo(5) || !l.OutputsTo(3) || l.OutputsTo(7) || !l.OutputsToGroup(9) || l.OutputsToGroup(5) || l.MeterID() != 7 {
		t.Error("wrong answers")
	}
	if got := mustParse(t, "set_field:1->tun_metadata3,move:tun_metadata5[0..7]->reg0[0..7]").TunMetadata(); got != 1<<3|1<<5 {
		t.Errorf("tun_metadata: %#x", got)
	}
	if !l.Equal(l) || l.Equal(l[1:]) {
		t.Error("Equal is wrong")
	}
}

func TestMappedTunMetadata(t *testing.T) {
	tab, err := (*field.TunTable)(nil).Add([]field.TunMapping{{Class: 0xffff, Type: 1, Len: 4, Index: 2}})
	if err != nil {
		t.Fatal(err)
	}
	var d Decoder
	for s, want := range map[string]error{
		"set_field:0x12->tun_metadata2":                 nil,
		"move:tun_metadata2[0..15]->reg0[0..15]":        nil,
		"move:tun_metadata2[0..39]->xreg0[0..39]":       oferr.OFPBAC_BAD_SET_LEN,
		"set_field:0x12->tun_metadata3":                 oferr.NXFMFC_INVALID_TLV_FIELD,
		"delete_field:tun_metadata3":                    oferr.NXFMFC_INVALID_TLV_FIELD,
		"delete_field:tun_metadata2,push:tun_metadata2": oferr.OFPBAC_BAD_SET_LEN,
	} {
		raw := mustParse(t, s).AppendActions(nil, ofver.OF13)
		l, err := d.Actions(raw, ofver.OF13, tab)
		if err != want {
			t.Errorf("%s: %v, want %v", s, err, want)
		}
		if err == nil && l.TunMetadata() != 1<<2 {
			t.Errorf("%s: uses %#x", s, l.TunMetadata())
		}
	}
	// A mapped field is as long as its mapping says.
	l, err := d.Actions(mustParse(t, "set_field:0x12->tun_metadata2").AppendActions(nil, ofver.OF13), ofver.OF13, tab)
	if err != nil {
		t.Fatal(err)
	}
	if s := l[0].(*SetField); s.FieldSize() != 4 || !bytes.Equal(s.Value(), []byte{0, 0, 0, 0x12}) {
		t.Errorf("%d bytes: %x", s.FieldSize(), s.Value())
	}
}

func TestNamesInText(t *testing.T) {
	l := mustParse(t, "output:1,goto_table:2")
	got := string(l.AppendText(nil, names{}, names{}))
	if want := `output:eth0,goto_table:"acl-in"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	back, _, err := ParseInstructions(`output:eth0,goto_table:"acl-in"`, names{}, names{})
	if err != nil || back.String() != l.String() {
		t.Errorf("%s, %v", back, err)
	}
}

type names struct{}

func (names) PortName(p uint32) string {
	if p == 1 {
		return "eth0"
	}
	return ""
}
func (names) PortByName(s string) (uint32, bool) { return 1, s == "eth0" }
func (names) TableName(uint8) string             { return "acl-in" }
func (names) TableByName(s string) (uint8, bool) { return 2, s == "acl-in" }

// Nested actions beyond the limit are an error, not a crash.
func TestDeepNesting(t *testing.T) {
	b := []byte(nil)
	for range 300 {
		n := len(b) + 16
		b = append([]byte{0xff, 0xff, byte(n >> 8), byte(n), 0, 0, 0x23, 0x20, 0, 42, 0, 0, 0, 0, 0, 0}, b...)
	}
	var d Decoder
	if _, err := d.Actions(b, ofver.OF13, nil); err != oferr.OFPBAC_TOO_MANY {
		t.Errorf("%v", err)
	}
	if _, _, err := ParseActions(strings.Repeat("clone(", 5000)+strings.Repeat(")", 5000), nil, nil); err == nil {
		t.Error("deep text is accepted")
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range wireCases(f) {
		f.Add(uint8(c.ver), c.instructions, c.in)
	}
	for _, c := range textCases(f) {
		for v, b := range c.wire {
			f.Add(uint8(v), true, b)
		}
	}
	f.Fuzz(func(t *testing.T, v uint8, instructions bool, b []byte) {
		c := wireCase{instructions: instructions, ver: ofver.OF10 + ofver.Version(v)%6, in: b}
		var d Decoder
		l, err := c.decode(&d)
		if err != nil {
			return
		}
		_ = l.String()
		var m match.Match
		l.Check(CheckParams{Match: &m, MaxPort: flow.OFPMax, Table: 255, NTables: 255})
		c.in = c.encode(l)
		l2, err := c.decode(&d)
		if err != nil {
			return // an action of an older version may need a match to be said in this one
		}
		if again := c.encode(l2); !bytes.Equal(again, c.in) {
			t.Fatalf("%s: %x\nbecomes %x\nthen %x", c.ver, b, c.in, again)
		}
		for ver := ofver.OF10; ver <= ofver.OF15; ver++ {
			l.AppendInstructions(nil, ver)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, c := range textCases(f) {
		f.Add(c.actions)
	}
	f.Fuzz(func(t *testing.T, s string) {
		l, _, err := ParseInstructions(s, nil, nil)
		if err != nil {
			return
		}
		_ = l.String()
		for ver := ofver.OF10; ver <= ofver.OF15; ver++ {
			l.AppendInstructions(nil, ver)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	raw := mustParse(b, "set_tunnel:5,set_field:5->reg0,output:1,resubmit(,5)").AppendInstructions(nil, ofver.OF13)
	var d Decoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Instructions(raw, ofver.OF13, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeOutput(b *testing.B) {
	raw := mustParse(b, "output:1").AppendInstructions(nil, ofver.OF10)
	var d Decoder
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.Instructions(raw, ofver.OF10, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	l := mustParse(b, "set_tunnel:5,set_field:5->reg0,output:1,resubmit(,5)")
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = l.AppendInstructions(buf[:0], ofver.OF13)
	}
}

// Decoding takes its memory from chunks: less than one allocation an action list.
func TestDecodeAllocations(t *testing.T) {
	raw := mustParse(t, "set_tunnel:5,set_field:5->reg0,output:1,resubmit(,5)").AppendInstructions(nil, ofver.OF13)
	var d Decoder
	n := testing.AllocsPerRun(1000, func() {
		if _, err := d.Instructions(raw, ofver.OF13, nil); err != nil {
			t.Fatal(err)
		}
	})
	if n > 0.5 {
		t.Errorf("%v allocations", n)
	}
}
