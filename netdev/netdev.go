// Package netdev is the contract between the datapath and network devices: what
// a Device is, how classes of devices register, and how packets are received and
// sent in batches.
//
// cmd/ovs-vswitchd/bridge opens and configures devices; dpif/userspace polls
// their queues.  ofproto sees a device only through the dpif contract.  The
// package does not forward, parse or classify packets.
//
// # Configuration
//
// A device is opened by name and type, configured by SetConfig with the options
// of the Interface row, and made effective by Reconfigure, which runs on the
// control thread while no queue of the device is polled.  An error of either is
// the text for the row's error column.
//
// # Thread-safety
//
// Control methods are called by the control thread only.  A RxQueue belongs to
// one polling thread at a time.  A TxQueue that several threads share is locked
// by the caller, once a batch.  Stats may be called from any thread.
package netdev

import (
	"sluice/internal/poll"
	"sluice/netdev/packet"
)

// MAC is an Ethernet address.
type MAC = [6]byte

// Device is one network device.
type Device interface {
	Name() string
	Type() string // the type of the database: "system", "afxdp", "dummy", …

	// SetConfig checks and stores options (Interface options column); an error
	// leaves the old ones in force.  Config returns what is stored, and Status
	// what the Interface status column shows.
	SetConfig(options map[string]string) error
	Config() map[string]string
	Status() map[string]string

	// NeedsReconfigure reports that Reconfigure has something to do.
	NeedsReconfigure() bool
	Reconfigure() error

	// Close releases the device.  persistent devices (an internal port on
	// "exit" without --cleanup) are left in the kernel when keep is true.
	Close(keep bool) error

	// Queues are valid until the next Reconfigure or Close.
	RxQueues() []RxQueue
	TxQueues() []TxQueue
	// IsPMD reports that the queues want polling threads; others are polled by
	// the control loop.
	IsPMD() bool
	NUMA() int // -1: not known

	EtherAddr() MAC
	SetEtherAddr(MAC) error
	MTU() int // 0: the device has none
	SetMTU(int) error
	Ifindex() int // <= 0: none
	Carrier() bool
	CarrierResets() uint64
	AdminUp() bool
	SetAdminUp(bool) error
	Features() Features
	Stats() Stats
	// CustomStats adds counters of the class's own, in a fixed order.
	CustomStats() []Counter
	// ChangeSeq changes whenever something that the getters return may have
	// changed (link, address, MTU).
	ChangeSeq() uint64

	// Run does the control work of the device (accept stream connections of a
	// dummy, follow reconnects); Wait says when it has some.
	Run(now int64)
	Wait(*poll.Set)
}

// RxQueue is a queue of received packets.
type RxQueue interface {
	// Recv receives up to packet.BatchSize packets into frames of c and appends
	// them to b.  n = 0 and a nil error mean that nothing is waiting.
	Recv(c *packet.Cache, b *packet.Batch) (n int, err error)
	// Fd is a descriptor that becomes readable when packets wait, or -1.
	Fd() int
	// Ready reports that Recv would return packets, for queues without a
	// descriptor.
	Ready() bool
	ID() int
}

// Backlogger is implemented by receive queues that other software fills, and that it
// may fill faster than they are read (vhost-user).
type Backlogger interface {
	// Backlog is how many packets wait for Recv; whoever polls the queue asks, after
	// a Recv.  It may cost a look at shared memory.
	Backlog() int
}

// TxQueue sends packets.
type TxQueue interface {
	// Send takes over the packets of b, sends what it can and frees all that are
	// done with (or drops them and counts why).  It resets b.
	Send(c *packet.Cache, b *packet.Batch)
	// Flush kicks the kernel when packets wait for it and returns completed
	// frames to c; called once per polling loop.
	Flush(c *packet.Cache)
}

// TxCaps says what a device can take without software help.
type TxCaps struct {
	Csum     bool // L4 checksum left partial (Meta.Csum == CsumPartial)
	TSO      bool // GSO packets
	MultiSeg bool // chains of frames
}

// TxCapser is implemented by devices that can take more than finished,
// single-frame packets.
type TxCapser interface{ TxCaps() TxCaps }

// Features are OpenFlow's OFPPF_* bits (ofp_port_features of OpenFlow 1.1+).
type Features struct{ Current, Advertised, Supported, Peer uint32 }

// Counter is one named statistic.
type Counter struct {
	Name  string
	Value uint64
}

// Unsupported marks a statistic that the device does not keep.
const Unsupported = ^uint64(0)

// Stats are a device's counters; Unsupported where it has none.
type Stats struct {
	RxPackets, TxPackets, RxBytes, TxBytes         uint64
	RxErrors, TxErrors, RxDropped, TxDropped       uint64
	Multicast, Collisions                          uint64
	RxLengthErrors, RxOverErrors, RxCRCErrors      uint64
	RxFrameErrors, RxFIFOErrors, RxMissedErrors    uint64
	TxAbortedErrors, TxCarrierErrors, TxFIFOErrors uint64
	TxHeartbeatErrors, TxWindowErrors              uint64
}

// Class is a type of device.
type Class struct {
	Type string
	// Open makes a device; the text of the error goes to the database.
	Open func(name string) (Device, error)
	// Virtual devices (tunnels, patch ports) have no packets of their own.
	Virtual bool
}
