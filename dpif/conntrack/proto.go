package conntrack

import "sluice/dpif"

// timeoutClass is how long a connection lasts without packets.
type timeoutClass uint8

// Classes of timeouts.
const (
	tcpFirstPacket timeoutClass = iota
	tcpOpening
	tcpOpened
	tcpClosingDown
	tcpFinWait
	tcpClosedDown
	otherFirst
	otherMultiple
	otherBidir
	icmpFirst
	icmpReply
	numClasses
	noClass // leave it as it is
)

// timeouts is a timeout policy: milliseconds by class.
type timeouts [numClasses]int64

var defaultTimeouts = timeouts{
	tcpFirstPacket: 30_000,
	tcpOpening:     30_000,
	tcpOpened:      24 * 60 * 60_000,
	tcpClosingDown: 15 * 60_000,
	tcpFinWait:     45_000,
	tcpClosedDown:  30_000,
	otherFirst:     60_000,
	otherMultiple:  60_000,
	otherBidir:     30_000,
	icmpFirst:      60_000,
	icmpReply:      30_000,
}

// classNames are the timeouts as CT_Timeout_Policy names them.
var classNames = map[string]timeoutClass{
	"tcp_syn_sent":    tcpFirstPacket,
	"tcp_syn_recv":    tcpOpening,
	"tcp_established": tcpOpened,
	"tcp_fin_wait":    tcpClosingDown,
	"tcp_time_wait":   tcpFinWait,
	"tcp_close":       tcpClosedDown,
	"udp_first":       otherFirst,
	"udp_single":      otherMultiple,
	"udp_multiple":    otherBidir,
	"icmp_first":      icmpFirst,
	"icmp_reply":      icmpReply,
}

// SetZoneTimeouts implements dpif.CTConfig.
func (t *Tracker) SetZoneTimeouts(zones map[uint16]map[string]uint32) error {
	all := make(map[uint16]*timeouts, len(zones))
	for zone, seconds := range zones {
		p := defaultTimeouts
		for name, v := range seconds {
			if c, ok := classNames[name]; ok {
				p[c] = int64(v) * 1000
			}
		}
		all[zone] = &p
	}
	t.policies.Store(&all)
	return nil
}

// expiry is how long a connection of a zone and class lasts, and the list in which
// it waits.
func (t *Tracker) expiry(zone uint16, class timeoutClass) (ms int64, list uint8) {
	if all := t.policies.Load(); all != nil {
		if p := (*all)[zone]; p != nil {
			return p[class], uint8(listMixed)
		}
	}
	return defaultTimeouts[class], uint8(class)
}

// States of protocols without a state machine of their own.
const (
	stateFirst = iota
	stateMultiple
	stateBidir
)

// opens reports that the packet may be the first of a connection.
func (l *lookup) opens() bool {
	switch l.k.proto {
	case protoTCP:
		g := tcpSegment(&l.view)
		return g.opens()
	case protoICMP:
		t := l.k.src.icmpType
		return t == icmpEcho || t == icmpInfo || t == icmpTimestamp
	case protoICMPv6:
		return l.k.src.icmpType == icmp6Echo
	}
	return true
}

// begin sets up the state of a new connection.
func (t *Tracker) begin(l *lookup, s *slot) timeoutClass {
	switch l.k.proto {
	case protoTCP:
		g := tcpSegment(&l.view)
		tcpOpen(&s.tcp, &g)
		return tcpFirstPacket
	case protoICMP, protoICMPv6:
		return icmpFirst
	}
	return otherFirst
}

// follow moves the state of a connection on for a packet of it.
func (t *Tracker) follow(l *lookup, f hit) verdict {
	s := f.s
	var v verdict
	var class timeoutClass
	switch s.key.proto {
	case protoTCP:
		g := tcpSegment(&l.view)
		src, dst := &s.tcp[0], &s.tcp[1]
		if f.reply {
			src, dst = dst, src
		}
		v, class = tcpUpdate(src, dst, &g, t.seqCheck.Load())
	case protoICMP, protoICMPv6:
		if f.reply {
			s.state = stateBidir
		}
		v, class = verdictEstablished, icmpReply
		if s.state != stateBidir {
			v, class = verdictNew, icmpFirst
		}
	default:
		if f.reply {
			s.state = stateBidir
		} else if s.state == stateFirst {
			s.state = stateMultiple
		}
		v, class = verdictEstablished, otherBidir
		if s.state != stateBidir {
			v, class = verdictNew, otherMultiple
		}
	}
	if class != noClass {
		ms, list := t.expiry(s.key.zone, class)
		f.sh.expireAt(f.i, s, list, l.now+ms)
	}
	return v
}

// helper is an application layer gateway.
type helper uint8

// Gateways.
const (
	helperNone helper = iota
	helperFTP
	helperTFTP
)

func (h helper) String() string { return [...]string{"", "ftp", "tftp"}[h] }

// Ports of the gateways.
const (
	portFTP  = 21
	portTFTP = 69
)

// helperOf is the gateway of a new connection: the one that the action names,
// unless the connection has the port of the other.  It only ever acts on its own
// port.
func helperOf(l *lookup) helper {
	k := &l.k
	ftp := k.proto == protoTCP && (k.src.port == portFTP || k.dst.port == portFTP)
	tftp := k.proto == protoUDP && k.dst.port == portTFTP
	switch {
	case l.arg.Helper == "ftp" && !tftp:
		return helperFTP
	case l.arg.Helper == "tftp" && !ftp:
		return helperTFTP
	}
	return helperNone
}

// tcpInfo is the state of a TCP connection in the words of the contract.
func (s *slot) tcpInfo() *dpif.CTTCP {
	if s.key.proto != protoTCP {
		return nil
	}
	one := func(p *peer) dpif.CTTCPPeer {
		return dpif.CTTCPPeer{State: p.state, Scale: p.scale & scaleMask,
			HasScale: p.scale&scaleSent != 0, Liberal: p.scale&scaleUnknown != 0}
	}
	return &dpif.CTTCP{Orig: one(&s.tcp[0]), Reply: one(&s.tcp[1])}
}
