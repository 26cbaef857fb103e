package netflow

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sluice/dpif/flow"
)

// decode is the text of a datagram: a line for its header and one for each record.
func decode(t *testing.T, b []byte) string {
	t.Helper()
	u16 := func(at int) uint16 { return binary.BigEndian.Uint16(b[at:]) }
	u32 := func(at int) uint32 { return binary.BigEndian.Uint32(b[at:]) }
	n := int(u16(2))
	if u16(0) != 5 || len(b) != 24+48*n {
		t.Fatalf("version %d, %d records in %d bytes", u16(0), n, len(b))
	}
	var out strings.Builder
	fmt.Fprintf(&out, "up %d wall %d.%09d seq %d engine %d,%d\n", u32(4), u32(8), u32(12), u32(16), b[20], b[21])
	for b = b[24:]; len(b) > 0; b = b[48:] {
		fmt.Fprintf(&out, "%x>%x if %d>%d %d pkts %d bytes proto %d %d>%d flags %x tos %x %d..%d\n", u32(0), u32(4), u16(12), u16(14),
			u32(16), u32(20), b[38], u16(32), u16(34), b[37], b[39], u32(24), u32(28))
	}
	return out.String()
}

// bed collects what an exporter sends.
type bed struct {
	*Exporter
	t *testing.T
}

func newBed(t *testing.T, o Options) *bed {
	b := &bed{New(1000), t}
	b.SetOptions(o, 1000)
	return b
}

// run runs the exporter and checks what it sends.
func (b *bed) run(now int64, want ...string) {
	b.t.Helper()
	var got []string
	b.Run(now, 1500000000000+now, func(d []byte) { got = append(got, decode(b.t, d)) })
	if !slices.Equal(got, want) {
		b.t.Errorf("at %d: %q\nwant %q", now, got, want)
	}
}

var tcp = Key{Src: 0x0a000001, Dst: 0x0a000002, InPort: 1, TpSrc: 1234, TpDst: 80, Proto: 6, TOS: 0xb9}

func TestKeyOf(t *testing.T) {
	f := flow.Flow{DLType: flow.EthIPv4, NwSrc: 1, NwDst: 2, InPort: flow.OFPLocal, TpSrc: 3, TpDst: 4, NwProto: 5, NwTOS: 6}
	want := Key{Src: 1, Dst: 2, InPort: 0xfffe, TpSrc: 3, TpDst: 4, Proto: 5, TOS: 6}
	if k, ok := KeyOf(&f); !ok || k != want {
		t.Errorf("%+v, %v", k, ok)
	}
	f.DLType = flow.EthIPv6
	if _, ok := KeyOf(&f); ok {
		t.Error("IPv6 is reported")
	}
}

func TestActiveTimeout(t *testing.T) {
	b := newBed(t, Options{EngineType: 2, EngineID: 1, ActiveTimeoutMs: 10000})
	b.run(1000)
	b.Update(&tcp, 2, &Usage{Packets: 1, Bytes: 60, Used: 1500, TCPFlags: 2}, 1500)
	b.Update(&tcp, 2, &Usage{Packets: 2, Bytes: 120, Used: 4000, TCPFlags: 0x10}, 4100)
	b.run(11500)
	b.run(12500, "up 11500 wall 1500000012.500000000 seq 0 engine 2,1\n"+
		"a000001>a000002 if 1>2 3 pkts 180 bytes proto 6 1234>80 flags 12 tos b8 500..3000\n")
	// Nothing since: no report, and it is forgotten.
	b.run(30000)
	b.run(40000)
	if len(b.flows) != 0 {
		t.Errorf("%d flows are left", len(b.flows))
	}
}

func TestReports(t *testing.T) {
	b := newBed(t, Options{EngineID: 0x85, AddIDToInterface: true})
	if at, ok := b.Next(); ok {
		t.Errorf("something to do at %d", at)
	}
	icmp := Key{Src: 1, Dst: 2, InPort: 0xfffe, TpSrc: 8, TpDst: 3, Proto: 1}
	b.Update(&icmp, OutFlood, &Usage{Packets: 1, Bytes: 100, Used: 1000}, 1000)
	b.run(2000)
	// It takes another way: what went the old way is reported.
	b.Update(&icmp, 4, &Usage{Packets: 5, Bytes: 500, Used: 3000}, 3000)
	if at, ok := b.Next(); !ok || at != 0 {
		t.Errorf("next at %d, %v", at, ok)
	}
	b.run(4000, "up 3000 wall 1500000004.000000000 seq 0 engine 0,133\n"+
		fmt.Sprintf("1>2 if %d>%d 1 pkts 100 bytes proto 1 0>2051 flags 0 tos 0 0..0\n", 5<<9|0x1fe, 5<<9|0x1ff))
	b.Clear(&icmp)
	b.Clear(&icmp)
	b.run(5000, "up 4000 wall 1500000005.000000000 seq 1 engine 0,133\n"+
		fmt.Sprintf("1>2 if %d>%d 5 pkts 500 bytes proto 1 0>2051 flags 0 tos 0 2000..2000\n", 5<<9|0x1fe, 5<<9|4))
}

// TestCounters: 32 bits have to do.
func TestCounters(t *testing.T) {
	b := newBed(t, Options{})
	const bytes = 3 << 32
	b.Update(&tcp, 2, &Usage{Packets: 9, Bytes: bytes, Used: 1000}, 1000)
	b.Clear(&tcp)
	var packets, sum, n uint64
	for _, r := range b.pending {
		n++
		packets += uint64(r.packets)
		sum += uint64(r.bytes)
	}
	if n != 4 || packets != 9 || sum != bytes {
		t.Errorf("%d records with %d packets, %d bytes", n, packets, sum)
	}
	b.Update(&tcp, 2, &Usage{Packets: 9, Bytes: ^uint64(0), Used: 1000}, 1000)
	b.pending = nil
	b.Clear(&tcp)
	if len(b.pending) != 0 {
		t.Error("an impossible counter is reported")
	}
}

func TestManyRecords(t *testing.T) {
	b := newBed(t, Options{ActiveTimeoutMs: 1000})
	for i := range 70 {
		k := tcp
		k.Src = uint32(i)
		b.Update(&k, 2, &Usage{Packets: 1, Bytes: 60, Used: 1000}, 1000)
	}
	var sizes []int
	var first []string
	b.Run(3000, 0, func(d []byte) {
		sizes = append(sizes, int(binary.BigEndian.Uint16(d[2:])))
		first = append(first, fmt.Sprint(binary.BigEndian.Uint32(d[24:]), " ", binary.BigEndian.Uint32(d[16:])))
	})
	if !slices.Equal(sizes, []int{30, 30, 10}) || !slices.Equal(first, []string{"0 29", "30 59", "60 69"}) {
		t.Errorf("datagrams of %v records, which begin with %v", sizes, first)
	}
}
