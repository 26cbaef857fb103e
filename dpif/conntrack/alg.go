package conntrack

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/netdev/packet"
)

// maxExpectations bounds the connections that control connections may announce.
const maxExpectations = 10000

var rlFTP = vlog.NewLimiter(5, 5)

// expectation is a connection that a control connection announced.
type expectation struct {
	parent key // original direction of the control connection
	mark   uint32
	label  flow.U128
	addr   flow.IPv6 // what NAT gives the announced connection
	// dst: addr replaces the destination of replies (NAT of the source).
	dst bool
}

// expectations is all announced connections, by their key with source port 0.
//
// Thread-safety: mu guards the maps and is taken after a shard's lock.
type expectations struct {
	n      atomic.Int32 // len(all)
	mu     sync.Mutex
	all    map[key]*expectation
	parent map[key][]key
}

// find returns the expectation of a packet that opens a connection.
func (x *expectations) find(k key) *expectation {
	if x.n.Load() == 0 {
		return nil
	}
	k.src.port = 0
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.all[k]
}

func (x *expectations) add(k key, e *expectation) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.all == nil {
		x.all, x.parent = map[key]*expectation{}, map[key][]key{}
	}
	if x.all[k] != nil || len(x.all) >= maxExpectations {
		return
	}
	x.all[k] = e
	x.parent[e.parent] = append(x.parent[e.parent], k)
	x.n.Store(int32(len(x.all)))
}

// forget drops what a control connection announced.
func (x *expectations) forget(parent *key) {
	if x.n.Load() == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, k := range x.parent[*parent] {
		delete(x.all, k)
	}
	delete(x.parent, *parent)
	x.n.Store(int32(len(x.all)))
}

// expect notes that the peer of the sender (reply: the server answers) will be
// connected to at port.
func (t *Tracker) expect(s *slot, port uint16, reply bool) {
	e := &expectation{parent: s.key, mark: s.mark, label: s.label}
	k := key{l3: s.key.l3, zone: s.key.zone, proto: s.key.proto}
	toDst := s.nat&natDst != 0
	if reply {
		k.src.addr, k.dst.addr = s.key.src.addr, s.key.dst.addr
		if e.addr, e.dst = s.rev.dst.addr, true; toDst {
			e.addr, e.dst = s.rev.src.addr, false
		}
	} else {
		k.src.addr, k.dst.addr = s.rev.src.addr, s.rev.dst.addr
		if e.addr = s.key.src.addr; toDst {
			e.addr, e.dst = s.key.dst.addr, true
		}
	}
	k.dst.port = port
	t.expected.add(k, e)
}

// isFTP reports that the packet is of an FTP control connection.
func (l *lookup) isFTP() bool {
	return l.k.proto == protoTCP && (l.k.src.port == portFTP || l.k.dst.port == portFTP) && !l.related
}

// ftpMessageMax is how much of a control message is looked at.
const ftpMessageMax = 128

// ftpMessage is the beginning of what an FTP control packet says.
func (l *lookup) ftpMessage() []byte {
	at := l.l4 + int(l.b[l.l4+12]>>4)*4
	end := min(l.l4+l.size, len(l.b))
	return l.b[at:min(end, at+ftpMessageMax)]
}

// announces reports that an FTP control packet may announce a connection.
func (l *lookup) announces() bool {
	msg := l.ftpMessage()
	if l.k.l3 == flow.EthIPv6 {
		return hasPrefixFold(msg, "EPRT") || bytes.Contains(bytes.ToUpper(msg), []byte("EXTENDED PASSIVE"))
	}
	return hasPrefixFold(msg, "PORT") || hasPrefixFold(msg, "227")
}

func hasPrefixFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && strings.EqualFold(string(b[:len(prefix)]), prefix)
}

// announcement is an address and port in a control message.
type announcement struct {
	at, size int // where the address is; size 0: nowhere
	addr     flow.IPv6
	port     uint16
	active   bool
}

// digits splits a number off the front of s.
func digits(s string, most int) (n int, rest string, ok bool) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.Atoi(s[:i])
	return n, s[i:], err == nil && n <= most
}

// parseFTPv4 reads "PORT h1,h2,h3,h4,p1,p2" and "227 … (h1,h2,h3,h4,p1,p2)" (RFC
// 959, section 4.1.2).
func parseFTPv4(msg string) (a announcement, ok bool) {
	a.active = strings.EqualFold(msg[:min(4, len(msg))], "PORT")
	space := strings.IndexByte(msg, ' ')
	if space < 0 {
		return a, false
	}
	at := strings.IndexAny(msg[space:], "0123456789")
	if at < 0 {
		return a, false
	}
	a.at = space + at
	rest := msg[a.at:]
	var n [6]int
	for i := range n {
		if n[i], rest, ok = digits(rest, 255); !ok {
			return a, false
		}
		if i == 3 {
			a.size = len(msg) - len(rest) - a.at
		}
		if i < 5 {
			if rest, ok = strings.CutPrefix(rest, ","); !ok {
				return a, false
			}
		}
	}
	a.addr = mapped([]byte{byte(n[0]), byte(n[1]), byte(n[2]), byte(n[3])})
	a.port = uint16(n[4]<<8 | n[5])
	return a, true
}

