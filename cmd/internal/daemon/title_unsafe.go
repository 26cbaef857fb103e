package daemon

import (
	"os"
	"unsafe"
)

// setTitle changes what ps shows of the process, by writing over the argument
// vector: os.Args still is that memory, in one piece. New has made its copy.
func setTitle(title string) {
	size := 0
	for _, a := range os.Args {
		size += len(a) + 1
	}
	if size == 0 {
		return
	}
	area := unsafe.Slice(unsafe.StringData(os.Args[0]), size-1)
	n := copy(area, title)
	clear(area[n:])
}
