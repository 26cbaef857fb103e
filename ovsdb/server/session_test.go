package server

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/internal/clock"
	"sluice/ovsdb/jsonrpc"
	"sluice/ovsdb/stream"
)

// byHand makes a server whose turns the test takes: nothing happens between
// them, and no event that the kernel does not report helps along.
func byHand(t *testing.T) *Server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(path, frame(strings.ReplaceAll(testSchema, "\n", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := New(Config{Clock: &clock.Fake{}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.AddDB(path); err != nil {
		t.Fatal(err)
	}
	return s
}

// join connects a client and returns both ends.
func join(t *testing.T, s *Server) (*jsonrpc.Conn, *session) {
	t.Helper()
	before := map[*session]bool{}
	for _, c := range s.sessions() {
		before[c] = true
	}
	client := jsonrpc.NewConn(s.Connect())
	t.Cleanup(client.Close)
	s.Run(s.now)
	for _, c := range s.sessions() {
		if !before[c] {
			return client, c
		}
	}
	t.Fatal("no session")
	return nil, nil
}

// drain returns what the client has got so far, one message a line.
func drain(c *jsonrpc.Conn) string {
	var out []string
	for {
		m, err := c.Recv()
		if err != nil {
			return strings.Join(out, "\n")
		}
		out = append(out, string(m.Append(nil)))
	}
}

// TestRequestBehindEcho sends an echo and a request in one piece: there is one
// event for both.
func TestRequestBehindEcho(t *testing.T) {
	s := byHand(t)
	client, _ := join(t, s)
	client.SendRaw([]byte(`{"id":1,"method":"echo","params":[]}{"id":2,"method":"list_dbs","params":[]}` +
		`{"id":"echo","result":[],"error":null}{"id":3,"method":"echo","params":[]}`))
	s.Run(2)
	s.Run(3)
	equal(t, drain(client), `{"id":1,"result":[],"error":null}`+"\n"+
		`{"id":2,"result":["_Server","t"],"error":null}`+"\n"+`{"id":3,"result":[],"error":null}`)
}

// TestEchoInOrder sends an echo behind a request that takes its time.
func TestEchoInOrder(t *testing.T) {
	s := byHand(t)
	client, c := join(t, s)
	first := c.reserve()
	client.SendRaw([]byte(`{"id":2,"method":"echo","params":[]}`))
	s.Run(2)
	equal(t, drain(client), "")
	c.respond(first, []byte(`{"id":1,"result":1,"error":null}`))
	equal(t, drain(client), `{"id":1,"result":1,"error":null}`+"\n"+`{"id":2,"result":[],"error":null}`)
}

// TestHalfClosed has a client that sends a request, closes its direction and
// waits for the answer, as shell scripts do.
func TestHalfClosed(t *testing.T) {
	s := byHand(t)
	client, c := join(t, s)
	first := c.reserve() // as of a durable transaction
	client.SendRaw([]byte(`{"id":2,"method":"echo","params":[]}`))
	unix.Shutdown(client.Stream().Fd(), unix.SHUT_WR)
	for range 3 {
		s.Run(s.now + 1)
	}
	if c.mask != 0 {
		t.Errorf("waits for events %#x", c.mask)
	}
	c.respond(first, []byte(`{"id":1,"result":1,"error":null}`))
	s.Run(s.now + 1)
	equal(t, drain(client), `{"id":1,"result":1,"error":null}`+"\n"+`{"id":2,"result":[],"error":null}`)
	if !c.closed || client.Err() == nil {
		t.Errorf("session closed: %v, client: %v", c.closed, client.Err())
	}
}

// TestGoneWhileNotified has the server find out by writing that a client is
// gone: its descriptor is closed then, and no event ever comes for it.
func TestGoneWhileNotified(t *testing.T) {
	s := byHand(t)
	client, c := join(t, s)
	client.SendRaw([]byte(`{"id":1,"method":"lock","params":["l"]}`))
	s.Run(2)
	equal(t, drain(client), `{"id":1,"result":{"locked":true},"error":null}`)
	client.Close()
	s.post(func() { c.Notify([]byte(`{"id":null,"method":"update","params":[]}`)) })
	s.Run(3)
	s.Run(4)
	if !c.closed || s.owner("l") != nil {
		t.Errorf("session closed: %v, lock still owned: %v", c.closed, s.owner("l") != nil)
	}
}

// TestDescriptorReused ends a session after another one got the number of its
// descriptor.
func TestDescriptorReused(t *testing.T) {
	s := byHand(t)
	_, old := join(t, s)
	client, c := join(t, s)
	old.unpoll()
	old.fd = c.fd // as if it had not noticed that it was closed
	old.unpoll()
	client.SendRaw([]byte(`{"id":1,"method":"echo","params":[]}`))
	s.Run(2)
	equal(t, drain(client), `{"id":1,"result":[],"error":null}`)
}

// handshaking is a connection that is not up yet, as in a TLS handshake.
type handshaking struct{ stream.Conn }

func (handshaking) Connect() error            { return stream.ErrAgain }
func (handshaking) Read([]byte) (int, error)  { return 0, stream.ErrAgain }
func (handshaking) Write([]byte) (int, error) { return 0, stream.ErrAgain }

// TestHandshakeDoesNotSpin queues a message for a client in the middle of its
// handshake: that its descriptor is writable means nothing.
func TestHandshakeDoesNotSpin(t *testing.T) {
	s := byHand(t)
	client, end := stream.Pair()
	t.Cleanup(func() { client.Close() })
	s.adopt(handshaking{end})
	c := s.sessions()[0]
	c.send([]byte("{}"))
	if c.mask != unix.EPOLLIN {
		t.Errorf("waits for events %#x", c.mask)
	}
}

// TestProbeOfStoppedReader lets a client stop reading for longer than its
// probe interval: it is not dropped, and not looked at all the time.
func TestProbeOfStoppedReader(t *testing.T) {
	s := byHand(t)
	_, c := join(t, s)
	c.js.SetProbeInterval(1000)
	for c.js.Backlog() == 0 {
		c.Notify([]byte(`{"id":null,"method":"update","params":["` + strings.Repeat("x", 100000) + `"]}`))
	}
	c.armProbe()
	s.Run(10000)
	if c.closed || c.probe == nil || c.probe.at < s.now+pausedProbeMs {
		t.Errorf("closed %v, timer %+v", c.closed, c.probe)
	}
}

// TestBigRequest has a large request parsed while another client is served.
func TestBigRequest(t *testing.T) {
	s := byHand(t)
	client, c := join(t, s)
	other, _ := join(t, s)
	params := `["t"` + strings.Repeat(`,[]`, bigParams/3) + `]`
	c.request(&jsonrpc.Msg{Type: jsonrpc.Request, Method: "transact", Params: []byte(params), ID: []byte("1")})
	if c.busy != 1 {
		t.Fatal("parsed at once")
	}
	client.SendRaw([]byte(`{"id":2,"method":"list_dbs","params":[]}`))
	other.SendRaw([]byte(`{"id":7,"method":"list_dbs","params":[]}`))
	s.runEvents()
	equal(t, drain(other), `{"id":7,"result":["_Server","t"],"error":null}`)
	equal(t, drain(client), "")
	for c.busy > 0 {
		s.Run(s.now + 1)
	}
	var got string
	for !strings.Contains(got, `{"id":2,`) {
		s.Run(s.now + 1)
		got += drain(client)
	}
	if !strings.HasPrefix(got, `{"id":1,"result":[{"details":"Parsing ovsdb operation 1 of`) {
		t.Errorf("%.200s", got)
	}
}

// TestListenLater opens a remote whose port is taken, and frees the port.
func TestListenLater(t *testing.T) {
	s := byHand(t)
	taken, err := jsonrpc.ListenStream("ptcp:0:127.0.0.1", stream.Options{})
	if err != nil {
		t.Fatal(err)
	}
	target := fmt.Sprintf("ptcp:%d:127.0.0.1", taken.BoundPort())
	s.SetRemotes([]string{target})
	if s.remotes[target] != nil {
		t.Fatal("two listen on one port")
	}
	taken.Close()
	s.Run(s.now + statusInterval)
	if r := s.remotes[target]; r == nil || r.listener == nil {
		t.Error("not tried again")
	}
}

// TestRequestIDs uses ids that are the same JSON in other words.
func TestRequestIDs(t *testing.T) {
	s := byHand(t)
	client, _ := join(t, s)
	const wait = `"method":"transact","params":["t",{"op":"wait","table":"a","where":[],"columns":["n"],"until":"!=","rows":[]}]}`
	client.SendRaw([]byte(`{"id":{"b":1,"a":2},` + wait + `{"id":{"a":2.0, "b":1},` + wait))
	s.Run(2)
	if got := drain(client); !strings.HasPrefix(got, `{"id":{"a":2.0, "b":1},"error":{"details":"transact: duplicate request ID"`) {
		t.Error(got)
	}
	client.SendRaw([]byte(`{"method":"cancel","params":[{"a":2,"b":1}]}`))
	s.Run(3)
	equal(t, drain(client), `{"id":{"b":1,"a":2},"error":"canceled"}`)
}
