package conntrack

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev/packet"
)

// bench is a tracker with memory for packets.
type bench struct {
	t    testing.TB
	ct   *Tracker
	pool *packet.Pool
	c    *packet.Cache
	now  int64
}

func newBench(t testing.TB) *bench {
	pool, err := packet.NewPool(1024)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pool.Close() })
	return &bench{t: t, ct: New(), pool: pool, c: pool.NewCache(32), now: 1000}
}

// pkt is a packet in words.
type pkt struct {
	src, dst     string // addresses
	proto        uint8
	sport, dport uint16 // ICMP: type, id
	flags        uint8
	seq, ack     uint32
	win          uint16
	options      []byte
	payload      int
	quote        []byte // payload: of an ICMP error the packet that it quotes, from its IP header
	partial      bool
}

// ip builds the packet from its IP header on.
func (p pkt) ip() []byte {
	src, dst := netip.MustParseAddr(p.src), netip.MustParseAddr(p.dst)
	var l4 []byte
	switch p.proto {
	case protoTCP:
		l4 = make([]byte, 20)
		binary.BigEndian.PutUint32(l4[4:], p.seq)
		binary.BigEndian.PutUint32(l4[8:], p.ack)
		l4[12], l4[13] = byte(20+len(p.options))/4<<4, p.flags
		binary.BigEndian.PutUint16(l4[14:], p.win)
		l4 = append(append(l4, p.options...), p.quote...)
	case protoUDP:
		l4 = make([]byte, 8)
		binary.BigEndian.PutUint16(l4[4:], uint16(8+p.payload))
	case protoICMP, protoICMPv6:
		l4 = make([]byte, 8)
		l4[0] = byte(p.sport)
		binary.BigEndian.PutUint16(l4[4:], p.dport)
		l4 = append(l4, p.quote...)
	}
	if p.proto == protoTCP || p.proto == protoUDP {
		binary.BigEndian.PutUint16(l4, p.sport)
		binary.BigEndian.PutUint16(l4[2:], p.dport)
	}
	for i := range p.payload {
		l4 = append(l4, byte(i))
	}
	var h []byte
	if src.Is4() {
		h = make([]byte, 20)
		h[0], h[8], h[9] = 0x45, 64, p.proto
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(l4)))
		copy(h[12:], src.AsSlice())
		copy(h[16:], dst.AsSlice())
		binary.BigEndian.PutUint16(h[10:], packet.Checksum(h))
	} else {
		h = make([]byte, 40)
		h[0], h[6], h[7] = 0x60, p.proto, 64
		binary.BigEndian.PutUint16(h[4:], uint16(len(l4)))
		copy(h[8:], src.AsSlice())
		copy(h[24:], dst.AsSlice())
	}
	at := map[uint8]int{protoTCP: 16, protoUDP: 6, protoICMP: 2, protoICMPv6: 2}[p.proto]
	sum := packet.PseudoSum(h, p.proto, len(l4))
	switch {
	case p.partial:
		binary.BigEndian.PutUint16(l4[at:], sum)
	case p.proto == protoICMP:
		binary.BigEndian.PutUint16(l4[at:], packet.Checksum(l4))
	case at != 0:
		binary.BigEndian.PutUint16(l4[at:], ^packet.Sum(l4, sum))
	}
	return append(h, l4...)
}

// frame makes the packet in the pool.
func (b *bench) frame(p pkt) packet.Index {
	ip := p.ip()
	eth := make([]byte, 14)
	eth[12], eth[13] = 0x08, 0x00
	if ip[0]>>4 == 6 {
		eth[12], eth[13] = 0x86, 0xdd
	}
	i := b.c.New(append(eth, ip...))
	if p.partial {
		b.pool.Meta(i).Csum = packet.CsumPartial
	}
	b.extract(i)
	return i
}

func (b *bench) extract(i packet.Index) *flow.Flow {
	var k flow.Mini
	var f flow.Flow
	flow.Extract(b.pool.Data(i), b.pool.Meta(i), b.pool.Cold(i), &k)
	k.Expand(&f)
	return &f
}

// run sends frame i through the tracker.
func (b *bench) run(i packet.Index, arg odp.CTArg) *flow.Flow {
	var batch packet.Batch
	batch.Add(i)
	b.ct.Execute(b.c, &batch, &arg, b.now)
	return b.extract(i)
}

