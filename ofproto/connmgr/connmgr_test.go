package connmgr

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/dpif/flow"
	"sluice/internal/poll"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/table"
	"sluice/ovsdb/stream"
)

// pipe is one end of a connection in memory.
type pipe struct {
	in, out    *[]byte
	closed     *bool // by the other end
	mine       *bool
	connectErr error
	name       string
	full       bool // writes do not fit
}

func newPipe(name string) (a, b *pipe) {
	var x, y []byte
	var ca, cb bool
	return &pipe{in: &x, out: &y, closed: &cb, mine: &ca, name: name}, &pipe{in: &y, out: &x, closed: &ca, mine: &cb, name: "peer"}
}

func (p *pipe) Connect() error { return p.connectErr }
func (p *pipe) Read(b []byte) (int, error) {
	n := copy(b, *p.in)
	*p.in = (*p.in)[n:]
	switch {
	case n > 0:
		return n, nil
	case *p.closed:
		return 0, io.EOF
	}
	return 0, stream.ErrAgain
}
func (p *pipe) Write(b []byte) (int, error) {
	if p.full {
		return 0, stream.ErrAgain
	}
	*p.out = append(*p.out, b...)
	return len(b), nil
}
func (p *pipe) Close() error                   { *p.mine = true; return nil }
func (p *pipe) Name() string                   { return p.name }
func (p *pipe) Fd() int                        { return -1 }
func (p *pipe) PeerID() string                 { return "" }
func (p *pipe) Wait(_ *poll.Set, _, _, _ bool) {}
func (p *pipe) take() (msgs [][]byte) {
	for {
		n := ofp.Length(*p.in)
		if n <= 0 || n > len(*p.in) {
			return msgs
		}
		msgs = append(msgs, (*p.in)[:n:n])
		*p.in = (*p.in)[n:]
	}
}

// text shows the messages that arrived at p.
func (p *pipe) text() string {
	out := ""
	for _, b := range p.take() {
		out += ofp.Format(b, nil, 1)
	}
	return out
}

// TestBackoff follows a controller that cannot be reached.
func TestBackoff(t *testing.T) {
	tries := 0
	r := newRconn("br0<->tcp:1", "tcp:1", 0, 0)
	r.open = func(string, uint8) (stream.Conn, error) {
		tries++
		return nil, unix.ECONNREFUSED
	}
	r.connect(0)
	var at []int64
	for now, seen := int64(0), 1; now < 40000; now += 500 {
		if r.run(now); tries > seen {
			seen = tries
			at = append(at, now)
		}
	}
	if got := fmt.Sprint(at); got != "[1000 3000 7000 15000 23000 31000 39000]" {
		t.Errorf("tries at %s", got)
	}
	if r.stateName() != "BACKOFF" || !errors.Is(r.lastError, unix.ECONNREFUSED) {
		t.Errorf("%s %v", r.stateName(), r.lastError)
	}
}

// TestProbe follows a peer that stops answering.
func TestProbe(t *testing.T) {
	a, b := newPipe("tcp:1")
	r := newRconn("br0<->tcp:1", "tcp:1", 0, 0)
	r.open = func(string, uint8) (stream.Conn, error) { return a, nil }
	r.setProbe(5)
	r.connect(0)
	b.Write(ofp.Encode(ofp.OF13, 1, &ofp.Hello{Versions: 1 << ofp.OF13}))
	r.run(0)
	if !r.connected() || r.version != ofp.OF13 {
		t.Fatalf("%s, version %v", r.stateName(), r.version)
	}
	b.take()
	r.run(4999)
	if text := b.text(); text != "" {
		t.Fatalf("too early: %s", text)
	}
	r.run(5000)
	if text := b.text(); !strings.Contains(text, "OFPT_ECHO_REQUEST (OF1.3)") || r.stateName() != "IDLE" {
		t.Fatalf("%s: %s", r.stateName(), text)
	}
	b.Write(ofp.Encode(ofp.OF13, 1, &ofp.EchoReply{}))
	if r.recv(6000); r.stateName() != "ACTIVE" {
		t.Fatal(r.stateName())
	}
	r.run(11000)
	r.run(16000)
	if r.stateName() != "BACKOFF" || !errors.Is(r.lastError, unix.ETIMEDOUT) || !*b.closed {
		t.Errorf("%s %v", r.stateName(), r.lastError)
	}
}

