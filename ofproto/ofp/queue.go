package ofp

// QueueGetConfigRequest asks for the configuration of queues.
type QueueGetConfigRequest struct {
	PortNo  uint32 // flow.OFPNone: all ports
	QueueID uint32 // QueueAll: all queues
}

// QueueAll is the queue id that stands for all queues.
const QueueAll = 0xffffffff

// RateUnset is the rate of a queue that has none configured.
const RateUnset = 0xffff

// QueueConfig is the configuration of a queue.  Rates are in 1/10 percent of the
// link; more than 1000 means disabled, RateUnset not present.
type QueueConfig struct {
	PortNo  uint32
	QueueID uint32
	MinRate uint16
	MaxRate uint16
}

// QueueGetConfigReply has the configuration of queues.
type QueueGetConfigReply struct {
	More   bool   // OpenFlow 1.4+
	PortNo uint32 // the port of the request, before OpenFlow 1.4
	Queues []QueueConfig
}

// QueueStatsRequest asks for statistics of queues.
type QueueStatsRequest struct {
	PortNo  uint32 // flow.OFPNone: all ports
	QueueID uint32 // QueueAll: all queues
}

// QueueStats are a queue's statistics; math.MaxUint64 is "unknown".
type QueueStats struct {
	PortNo       uint32
	QueueID      uint32
	TxBytes      uint64
	TxPackets    uint64
	TxErrors     uint64
	DurationSec  uint32 // math.MaxUint32: unknown
	DurationNsec uint32
}

// QueueStatsReply has the statistics of queues.
type QueueStatsReply struct {
	More   bool
	Queues []QueueStats
}

// Type implements Msg.
func (*QueueGetConfigRequest) Type() Type { return TypeQueueGetConfigRequest }

// Type implements Msg.
func (*QueueGetConfigReply) Type() Type { return TypeQueueGetConfigReply }

// Type implements Msg.
func (*QueueStatsRequest) Type() Type { return TypeQueueStatsRequest }

// Type implements Msg.
func (*QueueStatsReply) Type() Type { return TypeQueueStatsReply }
