package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// newChassis starts a switch that is told of a central node.
func newChassis(t *testing.T, c *central, name, bin string) *testkit.Switch {
	t.Helper()
	s := testkit.NewSwitch(t, testkit.Options{Bin: bin})
	s.Vsctl("set", "Open_vSwitch", ".", "external_ids:system-id="+name, "external_ids:ovn-remote="+c.sb,
		"external_ids:ovn-bridge-datapath-type=netdev")
	return s
}

// join puts a chassis into the underlay and starts ovn-controller, which makes br-int.
func join(t *testing.T, s *testkit.Switch, addr string) {
	t.Helper()
	underlay(s, addr+"/24")
	s.Vsctl("set", "Open_vSwitch", ".", "external_ids:ovn-encap-type=geneve", "external_ids:ovn-encap-ip="+addr)
	s.Daemon("ovn-controller", "ovn-controller", "unix:"+s.Dir+"/db.sock")
	testkit.Eventually(t, 10*time.Second, "br-int is there", func() bool {
		_, err := s.TryTool("ovs-vsctl", "--timeout=20", "br-exists", "br-int")
		return err == nil
	})
}

// vm attaches a host to br-int as logical port vmN with MAC address aa:aa:aa:00:00:0N.
func vm(t *testing.T, s *testkit.Switch, n int, kind, addr, gateway string) *testkit.Host {
	t.Helper()
	h := testkit.NewHost(t, "h")
	name := fmt.Sprintf("vm%d", n)
	s.Veth(h, name, "eth0", "")
	h.Run("ip", "link", "set", "eth0", "address", fmt.Sprintf("aa:aa:aa:00:00:%02x", n), "mtu", "1400")
	if addr != "" {
		h.Run("ip", "addr", "add", addr+"/24", "dev", "eth0")
		h.Run("ip", "route", "add", "default", "via", gateway)
	}
	s.Vsctl("add-port", "br-int", name, "--", "set", "Interface", name, "type="+kind, "external_ids:iface-id="+name)
	return h
}

// cloud is a logical network on two chassis: vm0 and vm1 on the first and vm3 on the
// second are on logical switch ls0, vm2 on the first is on ls1, and logical router lr0
// connects the two.
type cloud struct {
	*central
	t  *testing.T
	hv [2]*testkit.Switch
	vm [4]*testkit.Host
}

// attach is the ovn-nbctl command that connects a logical switch to a router.
func attach(router, sw, mac, cidr string) []string {
	a, b := router+"-"+sw, sw+"-"+router
	return []string{"--", "lrp-add", router, a, mac, cidr, "--", "lsp-add", sw, b, "--", "lsp-set-type", b, "router",
		"--", "lsp-set-addresses", b, "router", "--", "lsp-set-options", b, "router-port=" + a}
}

// newCloud starts it; all daemons of Open vSwitch are those of bin.
func newCloud(t *testing.T, bin string) *cloud {
	t.Helper()
	c := &cloud{central: newCentral(t, bin, true), t: t}
	for i := range c.hv {
		c.hv[i] = newChassis(t, c.central, fmt.Sprintf("hv%d", i), bin)
	}
	c.hv[0].Veth(c.hv[1].Host, "ul0", "ul0", "")
	for i, s := range c.hv {
		join(t, s, fmt.Sprintf("10.8.0.%d", i+1))
	}
	c.vm[0] = vm(t, c.hv[0], 0, "afxdp", "10.0.0.10", "10.0.0.1")
	c.vm[1] = vm(t, c.hv[0], 1, "system", "10.0.0.11", "10.0.0.1")
	c.vm[2] = vm(t, c.hv[0], 2, "system", "10.0.1.12", "10.0.1.1")
	c.vm[3] = vm(t, c.hv[1], 3, "afxdp", "10.0.0.13", "10.0.0.1")
	c.Nbctl("ls-add", "ls0", "--", "ls-add", "ls1")
	for i, addr := range []string{"ls0 10.0.0.10", "ls0 10.0.0.11", "ls1 10.0.1.12", "ls0 10.0.0.13"} {
		sw, ip, _ := strings.Cut(addr, " ")
		name := fmt.Sprintf("vm%d", i)
		c.Nbctl("lsp-add", sw, name, "--", "lsp-set-addresses", name, fmt.Sprintf("aa:aa:aa:00:00:%02x %s", i, ip))
	}
	c.Nbctl(append([]string{"lr-add", "lr0"}, attach("lr0", "ls0", "00:00:00:00:ff:01", "10.0.0.1/24")...)...)
	c.Nbctl(attach("lr0", "ls1", "00:00:00:00:ff:02", "10.0.1.1/24")...)
	c.sync()
	return c
}

