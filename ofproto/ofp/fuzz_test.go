package ofp

import (
	"bytes"
	"errors"
	"testing"

	"sluice/ofproto/ofp/oferr"
)

// FuzzDecode feeds the decoder and the printer.  What decodes must come back the
// same once it was encoded: the first encoding may leave out what the decoder leaves
// out (padding, unknown properties, fields that a version cannot say), the second
// may not change anything any more.
func FuzzDecode(f *testing.F) {
	for _, c := range allPrintCases(f) {
		f.Add(c.msg)
	}
	for _, m := range readCorpus(f) {
		if len(m.b) < 1024 {
			f.Add(m.b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if n := Length(b); n > 0 && n <= len(b) {
			b = b[:n]
		}
		Format(b, nil, 3)
		p := protocolAfter(0, append(b, 0))
		for _, loose := range []bool{false, true} {
			c := Context{Protocol: p, loose: loose}
			h, m, err := c.Decode(b)
			if err != nil {
				var code oferr.Code
				if !errors.As(err, &code) || !code.Valid() {
					t.Fatalf("error %v is none of OpenFlow", err)
				}
				continue
			}
			checkStable(t, &c, h.XID, m)
		}
	})
}

func checkStable(t *testing.T, c *Context, xid uint32, m Msg) {
	encode := func(m Msg) []byte {
		if hello, ok := m.(*Hello); ok {
			return EncodeHello(hello.Versions, xid)
		}
		e := encoder{v: ProtocolVersion(c.Protocol), p: c.Protocol, xid: xid}
		m.encode(&e)
		if len(e.b) == 0 || len(e.b) > MaxLen {
			return nil // cannot be said, or grew over the limit
		}
		return finish(e.b, 0)
	}
	first := encode(m)
	if first == nil {
		return
	}
	_, m2, err := c.Decode(first)
	if err != nil {
		t.Fatalf("decoded %#v\nencoded %x\nwhich does not decode: %v\n%s", m, first, err, Format(first, nil, 1))
	}
	if _, ok := m2.(*TableStatsReply); ok && c.Protocol == DefaultProtocol(OF11) {
		return // stock numbers the configuration differently in the two directions
	}
	if second := encode(m2); !bytes.Equal(first, second) {
		t.Fatalf("%T encoded first\n%x\nthen\n%x\n%s", m, first, second, Format(first, nil, 1))
	}
}

// FuzzHeader checks the framing on its own.
func FuzzHeader(f *testing.F) {
	f.Add([]byte{4, 18, 0, 24, 0, 0, 0, 1, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x23, 0x20, 0, 0, 0, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := DecodeHeader(b)
		if err == nil && (h.BodyOff > len(b) || h.Raw == RawInvalid || h.Type == TypeInvalid) {
			t.Fatalf("header %+v of %x", h, b)
		}
	})
}
