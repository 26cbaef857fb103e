package jsonrpc

import (
	"bytes"
	"errors"
	"io"
	"sync"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ovsdb/stream"
)

var (
	log       = vlog.New("jsonrpc")
	rl        = vlog.NewLimiter(5, 5)
	backlogRL = vlog.NewLimiter(5, 5)
)

// ErrAgain says that no message has arrived completely yet.
var ErrAgain = stream.ErrAgain

// MaxMessage is the largest message that Conn accepts unless told otherwise.
// Stock has no limit, which lets one client use up all memory.
const MaxMessage = 512 << 20

const (
	readChunk  = 64 << 10
	maxReads   = 50
	manyQueued = 50
)

// Conn sends and receives messages on a stream. Once it has failed it stays
// so, with the stream closed; Err says why.
//
// Thread-safety: a Conn belongs to one goroutine.
type Conn struct {
	name   string
	stream stream.Conn
	err    error

	in       []byte // from the beginning of the message in progress
	scan     scanner
	received uint64
	limit    int
	linger   func() bool

	out     [][]byte
	outHead int // bytes of out[0] that were sent
	backlog int
	// maxQueued and maxBacklog end the connection when more waits to be sent.
	maxQueued, maxBacklog int
}

// NewConn takes over a stream.
func NewConn(s stream.Conn) *Conn {
	return &Conn{name: s.Name(), stream: s, limit: MaxMessage}
}

// Name returns the name of the stream.
func (c *Conn) Name() string { return c.name }

// PeerID returns the common name in the peer's certificate, or nothing.
func (c *Conn) PeerID() string {
	if c.stream == nil {
		return ""
	}
	return c.stream.PeerID()
}

// Stream returns the stream below, nil after a failure.
func (c *Conn) Stream() stream.Conn { return c.stream }

// Err returns why the connection is out of use: nil while it is not, io.EOF
// if the peer ended it, unix.EPROTO if it sent nonsense.
func (c *Conn) Err() error { return c.err }

// Backlog returns how many bytes wait to be sent.
func (c *Conn) Backlog() int { return c.backlog }

// Queued returns how many messages wait to be sent.
func (c *Conn) Queued() int { return len(c.out) }

// Received returns how many bytes have arrived.
func (c *Conn) Received() uint64 { return c.received }

// SetBacklogThreshold ends the connection when more messages or bytes than
// that wait to be sent; 0 is no limit.
func (c *Conn) SetBacklogThreshold(msgs, size int) { c.maxQueued, c.maxBacklog = msgs, size }

// Linger overlooks that the peer has ended its direction as long as wait, asked
// whenever Recv meets that end, says so: the peer may want its answers still.
func (c *Conn) Linger(wait func() bool) { c.linger = wait }

// SetMaxMessage changes the largest message accepted.
func (c *Conn) SetMaxMessage(size int) { c.limit = size }

// Close ends the connection.
func (c *Conn) Close() { c.Fail(io.EOF) }

// Fail ends the connection for a reason of the caller's.
func (c *Conn) Fail(err error) {
	if c.err != nil {
		return
	}
	c.err = err
	c.stream.Close()
	c.stream = nil
	c.in, c.out, c.backlog = nil, nil, 0
	c.scan = scanner{}
}

// Run sends what the stream takes.
func (c *Conn) Run(now int64) {
	for c.err == nil && len(c.out) > 0 {
		n, err := c.stream.Write(c.out[0][c.outHead:])
		if err == stream.ErrAgain {
			return
		}
		if err != nil {
			log.WarnRL(rl, "%s: send error: %s", c.name, errno.Text(err))
			c.Fail(err)
			return
		}
		c.backlog -= n
		c.outHead += n
		if c.outHead == len(c.out[0]) {
			c.out[0], c.outHead = nil, 0
			c.out = c.out[1:]
		}
	}
}

// Wait wakes s when Run has something to do.
func (c *Conn) Wait(s *poll.Set) {
	if c.err == nil && len(c.out) > 0 {
		c.stream.Wait(s, false, false, true)
	}
}

// Send queues a message and, if nothing else waits, sends it at once. The
// caller limits what it queues by looking at Backlog.
func (c *Conn) Send(m *Msg) error {
	if c.err != nil {
		return c.err
	}
	if log.DbgEnabled() {
		log.Dbg("%s: send %s", c.name, m.describe())
	}
	return c.SendRaw(m.Append(nil))
}

// SendRaw queues the bytes of whole messages, which must not change any more:
// who sends one text to many connections encodes it once.
func (c *Conn) SendRaw(b []byte) error {
	if c.err != nil {
		return c.err
	}
	if len(b) == 0 {
		return nil
	}
	c.out = append(c.out, b)
	c.backlog += len(b)
	if len(c.out) >= manyQueued {
		c.tooMuch()
	}
	if c.err == nil && c.backlog == len(b) {
		c.Run(0)
	}
	return c.err
}

