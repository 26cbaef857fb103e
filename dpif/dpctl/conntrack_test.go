package dpctl

import (
	"net/netip"
	"testing"

	"sluice/dpif"
	"sluice/dpif/conntrack"
	"sluice/dpif/flow"
	"sluice/dpif/userspace"
)

func TestAppendConntrack(t *testing.T) {
	addr := func(s string) flow.IPv6 { return netip.MustParseAddr(s).As16() }
	tcp := dpif.CTEntry{L3Type: flow.EthIPv4, IPProto: 6, Zone: 5, Mark: 7, Label: flow.U128{Lo: 0x1f}, TimeoutSec: 30, Helper: "ftp",
		Orig:  dpif.CTTuple{Src: addr("10.0.0.1"), Dst: addr("10.0.0.2"), SrcPort: 1, DstPort: 2},
		Reply: dpif.CTTuple{Src: addr("10.0.0.2"), Dst: addr("10.0.0.1"), SrcPort: 2, DstPort: 1},
		TCP:   &dpif.CTTCP{Orig: dpif.CTTCPPeer{State: 9, Scale: 7, HasScale: true}, Reply: dpif.CTTCPPeer{State: 4, Liberal: true}}}
	ping := dpif.CTEntry{L3Type: flow.EthIPv6, IPProto: 58, Label: flow.U128{Hi: 1},
		Orig:  dpif.CTTuple{Src: addr("fd00::1"), Dst: addr("fd00::2"), SrcPort: 9, DstPort: 128 << 8},
		Reply: dpif.CTTuple{Src: addr("fd00::2"), Dst: addr("fd00::1"), SrcPort: 9, DstPort: 129 << 8}}
	data := dpif.CTEntry{L3Type: flow.EthIPv4, IPProto: 47, Orig: tcp.Orig, Reply: tcp.Reply, Parent: &tcp.Orig, ParentProto: 6}
	data.Orig.SrcPort, data.Orig.DstPort, data.Reply.SrcPort, data.Reply.DstPort = 0, 0, 0, 0
	for _, c := range []struct {
		e                   *dpif.CTEntry
		verbose, statistics bool
		want                string
	}{
		{&tcp, false, false, "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=1,dport=2),reply=(src=10.0.0.2,dst=10.0.0.1,sport=2,dport=1),zone=5,mark=7,labels=0x1f,protoinfo=(state=TIME_WAIT),helper=ftp"},
		{&tcp, true, true, "tcp,orig=(src=10.0.0.1,dst=10.0.0.2,sport=1,dport=2),reply=(src=10.0.0.2,dst=10.0.0.1,sport=2,dport=1),id=0,zone=5,status=0,timeout=30,mark=7,labels=0x1f,protoinfo=(state_orig=FIN_WAIT_2,state_reply=ESTABLISHED,wscale_orig=7,wscale_reply=0,flags_orig=WINDOW_SCALE,flags_reply=BE_LIBERAL),helper=ftp"},
		{&ping, false, false, "icmpv6,orig=(src=fd00::1,dst=fd00::2,id=9,type=128,code=0),reply=(src=fd00::2,dst=fd00::1,id=9,type=129,code=0),labels=0x10000000000000000"},
		{&data, true, false, "47,orig=(src=10.0.0.1,dst=10.0.0.2,sport=0,dport=0),reply=(src=10.0.0.2,dst=10.0.0.1,sport=0,dport=0),id=0,status=0,parent=(src=10.0.0.1,dst=10.0.0.2,sport=1,dport=2)"},
	} {
		if got := string(AppendConntrack(nil, c.e, c.verbose, c.statistics)); got != c.want {
			t.Errorf("got\n%s, want\n%s", got, c.want)
		}
	}
}