// sync waits until all chassis have taken the northbound database over.
func (c *cloud) sync() {
	c.t.Helper()
	c.Nbctl("--wait=hv", "sync")
}

// serve answers TCP connections to a port with the host's name.
func serve(h *testkit.Host, port string) {
	h.Start("busybox", "nc", "-ll", "-p", port, "-e", "echo", h.Name)
}

// ask connects to a server of serve and returns what it says.
func ask(h *testkit.Host, addr, port string) string {
	out, err := h.Try("busybox", "nc", "-w", "1", addr, port)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(out)
}

// requireAnswer waits until a server answers.
func requireAnswer(t *testing.T, from, to *testkit.Host, addr, port string) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, addr+" port "+port+" answers", func() bool { return ask(from, addr, port) == to.Name })
}

// requirePing waits until a ping is answered.
func requirePing(t *testing.T, from *testkit.Host, addr string) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, addr+" answers", func() bool {
		_, err := from.Try("ping", "-q", "-n", "-W", "1", "-c", "1", addr)
		return err == nil
	})
}

// The packaged ovn-controller builds logical networks on our switch.
func TestOVNController(t *testing.T) {
	testkit.Need(t, "ovn-northd", "ovn-controller", "ping", "iperf3", "busybox")
	c := newCloud(t, "")
	for _, tc := range []struct {
		name string
		run  func(*testing.T, *cloud)
	}{
		{"switch and router", forwarding},
		{"ACL", acl},
		{"DHCP", dhcp},
		{"load balancer", loadBalancer},
		{"gateway", gateway},
		{"log", aclLog},
		{"restart", restart},
	} {
		if !t.Run(tc.name, func(t *testing.T) { tc.run(t, c) }) {
			break
		}
	}
	c.requireQuietLogs(t)
	for _, s := range c.hv {
		requireQuietLogs(t, s.Dir)
	}
}

func forwarding(t *testing.T, c *cloud) {
	c.vm[0].Ping("10.0.0.11", 5)
	c.vm[0].Ping("10.0.1.12", 5)
	// To the other chassis, through a Geneve tunnel.
	c.vm[0].Ping("10.0.0.13", 5)
	c.vm[2].Ping("10.0.0.13", 5)
	requireTCP(t, c.vm[0], c.vm[1], "10.0.0.11")
	requireTCP(t, c.vm[0], c.vm[2], "10.0.1.12")
	requireTCP(t, c.vm[0], c.vm[3], "10.0.0.13")
	requireTCP(t, c.vm[3], c.vm[2], "10.0.1.12")
	// ovn-controller itself makes what the router says.
	if out, err := c.vm[0].Try("ping", "-c", "1", "-W", "2", "-t", "1", "10.0.1.12"); err == nil || !strings.Contains(out, "From 10.0.0.1 icmp_seq=1 Time to live exceeded") {
		t.Errorf("a hop too many:\n%s", out)
	}
}

