package dpctl

import (
	"errors"
	"strings"
	"testing"

	"sluice/dpif/conntrack"
	"sluice/dpif/userspace"
	"sluice/internal/clock"
	"sluice/netdev/packet"
)

func newEnv(t testing.TB, names ...string) *Env {
	pool, err := packet.NewPool(1024)
	if err != nil {
		t.Fatal(err)
	}
	var list []Datapath
	for _, name := range names {
		list = append(list, Datapath{userspace.New(userspace.Options{Type: "dummy", Name: name, Clock: &clock.Fake{}, Pool: pool})})
	}
	return &Env{Program: "ovs-vswitchd", Datapaths: func() []Datapath { return list }, Types: []string{"dummy", "netdev"}, Now: func() int64 { return 0 },
		ReadFile: func(name string) ([]byte, error) {
			if name != "flows" {
				return nil, errors.New("no such file")
			}
			return []byte("# two flows\nadd in_port(1),eth(),eth_type(0x800),ipv4(src=10.0.0.1) 2\n" +
				"in_port(1),eth(),eth_type(0x800),ipv4(src=10.0.0.2) 3\nbroken\n"), nil
		}}
}

// step is a command and what it prints; want beginning with "! " is an error.
type step struct{ command, want string }

func run(t *testing.T, env *Env, steps []step) {
	t.Helper()
	for _, s := range steps {
		args := strings.Fields(s.command)
		text, ok := Run(env, args[0], args[1:])
		want, wantOK := strings.CutPrefix(s.want, "! ")
		if text != want || ok == wantOK {
			t.Errorf("%s: ok %t\n%swant\n%s", s.command, ok, text, want)
		}
	}
}

func TestFlows(t *testing.T) {
	run(t, newEnv(t, "br0"), []step{
		{"dump-dps", "dummy@br0\n"},
		{"show", "dummy@br0:\n  lookups: hit:0 missed:0 lost:0\n  flows: 0\n"},
		{"add-flow in_port(1),eth(),eth_type(0x1234) 2,3", ""},
		{"add-flow dummy@br0 in_port(1),eth(),eth_type(0x1234) 2,3", "! ovs-vswitchd: updating flow table (File exists)\n"},
		{"add-flow eth(),eth_type(0x1234) 2", "! ovs-vswitchd: updating flow table (Invalid argument)\n"},
		{"dump-flows", "flow-dump from the main thread:\nrecirc_id(0),in_port(1),eth(),eth_type(0x1234), packets:0, bytes:0, used:never, actions:2,3\n"},
		{"mod-flow in_port(1),eth(),eth_type(0x1234) drop", ""},
		{"mod-flow in_port(1),eth(),eth_type(0x1235) drop", "! ovs-vswitchd: updating flow table (No such file or directory)\n"},
		{"dump-flows dummy@br0 pmd=-1", "recirc_id(0),in_port(1),eth(),eth_type(0x1234), packets:0, bytes:0, used:never, actions:drop\n"},
		{"dump-flows pmd=3", ""},
		{"dump-flows type=tc", ""},
		{"dump-flows type=x", "! ovs-vswitchd: Failed to parse type (x) (Invalid argument)\n"},
		{"del-flow in_port(1),eth(),eth_type(0x1234)", ""},
		{"del-flow in_port(1),eth(),eth_type(0x1234)",
			"! ovs-vswitchd: deleting flow (No such file or directory)\nPerhaps you need to specify a UFID?\n"},
		{"add-flows flows", "ovs-vswitchd: Failed parsing line number 4, skipped!\n"},
		{"del-flows", ""},
		{"dump-flows", ""},
		{"show nothing", "! ovs-vswitchd: opening datapath nothing failed (Address family not supported by protocol)\n"},
		{"show dummy@nothing", "! ovs-vswitchd: opening datapath dummy@nothing failed (No such device)\n"},
		{"show netdev@br0", "! ovs-vswitchd: opening datapath netdev@br0 failed (Invalid argument)\n"},
		{"del-dp netdev@br1", "! ovs-vswitchd: opening datapath (No such device)\n"},
		{"cache-get-size", "dummy@br0:\n"},
		{"cache-set-size x y z", "! ovs-vswitchd: size is malformed (Invalid argument)\n"},
		{"cache-set-size x y 3", "! ovs-vswitchd: Opening datapath x failed (Address family not supported by protocol)\n"},
		{"cache-set-size dummy@br0 masks 3", "! ovs-vswitchd: Setting caches not supported (Operation not supported)\n"},
		{"frobnicate", "! ovs-vswitchd: unknown command 'frobnicate'; use --help for help\n"},
		{"show -x", "! Unrecognized option -x"},
	})
}

func TestWhichDatapath(t *testing.T) {
	run(t, newEnv(t, "br0", "br1"), []step{
		{"dump-flows", "! ovs-vswitchd: multiple datapaths, specify one\novs-vswitchd: datapath not found (Invalid argument)\n"},
		{"dump-flows dummy@br1", ""},
		{"dump-flows dummy@br2", "! ovs-vswitchd: datapath not found (Invalid argument)\n"},
	})
	run(t, newEnv(t), []step{
		{"dump-flows", "! ovs-vswitchd: no datapaths exist\novs-vswitchd: datapath not found (Invalid argument)\n"},
	})
}

func TestNormalizeActions(t *testing.T) {
	run(t, newEnv(t), []step{
		{"normalize-actions in_port(1),eth(),eth_type(0x1234) push_vlan(vid=9,pcp=0),p2,p1,pop_vlan,3 p1=1 p2=2",
			"input flow: in_port(1),eth(src=00:00:00:00:00:00,dst=00:00:00:00:00:00),eth_type(0x1234)\nno vlan: no mpls: 3vlan(vid=9,pcp=0): no mpls: 1,2"},
		{"parse-actions 1,2", "1,2\n"},
	})
}

// Commands come from anybody who may open the control socket.
func FuzzRun(f *testing.F) {
	env := newEnv(f, "br0")
	env.Datapaths()[0].Dpif.(*userspace.Dpif).SetConntrack(conntrack.New())
	for _, s := range []string{
		"ct-set-maxconns dummy@br0", "ct-set-limits dummy@br0", "ct-del-limits dummy@br0", "ipf-set-min-frag dummy@br0 v4", "ct-get-limits dummy@br0 zone=1",
		"ipf-set-enabled dummy@br0", "ct-bkts gt=3", "flush-conntrack dummy@br0 zone=1 ct_nw_src=1.2.3.4,ct_nw_proto=6", "ct-stats-show dummy@br0 zone=1 verbose",
		"add-flow -s x", "normalize-actions -m x", "dump-flows -m filter=x pmd=y type=z",
		"add-flow dummy@br0 ufid:1,in_port(1),eth(),eth_type(0x1234) 2", "mod-flow --clear --may-create in_port(1) drop",
		"del-flow ufid:00000000-0000-0000-0000-000000000000,", "get-flow ufid:x", "add-if dummy@br0 ,", "set-if dummy@br0 x,type",
		"del-if dummy@br0 1 x", "del-flows dummy@br0 flows", "show -s x", "dump-conntrack zone=1 x", "ct-set-limits default=1 zone=2,limit=3",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		args := strings.Fields(s)
		if len(args) == 0 {
			return
		}
		Run(env, args[0], args[1:])
	})
}
