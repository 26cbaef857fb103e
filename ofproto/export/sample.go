// Package export has what the exporters of traffic share: the samples that
// datapath actions take of packets, and the sockets to the collectors.
//
// The exporters are in packages below: sflow and ipfix make datagrams of samples,
// netflow of the statistics of flows.  ofproto/xlate composes the sampling actions,
// ofproto/upcall makes a Sample of each packet that they send up, and ofproto.Switch
// hands it to an exporter on the control loop.  Nothing here knows bridges.
package export

import (
	"slices"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
)

// MaxHead is how many bytes of a packet a Sample keeps at most.
const MaxHead = 1024

// Sample is a packet that a sampling action sent up.
type Sample struct {
	// Arg is the action; Kind says for which exporter it is.
	Arg *odp.UserspaceArg
	// Key is the packet's flow with a datapath port as InPort.
	Key flow.Flow
	// Head is the beginning of the packet, Size the length of all of it.
	Head []byte
	Size int
	// Path is what happens to the packet after the sample was taken.
	Path Path
}

// NewSample makes the Sample of a packet that an action of a list sent up.
func NewSample(arg *odp.UserspaceArg, key *flow.Flow, head []byte, size int, actions []odp.Action) *Sample {
	s := &Sample{Arg: arg, Key: *key, Head: slices.Clone(head[:min(len(head), MaxHead)]), Size: size}
	s.Path.read(key, actions)
	return s
}
