package odp

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExactKeys(t *testing.T) {
	for text, want := range map[string]string{
		"in_port(1),eth(),eth_type(0x0800),ipv4(src=1.2.3.4)": "in_port(1),eth(src=00:00:00:00:00:00,dst=00:00:00:00:00:00),eth_type(0x0800)," +
			"ipv4(src=1.2.3.4,dst=0.0.0.0,proto=0,tos=0,ttl=0,frag=no)",
		"skb_mark(0x3),in_port(2),eth(src=01:02:03:04:05:06),eth_type(0x1234)": "skb_mark(0x3),in_port(2)," +
			"eth(src=01:02:03:04:05:06,dst=00:00:00:00:00:00),eth_type(0x1234)",
	} {
		key, mask, err := ParseExactKey(text, nil)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := string(FormatKey(nil, &key, &mask, nil)); got != want {
			t.Errorf("%s is\n%s, want\n%s", text, got, want)
		}
	}
	if _, _, err := ParseExactKey("in_port(1),eth(src=01:02:03:04:05:06/ff:ff:00:00:00:00)", nil); err == nil {
		t.Error("a mask is accepted")
	}
}

// An error shows the text from the wrong attribute on.
func TestKeyErrors(t *testing.T) {
	for text, want := range map[string]string{
		"x":                                "x",
		"in_port(1),eth(),bogus(1)":        "bogus(1)",
		"in_port(1),eth(src=x),vlan()":     "eth(src=x),vlan()",
		"in_port(1),eth(),ipv4(src=1.1":    "ipv4(src=1.1",
		"in_port(1),eth())":                ")",
		"vlan(vid=5000)":                   "vlan(vid=5000)",
		"eth(),encap(eth_type(0x800),y())": "encap(eth_type(0x800),y())",
	} {
		_, _, err := ParseKey(text, nil)
		var e *KeyError
		if !errors.As(err, &e) || e.At != want || e.Error() != "syntax error at "+want || e.Cause == nil || !errors.Is(err, unix.EINVAL) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
