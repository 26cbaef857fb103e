package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// stockBin is where the packaged Open vSwitch has its daemons.
const stockBin = "/usr/sbin"

// underlay gives a switch a bridge br0 with an address and the link up as its port.
func underlay(s *testkit.Switch, cidr string) {
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "--", "add-port", "br0", "ul0")
	s.Run("ip", "addr", "add", cidr, "dev", "br0")
	s.Run("ip", "link", "set", "br0", "up")
}

// overlay gives a switch a bridge br1 with a tunnel and a host at addr, whose packets
// fit into the tunnel.
func overlay(t *testing.T, s *testkit.Switch, addr string, tunnel ...string) *testkit.Host {
	t.Helper()
	h := testkit.NewHost(t, "h")
	s.Veth(h, "p0", "eth0", addr+"/24")
	h.Run("ip", "link", "set", "eth0", "mtu", "1400")
	s.Vsctl(append([]string{"add-br", "br1", "--", "set", "bridge", "br1", "datapath_type=netdev", "--", "add-port", "br1", "p0",
		"--", "add-port", "br1", "tun0", "--", "set", "interface", "tun0"}, tunnel...)...)
	return h
}

// A host on the switch and the kernel's own VXLAN device reach each other.
func TestVXLANWithKernel(t *testing.T) {
	testkit.Need(t, "iperf3", "ping")
	s := testkit.NewSwitch(t, testkit.Options{})
	peer := testkit.NewHost(t, "h")
	s.Veth(peer, "ul0", "eth0", "10.8.0.2/24")
	underlay(s, "10.8.0.1/24")
	for n, tc := range []struct{ name, csum, kernel string }{{"without checksum", "false", "noudpcsum"}, {"with checksum", "true", "udpcsum"}} {
		t.Run(tc.name, func(t *testing.T) {
			h := overlay(t, s, fmt.Sprintf("10.7.%d.1", n), "type=vxlan", "options:remote_ip=10.8.0.2", "options:key=42", "options:csum="+tc.csum)
			addr := fmt.Sprintf("10.7.%d.2", n)
			peer.Run("ip", "link", "add", "vx0", "type", "vxlan", "id", "42", "dstport", "4789", "remote", "10.8.0.1", "local", "10.8.0.2", tc.kernel)
			peer.Run("ip", "addr", "add", addr+"/24", "dev", "vx0")
			peer.Run("ip", "link", "set", "vx0", "mtu", "1400", "up")
			h.Ping(addr, 10)
			requireTCP(t, h, peer, addr)
			requireTCP(t, peer, h, fmt.Sprintf("10.7.%d.1", n))
			if show := s.Appctl("tnl/neigh/show"); !strings.Contains(show, "10.8.0.2") {
				t.Errorf("tnl/neigh/show:\n%s", show)
			}
			if routes := s.Appctl("ovs/route/show"); !strings.Contains(routes, "Cached: 10.8.0.0/24 dev br0 SRC 10.8.0.1") {
				t.Errorf("ovs/route/show:\n%s", routes)
			}
			peer.Run("ip", "link", "del", "vx0")
			s.Vsctl("del-br", "br1")
			s.Run("ip", "link", "del", "p0")
		})
	}
}

// The bridge has the address of its NIC and the host's IP address; the host answers
// what comes in by the NIC once.
func TestAddressAtBridge(t *testing.T) {
	testkit.Need(t, "ping")
	s := testkit.NewSwitch(t, testkit.Options{})
	peer := testkit.NewHost(t, "h")
	s.Veth(peer, "ul0", "eth0", "10.8.0.2/24")
	const nic = "00:16:3e:00:00:01"
	s.Run("ip", "link", "set", "ul0", "address", nic)
	underlay(s, "10.8.0.1/24")
	if got := s.Vsctl("get", "interface", "br0", "mac_in_use"); !strings.Contains(got, nic) {
		t.Fatalf("br0 has the address %s", got)
	}
	peer.Ping("10.8.0.1", 10)
	if out := peer.Run("ping", "-c", "5", "-i", "0.1", "-W", "2", "10.8.0.1"); strings.Contains(out, "DUP!") || !strings.Contains(out, " 0% packet loss") {
		t.Error(out)
	}
}

