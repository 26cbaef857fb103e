package exec

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev/packet"
)

func newTest(t testing.TB) (*packet.Pool, *Executor) {
	p, err := packet.NewPool(1000)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, New(p.NewCache(8), nil)
}

// receive makes a packet of data as the datapath has it after extraction.
func (x *Executor) receive(data []byte) packet.Index {
	i := x.c.New(data)
	m := x.p.Meta(i)
	m.InPort = 7
	var k flow.Mini
	flow.Extract(x.p.Data(i), m, x.p.Cold(i), &k)
	return i
}

// The file holds packets, actions, and what stock 3.1 makes of them.
func TestActionsAsStock(t *testing.T) {
	data, err := os.ReadFile("testdata/actions.txt")
	if err != nil {
		t.Fatal(err)
	}
	p, x := newTest(t)
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		input, want, _ := strings.Cut(line, " -> ")
		text, actions, _ := strings.Cut(input, " ")
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		list, err := odp.ParseActions(actions, nil)
		if err != nil {
			t.Fatalf("%s: %v", actions, err)
		}
		var batch packet.Batch
		batch.Add(x.receive(b))
		x.RunKeep(&batch, list)
		got := "gone"
		if batch.N == 1 {
			i := batch.Pkts[0]
			m := p.Meta(i)
			got = fmt.Sprintf("%x pt=%08x l25=%d l3=%d l4=%d pri=%x mark=%x hash=%x", p.AppendBytes(nil, i), m.PacketType, int(m.L25),
				m.L3, m.L4, m.Priority, m.Mark, m.DPHash)
		}
		x.c.FreeBatch(&batch)
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", input, got, want)
		}
	}
}

func udp4(payload int) []byte {
	b := make([]byte, 42+payload)
	copy(b, []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 99, 0, 98})
	binary.BigEndian.PutUint16(b[16:], uint16(28+payload))
	binary.BigEndian.PutUint16(b[38:], uint16(8+payload))
	for i := range payload {
		b[42+i] = byte(i)
	}
	return b
}

// Rewriting keeps every state of a checksum what it is: right, partial, wrong,
// none.
func TestRewriteKeepsChecksumState(t *testing.T) {
	p, x := newTest(t)
	set := []odp.Action{
		{Type: odp.Set, Ext: &odp.Ext{Set: &odp.SetArg{Attr: odp.AttrIPv4, Key: flow.Flow{NwSrc: 0x01020304},
			Mask: flow.Mask{NwSrc: ^uint32(0)}}}},
		{Type: odp.Set, Ext: &odp.Ext{Set: &odp.SetArg{Attr: odp.AttrUDP, Key: flow.Flow{TpDst: 7},
			Mask: flow.Mask{TpDst: 0xffff}}}},
	}
	for _, size := range []int{10, 9000} {
		for _, tc := range []struct {
			name string
			csum func(pseudo uint16, b []byte) uint16
			mark uint8
			ok   bool
		}{
			{"right", func(s uint16, b []byte) uint16 { return ^packet.Sum(b, s) }, 0, true},
			{"partial, marked", func(s uint16, _ []byte) uint16 { return s }, 1, true},
			{"partial, unmarked", func(s uint16, _ []byte) uint16 { return s }, 2, true},
			{"wrong", func(s uint16, b []byte) uint16 { return 0x1234 }, 0, false},
			{"none", func(uint16, []byte) uint16 { return 0 }, 0, true},
		} {
			b := udp4(size)
			csum := tc.csum(packet.PseudoSum(b[14:], 17, 8+size), b[34:])
			binary.BigEndian.PutUint16(b[40:], csum)
			i := x.receive(b)
			switch tc.mark {
			case 1:
				p.Meta(i).Csum = packet.CsumPartial
			case 2:
				p.Meta(i).Offload |= packet.CsumUnmarked
			}
			batch := packet.Batch{N: 1}
			batch.Pkts[0] = i
			x.RunKeep(&batch, set)
			if (p.Meta(i).Csum == packet.CsumPartial) != (tc.mark != 0) {
				t.Errorf("%s: state %d", tc.name, p.Meta(i).Csum)
			}
			p.CompleteCsum(i)
			p.Meta(i).Csum = packet.CsumUnknown
			if got := p.CsumOK(i); got != tc.ok {
				t.Errorf("%s, %d bytes: checksum ok %t", tc.name, size, got)
			}
			if tc.name == "none" && binary.BigEndian.Uint16(p.Data(i)[40:]) != 0 {
				t.Error("a checksum appeared")
			}
			x.c.FreeBatch(&batch)
		}
	}
}

