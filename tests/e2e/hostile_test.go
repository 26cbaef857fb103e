package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// ofMsg is an OpenFlow message.
func ofMsg(version, kind byte, xid uint32, body []byte) []byte {
	b := binary.BigEndian.AppendUint16([]byte{version, kind}, uint16(8+len(body)))
	b = binary.BigEndian.AppendUint32(b, xid)
	return append(b, body...)
}

const (
	of13Hello, of13Error, of13Echo, of13EchoReply = 0, 1, 2, 3
	of13SetConfig, of13Barrier, of13BarrierReply  = 9, 20, 21
)

// controller is a peer of the switch that the test plays.
type controller struct {
	t *testing.T
	net.Conn
}

// connect opens a connection and says hello, in OpenFlow 1.3.
func connect(t *testing.T, sock string) *controller {
	t.Helper()
	c, err := net.Dial("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(2 * time.Minute))
	c.Write(ofMsg(4, of13Hello, 1, nil))
	p := &controller{t, c}
	if kind, _, err := p.next(); err != nil || kind != of13Hello {
		t.Fatalf("message %d: %v", kind, err)
	}
	return p
}

// next reads a message.
func (c *controller) next() (kind byte, b []byte, err error) {
	h := make([]byte, 8)
	if _, err = io.ReadFull(c, h); err != nil {
		return 0, nil, err
	}
	n := int(binary.BigEndian.Uint16(h[2:]))
	if n < 8 {
		return 0, nil, fmt.Errorf("length %d", n)
	}
	b = append(h, make([]byte, n-8)...)
	_, err = io.ReadFull(c, b[8:])
	return b[1], b, err
}

// echo sends an echo request and returns how long the answer takes.
func (c *controller) echo() (time.Duration, error) {
	begin := time.Now()
	if _, err := c.Write(ofMsg(4, of13Echo, 7, []byte("hello"))); err != nil {
		return 0, err
	}
	for {
		kind, b, err := c.next()
		if err != nil {
			return 0, err
		}
		if kind == of13EchoReply {
			if !bytes.Equal(b[8:], []byte("hello")) {
				return 0, fmt.Errorf("echo of %q", b[8:])
			}
			return time.Since(begin), nil
		}
	}
}

// ended reads until the switch closes the connection.
func (c *controller) ended() {
	c.t.Helper()
	if _, err := io.Copy(io.Discard, c); os.IsTimeout(err) {
		c.t.Error("the switch does not close the connection")
	}
}

// watch measures echoes on a connection of its own until the function it returns is
// called, which gives the number and the longest time.
func watch(t *testing.T, sock string) (stop func() (int, time.Duration)) {
	c := connect(t, sock)
	var end atomic.Bool
	done := make(chan struct{})
	var times []time.Duration
	var err error
	go func() {
		defer close(done)
		for !end.Load() && err == nil {
			var d time.Duration
			d, err = c.echo()
			times = append(times, d)
		}
	}()
	return func() (int, time.Duration) {
		end.Store(true)
		<-done
		if err != nil {
			t.Errorf("the well-behaved controller after %d echoes: %v", len(times), err)
		}
		slices.Sort(times)
		if len(times) == 0 {
			return 0, 0
		}
		t.Logf("%d echoes, median %v, longest %v", len(times), times[len(times)/2], times[len(times)-1])
		return len(times), times[len(times)-1]
	}
}

// TestHostileControllers checks that controllers which stall, flood, or send rubbish
// harm no other.
func TestHostileControllers(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	sock := filepath.Join(s.Dir, "br0.ctl")
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure",
		"--", "set-controller", "br0", "punix:"+sock)
	pid, before := s.Pid("ovs-vswitchd"), rss(t, s)
	for _, tc := range []struct {
		name string
		run  func(t *testing.T)
	}{
		{"stalls", func(t *testing.T) { stallController(t, s, sock) }},
		{"floods", func(t *testing.T) { floodController(t, sock) }},
		{"half messages", func(t *testing.T) { halfMessages(t, sock) }},
		{"wrong lengths and versions", func(t *testing.T) { wrongMessages(t, sock) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stop := watch(t, sock)
			tc.run(t)
			n, longest := stop()
			// Well below what an inactivity probe of 5 s would take for a failure.
			if n == 0 || longest > 2*time.Second {
				t.Errorf("%d echoes, the longest in %v", n, longest)
			}
		})
	}
	s.Ofctl("dump-flows", "br0")
	if after := rss(t, s); after > before+200 {
		t.Errorf("the switch grew from %d to %d MiB", before, after)
	}
	if s.Pid("ovs-vswitchd") != pid {
		t.Error("the switch was restarted")
	}
}

