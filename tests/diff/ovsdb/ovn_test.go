package ovsdb

import (
	"os"
	"os/exec"
	"sort"
	"strings"
	"testing"
)

// network is what the test asks of OVN: commands of ovn-nbctl and ovn-sbctl.
var network = []string{
	"nb init",
	"nb ls-add a -- ls-add b -- lr-add r",
	"nb lsp-add a a1 -- lsp-set-addresses a1 00:00:00:00:00:01\\ 10.0.1.1 -- lsp-set-port-security a1 00:00:00:00:00:01\\ 10.0.1.1",
	"nb lsp-add b b1 -- lsp-set-addresses b1 00:00:00:00:00:02\\ 10.0.2.1",
	"nb lrp-add r ra 00:00:00:00:01:01 10.0.1.254/24 -- lrp-add r rb 00:00:00:00:01:02 10.0.2.254/24",
	"nb lsp-add a ar -- set logical_switch_port ar type=router options:router-port=ra -- lsp-set-addresses ar router",
	"nb lsp-add b br -- set logical_switch_port br type=router options:router-port=rb -- lsp-set-addresses br router",
	"nb acl-add a to-lport 1000 ip4.src==10.0.2.0/24 drop",
	"nb lb-add l 10.0.9.9:80 10.0.1.1:80,10.0.2.1:80 -- lr-lb-add r l",
	"nb create Address_Set name=as addresses=\"10.1.1.1\",\"10.1.1.2\"",
	"nb --wait=sb sync",
	"sb chassis-add c geneve 192.0.2.1 -- lsp-bind a1 c",
	"nb --timeout=20 wait-until Logical_Switch_Port a1 up=true",
	"nb lsp-del b1 -- acl-del a",
	"nb --wait=sb sync",
}

// TestOVN runs ovn-northd against both servers: the same network must lead to
// the same logical flows.
func TestOVN(t *testing.T) {
	if _, err := exec.LookPath("ovn-northd"); err != nil {
		t.Skip("ovn-northd (package ovn-central) is not installed")
	}
	want, got := logicalFlows(t, "/usr/sbin/ovsdb-server"), logicalFlows(t, build(t))
	if len(want) < 100 {
		t.Fatalf("only %d flows", len(want))
	}
	if w, g := strings.Join(want, "\n"), strings.Join(got, "\n"); w != g {
		t.Errorf("%d logical flows, with stock %d:\n%s", len(got), len(want), g)
	}
}

// logicalFlows builds the network with a server and lists what came of it.
func logicalFlows(t *testing.T, server string) []string {
	t.Helper()
	dir := t.TempDir()
	env := append(os.Environ(), "OVN_RUNDIR="+dir, "OVS_RUNDIR="+dir, "OVN_LOGDIR="+dir,
		"OVN_NB_DB=unix:"+dir+"/nb.sock", "OVN_SB_DB=unix:"+dir+"/sb.sock")
	run := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env = env
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s %q: %v %s", name, args, err, out)
		}
		return string(out)
	}
	for _, db := range []string{"nb", "sb"} {
		run("ovsdb-tool", "create", dir+"/"+db, "/usr/share/ovn/ovn-"+db+".ovsschema")
	}
	daemon := func(name, ctl string, args ...string) {
		run(name, append(args, "--detach", "--no-chdir", "-vconsole:off", "--log-file="+ctl+".log", "--pidfile="+ctl+".pid", "--unixctl="+ctl)...)
		t.Cleanup(func() { exec.Command("ovs-appctl", "-t", ctl, "exit").Run() })
	}
	daemon(server, dir+"/ctl", "--remote=punix:"+dir+"/nb.sock", "--remote=punix:"+dir+"/sb.sock", dir+"/nb", dir+"/sb")
	daemon("ovn-northd", dir+"/northd")
	for _, line := range network {
		words := strings.Split(strings.ReplaceAll(line, `\ `, "\x00"), " ")
		for i := range words {
			words[i] = strings.ReplaceAll(words[i], "\x00", " ")
		}
		run("ovn-"+words[0]+"ctl", append([]string{"--timeout=20"}, words[1:]...)...)
	}
	flows := run("ovn-sbctl", "--bare", "--columns=pipeline,table_id,priority,match,actions", "list", "Logical_Flow")
	list := strings.Split(uuidText.ReplaceAllString(strings.TrimSpace(flows), "UUID"), "\n\n")
	sort.Strings(list)
	return append(list, run("ovn-sbctl", "--bare", "--columns=logical_port,up,type", "--data=bare", "find", "Port_Binding", "logical_port=a1"))
}
