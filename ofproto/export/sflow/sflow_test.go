package sflow

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev"
	"sluice/ofproto/export"
)

// source has the counters of a port 1, which is up, and the totals.
type source struct{ lacp *LACP }

func (s source) PortCounters(odp uint32) (PortCounters, bool) {
	st := netdev.NoStats()
	st.RxPackets, st.RxBytes, st.TxPackets, st.TxBytes = 3, 202, 2, 148
	return PortCounters{Name: "p1", Speed: 100000000, AdminUp: true, LinkUp: true, Stats: st, DatapathID: 0xfedc, OFPort: 7, LACP: s.lacp}, odp == 1
}

func (source) Totals(sub uint32) (Totals, bool) {
	return Totals{Datapath: dpif.DPStats{Hit: 1, Missed: 2, Flows: 4, MaskHit: 3, Masks: 5}, UserMs: 6, SysMs: 7, MemoryUsed: 1 << 33}, sub == 0
}

// reader reads a datagram.
type reader struct {
	t *testing.T
	b []byte
}

func (r *reader) u32() uint32 {
	r.t.Helper()
	if len(r.b) < 4 {
		r.t.Fatal("the datagram ends early")
	}
	v := binary.BigEndian.Uint32(r.b)
	r.b = r.b[4:]
	return v
}

// record reads a tag, a length, and as many bytes.
func (r *reader) record() (tag uint32, body *reader) {
	r.t.Helper()
	tag = r.u32()
	n := int(r.u32())
	if n%4 != 0 || n > len(r.b) {
		r.t.Fatalf("record %d of %d bytes in %d", tag, n, len(r.b))
	}
	body = &reader{r.t, r.b[:n]}
	r.b = r.b[n:]
	return tag, body
}

// decode is the text of a datagram: a line for its header, for each sample and for
// each record in hexadecimal.
func decode(t *testing.T, b []byte) string {
	t.Helper()
	r := &reader{t, b}
	var out strings.Builder
	if v := r.u32(); v != 5 {
		t.Fatalf("version %d", v)
	}
	size := 4
	if r.u32() == 2 {
		size = 16
	}
	agent, _ := netip.AddrFromSlice(r.b[:size])
	r.b = r.b[size:]
	fmt.Fprintf(&out, "agent %s sub %d seq %d up %d\n", agent, r.u32(), r.u32(), r.u32())
	for n := r.u32(); n > 0; n-- {
		tag, s := r.record()
		words := map[uint32]int{1: 7, 2: 2}[tag]
		fmt.Fprintf(&out, "sample %d:", tag)
		for range words {
			fmt.Fprintf(&out, " %x", s.u32())
		}
		out.WriteByte('\n')
		for n := s.u32(); n > 0; n-- {
			tag, e := s.record()
			fmt.Fprintf(&out, " %d: %x\n", tag, e.b)
		}
		if len(s.b) > 0 {
			t.Errorf("%d bytes behind a sample", len(s.b))
		}
	}
	if len(r.b) > 0 {
		t.Errorf("%d bytes behind the samples", len(r.b))
	}
	return out.String()
}

// agent makes an agent whose datagrams come out decoded.
func agent(t *testing.T, c Config, src Source) (*Agent, *[]string) {
	out := &[]string{}
	if !c.Agent.IsValid() {
		c.Agent = netip.MustParseAddr("127.0.0.1")
	}
	c.Rand = func(uint32) uint32 { return 0 }
	return New(c, src, func(b []byte) {
		if len(b) > maxDatagram {
			t.Errorf("a datagram of %d bytes", len(b))
		}
		*out = append(*out, decode(t, b))
	}, 5000), out
}

func equal(t *testing.T, got []string, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d datagrams, want %d:\n%s", len(got), len(want), strings.Join(got, "\n"))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("datagram %d:\n%swant\n%s", i, got[i], want[i])
		}
	}
}

const frame = "5054000000075054000000050800"

