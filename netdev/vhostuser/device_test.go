package vhostuser

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A front end that goes is connected to again; the ring of a guest that did not notice
// goes on where it was.
func TestReconnect(t *testing.T) {
	f := newFront(t)
	f.setup(allFeatures, 1, 16)
	for round := range 3 {
		f.transmit(0, append(make([]byte, 12), frame(60, round)...), 4096, false)
		b := f.take(0)
		if b.N != 1 || !bytes.Equal(f.pool.AppendBytes(nil, b.Pkts[0]), frame(60, round)) {
			t.Fatalf("round %d: %d packets", round, b.N)
		}
		f.cache.FreeBatch(b)
		unix.Shutdown(f.sock, unix.SHUT_RDWR)
		f.await("link down", func() bool { return !f.d.Carrier() })
		f.give(0, frame(60, 0)) // dropped
		f.accept()
		f.setup(allFeatures, 1, 16)
	}
	if f.d.CarrierResets() != 7 {
		t.Errorf("%d carrier resets", f.d.CarrierResets())
	}
	if s := f.d.Stats(); s.TxDropped != 3 {
		t.Errorf("statistics: %+v", s)
	}
}

// A changed path leaves the front end for another one.
func TestPathChanges(t *testing.T) {
	f := newFront(t)
	f.setup(allFeatures, 1, 16)
	old := f.listener
	defer unix.Close(old)
	path := f.d.socket() + "2"
	var err error
	if f.listener, err = listen(path); err != nil {
		t.Fatal(err)
	}
	if err := f.d.SetConfig(map[string]string{"vhost-server-path": path}); err != nil {
		t.Fatal(err)
	}
	if _, b := f.recv(); b != nil {
		t.Error("the old connection stays")
	}
	f.await("down", func() bool { return !f.d.Carrier() })
	f.q, f.positions = nil, nil
	clear(f.mem)
	closeAll(f.kick)
	closeAll(f.call)
	f.kick, f.call = nil, nil
	f.accept()
	f.setup(allFeatures, 1, 16)
	f.roundTrip()
	if n := f.d.violations.Load(); n != 0 {
		t.Errorf("%d violations", n)
	}
}

func TestQueuesFollowTheGuest(t *testing.T) {
	f := newFront(t)
	f.setup(allFeatures, 2, 16)
	// The second pair came after the link: the next change tells.
	f.send(reqSetVringEnable, 0, state(0, 0))
	f.await("down", func() bool { return !f.d.Carrier() })
	f.send(reqSetVringEnable, 0, state(0, 1))
	f.await("up", f.d.Carrier)
	if !f.d.NeedsReconfigure() {
		t.Fatal("a second pair changes nothing")
	}
	if err := f.d.Reconfigure(); err != nil || len(f.d.rxqs) != 2 || len(f.d.txqs) != 2 {
		t.Fatalf("%v, %d queues", err, len(f.d.rxqs))
	}
	f.transmit(1, append(make([]byte, 12), frame(60, 9)...), 4096, false)
	if b := f.take(1); b.N != 1 {
		t.Errorf("%d packets from the second queue", b.N)
	}
	f.post(1, 1, false)
	f.give(1, frame(60, 8))
	if _, got := f.receive(1, 0); !bytes.Equal(got, frame(60, 8)) {
		t.Errorf("second queue: %x", got)
	}
	// A pair that the guest does not use: the other one takes its packets.
	f.ask(reqSetVringEnable, flagNeedReply, state(2, 0))
	f.post(0, 1, false)
	f.give(1, frame(60, 7))
	if _, got := f.receive(0, 1); !bytes.Equal(got, frame(60, 7)) {
		t.Errorf("packet of a disabled queue: %x", got)
	}
	s := f.d.Status()
	if s["num_of_vrings"] != "4" || s["vring_3_size"] != "16" || s["status"] != "connected" || s["mode"] != "client" ||
		s["features"] != fmt.Sprintf("%#016x", uint64(allFeatures)) {
		t.Errorf("status: %v", s)
	}
}

