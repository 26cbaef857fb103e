package jsonrpc

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sluice/internal/poll"
	"sluice/ovsdb/stream"
)

func TestParse(t *testing.T) {
	for _, tc := range []struct{ in, typ, method, params, result, err, id string }{
		{in: `{"id":1,"method":"m","params":[]}`, typ: "request", method: "m", params: "[]", id: "1"},
		{in: ` {"params" : [ 1 ] , "method":"a\"b\u00e9", "id":null} `, typ: "notification", method: "a\"bé", params: "[ 1 ]"},
		{in: `{"id":"x","result":{"a":[1,2.5e3,-0,true]},"error":null}`, typ: "reply", result: `{"a":[1,2.5e3,-0,true]}`, id: `"x"`},
		{in: `{"id":[1],"error":"e","result":null}`, typ: "error", err: `"e"`, id: "[1]"},
		{in: `{"id":1,"method":"m","params":[],"id":2}`, typ: "request", method: "m", params: "[]", id: "2"},
	} {
		m, err := Parse([]byte(tc.in))
		if err != nil {
			t.Errorf("%s: %v", tc.in, err)
			continue
		}
		got := []string{m.Type.String(), m.Method, string(m.Params), string(m.Result), string(m.Error), string(m.ID)}
		want := []string{tc.typ, tc.method, tc.params, tc.result, tc.err, tc.id}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", tc.in, d)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for in, want := range map[string]string{
		`x`:                                 "syntax error at beginning of input",
		`[]`:                                "message is not a JSON object",
		`{"a":1}`:                           `message has unexpected member "a"`,
		`{"":1}`:                            `message has unexpected member ""`,
		`{"id":1,"method":3,"params":[]}`:   "method is not a JSON string",
		`{"id":1,"method":"x"}`:             `request must have "params"`,
		`{"id":1,"method":"x","params":{}}`: `"params" must be JSON array`,
		`{"id":1,"result":3,"error":4}`:     `reply must not have "error"`,
		`{"params":[]}`:                     `notification must have "method"`,
		`{"jsonrpc":"2.0","id":1,"method":"x","params":[]}`: `message has unexpected member "jsonrpc"`,
		`{"id":01}`:        "leading zeros not allowed",
		`{"id":1e999}`:     "number outside valid range",
		`{"id":1.}`:        "decimal point must be followed by digit",
		`{"id":-}`:         "'-' must be followed by digit",
		`{"id":nul}`:       "invalid keyword 'nul'",
		`{"id":"\u0000"}`:  "null bytes not supported in quoted strings",
		`{"id":"\ud800x"}`: "malformed escaped surrogate pair",
		`{"id":"\q"}`:      `bad escape \q`,
		"{\"id\":\"\n\"}":  "U+000A must be escaped in quoted string",
		`{"id":1,}`:        "syntax error parsing object expecting string",
		`{"id" 1}`:         "syntax error parsing object expecting ':'",
		`{"id":[1 2]}`:     "syntax error expecting ']' or ','",
		`{"id":[1,]}`:      "syntax error expecting value",
		`{"id":[}`:         "syntax error expecting value",
		`{`:                "unexpected end of input",
		`{}{`:              "trailing garbage at end of input",
	} {
		_, err := Parse([]byte(in))
		if err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

func TestDepth(t *testing.T) {
	deep := func(n int) error {
		_, err := Parse([]byte(`{"id":1,"method":"m","params":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}"))
		return err
	}
	if err := deep(maxDepth - 1); err != nil {
		t.Error(err)
	}
	if err := deep(maxDepth); err == nil {
		t.Error("too deep, but accepted")
	}
}

func TestCompactQuote(t *testing.T) {
	in := "[ \"a \\\" b\",\t{ \"c\" : 1 } ]"
	if got := string(Compact([]byte(in))); got != `["a \" b",{"c":1}]` {
		t.Error(got)
	}
	for _, s := range []string{"", "a\"\\\b\t\n\f\r\x01é"} {
		got, ok := Unquote(Quote(s))
		if !ok || got != s {
			t.Errorf("%q: %q", s, got)
		}
	}
}

func pair(t *testing.T) (a, b *Conn) {
	x, y := stream.Pair()
	a, b = NewConn(x), NewConn(y)
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// recv turns both ends until b has a message or an end.
func recv(t *testing.T, a, b *Conn) (*Msg, error) {
	t.Helper()
	for {
		a.Run(0)
		m, err := b.Recv()
		if err != ErrAgain {
			return m, err
		}
		var s poll.Set
		a.Wait(&s)
		b.RecvWait(&s)
		s.Block(0)
	}
}

func TestConn(t *testing.T) {
	a, b := pair(t)
	big := append(append([]byte("[\""), bytes.Repeat([]byte("x"), 3<<20)...), "\"]"...)
	sent := []*Msg{NewRequest("one", []byte("[]")), NewNotify("two", big), NewReply([]byte("{}"), []byte("7")), NewRequest("three", []byte(`["é"]`))}
	for _, m := range sent {
		if err := a.Send(m); err != nil {
			t.Fatal(err)
		}
	}
	if a.Backlog() == 0 {
		t.Error("the large message must wait")
	}
	for _, want := range sent {
		m, err := recv(t, a, b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, m); d != "" {
			t.Error(d)
		}
	}
	if a.Backlog() != 0 {
		t.Errorf("backlog %d", a.Backlog())
	}
	a.Close()
	if _, err := recv(t, a, b); err != io.EOF {
		t.Errorf("end: %v", err)
	}
}

func TestPieces(t *testing.T) {
	x, y := stream.Pair()
	b := NewConn(y)
	defer b.Close()
	text := ` {"id":[1.5e1,tru` + "|" + `e],"meth` + "|" + `od":"\u00` + "|" + `e9","params":[]}{"id"` + "|" + `:1,"result":0}`
	var got []string
	for _, piece := range strings.Split(text, "|") {
		if _, err := x.Write([]byte(piece)); err != nil {
			t.Fatal(err)
		}
		for {
			m, err := b.Recv()
			if err != nil {
				break
			}
			got = append(got, m.Type.String()+m.Method+string(m.ID))
		}
	}
	if d := cmp.Diff([]string{"requesté[1.5e1,true]", "reply1"}, got); d != "" {
		t.Error(d)
	}
	x.Write([]byte("nonsense"))
	if _, err := b.Recv(); err != unix.EPROTO || b.Err() != unix.EPROTO {
		t.Errorf("nonsense: %v", err)
	}
	x.Close()
}

func TestLimits(t *testing.T) {
	a, b := pair(t)
	b.SetMaxMessage(1 << 20)
	a.Send(NewNotify("m", append(append([]byte("[\""), bytes.Repeat([]byte("x"), 2<<20)...), "\"]"...)))
	if _, err := recv(t, a, b); err != unix.EPROTO {
		t.Errorf("too large: %v", err)
	}
	c, _ := pair(t)
	c.SetBacklogThreshold(60, 0)
	for range 5000 {
		c.Send(NewNotify("m", []byte(`["`+strings.Repeat("x", 1000)+`"]`)))
	}
	if c.Err() != unix.E2BIG {
		t.Errorf("backlog: %v", c.Err())
	}
}

// The scanner and encoding/json must agree about what is JSON, but for what
// stock refuses and encoding/json takes.
func FuzzParse(f *testing.F) {
	for _, s := range []string{`{"id":1,"method":"m","params":[{"a":[1,2e3,-4.5,"\ud83d\ude00",null,true]}]}`, `{"":[[[]]],"b":{}}`, `{`, `[1,2]`, `{"id":"\u0000"}`, "{\"id\":\"\xff\"}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Parse(in)
		if err == nil {
			if _, err := Parse(m.Append(nil)); err != nil {
				t.Errorf("%q became %q: %v", in, m.Append(nil), err)
			}
			if !json.Valid(in) {
				t.Errorf("%q accepted", in)
			}
		}
		var whole, pieces scanner
		doneWhole, errWhole := whole.feed(in)
		var done bool
		var e error
		for i := range in {
			if done, e = pieces.feed(in[:i+1]); done || e != nil {
				break
			}
		}
		if done != doneWhole || (e == nil) != (errWhole == nil) || e == nil && whole.pos != pieces.pos {
			t.Errorf("%q: whole %v %v %d, in pieces %v %v %d", in, doneWhole, errWhole, whole.pos, done, e, pieces.pos)
		}
	})
}
