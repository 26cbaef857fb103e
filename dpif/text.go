package dpif

import "fmt"

// AppendStats appends the counters of a flow as commands and logs print them.
func AppendStats(b []byte, s *FlowStats, now int64) []byte {
	b = fmt.Appendf(b, "packets:%d, bytes:%d, used:", s.Packets, s.Bytes)
	if s.Used != 0 {
		b = fmt.Appendf(b, "%.3fs", float64(now-s.Used)/1000)
	} else {
		b = append(b, "never"...)
	}
	if s.TCPFlags != 0 {
		b = append(b, ", flags:"...)
		b = AppendTCPFlags(b, s.TCPFlags)
	}
	return b
}

// tcpFlagText is the letters of TCP flags in the order that they are printed in.
var tcpFlagText = [...]struct {
	bit  uint16
	text string
}{
	{0x002, "S"}, {0x001, "F"}, {0x008, "P"}, {0x004, "R"}, {0x020, "U"}, {0x010, "."},
	{0x040, "E"}, {0x080, "C"}, {0x100, "N"}, {0x200, "[200]"}, {0x400, "[400]"}, {0x800, "[800]"},
}

// AppendTCPFlags appends TCP flags as letters.
func AppendTCPFlags(b []byte, flags uint16) []byte {
	if flags == 0 {
		return append(b, "none"...)
	}
	for _, f := range tcpFlagText {
		if flags&f.bit != 0 {
			b = append(b, f.text...)
		}
	}
	return b
}
