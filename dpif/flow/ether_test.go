package flow

import (
	"bytes"
	"testing"
)

func TestEtherPayload(t *testing.T) {
	addrs := make([]byte, 12)
	for _, c := range []struct {
		name, tail string
		typ        uint16
		payload    string
	}{
		{"plain", "\x88\xccabc", 0x88cc, "abc"},
		{"nothing behind", "\x88\xcc", 0x88cc, ""},
		{"tag", "\x81\x00\x00\x05\x88\xccabc", 0x88cc, "abc"},
		{"two tags", "\x88\xa8\x00\x05\x81\x00\x00\x06\x88\xccabc", 0x88cc, "abc"},
		{"no type", "\x88", 0, ""},
		{"no type behind a tag", "\x81\x00\x00\x05\x88", 0, ""},
		{"half a tag", "\x81\x00\x00", 0, ""},
	} {
		typ, b := EtherPayload(append(bytes.Clone(addrs), c.tail...))
		if typ != c.typ || string(b) != c.payload {
			t.Errorf("%s: %#x %q", c.name, typ, b)
		}
	}
	if typ, b := EtherPayload(addrs[:5]); typ != 0 || b != nil {
		t.Errorf("five bytes: %#x %q", typ, b)
	}
}