// parseFTPv6 reads "EPRT |2|address|port|" and "229 … (|||port|)" (RFC 2428).
func parseFTPv6(msg string) (a announcement, ok bool) {
	a.active = strings.EqualFold(msg[:min(4, len(msg))], "EPRT")
	if !a.active {
		open := strings.IndexByte(msg, '(')
		if open < 0 {
			return a, false
		}
		at := strings.IndexAny(msg[open:], "0123456789")
		if at < 0 {
			return a, false
		}
		n, _, ok := digits(msg[open+at:], 65535)
		a.port = uint16(n)
		return a, ok
	}
	at := strings.IndexAny(msg, "0123456789")
	if at < 1 || msg[at] != '2' || at+2 > len(msg) || msg[at+1] != msg[at-1] {
		return a, false
	}
	delimiter := msg[at+1]
	a.at = at + 2
	end := strings.IndexByte(msg[a.at:], delimiter)
	if end < 0 {
		return a, false
	}
	ip, err := netip.ParseAddr(msg[a.at : a.at+end])
	if err != nil || !ip.Is6() || ip.Zone() != "" {
		return a, false
	}
	a.size, a.addr = end, ip.As16()
	n, _, ok := digits(msg[a.at+end+1:], 65535)
	a.port = uint16(n)
	return a, ok
}

// ftp handles a control packet that announces a connection: the connection is
// expected, and with NAT the packet says the address that its receiver can use.
func (t *Tracker) ftp(l *lookup, s *slot, reply bool) {
	parse := parseFTPv4
	if l.k.l3 == flow.EthIPv6 {
		parse = parseFTPv6
	}
	a, ok := parse(string(l.ftpMessage()))
	addr := s.key.dst.addr // of the server, as the client knows it
	if a.active {
		addr = s.rev.dst.addr
	}
	if ok && a.size > 0 {
		own := s.rev.src.addr
		if a.active {
			own = s.key.src.addr
		}
		// Who announces the address of a third host is up to no good.
		ok = a.addr == own || a.addr == addr
	}
	if !ok {
		log.WarnRL(rlFTP, "Invalid FTP control packet format")
		l.m.CTState |= flow.CTTracked | flow.CTInvalid
		return
	}
	t.expect(s, a.port, l.m.CTState&flow.CTReplyDir != 0)
	if l.arg.NAT == nil {
		return
	}
	delta := 0
	if a.size > 0 && a.addr != addr {
		delta = l.replace(a, addr)
	}
	l.adjust(s, reply)
	if delta != 0 {
		s.skew += int32(delta)
		s.skewDir = reply
	}
}

// adjust moves the sequence numbers of a packet by what rewriting has added to the
// stream before.
func (l *lookup) adjust(s *slot, reply bool) {
	if l.arg.NAT == nil || s.skew == 0 {
		return
	}
	h := l.b[l.l4:]
	at, by := 4, uint32(s.skew)
	if reply != s.skewDir {
		at, by = 8, -by
	}
	c := checksumOf(protoTCP, h, l.m.Csum == packet.CsumPartial)
	var after [4]byte
	binary.BigEndian.PutUint32(after[:], binary.BigEndian.Uint32(h[at:])+by)
	c.replace(h[at:at+4], after[:], false)
}

// replace puts another address in place of the one in a control message, and
// returns by how much the packet grew.
func (l *lookup) replace(a announcement, addr flow.IPv6) int {
	text := netip.AddrFrom16(addr).Unmap().String()
	if l.k.l3 == flow.EthIPv4 {
		text = strings.ReplaceAll(text, ".", ",")
	}
	at := l.l4 + int(l.b[l.l4+12]>>4)*4 + a.at
	delta := len(text) - a.size
	m := l.m
	if m.Next != 0 || m.GSOType != 0 || int(m.Data)+int(m.SegLen)+delta > packet.FrameSize {
		log.WarnRL(rlFTP, "Unsupported effective MTU %d used with FTP", m.Len)
		return 0
	}
	tail := bytes.Clone(l.b[at+a.size:])
	m.SegLen, m.Len = uint16(int(m.SegLen)+delta), uint32(int(m.Len)+delta)
	l.b = l.pool.Data(l.i)
	copy(l.b[at:], text)
	copy(l.b[at+len(text):], tail)
	l.size += delta
	l.setLength()
	return delta
}

// setLength sets the lengths and checksums that the headers of a TCP packet in one
// frame have for its size.
func (l *lookup) setLength() {
	ip, h := l.b[l.l3:], l.b[l.l4:l.l4+l.size]
	if ip[0]>>4 == 4 {
		before, after := binary.BigEndian.Uint16(ip[2:]), uint16(l.l4-l.l3+l.size)
		binary.BigEndian.PutUint16(ip[10:], packet.Recalc16(binary.BigEndian.Uint16(ip[10:]), before, after))
		binary.BigEndian.PutUint16(ip[2:], after)
	} else {
		binary.BigEndian.PutUint16(ip[4:], uint16(l.l4-l.l3-40+l.size))
	}
	sum := packet.PseudoSum(ip, protoTCP, l.size)
	if l.m.Csum != packet.CsumPartial {
		h[16], h[17] = 0, 0
		sum = ^packet.Sum(h, sum)
	}
	binary.BigEndian.PutUint16(h[16:], sum)
}

// announced lets the helper of a connection, whose shard is locked, look at a
// packet of it.
func (t *Tracker) announced(l *lookup, s *slot, reply bool) {
	switch {
	case s.helper == helperTFTP && l.k.proto == protoUDP && l.k.dst.port == portTFTP:
		t.expect(s, s.key.src.port, l.m.CTState&flow.CTReplyDir != 0)
	case s.helper == helperFTP && l.isFTP() && l.announces():
		t.ftp(l, s, reply)
	}
}
