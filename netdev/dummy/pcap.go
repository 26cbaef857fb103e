package dummy

import (
	"encoding/binary"
	"os"

	"sluice/internal/errno"
)

// pcapFile is a capture that is appended to.  A nil pcapFile swallows
// everything.
type pcapFile struct{ f *os.File }

// pcapHeader is a classic pcap header in host order: version 2.4, microseconds,
// snap length 1518, link type Ethernet.
func pcapHeader() []byte {
	h := make([]byte, 24)
	binary.NativeEndian.PutUint32(h, 0xa1b2c3d4)
	binary.NativeEndian.PutUint16(h[4:], 2)
	binary.NativeEndian.PutUint16(h[6:], 4)
	binary.NativeEndian.PutUint32(h[16:], 1518)
	binary.NativeEndian.PutUint32(h[20:], 1)
	return h
}

// openPcap opens a capture for appending, nil (and a warning) if it cannot.
func openPcap(path string) *pcapFile {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o666)
	if err == nil {
		var st os.FileInfo
		if st, err = f.Stat(); err == nil && st.Size() == 0 {
			_, err = f.Write(pcapHeader())
		}
		if err == nil {
			return &pcapFile{f}
		}
		f.Close()
	}
	log.Warn("%s: failed to open pcap file for appending (%s)", path, errno.Text(err))
	return nil
}

// write appends one record in one write, so that a reader never sees half of it.
func (p *pcapFile) write(data []byte) {
	if p == nil {
		return
	}
	var ms int64
	if c := wall.Load(); c != nil {
		ms = (*c).Wall()
	}
	rec := make([]byte, 16, 16+len(data))
	binary.NativeEndian.PutUint32(rec, uint32(ms/1000))
	binary.NativeEndian.PutUint32(rec[4:], uint32(ms%1000*1000))
	binary.NativeEndian.PutUint32(rec[8:], uint32(len(data)))
	binary.NativeEndian.PutUint32(rec[12:], uint32(len(data)))
	// A full disk loses the capture, nothing else.
	_, _ = p.f.Write(append(rec, data...))
}

func (p *pcapFile) close() {
	if p != nil {
		p.f.Close()
	}
}
