package vhostuser

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// numaNode is the NUMA node that the first byte of b lives on, 0 when the kernel does
// not say.  The page is touched by that.
func numaNode(b []byte) int {
	const byAddress = 2 | 1 // MPOL_F_ADDR | MPOL_F_NODE
	var node int32
	_, _, e := unix.Syscall6(unix.SYS_GET_MEMPOLICY, uintptr(unsafe.Pointer(&node)), 0, 0, uintptr(unsafe.Pointer(&b[0])), byAddress, 0)
	if e != 0 || node < 0 {
		return 0
	}
	return int(node)
}