// Tunnels that hosts make themselves cross the switch: the hosts leave segmentation
// and checksums of what is inside to their devices.
func TestTunnelsOfHosts(t *testing.T) {
	testkit.Need(t, "iperf3", "ping")
	for _, kind := range []string{"system", "afxdp"} {
		t.Run(kind, func(t *testing.T) {
			s := testkit.NewSwitch(t, testkit.Options{})
			s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
			var hosts [2]*testkit.Host
			for n := range hosts {
				hosts[n] = testkit.NewHost(t, "h")
				port := fmt.Sprintf("p%d", n)
				s.Veth(hosts[n], port, "eth0", fmt.Sprintf("10.8.0.%d/24", n+1))
				s.Vsctl("add-port", "br0", port, "--", "set", "interface", port, "type="+kind)
			}
			for k, link := range [][]string{
				{"type", "vxlan", "id", "42", "dstport", "4789"},
				{"type", "vxlan", "id", "42", "dstport", "8472", "udpcsum"},
			} {
				for n, h := range hosts {
					h.Run("ip", slices.Concat([]string{"link", "add", "tun0"}, link, []string{"local", fmt.Sprintf("10.8.0.%d", n+1), "remote", fmt.Sprintf("10.8.0.%d", 2-n)})...)
					h.Run("ip", "addr", "add", fmt.Sprintf("10.7.%d.%d/24", k, n+1), "dev", "tun0")
					h.Run("ip", "link", "set", "tun0", "up")
				}
				addr := fmt.Sprintf("10.7.%d.2", k)
				hosts[0].Ping(addr, 10)
				requireTCP(t, hosts[0], hosts[1], addr)
				for _, h := range hosts {
					h.Run("ip", "link", "del", "tun0")
				}
			}
		})
	}
}

// Tunnels between two of our switches, and between ours and the packaged one.
func TestTunnelsBetweenSwitches(t *testing.T) {
	testkit.Need(t, "iperf3", "ping", "ethtool")
	for _, other := range []string{"", stockBin} {
		for _, tc := range []struct {
			name, a, b string // the addresses of the underlay
			options    []string
		}{
			{"vxlan", "10.8.0.1", "10.8.0.2", []string{"type=vxlan", "options:key=42"}},
			{"geneve", "10.8.0.1", "10.8.0.2", []string{"type=geneve", "options:key=42", "options:csum=true"}},
			{"gre", "10.8.0.1", "10.8.0.2", []string{"type=gre", "options:key=42", "options:csum=true"}},
			{"erspan", "10.8.0.1", "10.8.0.2", []string{"type=erspan", "options:key=42", "options:erspan_ver=2", "options:erspan_dir=1", "options:erspan_hwid=7"}},
			{"geneve over IPv6", "fd00::1", "fd00::2", []string{"type=geneve", "options:key=42"}},
		} {
			with := "ours"
			if other != "" {
				with = "stock"
			}
			t.Run(tc.name+" to "+with, func(t *testing.T) {
				a, b := testkit.NewSwitch(t, testkit.Options{}), testkit.NewSwitch(t, testkit.Options{Bin: other})
				a.Veth(b.Host, "ul0", "ul0", "")
				length := "/24"
				if strings.Contains(tc.a, ":") {
					length = "/64"
				}
				for _, s := range []*testkit.Switch{a, b} {
					s.Run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0", "net.ipv6.conf.default.disable_ipv6=0",
						"net.ipv6.conf.default.accept_dad=0")
				}
				if other != "" {
					// Its host hears what comes in by ul0 too, and must not answer
					// there for br0.
					b.Run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
				}
				underlay(a, tc.a+length)
				underlay(b, tc.b+length)
				ha := overlay(t, a, "10.7.0.1", append(tc.options, "options:remote_ip="+tc.b)...)
				hb := overlay(t, b, "10.7.0.2", append(tc.options, "options:remote_ip="+tc.a)...)
				if other != "" {
					// The packaged switch cannot finish checksums that its neighbours
					// on a veth leave to the hardware.
					hb.Run("ethtool", "-K", "eth0", "tx", "off")
					a.Run("ethtool", "-K", "ul0", "tx", "off")
					b.Run("ethtool", "-K", "ul0", "tx", "off")
				}
				ha.Ping("10.7.0.2", 10)
				requireTCP(t, ha, hb, "10.7.0.2")
				requireTCP(t, hb, ha, "10.7.0.1")
				testkit.Eventually(t, 5*time.Second, "the tunnel counts packets", func() bool {
					out := a.Vsctl("get", "interface", "tun0", "statistics:rx_packets", "statistics:tx_packets")
					return !strings.HasPrefix(out, "0") && !strings.HasSuffix(out, "\n0")
				})
			})
		}
	}
}
