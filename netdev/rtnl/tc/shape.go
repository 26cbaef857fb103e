package tc

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/netdev"
)

// This file has the kinds of QoS without queues.

// shape is the settings of such a kind; they are comparable.
type shape interface {
	// options is the qdisc's TCA_OPTIONS; an error, what of the settings is wrong.
	options() (*nl.RtAttr, error)
	// details shows the settings, in stock's order.
	details() []netdev.Detail
	// logFailure says that the kernel did not take them.
	logFailure(device string, err error)
}

// putShape makes or changes the qdisc at the root.
func (c *Control) putShape(s *state, flags int) error {
	o, err := s.shape.options()
	if err != nil {
		return err
	}
	err = transact(request(unix.RTM_NEWQDISC, flags, tcmsg(c.index, rootHandle, tcRoot, 0), nameAttr(s.kind.linux), o))
	if err != nil {
		s.shape.logFailure(c.link.Name(), err)
	}
	return err
}

// wire packs numbers for an attribute.
func wire(values ...uint32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.NativeEndian.AppendUint32(b, v)
	}
	return b
}

// numbered is the n-th attribute inside options, a number.
func numbered(o *nl.RtAttr, n int, v uint32) { o.AddRtAttr(n, wire(v)) }

func detail(key string, v uint32) netdev.Detail {
	return netdev.Detail{Key: key, Value: strconv.FormatUint(uint64(v), 10)}
}

// codel is controlled delay (RFC 8289): µs, packets, µs.
type codel struct{ target, limit, interval uint32 }

func parseCodel(o options, _ int) shape {
	return codel{number32(o, "target", 5000), number32(o, "limit", 10240), number32(o, "interval", 100000)}
}

func (q codel) options() (*nl.RtAttr, error) {
	o := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	numbered(o, 1, q.target)
	numbered(o, 2, q.limit)
	numbered(o, 3, q.interval)
	return o, nil
}

func (q codel) details() []netdev.Detail {
	return []netdev.Detail{detail("limit", q.limit), detail("interval", q.interval), detail("target", q.target)}
}

func (q codel) logFailure(device string, err error) {
	log.WarnRL(rl, "failed to replace %s qdisc, target %d, limit %d, interval %d error %d(%s)",
		device, q.target, q.limit, q.interval, errno.Number(err), errno.Text(err))
}

// fqCodel is codel for each of many flows (RFC 8290); quantum is in bytes.
type fqCodel struct{ target, limit, interval, flows, quantum uint32 }

// parseFqCodel has stock's default interval, which is ten times that of codel.
func parseFqCodel(o options, _ int) shape {
	return fqCodel{number32(o, "target", 5000), number32(o, "limit", 10240), number32(o, "interval", 1000000),
		number32(o, "flows", 1024), number32(o, "quantum", 1514)}
}

func (q fqCodel) options() (*nl.RtAttr, error) {
	const flows, quantum = 5, 6 // 4 is ECN, which stays as it is
	o, _ := codel{q.target, q.limit, q.interval}.options()
	numbered(o, flows, q.flows)
	numbered(o, quantum, q.quantum)
	return o, nil
}

func (q fqCodel) details() []netdev.Detail {
	return []netdev.Detail{detail("limit", q.limit), detail("quantum", q.quantum), detail("flows", q.flows),
		detail("interval", q.interval), detail("target", q.target)}
}

func (q fqCodel) logFailure(device string, err error) {
	log.WarnRL(rl, "failed to replace %s qdisc, target %d, limit %d, interval %d, flows %d, quantum %d error %d(%s)",
		device, q.target, q.limit, q.interval, q.flows, q.quantum, errno.Number(err), errno.Text(err))
}

// sfq is stochastic fairness queueing: bytes, seconds.
type sfq struct{ quantum, perturb uint32 }

func parseSfq(o options, mtu int) shape {
	q := sfq{number32(o, "quantum", uint32(mtu)), number32(o, "perturb", 10)}
	if q.quantum == 0 {
		log.WarnRL(rl, "when using SFQ, you must specify quantum on a device without mtu")
	}
	return q
}

// options is struct tc_sfq_qopt: quantum, perturb period, limit, divisor, flows.
func (q sfq) options() (*nl.RtAttr, error) {
	return nl.NewRtAttr(nl.TCA_OPTIONS, wire(q.quantum, q.perturb, 0, 0, 0)), nil
}

func (q sfq) details() []netdev.Detail {
	return []netdev.Detail{detail("quantum", q.quantum), detail("perturb", q.perturb)}
}

func (q sfq) logFailure(device string, err error) {
	log.WarnRL(rl, "failed to replace %s qdisc, quantum %d, perturb %d error %d(%s)",
		device, q.quantum, q.perturb, errno.Number(err), errno.Text(err))
}

// netem delays and loses packets: µs, packets, percent.
type netem struct{ latency, limit, loss uint32 }

func parseNetem(o options, _ int) shape {
	return netem{number32(o, "latency", 0), number32(o, "limit", 1000), number32(o, "loss", 0)}
}

// options is struct tc_netem_qopt: latency, limit, loss, gap, duplicate, jitter.
func (q netem) options() (*nl.RtAttr, error) {
	if q.loss > 100 {
		log.WarnRL(rl, "loss should be a percentage value between 0 to 100, loss was %d", q.loss)
		return nil, unix.EINVAL
	}
	return nl.NewRtAttr(nl.TCA_OPTIONS, wire(q.ticks(), q.limit, q.lossOf32(), 0, 0, 0)), nil
}

func (q netem) ticks() uint32 { return psched().ofMicroseconds(q.latency) }

// lossOf32 is the loss as a part of 2³².
func (q netem) lossOf32() uint32 { return uint32(math.MaxUint32 * (float64(q.loss) / 100)) }

func (q netem) details() []netdev.Detail {
	return []netdev.Detail{detail("limit", q.limit), detail("loss", q.loss), detail("latency", q.latency)}
}

func (q netem) logFailure(device string, err error) {
	log.WarnRL(rl, "failed to replace %s qdisc, latency %d, limit %d, loss %d error %d(%s)",
		device, q.ticks(), q.limit, q.lossOf32(), errno.Number(err), errno.Text(err))
}
