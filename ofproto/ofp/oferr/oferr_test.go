package oferr

import (
	"errors"
	"fmt"
	"testing"

	"sluice/ofproto/ofp/ofver"
)

func TestWire(t *testing.T) {
	for _, c := range []struct {
		code Code
		v    ofver.Version
		want Wire
		ok   bool
	}{
		{OFPHFC_INCOMPATIBLE, ofver.OF10, Wire{0, 0, 0}, true},
		{OFPBRC_IS_SECONDARY, ofver.OF12, Wire{0, 1, 10}, true},
		{OFPBIC_BAD_EXP_TYPE, ofver.OF11, Wire{0, 3, 5}, true},
		{OFPBIC_BAD_EXP_TYPE, ofver.OF13, Wire{0, 3, 6}, true},
		{NXBRC_NXM_INVALID, ofver.OF10, Wire{0x2320, 1, 256}, true},
		{NXBRC_NXM_INVALID, ofver.OF15, Wire{0x2320, 2, 0}, true},
		{OFPBIC_UNKNOWN_INST, ofver.OF10, Wire{}, false},
	} {
		got, ok := c.code.Wire(c.v)
		if got != c.want || ok != c.ok {
			t.Errorf("%v in %v: got %+v %v, want %+v %v", c.code, c.v, got, ok, c.want, c.ok)
		}
	}
}

func TestFromWire(t *testing.T) {
	for v := ofver.OF10; v <= ofver.OF15; v++ {
		for c := none + 1; c < nCodes; c++ {
			w, ok := c.Wire(v)
			if !ok {
				continue
			}
			back, ok := FromWire(v, w)
			if !ok || back > c {
				t.Errorf("%v in %v: %+v reads back as %v", c, v, w, back)
			}
			if again, _ := back.Wire(v); again != w {
				t.Errorf("%v in %v: not stable", c, v)
			}
		}
	}
	if _, ok := FromWire(ofver.OF13, Wire{0, 0x7777, 1}); ok {
		t.Error("unknown type was found")
	}
	// OpenFlow 1.1 merges two errors; the first name wins.
	if c, _ := FromWire(ofver.OF11, Wire{0, 3, 5}); c != OFPBIC_BAD_EXPERIMENTER {
		t.Errorf("merged error is %v", c)
	}
}

func TestNames(t *testing.T) {
	for c := none + 1; c < nCodes; c++ {
		if got, ok := FromName(c.String()); !ok || got != c {
			t.Errorf("name %q gives %v", c, got)
		}
	}
	if none.String() != "<invalid>" || nCodes.Valid() {
		t.Error("invalid codes have names")
	}
	var code Code
	if err := fmt.Errorf("decode: %w", OFPBMC_BAD_MASK); !errors.As(err, &code) || code != OFPBMC_BAD_MASK {
		t.Error("Code is lost in an error chain")
	}
}
