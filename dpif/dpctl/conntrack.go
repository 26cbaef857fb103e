package dpctl

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/dpif"
)

// tracker takes the datapath off the arguments, of which there are at most max
// with it, and returns its connection tracker.
func (c *call) tracker(max int) (dpif.Conntracker, error) {
	d, err := c.optional(max)
	if err != nil {
		return nil, err
	}
	ct, ok := d.Dpif.(dpif.Conntracker)
	if !ok {
		return nil, unsupported(c)
	}
	return ct, nil
}

// zoneArg takes zone=N off the end of the arguments.
func (c *call) zoneArg() *uint16 {
	n := len(c.args)
	if n == 0 {
		return nil
	}
	if text, ok := strings.CutPrefix(c.args[n-1], "zone="); ok {
		if v, err := strconv.ParseUint(text, 10, 16); err == nil {
			c.args = c.args[:n-1]
			zone := uint16(v)
			return &zone
		}
	}
	return nil
}

func dumpConntrack(c *call) error {
	zone := c.zoneArg()
	ct, err := c.tracker(1)
	if err != nil {
		return err
	}
	var b []byte
	for _, e := range ct.DumpConntrack(zone) {
		b = append(AppendConntrack(b[:0], &e, c.more > 0, c.statistics), '\n')
		c.out.Write(b)
	}
	return nil
}

var ipProtoNames = map[uint8]string{1: "icmp", 2: "igmp", 6: "tcp", 17: "udp", 33: "dccp", 58: "icmpv6", 132: "sctp", 136: "udplite"}

// AppendConntrack appends a connection as dump-conntrack prints it.
func AppendConntrack(b []byte, e *dpif.CTEntry, verbose, statistics bool) []byte {
	if name := ipProtoNames[e.IPProto]; name != "" {
		b = append(b, name...)
	} else {
		b = strconv.AppendUint(b, uint64(e.IPProto), 10)
	}
	b = append(appendTuple(append(b, ",orig=("...), &e.Orig, e.IPProto), ")"...)
	b = append(appendTuple(append(b, ",reply=("...), &e.Reply, e.IPProto), ")"...)
	if verbose {
		b = append(b, ",id=0"...)
	}
	if e.Zone != 0 {
		b = fmt.Appendf(b, ",zone=%d", e.Zone)
	}
	if verbose {
		b = append(b, ",status=0"...)
	}
	if statistics {
		b = fmt.Appendf(b, ",timeout=%d", e.TimeoutSec)
	}
	if e.Mark != 0 {
		b = fmt.Appendf(b, ",mark=%d", e.Mark)
	}
	switch {
	case e.Label.Hi != 0:
		b = fmt.Appendf(b, ",labels=0x%x%016x", e.Label.Hi, e.Label.Lo)
	case e.Label.Lo != 0:
		b = fmt.Appendf(b, ",labels=0x%x", e.Label.Lo)
	}
	b = appendTCP(b, e.TCP, verbose)
	if e.Helper != "" {
		b = append(append(b, ",helper="...), e.Helper...)
	}
	if verbose && e.Parent != nil {
		b = append(appendTuple(append(b, ",parent=("...), e.Parent, e.ParentProto), ')')
	}
	return b
}

func appendTuple(b []byte, t *dpif.CTTuple, proto uint8) []byte {
	b = append(b, "src="...)
	b = netip.AddrFrom16(t.Src).Unmap().AppendTo(b)
	b = append(b, ",dst="...)
	b = netip.AddrFrom16(t.Dst).Unmap().AppendTo(b)
	if isICMP(proto) {
		return fmt.Appendf(b, ",id=%d,type=%d,code=%d", t.SrcPort, t.DstPort>>8, t.DstPort&0xff)
	}
	return fmt.Appendf(b, ",sport=%d,dport=%d", t.SrcPort, t.DstPort)
}

func isICMP(proto uint8) bool { return proto == 1 || proto == 58 }

