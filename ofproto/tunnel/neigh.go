package tunnel

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
)

const (
	defaultAgingMs = 15 * 60 * 1000
	maxAgingSec    = 3600
	// askMs is how often a neighbour that does not answer is asked.
	askMs = 1000
	// maxNeighbors bounds what hosts on the link can make the switch remember.
	maxNeighbors = 1 << 16
)

// Neighbors knows the Ethernet addresses of hosts on the links of bridges' own ports.
// Translation fills it from the ARP and neighbour discovery messages and the tunnel
// packets that it sees on their way there.
//
// Thread-safety: any thread.
type Neighbors struct {
	mu      sync.Mutex
	entries map[neighborKey]neighbor
	asked   map[neighborKey]int64 // when those that are not known were asked last
	aging   int64                 // ms; 0: defaultAgingMs
	seq     uint64
	due     int64 // nothing has expired before; 0: there is nothing
}

type neighborKey struct {
	bridge string
	ip     netip.Addr
}

type neighbor struct {
	mac     flow.MAC
	expires int64
}

func (n *Neighbors) agingLocked() int64 {
	if n.aging == 0 {
		return defaultAgingMs
	}
	return n.aging
}

// expectLocked notes that something expires at a time.
func (n *Neighbors) expectLocked(at int64) {
	if n.due == 0 || at < n.due {
		n.due = at
	}
}

// Seq changes when an address is learned, changes, or is forgotten.
func (n *Neighbors) Seq() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.seq
}

// Lookup returns the Ethernet address of ip on a bridge's link.
func (n *Neighbors) Lookup(bridge string, ip netip.Addr, now int64) (flow.MAC, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e, ok := n.entries[neighborKey{bridge, ip}]
	if !ok || e.expires <= now {
		return flow.MAC{}, false
	}
	return e.mac, true
}

// Use keeps an address that packets are sent to from ageing.  For one that is not known
// it reports whether it is time to ask for it; if the caller can, it has to.
func (n *Neighbors) Use(bridge string, ip netip.Addr, now int64, can bool) (ask bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := neighborKey{bridge, ip}
	if e, ok := n.entries[k]; ok && e.expires > now {
		e.expires = now + n.agingLocked()
		n.entries[k] = e
		return false
	}
	if at, ok := n.asked[k]; !can || ok && now < at+askMs && now >= at {
		return false
	}
	if n.asked == nil {
		n.asked = map[neighborKey]int64{}
	}
	n.asked[k] = now
	n.expectLocked(now + askMs)
	return true
}

// Set learns an address.
func (n *Neighbors) Set(bridge string, ip netip.Addr, mac flow.MAC, now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	k := neighborKey{bridge, ip}
	old, ok := n.entries[k]
	if !ok && len(n.entries) >= maxNeighbors {
		return
	}
	if n.entries == nil {
		n.entries = map[neighborKey]neighbor{}
	}
	e := neighbor{mac, now + n.agingLocked()}
	n.entries[k] = e
	n.expectLocked(e.expires)
	delete(n.asked, k)
	if !ok || old.mac != mac || old.expires <= now {
		n.seq++
	}
}

// Len is the number of neighbours that are known.
func (n *Neighbors) Len() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.entries)
}

// Flush forgets all.
func (n *Neighbors) Flush() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.entries) > 0 {
		n.seq++
	}
	clear(n.entries)
	clear(n.asked)
}

// FlushBridge forgets what is on the link of a bridge's port, which goes.
func (n *Neighbors) FlushBridge(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for k := range n.entries {
		if k.bridge == name {
			delete(n.entries, k)
			n.seq++
		}
	}
}

// Run forgets what has expired.
func (n *Neighbors) Run(now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.due == 0 || now < n.due {
		return
	}
	n.due = 0
	for k, e := range n.entries {
		if e.expires <= now {
			delete(n.entries, k)
			n.seq++
		} else {
			n.expectLocked(e.expires)
		}
	}
	for k, at := range n.asked {
		if now >= at+askMs {
			delete(n.asked, k)
		} else {
			n.expectLocked(at + askMs)
		}
	}
}

// Next is when Run may have something to do, if at all.
func (n *Neighbors) Next() (at int64, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.due, n.due != 0
}

// setAging sets after how long an address that nobody uses is forgotten.  Those that
// are known have no more time left than that.
func (n *Neighbors) setAging(ms, now int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.aging = ms
	for k, e := range n.entries {
		e.expires = min(e.expires, now+ms)
		n.entries[k] = e
		n.expectLocked(e.expires)
	}
}

// Show is the text of tnl/neigh/show.
func (n *Neighbors) Show(now int64) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var b strings.Builder
	b.WriteString("IP                                            MAC                 Bridge\n")
	b.WriteString("==========================================================================\n")
	keys := slices.SortedFunc(maps.Keys(n.entries), func(x, y neighborKey) int {
		return cmp.Or(strings.Compare(x.bridge, y.bridge), x.ip.Compare(y.ip))
	})
	for _, k := range keys {
		e := n.entries[k]
		fmt.Fprintf(&b, "%-46s%s   %s", k.ip, macText(e.mac), k.bridge)
		if e.expires <= now {
			b.WriteString(" STALE")
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// SetCommand is tnl/neigh/set BRIDGE IP MAC.
func (n *Neighbors) SetCommand(args []string, now int64) error {
	ip, err := netip.ParseAddr(args[1])
	if err != nil || ip.Zone() != "" {
		return errors.New("bad IP address")
	}
	mac, ok := field.ParseMAC(args[2])
	if !ok {
		return errors.New("bad MAC address")
	}
	n.Set(args[0], ip.Unmap(), mac, now)
	return nil
}

// AgingCommand is tnl/neigh/aging [SECS].
func (n *Neighbors) AgingCommand(args []string, now int64) (string, error) {
	if len(args) == 0 {
		n.mu.Lock()
		defer n.mu.Unlock()
		return strconv.FormatInt(n.agingLocked()/1000, 10), nil
	}
	sec, err := strconv.ParseUint(args[0], 10, 32)
	if err != nil || sec == 0 || sec > maxAgingSec {
		return "", errors.New("bad aging value")
	}
	n.setAging(int64(sec)*1000, now)
	return "OK", nil
}

func macText(m flow.MAC) string { return string(field.AppendMAC(nil, m[:])) }
