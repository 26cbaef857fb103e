package classifier

import (
	"cmp"
	"slices"
	"unsafe"

	"sluice/dpif/flow"
)

// A lookup looks at a packet in stages: metadata, L2, L3, the rest.  Which field is in
// which stage shows in megaflows, so it is as in stock; that is the order of the
// members of a Flow but for the connection's original tuple, which stock has with the
// packet's own, and for neighbour discovery, ARP, TCP flags and NSH, which come last.

const nStageMax = 4

var (
	stageOf    [flow.NWords]uint8 // of a word of flow.Words
	stageOrder [flow.NWords]uint8 // the words, by stage
	stageRank  [flow.NWords]uint8 // the inverse of stageOrder
)

// place is a run of words of a Flow.
type place struct{ ofs, size uintptr }

func init() {
	const l3, rest = 2, 3
	for i := range stageOf {
		switch {
		case i >= int(unsafe.Offsetof(at.NDTarget)/8):
			stageOf[i] = rest
		case i >= flow.EndL2:
			stageOf[i] = l3
		case i >= flow.EndMetadata:
			stageOf[i] = 1
		}
	}
	for _, p := range []place{
		{unsafe.Offsetof(at.CTNwSrc), 8}, {unsafe.Offsetof(at.CTIPv6Src), 16}, {unsafe.Offsetof(at.CTIPv6Dst), 16},
	} {
		for w := p.ofs / 8; w < (p.ofs+p.size+7)/8; w++ {
			stageOf[w] = l3
		}
	}
	stageOf[unsafe.Offsetof(at.CTTpSrc)/8] = rest
	for i := range stageOrder {
		stageOrder[i] = uint8(i)
	}
	slices.SortStableFunc(stageOrder[:], func(a, b uint8) int { return cmp.Compare(stageOf[a], stageOf[b]) })
	for i, x := range stageOrder {
		stageRank[x] = uint8(i)
	}
}