func appendTCP(b []byte, s *dpif.CTTCP, verbose bool) []byte {
	if s == nil {
		return b
	}
	if !verbose {
		return fmt.Appendf(b, ",protoinfo=(state=%s)", dpif.CTTCPStates[tcpState(s)])
	}
	b = fmt.Appendf(b, ",protoinfo=(state_orig=%s,state_reply=%s", dpif.CTTCPStates[s.Orig.State], dpif.CTTCPStates[s.Reply.State])
	if s.Orig.Scale|s.Reply.Scale != 0 {
		b = fmt.Appendf(b, ",wscale_orig=%d,wscale_reply=%d", s.Orig.Scale, s.Reply.Scale)
	}
	return fmt.Appendf(b, ",flags_orig=%s,flags_reply=%s)", tcpFlags(&s.Orig), tcpFlags(&s.Reply))
}

func tcpFlags(p *dpif.CTTCPPeer) string {
	switch {
	case p.HasScale && p.Liberal:
		return "WINDOW_SCALE|BE_LIBERAL"
	case p.HasScale:
		return "WINDOW_SCALE"
	case p.Liberal:
		return "BE_LIBERAL"
	}
	return "0"
}

// tcpState is the one state that stands for those of both ends, as the kernel
// would call it.
func tcpState(s *dpif.CTTCP) uint8 {
	switch state := max(s.Orig.State, s.Reply.State); state {
	case 9: // FIN_WAIT_2
		return 10 // TIME_WAIT
	case 3: // SYN_RECV
		return 4 // ESTABLISHED
	default:
		return state
	}
}

func flushConntrack(c *call) error {
	var d *Datapath
	if len(c.args) > 0 {
		if found, ok := c.find(c.args[0]); ok {
			d, c.args = &found, c.args[1:]
		}
	}
	var zone *uint16
	if len(c.args) > 0 && strings.HasPrefix(c.args[0], "zone=") {
		v, err := strconv.ParseUint(c.args[0][5:], 10, 16)
		if err != nil {
			return c.errorf(unix.EINVAL, "failed to parse zone")
		}
		z := uint16(v)
		zone, c.args = &z, c.args[1:]
	}
	var m dpif.CTMatch
	for _, t := range []*dpif.CTTuple{&m.Orig, &m.Reply} {
		if len(c.args) == 0 {
			break
		}
		if err := parseTuple(c.args[0], t, &m); c.args[0] != "" && err != nil {
			return c.errorf(unix.EINVAL, "%s", err)
		}
		c.args = c.args[1:]
	}
	if len(c.args) > 0 {
		return c.errorf(unix.EINVAL, "invalid arguments")
	}
	if d == nil {
		only, err := c.optional(4)
		if err != nil {
			return c.errorf(err, "Cannot open dpif")
		}
		d = &only
	}
	ct, ok := d.Dpif.(dpif.Conntracker)
	if !ok {
		return unsupported(c)
	}
	match := &m
	if m == (dpif.CTMatch{}) {
		match = nil
	}
	if err := ct.FlushConntrack(zone, match); err != nil {
		return c.errorf(err, "failed to flush conntrack")
	}
	return nil
}

