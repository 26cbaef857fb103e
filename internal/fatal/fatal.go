// Package fatal remembers the files that must not outlive the process:
// control sockets, listening sockets, pidfiles. Their owners name them here;
// cmd/internal/daemon removes them when a signal ends the process.
//
// Thread-safety: everything may be called by any goroutine.
package fatal

import (
	"os"
	"sync"
)

var files struct {
	sync.Mutex
	names map[string]struct{}
}

// Add names a file to remove at the end of the process.
func Add(name string) {
	files.Lock()
	defer files.Unlock()
	if files.names == nil {
		files.names = map[string]struct{}{}
	}
	files.names[name] = struct{}{}
}

// Forget takes a file off the list without removing it.
func Forget(name string) {
	files.Lock()
	defer files.Unlock()
	delete(files.names, name)
}

// Unlink removes a file now and takes it off the list.
func Unlink(name string) error {
	Forget(name)
	return os.Remove(name)
}

// UnlinkAll removes all files on the list, for use just before the end.
func UnlinkAll() {
	files.Lock()
	defer files.Unlock()
	for name := range files.names {
		os.Remove(name)
	}
	files.names = nil
}
