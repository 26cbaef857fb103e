package netdev

import "math"

// Detail is one setting as it is in force, with the name and unit that the database
// documents (ovs-vswitchd.conf.db(5), other_config of tables QoS and Queue).
type Detail struct{ Key, Value string }

// QueueStats are the counters of a queue; Unsupported where the device has none.
type QueueStats struct {
	TxBytes, TxPackets, TxErrors uint64
	// Created is when the queue was made, in ms on the loop's clock, or
	// QueueAgeUnknown.
	Created int64
}

// QueueAgeUnknown says that it is not known when a queue was made.
const QueueAgeUnknown = math.MinInt64

// Queues is implemented by devices with queues that OpenFlow shows (queue-stats,
// queue-get-config).
//
// Errors wrap a unix.Errno: ENOENT for a queue that is not there, EINVAL for one that
// there cannot be, EOPNOTSUPP when the kind of QoS in use has no queues.
type Queues interface {
	// QueueIDs are the numbers of the queues, rising.
	QueueIDs() []uint32
	// Queue returns the settings of a queue.
	Queue(id uint32) ([]Detail, error)
	QueueStats(id uint32) (QueueStats, error)
	// EachQueueStats calls fn for all queues.
	EachQueueStats(fn func(id uint32, s QueueStats)) error
}

// QoS is implemented by devices that can shape what they send.
//
// Thread-safety: the control thread calls the methods.
type QoS interface {
	Queues
	// QoSTypes lists the types (column type of table QoS), in the order that they are
	// shown in.
	QoSTypes() []string
	// QoS returns the type in use, "" for none, and its settings.
	QoS() (typ string, details []Detail, err error)
	// SetQoS begins to shape in the way of a type; another type takes the queues
	// away.  "" ends it.  What is in force already is left alone.
	SetQoS(typ string, details map[string]string) error
	// SetQueue makes or changes a queue at ms now; one that is like that already is
	// left alone.
	SetQueue(id uint32, details map[string]string, now int64) error
	DeleteQueue(id uint32) error
}
