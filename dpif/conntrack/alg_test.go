package conntrack

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"sluice/dpif/odp"
	"sluice/netdev/packet"
)

func TestParseFTP(t *testing.T) {
	for _, c := range []struct {
		msg  string
		want string // address:port, "" when it is malformed
		text string // what stands for the address
	}{
		{"PORT 10,1,1,1,4,5\r\n", "10.1.1.1:1029", "10,1,1,1"},
		{"port  10,1,1,1,4,5", "10.1.1.1:1029", "10,1,1,1"},
		{"227 Entering Passive Mode (10,1,1,2,255,255).\r\n", "10.1.1.2:65535", "10,1,1,2"},
		{"PORT 10,1,1,1,4", "", ""},
		{"PORT 10,1,1,1,256,5", "", ""},
		{"PORT 10,1,1,1,4,x", "", ""},
		{"PORT 10.1.1.1,4,5", "", ""},
		{"PORT", "", ""},
		{"PORT x", "", ""},
		{"", "", ""},
		{"227 99999999999999999999,1,1,1,1,1", "", ""},
		{"EPRT |2|fd00::1|1029|\r\n", "[fd00::1]:1029", "fd00::1"},
		{"eprt !2!fd00::1!1029!", "[fd00::1]:1029", "fd00::1"},
		{"EPRT |1|10.1.1.1|1029|", "", ""},
		{"EPRT |2|fd00::1", "", ""},
		{"EPRT |2|fd00::1|x|", "", ""},
		{"EPRT |2|fe80::1%a|10|", "", ""},
		{"EPRT |2", "", ""},
		{"EPRT 2|", "", ""},
		{"229 Entering Extended Passive Mode (|||6446|)", "[::]:6446", ""},
		{"229 Entering Extended Passive Mode (|||99999|)", "", ""},
		{"229 Extended Passive", "", ""},
		{"229 Extended Passive (|||", "", ""},
	} {
		parse := parseFTPv4
		if strings.HasPrefix(strings.ToUpper(c.msg), "EP") || strings.HasPrefix(c.msg, "229") {
			parse = parseFTPv6
		}
		a, ok := parse(c.msg)
		got := ""
		if ok {
			got = netip.AddrPortFrom(netip.AddrFrom16(a.addr).Unmap(), a.port).String()
			if text := c.msg[a.at : a.at+a.size]; text != c.text {
				t.Errorf("%q: address %q, want %q", c.msg, text, c.text)
			}
		}
		if got != c.want {
			t.Errorf("%q: %s, want %s", c.msg, got, c.want)
		}
	}
}

// ftpSession is a control connection through NAT of the source.
type ftpSession struct {
	*bench
	client, server, public string
	helper                 odp.CTArg
}

func newFTP(t *testing.T, client, server, public string) *ftpSession {
	s := &ftpSession{newBench(t), client, server, public, odp.CTArg{Commit: true, Helper: "ftp"}}
	s.helper.NAT = natTo(true, public, "")
	s.send(s.control(true, flagSYN, 100, 0, ""), s.helper, "new|trk|snat")
	s.send(s.control(false, flagSYN|flagACK, 500, 101, ""), odp.CTArg{NAT: &odp.NATArg{}}, "est|rpl|trk|dnat")
	s.send(s.control(true, flagACK, 101, 501, ""), odp.CTArg{NAT: &odp.NATArg{}}, "est|trk|snat")
	return s
}

// control is a packet of the control connection, before translation.
func (s *ftpSession) control(fromClient bool, flags uint8, seq, ack uint32, text string) pkt {
	p := pkt{src: s.client, dst: s.server, proto: protoTCP, sport: 4000, dport: 21, flags: flags, seq: seq, ack: ack, win: 5000, quote: []byte(text)}
	if !fromClient {
		p.src, p.dst, p.sport, p.dport = s.server, s.public, 21, 4000
	}
	return p
}

// say sends a control message and returns it as it left, and its numbers.
func (s *ftpSession) say(fromClient bool, seq, ack uint32, text, state string) (out string, outSeq, outAck uint32) {
	s.t.Helper()
	i := s.frame(s.control(fromClient, flagACK|flagPSH, seq, ack, text))
	defer s.c.Free(i)
	f := s.run(i, odp.CTArg{NAT: &odp.NATArg{}})
	s.check(i, f, state)
	d := s.pool.AppendBytes(nil, i)[s.pool.Meta(i).L4:]
	return string(d[20:]), binary.BigEndian.Uint32(d[4:]), binary.BigEndian.Uint32(d[8:])
}

