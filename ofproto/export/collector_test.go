package export

import (
	"net"
	"testing"
)

func TestCollectors(t *testing.T) {
	listen := func(network, addr string) net.PacketConn {
		c, err := net.ListenPacket(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	a, b := listen("udp4", "127.0.0.1:0"), listen("udp6", "[::1]:0")
	c := OpenCollectors([]string{a.LocalAddr().String(), "nonsense", b.LocalAddr().String()}, -1)
	defer c.Close()
	if c.N() != 2 || c.Complete() {
		t.Fatalf("%d collectors, complete %v", c.N(), c.Complete())
	}
	if n := c.Send([]byte("hello")); n != 0 {
		t.Fatalf("%d errors", n)
	}
	for _, conn := range []net.PacketConn{a, b} {
		buf := make([]byte, 10)
		if n, _, err := conn.ReadFrom(buf); err != nil || string(buf[:n]) != "hello" {
			t.Errorf("%q, %v", buf[:n], err)
		}
	}
	// Loopback tells at once that nobody listens any more: the next datagram fails.
	a.Close()
	if n := c.Send([]byte("x")) + c.Send([]byte("x")); n == 0 {
		t.Error("sending to nobody has no error")
	}
}

func TestNoCollectors(t *testing.T) {
	c := OpenCollectors([]string{"xyzzy", "1.2.3.4"}, -1)
	if c != nil || c.N() != 0 || c.Complete() || c.Send(nil) != 0 {
		t.Error("collectors without a usable target")
	}
	c.Close()
}

func TestParseTarget(t *testing.T) {
	for target, want := range map[string]string{
		"10.0.0.1":         "10.0.0.1:4739",
		"10.0.0.1:5":       "10.0.0.1:5",
		"[fe80::1]:5":      "[fe80::1]:5",
		"[::1]":            "[::1]:4739",
		"xyzzy":            "",
		"10.0.0.1:x":       "",
		"10.0.0.1:65536":   "",
		"10.0.0.1:-1":      "",
		"[::1":             "",
		"[::1]5":           "",
		"::1":              "",
		"":                 "",
		"collector.org:53": "",
	} {
		ap, ok := ParseTarget(target, 4739)
		if got := ap.String(); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %s, want %q", target, got, want)
		}
	}
}