func TestNegotiation(t *testing.T) {
	for _, tc := range []struct {
		ours, theirs ofp.VersionBitmap
		want         ofp.Version
	}{
		{0, 1 << ofp.OF10, ofp.OF10},
		{0, 1<<ofp.OF10 | 1<<ofp.OF13, ofp.OF13},
		{1<<ofp.OF10 | 1<<ofp.OF12, 1<<ofp.OF10 | 1<<ofp.OF13, ofp.OF10},
		{1 << ofp.OF13, 1 << ofp.OF10, 0},
	} {
		a, b := newPipe("x")
		v := newVconn(a, tc.ours)
		b.Write(ofp.Encode(tc.theirs.Highest(), 1, &ofp.Hello{Versions: tc.theirs}))
		err := v.connect()
		if tc.want == 0 {
			if text := b.text(); !errors.Is(err, unix.EPROTO) || !strings.Contains(text, "OFPHFC_INCOMPATIBLE") ||
				!strings.Contains(text, "We support version 0x04, you support version 0x01, no common versions.") {
				t.Errorf("%v: %s", err, text)
			}
		} else if err != nil || v.version != tc.want {
			t.Errorf("%v: %v, %v", tc, v.version, err)
		}
	}
}

func TestBadVersionLater(t *testing.T) {
	a, b := newPipe("x")
	v := newVconn(a, 0)
	b.Write(ofp.Encode(ofp.OF13, 1, &ofp.Hello{Versions: 1 << ofp.OF13}))
	v.connect()
	b.take()
	b.Write(ofp.Encode(ofp.OF10, 9, &ofp.Empty{Kind: ofp.TypeBarrierRequest}))
	b.Write(ofp.Encode(ofp.OF10, 9, &ofp.EchoRequest{}))
	if _, err := v.recv(); !isAgain(err) {
		t.Error(err)
	}
	if text := b.text(); !strings.Contains(text, "OFPBRC_BAD_VERSION") {
		t.Error(text)
	}
	if m, err := v.recv(); err != nil || m[1] != 2 {
		t.Errorf("an echo of another version: %v %v", m, err)
	}
}

// TestMessagesAcrossReads cuts a stream of messages into pieces of every size.
func TestMessagesAcrossReads(t *testing.T) {
	var all []byte
	want := 20
	for i := range want {
		all = append(all, ofp.Encode(ofp.OF13, uint32(i), &ofp.EchoRequest{Data: make([]byte, i)})...)
	}
	for size := 1; size < 40; size++ {
		a, b := newPipe("x")
		v := newVconn(a, 0)
		b.Write(ofp.Encode(ofp.OF13, 1, &ofp.Hello{Versions: 1 << ofp.OF13}))
		v.connect()
		n := 0
		for rest := all; len(rest) > 0; {
			k := min(size, len(rest))
			b.Write(rest[:k])
			rest = rest[k:]
			for {
				m, err := v.recv()
				if err != nil {
					break
				}
				if len(m) != 8+n {
					t.Fatalf("message %d has %d bytes", n, len(m))
				}
				n++
			}
		}
		if n != want {
			t.Fatalf("%d messages in pieces of %d", n, size)
		}
	}
}

func TestPacketInRate(t *testing.T) {
	p := newPinsched(10, 2, 0)
	sent := 0
	for i := range 5 {
		if p.send(uint32(i%2), []byte{byte(i)}, 0) != nil {
			sent++
		}
	}
	// Two at once, two wait, one was dropped for the last.
	if sent != 2 || p.nQueued != 2 || p.nDropped != 1 || p.nLimited != 3 {
		t.Errorf("sent %d, queued %d, dropped %d, limited %d", sent, p.nQueued, p.nDropped, p.nLimited)
	}
	var got []byte
	for now := int64(0); now <= 250; now += 50 {
		p.run(now, func(b []byte) { got = append(got, b[0]) })
	}
	if len(got) != 2 || p.nQueued != 0 {
		t.Errorf("later %v", got)
	}
}

func TestMultipartRequests(t *testing.T) {
	part := func(xid uint32, more bool) []byte {
		b := ofp.Encode(ofp.OF13, xid, &ofp.PortStatsRequest{PortNo: flow.OFPNone})
		if more {
			b[11] |= 1
		}
		return b
	}
	var a assembler
	if m, err := a.add(part(1, false), 0); err != nil || len(m) != 1 {
		t.Error("one part", m, err)
	}
	if m, err := a.add(part(2, true), 0); err != nil || m != nil {
		t.Error("a first part", m, err)
	}
	if m, err := a.add(part(2, false), 0); err != nil || len(m) != 2 {
		t.Error("two parts", m, err)
	}
	a.add(part(3, true), 0)
	other := ofp.Encode(ofp.OF13, 3, &ofp.QueueStatsRequest{PortNo: flow.OFPNone, QueueID: ofp.QueueAll})
	if _, err := a.add(other, 0); err != oferr.OFPBRC_BAD_STAT {
		t.Error("another kind", err)
	}
	a.add(part(4, true), 0)
	if e := a.run(999); e != nil {
		t.Error("too early")
	}
	if e := a.run(1000); len(e) != 1 || !strings.Contains(ofp.Format(e[0], nil, 1), "OFPBRC_MULTIPART_REQUEST_TIMEOUT") {
		t.Error("timeout", e)
	}
}