func TestConntrackCommands(t *testing.T) {
	env := newEnv(t, "br0")
	env.Datapaths()[0].Dpif.(*userspace.Dpif).SetConntrack(conntrack.New())
	run(t, env, []step{
		{"dump-conntrack", ""},
		{"dump-conntrack -s dummy@br0 zone=3", ""},
		{"ct-stats-show", "Connections Stats:\n    Total: 0\n"},
		{"ct-bkts gt=3", "Total Buckets: 1\nCurrent Connections: 0\n\n"},
		{"ct-get-maxconns", "3000000\n"},
		{"ct-set-maxconns 10", "setting maxconns successful"},
		{"ct-set-maxconns x", "! ovs-vswitchd: maxconns missing or malformed (Invalid argument)\n"},
		{"ct-get-maxconns dummy@br0", "10\n"},
		{"ct-get-nconns", "0\n"},
		{"ct-get-tcp-seq-chk", "TCP sequence checking: enabled\n"},
		{"ct-disable-tcp-seq-chk", "disabling TCP sequence checking successful"},
		{"ct-get-tcp-seq-chk", "TCP sequence checking: disabled\n"},
		{"ct-enable-tcp-seq-chk", "enabling TCP sequence checking successful"},
		{"ct-get-limits", "default limit=0\n"},
		{"ct-set-limits default=10 zone=0,limit=5 zone=1,limit=15", ""},
		{"ct-get-limits", "default limit=10\nzone=0,limit=5,count=0\nzone=1,limit=15,count=0\n"},
		{"ct-get-limits zone=1,2", "default limit=10\nzone=1,limit=15,count=0\nzone=2,limit=10,count=0\n"},
		{"ct-set-limits zone=1", "! ovs-vswitchd: failed to parse zone limit (Invalid argument)\n"},
		{"ct-set-limits zone=1,limit=x", "! ovs-vswitchd: failed to parse field limit (Invalid argument)\n"},
		{"ct-set-limits zone=1,foo=2", "! ovs-vswitchd: invalid zone limit field: foo (Invalid argument)\n"},
		{"ct-del-limits zone=0", ""},
		{"ct-del-limits zone=x", "! ovs-vswitchd: invalid zone (Invalid argument)\n"},
		{"ct-get-limits", "default limit=10\nzone=1,limit=15,count=0\n"},
		{"flush-conntrack", ""},
		{"flush-conntrack zone=5", ""},
		{"flush-conntrack zone=x", "! ovs-vswitchd: failed to parse zone (Invalid argument)\n"},
		{"flush-conntrack zone=5 ct_nw_src=10.1.1.1,ct_nw_proto=17", ""},
		{"flush-conntrack ct_nw_src=10.1.1.1,ct_nw_dst=10.1.1.2,ct_nw_proto=17,ct_tp_src=1,ct_tp_dst=2",
			"! ovs-vswitchd: failed to flush conntrack (No such file or directory)\n"},
		{"flush-conntrack ct_nw_src=10.1.1.1,ct_ipv6_dst=::1", "! ovs-vswitchd: the L3 protocol does not match ::1 (Invalid argument)\n"},
		{"flush-conntrack ct_tp_src=1", "! ovs-vswitchd: port is set without protocol (Invalid argument)\n"},
		{"flush-conntrack icmp_id=1", "! ovs-vswitchd: invalid L4 fields (Invalid argument)\n"},
		{"flush-conntrack foo=1", "! ovs-vswitchd: invalid conntrack tuple field: foo (Invalid argument)\n"},
		{"flush-conntrack ct_nw_src", "! ovs-vswitchd: field ct_nw_src missing value (Invalid argument)\n"},
		{"ipf-set-enabled v4", "enabling fragmentation reassembly successful"},
		{"ipf-set-disabled v6", "disabling fragmentation reassembly successful"},
		{"ipf-set-disabled x", "! ovs-vswitchd: parameter missing: 'v4' for IPv4 or 'v6' for IPv6 (Invalid argument)\n"},
		{"ipf-set-min-frag v4 1000", "setting minimum fragment size successful"},
		{"ipf-set-min-frag v4 10", "! ovs-vswitchd: requested minimum fragment size too small; see documentation (Operation not permitted)\n"},
		{"ipf-set-max-nfrags 500", "setting maximum fragments successful"},
		{"ipf-get-status -m", `        Fragmentation Module Status
        ---------------------------
        v4 enabled: 1
        v6 enabled: 0
        max num frags (v4/v6): 500
        num frag: 0
        min v4 frag size: 1000
        v4 frags accepted: 0
        v4 frags completed: 0
        v4 frags expired: 0
        v4 frags too small: 0
        v4 frags overlapped: 0
        v4 frags purged: 0
        min v6 frag size: 1280
        v6 frags accepted: 0
        v6 frags completed: 0
        v6 frags expired: 0
        v6 frags too small: 0
        v6 frags overlapped: 0
        v6 frags purged: 0

        Fragment Lists:

`},
	})
}
