package ofp

import (
	"encoding/binary"
	"fmt"

	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
)

// Context is what decoding depends on beside the message: the state of its
// connection and of the switch.  The zero Context decodes as a tool would that
// knows neither.  A connection keeps one, which makes decoding cheaper; it serves
// one goroutine at a time and must not be copied.
type Context struct {
	// Protocol of the connection; 0: the default of the message's version, with
	// table ids in flow_mods.
	Protocol Protocol
	// Tun is the switch's map of tunnel options, nil if there is none.
	Tun *field.TunTable
	// MaxPort, if not 0, is the least port number that does not exist in the
	// switch; actions must not name it or larger ones, reserved ones excepted.
	MaxPort uint32
	// NTables, if not 0, is the number of tables; goto_table must stay below it.
	NTables int

	// ReuseFlowMod decodes flow_mods into one struct, which is valid until the next
	// one.  It is for those who load many flows and keep what they need.
	ReuseFlowMod bool

	// loose accepts unknown properties and fields, as controllers and printing do.
	loose bool

	actions action.Decoder
	flowMod *FlowMod // for ReuseFlowMod
}

// Decode decodes a whole message.  An error is the oferr.Code to answer with.
func Decode(b []byte) (Msg, error) {
	_, m, err := (&Context{}).Decode(b)
	return m, err
}

// Decode decodes a whole message in the context.  The header is valid as far as
// it could be read even if there is an error; an error is the oferr.Code to answer
// with.  The message shares b's memory for packets and other opaque bytes.
func (c *Context) Decode(b []byte) (Header, Msg, error) {
	h, m, err := c.decode(b)
	if err != nil {
		m = nil
	}
	return h, m, err
}

// decode is Decode, but gives what it had decoded before an error.
func (c *Context) decode(b []byte) (Header, Msg, error) {
	if n := Length(b); n < 0 || n != len(b) {
		return Header{}, nil, oferr.OFPBRC_BAD_LEN
	}
	h, err := DecodeHeader(b)
	if err != nil {
		return h, nil, err
	}
	m, err := decoders[h.Raw](decoder{Header: h, msg: b, body: b[h.BodyOff:], c: c})
	return h, m, err
}

// decoder is a message being decoded.  It is passed by value: a pointer through
// the table of decoders would have to live on the heap.
type decoder struct {
	Header
	msg  []byte // all of it
	body []byte // what follows the headers
	c    *Context
}

// more reports whether further parts of a multipart message follow.
func (d *decoder) more() bool { return d.Flags&MultipartMore != 0 }

// protocol is the protocol of the connection, or the default.
func (d *decoder) protocol() Protocol {
	if d.c.Protocol != 0 {
		return d.c.Protocol
	}
	return WithTableID(DefaultProtocol(d.Version), true)
}

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
func be64(b []byte) uint64 { return binary.BigEndian.Uint64(b) }

// fixedString is the text in a fixed-size field, which a zero byte may end.
func fixedString(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}

// cutString is fixedString for fields whose last byte is never text.
func cutString(b []byte) string { return fixedString(b[:len(b)-1]) }

// port10 widens a 16-bit port number.
func port10(p uint16) uint32 {
	if p >= 0xff00 {
		return uint32(p) | 0xffff0000
	}
	return uint32(p)
}

// port11 checks a 32-bit port number: those between the 16-bit ones and the
// reserved ones cannot exist.
func port11(p uint32) (uint32, error) {
	if p >= 0xff00 && p < 0xffffff00 {
		return 0xffffffff, oferr.OFPBAC_BAD_OUT_PORT
	}
	return p, nil
}

// allZero reports whether padding is as it should be.
func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// Property types of experimenters: vendor and the vendor's number.
func propExp(vendor, typ uint32) uint64 { return uint64(vendor)<<32 | uint64(typ) }

// property is one type-length-value of a message.
type property struct {
	typ  uint64 // small, or propExp
	all  []byte // with its header, without padding
	body []byte // without its header
}