// send runs a packet through ct(arg), checks its state, and returns its flow.
func (b *bench) send(p pkt, arg odp.CTArg, want string) *flow.Flow {
	b.t.Helper()
	i := b.frame(p)
	defer b.c.Free(i)
	f := b.run(i, arg)
	b.check(i, f, want)
	return f
}

// check compares the state of a packet and verifies its checksums.
func (b *bench) check(i packet.Index, f *flow.Flow, want string) {
	b.t.Helper()
	if got := stateText(f.CTState); got != want {
		b.t.Errorf("state %s, want %s", got, want)
	}
	if b.pool.Meta(i).Csum != packet.CsumPartial {
		b.pool.Meta(i).Csum = packet.CsumUnknown
		if !b.pool.CsumOK(i) {
			b.t.Errorf("wrong checksum")
		}
	}
	var v view
	k := key{}
	if !parse(b.pool, i, &v, &k) && !strings.Contains(want, "inv") {
		b.t.Errorf("packet is broken now")
	}
}

func stateText(s uint8) string {
	var words []string
	for i, w := range []string{"new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"} {
		if s&(1<<i) != 0 {
			words = append(words, w)
		}
	}
	return strings.Join(words, "|")
}

// dump lists the connections in short.
func (b *bench) dump() string {
	var s strings.Builder
	for _, e := range b.ct.DumpConntrack(nil, b.now) {
		end := func(t dpif.CTTuple) string {
			a, z := netip.AddrFrom16(t.Src).Unmap(), netip.AddrFrom16(t.Dst).Unmap()
			return fmt.Sprintf("%s:%d>%s:%d", a, t.SrcPort, z, t.DstPort)
		}
		fmt.Fprintf(&s, "%d %s %s z%d m%d t%d", e.IPProto, end(e.Orig), end(e.Reply), e.Zone, e.Mark, e.TimeoutSec)
		if e.TCP != nil {
			fmt.Fprintf(&s, " %s/%s", dpif.CTTCPStates[e.TCP.Orig.State], dpif.CTTCPStates[e.TCP.Reply.State])
		}
		s.WriteByte('\n')
	}
	return s.String()
}

func (b *bench) wantDump(want string) {
	b.t.Helper()
	if got := b.dump(); got != want {
		b.t.Errorf("dump:\n%swant:\n%s", got, want)
	}
}

const (
	hostA = "10.1.1.1"
	hostB = "10.1.1.2"
)

var (
	commit = odp.CTArg{Commit: true}
	track  = odp.CTArg{}
)

func udp(src string, sport uint16, dst string, dport uint16) pkt {
	return pkt{src: src, dst: dst, proto: protoUDP, sport: sport, dport: dport, payload: 3}
}

