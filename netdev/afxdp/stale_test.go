package afxdp

import (
	"errors"
	"strings"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"sluice/netdev"
	"sluice/netdev/rtnl"
	"sluice/tests/testkit/fwdtest"
	"sluice/tests/testkit/nstest"
)

// attachByNetlink attaches a program as stock does, in a way that outlives the
// process; with sockets it has a map of AF_XDP sockets.
func attachByNetlink(t *testing.T, dev string, sockets bool) {
	t.Helper()
	spec := &ebpf.ProgramSpec{Name: "xsk_def_prog", Type: ebpf.XDP, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 2), asm.Return()}}
	if sockets {
		m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.XSKMap, KeySize: 4, ValueSize: 4, MaxEntries: 1})
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		spec.Instructions = append(asm.Instructions{
			asm.LoadMapPtr(asm.R1, m.FD()), asm.Mov.Imm(asm.R2, 0), asm.Mov.Imm(asm.R3, 2),
			asm.FnRedirectMap.Call()}, spec.Instructions[1:]...)
	}
	p, err := ebpf.NewProgram(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	l, err := rtnl.Get(dev)
	if err != nil {
		t.Fatal(err)
	}
	if err := rtnl.AttachXDP(l.Index, p.FD(), unix.XDP_FLAGS_DRV_MODE); err != nil {
		t.Fatal(err)
	}
}

func TestLeftBehind(t *testing.T) {
	resetDomains()
	nstest.Veth(t, "ax0", nil, "ax1")
	attachByNetlink(t, "ax0", true)
	d := fwdtest.Open(t, "ax0", "afxdp", nil)
	if got := d.Status()["xdp-mode"]; got != "native" {
		t.Errorf("mode %s", got)
	}
}

func TestOtherProgramStays(t *testing.T) {
	resetDomains()
	nstest.Veth(t, "ax0", nil, "ax1")
	attachByNetlink(t, "ax0", false)
	before, _ := rtnl.Get("ax0")
	d, err := netdev.Open("ax0", "afxdp")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(false)
	if err = d.Reconfigure(); !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "xsk_def_prog") {
		t.Errorf("error %v", err)
	}
	if after, _ := rtnl.Get("ax0"); after.XDPProg != before.XDPProg {
		t.Error("the program was replaced")
	}
}
