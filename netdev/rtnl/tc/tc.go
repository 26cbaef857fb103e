// Package tc is the kernel's traffic control as the switch uses it: the qdisc at the
// root of a link with its classes, and the policer on its ingress side.
//
// rtnl.Device embeds Control, so that all classes of kernel devices are netdev.QoS
// and have what stock gives them: linux-htb, linux-hfsc, linux-sfq, linux-codel,
// linux-fq_codel, linux-netem and linux-noop.  Requests are byte for byte those of
// stock, which the tests prove against recordings.
//
// The queues of the database are classes 1:N+1 under the class 1:fffe, which has the
// rate of the whole; packets that nobody puts elsewhere go to queue 0.  The userspace
// datapath chooses no queues, as in stock, and what leaves by an AF_XDP socket passes by
// all of this.
//
// Everything happens in the network namespace of the calling thread.
package tc

import (
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/vlog"
	"sluice/netdev"
)

var (
	log       = vlog.New("netdev_linux")
	rl        = vlog.NewLimiter(5, 20)
	rlUnknown = vlog.NewLimiter(1, 1)
)

// Link is what traffic control needs to know of a device.
type Link interface {
	Name() string
	Ifindex() int
	MTU() int
	Features() netdev.Features
}

// Control is the traffic control of one link.
//
// It remembers what is in force and touches the kernel only for changes.  What it did
// not put there itself it reads once, at the first use; a link that takes the place of
// another one of its name is read again.
//
// Thread-safety: the control thread owns it.
type Control struct {
	link  Link
	index int    // of the link that the rest describes
	cur   *state // nil: not known
	pol   policed
}

var _ netdev.QoS = (*Control)(nil)

// Init says which link is controlled; the kernel is not touched.
func (c *Control) Init(link Link) { c.link, c.index = link, link.Ifindex() }

// state is what is in force at the root of a link.
type state struct {
	kind  *kind
	shape shape // of kinds without queues; nil: not known, or none
	// Of kinds with queues.
	root   class
	queues map[uint32]*class
}

// kind is a type of QoS.
type kind struct {
	name  string // in the database
	linux string // in the kernel; "": not a qdisc
	// parse reads the settings of a kind without queues.
	parse func(o options, mtu int) shape
	// tree has the rest of a kind with queues.
	tree tree
}

// maxQueues is how many queues a kind has that has any.
const maxQueues = 0xf000

// kinds are in the order that stock shows their names in.
var kinds = []*kind{
	{name: "linux-netem", linux: "netem", parse: parseNetem},
	{name: "linux-fq_codel", linux: "fq_codel", parse: parseFqCodel},
	{name: "linux-codel", linux: "codel", parse: parseCodel},
	{name: "linux-hfsc", linux: "hfsc", tree: hfsc{}},
	noop,
	{name: "linux-sfq", linux: "sfq", parse: parseSfq},
	{name: "linux-htb", linux: "htb", tree: htb{}},
}

var (
	// noop leaves the link's qdisc to others; it shows as no QoS.
	noop = &kind{name: "linux-noop"}
	// none is the kernel's default.
	none = &kind{}
	// other is a qdisc that somebody else put there.
	other = &kind{name: "linux-other"}
)

// QoSTypes implements netdev.QoS.
func (c *Control) QoSTypes() []string {
	names := make([]string, len(kinds))
	for i, k := range kinds {
		names[i] = k.name
	}
	return names
}

// QoS implements netdev.QoS.
func (c *Control) QoS() (string, []netdev.Detail, error) {
	s, err := c.query()
	if err != nil {
		return "", nil, err
	}
	switch {
	case s.shape != nil:
		return s.kind.name, s.shape.details(), nil
	case s.kind.tree != nil:
		return s.kind.name, []netdev.Detail{{Key: "max-rate", Value: bits(s.root.max)}}, nil
	}
	return s.kind.name, nil, nil
}

// SetQoS implements netdev.QoS.
func (c *Control) SetQoS(typ string, details map[string]string) error {
	k := none
	if typ != "" {
		i := slices.IndexFunc(kinds, func(k *kind) bool { return k.name == typ })
		if i < 0 {
			return fmt.Errorf("QoS type %q: %w", typ, unix.EOPNOTSUPP)
		}
		k = kinds[i]
	}
	if k == noop {
		c.checkLink()
		c.cur = &state{kind: none}
		return nil
	}
	s, err := c.query()
	if err != nil {
		return err
	}
	want := c.parse(k, details)
	if s.kind == k {
		return c.change(s, want)
	}
	c.cur = nil
	if err := c.deleteRoot(); err != nil {
		log.WarnRL(rl, "%s: Failed to delete existing qdisc: %s", c.link.Name(), errno.Text(err))
		return err
	}
	if err := c.install(want); err != nil {
		log.WarnRL(rl, "%s: Failed to install new qdisc: %s", c.link.Name(), errno.Text(err))
		return err
	}
	c.cur = want
	return nil
}

// parse reads the settings of a type.
func (c *Control) parse(k *kind, details map[string]string) *state {
	s := &state{kind: k}
	switch {
	case k.parse != nil:
		s.shape = k.parse(details, c.link.MTU())
	case k.tree != nil:
		s.root = c.parseRoot(details)
		s.queues = map[uint32]*class{}
	}
	return s
}

