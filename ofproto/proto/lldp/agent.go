package lldp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"

	"sluice/dpif/flow"
)

// Config is what an agent tells others.  SystemName and SystemDesc are those of the
// bridge's AutoAttach row.
type Config struct {
	Chassis    flow.MAC
	SystemName string
	SystemDesc string
	Mappings   []Mapping // sorted by I-SID; each status is StatusPending
}

// equal reports whether two configurations say the same.
func (c *Config) equal(o *Config) bool {
	return c.Chassis == o.Chassis && c.SystemName == o.SystemName && c.SystemDesc == o.SystemDesc && slices.Equal(c.Mappings, o.Mappings)
}

// Change asks for a VLAN to be carried by the agent's port, or no longer, because of a
// mapping.
type Change struct {
	VLAN   uint16
	Remove bool
}

// Agent speaks LLDP on a port.  Its times are in ms.
type Agent struct {
	name      string // of the interface, also the port ID
	cfg       Config
	mappings  []Mapping // with the statuses that a server gave
	changes   []Change
	txAt      int64
	neighbors []*neighbor
	stats     Stats
}

// Stats are the counters of an agent.
type Stats struct {
	Tx, Rx           uint64
	Discarded        uint64 // frames received that say nothing
	Unrecognized     uint64 // TLVs
	AgedOut          uint64 // neighbors
	Inserted, Delete uint64 // neighbors
	Dropped          uint64 // neighbors that there was no room for
}

// neighbor is a port of another system.
type neighbor struct {
	pdu   *PDU
	frame []byte // that the pdu is of
	until int64
}

const (
	txIntervalMs = 5000
	ttlSec       = 120
	// maxNeighbors bounds what strangers can have us remember.  The other end of a
	// link is one system, a hub may have more behind it.
	maxNeighbors = 64
)

// New makes an agent, which sends an interval from now first.
func New(name string, cfg Config, now int64) *Agent {
	a := &Agent{name: name, txAt: now + txIntervalMs}
	a.Configure(cfg)
	return a
}

// Configure changes the configuration.
func (a *Agent) Configure(cfg Config) {
	if cfg.equal(&a.cfg) {
		return
	}
	a.cfg = cfg
	old := a.mappings
	a.mappings = slices.Clone(cfg.Mappings)
	for _, m := range old {
		i := slices.IndexFunc(a.mappings, func(n Mapping) bool { return n.ISID == m.ISID && n.VLAN == m.VLAN })
		if i >= 0 {
			a.mappings[i].Status = m.Status
		} else {
			a.changes = append(a.changes, Change{VLAN: m.VLAN, Remove: true})
		}
	}
	for _, m := range a.mappings {
		if !slices.ContainsFunc(old, func(o Mapping) bool { return o.ISID == m.ISID && o.VLAN == m.VLAN }) {
			a.changes = append(a.changes, Change{VLAN: m.VLAN})
		}
	}
}

// Name returns the name of the agent's interface.
func (a *Agent) Name() string { return a.name }

// Next returns when Run or AppendFrame has something to do.
func (a *Agent) Next() int64 {
	next := a.txAt
	for _, n := range a.neighbors {
		next = min(next, n.until)
	}
	return next
}

// ShouldSend reports that a frame is due.
func (a *Agent) ShouldSend(now int64) bool { return now >= a.txAt }

// AppendFrame appends the frame to send now, from a port with address src, and has the
// next one be due an interval later.
func (a *Agent) AppendFrame(b []byte, src flow.MAC, now int64) []byte {
	a.txAt = now + txIntervalMs
	a.stats.Tx++
	p := PDU{ChassisSubtype: chassisIDMAC, ChassisID: a.cfg.Chassis[:], PortSubtype: portIDName, PortID: []byte(a.name), TTL: ttlSec,
		SystemName: a.cfg.SystemName, SystemDesc: a.cfg.SystemDesc, Capabilities: capBridge, Enabled: capBridge,
		Element: &Element{Type: ElementVirtualSwitch, System: SystemID{MAC: a.cfg.Chassis}}, Mappings: slices.Clone(a.cfg.Mappings)}
	for i := range p.Mappings {
		p.Mappings[i].Status = 0 // a request
	}
	b = append(append(b, DstMAC[:]...), src[:]...)
	return p.Append(binary.BigEndian.AppendUint16(b, EtherType))
}

// Receive takes a frame that came in by the agent's port.
func (a *Agent) Receive(frame []byte, now int64) {
	a.stats.Rx++
	b, ok := payload(frame)
	if !ok {
		log.Dbg("unable to guess frame type on %s", a.name)
		return
	}
	// Most frames say what the last one said.
	for _, n := range a.neighbors {
		if bytes.Equal(n.frame, b) {
			n.until = expiry(n.pdu, now)
			return
		}
	}
	p, err := Decode(b)
	if err != nil {
		a.stats.Discarded++
		log.WarnRL(rlLLDP, "%s received on %s", err, a.name)
		return
	}
	a.stats.Unrecognized += uint64(p.Unrecognized)
	a.learn(p, b, now)
}

