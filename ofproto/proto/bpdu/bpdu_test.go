package bpdu

import (
	"bytes"
	"encoding/hex"
	"testing"

	"sluice/dpif/flow"
)

var config = BPDU{Type: Config, Flags: TopologyChange, RootID: NewID(0x8000, 0xaa55aa550000), RootPathCost: 19,
	BridgeID: NewID(0x8000, 0xaa66aa660001), PortID: 0x8002, MessageAge: 256, MaxAge: 20 * 256, HelloTime: 512, ForwardDelay: 15 * 256}

func TestFrames(t *testing.T) {
	rst := config
	rst.Type, rst.Version, rst.Flags = RST, 2, Proposal|Agreement|RoleFlags(RoleDesignated)
	for _, c := range []struct {
		p    BPDU
		want string
	}{
		{BPDU{Type: TCN}, "0180c2000000" + "020000000001" + "0007" + "424203" + "00000080"},
		{config, "0180c2000000" + "020000000001" + "0026" + "424203" + "0000000001" + "8000aa55aa550000" + "00000013" +
			"8000aa66aa660001" + "8002" + "0100" + "1400" + "0200" + "0f00"},
		{rst, "0180c2000000" + "020000000001" + "0027" + "424203" + "000002024e" + "8000aa55aa550000" + "00000013" +
			"8000aa66aa660001" + "8002" + "0100" + "1400" + "0200" + "0f00" + "00"},
	} {
		f := c.p.Frame(flow.MAC{2, 0, 0, 0, 0, 1})
		if got := hex.EncodeToString(f); got != c.want {
			t.Errorf("frame of %+v:\n%s, want\n%s", c.p, got, c.want)
		}
		b, ok := Payload(append(f, make([]byte, 20)...)) // padded
		if !ok {
			t.Fatal("no payload")
		}
		if got, err := Parse(b); err != nil || got != c.p {
			t.Errorf("parsed %+v, %v, want %+v", got, err, c.p)
		}
	}
}

func TestVLANTagged(t *testing.T) {
	f := config.Frame(flow.MAC{2, 0, 0, 0, 0, 1})
	tagged := append(append(append([]byte{}, f[:12]...), 0x81, 0, 0, 5), f[12:]...)
	b, ok := Payload(tagged)
	if got, err := Parse(b); !ok || err != nil || got != config {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestErrors(t *testing.T) {
	whole := config.Append(nil)
	for _, c := range []struct {
		b    []byte
		want string
	}{
		{nil, "runt 0-byte BPDU"},
		{[]byte{0, 0, 0}, "runt 3-byte BPDU"},
		{[]byte{0, 7, 0, 0x80}, "BPDU with unexpected protocol ID 7"},
		{whole[:34], "config BPDU with invalid size 34"},
		{append([]byte{0, 0, 2, 2}, whole[4:]...), "RST BPDU with invalid size 35"},
		{[]byte{0, 0, 0, 3}, "BPDU of unexpected type 3"},
	} {
		if _, err := Parse(c.b); err == nil || err.Error() != c.want {
			t.Errorf("%x: %v, want %s", c.b, err, c.want)
		}
	}
	if _, ok := Payload(make([]byte, 16)); ok {
		t.Error("a frame of 16 bytes has a payload")
	}
	if _, ok := Payload(append(make([]byte, 12), 0, 2, 0x42, 0x42, 3, 0, 0)); ok {
		t.Error("a frame whose length excludes LLC has a payload")
	}
}

func TestID(t *testing.T) {
	id := NewID(0x8001, 0xaa55aa550102)
	if s := id.String(); s != "8001.aa55aa550102" {
		t.Error(s)
	}
	if m := (flow.MAC{0xaa, 0x55, 0xaa, 0x55, 1, 2}); id.MAC() != m {
		t.Error(id.MAC())
	}
}

func FuzzParse(f *testing.F) {
	f.Add(config.Frame(flow.MAC{}))
	f.Add((&BPDU{Type: TCN}).Frame(flow.MAC{}))
	f.Add((&BPDU{Type: RST, Version: 2, Flags: 0xff}).Frame(flow.MAC{}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, frame []byte) {
		b, ok := Payload(frame)
		if !ok {
			return
		}
		p, err := Parse(b)
		if err != nil {
			return
		}
		w := p.Append(nil)
		if len(w) > len(b) {
			t.Fatalf("read %d bytes out of %d", len(w), len(b))
		}
		n := len(w)
		if p.Type == RST {
			n-- // Version 1 Length is not kept
		}
		if !bytes.Equal(w[:n], b[:n]) {
			t.Fatalf("%x became %x", b, w)
		}
	})
}