func sampleOf(t *testing.T, arg odp.UserspaceArg, key flow.Flow, acts ...odp.Action) *export.Sample {
	head, err := hex.DecodeString(frame)
	if err != nil {
		t.Fatal(err)
	}
	return export.NewSample(&arg, &key, head, 100, acts)
}

func TestFlowSamples(t *testing.T) {
	a, out := agent(t, Config{SubID: 1, Sampling: 10, Header: 10}, source{})
	a.SetPorts([]Port{{ODP: 1, Ifindex: 1004}, {ODP: 2, TunnelProto: 47}, {ODP: 3, Ifindex: 3, TunnelProto: 17}})
	tagged := flow.Flow{InPort: 1}
	tagged.VLANs[0] = flow.VLAN{TPID: 0x8100, TCI: 5<<13 | flow.VLANCFI | 11}
	a.Sample(sampleOf(t, odp.UserspaceArg{Output: 1003, VLANTCI: 3<<13 | flow.VLANCFI | 12}, tagged), 0)
	// From a tunnel, out of another one.
	in := flow.Flow{InPort: 3, Tunnel: flow.Tunnel{IPSrc: 0x0a000001, IPDst: 0x0a000002, ID: 9, TpSrc: 1, TpDst: 4789, TOS: 4}}
	set := odp.Action{Type: odp.SetTunnel, Ext: &odp.Ext{Tunnel: &flow.Tunnel{IPDst: 0x01010101, ID: 456, TOS: 1}}}
	a.Sample(sampleOf(t, odp.UserspaceArg{Output: 1<<31 | 1}, in, set, odp.Action{Type: odp.Output, Port: 2}), 8)
	// Labels and tunnels of a packet with several ways out are not told.
	a.Sample(sampleOf(t, odp.UserspaceArg{Output: 1<<31 | 2}, flow.Flow{InPort: 9}, set, odp.Action{Type: odp.PushMPLS, Port: 0x1000}), 8)
	push := odp.Action{Type: odp.PushMPLS, Port: 0x00315820}
	a.Sample(sampleOf(t, odp.UserspaceArg{Output: 1003}, flow.Flow{InPort: 1}, push, push), 8)
	a.Run(5999)
	equal(t, *out)
	a.Run(6000)
	equal(t, *out, `agent 127.0.0.1 sub 1 seq 1 up 1000
sample 1: 1 20003e9 a a 0 3ec 3eb
 1001: 0000000b000000050000000c00000003
 1: 0000000100000068000000040000000a505400000007505400000000
sample 1: 2 20003e9 a 14 8 3 80000001
 1001: 00000000000000000000000000000000
 1: 0000000100000068000000040000000a505400000007505400000000
 1029: 000001c8
 1023: 000000000000002f000000000101010100000000000000000000000000000001
 1030: 00000009
 1024: 00000000000000110a0000010a00000200000001000012b50000000000000004
sample 1: 3 20003e9 a 1e 8 0 80000002
 1001: 00000000000000000000000000000000
 1: 0000000100000068000000040000000a505400000007505400000000
sample 1: 4 20003e9 a 28 8 3ec 3eb
 1001: 00000000000000000000000000000000
 1: 0000000100000068000000040000000a505400000007505400000000
 1006: 0000000100000000000000000000000200315820`+`00315920
`)
}

const (
	p1Records = ` 2: ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff
 1004: 000000000000fedc00000007
 1005: 0000000270310000
`
	p1Generic = ` 1: 000003ec000000060000000005f5e100000000000000000300000000000000ca00000003ffffffffffffffffffffffffffffffffffffffff000000000000009400000002ffffffffffffffffffffffffffffffff00000000
`
	totalRecords = ` 2203: 0000000600000007000000020000000000000000000000000000000000000000` + `0000000000000000
 2207: 000000010000000200000000000000030000000400000005
`
)

