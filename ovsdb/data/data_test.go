package data

import (
	"fmt"
	"math/rand"
	"testing"

	"sluice/ovsdb/json"
)

func parse(t *testing.T, text string) *json.Value {
	t.Helper()
	v, err := json.Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return &v
}

func mustType(t *testing.T, text string) *Type {
	t.Helper()
	ty, err := ParseType(parse(t, text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return &ty
}

func TestTypes(t *testing.T) {
	for _, c := range []struct{ in, want, english string }{
		{`"integer"`, `"integer"`, "integer"},
		{`{"key":"string","min":0,"max":"unlimited"}`, `{"key":"string","max":"unlimited","min":0}`, "set of strings"},
		{`{"key":{"type":"integer","minInteger":1},"value":"real","min":0,"max":5}`,
			`{"key":{"minInteger":1,"type":"integer"},"max":5,"min":0,"value":"real"}`, "map of up to 5 (integer, real) pairs"},
		{`{"key":{"type":"uuid","refTable":"a","refType":"weak"},"max":3}`,
			`{"key":{"refTable":"a","refType":"weak","type":"uuid"},"max":3}`, "set of 1 to 3 uuids"},
		{`{"key":{"type":"string","enum":["set",["b","a"]]}}`, `{"key":{"enum":["set",["a","b"]],"type":"string"}}`, "string"},
	} {
		ty := mustType(t, c.in)
		js := ty.JSON()
		if got := js.Text(); got != c.want {
			t.Errorf("%s: JSON %s, want %s", c.in, got, c.want)
		}
		if got := ty.English(); got != c.english {
			t.Errorf("%s: %q, want %q", c.in, got, c.english)
		}
	}
}

func TestBadTypes(t *testing.T) {
	for in, want := range map[string]string{
		`5`:                         `syntax "5": syntax error: ovsdb type expected`,
		`"foo"`:                     `syntax ""foo"": syntax error: "foo" is not an atomic-type`,
		`{"key":"integer","min":2}`: `syntax "{"key":"integer","min":2}": syntax error: ovsdb type fails constraint checks`,
		`{"key":"integer","foo":2}`: `syntax "{"foo":2,"key":"integer"}": syntax error: Parsing ovsdb type failed: Member 'foo' is present but not allowed here.`,
		`{"key":{"type":"integer","minInteger":5,"maxInteger":4}}`: `syntax "{"maxInteger":4,"minInteger":5,"type":"integer"}": syntax error: minInteger exceeds maxInteger`,
	} {
		if _, err := ParseType(parse(t, in)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

func TestDatum(t *testing.T) {
	for _, c := range []struct{ typ, in, want string }{
		{`"integer"`, `9223372036854775807`, `9223372036854775807`},
		{`"integer"`, `["set",[7]]`, `7`},
		{`"real"`, `0.1`, `0.1`},
		{`{"key":"string","min":0,"max":2}`, `["set",["b","a"]]`, `["set",["a","b"]]`},
		{`{"key":"string","min":0,"max":2}`, `["set",[]]`, `["set",[]]`},
		{`{"key":"string","min":0,"max":2}`, `"x"`, `"x"`},
		{`{"key":"string","value":"integer","min":0,"max":2}`, `["map",[["b",1],["a",2]]]`, `["map",[["a",2],["b",1]]]`},
		{`"uuid"`, `["uuid","0001020304050607-8-9-a-b"]`, `syntax error`},
		{`"integer"`, `["set",[1,2]]`, `syntax error`},
		{`"integer"`, `1.5`, `syntax error`},
		{`{"key":"string","min":0,"max":2}`, `["set",["a","a"]]`, `ovsdb error`},
		{`{"key":{"type":"integer","maxInteger":5}}`, `6`, `constraint violation`},
		{`{"key":{"type":"string","minLength":2}}`, `"é"`, `constraint violation`},
		{`{"key":{"type":"string","enum":"x"}}`, `"y"`, `constraint violation`},
	} {
		ty := mustType(t, c.typ)
		d, err := ParseDatum(parse(t, c.in), ty, nil)
		got := ""
		if err != nil {
			got = err.Tag
		} else {
			got = string(d.AppendJSON(nil, ty))
		}
		if got != c.want {
			t.Errorf("%s %s: %s (%v), want %s", c.typ, c.in, got, err, c.want)
		}
	}
}

// TestLargeSets compares sets in pieces with a plain map.
func TestLargeSets(t *testing.T) {
	ty := mustType(t, `{"key":"integer","min":0,"max":"unlimited"}`)
	rnd := rand.New(rand.NewSource(1))
	model := map[int64]bool{}
	d := Empty
	check := func(step string) {
		t.Helper()
		if d.Len() != len(model) {
			t.Fatalf("%s: %d elements, want %d", step, d.Len(), len(model))
		}
		last, first := int64(0), true
		for k := range d.All {
			if !model[k.Int()] || !first && k.Int() <= last {
				t.Fatalf("%s: element %d out of place", step, k.Int())
			}
			last, first = k.Int(), false
		}
	}
	for i := 0; i < 400; i++ {
		var atoms []Atom
		for j := 0; j < 1+rnd.Intn(20); j++ {
			atoms = append(atoms, IntAtom(rnd.Int63n(8000)))
		}
		arg := NewSet(Integer, atoms...)
		old := d
		switch {
		case i%100 > 70:
			var all []Atom
			for k := range d.All {
				if rnd.Intn(3) == 0 {
					all = append(all, *k)
				}
			}
			arg = NewSet(Integer, all...)
			d = Subtract(ty, d, arg)
			for k := range arg.All {
				delete(model, k.Int())
			}
		default:
			d = Union(ty, d, arg)
			for k := range arg.All {
				model[k.Int()] = true
			}
		}
		check(fmt.Sprint("step ", i))
		diff := Diff(ty, old, d)
		back, err := ApplyDiff(ty, old, diff)
		if err != nil || !Equal(ty, back, d) {
			t.Fatalf("step %d: applying the difference gives something else (%v)", i, err)
		}
	}
}

func TestMutations(t *testing.T) {
	schema, err := ParseSchemaText(`{"name":"t","tables":{"a":{"columns":{
		"i":{"type":"integer"},"r":{"type":"real"},"s":{"type":{"key":"integer","min":0,"max":3}},
		"m":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}},
		"fixed":{"type":"integer","mutable":false}}}}}`)
	if err != nil {
		t.Fatal(err)
	}
	ts := schema.Table("a")
	for _, c := range []struct{ start, mutation, want string }{
		{`5`, `["i","+=",3]`, `8`},
		{`9223372036854775807`, `["i","+=",1]`, `range error`},
		{`-9223372036854775808`, `["i","-=",1]`, `range error`},
		{`-9223372036854775808`, `["i","/=",-1]`, `range error`},
		{`-9223372036854775808`, `["i","*=",-1]`, `range error`},
		{`-7`, `["i","/=",2]`, `-3`},
		{`-7`, `["i","%=",4]`, `-3`},
		{`1`, `["i","/=",0]`, `domain error`},
		{`1.5`, `["r","*=",2]`, `3`},
		{`1`, `["r","%=",2]`, `syntax error`},
		{`["set",[1,2]]`, `["s","insert",["set",[2,3]]]`, `["set",[1,2,3]]`},
		{`["set",[1,2]]`, `["s","insert",["set",[3,4]]]`, `constraint violation`},
		{`["set",[1,2]]`, `["s","delete",1]`, `2`},
		{`["set",[1,2]]`, `["s","%=",1]`, `constraint violation`},
		{`["map",[["a",1],["b",2]]]`, `["m","delete",["set",["a"]]]`, `["map",[["b",2]]]`},
		{`["map",[["a",1],["b",2]]]`, `["m","delete",["map",[["a",5],["b",2]]]]`, `["map",[["a",1]]]`},
		{`["map",[["a",1]]]`, `["m","insert",["map",[["a",5],["b",2]]]]`, `["map",[["a",1],["b",2]]]`},
		{`1`, `["fixed","+=",1]`, `constraint violation`},
		{`1`, `["nope","+=",1]`, `unknown column`},
		{`1`, `["i","^=",1]`, `unknown mutator`},
	} {
		got := func() string {
			ms, err := ParseMutations(parse(t, "["+c.mutation+"]"), ts, nil)
			if err != nil {
				return err.Tag
			}
			d, err := ParseDatum(parse(t, c.start), &ms[0].Column.Type, nil)
			if err != nil {
				return err.Error()
			}
			if d, err = ms[0].Apply(d); err != nil {
				return err.Tag
			}
			return string(d.AppendJSON(nil, &ms[0].Column.Type))
		}()
		if got != c.want {
			t.Errorf("%s %s: %s, want %s", c.start, c.mutation, got, c.want)
		}
	}
}

func TestUUID(t *testing.T) {
	u := NewUUID()
	v, ok := ParseUUID(u.String())
	if !ok || u != v {
		t.Errorf("%s became %s", u, v)
	}
	for _, s := range []string{"", u.String()[1:], u.String() + "0", "g" + u.String()[1:], "00000000x0000-0000-0000-000000000000"} {
		if _, ok := ParseUUID(s); ok {
			t.Errorf("%q accepted", s)
		}
	}
}

func FuzzSchema(f *testing.F) {
	f.Add(`{"name":"t","version":"1.2.3","tables":{"a":{"columns":{"i":{"type":{"key":{"type":"uuid","refTable":"a"},"min":0,"max":"unlimited"}}},"indexes":[["i"]]}}}`)
	f.Add(`{"name":"t","tables":{"a":{"maxRows":0,"columns":{}}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchemaText(text)
		if err != nil {
			return
		}
		js := s.JSON()
		again, err := ParseSchema(&js)
		if err != nil {
			t.Fatalf("%s: own form refused: %v", js.Text(), err)
		}
		if j2 := again.JSON(); !json.Equal(&js, &j2) {
			t.Fatalf("%s became %s", js.Text(), j2.Text())
		}
	})
}

// TestBadUTF8 compares what errors show of malformed strings with stock's.
func TestBadUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"ok\x80":           "0x80",
		"\xff":             "0xff",
		"\xc0\x80":         "0xc0",
		"\xc3":             "0xc3 0x00",
		"\xc3a":            "0xc3 0x61",
		"\xe0\x80\x80":     "0xe0 0x80",
		"\xe1\x80a":        "0xe1 0x80 0x61",
		"\xed\xa0\x80":     "0xed 0xa0",
		"\xf0\x80\x80\x80": "0xf0 0x80",
		"\xf1\x80\x80":     "0xf1 0x80 0x80 0x00",
		"\xf4\x90\x80\x80": "0xf4 0x90",
		"\xf5\x80\x80\x80": "0xf5",
	} {
		if got := badUTF8(in); got != "invalid UTF-8 sequence "+want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
