package daemon

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setCapabilities makes caps the effective and permitted capabilities of all
// threads.
func setCapabilities(caps uint64) error {
	hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	lo, hi := uint32(caps), uint32(caps>>32)
	data := [2]unix.CapUserData{{Effective: lo, Permitted: lo}, {Effective: hi, Permitted: hi}}
	_, _, no := syscall.AllThreadsSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&hdr)), uintptr(unsafe.Pointer(&data)), 0)
	if no != 0 {
		return no
	}
	return nil
}