// learn remembers what a neighbor says.
func (a *Agent) learn(p *PDU, b []byte, now int64) {
	i := slices.IndexFunc(a.neighbors, func(n *neighbor) bool { return n.pdu.samePort(p) })
	switch {
	case p.TTL == 0:
		// The neighbor takes its leave (clause 9.2.7.7.1).
		if i >= 0 {
			a.neighbors = slices.Delete(a.neighbors, i, i+1)
			a.stats.Delete++
		}
		return
	case i < 0 && len(a.neighbors) >= maxNeighbors:
		a.stats.Dropped++
		return
	case i < 0:
		a.stats.Inserted++
	default:
		a.neighbors = slices.Delete(a.neighbors, i, i+1)
	}
	a.neighbors = append(a.neighbors, &neighbor{pdu: p, frame: b, until: expiry(p, now)})
	for _, m := range p.Mappings {
		j := slices.IndexFunc(a.mappings, func(o Mapping) bool { return o.ISID == m.ISID })
		if j < 0 {
			log.WarnRL(rlLLDP, "Couldn't find mapping for I-SID=%d", m.ISID)
			continue
		}
		a.mappings[j].Status = m.Status
	}
}

// samePort reports whether p and o are of the same port of the same system.
func (p *PDU) samePort(o *PDU) bool {
	return p.ChassisSubtype == o.ChassisSubtype && bytes.Equal(p.ChassisID, o.ChassisID) &&
		p.PortSubtype == o.PortSubtype && bytes.Equal(p.PortID, o.PortID)
}

func expiry(p *PDU, now int64) int64 { return now + int64(p.TTL)*1000 }

// Run forgets neighbors that were not heard of for the time that they gave.
func (a *Agent) Run(now int64) {
	before := len(a.neighbors)
	a.neighbors = slices.DeleteFunc(a.neighbors, func(n *neighbor) bool { return now >= n.until })
	gone := uint64(before - len(a.neighbors))
	a.stats.AgedOut += gone
	a.stats.Delete += gone
}

// TakeChanged reports that the database has something to learn from the agent; it has
// not, but for Changes.
func (a *Agent) TakeChanged() bool { return false }

// HasChanges reports that TakeChanges has something.
func (a *Agent) HasChanges() bool { return len(a.changes) > 0 }

// TakeChanges returns the changes of VLANs since the last call, oldest first.
func (a *Agent) TakeChanges() []Change {
	out := a.changes
	a.changes = nil
	return out
}

// Statistics is what autoattach/statistics prints of the agent.
func (a *Agent) Statistics() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Statistics: %s\n", a.name)
	for _, c := range []struct {
		name string
		n    uint64
	}{
		{"tx", a.stats.Tx}, {"rx", a.stats.Rx}, {"rx discarded", a.stats.Discarded}, {"rx unrecognized", a.stats.Unrecognized},
		{"ageout", a.stats.AgedOut}, {"insert", a.stats.Inserted}, {"delete", a.stats.Delete}, {"drop", a.stats.Dropped},
	} {
		fmt.Fprintf(&b, "  %s cnt: %d\n", c.name, c.n)
	}
	return b.String()
}

// Status is what autoattach/status prints of the agent: the Auto Attach servers that it
// hears, the one with the latest news last.
func (a *Agent) Status() string {
	var b strings.Builder
	fmt.Fprintf(&b, "LLDP: %s\n", a.name)
	for _, n := range a.neighbors {
		e := n.pdu.Element
		if e == nil || e.System == (SystemID{}) {
			continue
		}
		descr := n.pdu.SystemDesc
		if descr == "" {
			descr = "<None>"
		}
		fmt.Fprintf(&b, "  Auto Attach Primary Server Id: %s\n", hexBytes(n.pdu.ChassisID))
		fmt.Fprintf(&b, "  Auto Attach Primary Server Descr: %s\n", descr)
		fmt.Fprintf(&b, "  Auto Attach Primary Server System Id: %s\n", hexBytes(e.System.memory()))
	}
	return b.String()
}

// memory returns the system id as stock has it in memory on little-endian machines,
// which is what it prints.
func (s *SystemID) memory() []byte {
	b := append([]byte(nil), s.MAC[:]...)
	b = binary.LittleEndian.AppendUint16(b, uint16(s.ConnType))
	b = binary.LittleEndian.AppendUint16(b, s.Rsvd)
	return append(b, s.Rsvd2[:]...)
}

func hexBytes(id []byte) string {
	var b strings.Builder
	for i, v := range id {
		if i > 0 {
			b.WriteByte(':')
		}
		fmt.Fprintf(&b, "%02x", v)
	}
	return b.String()
}

// Mappings is what autoattach/show-isid prints of the agent.
func (a *Agent) Mappings() string {
	var b strings.Builder
	fmt.Fprintf(&b, "LLDP: %s\n", a.name)
	fmt.Fprintf(&b, "%-8s %-4s %-11s %-8s\n", "I-SID", "VLAN", "Source", "Status")
	b.WriteString("-------- ---- ----------- --------\n")
	for _, m := range a.mappings {
		fmt.Fprintf(&b, "%-8d %-4d %-11s %-11s\n", m.ISID, m.VLAN, "Switch", m.Status)
	}
	return b.String()
}

// MaxISID is the greatest I-SID.
const MaxISID = math.MaxUint32 >> 8