// pullProp takes the first property off b.  Types of minExp and above are those of
// experimenters.
func pullProp(b []byte, align int, minExp uint16) (p property, rest []byte, err error) {
	if len(b) < 4 {
		return p, nil, oferr.OFPBPC_BAD_LEN
	}
	n := int(be16(b[2:]))
	padded := (n + align - 1) / align * align
	if n < 4 || padded > len(b) {
		return p, nil, oferr.OFPBPC_BAD_LEN
	}
	p.all = b[:n:n]
	if t := be16(b); t < minExp {
		p.typ, p.body = uint64(t), p.all[4:]
	} else {
		if n < 12 {
			return p, nil, oferr.OFPBPC_BAD_LEN
		}
		vendor := be32(b[4:])
		if vendor == 0 {
			return p, nil, oferr.OFPBPC_BAD_EXPERIMENTER
		}
		p.typ, p.body = propExp(vendor, be32(b[8:])), p.all[12:]
	}
	return p, b[padded:], nil
}

// eachProp calls f for every property of b until one fails.
func eachProp(b []byte, f func(p property) error) error {
	for len(b) > 0 {
		p, rest, err := pullProp(b, 8, 0xffff)
		if err != nil {
			return err
		}
		if err := f(p); err != nil {
			return err
		}
		b = rest
	}
	return nil
}

// unknownProp is the error for a property that the message does not have.
func unknownProp(loose bool, typ uint64) error {
	switch {
	case loose:
		return nil
	case typ > 0xffff:
		return oferr.OFPBPC_BAD_EXP_TYPE
	}
	return oferr.OFPBPC_BAD_TYPE
}

// u32 is the value of a property that is one 32-bit number.
func (p property) u32() (uint32, error) {
	if len(p.body) != 4 {
		return 0, oferr.OFPBPC_BAD_LEN
	}
	return be32(p.body), nil
}

// u16 is the value of a property that begins with a 16-bit number.
func (p property) u16() (uint16, error) {
	if len(p.body) < 2 {
		return 0, oferr.OFPBPC_BAD_LEN
	}
	return be16(p.body), nil
}

// u8 is the value of a property that begins with a byte.
func (p property) u8() (uint8, error) {
	if len(p.body) < 1 {
		return 0, oferr.OFPBPC_BAD_LEN
	}
	return p.body[0], nil
}

// u64 is the value of a property that is one 64-bit number, aligned.
func (p property) u64() (uint64, error) {
	off := (len(p.all) - len(p.body) + 7) / 8 * 8
	if len(p.all) != off+8 {
		return 0, oferr.OFPBPC_BAD_LEN
	}
	return be64(p.all[off:]), nil
}

// nested is the value of a property that holds properties.
func (p property) nested() ([]byte, error) {
	off := (len(p.all) - len(p.body) + 7) / 8 * 8
	if len(p.all) < off {
		return nil, oferr.OFPBPC_BAD_LEN
	}
	return p.all[off:], nil
}

// encoder is a message being encoded.
type encoder struct {
	b     []byte
	start int // where the message begins in b
	v     Version
	p     Protocol
	xid   uint32
}

// Append encodes m for protocol p and appends it to dst.  A message that the
// version cannot express is left out: dst comes back as it was.  The message must
// fit MaxLen; multipart replies that may not need a ReplyBuilder.
func Append(dst []byte, p Protocol, xid uint32, m Msg) []byte {
	e := encoder{b: dst, start: len(dst), v: ProtocolVersion(p), p: p, xid: xid}
	m.encode(&e)
	if len(e.b) == e.start {
		return dst
	}
	if len(e.b)-e.start > MaxLen {
		panic(fmt.Sprintf("ofp: %v of %d bytes does not fit a message", m.Type(), len(e.b)-e.start))
	}
	return finish(e.b, e.start)
}

// Encode is Append for the default protocol of version v.
func Encode(v Version, xid uint32, m Msg) []byte { return Append(nil, DefaultProtocol(v), xid, m) }

// ErrorReply builds the answer to a request that failed with code: an OFPT_ERROR
// that quotes the request.
func ErrorReply(code oferr.Code, v Version, request []byte) []byte {
	var xid uint32
	if len(request) >= HeaderLen {
		xid = be32(request[4:])
	}
	return Encode(v, xid, NewError(code, v, request))
}

