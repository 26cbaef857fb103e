package userspace

// cycleCounter reads the time stamp counter.
func cycleCounter() uint64
