package ofproto

import (
	"testing"

	"sluice/ofproto/ofp/action"
)

func TestTraceText(t *testing.T) {
	w := newWorld(t, 2)
	w.flow("in_port=1,ip", 5, 0, action.List{&action.DecTTL{IDs: []uint16{0}}, &action.Output{Port: 2}})
	got, err := Trace([]*Backer{w.b}, []string{"br0", "in_port=1,icmp,nw_src=10.0.0.1,nw_ttl=64"}, w.now)
	if err != nil {
		t.Fatal(err)
	}
	want := `Flow: icmp,in_port=1,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,nw_src=10.0.0.1,nw_dst=0.0.0.0,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,icmp_type=0,icmp_code=0

bridge("br0")
-------------
 0. ip,in_port=1, priority 5
    dec_ttl
    output:2

Final flow: icmp,in_port=1,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,nw_src=10.0.0.1,nw_dst=0.0.0.0,nw_tos=0,nw_ecn=0,nw_ttl=63,nw_frag=no,icmp_type=0,icmp_code=0
Megaflow: recirc_id=0,eth,icmp,in_port=1,nw_ttl=64,nw_frag=no
Datapath actions: set(ipv4(ttl=63)),2`
	if got != want {
		t.Fatalf("%s\nwant\n%s", got, want)
	}
}
