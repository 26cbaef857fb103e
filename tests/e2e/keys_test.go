package e2e

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// What the database tells of the switch and of the host, and what it takes from there.
// SLUICE_BIN=/usr/sbin runs these tests against stock.

// get is a column without quotes.
func get(s *testkit.Switch, table, record, column string) string {
	return strings.ReplaceAll(s.Vsctl("get", table, record, column), `"`, "")
}

// eventually waits until a column has a value.
func eventually(t *testing.T, s *testkit.Switch, table, record, column, want string) {
	t.Helper()
	got := ""
	defer func() {
		if got != want {
			t.Errorf("%s of %s is %s, want %s", column, record, got, want)
		}
	}()
	testkit.Eventually(t, 10*time.Second, column+" of "+record, func() bool { got = get(s, table, record, column); return got == want })
}

func TestDatapathCapabilities(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	s.Vsctl("set", "Open_vSwitch", ".", "datapaths:netdev=@dp", "--", "--id=@dp", "create", "Datapath", "datapath_version=0")
	id := strings.Trim(s.Vsctl("get", "Open_vSwitch", ".", "datapaths:netdev"), `"`)
	eventually(t, s, "Datapath", id, "capabilities", "{add_mpls=true, check_pkt_len=true, clone=true, ct_clear=true, ct_eventmask=true, "+
		"ct_flush=true, ct_label=true, ct_mark=true, ct_orig_tuple=true, ct_orig_tuple6=true, ct_state=true, ct_state_nat=true, "+
		"ct_timeout=true, ct_zero_snat=true, ct_zone=true, explicit_drop_action=true, lb_output_action=true, masked_set_action=true, "+
		"max_hash_alg=1, max_mpls_depth=3, max_vlan_headers=1, nd_ext=true, recirc=true, sample_nesting=true, tnl_push_pop=true, "+
		"trunc=true, ufid=true}")
	// The limit counts when the datapath is made.
	s.Vsctl("del-br", "br0", "--", "set", "Open_vSwitch", ".", "other_config:vlan-limit=0")
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	if got := s.Appctl("dpif/show-dp-features", "br0"); !strings.Contains(got, "Max VLAN headers: 2\n") {
		t.Errorf("features:\n%s", got)
	}
}

func TestHostStatistics(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	if got := get(s, "Open_vSwitch", ".", "statistics"); got != "{}" {
		t.Errorf("nobody asked for statistics: %s", got)
	}
	s.Vsctl("set", "Open_vSwitch", ".", "other_config:enable-statistics=true")
	want := map[string]string{
		"cpu": `[1-9]\d*`, "load_average": `\d+\.\d\d,\d+\.\d\d,\d+\.\d\d`, "memory": `[1-9]\d*,[1-9]\d*,\d+,\d+,\d+`,
		"process_ovs-vswitchd": `[1-9]\d*,[1-9]\d*,\d+,0,\d+,\d+,\d+`, "process_ovsdb-server": `[1-9]\d*,[1-9]\d*,\d+,0,\d+,\d+,\d+`,
	}
	testkit.Eventually(t, 10*time.Second, "statistics", func() bool { return get(s, "Open_vSwitch", ".", "statistics") != "{}" })
	for key, pattern := range want {
		got := get(s, "Open_vSwitch", ".", "statistics:"+key)
		if !regexp.MustCompile("^" + pattern + "$").MatchString(got) {
			t.Errorf("%s is %q, want %s", key, got, pattern)
		}
	}
	// Reading pidfiles gives up no lock: the control socket is found by it.
	s.Appctl("version")
	s.Vsctl("remove", "Open_vSwitch", ".", "other_config", "enable-statistics")
	if s.Bin != "/usr/sbin" { // stock keeps the last ones for a while
		eventually(t, s, "Open_vSwitch", ".", "statistics", "{}")
	}
}

