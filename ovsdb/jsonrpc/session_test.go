package jsonrpc

import (
	"strings"
	"testing"

	"sluice/internal/poll"
	"sluice/ovsdb/stream"
)

// turn runs both sessions once, waiting for descriptors only.
func turn(now int64, sessions ...*Session) []*Msg {
	var got []*Msg
	var p poll.Set
	for _, s := range sessions {
		s.Run(now)
		if m := s.Recv(now); m != nil {
			got = append(got, m)
		}
		s.Wait(&p, now)
		s.RecvWait(&p)
	}
	p.Immediate()
	p.Block(now)
	return got
}

func until(t *testing.T, now int64, what string, done func() bool, sessions ...*Session) {
	t.Helper()
	for range 100000 {
		if done() {
			return
		}
		turn(now, sessions...)
		now++
	}
	t.Fatal(what)
}

func TestSession(t *testing.T) {
	o := stream.Options{RunDir: t.TempDir()}
	server := OpenSession([]string{"punix:s"}, true, o, 0)
	client := OpenSession([]string{"unix:nowhere", "unix:s"}, true, o, 0)
	t.Cleanup(func() { server.Close(); client.Close() })
	until(t, 0, "connect", func() bool { return client.Connected() && server.Connected() }, server, client)
	if client.Name() != "unix:s" || client.LastErr() == nil {
		t.Errorf("%s %v", client.Name(), client.LastErr())
	}
	seq := client.Seqno()
	client.Send(NewRequest("hello", []byte("[]")))
	var got []*Msg
	until(t, 0, "message", func() bool { got = append(got, turn(0, server, client)...); return len(got) > 0 })
	if got[0].Method != "hello" {
		t.Errorf("%+v", got[0])
	}
	server.ForceReconnect(0)
	until(t, 0, "drop", func() bool { return client.Seqno() != seq }, server, client)
	until(t, 5000, "reconnect", func() bool { return client.Connected() && server.Connected() }, server, client)
}

func TestSessionProbes(t *testing.T) {
	a, b := stream.Pair()
	x, y := NewSession(NewConn(a), 0), NewSession(NewConn(b), 0)
	t.Cleanup(func() { x.Close(); y.Close() })
	x.SetProbeInterval(1000)
	y.SetProbeInterval(0)
	now := int64(0)
	for now < 4000 {
		turn(now, x, y)
		now += 100
	}
	if !x.Connected() {
		t.Error("an answered probe must keep the connection")
	}
	for now < 12000 { // y is not run any more
		turn(now, x)
		now += 100
	}
	if x.Connected() || x.Alive() {
		t.Error("an unanswered probe must end the connection")
	}
}

// trickle is a stream that gives a few bytes at a time.
type trickle struct {
	stream.Conn
	text string
	size int
}

func (s *trickle) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, stream.ErrAgain
	}
	n := copy(p[:min(s.size, len(p))], s.text)
	s.text = s.text[n:]
	return n, nil
}

// TestNext looks for messages without any event of a socket.
func TestNext(t *testing.T) {
	const answer = `{"id":"echo","result":[],"error":null}`
	end, other := stream.Pair()
	t.Cleanup(func() { end.Close(); other.Close() })
	// The last byte of the second message is the last one of the first turn.
	pad := strings.Repeat(" ", maxReads-len(answer))
	in := &trickle{Conn: end, text: answer + pad + answer, size: 1}
	s := NewSession(NewConn(in), 0)
	if m, again := s.Next(0); m != nil || !again {
		t.Fatalf("an answer: %v, again %v", m, again)
	}
	if s.Unread() {
		t.Fatal("one byte at a time, and some are left")
	}
	for in.text != "" {
		if m, again := s.Next(0); m != nil || again {
			t.Fatalf("in the middle of a message: %v, again %v", m, again)
		}
	}
	if !s.Unread() {
		t.Fatal("the last byte was looked at")
	}
	if m, again := s.Next(0); m != nil || !again || s.Unread() {
		t.Fatalf("at the end: %v, again %v, unread %v", m, again, s.Unread())
	}
}

// TestGrowth sends a message that is too large: what cannot be kept gets no
// room.
func TestGrowth(t *testing.T) {
	end, other := stream.Pair()
	t.Cleanup(func() { end.Close(); other.Close() })
	c := NewConn(&trickle{Conn: end, text: `["` + strings.Repeat("x", 150<<10), size: 1000})
	c.SetMaxMessage(100 << 10)
	for c.Err() == nil {
		c.Recv()
		if size := cap(c.in); size > 100<<10+readChunk+4096 {
			t.Fatalf("%d bytes for a limit of 100 kB", size)
		}
	}
}
