package vport

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/netdev"
)

func TestTypes(t *testing.T) {
	RegisterPatch()
	RegisterTunnels(nil)
	want := []string{"bareudp", "erspan", "geneve", "gre", "gtpu", "ip6erspan", "ip6gre",
		"lisp", "patch", "stt", "vxlan"}
	if got := netdev.Types(); !slices.Equal(got, want) {
		t.Errorf("types %v", got)
	}
	if c, _ := netdev.ClassOf("patch"); !c.Virtual {
		t.Error("patch is not virtual")
	}
}

func TestPatchConfig(t *testing.T) {
	RegisterPatch()
	dev, err := netdev.Open("pa", "patch")
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close(false)
	for _, tc := range []struct {
		options map[string]string
		text    string
	}{
		{nil, "pa: patch type requires valid 'peer' argument"},
		{map[string]string{"peer": "pb", "x": "y"}, "pa: patch type takes only a 'peer' argument"},
		{map[string]string{"peer": "pa"}, "pa: patch peer must not be self"},
		{map[string]string{"peer": "pb"}, ""},
	} {
		err := dev.SetConfig(tc.options)
		switch {
		case tc.text == "" && err != nil:
			t.Errorf("%v: %v", tc.options, err)
		case tc.text != "" && (err == nil || err.Error() != tc.text || !errors.Is(err, unix.EINVAL)):
			t.Errorf("%v: %v, want %s", tc.options, err, tc.text)
		}
	}
	if got := dev.(*Patch).Peer(); got != "pb" {
		t.Errorf("peer %q", got)
	}
	if mac := dev.EtherAddr(); mac[0]&3 != 2 {
		t.Errorf("address %x", mac)
	}
}

func TestReservedNames(t *testing.T) {
	for name, want := range map[string]bool{"vxlan_sys_4789": true, "ovs-netdev": true,
		"ovs-mine": false, "br0": false} {
		if got := IsReservedName(name, []string{"netdev", "system"}); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
