package sockaddr

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestRoundTrip(t *testing.T) {
	for _, c := range []struct {
		in     string
		family int
		out    string // "": as in
	}{
		{"10.0.0.1:6343", unix.AF_INET, ""},
		{"[2001:db8::1]:80", unix.AF_INET6, ""},
		{"[::ffff:1.2.3.4]:1", unix.AF_INET6, ""},
		{"[fe80::1%lo]:2", unix.AF_INET6, ""},
		{"[fe80::1%1]:2", unix.AF_INET6, "[fe80::1%lo]:2"}, // the loopback is always first
		{"[fe80::1%no-such]:2", unix.AF_INET6, "[fe80::1]:2"},
	} {
		family, sa := Of(netip.MustParseAddrPort(c.in))
		want := c.out
		if want == "" {
			want = c.in
		}
		if got := AddrPort(sa).String(); got != want || family != c.family {
			t.Errorf("%s: %s of family %d, want %s of %d", c.in, got, family, want, c.family)
		}
	}
	if got := AddrPort(&unix.SockaddrUnix{Name: "/x"}); got.IsValid() {
		t.Errorf("a path is %s", got)
	}
}