func TestUDP(t *testing.T) {
	b := newBench(t)
	req, rep := udp(hostA, 5, hostB, 7), udp(hostB, 7, hostA, 5)
	b.send(req, track, "new|trk")
	b.wantDump("")
	f := b.send(req, odp.CTArg{Commit: true, HasMark: true, Mark: 7, MarkMask: 7}, "new|trk")
	if f.CTMark != 7 || f.CTNwSrc != 0x0a010101 || f.CTNwDst != 0x0a010102 || f.CTTpSrc != 5 || f.CTTpDst != 7 || f.CTNwProto != 17 {
		t.Errorf("metadata: %+v", f)
	}
	b.send(req, track, "new|trk")
	f = b.send(rep, track, "est|rpl|trk")
	if f.CTNwSrc != 0x0a010101 || f.CTMark != 7 {
		t.Errorf("reply metadata: %x %d", f.CTNwSrc, f.CTMark)
	}
	b.send(req, track, "est|trk")
	b.wantDump("17 10.1.1.1:5>10.1.1.2:7 10.1.1.2:7>10.1.1.1:5 z0 m7 t30\n")
	b.send(req, odp.CTArg{Zone: 1}, "new|trk")
	b.now += 29_999
	b.send(rep, track, "est|rpl|trk")
	b.now += 30_000
	b.send(rep, track, "new|trk")
	b.wantDump("")
	b.now += 2 * sweepIntervalMs
	b.ct.Run(b.c, b.now)
	if n, _ := b.ct.Conns(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
}

func TestForceAndLabel(t *testing.T) {
	b := newBench(t)
	req, rep := udp(hostA, 5, hostB, 7), udp(hostB, 7, hostA, 5)
	b.send(req, odp.CTArg{Commit: true, HasLabel: true, Label: flow.U128{Hi: 1, Lo: 2}, LabelMask: flow.U128{Hi: 1, Lo: 2}}, "new|trk")
	f := b.send(rep, track, "est|rpl|trk")
	if f.CTLabel != (flow.U128{Hi: 1, Lo: 2}) {
		t.Errorf("label %v", f.CTLabel)
	}
	b.send(rep, odp.CTArg{Commit: true, Force: true}, "new|trk")
	b.wantDump("17 10.1.1.2:7>10.1.1.1:5 10.1.1.1:5>10.1.1.2:7 z0 m0 t60\n")
}

func tcp(fromA bool, flags uint8, seq, ack uint32, payload int) pkt {
	p := pkt{src: hostA, dst: hostB, proto: protoTCP, sport: 1, dport: 2, flags: flags, seq: seq, ack: ack, win: 1000, payload: payload}
	if !fromA {
		p.src, p.dst, p.sport, p.dport = hostB, hostA, 2, 1
	}
	return p
}

func TestTCP(t *testing.T) {
	b := newBench(t)
	steps := []struct {
		fromA    bool
		flags    uint8
		seq, ack uint32
		payload  int
		want     string
		dump     string // states and timeout
	}{
		{true, flagSYN, 100, 0, 0, "new|trk", "t30 SYN_SENT/CLOSED"},
		{true, flagSYN, 100, 0, 0, "new|trk", "t30 SYN_SENT/CLOSED"},
		{false, flagSYN | flagACK, 500, 101, 0, "est|rpl|trk", "t30 ESTABLISHED/SYN_SENT"},
		{true, flagACK, 101, 501, 0, "est|trk", "t86400 ESTABLISHED/ESTABLISHED"},
		{true, flagACK | flagPSH, 101, 501, 10, "est|trk", "t86400 ESTABLISHED/ESTABLISHED"},
		{true, flagACK, 101 + 5000, 501, 10, "inv|trk", "t86400 ESTABLISHED/ESTABLISHED"},
		{true, flagACK, 111, 501 + 200000, 10, "inv|trk", "t86400 ESTABLISHED/ESTABLISHED"},
		{false, flagRST, 9999, 0, 0, "inv|trk", "t86400 ESTABLISHED/ESTABLISHED"},
		{true, flagSYN | flagFIN, 111, 501, 0, "inv|trk", "t86400 ESTABLISHED/ESTABLISHED"},
		{true, flagFIN | flagACK, 111, 501, 0, "est|trk", "t900 CLOSING/ESTABLISHED"},
		{false, flagFIN | flagACK, 501, 112, 0, "est|rpl|trk", "t45 FIN_WAIT_2/CLOSING"},
		{true, flagACK, 112, 502, 0, "est|trk", "t30 FIN_WAIT_2/FIN_WAIT_2"},
		{true, flagSYN, 9000, 0, 0, "new|trk", "t30 SYN_SENT/CLOSED"},
	}
	for n, s := range steps {
		arg := track
		if s.flags == flagSYN {
			arg = commit
		}
		b.send(tcp(s.fromA, s.flags, s.seq, s.ack, s.payload), arg, s.want)
		if got := b.dump(); strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, s.dump+"\n") {
			t.Fatalf("step %d: %s, want %s", n, got, s.dump)
		}
	}
}

func TestTCPPickUpAndReset(t *testing.T) {
	b := newBench(t)
	b.send(tcp(false, flagSYN|flagACK, 500, 101, 0), commit, "inv|trk")
	b.send(tcp(true, flagACK, 101, 501, 0), commit, "new|trk")
	b.send(tcp(false, flagACK, 501, 101, 5), track, "est|rpl|trk")
	b.send(tcp(true, flagACK, 101, 506, 0), track, "est|trk")
	b.send(tcp(false, flagRST|flagACK, 506, 101, 0), track, "est|rpl|trk")
	b.wantDump("6 10.1.1.1:1>10.1.1.2:2 10.1.1.2:2>10.1.1.1:1 z0 m0 t30 TIME_WAIT/TIME_WAIT\n")
}

