package xlate

import (
	"encoding/binary"
	"net/netip"
	"sync"

	"sluice/dpif/flow"
	"sluice/netdev/packet"
	"sluice/ofproto/tunnel"
)

// NeighborUse is a next hop of a tunnel.
type NeighborUse struct {
	cache  *tunnel.Neighbors
	bridge string
	ip     netip.Addr
	asks   *NeighborAsks // nil: it is known
	ask    NeighborAsk
}

// use keeps a neighbour that packets are sent to from ageing, or has it asked for.
func (u *NeighborUse) use(now int64) {
	if u.cache.Use(u.bridge, u.ip, now, u.asks != nil) {
		u.asks.add(u.ask)
	}
}

// NeighborAsk is a request for a neighbour's Ethernet address, to be sent as if it came
// in by a port.
type NeighborAsk struct {
	Bridge BridgeID
	OFPort uint32
	Frame  []byte
}

// NeighborAsks collects requests until the control loop sends them.
//
// Thread-safety: any thread.
type NeighborAsks struct {
	// Wake is called when there is a first request.
	Wake func()

	mu   sync.Mutex
	list []NeighborAsk
}

// maxAsks bounds the requests that wait.  Those beyond are asked for again later.
const maxAsks = 1024

func (q *NeighborAsks) add(a NeighborAsk) {
	q.mu.Lock()
	if len(q.list) < maxAsks {
		q.list = append(q.list, a)
	}
	first := len(q.list) == 1
	q.mu.Unlock()
	if first && q.Wake != nil {
		q.Wake()
	}
}

// Take returns what there is, and forgets it.
func (q *NeighborAsks) Take() []NeighborAsk {
	q.mu.Lock()
	defer q.mu.Unlock()
	list := q.list
	q.list = nil
	return list
}

// askFrame is an ARP request or a neighbour solicitation for ip.
func askFrame(mac flow.MAC, src, ip netip.Addr) []byte {
	if ip.Is4() {
		return arpFrame(mac, src, ip)
	}
	return solicitation(mac, src, ip)
}

// arpFrame is an ARP request (RFC 826), broadcast.
func arpFrame(mac flow.MAC, src, ip netip.Addr) []byte {
	b := append(append([]byte(nil), onesMAC[:]...), mac[:]...)
	b = binary.BigEndian.AppendUint16(b, flow.EthARP)
	b = append(b, 0, 1, 8, 0, 6, 4, 0, arpRequest)
	b = append(b, mac[:]...)
	spa := [4]byte{}
	if src.Is4() {
		spa = src.As4()
	}
	b = append(b, spa[:]...)
	b = append(b, make([]byte, 6)...)
	tpa := ip.As4()
	return append(b, tpa[:]...)
}

// solicitedNode is the multicast address that the owner of an address listens to.
func solicitedNode(a netip.Addr) flow.IPv6 {
	ip := a.As16()
	return flow.IPv6{0: 0xff, 1: 0x02, 11: 0x01, 12: 0xff, 13: ip[13], 14: ip[14], 15: ip[15]}
}

// solicitation is a neighbour solicitation (RFC 4861, 4.3) with our own address in it.
func solicitation(mac flow.MAC, src, ip netip.Addr) []byte {
	dst, target, own := solicitedNode(ip), ip.As16(), netip.IPv6Unspecified().As16()
	if src.Is6() {
		own = src.As16()
	}
	b := append([]byte{0x33, 0x33}, dst[12:]...)
	b = append(b, mac[:]...)
	b = binary.BigEndian.AppendUint16(b, flow.EthIPv6)
	b = append(b, 0x60, 0, 0, 0, 0, 32, protoICMPv6, 255)
	b = append(append(b, own[:]...), dst[:]...)
	b = append(b, 135, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, target[:]...)
	b = append(append(b, 1, 1), mac[:]...)
	csum := ^packet.Sum(b[54:], packet.PseudoSum(b[14:], protoICMPv6, len(b)-54))
	binary.BigEndian.PutUint16(b[56:], csum)
	return b
}
