package flow

import (
	"encoding/binary"
	"sync/atomic"

	"sluice/internal/coverage"
	"sluice/netdev/packet"
)

// IP protocols that extraction looks into.
const (
	protoICMP     = 1
	protoIGMP     = 2
	protoTCP      = 6
	protoUDP      = 17
	protoFragment = 44
	protoICMPv6   = 58
	protoSCTP     = 132
)

var (
	cExtract  = coverage.New("flow_extract")
	cIPv4Len  = coverage.New("miniflow_extract_ipv4_pkt_len_error")
	cIPv4Size = coverage.New("miniflow_extract_ipv4_pkt_too_short")
	cIPv6Len  = coverage.New("miniflow_extract_ipv6_pkt_len_error")
	cIPv6Size = coverage.New("miniflow_extract_ipv6_pkt_too_short")
)

// vlanLimit is the number of VLAN headers that extraction looks at
// (other_config:vlan-limit).
var vlanLimit atomic.Int32

func init() { vlanLimit.Store(MaxVLANs) }

// SetVLANLimit sets how many VLAN headers extraction looks at, at most MaxVLANs;
// a tag behind them is the Ethernet type of the packet.
func SetVLANLimit(n int) {
	if n <= 0 || n > MaxVLANs {
		n = MaxVLANs
	}
	vlanLimit.Store(int32(n))
}

// VLANLimit is what SetVLANLimit set.
func VLANLimit() int { return int(vlanLimit.Load()) }

// parser walks the headers of one packet.
type parser struct {
	b    []byte // the first frame
	at   int    // offset of the next header
	size int    // bytes from at to the end, of all frames and without padding
	m    *packet.Meta
}

// has reports that n bytes of the next header are there to read.
func (p *parser) has(n int) bool { return p.size >= n && len(p.b)-p.at >= n }

func (p *parser) pull(n int) {
	p.at += n
	p.size -= n
}

// ethertype of a frame whose type or length field is next.
func (p *parser) ethertype() uint16 {
	t := binary.BigEndian.Uint16(p.b[p.at:])
	p.pull(2)
	if t >= 0x600 {
		return t
	}
	if !p.has(8) {
		return DLTypeNone
	}
	llc := p.b[p.at:]
	if binary.BigEndian.Uint64(llc)>>16 != 0xaaaa03000000 {
		return DLTypeNone
	}
	t = binary.BigEndian.Uint16(llc[6:])
	p.pull(8)
	if t >= 0x600 {
		return t
	}
	return DLTypeNone
}

// vlans pulls up to the limit of VLAN headers and returns them as a Flow's word.
func (p *parser) vlans() (word uint64) {
	limit := int(vlanLimit.Load())
	for n := 0; n < limit && p.has(6); n++ {
		tag := binary.BigEndian.Uint32(p.b[p.at:])
		tpid := tag >> 16
		if tpid != EthVLAN && tpid != EthQinQ {
			break
		}
		word |= uint64(tpid|(tag|VLANCFI)<<16) << (32 * n)
		p.pull(4)
	}
	return word
}

// mpls pulls the label stack; labels beyond MaxMPLSLabels are pulled but not kept.
func (p *parser) mpls(k *Mini) {
	var lse [4]uint32
	for n := 0; p.has(4); n++ {
		v := binary.BigEndian.Uint32(p.b[p.at:])
		if n < MaxMPLSLabels {
			lse[n] = v
		}
		p.pull(4)
		if v&0x100 != 0 {
			break
		}
	}
	k.push(wMPLS, uint64(lse[0])|uint64(lse[1])<<32)
	k.push(wMPLS+1, uint64(lse[2]))
}

// Extract makes k the key of a packet: metadata from m (and cold, which may be
// nil when m.Cold is 0), fields from b, the bytes of the packet's first frame.  It
// sets the layer offsets of m.  Headers that are cut off or contradict the length
// are not in the key, as stock's miniflow_extract has it.
func Extract(b []byte, m *packet.Meta, cold *packet.Cold, k *Mini) {
	k.Reset()
	if m.Cold|m.Mark|m.Priority != 0 || m.CTState != 0 {
		extractMetadata(m, cold, k)
	} else {
		k.push(wInPort, uint64(m.DPHash)|uint64(m.InPort)<<32)
		if m.RecircID != 0 {
			k.push(wRecirc, uint64(m.RecircID))
		}
	}
	if m.PacketType != PacketTypeEth {
		extractTyped(b, m, k)
		return
	}
	m.L25, m.L3, m.L4, m.L2Pad = packet.NoLayer, packet.NoLayer, packet.NoLayer, 0
	if len(b) < 14 {
		return
	}
	p := parser{b: b, at: 12, size: int(m.Len) - 12, m: m}
	var tags uint64
	dlType := binary.BigEndian.Uint16(b[12:])
	if dlType == EthIPv4 {
		p.pull(2)
	} else {
		if dlType == EthVLAN || dlType == EthQinQ {
			tags = p.vlans()
		}
		dlType = p.ethertype()
	}
	n := k.N
	if n > NWords-6 {
		return
	}
	v := k.Vals[n : n+6]
	v[0] = binary.LittleEndian.Uint64(b)
	v[1] = uint64(binary.LittleEndian.Uint32(b[8:])) | uint64(dlType)<<32
	bitmap := uint64(3) << (wEth - 64)
	n += 2
	if tags != 0 {
		v[2] = tags
		bitmap |= 1 << (wVLAN - 64)
		n++
	}
	k.Map[1] |= bitmap
	k.N = n
	m.L3 = uint16(p.at)
	switch dlType {
	case EthIPv4:
		p.ipv4(k)
	case EthIPv6:
		p.ipv6(k)
	default:
		p.other(dlType, k)
	}
	if m.CTState != 0 {
		k.checkTuple()
	}
}

