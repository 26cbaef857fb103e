package userspace

import (
	"encoding/binary"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev/packet"
)

const vxlanPush = "tnl_push(tnl_port(3),header(size=50,type=4,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800)," +
	"ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0x4,ttl=64,frag=0x4000),udp(src=0,dst=4789,csum=0xffff),vxlan(flags=0x8000000,vni=0x7b)),out_port(2))"

func actions(t testing.TB, text string) []odp.Action {
	list, err := odp.ParseActions(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// tunnelled is a datapath where port 1's packets leave by port 2 in a VXLAN, and
// port 2's are taken out of one and leave by port 1.  The keys of what was popped are
// added to popped.
func tunnelled(t testing.TB, popped *[]flow.Flow) (d *Dpif, p1, p2 *fakeDev) {
	d = newDpif(t, nil)
	p1, p2 = newDev("p1", 1, false), newDev("p2", 1, false)
	vx := newDev("p3", 0, false)
	vx.Init("p3", "vxlan")
	add(t, d, p1, p2, vx)
	push, pop := actions(t, vxlanPush+",2"), actions(t, "tnl_pop(3)")
	d.SetUpcall(func(u *dpif.Upcall, v *dpif.Verdict) error {
		v.Install, v.Mask = true, flow.Mask{InPort: ^uint32(0), RecircID: ^uint32(0)}
		switch u.Key.InPort {
		case 1:
			v.Actions = append(v.Actions, push...)
		case 2:
			v.Actions = append(v.Actions, pop...)
		case 3:
			*popped = append(*popped, *u.Key)
			v.Actions = append(v.Actions, out(1)...)
		}
		return nil
	})
	return d, p1, p2
}

func TestTunnel(t *testing.T) {
	var popped []flow.Flow
	d, p1, p2 := tunnelled(t, &popped)
	inner := udp(7, 10)
	for range 2 { // a miss, a hit
		p1.rx[0].pkts = [][]byte{inner}
		d.Run(1)
		sent := p2.tx.take()
		if len(sent) != 1 {
			t.Fatalf("%d packets sent", len(sent))
		}
		outer := sent[0]
		same(t, "inside", [][]byte{outer[50:]}, [][]byte{inner})
		if n := binary.BigEndian.Uint16(outer[38:]); int(n) != len(outer)-34 {
			t.Errorf("UDP length %d of %d bytes", n, len(outer))
		}
		if src := binary.BigEndian.Uint16(outer[34:]); src < 32768 || src >= 61000 {
			t.Errorf("source port %d", src)
		}
		p2.rx[0].pkts = [][]byte{outer}
		d.Run(2)
		same(t, "popped", p1.tx.take(), [][]byte{inner})
		outer[45]++ // the checksum is wrong now
		p2.rx[0].pkts = [][]byte{outer}
		d.Run(3)
		same(t, "damaged", p1.tx.take(), nil)
	}
	want := flow.Tunnel{IPSrc: 0x01010258, IPDst: 0x0101025c, ID: 0x7b, TOS: 4, TTL: 64, TpDst: 4789, Flags: flow.TunFlagKey | flow.TunFlagCsum}
	if len(popped) != 1 {
		t.Fatalf("%d upcalls", len(popped))
	}
	got := popped[0].Tunnel
	if got.TpSrc = 0; got != want {
		t.Errorf("tunnel %+v, want %+v", got, want)
	}
}

// Geneve options reach the key.
func TestTunnelOptions(t *testing.T) {
	d := newDpif(t, nil)
	p1, gn := newDev("p1", 1, false), newDev("p2", 0, false)
	gn.Init("p2", "geneve")
	add(t, d, p1, gn)
	header := "header(size=58,type=5,eth(dst=f8:bc:12:44:34:b6,src=aa:55:aa:55:00:00,dl_type=0x0800)," +
		"ipv4(src=1.1.2.88,dst=1.1.2.92,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,dst=6081,csum=0x0)," +
		"geneve(oam,vni=0x7b,options({class=0xffff,type=0x1,len=4,0xa})))"
	push := actions(t, "tnl_push(tnl_port(2),"+header+",out_port(1)),tnl_pop(2)")
	var key flow.Flow
	d.SetUpcall(func(u *dpif.Upcall, v *dpif.Verdict) error {
		if u.Key.InPort == 2 {
			key = *u.Key
		} else {
			v.Actions = append(v.Actions, push...)
		}
		return nil
	})
	p1.rx[0].pkts = [][]byte{udp(7, 10)}
	d.Run(1)
	k := &key.Tunnel
	if k.Flags != flow.TunFlagKey|flow.TunFlagOAM|flow.TunFlagUDPIF || k.OptsLen != 8 || k.Opts[7] != 10 {
		t.Errorf("tunnel %+v", *k)
	}
	if key.DLType != flow.EthIPv4 || key.TpDst != 7 {
		t.Errorf("inner packet %+v", key)
	}
}

// A packet that stands for many is cut before it goes into a tunnel.
func TestTunnelSegments(t *testing.T) {
	var popped []flow.Flow
	d, p1, p2 := tunnelled(t, &popped)
	big := udp(7, 40*50)
	p1.rx[0].edit = func(m *packet.Meta) {
		m.GSOType, m.GSOSize, m.Csum = packet.GSOUDPL4, 50, packet.CsumPartial
	}
	p1.rx[0].pkts = [][]byte{big}
	d.Run(1)
	sent := p2.tx.take()
	if len(sent) != 40 {
		t.Fatalf("%d packets sent", len(sent))
	}
	for n, b := range sent {
		same(t, "payload", [][]byte{b[92:]}, [][]byte{big[42+50*n : 92+50*n]})
	}
	p2.rx[0].pkts = sent
	for d.Run(2) {
	}
	got := p1.tx.take()
	if len(got) != 40 {
		t.Fatalf("%d packets popped", len(got))
	}
	for _, b := range got {
		sum := packet.PseudoSum(b[14:], packet.ProtoUDP, len(b)-34)
		if packet.Sum(b[34:], sum) != 0xffff {
			t.Errorf("wrong checksum in %x", b)
		}
	}
}

func TestTunnelAllocatesNothing(t *testing.T) {
	var popped []flow.Flow
	d, p1, p2 := tunnelled(t, &popped)
	p1.rx[0].pkts = [][]byte{udp(7, 10)}
	d.Run(1)
	outer := p2.tx.take()[0]
	p1.tx.drop, p2.tx.drop = true, true
	p1.rx[0].same, p1.rx[0].burst = udp(7, 10), 32
	p2.rx[0].same, p2.rx[0].burst = outer, 32
	d.Run(2)
	if n := testing.AllocsPerRun(100, func() { d.Run(3) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
