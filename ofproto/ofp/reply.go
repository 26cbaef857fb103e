package ofp

import (
	"encoding/binary"

	"sluice/internal/vlog"
)

// Entry is one element of a multipart message: *FlowStats, *AggregateReply,
// *TableStats, *TableFeatures, *TableDesc, *Port (descriptions), *PortStats,
// *QueueStats, *QueueConfig, *GroupStats, *GroupDesc, *GroupFeatures, *MeterConfig,
// *MeterStat, *FlowUpdate or *IPFIXStats.
type Entry interface {
	// entry appends the element, in the layout of a message r.
	entry(e *encoder, r Raw)
}

// ReplyBuilder encodes the reply to a multipart request entry by entry, and begins
// a new part whenever one is full.  A reply has at least one part, if an empty one.
type ReplyBuilder struct {
	enc    encoder
	raw    Raw
	prefix int // bytes before the first entry
	parts  [][]byte
}

// NewReplyBuilder begins the reply to a request with header h on a connection of
// protocol p.  The request must be one that has a multipart reply, or one for the
// configuration of queues (see QueueConfigBuilder).
func NewReplyBuilder(h Header, p Protocol) *ReplyBuilder {
	return newBuilder(replyOf(h.Raw, h.Version), h.Version, p, h.XID)
}

// NewUpdateBuilder begins flow updates that nobody asked for right now, for the
// monitors of a connection of protocol p.
func NewUpdateBuilder(p Protocol) *ReplyBuilder {
	v := ProtocolVersion(p)
	return newBuilder(stdRaw(TypeFlowMonitorStatsReply, v), v, p, 0)
}

// QueueConfigBuilder begins the reply to a request m with header h.  Before
// OpenFlow 1.4 it has one part, which the queues of one port always fit.
func QueueConfigBuilder(h Header, m *QueueGetConfigRequest, p Protocol) *ReplyBuilder {
	if h.Version >= OF14 {
		return NewReplyBuilder(h, p)
	}
	b := newBuilder(stdRaw(TypeQueueGetConfigReply, h.Version), h.Version, p, h.XID)
	(&QueueGetConfigReply{PortNo: m.PortNo}).prefix(&b.enc)
	return b
}

func newBuilder(r Raw, v Version, p Protocol, xid uint32) *ReplyBuilder {
	b := &ReplyBuilder{raw: r, enc: encoder{v: v, p: p, xid: xid}}
	b.enc.begin(r)
	b.prefix = len(b.enc.b)
	return b
}

// Add appends an entry.  One that does not fit any message is left out.
func (b *ReplyBuilder) Add(x Entry) {
	start := len(b.enc.b)
	x.entry(&b.enc, b.raw)
	switch {
	case len(b.enc.b) <= MaxLen:
	case b.prefix+len(b.enc.b)-start > MaxLen:
		b.enc.b = b.enc.b[:start]
		flowLog.WarnRL(rlFlow, "Flow exceeded the maximum flow statistics reply size and was excluded from the response set")
	default:
		b.split(start)
	}
}

var (
	flowLog = vlog.New("ofp_flow")
	rlFlow  = vlog.NewLimiter(1, 5)
)

// split ends the part before the entry at start, which begins the next part.
func (b *ReplyBuilder) split(start int) {
	full := b.enc.b
	entry := full[start:]
	next := make([]byte, 0, len(full))
	next = append(next, full[:b.prefix]...)
	next = append(next, entry...)
	full = full[:start:start]
	binary.BigEndian.PutUint16(full[10:], MultipartMore)
	b.parts = append(b.parts, finish(full, 0))
	b.enc.b = next
}

// Parts ends the reply and returns its messages.
func (b *ReplyBuilder) Parts() [][]byte {
	return append(b.parts, finish(b.enc.b, 0))
}

// Flush returns the parts that are full, for those who send while they add; the
// last part stays.
func (b *ReplyBuilder) Flush() [][]byte {
	full := b.parts
	b.parts = nil
	return full
}

// Empty reports whether no entry was added.
func (b *ReplyBuilder) Empty() bool { return len(b.parts) == 0 && len(b.enc.b) == b.prefix }
