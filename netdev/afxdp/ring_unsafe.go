package afxdp

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The mappings of rings stay in place until their socket is closed, which is
// after its last use; entries are aligned by the kernel.

func u32(mem []byte, off uint64) *uint32 { return (*uint32)(unsafe.Pointer(&mem[off])) }

// view makes a ring of mapped memory.
func view(mem []byte, off *unix.XDPRingOffset, size uint32) ring {
	r := ring{producer: u32(mem, off.Producer), consumer: u32(mem, off.Consumer),
		flags: u32(mem, off.Flags), size: size, mask: size - 1}
	r.prod, r.cons = *r.producer, *r.consumer
	return r
}

func (r *addrRing) init(mem []byte, off *unix.XDPRingOffset, size uint32) {
	r.ring = view(mem, off, size)
	r.addrs = unsafe.Slice((*uint64)(unsafe.Pointer(&mem[off.Desc])), size)
}

func (r *descRing) init(mem []byte, off *unix.XDPRingOffset, size uint32) {
	r.ring = view(mem, off, size)
	r.descs = unsafe.Slice((*unix.XDPDesc)(unsafe.Pointer(&mem[off.Desc])), size)
}

// setsockopt passes a struct.
func setsockopt(fd, opt int, p unsafe.Pointer, size uintptr) error {
	_, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(opt),
		uintptr(p), size, 0)
	if e != 0 {
		return e
	}
	return nil
}

func getsockopt(fd, opt int, p unsafe.Pointer, size uintptr) error {
	n := uint32(size)
	_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, uintptr(opt),
		uintptr(p), uintptr(unsafe.Pointer(&n)), 0)
	if e != 0 {
		return e
	}
	return nil
}

// registerUMEM registers mem, which pins it.
func registerUMEM(fd int, mem []byte, chunk, flags, txMetadata uint32) error {
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&mem[0]))), Len: uint64(len(mem)),
		Size: chunk, Flags: flags, Tx_metadata_len: txMetadata}
	return setsockopt(fd, unix.XDP_UMEM_REG, unsafe.Pointer(&reg), unsafe.Sizeof(reg))
}

func mmapOffsets(fd int) (unix.XDPMmapOffsets, error) {
	var off unix.XDPMmapOffsets
	if err := getsockopt(fd, unix.XDP_MMAP_OFFSETS, unsafe.Pointer(&off), unsafe.Sizeof(off)); err != nil {
		return off, fmt.Errorf("XDP_MMAP_OFFSETS: %w", err)
	}
	return off, nil
}

func statistics(fd int) (unix.XDPStatistics, error) {
	var s unix.XDPStatistics
	err := getsockopt(fd, unix.XDP_STATISTICS, unsafe.Pointer(&s), unsafe.Sizeof(s))
	return s, err
}

// kick has the kernel look at the transmit ring.
func kick(fd int) error {
	_, _, e := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
	if e != 0 {
		return e
	}
	return nil
}

// wakeRx has a driver that sleeps look at the fill ring.
func wakeRx(fd int) {
	_, _, _ = unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd), 0, 0, unix.MSG_DONTWAIT, 0, 0)
}