// rss returns the memory of the switch in MiB.
func rss(t *testing.T, s *testkit.Switch) (mib int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Pid("ovs-vswitchd")))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			fmt.Sscan(rest, &mib)
		}
	}
	return mib / 1024
}

// stallController never reads: the switch stops reading its requests, and drops the
// packets for it, while the other controller gets all of them.
func stallController(t *testing.T, s *testkit.Switch, sock string) {
	stalled := connect(t, sock)
	stalled.Write(ofMsg(4, of13SetConfig, 2, []byte{0, 0, 0, 128})) // asks for packets
	data := make([]byte, 60000)
	stalled.SetWriteDeadline(time.Now().Add(30 * time.Second))
	written := 0
	for range 2000 {
		stalled.SetWriteDeadline(time.Now().Add(2 * time.Second))
		n, err := stalled.Write(ofMsg(4, of13Echo, 9, data))
		written += n
		if err != nil {
			break
		}
	}
	if written > 64<<20 {
		t.Errorf("the switch took %d bytes of requests", written)
	}
	var packets strings.Builder
	for range 1000 {
		packets.WriteString("packet-out in_port=local packet=505400000001505400000002080000 actions=controller\n")
	}
	file := filepath.Join(s.Dir, "packets")
	if err := os.WriteFile(file, []byte(packets.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		s.Ofctl("-O", "OpenFlow14", "bundle", "br0", file)
	}
	testkit.Eventually(t, 10*time.Second, "packets for the stalled controller are dropped and counted", func() bool {
		return strings.Contains(s.Appctl("coverage/show"), "rconn_overflow")
	})
}

// floodController sends a million messages and takes the answers.
func floodController(t *testing.T, sock string) {
	const n, batch = 1000000, 10000
	c := connect(t, sock)
	go func() {
		var b []byte
		for i := range uint32(batch) {
			b = append(b, ofMsg(4, of13Barrier, i, nil)...)
		}
		for range n / batch {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}()
	buf := make([]byte, 64<<10)
	for got := 0; got < n*8; {
		k, err := c.Read(buf)
		if err != nil {
			t.Errorf("after %d replies: %v", got/8, err)
			return
		}
		got += k
	}
}

// halfMessages sends parts of messages and hangs up, or waits.
func halfMessages(t *testing.T, sock string) {
	whole := ofMsg(4, of13Echo, 5, make([]byte, 1000))
	for _, n := range []int{1, 3, 7, 8, 9, 500, 1007} {
		c := connect(t, sock)
		c.Write(whole[:n])
		c.Close()
		connect(t, sock).Write(whole[:n]) // stays until the test ends
	}
	// Not even a hello.
	for n := range 8 {
		c, err := net.Dial("unix", sock)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(ofMsg(4, of13Hello, 1, nil)[:n])
	}
	// Piece by piece is no fault.
	c := connect(t, sock)
	for _, b := range ofMsg(4, of13Barrier, 6, nil) {
		c.Write([]byte{b})
	}
	if kind, _, err := c.next(); err != nil || kind != of13BarrierReply {
		t.Errorf("message %d, %v", kind, err)
	}
}

func wrongMessages(t *testing.T, sock string) {
	// Lengths that cannot be end the connection.
	for _, n := range []byte{0, 1, 7} {
		c := connect(t, sock)
		c.Write([]byte{4, of13Echo, 0, n, 0, 0, 0, 1})
		c.ended()
	}
	// A message too short or too long for its type, of an unknown type, or in another
	// version gets an error, and the connection goes on.
	c := connect(t, sock)
	for _, b := range [][]byte{
		ofMsg(4, 14, 1, make([]byte, 20)),          // flow_mod
		ofMsg(4, of13Barrier, 2, make([]byte, 40)), // barrier request
		ofMsg(4, 99, 3, nil),
		ofMsg(4, 18, 4, []byte{0, 1, 0, 0, 0, 0, 0, 0, 1, 2}), // flow statistics
		ofMsg(1, 20, 5, nil),
		ofMsg(0x77, 20, 6, nil),
	} {
		c.Write(b)
		kind, reply, err := c.next()
		if err != nil || kind != of13Error {
			t.Fatalf("answer to %x: %x, %v", b, reply, err)
		}
	}
	if _, err := c.echo(); err != nil {
		t.Error(err)
	}
	// A million bytes of rubbish.
	rubbish := make([]byte, 1<<20)
	x := uint32(1)
	for i := range rubbish {
		x = x*1664525 + 1013904223
		rubbish[i] = byte(x >> 24)
	}
	for i := range 8 {
		c := connect(t, sock)
		c.SetDeadline(time.Now().Add(time.Second))
		go io.Copy(io.Discard, c)
		c.Write(rubbish[i*1000:])
	}
}
