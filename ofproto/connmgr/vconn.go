package connmgr

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
	"sluice/ovsdb/stream"
)

// vconn is a stream of OpenFlow messages, hello included.
type vconn struct {
	conn    stream.Conn
	allowed ofp.VersionBitmap
	peer    ofp.VersionBitmap
	version ofp.Version // 0: not negotiated
	state   vconnState
	err     error // why it ended

	rx    []byte // received, not yet handed out from rxPos on
	rxPos int
	tx    []byte // of one message, not yet sent
	nRecv int

	// anyVersion takes messages of any version (a snooping connection).
	anyVersion bool
}

type vconnState uint8

const (
	vcsConnecting vconnState = iota
	vcsSendHello
	vcsRecvHello
	vcsConnected
	vcsSendError
	vcsDisconnected
)

// readSize is how much a vconn reads at once: many messages of a bundle, or one of
// the largest.
const readSize = 64 << 10

// newVconn speaks OpenFlow on c.
func newVconn(c stream.Conn, allowed ofp.VersionBitmap) *vconn {
	if allowed == 0 {
		allowed = ofp.AllVersions
	}
	return &vconn{conn: c, allowed: allowed}
}

func (v *vconn) name() string { return v.conn.Name() }

func (v *vconn) close() { v.conn.Close() }

// fail ends the connection because of err.
func (v *vconn) fail(err error) {
	v.state, v.err = vcsDisconnected, err
}

// connect goes on with setting up; nil when messages can flow.
func (v *vconn) connect() error {
	for last := vconnState(255); v.state != last; {
		last = v.state
		switch v.state {
		case vcsConnecting:
			if err := v.conn.Connect(); err == nil {
				v.state = vcsSendHello
			} else if !isAgain(err) {
				v.fail(err)
			}
		case vcsSendHello:
			hello := ofp.Encode(v.allowed.Highest(), 1, &ofp.Hello{Versions: v.allowed})
			if err := v.doSend(hello); err == nil {
				v.state = vcsRecvHello
			} else if !isAgain(err) {
				v.fail(err)
			}
		case vcsRecvHello:
			v.recvHello()
		case vcsSendError:
			v.sendError()
		case vcsConnected:
			return nil
		case vcsDisconnected:
			return v.err
		}
	}
	return stream.ErrAgain
}

func (v *vconn) recvHello() {
	b, err := v.doRecv()
	if isAgain(err) {
		return
	}
	if err != nil {
		if err == io.EOF {
			err = unix.ECONNRESET
		}
		v.fail(err)
		return
	}
	m, err := ofp.Decode(b)
	hello, ok := m.(*ofp.Hello)
	if err != nil || !ok {
		logVconn.WarnRL(rlBadMsg, "%s: received message while expecting hello: %s", v.name(), ofp.Format(b, nil, 1))
		v.fail(unix.EPROTO)
		return
	}
	v.peer = hello.Versions
	if hello.Malformed {
		logVconn.WarnRL(rlBadMsg, "%s: unknown data in hello:\n%s", v.name(), hexDump(b))
	}
	common := v.peer & v.allowed
	if common == 0 {
		v.version = v.peer.Highest()
		logVconn.WarnRL(rlBadMsg, "%s: version negotiation failed (we support %s, peer supports %s)", v.name(), versions(v.allowed), versions(v.peer))
		v.state = vcsSendError
		return
	}
	v.version = common.Highest()
	logVconn.Dbg("%s: negotiated OpenFlow version 0x%02x (we support %s, peer supports %s)", v.name(), uint8(v.version), versions(v.allowed), versions(v.peer))
	v.state = vcsConnected
}

func (v *vconn) sendError() {
	text := fmt.Sprintf("We support %s, you support %s, no common versions.", versions(v.allowed), versions(v.peer))
	e := ofp.NewError(oferr.OFPHFC_INCOMPATIBLE, v.version, []byte(text))
	err := v.doSend(ofp.Encode(v.version, 0, e))
	switch {
	case isAgain(err):
		return
	case err == nil:
		err = unix.EPROTO
	}
	v.fail(err)
}

// versions describes a set of versions as logs do.
func versions(b ofp.VersionBitmap) string {
	switch {
	case b == 0:
		return "no versions"
	case bits.OnesCount32(uint32(b)) == 1:
		return fmt.Sprintf("version 0x%02x", uint8(b.Highest()))
	case (b>>1)&((b>>1)+1) == 0:
		return fmt.Sprintf("version 0x%02x and earlier", uint8(b.Highest()))
	}
	return "versions " + b.String()
}

// run sends what did not fit before and goes on with setting up.
func (v *vconn) run() {
	switch v.state {
	case vcsConnecting, vcsSendHello, vcsRecvHello:
		v.connect()
	}
	v.flush()
}

func (v *vconn) flush() {
	if len(v.tx) == 0 {
		return
	}
	n, err := v.conn.Write(v.tx)
	switch {
	case err == nil:
		v.tx = v.tx[n:]
	case !isAgain(err):
		logPstream.ErrRL(rlSend, "send: %s", errno.Text(err))
		v.tx = nil
	}
}

// status returns why the connection ended, nil while it is healthy.
func (v *vconn) status() error { return v.err }

