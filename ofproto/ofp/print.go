package ofp

import (
	"fmt"
	"strconv"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
)

// Names gives names of ports and tables for printing.  A nil *Names and nil
// members know none.
type Names struct {
	Ports  field.PortMap
	Tables field.TableMap
}

// LogVerbosity is how much of messages connection logs show.
const LogVerbosity = 1

// Format is the text that logs and tools print for a message, which need not be
// well-formed.  Verbosity 1 is for logs; 2 adds the data of echoes, 3 that of
// packets, 5 and more a hex dump of the message.
func Format(b []byte, names *Names, verbosity int) string {
	return string(AppendFormat(nil, b, names, verbosity))
}

// AppendFormat appends Format's text to dst.
func AppendFormat(dst, b []byte, names *Names, verbosity int) []byte {
	p := printer{b: dst, start: len(dst), names: names, verbosity: verbosity}
	p.message(b)
	return p.b
}

// printer builds the text of one message.
type printer struct {
	b         []byte
	start     int
	names     *Names
	verbosity int
	Header           // of the message
	msg       []byte // the message
}

func (p *printer) message(b []byte) {
	switch {
	case len(b) == 0:
		p.str("OpenFlow message is empty\n")
	case len(b) < HeaderLen:
		p.f("OpenFlow packet too short (only %d bytes):\n", len(b))
	case int(be16(b[2:])) > len(b):
		if h, err := DecodePartialHeader(b); err == nil {
			p.header(h)
			p.byte('\n')
		}
		p.f("(***truncated to %d bytes from %d***)\n", len(b), be16(b[2:]))
	case int(be16(b[2:])) < len(b):
		p.f("(***only uses %d bytes out of %d***)\n", be16(b[2:]), len(b))
	default:
		p.whole(b)
		return
	}
	p.hexDump(b)
}

// whole prints a message whose length is right.
func (p *printer) whole(b []byte) {
	c := Context{loose: true}
	h, err := DecodeHeader(b)
	if err == nil {
		p.Header, p.msg = h, b
		p.header(h)
		afterHeader := len(p.b)
		var m Msg
		m, err = decoders[h.Raw](decoder{Header: h, msg: b, body: b[h.BodyOff:], c: &c})
		p.statsFlags()
		if m != nil {
			m.format(p)
		}
		if err == nil {
			p.chomp()
		} else if len(p.b) > afterHeader {
			p.chomp()
			p.newline()
		} else {
			p.byte(' ')
		}
	}
	if err != nil {
		p.f("***decode error: %v***\n", err)
	}
	if p.verbosity >= 5 || err != nil {
		p.newline()
		p.hexDump(b)
	}
	p.newline()
}

// header prints what all messages begin with.
func (p *printer) header(h Header) {
	p.str(h.Raw.String())
	switch {
	case h.Version == OF10:
	case h.Version.Valid():
		p.f(" (OF1.%d)", h.Version-OF10)
	default:
		p.f(" (OF 0x%02x)", uint8(h.Version))
	}
	p.f(" (xid=0x%x):", h.XID)
}

// statsFlags prints the flags of multipart messages.
func (p *printer) statsFlags() {
	info := &rawTable[p.Raw]
	if !info.multipart() || p.Flags == 0 {
		return
	}
	p.str(" flags=")
	flags := p.Flags
	if (info.isReply() || p.Version >= OF13) && flags&MultipartMore != 0 {
		p.str("[more]")
		flags &^= MultipartMore
	}
	if flags != 0 {
		p.f("[***unknown flags 0x%04x***]", flags)
	}
}

func (p *printer) byte(c byte)          { p.b = append(p.b, c) }
func (p *printer) str(s string)         { p.b = append(p.b, s...) }
func (p *printer) f(f string, a ...any) { p.b = fmt.Appendf(p.b, f, a...) }
func (p *printer) dec(x uint64)         { p.b = strconv.AppendUint(p.b, x, 10) }

// newline ends the line, if one is open.
func (p *printer) newline() {
	if len(p.b) > p.start && p.b[len(p.b)-1] != '\n' {
		p.byte('\n')
	}
}

// chomp removes one space from the end.
func (p *printer) chomp() { p.chompByte(' ') }

func (p *printer) chompByte(c byte) {
	if n := len(p.b); n > p.start && p.b[n-1] == c {
		p.b = p.b[:n-1]
	}
}

// hexDump prints bytes, 16 to a line, with their offsets and as text.
func (p *printer) hexDump(b []byte) {
	for ofs := 0; ofs < len(b); ofs += 16 {
		line := b[ofs:min(ofs+16, len(b))]
		p.f("%08x  ", ofs)
		for i := range 16 {
			if i >= len(line) {
				p.str("   ")
				continue
			}
			p.f("%02x", line[i])
			if i == 7 {
				p.byte('-')
			} else {
				p.byte(' ')
			}
		}
		p.byte('|')
		for i := range 16 {
			switch {
			case i >= len(line):
				p.byte(' ')
			case line[i] >= 32 && line[i] < 127:
				p.byte(line[i])
			default:
				p.byte('.')
			}
		}
		p.str("|\n")
	}
}

// printable prints bytes that should be text.
func (p *printer) printable(b []byte) {
	for _, c := range b {
		if c < 32 || c > 126 || c == '\\' || c == '"' {
			p.f("\\%03o", c)
		} else {
			p.byte(c)
		}
	}
}

// ports and tables are the maps of names, nil if there are none.
func (p *printer) ports() field.PortMap {
	if p.names == nil {
		return nil
	}
	return p.names.Ports
}

func (p *printer) tables() field.TableMap {
	if p.names == nil {
		return nil
	}
	return p.names.Tables
}

// port prints a port: its reserved name, its name, or its number.
func (p *printer) port(port uint32) { p.b = field.AppendPort(p.b, port, p.ports()) }

// table prints a table: its name or its number.
func (p *printer) table(table uint8) { p.b = field.AppendTable(p.b, table, p.tables()) }

// bitName is one row of a table of names of bits.
type bitName struct {
	bit  uint32
	name string
}

// bits prints the names of the bits in x, in rising order, and what is left in hex.
func (p *printer) bits(x uint32, names []bitName, sep byte) {
	if x == 0 {
		p.byte('0')
		return
	}
	n := 0
	for _, row := range names {
		if x&row.bit == 0 {
			continue
		}
		if n++; n > 1 {
			p.byte(sep)
		}
		p.str(row.name)
		x &^= row.bit
	}
	if x != 0 {
		if n > 0 {
			p.byte(sep)
		}
		p.f("0x%x", x)
	}
}

// duration prints seconds and nanoseconds.
func (p *printer) duration(sec, nsec uint32) {
	p.dec(uint64(sec))
	if nsec > 0 {
		if nsec%1000000 == 0 {
			p.f(".%03d", nsec/1000000)
		} else {
			p.f(".%09d", nsec)
			for p.b[len(p.b)-1] == '0' {
				p.b = p.b[:len(p.b)-1]
			}
		}
	}
	p.byte('s')
}

// mac prints an Ethernet address.
func (p *printer) mac(m flow.MAC) {
	p.f("%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5])
}
