package packet

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// slowSum is RFC 1071 as it is written.
func slowSum(b []byte, initial uint16) uint16 {
	s := uint32(initial)
	for i := 0; i < len(b); i += 2 {
		w := uint32(b[i]) << 8
		if i+1 < len(b) {
			w |= uint32(b[i+1])
		}
		s += w
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

// same compares sums, in which 0 and 0xffff are the same number.
func same(a, b uint16) bool { return a%0xffff == b%0xffff }

func TestSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "b")
		initial := rapid.Uint16().Draw(t, "initial")
		if got, want := Sum(b, initial), slowSum(b, initial); !same(got, want) {
			t.Fatalf("sum %#x, want %#x", got, want)
		}
	})
}

func TestRecalc(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "b")
		before := Checksum(b)
		at := 2 * rapid.IntRange(0, 8).Draw(t, "at")
		v16, v32 := rapid.Uint16().Draw(t, "v16"), rapid.Uint32().Draw(t, "v32")
		old16, old32 := binary.BigEndian.Uint16(b[at:]), binary.BigEndian.Uint32(b[at:])
		binary.BigEndian.PutUint16(b[at:], v16)
		if got, want := Recalc16(before, old16, v16), Checksum(b); !same(got, want) {
			t.Fatalf("Recalc16: %#x, want %#x", got, want)
		}
		binary.BigEndian.PutUint16(b[at:], old16)
		binary.BigEndian.PutUint32(b[at:], v32)
		if got, want := Recalc32(before, old32, v32), Checksum(b); !same(got, want) {
			t.Fatalf("Recalc32: %#x, want %#x", got, want)
		}
	})
}

func BenchmarkSum1500(b *testing.B) {
	buf := fill(1500)
	b.SetBytes(1500)
	for b.Loop() {
		Sum(buf, 0)
	}
}
