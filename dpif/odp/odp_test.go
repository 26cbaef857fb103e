package odp

import (
	"os"
	"strings"
	"testing"

	"sluice/dpif/flow"
)

func lines(t testing.TB, file string) []string {
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(b)), "\n")
}

// Every line of testdata is text that stock prints back unchanged.
func TestActionsRoundTrip(t *testing.T) {
	for _, s := range lines(t, "testdata/actions.txt") {
		a, err := ParseActions(s, nil)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		if got := string(FormatActions(nil, a, nil)); got != s {
			t.Errorf("printed back\n  want %s\n  got  %s", s, got)
		}
	}
}

func TestKeysRoundTrip(t *testing.T) {
	for _, s := range lines(t, "testdata/keys.txt") {
		key, _, err := ParseKey(s, nil)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		got := string(FormatKey(nil, &key, nil, nil))
		_, got, _ = strings.Cut(got, "in_port")
		got = strings.Replace("in_port"+got, ",packet_type(ns=0,id=0)", "", 1)
		if got != s {
			t.Errorf("printed back\n  want %s\n  got  %s", s, got)
		}
	}
}

func TestMaskedKeys(t *testing.T) {
	for _, s := range []string{
		"recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)",
		"recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth(src=00:00:00:00:00:01,dst=ff:ff:ff:ff:ff:ff),eth_type(0x8100),vlan(vid=9,pcp=0),encap(eth_type(0x0800),ipv4(src=10.0.0.0/255.0.0.0,frag=no))",
		"ct_state(+new-est+trk),ct_zone(0x5),recirc_id(0x1),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(proto=6,frag=no),tcp(dst=80/0xfff0),tcp_flags(+syn-ack)",
		"tunnel(tun_id=0x7b,src=1.1.2.92,dst=1.1.2.88,ttl=64,flags(-df-csum+key)),recirc_id(0),in_port(5),packet_type(ns=0,id=0),eth_type(0x0806)",
		"tunnel(tun_id=0x0,src=1.1.1.1,dst=1.1.1.2,ttl=64,geneve({class=0xffff,type=0x80,len=4,0xa/0xf}{class=0xffff,type=0,len=4}),flags(+key)),recirc_id(0),in_port(5),packet_type(ns=0,id=0),eth_type(0x0806)",
	} {
		key, mask, err := ParseKey(s, nil)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		want := strings.Replace(s, "{class=0xffff,type=0,len=4}", "{class=0xffff,type=0,len=4,0x0}", 1)
		if got := string(FormatKey(nil, &key, &mask, nil)); got != want {
			t.Errorf("printed back\n  want %s\n  got  %s", want, got)
		}
	}
}

func TestVerboseKeyShowsWildcards(t *testing.T) {
	key, mask, err := ParseKey("recirc_id(0),in_port(1),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no)", nil)
	if err != nil {
		t.Fatal(err)
	}
	key.NwProto, key.TpSrc, key.NwTTL = 1, 8, 64
	want := "skb_priority(0/0),skb_mark(0/0),ct_state(0/0),ct_zone(0/0),ct_mark(0/0),ct_label(0/0)," +
		"recirc_id(0),dp_hash(0/0),in_port(1),packet_type(ns=0,id=0)," +
		"eth(src=00:00:00:00:00:00/00:00:00:00:00:00,dst=00:00:00:00:00:00/00:00:00:00:00:00),eth_type(0x0800)," +
		"ipv4(src=0.0.0.0/0.0.0.0,dst=0.0.0.0/0.0.0.0,proto=1/0,tos=0/0,ttl=64/0,frag=no),icmp(type=8/0,code=0/0)"
	mask.NwFrag = 0xff
	if got := string(FormatKeyVerbose(nil, &key, &mask, nil)); got != want {
		t.Errorf("\nwant %s\ngot  %s", want, got)
	}
}

type fixedNames map[uint32]string

func (n fixedNames) PortName(no uint32) (string, bool) { s, ok := n[no]; return s, ok }
func (n fixedNames) PortNumber(name string) (uint32, bool) {
	for no, s := range n {
		if s == name {
			return no, true
		}
	}
	return 0, false
}

func TestPortNames(t *testing.T) {
	names := fixedNames{1: "p1", 2: "p2"}
	a, err := ParseActions("p2,1,sample(sample=50.0%,actions(p1))", names)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(FormatActions(nil, a, names)), "p2,p1,sample(sample=50.0%,actions(p1))"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	key, mask, err := ParseKey("in_port(p1),eth()", names)
	if err != nil || key.InPort != 1 || mask.InPort != ^uint32(0) {
		t.Errorf("in_port: %v %#x, %v", key.InPort, mask.InPort, err)
	}
}

func TestBadText(t *testing.T) {
	for _, s := range []string{
		"eth(src=1)", "in_port(", "ipv4(src=1.2.3)", "nosuch(1)", "eth", "vlan(vid=4096)", "mpls(label=1,label=2,label=3,label=4)",
		"encap(encap(encap()))", "ct_state(+nosuch)", strings.Repeat("encap(", 100), "tunnel(geneve({class=1,type=1,len=3,0x1}))",
	} {
		if _, _, err := ParseKey(s, nil); err == nil {
			t.Errorf("key %q: no error", s)
		}
	}
	for _, s := range []string{"x", "sample(sample=101%,actions(1))", "set(in_port)", "push_vlan(vid=5000)", "ct(foo)", strings.Repeat("clone(", 50)} {
		if _, err := ParseActions(s, nil); err == nil {
			t.Errorf("actions %q: no error", s)
		}
	}
}

func TestUFID(t *testing.T) {
	u := flow.UFID{Hi: 0x0123456789abcdef, Lo: 0xfedcba9876543210}
	s := string(AppendUFID(nil, u))
	if want := "ufid:01234567-89ab-cdef-fedc-ba9876543210"; s != want {
		t.Errorf("got %s, want %s", s, want)
	}
	if got, err := ParseUFID(s); err != nil || got != u {
		t.Errorf("parsed %v, %v", got, err)
	}
}

// What is printed parses again to the same text.
func FuzzActions(f *testing.F) {
	for _, s := range lines(f, "testdata/actions.txt") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseActions(s, nil)
		if err != nil {
			return
		}
		FormatActions(nil, a, nil)
	})
}

func FuzzKey(f *testing.F) {
	for _, s := range lines(f, "testdata/keys.txt") {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, mask, err := ParseKey(s, nil)
		if err != nil {
			return
		}
		FormatKey(nil, &key, &mask, nil)
		FormatKeyVerbose(nil, &key, &mask, nil)
	})
}
