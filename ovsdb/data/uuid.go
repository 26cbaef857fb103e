// Package data holds OVSDB's values and what describes them: UUIDs, atoms,
// data (scalars, sets and maps), types with their constraints, schemas,
// conditions and mutations, each with its JSON form both ways, and the error
// objects of RFC 7047.
//
// ovsdb/db builds tables of it, ovsdb/monitor and ovsdb/storage encode it,
// ovsdb/client may share it. It knows nothing of rows in tables, transactions
// or the network.
package data

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
)

// UUID is a 128-bit identifier in two big-endian halves, so that comparing
// the halves as numbers orders UUIDs as their texts.
type UUID struct {
	// Hi holds the first 16 hexadecimal digits.
	Hi uint64
	// Lo holds the last 16 hexadecimal digits.
	Lo uint64
}

// NewUUID makes a random (version 4) UUID.
func NewUUID() UUID {
	var b [16]byte
	rand.Read(b[:]) // never fails
	u := UUIDFromBytes(b[:])
	u.Hi = u.Hi&^0xf000 | 0x4000
	u.Lo = u.Lo&^(3<<62) | 2<<62
	return u
}

// UUIDFromBytes takes the first 16 bytes of b.
func UUIDFromBytes(b []byte) UUID {
	return UUID{binary.BigEndian.Uint64(b), binary.BigEndian.Uint64(b[8:])}
}

// IsZero tells whether u is the all-zeros UUID.
func (u UUID) IsZero() bool { return u == UUID{} }

// Less orders UUIDs as their texts.
func (u UUID) Less(v UUID) bool { return u.Hi < v.Hi || u.Hi == v.Hi && u.Lo < v.Lo }

// Append writes the 36-character text form.
func (u UUID) Append(dst []byte) []byte {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], u.Hi)
	binary.BigEndian.PutUint64(b[8:], u.Lo)
	dst = hex.AppendEncode(dst, b[:4])
	for i := 4; i < 10; i += 2 {
		dst = append(dst, '-')
		dst = hex.AppendEncode(dst, b[i:i+2])
	}
	dst = append(dst, '-')
	return hex.AppendEncode(dst, b[10:])
}

// String gives the 36-character text form.
func (u UUID) String() string {
	var b [36]byte
	return string(u.Append(b[:0]))
}

// ParseUUID reads the 36-character text form.
func ParseUUID(s string) (UUID, bool) {
	if len(s) != 36 {
		return UUID{}, false
	}
	var u UUID
	n := 0
	for i := 0; i < 36; i++ {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return UUID{}, false
			}
			continue
		}
		var d byte
		switch {
		case c >= '0' && c <= '9':
			d = c - '0'
		case c >= 'a' && c <= 'f':
			d = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			d = c - 'A' + 10
		default:
			return UUID{}, false
		}
		if n < 16 {
			u.Hi = u.Hi<<4 | uint64(d)
		} else {
			u.Lo = u.Lo<<4 | uint64(d)
		}
		n++
	}
	return u, true
}