// install puts a qdisc on a link that has the default one.
func (c *Control) install(s *state) error {
	switch {
	case s.shape != nil:
		return c.putShape(s, unix.NLM_F_EXCL|unix.NLM_F_CREATE)
	case s.kind.tree != nil:
		return c.installTree(s)
	}
	return nil
}

// change gives the qdisc in force other settings.
//
// For kinds without queues stock only remembers these; here the kernel gets them.
func (c *Control) change(s, want *state) error {
	switch {
	case s.kind.tree != nil:
		return c.changeRoot(s, want.root)
	case s.shape == want.shape:
		return nil
	}
	if err := c.putShape(want, 0); err != nil {
		return err
	}
	c.cur = want
	return nil
}

// checkLink forgets everything when the link was replaced by another of its name.
func (c *Control) checkLink() {
	if i := c.link.Ifindex(); i != c.index {
		c.index, c.cur, c.pol = i, nil, policed{}
	}
}

// query returns what is in force, which it reads from the kernel if need be.
func (c *Control) query() (*state, error) {
	c.checkLink()
	if c.cur != nil {
		return c.cur, nil
	}
	q, err := c.getRoot()
	if err != nil {
		log.WarnRL(rl, "query %s qdisc failed (%s)", c.link.Name(), errno.Text(err))
		return nil, err
	}
	s := &state{kind: none}
	if q != nil {
		s.kind = c.kindOf(q)
	}
	if s.kind.tree != nil {
		if err := c.load(s); err != nil {
			return nil, err
		}
	}
	c.cur = s
	return s, nil
}

// kindOf says of what kind a qdisc is that an earlier process put there.  Of kinds
// without queues nothing is worth keeping: they are made again.
func (c *Control) kindOf(q *qdisc) *kind {
	i := slices.IndexFunc(kinds, func(k *kind) bool { return k.linux != "" && k.linux == q.kind })
	switch {
	case i < 0:
		log.DbgRL(rlUnknown, "unknown qdisc \"%s\"", q.kind)
	case kinds[i].tree != nil && q.handle == rootHandle:
		return kinds[i]
	}
	return other
}

// queue finds a queue.
func (c *Control) queue(id uint32) (*state, *class, error) {
	s, err := c.query()
	switch {
	case err != nil:
		return nil, nil, err
	case s.queues[id] == nil:
		return nil, nil, fmt.Errorf("queue %d: %w", id, unix.ENOENT)
	}
	return s, s.queues[id], nil
}

// QueueIDs implements netdev.Queues.
func (c *Control) QueueIDs() []uint32 {
	s, err := c.query()
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.queues))
}

// Queue implements netdev.Queues.
func (c *Control) Queue(id uint32) ([]netdev.Detail, error) {
	s, q, err := c.queue(id)
	if err != nil {
		return nil, err
	}
	return s.kind.tree.details(q), nil
}

// SetQueue implements netdev.QoS.
func (c *Control) SetQueue(id uint32, details map[string]string, now int64) error {
	s, err := c.query()
	if err != nil {
		return err
	}
	if s.kind.tree == nil || id >= maxQueues {
		return fmt.Errorf("queue %d: %w", id, unix.EINVAL)
	}
	want := s.kind.tree.parse(details, s.root.max, c.link.MTU())
	want.created = now
	if q := s.queues[id]; q != nil {
		if want.created = q.created; *q == want {
			return nil
		}
	}
	if err := c.putClass(s.kind, queueHandle(id), treeHandle, &want); err != nil {
		return err
	}
	s.queues[id] = &want
	return nil
}

// DeleteQueue implements netdev.QoS.
func (c *Control) DeleteQueue(id uint32) error {
	s, err := c.query()
	switch {
	case err != nil:
		return err
	case s.kind.tree == nil:
		return fmt.Errorf("delete queue %d: %w", id, unix.EINVAL)
	case s.queues[id] == nil:
		return fmt.Errorf("delete queue %d: %w", id, unix.ENOENT)
	}
	if err := c.deleteClass(queueHandle(id)); err != nil {
		return err
	}
	delete(s.queues, id)
	return nil
}

// QueueStats implements netdev.Queues.
func (c *Control) QueueStats(id uint32) (netdev.QueueStats, error) {
	s, err := c.query()
	if err == nil && s.kind.tree == nil {
		err = fmt.Errorf("statistics of queue %d: %w", id, unix.EOPNOTSUPP)
	}
	if err != nil {
		return netdev.QueueStats{}, err
	}
	_, q, err := c.queue(id)
	if err != nil {
		return netdev.QueueStats{}, err
	}
	m, err := c.getClass(queueHandle(id), treeHandle)
	if err != nil {
		return netdev.QueueStats{}, err
	}
	m.stats.Created = q.created
	return m.stats, nil
}

// EachQueueStats implements netdev.Queues, in the kernel's order.
func (c *Control) EachQueueStats(fn func(uint32, netdev.QueueStats)) error {
	s, err := c.query()
	if err == nil && s.kind.tree == nil {
		err = fmt.Errorf("queue statistics: %w", unix.EOPNOTSUPP)
	}
	if err != nil {
		return err
	}
	return c.eachClass(func(m *tclass) {
		id, ok := queueOf(m.handle)
		if !ok {
			return
		}
		m.stats.Created = netdev.QueueAgeUnknown
		if q := s.queues[id]; q != nil {
			m.stats.Created = q.created
		}
		fn(id, m.stats)
	})
}
