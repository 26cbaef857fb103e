package ofproto

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/netdev"
	"sluice/netdev/vport"
)

var enableTunnels = sync.OnceFunc(func() { vport.RegisterTunnels(nil) })

// tunnel opens a tunnel and adds it to the bridge; options are KEY=VALUE.
func (w *world) tunnel(name, typ string, options ...string) (netdev.Device, uint32, error) {
	w.t.Helper()
	enableTunnels()
	dev, err := netdev.Open(name, typ)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = dev.Close(false) })
	w.options(dev, options...)
	no, err := w.sw.PortAdd(dev, 0, w.now)
	return dev, no, err
}

func (w *world) options(dev netdev.Device, options ...string) {
	w.t.Helper()
	m := map[string]string{}
	for _, o := range options {
		k, v, _ := strings.Cut(o, "=")
		m[k] = v
	}
	if err := dev.SetConfig(m); err != nil {
		w.t.Fatal(err)
	}
}

// shared lists the datapath ports of tunnels.
func (w *world) shared() string {
	var list []string
	for _, p := range w.b.Dpif().Ports() {
		if strings.Contains(p.Name, "_sys") {
			list = append(list, p.Name)
		}
	}
	return strings.Join(list, " ")
}

func TestTunnelsShareDatapathPorts(t *testing.T) {
	w := newWorld(t, 1)
	check := func(what, want string) {
		t.Helper()
		w.b.Run(w.now)
		if got := w.shared(); got != want {
			t.Errorf("%s: datapath ports %q, want %q", what, got, want)
		}
	}
	a, aNo, err := w.tunnel("tsa", "vxlan", "remote_ip=1.1.1.1")
	if err != nil {
		t.Fatal(err)
	}
	_, bNo, err := w.tunnel("tsb", "vxlan", "remote_ip=1.1.1.2")
	if err != nil {
		t.Fatal(err)
	}
	check("two tunnels", "vxlan_sys_4789")
	if x, y := w.sw.Port(aNo).DPPort, w.sw.Port(bNo).DPPort; x != y || x == dpif.PortNone {
		t.Errorf("datapath ports %d and %d", x, y)
	}

	if _, _, err := w.tunnel("tsc", "vxlan", "remote_ip=1.1.1.1", "out_key=4"); !errors.Is(err, unix.EEXIST) {
		t.Errorf("the same tunnel again: %v", err)
	}
	if _, _, err := w.tunnel("tsd", "gre", "remote_ip=1.1.1.1"); err != nil {
		t.Fatal(err)
	}
	check("another type", "vxlan_sys_4789 gre_sys")

	w.options(a, "remote_ip=1.1.1.1", "dst_port=5000")
	w.sw.Run(w.now)
	check("another UDP port", "vxlan_sys_4789 gre_sys vxlan_sys_5000")
	if x, y := w.sw.Port(aNo).DPPort, w.sw.Port(bNo).DPPort; x == y {
		t.Error("the tunnel did not move")
	}
	w.options(a, "remote_ip=1.1.1.2")
	w.sw.Run(w.now)
	check("like another tunnel", "vxlan_sys_4789 gre_sys")
	if p := w.b.udpif.Snapshot().BridgeByName("br0").Port(aNo); p.ODP != dpif.PortNone {
		t.Errorf("two tunnels for the same packets: datapath port %d", p.ODP)
	}
	w.sw.PortDel(bNo, w.now)
	check("the other is gone", "vxlan_sys_4789 gre_sys")
	snap := w.b.udpif.Snapshot()
	if p := snap.BridgeByName("br0").Port(aNo); p.ODP == dpif.PortNone {
		t.Error("the tunnel has no place although the other one is gone")
	}
	f := flow.Flow{InPort: w.sw.Port(aNo).DPPort}
	f.Tunnel.IPSrc, f.Tunnel.IPDst = 0x01010102, 0x02020202
	if _, no, err := snap.Find(&f, nil); no != aNo || err != nil {
		t.Errorf("a packet came by port %d, %v", no, err)
	}
	f.Tunnel.IPSrc = 0x01010101
	if _, _, err := snap.Find(&f, nil); fmt.Sprint(err) != "no OpenFlow tunnel port for this packet" {
		t.Errorf("a packet of no tunnel: %v", err)
	}
	w.sw.PortDel(aNo, w.now)
	check("no VXLAN tunnel", "gre_sys")

	// Somebody takes the port away, and there is another one.
	gre, _, _ := w.b.Dpif().PortByName("gre_sys")
	if err := w.b.Dpif().PortDel(gre.No); err != nil {
		t.Fatal(err)
	}
	if !w.b.FollowTunnelPort("gre_sys") || w.b.FollowTunnelPort("vxlan_sys_4789") {
		t.Error("not the ports that there are")
	}
	check("it was removed", "gre_sys")
}
