package record

import (
	"strings"

	"sluice/ofproto/ofp"
)

// command is one call of ovs-ofctl on the switch.
type command struct {
	name    string
	options []string
	args    []string
	stdin   string
}

func (c command) String() string {
	s := strings.Join(append(append([]string{c.name}, c.options...), c.args...), " ")
	if c.stdin != "" {
		s += " <" + strings.ReplaceAll(strings.TrimSpace(c.stdin), "\n", " ; ")
	}
	return s
}

func cmd(name string, args ...string) command { return command{name: name, args: args} }

// flows are matches and actions that all versions, or all with Nicira extensions, can say.
var flows = []string{
	"actions=drop",
	"priority=7,in_port=1,actions=2",
	"cookie=0x123456789abcdef0,idle_timeout=10,hard_timeout=20,send_flow_rem,dl_src=00:01:02:03:04:05,actions=LOCAL",
	"dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=flood",
	"dl_vlan=5,dl_vlan_pcp=3,actions=strip_vlan,normal",
	"vlan_tci=0x1000/0x1000,actions=in_port",
	"ip,nw_src=10.0.0.0/8,nw_dst=192.168.1.1,nw_tos=32,actions=mod_nw_tos:64,all",
	"tcp,nw_src=1.2.3.4,tp_src=80,tp_dst=0x100/0xff00,actions=mod_tp_dst:8080,1",
	"tcp,tcp_flags=+syn-ack,actions=2",
	"udp,tp_dst=53,actions=controller:128",
	"sctp,tp_dst=9,actions=1",
	"icmp,icmp_type=8,icmp_code=0,actions=2",
	"arp,arp_op=1,arp_spa=10.0.0.1,arp_tpa=10.0.0.0/24,arp_sha=00:11:22:33:44:55,actions=1,2",
	"ipv6,ipv6_src=fe80::/10,ipv6_label=5,nw_ttl=64,actions=1",
	"icmp6,icmpv6_type=135,nd_target=2001:db8::1,nd_sll=00:00:00:00:00:01,actions=2",
	"mpls,mpls_label=1000,mpls_tc=3,mpls_bos=1,actions=pop_mpls:0x0800,1",
	"tun_id=0x1234/0xffff,tun_src=1.1.1.1,tun_flags=+oam,actions=set_tunnel:5,1",
	"reg0=0x12345678,reg15=1/3,xreg3=5,xxreg3=0x1,metadata=0x5/0xff,actions=load:5->NXM_NX_REG1[],1",
	"ip,ct_state=+trk+est-inv,ct_zone=5,ct_mark=0x1/0xf,ct_label=0x10000000000000001,actions=ct(commit,zone=3,exec(load:1->NXM_NX_CT_MARK[]))",
	"ip,ip_frag=later,actions=1",
	"conj_id=5,actions=1",
	"pkt_mark=0xf,actions=1",
	"table=3,priority=100,ip,actions=resubmit(,4)",
	"table=1,actions=resubmit(1,2),learn(table=2,idle_timeout=5,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])",
	"table=2,actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],push:NXM_NX_REG0[],pop:NXM_NX_REG1[],dec_ttl,note:01.02.03,exit",
	"table=2,udp,actions=set_field:1.2.3.4->ip_src,set_field:5->tun_id,clone(1,2),sample(probability=100,collector_set_id=1,obs_domain_id=2,obs_point_id=3)",
	"table=2,tcp,actions=multipath(eth_src,50,modulo_n,1,0,NXM_NX_REG0[]),bundle(symmetric_l4,60,hrw,ofport,members:1,2)",
	"table=2,arp,actions=enqueue:1:5,set_queue:3,pop_queue",
	"table=2,ipv6,actions=conjunction(1,1/2)",
	"table=2,icmp,actions=ct(commit,nat(src=10.0.0.1-10.0.0.9:100-200,persistent)),check_pkt_larger(100)->NXM_NX_REG0[0],fin_timeout(idle_timeout=5)",
	"table=2,sctp,actions=write_metadata:0x5/0xff,goto_table:3",
	"table=2,mpls,actions=push_vlan:0x8100,push_mpls:0x8847,clear_actions,write_actions(output:1)",
	"table=2,icmp6,actions=controller(reason=no_match,max_len=100,id=5,userdata=01.02),output(port=1,max_len=100),group:1,ct_clear",
	"packet_type=(1,0x800),actions=encap(ethernet),1",
	"dl_type=0x894f,nsh_mdtype=1,nsh_spi=0x123456,nsh_c1=0x1,actions=decap(),1",
}

