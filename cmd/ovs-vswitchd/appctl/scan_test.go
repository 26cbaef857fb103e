package appctl

import (
	"testing"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
)

func TestScan(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint32
		ok   bool
	}{{"5", 5, true}, {" 5", 5, true}, {"+5", 5, true}, {"5x", 5, true}, {"-1", 1<<32 - 1, true}, {"99999999999", 1215752191, true},
		{"", 0, false}, {"x5", 0, false}, {"-", 0, false}} {
		if n, ok := scanUint(c.text); n != c.want || ok != c.ok {
			t.Errorf("%q: %d, %t, want %d, %t", c.text, n, ok, c.want, c.ok)
		}
	}
	for _, c := range []struct {
		text string
		want flow.MAC
		ok   bool
	}{
		{"50:54:00:00:00:1A", flow.MAC{0x50, 0x54, 0, 0, 0, 0x1a}, true},
		{" 1:2:3:4:5:6x", flow.MAC{1, 2, 3, 4, 5, 6}, true},
		{"50-54-00-00-00-1a", flow.MAC{}, false}, {"1:2:3:4:5", flow.MAC{}, false}, {"1:2:3:4:5:", flow.MAC{}, false}, {"", flow.MAC{}, false},
	} {
		if mac, ok := scanMAC(c.text); ok != c.ok || ok && mac != c.want {
			t.Errorf("%q: %v, %t, want %v, %t", c.text, mac, ok, c.want, c.ok)
		}
	}
}

// A filter cannot exclude a flow by what the flow does not look at.
func TestParseFilter(t *testing.T) {
	for _, c := range []struct {
		filter, flow string
		want         bool
	}{
		{"tcp", "in_port(1),eth(),eth_type(0x0800),ipv4(proto=6,frag=no)", true},
		{"tcp", "in_port(1),eth(),eth_type(0x0800),ipv4(proto=17,frag=no)", false},
		{"tcp", "in_port(1),eth(),eth_type(0x0800),ipv4(frag=no)", true},
		{"tcp", "in_port(1),eth(),eth_type(0x0806)", false},
		{"ip,nw_src=10.1.2.3", "in_port(1),eth(),eth_type(0x0800),ipv4(src=10.1.0.0/255.255.0.0)", true},
		{"ip,nw_src=10.2.2.3", "in_port(1),eth(),eth_type(0x0800),ipv4(src=10.1.0.0/255.255.0.0)", false},
	} {
		key, mask, err := odp.ParseKey(c.flow, nil)
		if err != nil {
			t.Fatal(err)
		}
		match, err := parseFilter(c.filter, noNames{})
		if err != nil {
			t.Fatal(err)
		}
		if got := match(&key, &mask); got != c.want {
			t.Errorf("%s passes %s: %t, want %t", c.flow, c.filter, got, c.want)
		}
	}
	for filter, want := range map[string]string{
		"bogus=1":             "bogus=1: unknown field bogus",
		"nw_src=10.0.0.1":     "nw_src=10.0.0.1: prerequisites not met for setting nw_src",
		"tcp,tp_dst=x":        "tcp,tp_dst=x: bad value for tp_dst (x: bad syntax for tcp_dst value)",
		"ip,nw_src=1.0.0.0/8": "ip,nw_src=1.0.0.0/8: bad value for nw_src (1.0.0.0/8: wildcards not allowed here)",
	} {
		if _, err := parseFilter(filter, noNames{}); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", filter, err, want)
		}
	}
}

type noNames struct{}

func (noNames) PortName(uint32) (string, bool)   { return "", false }
func (noNames) PortNumber(string) (uint32, bool) { return 0, false }