// harness is a Manager whose controllers are pipes.
type harness struct {
	*testing.T
	m       *Manager
	flushed int
	got     [][]byte
}

func newHarness(t *testing.T) *harness {
	h := &harness{T: t}
	h.m = New("br0", table.New(0), func() stream.Options { return stream.Options{RunDir: t.TempDir()} }, 0)
	h.m.InBand.Local = func() (flow.MAC, bool) { return flow.MAC{2}, true }
	h.m.InBand.Queue = -1
	h.m.Flush = func() {
		h.flushed++
		h.m.Tables.Flush(h.m.Now())
		h.m.Flushed()
	}
	h.m.Handle = func(c *Conn, msgs [][]byte) {
		h.got = append(h.got, msgs...)
		hd, err := ofp.DecodePartialHeader(msgs[0])
		if err == nil && hd.Type == ofp.TypeBarrierRequest {
			c.Reply(hd.XID, &ofp.Empty{Kind: ofp.TypeBarrierReply})
		}
	}
	return h
}

// accept has a peer connect, and say hello.
func (h *harness) accept(v ofp.Version) *pipe {
	h.m.services["p"] = &service{mgr: h.m, target: "p", cfg: Config{Target: "p", Service: true, EnableAsync: true}, r: newRconn("p", "p", 0, 0)}
	a, b := newPipe("unix#1")
	h.m.services["p"].accept(a, h.m.now)
	b.Write(ofp.Encode(v, 1, &ofp.Hello{Versions: 1 << v}))
	for range 3 {
		for _, c := range h.m.conns {
			c.run(h.m.now)
		}
	}
	b.take()
	return b
}

// normalFlows counts flows that send everything to NORMAL.
func (h *harness) normalFlows() (n int) {
	for _, r := range h.m.Tables.All() {
		if r.TableID == 0 && r.IsCatchall() && r.OutputsTo(flow.OFPNormal) {
			n++
		}
	}
	return n
}

func TestFailOpen(t *testing.T) {
	h := newHarness(t)
	if h.m.Configure(nil, true); h.normalFlows() != 1 {
		t.Fatal("a standalone switch without controllers does not switch")
	}
	h.m.Configure([]Config{{Target: "unix:/nonexistent/x", Probe: 5}}, true)
	if h.normalFlows() != 0 {
		t.Fatal("the flow stays with a controller")
	}
	h.m.Run(14999)
	if h.normalFlows() != 0 {
		t.Fatal("failed open too early")
	}
	h.m.Run(15000)
	if h.normalFlows() != 1 || h.flushed != 3 {
		t.Fatalf("%d flows after 15 s, %d flushes", h.normalFlows(), h.flushed)
	}
	// The controller comes, and shows that it accepts the switch.
	a, b := newPipe("unix:/x")
	s := h.m.services["unix:/nonexistent/x"]
	s.r.open = func(string, uint8) (stream.Conn, error) { return a, nil }
	b.Write(ofp.Encode(ofp.OF10, 1, &ofp.Hello{Versions: 1 << ofp.OF10}))
	h.m.Run(40000)
	h.m.Run(40001)
	if h.normalFlows() != 1 || h.m.Info()["unix:/nonexistent/x"].Connected == false {
		t.Fatal("after a hello", h.m.Info())
	}
	b.Write(ofp.Encode(ofp.OF10, 2, &ofp.Empty{Kind: ofp.TypeBarrierRequest}))
	b.Write(ofp.Encode(ofp.OF10, 3, &ofp.Empty{Kind: ofp.TypeBarrierRequest}))
	h.m.Run(41000)
	if h.normalFlows() != 0 {
		t.Fatal("still open")
	}
}

func TestInBandFlows(t *testing.T) {
	h := newHarness(t)
	h.m.Configure([]Config{{Target: "tcp:240.0.0.1:6633", InBand: true}}, false)
	h.m.Run(1000)
	hidden := func() (n int) {
		for _, r := range h.m.Tables.All() {
			if r.TableID == 0 && r.IsHidden() {
				n++
			}
		}
		return n
	}
	if n := hidden(); n != 7 {
		t.Errorf("%d hidden flows", n)
	}
	if n := h.m.Tables.Table(0).NVisible(); n != 0 {
		t.Errorf("%d visible flows", n)
	}
	h.m.Configure(nil, false)
	h.m.Run(2000)
	if n := hidden(); n != 0 {
		t.Errorf("%d hidden flows are left", n)
	}
	h.m.Destroy()
}