// NewError is the Error for code in version v, quoting data.
func NewError(code oferr.Code, v Version, data []byte) *Error {
	w, ok := code.Wire(v)
	if !ok {
		w, _ = oferr.NXBRC_UNENCODABLE_ERROR.Wire(v)
	}
	m := &Error{ErrType: w.Type, ErrCode: w.Code, Vendor: w.Vendor, Data: data}
	if w.Vendor != 0 {
		m.NXType = w.Type
		if v <= OF11 {
			m.ErrType = oferr.TypeNiciraVendor
		} else {
			m.ErrType, m.ErrCode = oferr.TypeExperimenter, w.Type
		}
	}
	return m
}

// begin writes the headers of a layout.
func (e *encoder) begin(r Raw) { e.b = appendHeader(e.b, r, e.v, e.xid) }

// beginPart writes the headers of a part of a multipart message.
func (e *encoder) beginPart(r Raw, more bool) {
	e.begin(r)
	if more {
		e.b[e.start+11] |= MultipartMore
	}
}

func (e *encoder) u8(x uint8)             { e.b = append(e.b, x) }
func (e *encoder) u16(x uint16)           { e.b = binary.BigEndian.AppendUint16(e.b, x) }
func (e *encoder) u32(x uint32)           { e.b = binary.BigEndian.AppendUint32(e.b, x) }
func (e *encoder) u64(x uint64)           { e.b = binary.BigEndian.AppendUint64(e.b, x) }
func (e *encoder) bytes(x []byte)         { e.b = append(e.b, x...) }
func (e *encoder) put16(at int, x uint16) { binary.BigEndian.PutUint16(e.b[at:], x) }

var zeroBytes [256]byte

func (e *encoder) zeros(n int) {
	for ; n > len(zeroBytes); n -= len(zeroBytes) {
		e.b = append(e.b, zeroBytes[:]...)
	}
	e.b = append(e.b, zeroBytes[:n]...)
}

// align pads to 8 bytes, counted from the start of the message plus off.
func (e *encoder) align(from int) { e.zeros((8 - (len(e.b)-from)%8) % 8) }

// str writes text into a field of n bytes, of which at least one is zero.
func (e *encoder) str(s string, n int) {
	if len(s) > n-1 {
		s = s[:n-1]
	}
	e.b = append(e.b, s...)
	e.zeros(n - len(s))
}

// port16 writes a 16-bit port number.
func (e *encoder) port16(p uint32) { e.u16(uint16(p)) }

// startProp begins a property; endProp fills in its length and pads it.
func (e *encoder) startProp(typ uint64) (at int) {
	at = len(e.b)
	if typ <= 0xffff {
		e.u16(uint16(typ))
		e.u16(4)
	} else {
		e.u16(0xffff)
		e.u16(12)
		e.u64(typ)
	}
	return at
}

func (e *encoder) endProp(at int) {
	e.put16(at+2, uint16(len(e.b)-at))
	e.align(at)
}

// propU32 writes a property that is one 32-bit number.
func (e *encoder) propU32(typ uint64, x uint32) {
	at := e.startProp(typ)
	e.u32(x)
	e.endProp(at)
}

// propU64 writes a property that is one 64-bit number.
func (e *encoder) propU64(typ uint64, x uint64) {
	at := e.startProp(typ)
	e.zeros(4)
	e.u64(x)
	e.endProp(at)
}

// stdRaw is the only layout of type t in version v: the one of the version itself
// if there is one, else that of an extension.
func stdRaw(t Type, v Version) Raw {
	if t < nTypes && v.Valid() {
		return rawByTypeVersion[v][t]
	}
	return RawInvalid
}

// rawByTypeVersion has the usual layout of each type in each version.
var rawByTypeVersion [OF15 + 1][nTypes]Raw

func init() {
	for r := RawInvalid + 1; r < nRaws; r++ {
		info := &rawTable[r]
		standard := info.class == classOFPT || info.class == classOFPST
		for v := max(info.min, OF10); v <= min(info.max, OF15); v++ {
			slot := &rawByTypeVersion[v][info.typ]
			if *slot == RawInvalid || standard {
				*slot = r
			}
		}
	}
}
