package ofproto

import (
	"slices"

	"sluice/ofproto/ofp"
	"sluice/ofproto/table"
)

// A flow_removed tells how many packets the flow had.  The datapath may still have
// packets to report when a flow is deleted, so the message waits for the round of
// revalidation that the deletion causes, but not for long: rounds may be paused.

// goneFlow is a flow that went, whose last packets are not counted yet.
type goneFlow struct {
	msg      *ofp.FlowRemoved
	rule     *table.Rule
	counted  bool
	deadline int64 // ms
}

// maxCountMs is how long a flow_removed waits for the last packets.
const maxCountMs = 1000

// flowGone tells controllers of a flow that went, now or when it is counted.
func (sw *Switch) flowGone(e *table.Event) {
	now := sw.conns.Now()
	msg := sw.flowRemoved(e)
	switch e.Reason {
	case ofp.RemovedIdleTimeout, ofp.RemovedHardTimeout:
		// Flows expire right after such a round.
		sw.conns.SendFlowRemoved(msg)
		return
	}
	if msg.PacketCount == 0 {
		sw.conns.SendFlowRemoved(msg)
		return
	}
	sw.gone = append(sw.gone, &goneFlow{msg: msg, rule: e.Rule, deadline: now + maxCountMs})
}

// awaitCounts has flows known as counted when they are.
func (sw *Switch) awaitCounts(flows []*goneFlow) {
	if len(flows) == 0 {
		return
	}
	flows = slices.Clone(flows)
	sw.dp.WaitDump(func() {
		for _, g := range flows {
			g.counted = true
		}
	})
}

// sendGone sends the messages whose counts are complete, in order.
func (sw *Switch) sendGone(now int64) {
	for len(sw.gone) > 0 {
		g := sw.gone[0]
		if !g.counted && now < g.deadline {
			return
		}
		sw.gone = sw.gone[1:]
		g.msg.PacketCount, g.msg.ByteCount = g.rule.Stats()
		sw.conns.SendFlowRemoved(g.msg)
	}
	sw.gone = nil
}
