package ofp

import (
	"math"

	"sluice/ofproto/ofp/oferr"
)

// oxs are statistics of OpenFlow 1.5; a value of all ones is not there.
type oxs struct {
	durationSec, durationNsec uint32
	idleAge                   uint32
	flowCount                 uint32
	packetCount, byteCount    uint64
}

// Headers of statistics, with the lengths of their values.
const (
	oxsDuration    = 0x8002<<16 | 0<<9 | 8
	oxsIdleTime    = 0x8002<<16 | 1<<9 | 8
	oxsFlowCount   = 0x8002<<16 | 3<<9 | 4
	oxsPacketCount = 0x8002<<16 | 4<<9 | 8
	oxsByteCount   = 0x8002<<16 | 5<<9 | 8
)

func (e *encoder) oxs(s oxs) {
	start := len(e.b)
	e.zeros(4)
	if s.durationSec != math.MaxUint32 {
		e.u32(oxsDuration)
		e.u32(s.durationSec)
		e.u32(s.durationNsec)
	}
	if s.idleAge != math.MaxUint32 {
		e.u32(oxsIdleTime)
		e.u32(s.idleAge)
		e.u32(0)
	}
	if s.packetCount != math.MaxUint64 {
		e.u32(oxsPacketCount)
		e.u64(s.packetCount)
	}
	if s.byteCount != math.MaxUint64 {
		e.u32(oxsByteCount)
		e.u64(s.byteCount)
	}
	if s.flowCount != math.MaxUint32 {
		e.u32(oxsFlowCount)
		e.u32(s.flowCount)
	}
	e.put16(start+2, uint16(len(e.b)-start))
	e.align(start)
}

// pullOXS takes statistics and their padding off b.
func pullOXS(b []byte) (s oxs, rest []byte, err error) {
	s = oxs{math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint32, math.MaxUint64, math.MaxUint64}
	if len(b) < 4 {
		return s, nil, oferr.OFPBMC_BAD_LEN
	}
	n := int(be16(b[2:]))
	padded := (n + 7) &^ 7
	if n < 4 || padded > len(b) {
		return s, nil, oferr.OFPBMC_BAD_LEN
	}
	for stats := b[4:n]; len(stats) > 0; {
		if len(stats) < 4 {
			return s, nil, oferr.OFPBMC_BAD_LEN
		}
		header := be32(stats)
		size := 4 + int(header&0xff)
		if size > len(stats) || header>>16 == 0xffff && size < 8 {
			return s, nil, oferr.OFPBMC_BAD_LEN
		}
		s.set(header, stats[4:size])
		stats = stats[size:]
	}
	return s, b[padded:], nil
}

// set takes one statistic; others than those known are skipped.
func (s *oxs) set(header uint32, b []byte) {
	switch header {
	case oxsDuration:
		s.durationSec, s.durationNsec = be32(b), be32(b[4:])
	case oxsIdleTime:
		s.idleAge = be32(b)
	case oxsFlowCount:
		s.flowCount = be32(b)
	case oxsPacketCount:
		s.packetCount = be64(b)
	case oxsByteCount:
		s.byteCount = be64(b)
	}
}