func ctStats(c *call) error {
	verbose := c.more > 0
	var zone *uint16
	for n := len(c.args); n > 0; n = len(c.args) {
		if strings.HasPrefix(c.args[n-1], "verbose") {
			verbose = true
			c.args = c.args[:n-1]
		} else if z := c.zoneArg(); z != nil {
			zone = z
		} else {
			break
		}
	}
	ct, err := c.tracker(1)
	if err != nil {
		return err
	}
	var states [len(dpif.CTTCPStates)]int
	counts := map[string]int{}
	all := ct.DumpConntrack(zone)
	for i := range all {
		name := ipProtoNames[all[i].IPProto]
		if name == "igmp" || name == "icmpv6" {
			name = "-" // counted, but shown by no line
		}
		counts[name]++
		if all[i].TCP != nil {
			states[tcpState(all[i].TCP)]++
		}
	}
	c.printf("Connections Stats:\n    Total: %d\n", len(all))
	for _, line := range []struct{ name, title string }{{"tcp", "TCP"}, {"udp", "UDP"}, {"udplite", "UDPLITE"},
		{"sctp", "SCTP"}, {"icmp", "ICMP"}, {"dccp", "DCCP"}, {"", "Other"}} {
		if counts[line.name] == 0 {
			continue
		}
		c.printf("  %s: %d\n", line.title, counts[line.name])
		if line.name == "tcp" && verbose {
			c.printf("    Conn per TCP states:\n")
			for i, n := range states {
				if n != 0 {
					c.printf("\t  [%s]=%d\n", dpif.CTTCPStates[i], n)
				}
			}
		}
	}
	return nil
}

// ctBuckets prints all connections as if they were in one bucket: stock's userspace
// datapath tells no more of its hash table either.
func ctBuckets(c *call) error {
	gt := uint64(0)
	if n := len(c.args); n > 0 {
		if text, ok := strings.CutPrefix(c.args[n-1], "gt="); ok {
			if v, err := strconv.ParseUint(text, 10, 16); err == nil {
				gt, c.args = v, c.args[:n-1]
			}
		}
	}
	ct, err := c.tracker(1)
	if err != nil {
		return err
	}
	n := len(ct.DumpConntrack(nil))
	c.printf("Total Buckets: 1\nCurrent Connections: %d\n\n", n)
	if n == 0 {
		return nil
	}
	line := "+-----------+-----------------------------------------+\n"
	c.printf("%s|  Buckets  |         Connections per Buckets         |\n%s   0..  7   | ", line, line)
	if uint64(n) > gt {
		c.printf("%5d", n)
	} else {
		c.printf("%5s", ".")
	}
	c.printf("\n\n")
	return nil
}

func ctSetMaxConns(c *call) error {
	ct, err := c.tracker(2)
	if err != nil {
		return err
	}
	n, ok := uint32(0), false
	if len(c.args) > 0 {
		v, err := strconv.ParseUint(c.args[len(c.args)-1], 10, 32)
		n, ok = uint32(v), err == nil
	}
	if !ok {
		return c.errorf(unix.EINVAL, "maxconns missing or malformed")
	}
	if err := ct.SetMaxConns(n); err != nil {
		return c.errorf(err, "ct set maxconns failed")
	}
	c.printf("setting maxconns successful")
	return nil
}

func ctGetMaxConns(c *call) error {
	ct, err := c.tracker(1)
	if err != nil {
		return err
	}
	n, err := ct.MaxConns()
	if err != nil {
		return c.errorf(err, "maxconns could not be retrieved")
	}
	c.printf("%d\n", n)
	return nil
}

func ctGetConns(c *call) error {
	ct, err := c.tracker(1)
	if err != nil {
		return err
	}
	n, err := ct.Conns()
	if err != nil {
		return c.errorf(err, "nconns could not be retrieved")
	}
	c.printf("%d\n", n)
	return nil
}

// ctSetSeqCheck makes the command that turns TCP sequence checking on or off.
func ctSetSeqCheck(on bool, word string) func(*call) error {
	return func(c *call) error {
		ct, err := c.tracker(2)
		if err != nil {
			return err
		}
		if err := ct.SetTCPSeqCheck(on); err != nil {
			return c.errorf(err, "%s TCP sequence checking failed", word)
		}
		c.printf("%s TCP sequence checking successful", word)
		return nil
	}
}

func ctGetSeqCheck(c *call) error {
	ct, err := c.tracker(1)
	if err != nil {
		return err
	}
	on, err := ct.TCPSeqCheck()
	if err != nil {
		return c.errorf(err, "TCP sequence checking query failed")
	}
	word := "disabled"
	if on {
		word = "enabled"
	}
	c.printf("TCP sequence checking: %s\n", word)
	return nil
}