// extractTyped is Extract for a packet without an Ethernet header.
func extractTyped(b []byte, m *packet.Meta, k *Mini) {
	m.L25, m.L3, m.L4, m.L2Pad = packet.NoLayer, 0, packet.NoLayer, 0
	if m.CTState == 0 {
		k.push(wPktType, uint64(m.PacketType)<<32)
	}
	dlType := uint16(m.PacketType)
	k.push(wEth+1, uint64(dlType)<<32)
	p := parser{b: b, size: int(m.Len), m: m}
	switch dlType {
	case EthIPv4:
		p.ipv4(k)
	case EthIPv6:
		p.ipv6(k)
	default:
		p.other(dlType, k)
	}
	if m.CTState != 0 {
		k.checkTuple()
	}
}

// extractMetadata pushes the metadata of packets that have more than a port.
func extractMetadata(m *packet.Meta, cold *packet.Cold, k *Mini) {
	if m.Cold&packet.ColdTunnel != 0 {
		t := TunnelWords(&cold.Tunnel)
		end := wTunOpts - wTunnel
		if t.Flags&TunFlagUDPIF != 0 {
			end += (min(int(t.OptsLen), MaxTunOpts) + 7) / 8
		} else if t.Present != 0 {
			end += MaxTunOpts / 8
		}
		for w, v := range cold.Tunnel[:end] {
			k.pushNonzero(wTunnel+w, v)
		}
	}
	k.pushNonzero(wPriority, uint64(m.Priority)|uint64(m.Mark)<<32)
	k.push(wInPort, uint64(m.DPHash)|uint64(m.InPort)<<32)
	if m.RecircID != 0 {
		k.push(wRecirc, uint64(m.RecircID))
	}
	if m.CTState == 0 {
		return
	}
	k.pushNonzero(wPktType, uint64(m.PacketType)<<32)
	word := uint64(m.CTState) | uint64(m.CTZone)<<16 | uint64(m.CTMark)<<32
	if m.Cold&packet.ColdCT == 0 {
		k.push(wCTState, word)
		return
	}
	k.push(wCTState, word|cold.CT[ctProto]<<8)
	for w, v := range cold.CT[:ctProto] {
		k.pushNonzero(wCTLabel+w, v)
	}
}

// ctProto is the word of Cold.CT that holds the protocol of the original tuple;
// the words before are those of a Flow from CTLabel to CTTpDst.
const ctProto = wCTTp - wCTLabel + 1

// SetColdCT stores the label and the original tuple of f's connection in cold.
func SetColdCT(cold *packet.Cold, f *Flow) {
	w := f.Words()
	copy(cold.CT[:ctProto], w[wCTLabel:wCTTp+1])
	cold.CT[ctProto] = uint64(f.CTNwProto)
}

// ColdCT reads back what SetColdCT stored.
func ColdCT(cold *packet.Cold, f *Flow) {
	w := f.Words()
	copy(w[wCTLabel:wCTTp+1], cold.CT[:ctProto])
	f.CTNwProto = uint8(cold.CT[ctProto])
}

// checkTuple takes out an original tuple that is not of the packet's own IP
// version, and ports where the packet shows none.
func (k *Mini) checkTuple() {
	dlType := uint16(k.Get(wEth+1) >> 32)
	v4 := k.Get(wCTNw) != 0
	v6 := k.Get(wCTIPv6)|k.Get(wCTIPv6+1)|k.Get(wCTIPv6+2)|k.Get(wCTIPv6+3) != 0
	if v4 && dlType != EthIPv4 || v6 && dlType != EthIPv6 {
		for w := wCTNw; w <= wCTTp; w++ {
			k.remove(w)
		}
		k.clearCTProto()
		return
	}
	// An ICMP message may have type and code 0.
	proto := uint8(k.Get(wProto) >> 56)
	if k.Get(wL4) == 0 && proto != protoICMP && proto != protoICMPv6 {
		k.remove(wCTTp)
	}
}

func (k *Mini) clearCTProto() {
	v := k.Get(wCTState) &^ 0xff00
	k.replace(wCTState, v)
}

// ExtractFlow makes f the flow of a packet given in one piece, with the metadata
// members of md (all words before DLDst); it returns the offsets of the layers in
// a Meta.
func ExtractFlow(b []byte, md *Flow, f *Flow) packet.Meta {
	cExtract.Inc()
	m := packet.Meta{Len: uint32(len(b)), SegLen: uint16(min(len(b), 0xffff)), PacketType: md.PacketType}
	var k Mini
	Extract(b, &m, nil, &k)
	meta := *md
	k.Expand(f)
	copy(f.Words()[:EndMetadata], meta.Words()[:EndMetadata])
	return m
}

// ToMeta copies the metadata of f to a packet's hot and cold lines.
func (f *Flow) ToMeta(m *packet.Meta, cold *packet.Cold) {
	m.InPort, m.RecircID, m.DPHash = f.InPort, f.RecircID, f.DPHash
	m.Mark, m.Priority, m.PacketType = f.PktMark, f.SkbPriority, f.PacketType
	m.CTState, m.CTZone, m.CTMark = f.CTState, f.CTZone, f.CTMark
	m.Cold = 0
	if f.Tunnel.IsSet() {
		*TunnelWords(&cold.Tunnel) = f.Tunnel
		m.Cold |= packet.ColdTunnel
	}
	if f.CTState != 0 {
		SetColdCT(cold, f)
		m.Cold |= packet.ColdCT
	}
}

// IsSet reports that there is a tunnel: it has a destination.
func (t *Tunnel) IsSet() bool { return t.IPDst != 0 || t.IPv6Dst != (IPv6{}) }