func TestSnoop(t *testing.T) {
	h := newHarness(t)
	a, b := newPipe("tcp:1")
	r := newRconn("x", "tcp:1", 0, 0)
	r.open = func(string, uint8) (stream.Conn, error) { return a, nil }
	h.m.services["tcp:1"] = &service{mgr: h.m, target: "tcp:1", cfg: Config{Target: "tcp:1"}, r: r}
	r.connect(0)
	b.Write(ofp.Encode(ofp.OF13, 1, &ofp.Hello{Versions: 1 << ofp.OF13}))
	h.m.Run(1)
	sa, sb := newPipe("unix#9")
	sb.Write(ofp.Encode(ofp.OF15, 1, &ofp.Hello{Versions: ofp.AllVersions}))
	h.m.addSnooper(newVconn(sa, 0))
	h.m.Run(2)
	sb.take()
	b.Write(ofp.Encode(ofp.OF13, 77, &ofp.Empty{Kind: ofp.TypeBarrierRequest}))
	h.m.Run(3)
	if text := sb.text(); !strings.Contains(text, "OFPT_BARRIER_REQUEST") || !strings.Contains(text, "OFPT_BARRIER_REPLY") {
		t.Errorf("snooped %q", text)
	}
}

// TestSlowReader checks that a peer that does not read stops being read, and that
// packet-ins for it are dropped.
func TestSlowReader(t *testing.T) {
	h := newHarness(t)
	b := h.accept(ofp.OF13)
	c := h.m.conns[0]
	c.SetMissSendLen(128)
	c.r.v.conn.(*pipe).full = true
	for i := range 500 {
		b.Write(ofp.Encode(ofp.OF13, uint32(i), &ofp.Empty{Kind: ofp.TypeBarrierRequest}))
	}
	for now := int64(1); now < 50; now++ {
		c.run(now)
	}
	if len(h.got) > maxReplies+recvBatch {
		t.Errorf("%d requests were handled", len(h.got))
	}
	pin := &ofp.PacketIn{Packet: make([]byte, 60), BufferID: ofp.NoBuffer, Reason: ofp.ReasonAction}
	for range 1000 {
		h.m.SendPacketIn(pin, 0)
	}
	if c.pins.packets != 100 {
		t.Errorf("%d packet-ins wait", c.pins.packets)
	}
	c.r.v.conn.(*pipe).full = false
	for now := int64(50); now < 200; now++ {
		c.run(now)
	}
	if len(h.got) != 500 || c.pins.packets != 0 {
		t.Errorf("%d requests at the end, %d packet-ins wait", len(h.got), c.pins.packets)
	}
}

func TestWork(t *testing.T) {
	h := newHarness(t)
	b := h.accept(ofp.OF13)
	c := h.m.conns[0]
	slices := 0
	c.Work(func() bool {
		slices++
		return slices == 4
	})
	b.Write(ofp.Encode(ofp.OF13, 5, &ofp.Empty{Kind: ofp.TypeBarrierRequest}))
	for now := int64(1); now < 3; now++ {
		if c.run(now); len(h.got) != 0 {
			t.Fatal("a request overtook a reply")
		}
	}
	c.run(3)
	if slices != 4 || len(h.got) != 1 {
		t.Errorf("%d slices, %d requests", slices, len(h.got))
	}
}

// FuzzConn feeds what a peer may send after its hello.
func FuzzConn(f *testing.F) {
	f.Add(ofp.Encode(ofp.OF13, 1, &ofp.EchoRequest{Data: []byte("x")}))
	f.Add(ofp.Encode(ofp.OF13, 1, &ofp.PortStatsRequest{PortNo: flow.OFPNone}))
	f.Add([]byte("GET / HTTP/1.0\r\n\r\n"))
	f.Add([]byte{4, 18, 0, 16, 0, 0, 0, 1, 0, 4, 0, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		h := newHarness(t)
		p := h.accept(ofp.OF13)
		p.Write(b)
		for now := int64(1); now < 5; now++ {
			for _, c := range h.m.Conns() {
				c.run(now)
			}
		}
		for _, c := range h.m.Conns() {
			c.run(2000)
		}
		for _, m := range p.take() {
			if _, err := ofp.DecodeHeader(m); err != nil {
				t.Fatalf("sent %x: %v", m, err)
			}
		}
	})
}