func TestTCPWithoutSequenceCheck(t *testing.T) {
	b := newBench(t)
	open := func() {
		b.send(tcp(true, flagSYN, 100, 0, 0), commit, "new|trk")
		b.send(tcp(false, flagSYN|flagACK, 500, 101, 0), track, "est|rpl|trk")
		b.send(tcp(true, flagACK, 101, 501, 0), track, "est|trk")
	}
	open()
	b.send(tcp(true, flagACK, 900000, 501, 10), track, "inv|trk")
	_ = b.ct.SetTCPSeqCheck(false)
	b.send(tcp(true, flagACK, 900000, 501, 10), track, "est|trk")
}

func TestWindowScale(t *testing.T) {
	for _, c := range []struct {
		options []byte
		want    uint8
	}{
		{nil, 0},
		{[]byte{1, 3, 3, 7}, scaleSent | 7},
		{[]byte{3, 3, 200, 1}, scaleSent | maxScale},
		{[]byte{2, 4, 5, 180, 1, 3, 3, 2}, scaleSent | 2},
		{[]byte{0, 3, 3, 7}, 0},
		{[]byte{9, 0, 1, 3}, 0},
		{[]byte{9, 200, 1, 1}, 0},
		{[]byte{1, 1, 1, 1}, 0},
	} {
		g := segment{options: c.options}
		if got := g.windowScale(); got != c.want {
			t.Errorf("%v: %#x, want %#x", c.options, got, c.want)
		}
	}
}

func TestICMP(t *testing.T) {
	b := newBench(t)
	ping := pkt{src: hostA, dst: hostB, proto: protoICMP, sport: icmpEcho, dport: 77, payload: 56}
	pong := pkt{src: hostB, dst: hostA, proto: protoICMP, sport: icmpEchoReply, dport: 77, payload: 56}
	b.send(pong, commit, "inv|trk")
	b.send(ping, commit, "new|trk")
	b.send(ping, track, "new|trk")
	f := b.send(pong, track, "est|rpl|trk")
	if f.CTTpSrc != icmpEcho || f.CTTpDst != 0 {
		t.Errorf("original type %d code %d", f.CTTpSrc, f.CTTpDst)
	}
	b.send(ping, track, "est|trk")
	b.wantDump("1 10.1.1.1:77>10.1.1.2:2048 10.1.1.2:77>10.1.1.1:0 z0 m0 t30\n")
	six := pkt{src: "fd00::1", dst: "fd00::2", proto: protoICMPv6, sport: icmp6Echo, dport: 5}
	b.send(six, commit, "new|trk")
	six.src, six.dst, six.sport = six.dst, six.src, icmp6EchoReply
	f = b.send(six, track, "est|rpl|trk")
	if f.CTIPv6Src[15] != 1 || f.CTIPv6Dst[15] != 2 || f.CTNwProto != protoICMPv6 {
		t.Errorf("IPv6 tuple: %+v", f.CTIPv6Src)
	}
}

func TestICMPError(t *testing.T) {
	b := newBench(t)
	req := udp(hostA, 5, hostB, 7)
	gone := pkt{src: "10.1.1.9", dst: hostA, proto: protoICMP, sport: icmpUnreachable, quote: req.ip()[:28]}
	b.send(gone, track, "inv|trk")
	b.send(req, commit, "new|trk")
	b.send(gone, track, "rel|rpl|trk")
	gone.dst = hostB // not who sent the packet
	b.send(gone, track, "inv|trk")
	gone.dst, gone.quote = hostA, req.ip()[:24]
	b.send(gone, track, "inv|trk")
}

func TestInvalid(t *testing.T) {
	b := newBench(t)
	change := func(p pkt, at int, v byte) {
		t.Helper()
		i := b.frame(p)
		b.pool.Data(i)[at] ^= v
		b.pool.Meta(i).Csum = packet.CsumUnknown
		b.extract(i)
		if f := b.run(i, commit); stateText(f.CTState) != "inv|trk" {
			t.Errorf("byte %d: %s", at, stateText(f.CTState))
		}
		b.c.Free(i)
	}
	change(udp(hostA, 5, hostB, 7), 14+20+8, 1)        // payload, so the checksum is wrong
	change(udp(hostA, 5, hostB, 7), 14+10, 1)          // IP checksum
	change(udp(hostA, 5, hostB, 7), 12, 0xff)          // not IP
	change(tcp(true, flagSYN, 1, 0, 0), 14+32, 0x10)   // header length
	b.send(udp(hostA, 0, hostB, 7), commit, "inv|trk") // port 0
	p := udp(hostA, 5, hostB, 7)
	p.partial = true
	b.send(p, commit, "new|trk")
	b.send(pkt{src: hostA, dst: hostB, proto: 47, payload: 20}, commit, "new|trk")
	b.send(pkt{src: hostB, dst: hostA, proto: 47, payload: 20}, track, "est|rpl|trk")
}

