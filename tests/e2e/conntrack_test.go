package e2e

import (
	"strings"
	"testing"

	"sluice/tests/testkit"
)

// firewall opens connections from p0 only; replies and what belongs to them pass.
const firewall = `table=0,priority=10,arp,actions=normal
table=0,priority=9,ip,actions=ct(table=1)
table=1,priority=10,ip,in_port=p0,ct_state=+trk+new,actions=ct(commit),p1
table=1,priority=10,ip,in_port=p0,ct_state=+trk+est,actions=p1
table=1,priority=10,ip,in_port=p1,ct_state=+trk+est,actions=p0
table=1,priority=10,ip,in_port=p1,ct_state=+trk+rel,actions=p0
`

// snat hides host 0 behind 10.9.0.100, whose MAC address the switch answers for.
const snat = `table=0,priority=20,arp,in_port=p1,arp_tpa=10.9.0.100,arp_op=1,actions=move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],set_field:aa:bb:cc:dd:ee:01->eth_src,set_field:2->arp_op,move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],set_field:aa:bb:cc:dd:ee:01->arp_sha,move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],set_field:10.9.0.100->arp_spa,in_port
table=0,priority=10,arp,actions=normal
table=0,priority=9,ip,in_port=p0,actions=ct(commit,nat(src=10.9.0.100),table=1)
table=0,priority=9,ip,in_port=p1,actions=ct(nat,table=1)
table=1,ip,in_port=p0,ct_state=+trk-inv,actions=set_field:aa:bb:cc:dd:ee:01->eth_src,p1
table=1,ip,in_port=p1,ct_state=+trk+est+rpl,actions=set_field:aa:bb:cc:dd:ee:00->eth_dst,p0
`

// ctSwitch is a switch with two hosts and the given flows.
func ctSwitch(t *testing.T, flows string) (*testkit.Switch, []*testkit.Host) {
	t.Helper()
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 2)
	h[0].Run("ip", "link", "set", "eth0", "address", "aa:bb:cc:dd:ee:00")
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
	s.Vsctl("add-port", "br0", "p0", "--", "add-port", "br0", "p1")
	for flow := range strings.Lines(flows) {
		s.Ofctl("add-flow", "br0", strings.TrimSpace(flow))
	}
	return s, h
}

func TestConntrackFirewall(t *testing.T) {
	testkit.Need(t, "ping", "iperf3")
	s, h := ctSwitch(t, firewall)
	h[0].Ping("10.9.0.2", 3)
	h[0].Run("ping", "-c", "2", "-i", "0.1", "-W", "2", "-s", "5000", "10.9.0.2") // in fragments
	requireTCP(t, h[0], h[1], "10.9.0.2")
	if out, err := h[1].Try("ping", "-c", "1", "-W", "1", "10.9.0.1"); err == nil {
		t.Errorf("a connection from outside passed:\n%s", out)
	}
	dump := s.Appctl("dpctl/dump-conntrack")
	for _, want := range []string{"icmp,orig=(src=10.9.0.1,dst=10.9.0.2,", "tcp,orig=(src=10.9.0.1,dst=10.9.0.2,", "protoinfo=(state="} {
		if !strings.Contains(dump, want) {
			t.Errorf("no %s in\n%s", want, dump)
		}
	}
	// Four a message, both ways, and once more for the commit.
	if status := s.Appctl("dpctl/ipf-get-status"); !strings.Contains(status, "v4 frags completed: 20\n") {
		t.Errorf("fragments:\n%s", status)
	}
	s.Appctl("dpctl/flush-conntrack")
	if dump := s.Appctl("dpctl/dump-conntrack"); dump != "" {
		t.Errorf("left after a flush:\n%s", dump)
	}
}

func TestConntrackSNAT(t *testing.T) {
	testkit.Need(t, "ping", "iperf3")
	s, h := ctSwitch(t, snat)
	h[0].Ping("10.9.0.2", 3)
	requireTCP(t, h[0], h[1], "10.9.0.2")
	dump := s.Appctl("dpctl/dump-conntrack")
	for _, proto := range []string{"icmp", "tcp"} {
		translated := false
		for line := range strings.Lines(dump) {
			translated = translated || strings.HasPrefix(line, proto+",") && strings.Contains(line, "reply=(src=10.9.0.2,dst=10.9.0.100,")
		}
		if !translated {
			t.Errorf("no translated %s connection in\n%s", proto, dump)
		}
	}
}