// commands are what is recorded for a version.
func commands(v ofp.Version) (list []command) {
	list = []command{
		cmd("probe"), cmd("ping", "10"), cmd("show"), cmd("dump-desc"), cmd("dump-tables"), cmd("get-frags"),
		cmd("set-frags", "nx-match"), cmd("dump-ports"), cmd("dump-ports", "1"), cmd("dump-ports-desc"),
		cmd("dump-ports-desc", "1"), cmd("queue-stats"), cmd("queue-stats", "1", "5"), cmd("queue-get-config", "1"),
		cmd("dump-table-features"), cmd("dump-table-desc"), cmd("dump-ipfix-bridge"), cmd("dump-ipfix-flow"),
		cmd("add-tlv-map", "{class=0xffff,type=0,len=4}->tun_metadata0,{class=0x1,type=1,len=8}->tun_metadata1"),
		cmd("dump-tlv-map"), cmd("add-flow", "tun_metadata0=0x1234,tun_metadata1=1/0xff,actions=set_field:5->tun_metadata0,1"),
		cmd("dump-flows"), cmd("del-flows"), cmd("del-tlv-map"),
		cmd("ct-flush-zone", "5"), cmd("ct-flush", "zone=5"),
		cmd("ct-flush", "zone=5", "ct_nw_src=1.2.3.4,ct_nw_proto=6,ct_tp_dst=80", "ct_nw_dst=5.6.7.8"),
		cmd("add-group", "group_id=1,type=all,bucket=output:1,bucket=output:2"),
		cmd("add-group", "group_id=2,type=select,selection_method=hash,fields(ip_src,tcp_dst=0xff00),bucket=weight:5,output:1,bucket=weight:6,output:2"),
		cmd("add-group", "group_id=3,type=ff,bucket=watch_port:1,output:1,bucket=watch_port:2,output:2"),
		cmd("add-group", "group_id=4,type=indirect,bucket=mod_dl_src:00:00:00:00:00:01,output:1"),
		cmd("mod-group", "group_id=1,type=all,bucket=output:2"), {name: "mod-group", options: []string{"--may-create"}, args: []string{"group_id=9,type=all,bucket=1"}},
		cmd("insert-buckets", "group_id=1,command_bucket_id=last,bucket=bucket_id:7,output:1"),
		cmd("remove-buckets", "group_id=1,command_bucket_id=7"),
		cmd("dump-groups"), cmd("dump-groups", "2"), cmd("dump-group-stats"), cmd("dump-group-stats", "group_id=1"), cmd("dump-group-features"),
	}
	for _, f := range flows {
		list = append(list, cmd("add-flow", f))
	}
	list = append(list,
		cmd("dump-flows"), cmd("dump-flows", "table=2"), cmd("dump-flows", "cookie=0x1/0xf,out_port=1,ip"),
		cmd("dump-flows", "out_group=1"), cmd("dump-aggregate"), cmd("dump-aggregate", "ip,table=2"), cmd("dump-tables"),
		cmd("mod-flows", "cookie=0x10/-1,ip,actions=1"), cmd("mod-flows", "cookie=0x7,ip,actions=2"),
		command{name: "mod-flows", options: []string{"--strict"}, args: []string{"priority=7,in_port=1,actions=1"}},
		command{name: "del-flows", options: []string{"--strict"}, args: []string{"priority=7,in_port=1"}},
		cmd("del-flows", "out_port=2,tcp"), cmd("del-flows", "out_group=1"), cmd("del-flows", "table=2"),
		cmd("add-flow", "check_overlap,reset_counts,ip,actions=1"),
		cmd("add-flow", "no_packet_counts,no_byte_counts,importance=5,ip,actions=1"),
		command{name: "add-flows", args: []string{"-"}, stdin: "in_port=1,actions=2\nin_port=2,actions=1\n"},
		command{name: "add-flows", options: []string{"--bundle"}, args: []string{"-"}, stdin: "in_port=1,actions=1\ndelete in_port=2\n"},
		command{name: "bundle", args: []string{"-"}, stdin: "flow add in_port=1,actions=1\ngroup add group_id=20,type=all,bucket=1\npacket-out in_port=1 packet=505400000001505400000002080000 actions=2\n"},
		command{name: "replace-flows", args: []string{"-"}, stdin: "in_port=5,actions=1\n"},
		cmd("add-meter", "meter=1,kbps,burst,stats,bands=type=drop,rate=100,burst_size=5"),
		cmd("add-meter", "meter=2,pktps,bands=type=dscp_remark,rate=10,prec_level=1"),
		cmd("mod-meter", "meter=1,pktps,bands=type=drop,rate=50"), cmd("add-flow", "in_port=3,actions=meter:1,2"),
		cmd("dump-meters"), cmd("dump-meter", "meter=1"), cmd("meter-stats"), cmd("meter-stats", "meter=1"), cmd("meter-features"),
		cmd("del-meter", "meter=2"), cmd("del-meters"), cmd("del-groups", "group_id=3"), cmd("del-groups"),
		cmd("mod-port", "1", "no-flood"), cmd("mod-port", "1", "no-packet-in"), cmd("mod-port", "1", "up"),
		cmd("mod-table", "1", "drop"), cmd("mod-table", "all", "controller"), cmd("mod-table", "1", "evict"), cmd("mod-table", "1", "vacancy:20,80"),
		cmd("dump-table-desc"), cmd("dump-ports-desc"), cmd("show"),
		cmd("packet-out", "in_port=1 packet=505400000001505400000002080000 actions=2,flood"),
		cmd("packet-out", "in_port=controller packet=50540000000150540000000208004500 actions=set_field:1->reg0,normal"),
		cmd("add-flow", "in_port=77,actions=output:99999"), // an error
		cmd("add-group", "group_id=4294967295,type=all,bucket=1"),
		cmd("dump-flows", "table=255"), cmd("del-flows"),
	)
	if v == ofp.OF10 {
		for _, f := range []string{"OpenFlow10-table_id", "OpenFlow10+table_id", "NXM-table_id", "NXM+table_id"} {
			o := []string{"-F", f}
			list = append(list,
				command{name: "add-flow", options: o, args: []string{"in_port=1,tcp,tp_dst=80,actions=2"}},
				command{name: "dump-flows", options: o}, command{name: "dump-aggregate", options: o},
				command{name: "mod-flows", options: o, args: []string{"tcp,actions=3"}},
				command{name: "del-flows", options: o, args: []string{"in_port=1"}})
		}
	}
	return list
}