func TestLimits(t *testing.T) {
	b := newBench(t)
	five := uint32(5)
	_ = b.ct.SetLimits(&five, []dpif.CTLimit{{Zone: 3, Limit: 2}})
	for n := range uint16(10) {
		p := udp(hostA, 100+n, hostB, 7)
		b.send(p, odp.CTArg{Commit: true, Zone: 3}, "new|trk")
		b.send(p, odp.CTArg{Commit: true, Zone: 4}, "new|trk")
	}
	def, list, _ := b.ct.Limits([]uint16{3, 4})
	if fmt.Sprint(def, list) != "5 [{3 2 2} {4 5 5}]" {
		t.Errorf("limits: %d %v", def, list)
	}
	_ = b.ct.FlushConntrack(&[]uint16{3}[0], nil, b.now)
	if _, list, _ := b.ct.Limits(nil); fmt.Sprint(list) != "[{3 2 0}]" {
		t.Errorf("after a flush: %v", list)
	}
	_ = b.ct.DelLimits([]uint16{3, 9})
	_ = b.ct.SetLimits(nil, []dpif.CTLimit{{Zone: 3, Limit: 100}})
	_ = b.ct.SetMaxConns(6)
	for n := range uint16(10) {
		b.send(udp(hostA, 100+n, hostB, 7), odp.CTArg{Commit: true, Zone: 3}, "new|trk")
	}
	if n, _ := b.ct.Conns(); n != 6 {
		t.Errorf("%d connections", n)
	}
}

func TestFlushTuple(t *testing.T) {
	b := newBench(t)
	for n := range uint16(3) {
		b.send(udp(hostA, 10+n, hostB, 7), commit, "new|trk")
		b.send(udp(hostA, 10+n, hostB, 7), odp.CTArg{Commit: true, Zone: 1}, "new|trk")
	}
	left := func(want int) {
		t.Helper()
		if n := len(b.ct.DumpConntrack(nil, b.now)); n != want {
			t.Errorf("%d connections, want %d", n, want)
		}
	}
	m := dpif.CTMatch{IPProto: protoUDP, L3Type: flow.EthIPv4}
	m.Orig = dpif.CTTuple{Src: netip.MustParseAddr(hostA).As16(), Dst: netip.MustParseAddr(hostB).As16(), SrcPort: 10, DstPort: 7}
	if err := b.ct.FlushConntrack(nil, &m, b.now); err != nil {
		t.Error(err)
	}
	left(5)
	if b.ct.FlushConntrack(nil, &m, b.now) == nil {
		t.Error("flushed twice")
	}
	m.Orig.SrcPort, m.Orig.DstPort = 11, 0 // in all zones
	_ = b.ct.FlushConntrack(nil, &m, b.now)
	left(3)
	m.Orig = dpif.CTTuple{}
	m.Reply.DstPort = 12
	zone := uint16(1)
	_ = b.ct.FlushConntrack(&zone, &m, b.now)
	left(2)
	_ = b.ct.FlushConntrack(nil, nil, b.now)
	left(0)
}

// TestMany fills and empties the table, so that it grows and slots are used again.
func TestMany(t *testing.T) {
	b := newBench(t)
	const n = 20000
	for round := range 2 {
		for i := range n {
			p := udp(fmt.Sprintf("10.2.%d.%d", i>>8&255, i&255), uint16(1+i>>16), hostB, 7)
			b.send(p, commit, "new|trk")
		}
		if c, _ := b.ct.Conns(); c != n {
			t.Fatalf("round %d: %d connections", round, c)
		}
		b.now += 60_000
		for range 2 * n / sweepBudget {
			b.now += sweepIntervalMs
			b.ct.Run(b.c, b.now)
		}
		if c, _ := b.ct.Conns(); c != 0 {
			t.Fatalf("round %d: %d connections left", round, c)
		}
		for i := range b.ct.shards {
			if b.ct.shards[i].used != 0 {
				t.Fatalf("shard %d: %d slots used", i, b.ct.shards[i].used)
			}
		}
	}
}

