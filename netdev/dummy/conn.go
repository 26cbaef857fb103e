package dummy

import (
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/poll"
)

// Backoff between attempts to connect, in ms: doubled at every failure.
const (
	minBackoff = 100
	maxBackoff = 1 << 30
)

// errFrame is a length prefix too small for an Ethernet header.
var errFrame = errors.New("protocol error")

// conn connects a device to others: nothing, a listener with any number of
// streams ("pstream"), or one stream that reconnects ("stream").  On a stream
// each packet follows its length in 16 bits, network order.
//
// All methods need the device's mu.
type conn struct {
	listener *listener
	streams  []*stream // accepted by listener

	active    bool    // options:stream is configured
	name      string  // its target
	out       *stream // nil: not connected and not connecting
	connected bool
	backoff   int64 // ms, 0: no failure yet
	retryAt   int64 // when to connect again
}

// configure applies options:stream and options:pstream.  A connection whose
// target is unchanged stays.
func (c *conn) configure(options map[string]string) {
	passive, active := options["pstream"], options["stream"]
	if passive != "" && active != "" {
		log.Warn("Open failed: both %s and %s are configured", passive, active)
		return
	}
	if c.listener != nil && c.listener.name == passive || c.active && c.name == active {
		return
	}
	c.close()
	if passive != "" {
		l, err := listen(passive)
		if err != nil {
			log.Warn("%s: open failed (%s)", passive, errno.Text(err))
			return
		}
		c.listener = l
	}
	if active != "" {
		c.active, c.name = true, active
		c.connect(0)
	}
}

func (c *conn) config(m map[string]string) {
	switch {
	case c.listener != nil:
		m["pstream"] = c.listener.name
	case c.active:
		m["stream"] = c.name
	}
}

func (c *conn) close() {
	if c.listener != nil {
		c.listener.close()
	}
	for _, s := range c.streams {
		s.close()
	}
	if c.out != nil {
		c.out.close()
	}
	*c = conn{}
}

// connect starts or completes a connection.  now may be 0 when it is not known:
// then a failure is retried at the next run.
func (c *conn) connect(now int64) {
	var err error
	if c.out == nil {
		c.out, err = dial(c.name)
	} else {
		err = c.out.finish()
	}
	switch {
	case err == nil:
		c.connected, c.backoff = true, 0
	case err != errAgain:
		log.Info("%s: connection attempt failed (%s)", c.name, errno.Text(err))
		c.fail(now)
	}
}

// fail drops the outgoing stream and plans the next attempt.
func (c *conn) fail(now int64) {
	if c.out != nil {
		c.out.close()
	}
	c.out, c.connected = nil, false
	if now > 0 {
		c.backoff = min(max(2*c.backoff, minBackoff), maxBackoff)
		c.retryAt = now + c.backoff
	}
}

func (c *conn) run(d *Device, now int64) {
	if c.listener != nil {
		c.runListener(d)
	}
	if !c.active {
		return
	}
	if !c.connected && (c.out != nil || now >= c.retryAt) {
		c.connect(now)
	}
	if c.connected {
		if err := c.out.run(d); err != nil {
			log.Info("%s: connection dropped (%s)", c.name, errno.Text(err))
			c.fail(now)
		}
	}
}

func (c *conn) runListener(d *Device) {
	for {
		s, err := c.listener.accept()
		if err != nil {
			if err != errAgain {
				log.Warn("%s: accept failed (%s)", c.listener.name, errno.Text(err))
			}
			break
		}
		c.streams = append(c.streams, s)
	}
	kept := c.streams[:0]
	for _, s := range c.streams {
		if err := s.run(d); err != nil {
			log.Dbg("%s: closing connection (%s)", c.listener.name, errno.Text(err))
			s.close()
			continue
		}
		kept = append(kept, s)
	}
	clear(c.streams[len(kept):])
	c.streams = kept
}

func (c *conn) wait(d *Device, set *poll.Set) {
	if c.listener != nil {
		set.FD(c.listener.fd, poll.In)
		for _, s := range c.streams {
			s.wait(d, set)
		}
	}
	switch {
	case !c.active:
	case c.connected:
		c.out.wait(d, set)
	case c.out != nil:
		set.FD(c.out.fd, poll.Out)
	default:
		set.Timer(c.retryAt)
	}
}

// send queues a packet on every connected stream.
func (c *conn) send(data []byte) {
	for _, s := range c.streams {
		s.send(data)
	}
	if c.connected {
		c.out.send(data)
	}
}

// state is what netdev-dummy/conn-state prints.
func (c *conn) state() string {
	switch {
	case !c.active:
		return "unknown"
	case c.connected:
		return "connected"
	}
	return "disconnected"
}

// stream carries packets over a connected socket.
type stream struct {
	fd   int
	txq  [][]byte // length and packet; the first may be sent in part
	rx   []byte   // received bytes of the next packet
	fail error    // error of a send, reported by run
}

// send queues the packet and tries to send at once, so that a packet needs no
// turn of the loop to leave.
func (s *stream) send(data []byte) {
	if len(s.txq) >= maxQueued || len(data) > 0xffff {
		return
	}
	b := make([]byte, 2, 2+len(data))
	binary.BigEndian.PutUint16(b, uint16(len(data)))
	s.txq = append(s.txq, append(b, data...))
	if s.fail == nil {
		s.fail = s.flush()
	}
}

func (s *stream) flush() error {
	for len(s.txq) > 0 {
		n, err := unix.SendmsgN(s.fd, s.txq[0], nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		switch {
		case err == unix.EAGAIN:
			return nil
		case err == unix.EINTR:
		case err != nil:
			return err
		case n < len(s.txq[0]):
			s.txq[0] = s.txq[0][n:]
		default:
			s.txq[0] = nil
			s.txq = s.txq[1:]
		}
	}
	s.txq = nil
	return nil
}

// roomy reports that the device's queue takes more packets: streams stop reading
// at half of it, since a full queue drops.
func roomy(d *Device) bool { return len(d.rxqs[0].pkts) < maxQueued/2 }

// run sends what waits and queues what was received in the device's first queue.
func (s *stream) run(d *Device) error {
	if s.fail != nil {
		return s.fail
	}
	if err := s.flush(); err != nil {
		return err
	}
	for roomy(d) {
		want := 2
		if len(s.rx) >= 2 {
			size := int(binary.BigEndian.Uint16(s.rx))
			if size < ethHeaderSize {
				return errFrame
			}
			want = 2 + size
		}
		if cap(s.rx) < want {
			s.rx = append(make([]byte, 0, want), s.rx...)
		}
		n, err := unix.Read(s.fd, s.rx[len(s.rx):want])
		switch {
		case err == unix.EAGAIN:
			return nil
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n == 0 && len(s.rx) > 0:
			return errFrame
		case n == 0:
			return io.EOF
		}
		s.rx = s.rx[:len(s.rx)+n]
		if want > 2 && len(s.rx) == want {
			d.receiveLocked(s.rx[2:], 0)
			s.rx = nil
		}
	}
	return nil
}

func (s *stream) wait(d *Device, set *poll.Set) {
	if s.fail != nil {
		set.Immediate()
		return
	}
	if roomy(d) {
		set.FD(s.fd, poll.In)
	}
	if len(s.txq) > 0 {
		set.FD(s.fd, poll.Out)
	}
}

func (s *stream) close() { unix.Close(s.fd) }