func TestBridgeAddress(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	for _, p := range []string{"k0", "k1"} {
		s.Run("ip", "link", "add", p, "type", "veth", "peer", "name", p+"b")
	}
	address := func(name, want string) {
		t.Helper()
		testkit.Eventually(t, 5*time.Second, name+" has the address "+want, func() bool {
			return strings.TrimSpace(s.Run("cat", "/sys/class/net/"+name+"/address")) == want
		})
	}
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "--", "add-br", "f1", "br0", "5", "--", "add-br", "f2", "br0", "6")
	own := strings.TrimSpace(s.Run("cat", "/sys/class/net/br0/address"))
	if id := get(s, "bridge", "br0", "datapath_id"); id != "0000"+strings.ReplaceAll(own, ":", "") {
		t.Errorf("address %s, datapath id %s", own, id)
	}
	if own[1] != '2' && own[1] != '6' && own[1] != 'a' && own[1] != 'e' {
		t.Errorf("%s is not a locally administered address", own)
	}
	address("f1", own)
	// A locally administered address is not taken over, another one is.
	s.Run("ip", "link", "set", "k1", "address", "02:00:00:00:00:01")
	s.Vsctl("add-port", "f1", "k1")
	address("br0", own)
	s.Run("ip", "link", "set", "k1", "address", "00:1b:21:00:00:02")
	address("br0", "00:1b:21:00:00:02")
	eventually(t, s, "bridge", "br0", "datapath_id", "0000001b21000002")
	address("f1", "00:1b:21:00:00:02")
	address("f2", own)
	// The lowest one, of a port that no mirror outputs to.
	s.Run("ip", "link", "set", "k0", "address", "00:1b:21:00:00:01")
	s.Vsctl("add-port", "br0", "k0")
	address("br0", "00:1b:21:00:00:01")
	address("f1", "00:1b:21:00:00:02")
	s.Vsctl("--", "--id=@p", "get", "port", "k0", "--", "--id=@m", "create", "mirror", "name=m", "output_port=@p", "--", "set", "bridge", "br0", "mirrors=@m")
	s.Vsctl("set", "bridge", "br0", "external_ids:a=b", "other_config:a=b")
	address("br0", "00:1b:21:00:00:02")
	s.Vsctl("clear", "bridge", "br0", "mirrors", "--", "set", "port", "k0", `mac="00:1b:21:00:00:03"`)
	s.Vsctl("set", "bridge", "br0", "other_config:a=c")
	address("br0", "00:1b:21:00:00:02")
	s.Vsctl("set", "bridge", "br0", "other_config:hwaddr=00:1b:21:00:00:ff")
	address("br0", "00:1b:21:00:00:ff")
	s.Vsctl("remove", "bridge", "br0", "other_config", "hwaddr", "--", "del-port", "k0", "--", "del-port", "k1")
	address("br0", "00:1b:21:00:00:02") // f1's
}

func TestPatchWithoutPeer(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	for _, br := range []string{"br0", "br1"} {
		s.Vsctl("add-br", br, "--", "set", "bridge", br, "datapath_type=netdev")
	}
	// ovs-vsctl says nothing of it.
	if out := s.Vsctl("add-port", "br0", "a", "--", "set", "interface", "a", "type=patch", "options:peer=b"); out != "" {
		t.Errorf("ovs-vsctl says: %s", out)
	}
	const want = "No usable peer 'b' exists in 'netdev' datapath."
	eventually(t, s, "interface", "a", "error", want)
	s.Vsctl("add-port", "br1", "b", "--", "set", "interface", "b", "type=patch", "options:peer=c")
	eventually(t, s, "interface", "a", "error", want)
	eventually(t, s, "interface", "b", "error", "No usable peer 'c' exists in 'netdev' datapath.")
	s.Vsctl("set", "interface", "b", "options:peer=a")
	eventually(t, s, "interface", "a", "error", "[]")
	eventually(t, s, "interface", "b", "error", "[]")
	s.Vsctl("del-port", "b")
	eventually(t, s, "interface", "a", "error", want)
}

func TestLoopbackIsRefused(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	if got, want := addFailing(t, s, "lo"), "could not add network device lo to ofproto (Invalid argument)"; got != want {
		t.Errorf("error %s, want %s", got, want)
	}
}

func TestTapFollowsMTU(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	s.Run("ip", "link", "add", "k0", "type", "veth", "peer", "name", "k0b")
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "--",
		"add-port", "br0", "t0", "--", "set", "interface", "t0", "type=tap", "--",
		"add-port", "br0", "i0", "--", "set", "interface", "i0", "type=internal", "--",
		"add-port", "br0", "k0", "--", "set", "interface", "k0", "mtu_request=1300")
	for _, p := range []string{"t0", "i0", "br0"} {
		eventually(t, s, "interface", p, "mtu", "1300")
	}
}

