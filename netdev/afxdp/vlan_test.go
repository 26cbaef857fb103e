package afxdp

import (
	"net"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"sluice/netdev/packet"
	"sluice/tests/testkit/fwdtest"
	"sluice/tests/testkit/nstest"
)

// pushTag has every packet that leaves by eth0 of ns carry VLAN 5 beside the
// frame, as a VLAN device on a veth does.
func pushTag(t *testing.T, ns *nstest.NS) {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{
			asm.Mov.Imm(asm.R2, 0x0081), // ETH_P_8021Q in network order
			asm.Mov.Imm(asm.R3, 5),
			asm.FnSkbVlanPush.Call(),
			asm.Mov.Imm(asm.R0, 0),
			asm.Return(),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer prog.Close()
	ns.Do(t, func() {
		var dev *net.Interface
		if dev, err = net.InterfaceByName("eth0"); err != nil {
			return
		}
		var l link.Link
		l, err = link.AttachTCX(link.TCXOptions{Interface: dev.Index, Program: prog, Attach: ebpf.AttachTCXEgress})
		if err == nil {
			t.Cleanup(func() { l.Close() })
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestTagBesideTheFrame proves that a tag which veth keeps out of band is in the
// frames that the switch sees.
func TestTagBesideTheFrame(t *testing.T) {
	resetDomains()
	n := newTopology(t)
	pushTag(t, n.a)
	d0, d1 := fwdtest.Open(t, "ax0", "afxdp", nil), fwdtest.Open(t, "ax1", "afxdp", nil)
	if got := d0.Status()["vlan-tag-restored"]; got != "true" {
		t.Fatalf("Linux 6.8 and later tell the tag: %s", got)
	}
	f := fwdtest.New(testPool)
	tagged, plain := 0, 0
	got := make(chan bool, 1)
	f.Watch = func(p *packet.Pool, i packet.Index) {
		b := p.Data(i)
		if b[12] == 0x81 && b[13] == 0 && b[15] == 5 && b[16] == 8 {
			tagged++
		} else {
			plain++
		}
		select {
		case got <- true:
		default:
		}
	}
	f.Start(t, d0, d1)
	// Nobody answers a tagged ARP request: it is enough that one comes.
	cmd := n.a.Command("ping", "-q", "-c", "1", "-W", "1", "10.77.0.2")
	_ = cmd.Run()
	<-got
	f.Stop()
	if tagged == 0 || plain != 0 {
		t.Errorf("%d packets with the tag, %d without", tagged, plain)
	}
}
