package packet

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// MetaSize is one cache line; the datapath's prefetching and the size of the
// metadata array count on it.
var _ = [1]int{}[unsafe.Sizeof(Meta{})-64]

// reserve maps size bytes of zeroed memory that the kernel commits page by page
// when they are touched.
func reserve(size int) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("reserve %d bytes for packets: %w", size, err)
	}
	return mem, nil
}

func asMetas(mem []byte) []Meta {
	return unsafe.Slice((*Meta)(unsafe.Pointer(&mem[0])), len(mem)/int(unsafe.Sizeof(Meta{})))
}

func asColds(mem []byte) []Cold {
	return unsafe.Slice((*Cold)(unsafe.Pointer(&mem[0])), len(mem)/int(unsafe.Sizeof(Cold{})))
}

const (
	metaSize = int(unsafe.Sizeof(Meta{}))
	coldSize = int(unsafe.Sizeof(Cold{}))
)