func TestZoneTimeouts(t *testing.T) {
	b := newBench(t)
	_ = b.ct.SetZoneTimeouts(map[uint16]map[string]uint32{3: {"udp_first": 5, "udp_multiple": 7, "nothing": 1}})
	b.send(udp(hostA, 5, hostB, 7), odp.CTArg{Commit: true, Zone: 3}, "new|trk")
	b.send(udp(hostA, 6, hostB, 7), commit, "new|trk")
	b.wantDump("17 10.1.1.1:5>10.1.1.2:7 10.1.1.2:7>10.1.1.1:5 z3 m0 t5\n17 10.1.1.1:6>10.1.1.2:7 10.1.1.2:7>10.1.1.1:6 z0 m0 t60\n")
	b.send(udp(hostB, 7, hostA, 5), odp.CTArg{Zone: 3}, "est|rpl|trk")
	b.now += 6999
	b.send(udp(hostB, 7, hostA, 5), odp.CTArg{Zone: 3}, "est|rpl|trk")
	// Connections that last longer do not keep others.
	_ = b.ct.SetZoneTimeouts(map[uint16]map[string]uint32{3: {"udp_first": 5}, 4: {"udp_first": 500}})
	b.send(udp(hostA, 9, hostB, 7), odp.CTArg{Commit: true, Zone: 4}, "new|trk")
	b.send(udp(hostA, 9, hostB, 7), odp.CTArg{Commit: true, Zone: 3}, "new|trk")
	b.now += 5000
	b.ct.Run(b.c, b.now)
	if n, _ := b.ct.Conns(); n != 3 {
		t.Errorf("%d connections", n)
	}
	zone := uint16(4)
	_ = b.ct.FlushConntrack(&zone, nil, b.now)
	b.now -= 5000
	_ = b.ct.SetZoneTimeouts(nil)
	b.send(udp(hostB, 7, hostA, 5), odp.CTArg{Zone: 3}, "est|rpl|trk")
	b.wantDump("17 10.1.1.1:5>10.1.1.2:7 10.1.1.2:7>10.1.1.1:5 z3 m0 t30\n17 10.1.1.1:6>10.1.1.2:7 10.1.1.2:7>10.1.1.1:6 z0 m0 t53\n")
}

func establish(b *bench, nat *odp.NATArg) packet.Index {
	arg := commit
	arg.NAT = nat
	b.send(tcp(true, flagSYN, 100, 0, 0), arg, "new|trk")
	b.send(tcp(false, flagSYN|flagACK, 500, 101, 0), track, "est|rpl|trk")
	return b.frame(tcp(true, flagACK, 101, 501, 100))
}

func TestEstablishedAllocatesNothing(t *testing.T) {
	b := newBench(t)
	i := establish(b, nil)
	var batch packet.Batch
	batch.Add(i)
	if n := testing.AllocsPerRun(1000, func() {
		b.pool.Meta(i).CTState = 0
		b.ct.Execute(b.c, &batch, &track, b.now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkEstablished(b *testing.B) {
	t := newBench(b)
	i := establish(t, nil)
	var batch packet.Batch
	for range packet.BatchSize {
		batch.Add(i)
	}
	b.ReportAllocs()
	for n := 0; n < b.N; n += packet.BatchSize {
		t.pool.Meta(i).CTState = 0
		t.pool.Meta(i).Csum = packet.CsumGood
		t.ct.Execute(t.c, &batch, &track, t.now)
	}
}

func BenchmarkNewUDP(b *testing.B) {
	t := newBench(b)
	_ = t.ct.SetMaxConns(1 << 20)
	i := t.frame(udp(hostA, 5, hostB, 7))
	var batch packet.Batch
	batch.Add(i)
	b.ReportAllocs()
	for n := 0; n < b.N; n++ {
		m := t.pool.Meta(i)
		m.CTState, m.Csum = 0, packet.CsumGood
		d := t.pool.Data(i)
		binary.BigEndian.PutUint16(d[34:], uint16(n)|1)
		if n&0xffff == 0xffff {
			_ = t.ct.FlushConntrack(nil, nil, t.now)
		}
		t.ct.Execute(t.c, &batch, &commit, t.now)
	}
}
