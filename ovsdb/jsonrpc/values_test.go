package jsonrpc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestElems(t *testing.T) {
	for in, want := range map[string][]string{
		`[]`:   {},
		` [ ]`: {},
		`[1,"a,]\"[", {"x":[1, 2]} ,[ [] ],null]`: {"1", `"a,]\"["`, `{"x":[1, 2]}`, "[ [] ]", "null"},
		`3`: nil,
	} {
		var got []string
		if e := Elems([]byte(in)); e != nil {
			got = []string{}
			for _, v := range e {
				got = append(got, string(v))
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", in, d)
		}
	}
	list := []string{"", "a\"b", "ü"}
	if got, ok := Strings(AppendStrings(nil, list...)); !ok || !cmp.Equal(got, list) {
		t.Errorf("%q %v", got, ok)
	}
	if _, ok := Strings([]byte(`["a",1]`)); ok {
		t.Error("a number is no string")
	}
}

func FuzzElems(f *testing.F) {
	f.Add([]byte(`[1,"a",{}]`))
	f.Add([]byte(`[1,"a",{]}`))
	f.Fuzz(func(t *testing.T, in []byte) { Elems(in); Strings(in); Compact(in) })
}
