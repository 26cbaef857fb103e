package vhostuser

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A vhost-user message (the QEMU project's "Vhost-user Protocol") is, in the host's
// byte order,
//
//	request(32) flags(32) size(32) payload(size bytes)
//
// with file descriptors beside it on the socket.  Flags: version in bits 0–1, bit 2
// a reply, bit 3 a reply is wanted.

const headerSize = 12

// maxPayload is the largest payload of a message: a memory table of all slots.
const maxPayload = 8 + maxMemSlots*regionSize

const (
	flagVersion   = 1
	flagReply     = 1 << 2
	flagNeedReply = 1 << 3
)

// request is the kind of a message.
type request uint32

// The requests that a front end sends.
const (
	reqGetFeatures         request = 1
	reqSetFeatures         request = 2
	reqSetOwner            request = 3
	reqResetOwner          request = 4
	reqSetMemTable         request = 5
	reqSetVringNum         request = 8
	reqSetVringAddr        request = 9
	reqSetVringBase        request = 10
	reqGetVringBase        request = 11
	reqSetVringKick        request = 12
	reqSetVringCall        request = 13
	reqSetVringErr         request = 14
	reqGetProtocolFeatures request = 15
	reqSetProtocolFeatures request = 16
	reqGetQueueNum         request = 17
	reqSetVringEnable      request = 18
	reqSendRARP            request = 19
	reqNetSetMTU           request = 20
	reqGetMaxMemSlots      request = 36
	reqAddMemReg           request = 37
	reqRemMemReg           request = 38
	reqSetStatus           request = 39
	reqGetStatus           request = 40
)

// Virtio and vhost-user feature bits that are offered.  Control queue, receive filters
// and announcements are the front end's work, which asks the back end for its consent.
const (
	featCSUM      = 1 << 0
	featGuestCSUM = 1 << 1
	featMTU       = 1 << 3
	featGuestTSO4 = 1 << 7
	featGuestTSO6 = 1 << 8
	featGuestECN  = 1 << 9
	featHostTSO4  = 1 << 11
	featHostTSO6  = 1 << 12
	featHostECN   = 1 << 13
	featMrgRxbuf  = 1 << 15
	featCtrlVQ    = 1 << 17
	featCtrlRx    = 1 << 18
	featAnnounce  = 1 << 21
	featMQ        = 1 << 22
	featAnyLayout = 1 << 27
	featIndirect  = 1 << 28
	featEventIdx  = 1 << 29
	featProtocol  = 1 << 30
	featVersion1  = 1 << 32
	featPacked    = 1 << 34
	featInOrder   = 1 << 35

	offeredFeatures = featCSUM | featGuestCSUM | featMTU | featGuestTSO4 | featGuestTSO6 | featGuestECN |
		featHostTSO4 | featHostTSO6 | featHostECN | featMrgRxbuf | featCtrlVQ | featCtrlRx | featAnnounce | featMQ |
		featAnyLayout | featIndirect | featEventIdx | featProtocol | featVersion1 | featPacked | featInOrder
)

// Protocol features that are offered.
const (
	protoMQ       = 1 << 0
	protoReplyAck = 1 << 3
	protoMTU      = 1 << 4
	protoMemSlots = 1 << 15
	protoStatus   = 1 << 16
	offeredProto  = protoMQ | protoReplyAck | protoMTU | protoMemSlots | protoStatus
)

// Limits of what a front end may ask for.
const (
	maxMemSlots = 32
	maxRingSize = 32768
	maxPairs    = 128
)

// shape says what a request has to bring along.
type shape struct {
	size int // least bytes of payload
	fds  int // descriptors, anyFds: the request checks
}

const anyFds = -1

// shapes are the requests that are understood.
var shapes = map[request]shape{
	reqGetFeatures:         {},
	reqSetFeatures:         {size: 8},
	reqSetOwner:            {},
	reqResetOwner:          {},
	reqSetMemTable:         {size: 8, fds: anyFds},
	reqSetVringNum:         {size: 8},
	reqSetVringAddr:        {size: 40},
	reqSetVringBase:        {size: 8},
	reqGetVringBase:        {size: 8},
	reqSetVringKick:        {size: 8, fds: anyFds},
	reqSetVringCall:        {size: 8, fds: anyFds},
	reqSetVringErr:         {size: 8, fds: anyFds},
	reqGetProtocolFeatures: {},
	reqSetProtocolFeatures: {size: 8},
	reqGetQueueNum:         {},
	reqSetVringEnable:      {size: 8},
	reqSendRARP:            {size: 8},
	reqNetSetMTU:           {size: 8},
	reqGetMaxMemSlots:      {},
	reqAddMemReg:           {size: 8 + regionSize, fds: 1},
	reqRemMemReg:           {size: 8 + regionSize, fds: anyFds},
	reqSetStatus:           {size: 8},
	reqGetStatus:           {},
}

// check says whether a message has what its request needs.
func (m *message) check() error {
	want, ok := shapes[m.req]
	switch {
	case !ok:
		return violation("unknown request %d", m.req)
	case len(m.payload) < want.size:
		return violation("request %d with %d bytes", m.req, len(m.payload))
	case want.fds != anyFds && len(m.fds) != want.fds:
		return violation("request %d with %d descriptors", m.req, len(m.fds))
	}
	return nil
}

var errProtocol = errors.New("vhost-user protocol violation")

func violation(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errProtocol, fmt.Sprintf(format, args...))
}