func acl(t *testing.T, c *cloud) {
	serve(c.vm[1], "80")
	serve(c.vm[1], "81")
	requireAnswer(t, c.vm[3], c.vm[1], "10.0.0.11", "81")
	c.Nbctl("acl-add", "ls0", "to-lport", "1001", `outport == "vm1" && tcp.dst == 80`, "allow-related",
		"--", "acl-add", "ls0", "to-lport", "1000", `outport == "vm1" && ip4`, "drop",
		"--", "acl-add", "ls0", "from-lport", "1001", `inport == "vm1" && ip4`, "allow-related")
	c.sync()
	for _, from := range []*testkit.Host{c.vm[0], c.vm[3]} {
		requireAnswer(t, from, c.vm[1], "10.0.0.11", "80")
		if got := ask(from, "10.0.0.11", "81"); got != "" {
			t.Errorf("a dropped connection is answered: %s", got)
		}
		if out, err := from.Try("ping", "-c", "1", "-W", "1", "10.0.0.11"); err == nil {
			t.Errorf("a dropped ping is answered:\n%s", out)
		}
	}
	requirePing(t, c.vm[1], "10.0.0.13") // what vm1 begins is answered
	c.Nbctl("acl-del", "ls0", "--", "acl-add", "ls0", "to-lport", "1000", `outport == "vm1" && ip4`, "reject")
	c.sync()
	if out, _ := c.vm[0].Try("busybox", "nc", "-w", "5", "10.0.0.11", "80"); !strings.Contains(out, "Connection refused") {
		t.Errorf("a rejected connection: %s", out)
	}
	c.Nbctl("acl-del", "ls0")
	c.sync()
	requirePing(t, c.vm[0], "10.0.0.11")
}

// lease is the script of udhcpc: it takes what the server offers.
const lease = `#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr add $ip/$mask dev $interface && ip route add default via $router && echo "bound $ip/$mask via $router mtu $mtu"
`

