package storage

import "unsafe"

// unsafeString gives the bytes of a buffer that nobody writes any more as a
// string without copying them: records may be very large.
func unsafeString(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }
