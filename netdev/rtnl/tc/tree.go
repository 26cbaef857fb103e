package tc

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/netdev"
)

// This file has the kinds of QoS with queues.

// tree is such a kind.
type tree interface {
	// qdisc is the TCA_OPTIONS of the qdisc.
	qdisc() *nl.RtAttr
	// parse reads the settings of a queue below a class that has rate max.
	parse(o options, max uint64, mtu int) class
	// class is the TCA_OPTIONS of a class, and decode what the kernel says of one.
	class(q *class) *nl.RtAttr
	decode(attributes) (class, bool)
	// details shows the settings of a queue, in stock's order.
	details(q *class) []netdev.Detail
	// describe is how the log calls settings.
	describe(q *class) string
}

// class is the settings of a queue, or of all of them together.
type class struct {
	min, max uint64 // bytes/s
	burst    uint64 // bytes
	prio     uint32 // lower ones go first
	mtu      int    // of the link, on which the kernel's numbers depend
	created  int64
}

// defaultRate stands for the speed of a link that does not tell one, in bits/s.
const defaultRate = 100 * 1000 * 1000

// parseRoot reads the settings of the whole: its rate is the link's speed if need be.
func (c *Control) parseRoot(o options) class {
	rate := number(o, "max-rate") / 8
	if rate == 0 {
		rate = speed(c.link.Features()) / 8
	}
	return class{min: rate, max: rate, mtu: c.link.MTU()}
}

// speed is the rate of a link in bits/s.
func speed(f netdev.Features) uint64 {
	const (
		mbit10, mbit100, gbit1      = 1<<0 | 1<<1, 1<<2 | 1<<3, 1<<4 | 1<<5
		gbit10, gbit40, gbit100, tb = 1 << 6, 1 << 7, 1 << 8, 1 << 9
	)
	for _, s := range [...]struct {
		bit  uint32
		rate uint64
	}{{tb, 1e12}, {gbit100, 100e9}, {gbit40, 40e9}, {gbit10, 10e9}, {gbit1, 1e9}, {mbit100, 100e6}, {mbit10, 10e6}} {
		if f.Current&s.bit != 0 {
			return s.rate
		}
	}
	return defaultRate
}

// installTree makes the qdisc and the class that all queues are below.
func (c *Control) installTree(s *state) error {
	err := transact(request(unix.RTM_NEWQDISC, unix.NLM_F_EXCL|unix.NLM_F_CREATE, tcmsg(c.index, rootHandle, tcRoot, 0),
		nameAttr(s.kind.linux), s.kind.tree.qdisc()))
	if err != nil {
		return err
	}
	return c.putClass(s.kind, treeHandle, rootHandle, &s.root)
}

// changeRoot changes the rate of the whole.
func (c *Control) changeRoot(s *state, root class) error {
	if s.root == root {
		return nil
	}
	if err := c.putClass(s.kind, treeHandle, rootHandle, &root); err != nil {
		return err
	}
	s.root = root
	return nil
}

// putClass makes or changes a class.
func (c *Control) putClass(k *kind, handle, parent uint32, q *class) error {
	err := transact(request(unix.RTM_NEWTCLASS, unix.NLM_F_CREATE, tcmsg(c.index, handle, parent, 0),
		nameAttr(k.linux), k.tree.class(q)))
	if err != nil {
		log.WarnRL(rl, "failed to replace %s class %s, parent %s, %s (%s)",
			c.link.Name(), text(handle), text(parent), k.tree.describe(q), errno.Text(err))
	}
	return err
}

// load reads the classes that an earlier process made.
func (c *Control) load(s *state) error {
	s.queues = map[uint32]*class{}
	return c.eachClass(func(m *tclass) {
		q, ok := s.kind.tree.decode(m.options)
		if !ok {
			return
		}
		if m.handle == treeHandle {
			s.root = q
		} else if id, ok := queueOf(m.handle); ok {
			q.created = netdev.QueueAgeUnknown
			s.queues[id] = &q
		}
	})
}

// htb is hierarchical token buckets (tc-htb(8)).
type htb struct{}

// Attributes of htb's TCA_OPTIONS (linux/pkt_sched.h).
const (
	htbParams    = 1 // struct tc_htb_opt
	htbInit      = 2 // struct tc_htb_glob
	htbCeilTable = 3
	htbRateTable = 4
	htbRate64    = 6
	htbCeil64    = 7
)

// rateToQuantum divides a class's rate to give what it may send in one turn.
const rateToQuantum = 10

// qdisc is struct tc_htb_glob: version, rate to quantum, default class.
func (htb) qdisc() *nl.RtAttr {
	o := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	o.AddRtAttr(htbInit, wire(3, rateToQuantum, 1, 0, 0))
	return o
}

// parse keeps the rates of a queue between a packet a second, without which htb sends
// nothing at all, and the rate of the whole, and the burst above the largest frame.
func (htb) parse(o options, top uint64, mtu int) class {
	q := class{mtu: mtu, prio: number32(o, "priority", 0)}
	q.min = min(max(number(o, "min-rate")/8, uint64(mtu)), top)
	q.max = top
	if v := number(o, "max-rate"); v != 0 {
		q.max = v / 8
	}
	q.max = min(max(q.max, q.min), top)
	const spare = 64 // for headers that are not part of the MTU
	q.burst = max(number(o, "burst")/8, uint64(mtu)+spare)
	return q
}

// class is struct tc_htb_opt: rate, ceiling, burst of either in ticks, quantum, level,
// priority; and a rate table for each.
func (htb) class(q *class) *nl.RtAttr {
	var b []byte
	b = appendRate(b, q.min, q.mtu)
	b = appendRate(b, q.max, q.mtu)
	quantum := uint32(0)
	if q.min/rateToQuantum < uint64(q.mtu) {
		quantum = uint32(q.mtu)
	}
	b = append(b, wire(psched().buffer(q.min, q.mtu, q.burst), psched().buffer(q.max, q.mtu, q.burst), quantum, 0, q.prio)...)
	o := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	o.AddRtAttr(htbParams, b)
	o.AddRtAttr(htbRateTable, rateTable(q.min, q.mtu))
	o.AddRtAttr(htbCeilTable, rateTable(q.max, q.mtu))
	if q.min > math.MaxUint32 {
		o.AddRtAttr(htbRate64, nl.Uint64Attr(q.min))
	}
	if q.max > math.MaxUint32 {
		o.AddRtAttr(htbCeil64, nl.Uint64Attr(q.max))
	}
	return o
}

func (htb) decode(options attributes) (q class, ok bool) {
	var rate64, ceil64 uint64
	for a, data := range options.each {
		switch {
		case a == htbParams && len(data) >= 44:
			q.min = uint64(binary.NativeEndian.Uint32(data[8:]))
			q.max = uint64(binary.NativeEndian.Uint32(data[20:]))
			q.burst = psched().bytes(q.min, binary.NativeEndian.Uint32(data[24:]))
			q.prio = binary.NativeEndian.Uint32(data[40:])
			ok = true
		case a == htbRate64 && len(data) >= 8:
			rate64 = binary.NativeEndian.Uint64(data)
		case a == htbCeil64 && len(data) >= 8:
			ceil64 = binary.NativeEndian.Uint64(data)
		}
	}
	q.min, q.max = max(q.min, rate64), max(q.max, ceil64)
	return q, ok
}

func (htb) details(q *class) []netdev.Detail {
	d := []netdev.Detail{{Key: "burst", Value: bits(q.burst)}}
	if q.prio != 0 {
		d = append(d, netdev.Detail{Key: "priority", Value: strconv.FormatUint(uint64(q.prio), 10)})
	}
	return appendRates(d, q)
}

func appendRates(d []netdev.Detail, q *class) []netdev.Detail {
	d = append(d, netdev.Detail{Key: "min-rate", Value: bits(q.min)})
	if q.min != q.max {
		d = append(d, netdev.Detail{Key: "max-rate", Value: bits(q.max)})
	}
	return d
}

func (htb) describe(q *class) string {
	return fmt.Sprintf("min_rate=%d max_rate=%d burst=%d prio=%d", q.min, q.max, q.burst, q.prio)
}

// hfsc is hierarchical fair service curves (tc-hfsc(7)), of which the ones here are
// straight lines.
type hfsc struct{}

// Attributes of hfsc's TCA_OPTIONS, each a struct tc_service_curve: slope, length and
// slope thereafter.
const (
	hfscRealTime  = 1
	hfscLinkShare = 2
	hfscLimit     = 3
)

// qdisc is struct tc_hfsc_qopt: the default class.
func (hfsc) qdisc() *nl.RtAttr { return nl.NewRtAttr(nl.TCA_OPTIONS, nl.Uint16Attr(1)) }

func (hfsc) parse(o options, top uint64, mtu int) class {
	q := class{mtu: mtu}
	q.min = min(max(number(o, "min-rate")/8, 1), top)
	q.max = top
	if _, ok := o["max-rate"]; ok {
		q.max = number(o, "max-rate") / 8
	}
	q.max = min(max(q.max, q.min), top)
	return q
}

func (hfsc) class(q *class) *nl.RtAttr {
	line := func(rate uint64) []byte { return wire(0, 0, uint32(min(rate, math.MaxUint32))) }
	o := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	o.AddRtAttr(hfscRealTime, line(q.min))
	o.AddRtAttr(hfscLinkShare, line(q.min))
	o.AddRtAttr(hfscLimit, line(q.max))
	return o
}

func (hfsc) decode(options attributes) (q class, ok bool) {
	for a, data := range options.each {
		switch {
		case len(data) < 12:
		case a == hfscLinkShare:
			q.min, ok = uint64(binary.NativeEndian.Uint32(data[8:])), true
		case a == hfscLimit:
			q.max = uint64(binary.NativeEndian.Uint32(data[8:]))
		}
	}
	return q, ok
}

func (hfsc) details(q *class) []netdev.Detail { return appendRates(nil, q) }

func (hfsc) describe(q *class) string {
	return fmt.Sprintf("min-rate %dbps, max-rate %dbps", q.min, q.max)
}