// The address of the local port may come from a Controller row.
func TestLocalAddress(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	want := func(what, text string) {
		t.Helper()
		testkit.Eventually(t, 5*time.Second, what+" has "+text, func() bool {
			return strings.Contains(s.Run("ip", "-4", what, "show", "dev", "br0"), text)
		})
	}
	s.Vsctl("set-controller", "br0", "tcp:127.0.0.1:1", "--", "set", "controller", "br0", "local_ip=10.1.2.3", "local_netmask=255.255.255.0")
	want("addr", "inet 10.1.2.3/24")
	s.Vsctl("set", "controller", "br0", "local_netmask=255.255.0.0", "local_gateway=10.1.2.254")
	want("addr", "inet 10.1.2.3/16")
	want("route", "default via 10.1.2.254")
	s.Vsctl("set", "controller", "br0", "local_ip=172.20.1.1", "local_gateway=172.20.0.1", "--", "clear", "controller", "br0", "local_netmask")
	want("addr", "inet 172.20.1.1/16")
	want("route", "default via 172.20.0.1")
	if got := s.Run("ip", "-4", "addr", "show", "dev", "br0"); strings.Contains(got, "10.1.2.3") {
		t.Errorf("the old address is still there:\n%s", got)
	}
}

// flow-restore-wait holds back what is to come after a restart, and means nothing later.
func TestFlowRestoreWait(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{NoStart: true})
	s.StartServer()
	s.Vsctl("--no-wait", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "--",
		"set-controller", "br0", "tcp:127.0.0.1:1", "--", "set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true")
	s.StartVswitchd()
	tried := func(controller string) bool {
		text, err := os.ReadFile(s.Dir + "/ovs-vswitchd.log")
		return err == nil && strings.Contains(string(text), "br0<->"+controller+": connecting...")
	}
	s.Vsctl("set", "bridge", "br0", "other_config:a=b") // and wait for it
	if tried("tcp:127.0.0.1:1") {
		t.Error("the switch looks for its controller while flows are restored")
	}
	s.Vsctl("remove", "Open_vSwitch", ".", "other_config", "flow-restore-wait")
	testkit.Eventually(t, 5*time.Second, "the switch looks for its controller", func() bool { return tried("tcp:127.0.0.1:1") })
	s.Vsctl("set", "Open_vSwitch", ".", "other_config:flow-restore-wait=true")
	s.Vsctl("set-controller", "br0", "tcp:127.0.0.1:2")
	testkit.Eventually(t, 5*time.Second, "the switch looks for another controller", func() bool { return tried("tcp:127.0.0.1:2") })
}

// What the database tells of a device follows the device.
func TestDeviceStatus(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	s.Run("ip", "link", "add", "k0", "address", "00:1b:21:00:00:02", "mtu", "1400", "type", "veth", "peer", "name", "k0b")
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "--", "add-port", "br0", "k0")
	eventually(t, s, "interface", "k0", "mac_in_use", "00:1b:21:00:00:02")
	eventually(t, s, "interface", "k0", "mtu", "1400")
	if got := get(s, "interface", "k0", "status"); !strings.Contains(got, "driver_name=veth") {
		t.Errorf("status %s", got)
	}
	// An MTU that was asked for is set again, another one is left alone.
	s.Run("ip", "link", "set", "k0", "mtu", "1350")
	eventually(t, s, "interface", "k0", "mtu", "1350")
	s.Vsctl("set", "interface", "k0", "mtu_request=1450")
	eventually(t, s, "interface", "k0", "mtu", "1450")
	s.Run("ip", "link", "set", "k0", "mtu", "1350")
	testkit.Eventually(t, 5*time.Second, "k0 has its MTU again", func() bool {
		return strings.Contains(s.Run("ip", "link", "show", "k0"), "mtu 1450")
	})
	// A device that is gone has no properties.
	s.Run("ip", "link", "del", "k0")
	for column, want := range map[string]string{"mac_in_use": "[]", "mtu": "[]", "status": "{}", "ifindex": "0", "link_state": "down",
		"admin_state": "down", "error": "[]", "ofport": "1"} {
		eventually(t, s, "interface", "k0", column, want)
	}
	s.Run("ip", "link", "add", "k0", "address", "00:1b:21:00:00:03", "type", "veth", "peer", "name", "k0b")
	eventually(t, s, "interface", "k0", "mac_in_use", "00:1b:21:00:00:03")
	testkit.Eventually(t, 5*time.Second, "the driver is known again", func() bool {
		return strings.Contains(get(s, "interface", "k0", "status"), "driver_name=veth")
	})
}