func TestFTPActiveWithSNAT(t *testing.T) {
	s := newFTP(t, hostA, hostB, "10.99.99.99")
	before, after := "PORT 10,1,1,1,4,5\r\n", "PORT 10,99,99,99,4,5\r\n"
	if out, _, _ := s.say(true, 101, 501, before, "est|trk|snat"); out != after {
		t.Errorf("the server reads %q", out)
	}
	n := uint32(len(before))
	// The server acknowledges three bytes more than the client sent.
	if _, _, ack := s.say(false, 501, 101+n+3, "200 OK\r\n", "est|rpl|trk|dnat"); ack != 101+n {
		t.Errorf("acknowledged %d", ack)
	}
	if _, seq, _ := s.say(true, 101+n, 509, "RETR x\r\n", "est|trk|snat"); seq != 101+n+3 {
		t.Errorf("sequence number %d", seq)
	}
	// The data connection goes to the client, translated as the control connection.
	data := pkt{src: hostB, dst: "10.99.99.99", proto: protoTCP, sport: 20, dport: 1029, flags: flagSYN, seq: 1, win: 9}
	f := s.send(data, track, "new|rel|trk")
	if f.CTTpDst != 21 || f.CTNwSrc != 0x0a010101 {
		t.Errorf("original tuple of %x port %d", f.CTNwSrc, f.CTTpDst)
	}
	f = s.send(data, odp.CTArg{Commit: true, NAT: &odp.NATArg{}}, "new|rel|trk|dnat")
	wantAddrs(t, f, "10.1.1.2:20>10.1.1.1:1029")
	back := pkt{src: hostA, dst: hostB, proto: protoTCP, sport: 1029, dport: 20, flags: flagSYN | flagACK, seq: 1, ack: 2, win: 9}
	f = s.send(back, odp.CTArg{NAT: &odp.NATArg{}}, "est|rel|rpl|trk|snat")
	wantAddrs(t, f, "10.99.99.99:1029>10.1.1.2:20")
	// With the control connection goes what it announced.
	_ = s.ct.FlushConntrack(nil, nil, s.now)
	s.send(data, track, "new|trk")
}

func TestFTPPassive(t *testing.T) {
	s := newFTP(t, hostA, hostB, "10.99.99.99")
	msg := "227 Entering Passive Mode (10,1,1,2,4,5).\r\n"
	if out, _, _ := s.say(false, 501, 101, msg, "est|rpl|trk|dnat"); out != msg {
		t.Errorf("the client reads %q", out)
	}
	data := pkt{src: hostA, dst: hostB, proto: protoTCP, sport: 5000, dport: 1029, flags: flagSYN, seq: 1, win: 9}
	f := s.send(data, odp.CTArg{Commit: true, NAT: &odp.NATArg{}}, "new|rel|trk|snat")
	wantAddrs(t, f, "10.99.99.99:5000>10.1.1.2:1029")
	// A third host is not announced.
	s.say(false, 501, 101, "227 Entering Passive Mode (10,7,7,7,4,9).\r\n", "est|rpl|inv|trk|dnat")
	data.dport = 1033
	s.send(data, track, "new|trk")
}

func TestFTPv6(t *testing.T) {
	s := newFTP(t, "fd00::1", "fd00::2", "fd00::9999:9")
	if out, _, _ := s.say(true, 101, 501, "EPRT |2|fd00::1|1029|\r\n", "est|trk|snat"); out != "EPRT |2|fd00::9999:9|1029|\r\n" {
		t.Errorf("the server reads %q", out)
	}
	data := pkt{src: "fd00::2", dst: "fd00::9999:9", proto: protoTCP, sport: 20, dport: 1029, flags: flagSYN, seq: 1, win: 9}
	s.send(data, odp.CTArg{Commit: true, NAT: &odp.NATArg{}}, "new|rel|trk|dnat")
}

func TestTFTP(t *testing.T) {
	b := newBench(t)
	b.send(udp(hostA, 5000, hostB, portTFTP), odp.CTArg{Commit: true, Helper: "tftp", HasMark: true, Mark: 3, MarkMask: 3}, "new|trk")
	b.send(udp(hostB, 6000, hostA, 5001), track, "new|trk")
	data := udp(hostB, 6000, hostA, 5000)
	b.send(data, commit, "new|rel|trk")
	b.send(udp(hostA, 5000, hostB, 6000), track, "est|rel|rpl|trk")
	if e := b.ct.DumpConntrack(nil, b.now); len(e) != 2 || e[0].Helper != "tftp" || e[1].Parent == nil || e[1].Parent.DstPort != portTFTP {
		t.Errorf("dump %+v", e)
	}
}

func FuzzFTP(f *testing.F) {
	for _, s := range []string{"PORT 10,1,1,1,4,5\r\n", "227 x (10,1,1,2,4,5)", "EPRT |2|fd00::1|1029|", "229 Extended Passive (|||6446|)"} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	b := newBench(f)
	f.Fuzz(func(t *testing.T, text []byte, fromClient bool) {
		b.t, b.ct = t, New()
		arg := odp.CTArg{Commit: true, Helper: "ftp", NAT: natTo(true, "10.99.99.99", "")}
		text = text[:min(len(text), packet.FrameSize-packet.Headroom-100)]
		for _, p := range []pkt{{sport: 4000, dport: 21, src: hostA, dst: hostB, flags: flagSYN, seq: 100},
			{sport: 21, dport: 4000, src: hostB, dst: "10.99.99.99", flags: flagSYN | flagACK, seq: 500, ack: 101},
			{sport: 4000, dport: 21, src: hostA, dst: hostB, flags: flagACK, seq: 101, ack: 501, quote: text},
			{sport: 21, dport: 4000, src: hostB, dst: "10.99.99.99", flags: flagACK, seq: 501, ack: 101, quote: text}} {
			p.proto, p.win = protoTCP, 5000
			i := b.frame(p)
			b.run(i, arg)
			b.pool.Meta(i).Csum = packet.CsumUnknown
			if !b.pool.CsumOK(i) {
				t.Errorf("wrong checksum")
			}
			b.c.Free(i)
		}
	})
}
