package tunnel

import (
	"net/netip"
	"strings"
	"testing"
)

func table() *Routes {
	return &Routes{Addrs: func(dev string) []netip.Prefix {
		if dev != "br0" {
			return nil
		}
		return []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8:cafe::1/64")}
	}}
}

func TestRouteCommands(t *testing.T) {
	r := table()
	for _, args := range []string{
		"198.51.100.0/24 br0 192.0.2.254",
		"192.0.2.1/24 br0 pkt_mark=123",
		"198.51.100.200/24 br0 192.0.2.250 pkt_mark=1234",
		"2001:db8:babe::/64 br0 2001:db8:cafe::2",
	} {
		if err := r.AddCommand(strings.Fields(args)); err != nil {
			t.Errorf("add %s: %v", args, err)
		}
	}
	for _, line := range []string{
		"User: 192.0.2.0/24 MARK 123 dev br0 SRC 192.0.2.1\n",
		"User: 198.51.100.0/24 MARK 1234 dev br0 GW 192.0.2.250 SRC 192.0.2.1\n",
		"User: 198.51.100.0/24 dev br0 GW 192.0.2.254 SRC 192.0.2.1\n",
		"User: 2001:db8:babe::/64 dev br0 GW 2001:db8:cafe::2 SRC 2001:db8:cafe::1\n",
	} {
		if !strings.Contains(r.Show(), line) {
			t.Errorf("show lacks %q:\n%s", line, r.Show())
		}
	}
	for _, c := range []struct{ args, want string }{
		{"198.51.100.1", "src 192.0.2.1\ngateway 192.0.2.254\ndev br0\n"},
		{"198.51.100.1 pkt_mark=1234", "src 192.0.2.1\ngateway 192.0.2.250\ndev br0\n"},
		{"203.0.113.1", "Not found"},
		{"x", "Invalid parameters"},
	} {
		got, err := r.LookupCommand(strings.Fields(c.args))
		if err != nil {
			got = err.Error()
		}
		if got != c.want {
			t.Errorf("lookup %s: %q, want %q", c.args, got, c.want)
		}
	}
	if err := r.DelCommand([]string{"198.51.100.0/24", "pkt_mark=1234"}); err != nil {
		t.Error(err)
	}
	if err := r.DelCommand([]string{"198.51.100.0/24", "pkt_mark=1234"}); err != ErrNotFound {
		t.Errorf("second delete: %v", err)
	}
	if err := r.AddCommand([]string{"10.0.0.0/8", "nosuch"}); err != ErrInsert {
		t.Errorf("route over a device without an address: %v", err)
	}
}
