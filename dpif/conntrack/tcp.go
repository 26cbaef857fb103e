package conntrack

import (
	"encoding/binary"

	"sluice/internal/coverage"
)

// TCP states of one peer, numbered and named as dumps print them.
const (
	tcpClosed = iota
	tcpListen
	tcpSynSent
	tcpSynRecv
	tcpEstablished
	tcpCloseWait
	tcpFinWait1
	tcpClosing
	tcpLastAck
	tcpFinWait2
	tcpTimeWait
)

// TCP flags.
const (
	flagFIN = 1 << 0
	flagSYN = 1 << 1
	flagRST = 1 << 2
	flagPSH = 1 << 3
	flagACK = 1 << 4
	flagURG = 1 << 5
)

// Bits of peer.scale: the shift in the low bits, whether the peer sent one, or
// whether nobody knows since the connection was there before the tracker.
const (
	scaleMask    = 0x0f
	scaleUnknown = 0x40
	scaleSent    = 0x80
	maxScale     = 14 // RFC 7323, section 2.3
)

// maxAckWindow is how far an acknowledgement may lie outside the window.
const maxAckWindow = 0xffff + 1500

var (
	cSeqBypass = coverage.New("conntrack_tcp_seq_chk_bypass")
	cSeqFailed = coverage.New("conntrack_tcp_seq_chk_failed")
	cTCPFlags  = coverage.New("conntrack_invalid_tcp_flags")
)

// peer is what the tracker knows of one end of a TCP connection (G. van Rooij,
// "Real Stateful TCP Packet Filtering in IP Filter"; pf and stock do the same).
type peer struct {
	lo    uint32 // highest sequence number sent
	hi    uint32 // highest that the other end allows
	win   uint16 // largest window announced, before scaling
	scale uint8
	state uint8
}

// segment is a TCP header.
type segment struct {
	seq, ack uint32
	payload  uint32
	win      uint16
	flags    uint8
	options  []byte
}

// tcpSegment reads the TCP header of a packet that parse accepted.
func tcpSegment(v *view) segment {
	h := v.b[v.l4:]
	n := int(h[12]>>4) * 4
	return segment{seq: binary.BigEndian.Uint32(h[4:]), ack: binary.BigEndian.Uint32(h[8:]),
		payload: uint32(v.size - n), win: binary.BigEndian.Uint16(h[14:]), flags: h[13] & 0x3f, options: h[20:n]}
}

func (g *segment) has(flag uint8) bool { return g.flags&flag != 0 }

// end is the sequence number behind the segment.
func (g *segment) end() uint32 {
	n := g.payload
	if g.has(flagSYN) {
		n++
	}
	if g.has(flagFIN) {
		n++
	}
	return g.seq + n
}

// legal rejects combinations of flags that no TCP sends.
func (g *segment) legal() bool {
	switch {
	case g.has(flagSYN) && g.has(flagRST|flagFIN),
		!g.has(flagSYN) && !g.has(flagACK|flagRST),
		!g.has(flagACK) && g.has(flagFIN|flagPSH|flagURG):
		cTCPFlags.Inc()
		return false
	}
	return true
}

// opens reports that the segment may be the first of a connection: any but a
// SYN+ACK, so that connections older than the tracker are picked up.
func (g *segment) opens() bool { return g.legal() && g.flags&(flagSYN|flagACK) != flagSYN|flagACK }

// windowScale finds the window scale option, 0 when there is none.
func (g *segment) windowScale() uint8 {
	o := g.options
	for len(o) >= 3 {
		switch o[0] {
		case 0:
			return 0
		case 1:
			o = o[1:]
			continue
		case 3:
			return min(o[2], maxScale) | scaleSent
		}
		n := max(int(o[1]), 2)
		if n > len(o) {
			return 0
		}
		o = o[n:]
	}
	return 0
}

// after and notBefore compare sequence numbers modulo 2^32.
func after(a, b uint32) bool     { return int32(a-b) > 0 }
func notBefore(a, b uint32) bool { return int32(a-b) >= 0 }

// shrink is a window as it would be announced with a scale.
func shrink(win uint16, shift uint8) uint16 {
	return uint16((uint32(win) + 1<<shift - 1) >> shift)
}

// tcpOpen sets up both peers from the first segment.
func tcpOpen(tcp *[2]peer, g *segment) {
	src, dst := &tcp[0], &tcp[1]
	*src = peer{lo: g.seq, hi: g.end() + 1, win: max(g.win, 1), state: tcpSynSent}
	*dst = peer{hi: 1, win: 1, state: tcpClosed}
	if g.has(flagSYN) {
		src.scale = g.windowScale()
	} else {
		src.scale, dst.scale = scaleUnknown, scaleUnknown
	}
	src.win = shrink(src.win, src.scale&scaleMask)
}

// scales are the shifts of the windows that src and dst announce in a segment.
func scales(src, dst *peer, g *segment) (s, d uint8) {
	switch {
	case g.has(flagSYN):
	case src.scale&scaleSent != 0 && dst.scale&scaleSent != 0:
		return src.scale & scaleMask, dst.scale & scaleMask
	case src.scale&scaleUnknown != 0 && dst.scale&scaleUnknown != 0:
		return maxScale, maxScale
	}
	return 0, 0
}