func (c *Conn) tooMuch() {
	log.InfoRL(backlogRL, "excessive sending backlog, jsonrpc: %s, num of msgs: %d, backlog: %d.",
		c.name, len(c.out), c.backlog)
	switch {
	case c.maxQueued > 0 && len(c.out) > c.maxQueued:
		log.Warn("sending backlog exceeded maximum number of messages (%d > %d), disconnecting, jsonrpc: %s.",
			len(c.out), c.maxQueued, c.name)
	case c.maxBacklog > 0 && c.backlog > c.maxBacklog:
		log.Warn("sending backlog exceeded maximum size (%d > %d bytes), disconnecting, jsonrpc: %s.",
			c.backlog, c.maxBacklog, c.name)
	default:
		return
	}
	c.Fail(unix.E2BIG)
}

// Recv returns the next message, or ErrAgain, or the reason why there will be
// no more.
func (c *Conn) Recv() (*Msg, error) {
	for range maxReads {
		if c.err != nil {
			return nil, c.err
		}
		if c.scan.pos < len(c.in) {
			if m, err := c.parse(); m != nil || err != nil {
				return m, err
			}
		}
		if err := c.fill(); err != nil {
			return nil, err
		}
	}
	return nil, ErrAgain
}

// fill reads more bytes behind those of the message in progress.
func (c *Conn) fill() error {
	if c.in == nil {
		// Connections are mostly idle: they have no buffer of their own then.
		c.in = (*buffers.Get().(*[readChunk]byte))[:0]
	} else if cap(c.in)-len(c.in) < readChunk/2 {
		// Doubling keeps the copies linear in the size of the message.
		// Beyond the limit nothing is kept.
		size := min(max(readChunk, 2*len(c.in)), max(c.limit, len(c.in))+readChunk)
		grown := make([]byte, len(c.in), size)
		copy(grown, c.in)
		c.in = grown
	}
	n, err := c.stream.Read(c.in[len(c.in):cap(c.in)])
	switch {
	case err == nil:
		c.in = c.in[:len(c.in)+n]
		c.received += uint64(n)
	case err == stream.ErrAgain:
		c.idle()
	case err == io.EOF:
		if c.linger != nil && c.linger() {
			c.idle()
			return stream.ErrAgain
		}
		c.Fail(io.EOF)
	default:
		log.WarnRL(rl, "%s: receive error: %s", c.name, errno.Text(err))
		c.Fail(err)
	}
	return err
}

// idle gives the buffer back while nothing is in it: there may be very many
// connections that say little.
func (c *Conn) idle() {
	if len(c.in) == 0 {
		if cap(c.in) == readChunk {
			buffers.Put((*[readChunk]byte)(c.in[:readChunk]))
		}
		c.in = nil
	}
}

// buffers are read buffers that no connection uses.
var buffers = sync.Pool{New: func() any { return new([readChunk]byte) }}

// parse goes on with the message in progress; nil and no error if it is not
// complete.
func (c *Conn) parse() (*Msg, error) {
	done, err := c.scan.feed(c.in)
	if err == nil && !done && len(c.in) > c.limit {
		err = errors.New("message is too large")
	}
	if err != nil {
		log.WarnRL(rl, "%s: error parsing stream: %s", c.name, c.position(err))
		c.Fail(unix.EPROTO)
		return nil, c.err
	}
	if !done {
		if c.scan.expect == atStart {
			// Only white space, which nobody needs to keep.
			c.in = c.in[:0]
			c.scan.reset()
		}
		return nil, nil
	}
	m, err := c.scan.message()
	if err != nil {
		log.WarnRL(rl, "%s: received bad JSON-RPC message: %s", c.name, err)
		c.Fail(unix.EPROTO)
		return nil, c.err
	}
	rest := c.in[c.scan.pos:]
	c.scan.reset()
	c.consume(rest)
	if log.DbgEnabled() {
		log.Dbg("%s: received %s", c.name, m.describe())
	}
	return m, nil
}

// consume makes rest all that is in the buffer. A large buffer is not kept
// for a small rest.
func (c *Conn) consume(rest []byte) {
	switch {
	case len(rest) == 0 && cap(c.in) <= 2*readChunk:
		c.in = c.in[:0]
	case cap(rest) < readChunk/2 || cap(c.in) > 2*readChunk && len(rest) < readChunk:
		c.in = append(make([]byte, 0, readChunk), rest...)
	default:
		c.in = rest
	}
}

// position adds to a syntax error where it is.
func (c *Conn) position(err error) string {
	var se *SyntaxError
	if !errors.As(err, &se) {
		return err.Error()
	}
	before := c.in[:min(se.Offset, len(c.in))]
	line := bytes.Count(before, []byte("\n"))
	column := len(before) - 1 - bytes.LastIndexByte(before, '\n')
	return sprintfPosition(line, column, se.Offset, se.Text)
}

func (c *Conn) unread() bool { return c.scan.pos < len(c.in) }

// RecvWait wakes s when Recv may return something else than ErrAgain.
func (c *Conn) RecvWait(s *poll.Set) {
	if c.err != nil || c.unread() {
		s.Immediate()
		return
	}
	c.stream.Wait(s, false, true, false)
}
