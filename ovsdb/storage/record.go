// Package storage keeps a database in a file in the formats of Open vSwitch:
// the standalone log ("OVSDB JSON") and the log of a clustered database with
// one member ("OVSDB CLUSTER").
//
// A Log is the file itself; Encode and Apply turn transactions into records
// and back; a Writer appends records from a goroutine of its own, so that one
// flush of the disk serves all transactions that waited for one, and compacts
// the file beside the running commits. ovsdb/server uses it. It knows no
// sessions and takes the time as an argument.
package storage

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"strconv"
)

// Magic tells the two formats apart.
const (
	MagicStandalone = "JSON"
	MagicCluster    = "CLUSTER"
)

const maxHeader = 128

// Frame appends a record with the given content, which is one line of JSON
// without its line feed.
func Frame(dst []byte, magic string, body []byte) []byte {
	h := sha1.New()
	h.Write(body)
	h.Write([]byte{'\n'})
	dst = header(dst, magic, len(body)+1, 0, h.Sum(nil))
	dst = append(dst, body...)
	return append(dst, '\n')
}

// header appends a record's header; width pads the length with zeros.
func header(dst []byte, magic string, size, width int, sum []byte) []byte {
	dst = append(dst, "OVSDB "...)
	dst = append(dst, magic...)
	dst = append(dst, ' ')
	dst = fmt.Appendf(dst, "%0*d", width, size)
	dst = append(dst, ' ')
	dst = hex.AppendEncode(dst, sum)
	return append(dst, '\n')
}

// parseHeader reads "OVSDB <magic> <length> <sha1>\n".
func parseHeader(line []byte) (magic string, size int64, sum []byte, ok bool) {
	if !bytes.HasSuffix(line, []byte{'\n'}) {
		return "", 0, nil, false
	}
	f := bytes.Split(line[:len(line)-1], []byte{' '})
	if len(f) != 4 || string(f[0]) != "OVSDB" {
		return "", 0, nil, false
	}
	n, err := strconv.ParseInt(string(f[2]), 10, 62)
	if err != nil || n <= 0 {
		return "", 0, nil, false
	}
	sum, err = hex.DecodeString(string(f[3]))
	if err != nil || len(sum) != sha1.Size {
		return "", 0, nil, false
	}
	return string(f[1]), n, sum, true
}
