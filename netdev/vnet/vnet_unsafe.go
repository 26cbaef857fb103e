package vnet

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel gets pointers into the pool's mapping and into the slices of a
// Receiver, Sender or Slot, which their owner keeps alive and in place during
// the call.

// Readv receives one packet from a tap descriptor into s; the result counts the
// header.
func (s *Slot) Readv(fd int) (int, error) {
	n, _, e := unix.Syscall(unix.SYS_READV, uintptr(fd),
		uintptr(unsafe.Pointer(&s.iovs[0])), uintptr(len(s.iovs)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
	_   uint32
}

// recvmmsg receives up to len(msgs) packets from a packet socket.
func recvmmsg(fd int, msgs []mmsghdr) (int, error) {
	n, _, e := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])),
		uintptr(len(msgs)), unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func sendmmsg(fd int, msgs []mmsghdr) (int, error) {
	n, _, e := unix.Syscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&msgs[0])),
		uintptr(len(msgs)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

func writev(fd int, iovs []unix.Iovec) (int, error) {
	n, _, e := unix.Syscall(unix.SYS_WRITEV, uintptr(fd),
		uintptr(unsafe.Pointer(&iovs[0])), uintptr(len(iovs)))
	if e != 0 {
		return 0, e
	}
	return int(n), nil
}

// controlSize holds one cmsghdr with a struct tpacket_auxdata.
const controlSize = 40

// armMsg points m at the slot and its control buffer.
func armMsg(m *mmsghdr, s *Slot, control *[controlSize]byte) {
	m.hdr = unix.Msghdr{Iov: &s.iovs[0]}
	m.hdr.SetIovlen(len(s.iovs))
	m.hdr.Control = &control[0]
	m.hdr.SetControllen(controlSize)
}

// armSend points m at iovs.
func armSend(m *mmsghdr, iovs []unix.Iovec) {
	m.hdr = unix.Msghdr{Iov: &iovs[0]}
	m.hdr.SetIovlen(len(iovs))
}

// setIov points v at b.
func setIov(v *unix.Iovec, b []byte) {
	v.Base = unsafe.SliceData(b)
	v.SetLen(len(b))
}