func TestSampleDraws(t *testing.T) {
	p, x := newTest(t)
	draws := []uint32{5, 4, 6}
	x.Random = func() uint32 { d := draws[0]; draws = draws[1:]; return d }
	var b packet.Batch
	for range 3 {
		b.Add(x.receive(udp4(0)))
	}
	mark := odp.Action{Type: odp.Set, Ext: &odp.Ext{Set: &odp.SetArg{Attr: odp.AttrSkbMark,
		Key: flow.Flow{PktMark: 1}, Mask: flow.Mask{PktMark: 1}}}}
	x.RunKeep(&b, []odp.Action{{Type: odp.Sample, Arg: 5, Nested: []odp.Action{mark}}})
	if b.N != 3 || len(draws) != 0 {
		t.Errorf("%d packets left, draws left %v", b.N, draws)
	}
	for _, i := range b.Slice() {
		if p.Meta(i).Mark != 0 {
			t.Error("a sampled copy's actions changed the packet")
		}
	}
	x.c.FreeBatch(&b)
	x.c.Close()
	if p.Available() != 999 {
		t.Errorf("%d frames leaked", 999-p.Available())
	}
}

func TestSetAllocatesNothing(t *testing.T) {
	_, x := newTest(t)
	i := x.receive(udp4(20))
	actions, err := odp.ParseActions("set(ipv4(src=1.2.3.4,ttl=3)),push_vlan(vid=4,pcp=0),pop_vlan,set(udp(dst=5)),hash(l4(0)),hash(sym_l4(0))", nil)
	if err != nil {
		t.Fatal(err)
	}
	var b packet.Batch
	b.Add(i)
	run := func() {
		x.p.Meta(i).Offload &^= packet.HashValid
		x.RunKeep(&b, actions)
	}
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzActions runs actions on packets that are anything.
func FuzzActions(f *testing.F) {
	all := "set(eth(src=01:02:03:04:05:06)),set(ipv4(src=1.2.3.4,ttl=3)),set(ipv6(src=::1,hlimit=2)),set(tcp(src=1)),set(udp(src=1))," +
		"set(sctp(src=1)),set(arp(op=1)),set(nd(target=::5,sll=01:02:03:04:05:06)),push_vlan(vid=4,pcp=0),pop_vlan,pop_vlan," +
		"push_mpls(label=100,tc=3,ttl=64,bos=1,eth_type=0x8847),set(mpls(label=3,tc=0,ttl=4,bos=0)),pop_mpls(eth_type=0x800),hash(l4(0)),pop_eth," +
		"push_eth(src=01:02:03:04:05:06,dst=0a:0b:0c:0d:0e:0f),push_nsh(flags=0,ttl=63,mdtype=1,np=3,spi=0x5678,si=255,c1=0x1,c2=0x2,c3=0x3,c4=0x4)," +
		"set(nsh(ttl=3)),pop_nsh()"
	list, err := odp.ParseActions(all, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(udp4(4), uint64(0xffff), uint16(0))
	f.Add(udp4(4), uint64(0x1b0), uint16(30))
	p, x := newTest(f)
	f.Fuzz(func(t *testing.T, b []byte, pick uint64, cut uint16) {
		if len(b) > 65535 {
			return
		}
		var some []odp.Action
		for n := range list {
			if pick>>n&1 != 0 {
				some = append(some, list[n])
			}
		}
		batch := packet.Batch{N: 1}
		batch.Pkts[0] = x.receive(b)
		x.c.Trim(batch.Pkts[0], max(int(cut), 1))
		x.RunKeep(&batch, some)
		for _, i := range batch.Slice() {
			p.CompleteCsum(i)
		}
		x.c.FreeBatch(&batch)
	})
}
