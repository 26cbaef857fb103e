package ofp

import (
	"encoding/binary"
	"fmt"

	"sluice/dpif/flow"
	"sluice/netdev/packet"
	"sluice/ofproto/ofp/match"
)

// hexDumpPlain is hexDump without the text.
func (p *printer) hexDumpPlain(b []byte) {
	for ofs := 0; ofs < len(b); ofs += 16 {
		p.f("%08x  ", ofs)
		for i, c := range b[ofs:min(ofs+16, len(b))] {
			p.f("%02x", c)
			if i == 7 {
				p.byte('-')
			} else {
				p.byte(' ')
			}
		}
		p.chomp()
		p.byte('\n')
	}
}

// FormatPacket is the text of a packet: its fields and the checksum of its
// transport header, with a newline.
func FormatPacket(b []byte, packetType uint32) string {
	var p printer
	p.packet(b, packetType)
	return string(p.b)
}

// AppendFlow appends the text of a flow; a nil mask stands for the fields that a packet
// like it has.
func AppendFlow(b []byte, f *flow.Flow, mask *flow.Mask) []byte {
	m := match.Match{Flow: *f}
	if mask != nil {
		m.Mask = *mask
	} else {
		m.Mask = packetMask(f)
	}
	m.ZeroWildcarded()
	return m.AppendText(b, nil, match.DefaultPriority)
}

func (p *printer) packet(b []byte, packetType uint32) {
	var m match.Match
	meta := flow.ExtractFlow(b, &flow.Flow{PacketType: packetType}, &m.Flow)
	m.Mask = packetMask(&m.Flow)
	m.ZeroWildcarded()
	p.b = m.AppendText(p.b, nil, match.DefaultPriority)
	p.checksum(b, &m.Flow, &meta)
	p.byte('\n')
}

// Where the checksum is in transport headers.
var checksums = map[uint8]struct {
	name     string
	size, at int // of the header, of the checksum in it
	is32     bool
}{
	6: {"tcp", 20, 16, false}, 17: {"udp", 8, 6, false}, 132: {"sctp", 12, 8, true},
	1: {"icmp", 8, 2, false}, 58: {"icmp6", 4, 2, false},
}

func (p *printer) checksum(b []byte, f *flow.Flow, meta *packet.Meta) {
	c, ok := checksums[f.NwProto]
	if !ok || meta.L4 == packet.NoLayer || int(meta.L4)+c.size > len(b)-int(meta.L2Pad) {
		return
	}
	l4 := b[meta.L4:]
	x := uint64(be16(l4[c.at:]))
	if c.is32 {
		x = uint64(binary.BigEndian.Uint32(l4[c.at:]))
	}
	p.b = fmt.Appendf(p.b, " %s_csum:%x", c.name, x)
}

// packetMask has the fields that a packet with flow f shows.
func packetMask(f *flow.Flow) (m flow.Mask) {
	dlType := uint16(f.PacketType) // that of a packet without an Ethernet header
	if f.PacketType != 0 {
		m.PacketType = 0xffffffff
	} else {
		m.PacketType = 0xffffffff
		dlType = f.DLType
		m.DLSrc, m.DLDst, m.DLType = ones6, ones6, 0xffff
		for i := range m.VLANs {
			m.VLANs[i] = flow.VLAN{TPID: 0xffff, TCI: 0xffff}
			if f.VLANs[i].TCI == 0 {
				break
			}
		}
	}
	switch dlType {
	case flow.EthIPv4:
		m.NwSrc, m.NwDst = 0xffffffff, 0xffffffff
	case flow.EthIPv6:
		m.IPv6Src, m.IPv6Dst, m.IPv6Label = ones16, ones16, 0xffffffff
		if f.NwProto == 58 && f.TpDst == 0 && (f.TpSrc == 135 || f.TpSrc == 136) {
			m.ARPSha, m.ARPTha, m.NDTarget = ones6, ones6, ones16
		}
	case flow.EthARP, flow.EthRARP:
		m.NwSrc, m.NwDst, m.NwProto = 0xffffffff, 0xffffffff, 0xff
		m.ARPSha, m.ARPTha = ones6, ones6
		return m
	case flow.EthMPLS, flow.EthMPLSMc:
		for i := range flow.MaxMPLSLabels {
			m.MPLS[i] = 0xffffffff
			if f.MPLS[i]&0x100 != 0 {
				break
			}
		}
		return m
	case flow.EthNSH:
		m.NSH = flow.NSH{Flags: 0xff, TTL: 0xff, MDType: 0xff, NP: 0xff, PathHdr: 0xffffffff,
			Context: [4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}}
	default:
		return m
	}
	packetMaskL4(f, &m)
	return m
}

func packetMaskL4(f *flow.Flow, m *flow.Mask) {
	m.NwFrag = flow.NwFragAny | flow.NwFragLater
	m.NwTOS, m.NwTTL, m.NwProto = 0xff, 0xff, 0xff
	if f.NwFrag&flow.NwFragLater != 0 {
		return
	}
	switch f.NwProto {
	case 1, 58, 6, 17, 132, 2:
		m.TpSrc, m.TpDst = 0xffff, 0xffff
	}
	switch f.NwProto {
	case 6:
		m.TCPFlags = 0xffff
	case 2:
		m.IGMPGroup = 0xffffffff
	}
}

var (
	ones6  = flow.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	ones16 = flow.IPv6{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
)