func TestMemorySlots(t *testing.T) {
	f := newFront(t)
	f.setup(allFeatures, 1, 16)
	more := words(0, 1<<32, 4096, userBase+1<<32, 0)
	if r := f.ask(reqAddMemReg, flagNeedReply, more, f.memfd); r != 0 {
		t.Fatal("ADD_MEM_REG fails")
	}
	// A packet across both regions.
	copy(f.mem[12:], frame(60, 1))
	f.q[1].add(false, false, piece{1 << 32, 40}, piece{1<<32 + 40, 32})
	if b := f.take(0); b.N != 1 {
		t.Errorf("%d packets from new memory", b.N)
	}
	if r := f.ask(reqRemMemReg, flagNeedReply, more); r != 0 {
		t.Fatal("REM_MEM_REG fails")
	}
	if n := f.ask(reqGetMaxMemSlots, 0, nil); n != maxMemSlots {
		t.Errorf("%d slots", n)
	}
	f.q[1].add(false, false, piece{1 << 32, 72})
	f.take(0)
	f.cut(t, "outside of memory")
}

// cut checks that the connection ended, with a counter and a text.
func (f *front) cut(t *testing.T, text string) {
	t.Helper()
	for {
		if req, b := f.recv(); b == nil {
			break
		} else if req == 0 {
			t.Fatal("reply to request 0")
		}
	}
	f.await("counter", func() bool { return f.d.violations.Load() == 1 })
	if got := f.d.Status()["last_error"]; !strings.Contains(got, text) {
		t.Errorf("error is %q, want %q", got, text)
	}
	if f.d.Carrier() {
		t.Error("link is still up")
	}
}

// A front end may have no eventfds: the switch polls and does not interrupt.
func TestWithoutEventfds(t *testing.T) {
	f := newFront(t)
	f.setup(allFeatures, 1, 16)
	for i := range uint64(2) {
		f.send(reqSetVringKick, 0, words(1<<8|i))
		f.send(reqSetVringCall, 0, words(1<<8|i))
	}
	f.send(reqSetVringErr, 0, words(1<<8))
	f.ask(reqSetVringEnable, flagNeedReply, state(1, 1))
	for range 3 {
		f.roundTrip()
		for range idleBeforeArm + idleDrain {
			f.take(0)
		}
		if !pending(f.d.rxqs[0].Fd()) {
			t.Error("the thread may sleep")
		}
	}
}

func TestServerAndClose(t *testing.T) {
	dir, err := os.MkdirTemp("", "vhu")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	SetSocketDir(dir)
	dev, err := open("server0", "dpdkvhostuser", false)
	if err != nil {
		t.Fatal(err)
	}
	d := dev.(*Device)
	f := &front{t: t, d: d, sock: -1}
	f.await("socket", func() bool {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: dir + "/server0"}); err != nil {
			unix.Close(fd)
			return false
		}
		f.sock = fd
		return true
	})
	if got := f.ask(reqGetQueueNum, 0, nil); got != maxPairs {
		t.Errorf("%d queues", got)
	}
	if s := d.Status(); s["mode"] != "server" {
		t.Errorf("status: %v", s)
	}
	d.Close(false)
	if _, b := f.recv(); b != nil {
		t.Error("the connection outlives the port")
	}
	unix.Close(f.sock)
	if _, err := os.Stat(dir + "/server0"); err == nil {
		t.Error("the socket outlives the port")
	}
	if _, err := os.Create(dir + "/file"); err != nil {
		t.Fatal(err)
	}
	if _, err := open("file", "dpdkvhostuser", false); err == nil {
		t.Error("a file is taken for a socket")
	}
	if _, err := open("../x", "dpdkvhostuser", false); err == nil {
		t.Error("a name with a slash is taken")
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		option, value string
		ok            bool
	}{
		{"tx-retries-max", "0", true}, {"tx-retries-max", "33", true}, {"tx-retries-max", "x", true},
		{"vhost-max-queue-pairs", "4", true}, {"vhost-max-queue-pairs", "0", false}, {"vhost-max-queue-pairs", "129", false},
	} {
		dev, err := open("o", "vhostuserclient", true)
		if err != nil {
			t.Fatal(err)
		}
		if err := dev.SetConfig(map[string]string{c.option: c.value}); (err == nil) != c.ok {
			t.Errorf("%s=%s: %v", c.option, c.value, err)
		}
		dev.Close(false)
	}
}
