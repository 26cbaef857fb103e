package tc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/netdev"
)

// Handles of qdiscs and classes.
const (
	rootHandle = 0x10000 // of the qdisc, 1:0
	treeHandle = 0x1fffe // of the class with the rate of the whole, 1:fffe
	tcRoot     = 0xffffffff
)

// queueHandle is the class of a queue.
func queueHandle(id uint32) uint32 { return rootHandle | id + 1 }

// queueOf is the queue of a class.
func queueOf(handle uint32) (uint32, bool) {
	minor := handle & 0xffff
	return minor - 1, handle>>16 == 1 && minor > 0 && minor <= maxQueues
}

// text is a handle as stock's log has it, in decimal.
func text(handle uint32) string { return fmt.Sprintf("%d:%d", handle>>16, handle&0xffff) }

// tcmsg is struct tcmsg of linux/rtnetlink.h.
func tcmsg(index int, handle, parent, info uint32) *nl.TcMsg {
	return &nl.TcMsg{Family: unix.AF_UNSPEC, Ifindex: int32(index), Handle: handle, Parent: parent, Info: info}
}

// request makes a request about a link that the kernel acknowledges.
func request(typ, flags int, msg *nl.TcMsg, attrs ...*nl.RtAttr) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(typ, flags|unix.NLM_F_ACK)
	req.AddData(msg)
	for _, a := range attrs {
		req.AddData(a)
	}
	return req
}

// transact does a change.  Tests record the requests.
var transact = func(req *nl.NetlinkRequest) error {
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// nameAttr is the kind of a qdisc, class, filter or action.
func nameAttr(kind string) *nl.RtAttr { return nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated(kind)) }

// qdisc is a qdisc as the kernel tells.
type qdisc struct {
	kind   string
	handle uint32
}

// getRoot returns the qdisc at the root of the link, nil for the kernel's own.
func (c *Control) getRoot() (*qdisc, error) {
	msgs, err := request(unix.RTM_GETQDISC, unix.NLM_F_ECHO, tcmsg(c.index, 0, tcRoot, 0)).Execute(unix.NETLINK_ROUTE, unix.RTM_NEWQDISC)
	if errors.Is(err, unix.ENOENT) || err == nil && len(msgs) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	q := &qdisc{}
	attrs, handle, ok := parse(msgs[0])
	if !ok {
		return nil, fmt.Errorf("qdisc of %s: %w", c.link.Name(), unix.EPROTO)
	}
	q.handle = handle
	for a, data := range attrs.each {
		if a == nl.TCA_KIND {
			q.kind = strings.TrimRight(string(data), "\x00")
		}
	}
	return q, nil
}

// deleteRoot gives the link the kernel's default qdisc.
func (c *Control) deleteRoot() error {
	err := transact(request(unix.RTM_DELQDISC, 0, tcmsg(c.index, 0, tcRoot, 0)))
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		return nil // it was the default already
	}
	return err
}

// tclass is a class as the kernel tells.
type tclass struct {
	handle  uint32
	options attributes
	stats   netdev.QueueStats
}

func (c *Control) getClass(handle, parent uint32) (*tclass, error) {
	msgs, err := request(unix.RTM_GETTCLASS, unix.NLM_F_ECHO, tcmsg(c.index, handle, parent, 0)).Execute(unix.NETLINK_ROUTE, unix.RTM_NEWTCLASS)
	if err == nil && len(msgs) == 0 {
		err = unix.ENOENT
	}
	if err != nil {
		log.WarnRL(rl, "query %s class %s (parent %s) failed (%s)", c.link.Name(), text(handle), text(parent), errno.Text(err))
		return nil, err
	}
	return parseClass(msgs[0])
}

// eachClass calls fn for all classes of the link.
func (c *Control) eachClass(fn func(*tclass)) error {
	req := nl.NewNetlinkRequest(unix.RTM_GETTCLASS, unix.NLM_F_DUMP)
	req.AddData(tcmsg(c.index, 0, 0, 0))
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWTCLASS)
	if err != nil && !errors.Is(err, nl.ErrDumpInterrupted) {
		return err
	}
	for _, b := range msgs {
		m, err := parseClass(b)
		if err != nil {
			return err
		}
		fn(m)
	}
	return nil
}

func (c *Control) deleteClass(handle uint32) error {
	err := transact(request(unix.RTM_DELTCLASS, 0, tcmsg(c.index, handle, 0, 0)))
	if err != nil {
		log.WarnRL(rl, "delete %s class %s failed (%s)", c.link.Name(), text(handle), errno.Text(err))
	}
	return err
}

// attributes are netlink attributes, one after the other.
type attributes []byte

// each yields type and value of the attributes up to the first that is cut short.
func (a attributes) each(yield func(typ uint16, value []byte) bool) {
	for len(a) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(a))
		if n < unix.SizeofRtAttr || n > len(a) {
			return
		}
		if !yield(binary.NativeEndian.Uint16(a[2:])&^unix.NLA_F_NESTED, a[unix.SizeofRtAttr:n]) {
			return
		}
		a = a[min((n+3)&^3, len(a)):]
	}
}

// parse splits a message about a qdisc or class.
func parse(b []byte) (attrs attributes, handle uint32, ok bool) {
	if len(b) < nl.SizeofTcMsg {
		return nil, 0, false
	}
	return b[nl.SizeofTcMsg:], binary.NativeEndian.Uint32(b[8:]), true
}

// Attributes of TCA_STATS2 (linux/gen_stats.h).
const (
	statsBasic = 1 // bytes u64, packets u32
	statsQueue = 3 // queue length, backlog, drops, requeues, overlimits: u32
)

// parseClass reads a message about a class.
func parseClass(b []byte) (*tclass, error) {
	m := &tclass{}
	attrs, handle, ok := parse(b)
	if !ok {
		return nil, fmt.Errorf("class: %w", unix.EPROTO)
	}
	m.handle = handle
	for a, data := range attrs.each {
		switch a {
		case nl.TCA_OPTIONS:
			m.options = data
		case nl.TCA_STATS2:
			parseStats(data, &m.stats)
		}
	}
	return m, nil
}

func parseStats(attrs attributes, s *netdev.QueueStats) {
	for a, data := range attrs.each {
		switch {
		case a == statsBasic && len(data) >= 12:
			s.TxBytes = binary.NativeEndian.Uint64(data)
			s.TxPackets = uint64(binary.NativeEndian.Uint32(data[8:]))
		case a == statsQueue && len(data) >= 12:
			s.TxErrors = uint64(binary.NativeEndian.Uint32(data[8:]))
		}
	}
}