// tcpUpdate follows a segment from src.  It returns the class of the connection's
// timeout, noClass to leave it as it is.
func tcpUpdate(src, dst *peer, g *segment, check bool) (verdict, timeoutClass) {
	if !g.legal() {
		return verdictInvalid, noClass
	}
	if g.flags&(flagSYN|flagACK) == flagSYN {
		if dst.state >= tcpFinWait2 && src.state >= tcpFinWait2 {
			src.state, dst.state = tcpClosed, tcpClosed
			return verdictReopen, noClass
		}
		if src.state <= tcpSynSent {
			src.state = tcpSynSent
			return verdictNew, tcpFirstPacket
		}
	}
	shift, dstShift := scales(src, dst, g)
	win := g.win
	end := g.end()
	exact := true
	if src.state < tcpSynSent {
		exact = src.begin(dst, g, end, &win, &shift, &dstShift)
	}
	seq, ack := g.seq, g.ack
	if !g.has(flagACK) || ack == 0 && g.has(flagRST) {
		ack = dst.lo // nothing to check
	}
	if seq == end {
		seq, end = src.lo, src.lo // no data: be lenient
	}
	w := window{seq: seq, end: end, ack: ack, win: uint32(win) << shift, raw: win}
	if src.inWindow(dst, g, &w, exact, shift, dstShift) {
		src.advance(dst, &w)
		transition(src, dst, g)
		return verdictEstablished, tcpClass(src, dst)
	}
	if !check {
		cSeqBypass.Inc()
		src.advance(dst, &w)
		transition(src, dst, g)
		return verdictEstablished, tcpClass(src, dst)
	}
	if src.loose(dst, &w) {
		src.advance(dst, &w)
		if g.has(flagFIN) && src.state < tcpClosing {
			src.state = tcpClosing
		}
		if g.has(flagRST) {
			src.state, dst.state = tcpTimeWait, tcpTimeWait
		}
		return verdictEstablished, noClass
	}
	cSeqFailed.Inc()
	return verdictInvalid, noClass
}

// window is a segment as it is compared with what the peers allow.
type window struct {
	seq, end, ack uint32
	win           uint32 // scaled
	raw           uint16
}

// begin notes the first segment of a peer.  It reports whether the acknowledgement
// can be judged: not when the connection is just being picked up.
func (src *peer) begin(dst *peer, g *segment, end uint32, win *uint16, shift, dstShift *uint8) (exact bool) {
	if g.has(flagSYN) && dst.scale&scaleSent != 0 {
		src.scale = g.windowScale()
		if src.scale&scaleSent != 0 {
			*shift, *dstShift = src.scale&scaleMask, dst.scale&scaleMask
			*win = shrink(*win, *shift)
		} else {
			// No scaling then: the other window counts as it was announced.
			dst.win <<= dst.scale & scaleMask
			dst.scale = 0
		}
	}
	src.lo, src.state = g.seq, tcpSynSent
	exact = true
	if limit := end + max(1, uint32(dst.win)<<*dstShift); src.hi == 1 || notBefore(limit, src.hi) {
		src.hi = limit
		exact = false
	}
	src.win = max(src.win, *win)
	return exact
}

// inWindow decides whether a segment fits what was sent and allowed before.
func (src *peer) inWindow(dst *peer, g *segment, w *window, exact bool, shift, dstShift uint8) bool {
	var skew int32
	if exact {
		skew = int32(dst.lo - w.ack)
	}
	switch {
	case !notBefore(src.hi, w.end), // beyond the other end's window
		!notBefore(w.seq, src.lo-uint32(dst.win)<<dstShift), // more than a window back
		int64(skew) < -maxAckWindow,                         // acknowledges what was not sent
		int64(skew) > maxAckWindow<<shift:
		return false
	}
	// A reset must hit the sequence number, or one beside it.
	return !g.has(flagRST) || g.seq-src.lo+1 <= 2
}

// loose lets segments pass that the window rejects while a connection is being
// picked up or just closed.
func (src *peer) loose(dst *peer, w *window) bool {
	return (dst.state < tcpSynSent || dst.state >= tcpFinWait2 || src.state >= tcpFinWait2) &&
		notBefore(src.hi+maxAckWindow, w.end) && notBefore(w.seq, src.lo-maxAckWindow)
}

// advance notes what the segment sends and allows.
func (src *peer) advance(dst *peer, w *window) {
	src.win = max(src.win, w.raw)
	if after(w.end, src.lo) {
		src.lo = w.end
	}
	if notBefore(w.ack+w.win, dst.hi) {
		dst.hi = w.ack + max(w.win, 1)
	}
}

// transition moves the states on.
func transition(src, dst *peer, g *segment) {
	if g.has(flagSYN) && src.state < tcpSynSent {
		src.state = tcpSynSent
	}
	if g.has(flagFIN) && src.state < tcpClosing {
		src.state = tcpClosing
	}
	if g.has(flagACK) {
		switch dst.state {
		case tcpSynSent:
			dst.state = tcpEstablished
		case tcpClosing:
			dst.state = tcpFinWait2
		}
	}
	if g.has(flagRST) {
		src.state, dst.state = tcpTimeWait, tcpTimeWait
	}
}

// tcpClass is the timeout that the states of both peers call for.
func tcpClass(a, b *peer) timeoutClass {
	low, high := min(a.state, b.state), max(a.state, b.state)
	switch {
	case low >= tcpFinWait2:
		return tcpClosedDown
	case low >= tcpClosing:
		return tcpFinWait
	case low < tcpEstablished:
		return tcpOpening
	case high >= tcpClosing:
		return tcpClosingDown
	}
	return tcpOpened
}
