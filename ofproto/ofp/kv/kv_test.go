package kv

import "testing"

func TestNext(t *testing.T) {
	in := " a, b=1 c:x(y,z),d(e(f),g) set_field:1->reg0 load(1)->x,h(1->y"
	want := [][2]string{{"a", ""}, {"b", "1"}, {"c", "x(y,z)"}, {"d", "e(f),g"}, {"set_field", "1->reg0"},
		{"load", "1)->x"}, {"h", "1->y"}}
	for _, w := range want {
		key, value, rest, ok := Next(in)
		if !ok || key != w[0] || value != w[1] {
			t.Errorf("got %q %q %v, want %q", key, value, ok, w)
		}
		in = rest
	}
	if _, _, _, ok := Next(in); ok {
		t.Errorf("left over: %q", in)
	}
}

func TestNumbers(t *testing.T) {
	for in, want := range map[string]uint64{"10": 10, "0x1F": 31, "010": 8, "-1": ^uint64(0), "0": 0} {
		if got, err := U64(in); err != nil || got != want {
			t.Errorf("%s: %d %v", in, got, err)
		}
	}
	for _, in := range []string{"", "x", "08", "1x", "18446744073709551616"} {
		if _, err := U64(in); err == nil {
			t.Errorf("%q is a number", in)
		}
	}
	if _, err := U16("65536", "port"); err == nil || err.Error() != `invalid port "65536"` {
		t.Error(err)
	}
}

func FuzzNext(f *testing.F) {
	f.Add("a(b(c),d)->e,f=g")
	f.Fuzz(func(t *testing.T, s string) {
		for {
			_, _, rest, ok := Next(s)
			if !ok {
				return
			}
			if len(rest) >= len(s) {
				t.Fatalf("no progress at %q", s)
			}
			s = rest
		}
	})
}