// recv returns the next message, or ErrAgain; io.EOF when the peer closed.  The bytes
// are the caller's.
func (v *vconn) recv() ([]byte, error) {
	if err := v.connect(); err != nil {
		return nil, err
	}
	b, err := v.doRecv()
	if err != nil || v.anyVersion || ofp.Version(b[0]) == v.version {
		return b, err
	}
	if h, err := ofp.DecodePartialHeader(b); err == nil {
		switch h.Type {
		case ofp.TypeHello, ofp.TypeError, ofp.TypeEchoRequest, ofp.TypeEchoReply:
			return b, nil
		}
	}
	logVconn.ErrRL(rlBadMsg, "%s: received OpenFlow version 0x%02x != expected %02x", v.name(), b[0], uint8(v.version))
	reply := ofp.ErrorReply(oferr.OFPBRC_BAD_VERSION, errorVersion(b), b)
	if err := v.send(reply); err != nil {
		logVconn.InfoRL(rlBadMsg, "%s: failed to queue error reply (%s)", v.name(), errno.Text(err))
	}
	return nil, stream.ErrAgain
}

// errorVersion returns the version in which an error about b is sent.
func errorVersion(b []byte) ofp.Version {
	if v := ofp.Version(b[0]); v.Valid() {
		return v
	}
	return ofp.OF10
}

// doRecv returns the next whole message.
func (v *vconn) doRecv() ([]byte, error) {
	for {
		have := v.rx[v.rxPos:]
		n := ofp.Length(have)
		if n < 0 {
			logPstream.ErrRL(rlSend, "received too-short ofp_header (%d bytes)", binary.BigEndian.Uint16(have[2:]))
			v.err = unix.EPROTO
			return nil, unix.EPROTO
		}
		if n > 0 && len(have) >= n {
			b := have[:n:n]
			v.rxPos += n
			v.received(b)
			return b, nil
		}
		if err := v.fill(); err != nil {
			if err == io.EOF && len(have) > 0 {
				logPstream.ErrRL(rlSend, "connection dropped mid-packet")
				err = unix.EPROTO
				v.err = err
			}
			return nil, err
		}
	}
}

// fill reads more.  Messages that were handed out keep their memory: when the buffer
// is used up a new one is made.
func (v *vconn) fill() error {
	if cap(v.rx)-len(v.rx) < readSize/4 {
		rest := v.rx[v.rxPos:]
		v.rx, v.rxPos = append(make([]byte, 0, len(rest)+readSize), rest...), 0
	}
	n, err := v.conn.Read(v.rx[len(v.rx):cap(v.rx)])
	if err != nil {
		return err
	}
	if n == 0 {
		return io.EOF
	}
	v.rx = v.rx[:len(v.rx)+n]
	return nil
}

func (v *vconn) received(b []byte) {
	v.nRecv++
	cVconnReceived.Inc()
	if logVconn.DbgEnabled() {
		logVconn.DbgRL(rlMsg, "%s: received: %s", v.name(), ofp.Format(b, nil, 1))
	}
}

// send takes over b, or returns ErrAgain when nothing more fits.
func (v *vconn) send(b []byte) error {
	if err := v.connect(); err != nil {
		return err
	}
	return v.doSend(b)
}

func (v *vconn) doSend(b []byte) error {
	if len(v.tx) > 0 {
		return stream.ErrAgain
	}
	cVconnSent.Inc()
	n, err := v.conn.Write(b)
	switch {
	case err == nil:
		v.tx = b[n:]
	case isAgain(err):
		v.tx, err = b, nil
	}
	if logVconn.DbgEnabled() {
		text := "Success"
		if err != nil {
			text = errno.Text(err)
		}
		logVconn.DbgRL(rlMsg, "%s: sent (%s): %s", v.name(), text, ofp.Format(b, nil, 1))
	}
	return err
}

// wait wakes s when the connection can go on.
func (v *vconn) wait(s *poll.Set, recv, send bool) {
	switch v.state {
	case vcsConnecting:
		v.conn.Wait(s, true, false, false)
	case vcsSendHello, vcsSendError:
		v.conn.Wait(s, false, false, true)
	case vcsRecvHello:
		v.conn.Wait(s, false, true, len(v.tx) > 0)
	case vcsConnected:
		if recv && v.pending() {
			s.Immediate()
		}
		v.conn.Wait(s, false, recv, len(v.tx) > 0 || send)
	case vcsDisconnected:
		s.Immediate()
	}
}

// pending reports whether a whole message was read already.
func (v *vconn) pending() bool {
	have := v.rx[v.rxPos:]
	n := ofp.Length(have)
	return n < 0 || n > 0 && len(have) >= n
}

// hexDump shows bytes as logs do.
func hexDump(b []byte) string {
	var out []byte
	for i := 0; i < len(b); i += 16 {
		row := b[i:min(i+16, len(b))]
		out = fmt.Appendf(out, "%08x ", i)
		for j := range 16 {
			sep := " "
			if j == 8 {
				sep = "-"
			}
			if j < len(row) {
				out = fmt.Appendf(out, "%s%02x", sep, row[j])
			} else {
				out = append(out, "   "...)
			}
		}
		out = append(out, ' ', '|')
		for _, c := range row {
			if c < 32 || c > 126 {
				c = '.'
			}
			out = append(out, c)
		}
		for range 16 - len(row) {
			out = append(out, ' ')
		}
		out = append(out, '|', '\n')
	}
	return string(out)
}
