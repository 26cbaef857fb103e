package ofproto

import (
	"cmp"
	"slices"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp/action"
)

// linkMachine is the machine of a protocol that watches the link of one port (BFD,
// CFM, LLDP).
type linkMachine interface {
	comparable
	Name() string
	Next() int64
	ShouldSend(now int64) bool
	AppendFrame(b []byte, src flow.MAC, now int64) []byte
	Receive(frame []byte, now int64)
	Run(now int64)
	// TakeChanged reports whether what the database shows has changed.
	TakeChanged() bool
}

// linkMachines are the machines of one protocol on the ports of a Switch, in the
// order of the ports.  It has those methods of a protocol that are the same for all of
// them.
type linkMachines[M linkMachine] struct {
	sw   *Switch
	what string // the protocol, for messages
	list []portMachine[M]
	// prepare, when not nil, gives actions that precede the output of a frame.
	prepare func(M) action.List
	// gone, when not nil, is told of machines that are no more.
	gone func(M)
	// news are the ports whose status has changed since somebody asked, also those
	// that lost their machine.
	news map[uint32]bool
}

type portMachine[M linkMachine] struct {
	port    *Port
	machine M
}

var rlSend = vlog.NewLimiter(1, 5)

func newLinkMachines[M linkMachine](sw *Switch, what string) linkMachines[M] {
	return linkMachines[M]{sw: sw, what: what, news: map[uint32]bool{}}
}

func (ms *linkMachines[M]) index(p *Port) (int, bool) {
	return slices.BinarySearchFunc(ms.list, p.OFPort, func(e portMachine[M], no uint32) int { return cmp.Compare(e.port.OFPort, no) })
}

// on returns the machine of p.
func (ms *linkMachines[M]) on(p *Port) (m M, ok bool) {
	if i, found := ms.index(p); found && ms.list[i].port == p {
		return ms.list[i].machine, true
	}
	return m, false
}

// follow has those ports of the configuration have a machine for which want, which
// adds it or configures it, returns true, and reports whether there are any.
func (ms *linkMachines[M]) follow(want func(p *Port, c *MemberConfig) bool) bool {
	wanted := map[*Port]bool{}
	ms.sw.eachMember(func(p *Port, c *MemberConfig) {
		if want(p, c) {
			wanted[p] = true
		}
	})
	for _, e := range slices.Clone(ms.list) {
		if !wanted[e.port] {
			ms.portGone(e.port)
		}
	}
	return len(ms.list) > 0
}

func (ms *linkMachines[M]) add(p *Port, m M) {
	i, _ := ms.index(p)
	ms.list = slices.Insert(ms.list, i, portMachine[M]{p, m})
}

func (ms *linkMachines[M]) portGone(p *Port) {
	i, found := ms.index(p)
	if !found || ms.list[i].port != p {
		return
	}
	if ms.gone != nil {
		ms.gone(ms.list[i].machine)
	}
	ms.list = slices.Delete(ms.list, i, i+1)
	ms.news[p.OFPort] = true
}

func (ms *linkMachines[M]) receive(p *Port, frame []byte, now int64) {
	if m, ok := ms.on(p); ok {
		m.Receive(frame, now)
	}
}

// run sends what is due and runs the machines.  What describe tells translation does
// not change with their states.
func (ms *linkMachines[M]) run(now int64) bool {
	for _, e := range ms.list {
		m := e.machine
		if now < m.Next() {
			continue
		}
		if m.ShouldSend(now) {
			frame := m.AppendFrame(nil, e.port.Desc.HWAddr, now)
			var before action.List
			if ms.prepare != nil {
				before = ms.prepare(m)
			}
			if err := ms.sw.sendFrameAfter(e.port, frame, before, now); err != nil {
				logOF.WarnRL(rlSend, "%s: cannot send a %s frame: %s", m.Name(), ms.what, errno.Text(err))
			}
		}
		m.Run(now)
	}
	return false
}

func (ms *linkMachines[M]) wait(s *poll.Set) {
	for _, e := range ms.list {
		s.Timer(e.machine.Next())
	}
}

// hasNews reports that the status of a port has changed.
func (ms *linkMachines[M]) hasNews() bool {
	for _, e := range ms.list {
		if e.machine.TakeChanged() {
			ms.news[e.port.OFPort] = true
		}
	}
	return len(ms.news) > 0
}

// takeNews returns the ports whose status has changed since the last call.
func (ms *linkMachines[M]) takeNews() map[uint32]bool {
	if !ms.hasNews() {
		return nil
	}
	news := ms.news
	ms.news = map[uint32]bool{}
	return news
}

// named calls fn for the machine of the interface with a name, or for all if it is
// empty, and reports whether there was the one.
func (ms *linkMachines[M]) named(name string, fn func(p *Port, m M)) bool {
	found := name == ""
	for _, e := range ms.list {
		if name == "" || e.machine.Name() == name {
			found = true
			fn(e.port, e.machine)
		}
	}
	return found
}

// StatusNews reports that the database has something to learn from a link protocol.
func (sw *Switch) StatusNews() bool {
	return sw.bfd.hasNews() || sw.cfm.hasNews() || sw.lldp.hasChanges()
}

// rxPackets returns how many packets the device of a port received.
func rxPackets(p *Port) uint64 {
	if n := p.Dev.Stats().RxPackets; n != dpif.Unsupported {
		return n
	}
	return 0
}

// eachMember calls fn for each port of the configuration that is there.
func (sw *Switch) eachMember(fn func(p *Port, c *MemberConfig)) {
	for i := range sw.cfg.Bundles {
		members := sw.cfg.Bundles[i].Members
		for j := range members {
			if p := sw.ports.byNumber[members[j].OFPort]; p != nil {
				fn(p, &members[j])
			}
		}
	}
}