func dhcp(t *testing.T, c *cloud) {
	c.Nbctl("--", "--id=@o", "create", "DHCP_Options", "cidr=10.0.0.0/24",
		`options="server_id"="10.0.0.1" "server_mac"="00:00:00:00:ff:01" "lease_time"="3600" "router"="10.0.0.1" "mtu"="1400"`,
		"--", "add", "Logical_Switch_Port", "vm1", "dhcpv4_options", "@o")
	c.sync()
	script := filepath.Join(c.Dir, "lease")
	if err := os.WriteFile(script, []byte(lease), 0o755); err != nil {
		t.Fatal(err)
	}
	c.vm[1].Run("ip", "addr", "flush", "dev", "eth0")
	out := c.vm[1].Run("busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "1", "-s", script)
	if !strings.Contains(out, "bound 10.0.0.11/24 via 10.0.0.1 mtu 1400") {
		t.Errorf("udhcpc:\n%s", out)
	}
	requirePing(t, c.vm[1], "10.0.1.12")
}

func loadBalancer(t *testing.T, c *cloud) {
	c.Nbctl("lb-add", "lb0", "10.0.2.1:80", "10.0.0.11:8080,10.0.0.13:8080", "tcp", "--", "lr-lb-add", "lr0", "lb0",
		"--", "ls-lb-add", "ls0", "lb0", "--", "ls-lb-add", "ls1", "lb0")
	c.sync()
	serve(c.vm[1], "8080")
	serve(c.vm[3], "8080")
	for _, from := range []*testkit.Host{c.vm[2], c.vm[0]} { // routed, and on the backends' switch
		seen := map[string]bool{}
		testkit.Eventually(t, 20*time.Second, "both backends answer", func() bool {
			seen[ask(from, "10.0.2.1", "80")] = true
			return seen[c.vm[1].Name] && seen[c.vm[3].Name]
		})
	}
	c.Nbctl("lb-del", "lb0")
	c.sync()
	if got := ask(c.vm[2], "10.0.2.1", "80"); got != "" {
		t.Errorf("a deleted load balancer answers: %s", got)
	}
}

// gateway adds a gateway router on the second chassis, by which the logical network
// reaches a host outside: all behind 172.16.0.1, and vm1 as 172.16.0.11.
func gateway(t *testing.T, c *cloud) {
	s := c.hv[1]
	outside := testkit.NewHost(c.t, "h") // later tests reach it too
	s.Veth(outside, "ex0", "eth0", "172.16.0.254/24")
	s.Vsctl("add-br", "br-ex", "--", "set", "Bridge", "br-ex", "datapath_type=netdev", "--", "add-port", "br-ex", "ex0",
		"--", "set", "Open_vSwitch", ".", "external_ids:ovn-bridge-mappings=phys:br-ex")
	c.Nbctl("ls-add", "outside", "--", "lsp-add", "outside", "ln0", "--", "lsp-set-type", "ln0", "localnet",
		"--", "lsp-set-addresses", "ln0", "unknown", "--", "lsp-set-options", "ln0", "network_name=phys",
		"--", "ls-add", "join", "--", "lr-add", "gw", "--", "set", "Logical_Router", "gw", "options:chassis=hv1")
	c.Nbctl(attach("gw", "outside", "00:00:00:00:fe:01", "172.16.0.1/24")...)
	c.Nbctl(attach("gw", "join", "00:00:00:00:fd:01", "100.64.0.1/24")...)
	c.Nbctl(attach("lr0", "join", "00:00:00:00:fd:02", "100.64.0.2/24")...)
	c.Nbctl("lr-route-add", "lr0", "0.0.0.0/0", "100.64.0.1", "--", "lr-route-add", "gw", "10.0.0.0/16", "100.64.0.2",
		"--", "lr-nat-add", "gw", "snat", "172.16.0.1", "10.0.0.0/16", "--", "lr-nat-add", "gw", "dnat_and_snat", "172.16.0.11", "10.0.0.11")
	c.sync()
	requirePing(t, c.vm[0], "172.16.0.254")
	requirePing(t, outside, "172.16.0.11")
	serve(c.vm[1], "90")
	requireAnswer(t, outside, c.vm[1], "172.16.0.11", "90")
	requireTCP(t, c.vm[2], outside, "172.16.0.254")
	dump := s.Appctl("dpctl/dump-conntrack")
	for _, want := range []string{
		"orig=(src=10.0.0.10,dst=172.16.0.254,", "reply=(src=172.16.0.254,dst=172.16.0.1,", // snat
		"orig=(src=172.16.0.254,dst=172.16.0.11,", "reply=(src=10.0.0.11,dst=172.16.0.254,", // dnat
	} {
		if !strings.Contains(dump, want) {
			t.Errorf("no %s in\n%s", want, dump)
		}
	}
}

// aclLog sends packets to ovn-controller by way of a meter.
func aclLog(t *testing.T, c *cloud) {
	c.Nbctl("meter-add", "m0", "drop", "1", "pktps", "--", "--log", "--name=quiet", "--meter=m0", "acl-add", "ls0", "to-lport", "1001",
		`outport == "vm1" && icmp4`, "drop")
	c.sync()
	if out, err := c.vm[0].Try("ping", "-c", "4", "-i", "0.05", "-W", "1", "10.0.0.11"); err == nil {
		t.Errorf("a dropped ping is answered:\n%s", out)
	}
	testkit.Eventually(t, 5*time.Second, "ovn-controller logs the drop", func() bool {
		log, err := os.ReadFile(filepath.Join(c.hv[0].Dir, "ovn-controller.log"))
		return err == nil && strings.Contains(string(log), `name="quiet", verdict=drop, severity=info, direction=to-lport: icmp`)
	})
	stats := c.hv[0].Ofctl("-O", "OpenFlow15", "meter-stats", "br-int")
	if !strings.Contains(stats, "packet_in_count:4 ") || strings.Contains(stats, "0: packet_count:0") {
		t.Errorf("meters:\n%s", stats)
	}
	c.Nbctl("acl-del", "ls0", "--", "meter-del", "m0")
	c.sync()
	if meters := c.hv[0].Ofctl("-O", "OpenFlow15", "dump-meters", "br-int"); strings.Contains(meters, "meter=") {
		t.Errorf("left:\n%s", meters)
	}
}

// restart ends ovs-vswitchd, whose flows ovn-controller installs again.
func restart(t *testing.T, c *cloud) {
	s := c.hv[0]
	s.Stop("ovs-vswitchd", syscall.SIGTERM)
	s.StartVswitchd()
	requirePing(t, c.vm[0], "10.0.1.12")
	requirePing(t, c.vm[2], "10.0.0.13")
	requirePing(t, c.vm[0], "172.16.0.254")
}
