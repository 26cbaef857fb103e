package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"sluice/tests/testkit"
)

// ovnCtl is OVN's own script for starting and stopping its daemons.
const ovnCtl = "/usr/share/ovn/scripts/ovn-ctl"

// central is an OVN central node: both databases and ovn-northd.
type central struct {
	*testkit.Switch
	nb, sb string // remotes of the two databases
	// startServers starts what Stop of servers ended.
	startServers func()
	servers      []string // pidfiles of the database servers
}

// newCentral starts a central node with the daemons of bin.  Both databases are in
// one server, or, with OVN's script, each is in its own.
func newCentral(t *testing.T, bin string, oneServer bool) *central {
	t.Helper()
	c := &central{Switch: testkit.NewSwitch(t, testkit.Options{NoStart: true, Bin: bin})}
	if oneServer {
		c.startOneServer(bin)
	} else {
		c.startTwoServers(t)
	}
	return c
}

func (c *central) startOneServer(bin string) {
	c.nb, c.sb = "unix:"+c.Dir+"/ovn.sock", "unix:"+c.Dir+"/ovn.sock"
	c.servers = []string{"ovn-db"}
	for _, db := range []string{"nb", "sb"} {
		c.Tool("ovsdb-tool", "create", c.Dir+"/"+db+".db", "/usr/share/ovn/ovn-"+db+".ovsschema")
	}
	c.startServers = func() {
		c.Daemon("ovn-db", filepath.Join(c.Bin, "ovsdb-server"), "--remote=punix:"+c.Dir+"/ovn.sock",
			"--remote=db:OVN_Northbound,NB_Global,connections", "--remote=db:OVN_Southbound,SB_Global,connections",
			c.Dir+"/nb.db", c.Dir+"/sb.db")
	}
	c.startServers()
	c.Nbctl("init")
	c.Sbctl("init")
	c.Nbctl(options...)
	c.Daemon("ovn-northd", "ovn-northd", "--ovnnb-db="+c.nb, "--ovnsb-db="+c.sb)
}

func (c *central) startTwoServers(t *testing.T) {
	c.nb, c.sb = "unix:"+c.Dir+"/ovnnb_db.sock", "unix:"+c.Dir+"/ovnsb_db.sock"
	c.servers = []string{"ovnnb_db", "ovnsb_db"}
	c.startServers = func() { c.Tool(ovnCtl, "start_ovsdb") }
	t.Cleanup(func() { c.TryTool(ovnCtl, "stop_northd") })
	c.startServers()
	c.Nbctl(options...)
	c.Tool(ovnCtl, "start_northd")
}

// Nbctl and Sbctl run OVN's tools on the two databases.
func (c *central) Nbctl(args ...string) string {
	return strings.TrimSpace(c.Tool("ovn-nbctl", append([]string{"--timeout=30", "--db=" + c.nb}, args...)...))
}

// Sbctl runs ovn-sbctl.
func (c *central) Sbctl(args ...string) string {
	return strings.TrimSpace(c.Tool("ovn-sbctl", append([]string{"--timeout=30", "--db=" + c.sb}, args...)...))
}

// options replace what ovn-northd would make up when it starts.
var options = []string{"set", "NB_Global", ".", "options:svc_monitor_mac=0a:00:00:00:00:01"}

var uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`)

// southbound is what ovn-northd has made, without what chance decides: sorted lines
// of the logical flows and of the tables that other daemons read.
func (c *central) southbound() []string {
	lines := strings.Split(c.Sbctl("lflow-list"), "\n")
	for _, table := range []string{
		"Datapath_Binding external_ids",
		"Port_Binding logical_port,type,mac,options,nat_addresses,external_ids",
		"Address_Set name,addresses",
		"Port_Group name,ports",
		"Meter name,unit,bands",
		"Meter_Band action,rate,burst_size",
		"Load_Balancer name,vips,protocol,options",
		"Service_Monitor ip,port,protocol,logical_port,src_ip",
		"DHCP_Options name,code,type",
		"DHCPv6_Options name,code,type",
		"DNS records",
		"Multicast_Group name",
		"Static_MAC_Binding logical_port,ip,mac",
		"HA_Chassis_Group name",
		"BFD logical_port,dst_ip,status",
		"Mirror name,filter,sink,type",
	} {
		name, columns, _ := strings.Cut(table, " ")
		for row := range strings.Lines(c.Sbctl("--format=csv", "--no-headings", "--columns="+columns, "list", name)) {
			lines = append(lines, name+": "+row)
		}
	}
	for i, line := range lines {
		lines[i] = strings.TrimSpace(uuids.ReplaceAllString(line, "UUID"))
	}
	slices.Sort(lines)
	return lines
}

// northbound is a network with one of each of the things that ovn-northd translates,
// as two halves of ovn-nbctl commands.
var northbound = [2][][]string{{
	{"ls-add", "ls0", "--", "ls-add", "ls1", "--", "ls-add", "outside",
		"--", "lsp-add", "ls0", "vm0", "--", "lsp-set-addresses", "vm0", "aa:aa:aa:00:00:01 10.0.0.11 fd00::11",
		"--", "lsp-set-port-security", "vm0", "aa:aa:aa:00:00:01 10.0.0.11 fd00::11",
		"--", "lsp-add", "ls0", "vm1", "--", "lsp-set-addresses", "vm1", "aa:aa:aa:00:00:02 10.0.0.12",
		"--", "lsp-add", "ls1", "vm2", "--", "lsp-set-addresses", "vm2", "aa:aa:aa:00:00:03 10.0.1.11", "unknown",
		"--", "lsp-add", "ls1", "vip2", "--", "lsp-set-type", "vip2", "virtual",
		"--", "lsp-set-options", "vip2", "virtual-ip=10.0.1.99", "virtual-parents=vm2",
		"--", "lsp-add", "outside", "ln0", "--", "lsp-set-type", "ln0", "localnet", "--", "lsp-set-addresses", "ln0", "unknown",
		"--", "lsp-set-options", "ln0", "network_name=phys"},
	{"lr-add", "lr0", "--", "lrp-add", "lr0", "lr0-ls0", "00:00:00:00:ff:01", "10.0.0.1/24", "fd00::1/64",
		"--", "lrp-add", "lr0", "lr0-ls1", "00:00:00:00:ff:02", "10.0.1.1/24",
		"--", "lrp-add", "lr0", "lr0-out", "00:00:00:00:ff:03", "172.16.0.1/24",
		"--", "lsp-add", "ls0", "ls0-lr0", "--", "lsp-set-type", "ls0-lr0", "router", "--", "lsp-set-addresses", "ls0-lr0", "router",
		"--", "lsp-set-options", "ls0-lr0", "router-port=lr0-ls0",
		"--", "lsp-add", "ls1", "ls1-lr0", "--", "lsp-set-type", "ls1-lr0", "router", "--", "lsp-set-addresses", "ls1-lr0", "router",
		"--", "lsp-set-options", "ls1-lr0", "router-port=lr0-ls1",
		"--", "lsp-add", "outside", "out-lr0", "--", "lsp-set-type", "out-lr0", "router", "--", "lsp-set-addresses", "out-lr0", "router",
		"--", "lsp-set-options", "out-lr0", "router-port=lr0-out", "nat-addresses=router"},
	// Keys that ovn-northd would give out in the order of its hash tables.
	{"set", "Logical_Switch", "ls0", "other_config:requested-tnl-key=11", "--", "set", "Logical_Switch", "ls1", "other_config:requested-tnl-key=12",
		"--", "set", "Logical_Switch", "outside", "other_config:requested-tnl-key=13", "--", "set", "Logical_Router", "lr0", "options:requested-tnl-key=14"},
	{"pg-add", "pg0", "vm0", "vm1", "--", "create", "Address_Set", "name=as0", `addresses="10.0.0.0/24","10.0.1.0/24"`},
	{"acl-add", "ls0", "to-lport", "1001", `outport == "vm0" && ip4.src == $as0 && tcp.dst == 80`, "allow-related",
		"--", "acl-add", "ls0", "to-lport", "1000", `outport == "vm0" && ip4`, "drop",
		"--", "acl-add", "ls1", "from-lport", "7", `inport == "vm2" && ip6`, "allow-stateless"},
}, {
	{"--log", "--name=deny", "--severity=info", "--meter=m0", "--type=port-group", "acl-add", "pg0", "from-lport", "900", "inport == @pg0 && udp", "reject"},
	{"meter-add", "m0", "drop", "10", "pktps", "5"},
	{"lb-add", "lb0", "10.0.0.100:80", "10.0.0.11:8080,10.0.0.12:8080", "tcp", "--", "ls-lb-add", "ls0", "lb0", "--", "lr-lb-add", "lr0", "lb0",
		"--", "lb-add", "lb1", "10.0.0.101", "10.0.0.11"},
	{"set", "Logical_Router", "lr0", "options:chassis=gw0",
		"--", "lr-nat-add", "lr0", "snat", "172.16.0.1", "10.0.0.0/24", "--", "lr-nat-add", "lr0", "dnat_and_snat", "172.16.0.2", "10.0.0.11",
		"--", "lr-route-add", "lr0", "0.0.0.0/0", "172.16.0.254", "--", "lr-policy-add", "lr0", "100", "ip4.src == 10.0.0.12", "drop",
		"--", "static-mac-binding-add", "lr0-out", "172.16.0.254", "00:00:00:00:fe:01"},
	{"--", "--id=@o", "create", "DHCP_Options", "cidr=10.0.0.0/24",
		`options="server_id"="10.0.0.1" "server_mac"="00:00:00:00:ff:01" "lease_time"="3600" "router"="10.0.0.1" "mtu"="1400"`,
		"--", "add", "Logical_Switch_Port", "vm1", "dhcpv4_options", "@o",
		"--", "--id=@d", "create", "DNS", `records="vm0.example"="10.0.0.11"`, "--", "add", "Logical_Switch", "ls0", "dns_records", "@d"},
	{"qos-add", "ls0", "to-lport", "100", "ip4", "rate=1000", "burst=100", "dscp=10", "--", "mirror-add", "mi0", "gre", "7", "to-lport", "10.1.1.1",
		"--", "ha-chassis-group-add", "hcg0", "--", "ha-chassis-group-add-chassis", "hcg0", "gw0", "10"},
}}

// removal takes all of northbound away.
var removal = []string{"lr-del", "lr0", "--", "ls-del", "ls0", "--", "ls-del", "ls1", "--", "ls-del", "outside", "--", "pg-del", "pg0",
	"--", "destroy", "Address_Set", "as0", "--", "meter-del", "m0", "--", "lb-del", "lb0", "--", "lb-del", "lb1",
	"--", "--all", "destroy", "DHCP_Options", "--", "--all", "destroy", "DNS", "--", "--all", "destroy", "Static_MAC_Binding",
	"--", "mirror-del", "mi0", "--", "ha-chassis-group-del", "hcg0"}

// apply runs commands and waits for ovn-northd.
func (c *central) apply(commands ...[]string) {
	for _, cmd := range commands {
		c.Nbctl(cmd...)
	}
	c.Nbctl("--wait=sb", "sync")
}

// The packaged ovn-northd makes the same of a network with our database server as
// with its own, when the server is restarted and killed meanwhile too.
func TestOVNNorthd(t *testing.T) {
	testkit.Need(t, "ovn-northd", "ovn-nbctl", "ovn-sbctl")
	stock := newCentral(t, stockBin, false)
	stock.apply()
	empty := stock.southbound()
	stock.apply(northbound[0]...)
	half := stock.southbound()
	stock.apply(northbound[1]...)
	want := stock.southbound()
	if len(want) < 500 {
		t.Fatalf("the packaged server's southbound database has %d lines:\n%s", len(want), strings.Join(want, "\n"))
	}
	for _, oneServer := range []bool{true, false} {
		t.Run(fmt.Sprintf("oneServer=%v", oneServer), func(t *testing.T) {
			c := newCentral(t, "", oneServer)
			c.apply()
			requireLines(t, "empty", c.southbound(), empty)
			c.apply(northbound[0]...)
			requireLines(t, "half", c.southbound(), half)
			// What was committed before the kill is there after it, and ovn-northd
			// comes back to it.
			for _, cmd := range northbound[1] {
				c.Nbctl(cmd...)
			}
			c.stopServers(syscall.SIGKILL)
			c.startServers()
			c.apply()
			requireLines(t, "after a kill", c.southbound(), want)
			c.stopServers(syscall.SIGTERM)
			c.startServers()
			c.apply(removal)
			requireLines(t, "after the removal", c.southbound(), empty)
			c.requireQuietLogs(t)
		})
	}
}

func (c *central) stopServers(sig syscall.Signal) {
	for _, name := range c.servers {
		c.Stop(name, sig)
	}
}

// requireLines compares sorted lines.
func requireLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	t.Errorf("%s: %d lines, want %d", what, len(got), len(want))
	extra, missing := minus(got, want), minus(want, got)
	for _, line := range extra[:min(len(extra), 20)] {
		t.Log("  extra: " + line)
	}
	for _, line := range missing[:min(len(missing), 20)] {
		t.Log("missing: " + line)
	}
}

// minus is the multiset a without b; both are sorted.
func minus(a, b []string) (out []string) {
	for _, line := range a {
		for len(b) > 0 && b[0] < line {
			b = b[1:]
		}
		if len(b) > 0 && b[0] == line {
			b = b[1:]
			continue
		}
		out = append(out, line)
	}
	return out
}

// expectedWarnings come of daemons that the test ends; the last two are ovn-controller's
// own: it connects to br-int as soon as it has asked for it, and misses a certain kind
// of network card.
var expectedWarnings = regexp.MustCompile(`fatal_signal\|WARN\|terminating with signal 15|` +
	`(reconnect|rconn)\|WARN\|.*: connection (dropped|attempt failed) \(|daemon_unix\|.*\|pid \d+ died, killed|` +
	`jsonrpc\|WARN\|.*: (receive error: Connection reset|send error: Broken pipe)|` +
	`rconn\|WARN\|.*br-int.mgmt: connection failed \(No such file or directory|` +
	`vif_plug_provider\|WARN\|failed to initialize representor`)

// requireQuietLogs fails the test for warnings in the logs of the daemons.
func (c *central) requireQuietLogs(t *testing.T) {
	t.Helper()
	requireQuietLogs(t, c.Dir)
}

func requireQuietLogs(t *testing.T, dir string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no logs in %s: %v", dir, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if regexp.MustCompile(`\|(WARN|ERR|EMER)\|`).MatchString(line) && !expectedWarnings.MatchString(line) {
				t.Errorf("%s: %s", filepath.Base(file), line)
			}
		}
	}
}