func TestCounterSamples(t *testing.T) {
	a, out := agent(t, Config{Polling: 2, Sampling: 1}, source{})
	a.SetPorts([]Port{{ODP: 1, Ifindex: 1004}, {ODP: 2}, {ODP: 5, Ifindex: 1}})
	a.Run(6000)
	a.Run(7000)
	// The port stays, and goes on where it was.
	a.SetPorts([]Port{{ODP: 1, Ifindex: 1004}})
	a.Run(8000)
	equal(t, *out, "agent 127.0.0.1 sub 0 seq 1 up 1000\n"+
		"sample 2: 1 20003e8\n"+totalRecords+
		"sample 2: 1 3ec\n"+p1Records+p1Generic,
		"agent 127.0.0.1 sub 0 seq 2 up 3000\n"+
			"sample 2: 2 20003e8\n"+totalRecords+
			"sample 2: 2 3ec\n"+p1Records+p1Generic)
}

func TestCountersOfAnAggregation(t *testing.T) {
	l := &LACP{ActorSystem: flow.MAC{0x11, 0x22, 0x33, 0x44, 0x55, 0x66}, AggregatorID: 3333, ActorAdmin: 7, ActorOper: 0xbf, PartnerOper: 2, TxPDUs: 1}
	a, out := agent(t, Config{SubID: 3, Polling: 1, Sampling: 1, Agent: netip.MustParseAddr("2001:db8::1")}, source{l})
	a.SetPorts([]Port{{ODP: 1, Ifindex: 1004}})
	a.Run(6000)
	equal(t, *out, "agent 2001:db8::1 sub 3 seq 1 up 1000\n"+
		"sample 2: 1 3ec\n"+p1Records+
		" 7: 1122334455660000000000000000000000000d0507bf000200000000ffffffffffffffffffffffff0000000000000001ffffffffffffffff\n"+p1Generic)
}

func TestNoPolling(t *testing.T) {
	a, out := agent(t, Config{Sampling: 1}, source{})
	a.SetPorts([]Port{{ODP: 1, Ifindex: 1004}})
	for now := int64(6000); now < 100000; now += 1000 {
		if next := a.Next(); next != now {
			t.Fatalf("next at %d, want %d", next, now)
		}
		a.Run(now)
	}
	equal(t, *out)
}

// TestFullDatagrams: what does not fit goes into the next datagram.
func TestFullDatagrams(t *testing.T) {
	var sizes []int
	a := New(Config{Agent: netip.MustParseAddr("127.0.0.1"), Sampling: 1, Header: 128, Rand: func(uint32) uint32 { return 0 }}, source{},
		func(b []byte) { sizes = append(sizes, len(b)) }, 0)
	s := export.NewSample(&odp.UserspaceArg{Output: 1}, &flow.Flow{}, make([]byte, 128), 128, nil)
	for range 13 {
		a.Sample(s, 0)
	}
	a.Run(1000)
	// 40 bytes of a sample, 24 of its switch record and 24+128 of the header.
	const each = 40 + 24 + 24 + 128
	if len(sizes) != 3 || sizes[0] != 28+6*each || sizes[1] != sizes[0] || sizes[2] != 28+each {
		t.Errorf("datagrams of %v bytes", sizes)
	}
}

// TestTicks: counters are polled at whole seconds, whenever the agent began and however
// late it is run.
func TestTicks(t *testing.T) {
	a := New(Config{Agent: netip.MustParseAddr("127.0.0.1"), Sampling: 1}, source{}, func([]byte) {}, 5300)
	for _, c := range []struct{ run, next int64 }{{5999, 6000}, {6000, 7000}, {6400, 7000}, {7250, 8000}, {9999, 10000}} {
		if a.Run(c.run); a.Next() != c.next {
			t.Errorf("run at %d: next at %d, want %d", c.run, a.Next(), c.next)
		}
	}
}

func TestProbability(t *testing.T) {
	for sampling, want := range map[uint32]uint32{0: 0, 1: ^uint32(0), 2: 0x7fffffff, ^uint32(0): 1} {
		if got := Probability(sampling); got != want {
			t.Errorf("one of %d: %#x, want %#x", sampling, got, want)
		}
	}
}
