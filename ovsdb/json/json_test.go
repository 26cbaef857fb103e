package json

import (
	"strings"
	"testing"
)

func TestRoundTrip(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{`null`, `null`}, {` [ 1 , 2 ] `, `[1,2]`},
		{`{"b":1,"a":2,"b":3}`, `{"a":2,"b":3}`},
		{`9223372036854775807`, `9223372036854775807`},
		{`-9223372036854775808`, `-9223372036854775808`},
		{`9223372036854775808`, `9.223372036854775808e+18`[:0] + `9.22337203685478e+18`},
		{`9223372036854775807.0`, `9223372036854775807`}, {`92233720368547758.07e2`, `9223372036854775807`},
		{`-9223372036854775808.0`, `-9223372036854775808`}, {`9007199254740993.0`, `9007199254740993`},
		{`1.0`, `1`}, {`1e3`, `1000`}, {`1.50e1`, `15`}, {`-0`, `0`}, {`0.0`, `0`},
		{`3.141592653589793`, `3.141592653589793`}, {`0.5`, `0.5`}, {`1e-7`, `1e-07`},
		{`"a\u00e9\ud83d\ude00\n\u0001"`, "\"a\u00e9\U0001f600\\n\\u0001\""},
		{`true`, `true`}, {`[]`, `[]`}, {`{}`, `{}`},
	} {
		v, err := Parse(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		got := v.Text()
		if c.in == `9223372036854775808` {
			if v.Kind() != Real {
				t.Errorf("%s: not real", c.in)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.in, got, c.want)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, in := range []string{
		``, `[`, `{`, `[1,]`, `{"a"}`, `{"a":}`, `01`, `-`, `1.`, `1e`, `"\u0000"`, `"\ud800"`, `"\udc00"`,
		"\"\x01\"", `tru`, `1e999`, `[1]x`, `"`, `"\`, `"\u12`, `{1:2}`, strings.Repeat("[", 1001) + strings.Repeat("]", 1001),
	} {
		if v, err := Parse(in); err == nil {
			t.Errorf("%.20q accepted as %s", in, v.Text())
		}
	}
	if _, err := Parse(strings.Repeat("[", 1000) + strings.Repeat("]", 1000)); err != nil {
		t.Errorf("depth 1000 refused: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x",null,true]}`, `1e400`, `"\ud83d\ude00"`, `[[[[`, `1.10e1`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, err := Parse(s)
		if err != nil {
			return
		}
		again, err := Parse(v.Text())
		if err != nil {
			t.Fatalf("%q printed as %q, which does not parse: %v", s, v.Text(), err)
		}
		if !Equal(&v, &again) {
			t.Fatalf("%q changed on the way: %q", s, again.Text())
		}
	})
}
