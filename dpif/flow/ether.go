package flow

import "encoding/binary"

// EtherPayload returns the Ethernet type of a frame behind its VLAN tags, however many,
// and what follows it; 0 and nil if the frame ends before.
func EtherPayload(frame []byte) (etherType uint16, payload []byte) {
	const (
		addrsSize = 12
		tagSize   = 4
	)
	for n := addrsSize; len(frame) >= n+2; n += tagSize {
		switch t := binary.BigEndian.Uint16(frame[n:]); t {
		case EthVLAN, EthQinQ:
		default:
			return t, frame[n+2:]
		}
	}
	return 0, nil
}