// message is a received message.
type message struct {
	req     request
	flags   uint32
	payload []byte
	fds     []int
}

// parseHeader checks a header and returns the size of the payload.
func parseHeader(b []byte) (req request, flags uint32, size int, err error) {
	ne := binary.NativeEndian
	req, flags = request(ne.Uint32(b)), ne.Uint32(b[4:])
	n := ne.Uint32(b[8:])
	if flags&3 != flagVersion {
		return 0, 0, 0, violation("version %d", flags&3)
	}
	if flags&flagReply != 0 {
		return 0, 0, 0, violation("unexpected reply to request %d", req)
	}
	if n > maxPayload {
		return 0, 0, 0, violation("payload of %d bytes", n)
	}
	return req, flags, int(n), nil
}

// reply makes a reply to a request.
func reply(req request, payload []byte) []byte {
	b := make([]byte, headerSize, headerSize+len(payload))
	ne := binary.NativeEndian
	ne.PutUint32(b, uint32(req))
	ne.PutUint32(b[4:], flagVersion|flagReply)
	ne.PutUint32(b[8:], uint32(len(payload)))
	return append(b, payload...)
}

func replyU64(req request, v uint64) []byte {
	return reply(req, binary.NativeEndian.AppendUint64(nil, v))
}

// The accessors below are for messages that check has passed.

func (m *message) u64() uint64 { return binary.NativeEndian.Uint64(m.payload) }

// vringState is the payload of several requests: index(32) num(32).
func (m *message) vringState() (index, num uint32) {
	ne := binary.NativeEndian
	return ne.Uint32(m.payload), ne.Uint32(m.payload[4:])
}

// vringAddr is the payload of SET_VRING_ADDR: index(32) flags(32) desc(64) used(64)
// avail(64) log(64), addresses in the front end's address space.
type vringAddr struct {
	index             uint32
	desc, used, avail uint64
}

func (m *message) vringAddr() vringAddr {
	ne := binary.NativeEndian
	return vringAddr{ne.Uint32(m.payload), ne.Uint64(m.payload[8:]), ne.Uint64(m.payload[16:]), ne.Uint64(m.payload[24:])}
}

// region is a memory region of the guest: guest physical address(64) size(64) address
// in the front end(64) offset in its file(64).
type region struct {
	guest, size, user, offset uint64
}

const regionSize = 32

func parseRegion(b []byte) region {
	ne := binary.NativeEndian
	return region{ne.Uint64(b), ne.Uint64(b[8:]), ne.Uint64(b[16:]), ne.Uint64(b[24:])}
}

// memTable is the payload of SET_MEM_TABLE: count(32) padding(32) regions.
func (m *message) memTable() ([]region, error) {
	n := uint64(binary.NativeEndian.Uint32(m.payload))
	if n > maxMemSlots || uint64(len(m.payload)) < 8+n*regionSize || uint64(len(m.fds)) != n {
		return nil, violation("SET_MEM_TABLE with %d regions in %d bytes and %d descriptors", n, len(m.payload), len(m.fds))
	}
	out := make([]region, n)
	for i := range out {
		out[i] = parseRegion(m.payload[8+i*regionSize:])
	}
	return out, nil
}

// memReg is the payload of ADD_MEM_REG and REM_MEM_REG: padding(64) region.
func (m *message) memReg() region { return parseRegion(m.payload[8:]) }
