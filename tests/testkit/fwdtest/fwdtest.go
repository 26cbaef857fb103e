// Package fwdtest joins two network devices by a loop that hands every packet of
// one to the other, and sends traffic through it: device classes are tested with
// real packets before and without a switch.
package fwdtest

import (
	"bytes"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/poll"
	"sluice/netdev"
	"sluice/netdev/packet"
	"sluice/tests/testkit/nstest"
)

// Forwarder forwards between two devices until it is stopped.
type Forwarder struct {
	pool *packet.Pool
	stop *poll.Event
	done chan struct{}
	once sync.Once
	// Watch, when set before Start, sees each packet.
	Watch func(p *packet.Pool, i packet.Index)
	// Packets counts what was forwarded; valid after Stop.
	Packets int
}

// New makes a forwarder on frames of pool.
func New(pool *packet.Pool) *Forwarder {
	return &Forwarder{pool: pool, stop: poll.NewEvent(), done: make(chan struct{})}
}

// Start forwards between the devices' first queues, until Stop or the end of the
// test.
func (f *Forwarder) Start(t testing.TB, a, b netdev.Device) {
	t.Cleanup(f.Stop)
	type way struct {
		rx netdev.RxQueue
		tx netdev.TxQueue
	}
	ways := []way{{a.RxQueues()[0], b.TxQueues()[0]}, {b.RxQueues()[0], a.TxQueues()[0]}}
	go func() {
		defer close(f.done)
		c := f.pool.NewCache(64)
		defer c.Close()
		var batch packet.Batch
		fds := []unix.PollFd{{Fd: int32(f.stop.Fd()), Events: unix.POLLIN}}
		for _, w := range ways {
			fds = append(fds, unix.PollFd{Fd: int32(w.rx.Fd()), Events: unix.POLLIN})
		}
		for {
			busy := false
			for _, w := range ways {
				n, err := w.rx.Recv(c, &batch)
				if err != nil {
					panic(err)
				}
				if n > 0 {
					busy = true
					f.Packets += n
					if f.Watch != nil {
						for _, i := range batch.Slice() {
							f.Watch(f.pool, i)
						}
					}
					w.tx.Send(c, &batch)
				}
			}
			for _, w := range ways {
				w.tx.Flush(c)
			}
			if busy {
				continue
			}
			if _, err := unix.Poll(fds, -1); err != nil && err != unix.EINTR {
				panic(err)
			}
			if fds[0].Revents != 0 {
				return
			}
		}
	}()
}

// Stop ends the loop.
func (f *Forwarder) Stop() {
	f.once.Do(func() {
		f.stop.Set()
		<-f.done
		f.stop.Close()
	})
}

// Pool makes a pool of frames.  It is never unmapped, since devices that are
// closed later give frames back.
func Pool(t testing.TB, frames int) *packet.Pool {
	t.Helper()
	p, err := packet.NewPool(frames)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Open opens and configures a device that is closed when the test ends, unless
// the test did.
func Open(t testing.TB, name, typ string, options map[string]string) netdev.Device {
	t.Helper()
	d, err := netdev.Open(name, typ)
	if err != nil {
		t.Fatalf("open %s: %v", name, err)
	}
	t.Cleanup(func() {
		if open, ok := netdev.ByName(name); !ok || open != d {
			return
		}
		if err := d.Close(false); err != nil {
			t.Errorf("close %s: %v", name, err)
		}
	})
	if err := d.SetConfig(options); err != nil {
		t.Fatalf("configure %s: %v", name, err)
	}
	if d.NeedsReconfigure() {
		if err := d.Reconfigure(); err != nil {
			t.Fatalf("reconfigure %s: %v", name, err)
		}
	}
	return d
}

// Addr gives a link of ns an address of 10.77.0.0/24.
func Addr(t testing.TB, ns *nstest.NS, dev string, host int) {
	t.Helper()
	ns.Run(t, "ip", "addr", "add", "10.77.0."+strconv.Itoa(host)+"/24", "dev", dev)
}

// Ping sends five packets from ns to 10.77.0.host, all of which must come back.
func Ping(t testing.TB, ns *nstest.NS, host, size int) {
	t.Helper()
	ns.Run(t, "ping", "-q", "-c", "5", "-i", "0.01", "-W", "2", "-s", strconv.Itoa(size), "10.77.0."+strconv.Itoa(host))
}

// TCP sends size random bytes from one namespace to 10.77.0.host in the other
// and back, and compares them.
func TCP(t testing.TB, from, to *nstest.NS, host, size int) {
	t.Helper()
	var l net.Listener
	var err error
	to.Do(t, func() { l, err = net.Listen("tcp4", "0.0.0.0:0") })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go echo(l)

	var conn net.Conn
	_, port, _ := net.SplitHostPort(l.Addr().String())
	from.Do(t, func() {
		conn, err = net.DialTimeout("tcp4", "10.77.0."+strconv.Itoa(host)+":"+port, 10*time.Second)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))

	src := rand.NewChaCha8([32]byte{1})
	sent := sha256.New()
	go func() {
		_, err := io.CopyN(io.MultiWriter(conn, sent), src, int64(size))
		if err == nil {
			err = conn.(*net.TCPConn).CloseWrite()
		}
		if err != nil {
			t.Errorf("send: %v", err)
		}
	}()
	got := sha256.New()
	n, err := io.Copy(got, conn)
	if err != nil || n != int64(size) {
		t.Fatalf("received %d of %d bytes: %v", n, size, err)
	}
	if !bytes.Equal(got.Sum(nil), sent.Sum(nil)) {
		t.Error("the bytes that came back differ")
	}
}

func echo(l net.Listener) {
	conn, err := l.Accept()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.Copy(conn, conn)
}
