package vhostuser

import (
	"sync/atomic"
	"unsafe"
)

// Accessors of ring memory that the guest writes at the same time.  Each word is read
// once and then used from a local variable; the other side of each atomic is the
// guest's driver.

// load16 reads a 16-bit word that the guest stores with release semantics (avail
// idx, packed flags).  Go has no 16-bit atomics: the aligned 32-bit word around it is
// loaded.
func load16(b []byte, off int) uint16 {
	p := uintptr(unsafe.Pointer(&b[off]))
	v := atomic.LoadUint32((*uint32)(unsafe.Pointer(&b[off-int(p&2)])))
	if p&2 != 0 {
		return uint16(v >> 16)
	}
	return uint16(v)
}

// store16 writes a 16-bit word after everything before it.  The neighbour in the same
// 32-bit word may be written by the guest, so a plain store follows a full barrier.
func store16(b []byte, off int, v uint16) {
	barrier()
	*(*uint16)(unsafe.Pointer(&b[off])) = v
}

// barrier orders all memory accesses before it with all after it: an atomic
// read-modify-write is a full barrier.
func barrier() {
	var fence atomic.Uint32
	fence.Add(1)
}

// words of descriptors, read once.
func get64(b []byte, off int) uint64 { return *(*uint64)(unsafe.Pointer(&b[off])) }
func get32(b []byte, off int) uint32 { return *(*uint32)(unsafe.Pointer(&b[off])) }
func get16(b []byte, off int) uint16 { return *(*uint16)(unsafe.Pointer(&b[off])) }
func put32(b []byte, off int, v uint32) {
	*(*uint32)(unsafe.Pointer(&b[off])) = v
}
func put16(b []byte, off int, v uint16) {
	*(*uint16)(unsafe.Pointer(&b[off])) = v
}
