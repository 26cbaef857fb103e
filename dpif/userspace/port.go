package userspace

import (
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/netdev"
	"sluice/netdev/tnl"
)

// port is a port of the datapath.  Threads read what is set when it is made;
// changes make a new port value and a new config.
type port struct {
	no     uint32
	name   string
	dev    netdev.Device
	caps   netdev.TxCaps
	rxqs   []*rxq
	txqs   []*txq
	pmd    bool
	hashTx bool // the packet's hash picks the transmit queue
	// noEMC keeps packets of the port out of the exact-match cache.
	noEMC bool
	// policer limits what comes in; nil: the device has none.
	policer *netdev.Policer
	// tunnel is the format that tnl_pop takes off packets for the port, seq the
	// number of the next packet where tunnels count them.
	tunnel tnl.Kind
	seq    *atomic.Uint32
}

// rxq is a receive queue.
type rxq struct {
	port   *port
	q      netdev.RxQueue
	id     int
	core   int // pinned to this core, noCore: not pinned
	cycles history
	// backlog is q if it knows how many packets wait.
	backlog netdev.Backlogger
}

// newRxq takes a queue into use; cores are those that queues are pinned to, by id.
func newRxq(p *port, q netdev.RxQueue, cores map[int]int) *rxq {
	r := &rxq{port: p, q: q, id: q.ID(), core: noCore}
	if core, ok := cores[r.id]; ok {
		r.core = core
	}
	r.backlog, _ = q.(netdev.Backlogger)
	return r
}

const noCore = -1

// portState is what the control thread keeps of a port.
type portState struct {
	*port
	affinity    string
	cores       map[int]int // rx queue -> core
	emc         bool
	txHash      bool
	reconfigure bool // the queues must be opened again
	opened      bool // they were open once
}

// config is what threads read of the datapath, replaced whole.
type config struct {
	seq        uint64  // grows by one with each reconfiguration
	ports      []*port // by number; nil: none
	emcMin     uint32  // insert when a random number is not above; 0: EMC is off
	smc        bool
	perf       bool
	maxSleepUs int64 // -1: sleep by default
	txFlushUs  int64 // how long packets may wait for others to be sent with
	albLoad    uint64
	offload    bool // changes of flows go to the offload queue
}

// port returns the port of that number, nil when there is none.
func (c *config) port(no uint32) *port {
	if int(no) >= len(c.ports) {
		return nil
	}
	return c.ports[no]
}

// openQueues takes the queues of a device into use.
func (s *portState) openQueues() {
	p := &port{no: s.no, name: s.name, dev: s.dev, pmd: s.dev.IsPMD(), noEMC: !s.emc,
		tunnel: tnl.KindOf(s.dev.Type()), seq: s.port.seq}
	if c, ok := s.dev.(netdev.TxCapser); ok {
		p.caps = c.TxCaps()
	}
	if c, ok := s.dev.(netdev.Policed); ok {
		p.policer = c.Policer()
	}
	tx := s.dev.TxQueues()
	p.hashTx = s.txHash && len(tx) > 1
	for _, q := range tx {
		p.txqs = append(p.txqs, &txq{q: q})
	}
	p.share(manyThreads)
	for _, q := range s.dev.RxQueues() {
		p.rxqs = append(p.rxqs, newRxq(p, q, s.cores))
	}
	s.port = p
}

// manyThreads is more threads than there are queues.
const manyThreads = 1 << 30

// share says that so many threads send to the port.
func (p *port) share(threads int) {
	shared := p.hashTx || len(p.txqs) < threads
	for _, q := range p.txqs {
		q.shared.Store(shared)
	}
}

// parseAffinity reads "QUEUE:CORE,…".
func parseAffinity(list string) (map[int]int, error) {
	cores := map[int]int{}
	for _, item := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' }) {
		queue, core, ok := strings.Cut(item, ":")
		q, err1 := strconv.ParseUint(queue, 10, 31)
		c, err2 := strconv.ParseUint(core, 10, 31)
		if !ok || err1 != nil || err2 != nil {
			return nil, unix.EINVAL
		}
		cores[int(q)] = int(c)
	}
	return cores, nil
}

// chooseNumber picks a number for a new port.  The test bed's datapath takes
// numbers out of names (p1, br0 -> 100), as stock does to make tests readable.
func (d *Dpif) chooseNumber(name string) uint32 {
	if d.dummy {
		if no := numberInName(name); no != 0 && d.ports[no] == nil {
			return no
		}
	}
	for ; d.noneBelow <= 0xffff; d.noneBelow++ {
		if d.ports[d.noneBelow] == nil {
			return d.noneBelow
		}
	}
	return dpif.PortNone
}

func numberInName(name string) uint32 {
	start := uint64(0)
	if strings.HasPrefix(name, "br") {
		start = 100
	}
	i := strings.IndexAny(name, "0123456789")
	if i < 0 {
		return 0
	}
	end := i
	for end < len(name) && name[end] >= '0' && name[end] <= '9' {
		end++
	}
	n, err := strconv.ParseUint(name[i:end], 10, 31)
	if err != nil {
		return 0
	}
	return uint32(start + n)
}
