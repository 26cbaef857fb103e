package client

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
	"sluice/ovsdb/stream"
)

const testSchema = `{"name":"D","version":"1.0.0","tables":{
	"T":{"isRoot":true,"columns":{"i":{"type":"integer"},"s":{"type":{"key":"string","min":0,"max":"unlimited"}},
		"m":{"type":{"key":"string","value":"string","min":0,"max":"unlimited"}},
		"o":{"type":{"key":"string","min":0,"max":1}},
		"r":{"type":{"key":{"type":"uuid","refTable":"U"},"min":0,"max":"unlimited"}}}},
	"U":{"maxRows":1,"columns":{"b":{"type":"boolean"}}}}}`

const (
	u1 = "00000000-0000-0000-0000-000000000001"
	u2 = "00000000-0000-0000-0000-000000000002"
)

// peer is a client whose server is the test.
type peer struct {
	t *testing.T
	c *Client
	// end is the server's end of the connection.
	end *jsonrpc.Conn
}

func newPeer(t testing.TB, lock string) *peer {
	schema, err := data.ParseSchemaText(testSchema)
	if err != nil {
		t.Fatal(err)
	}
	c := New(Config{Schema: schema, Lock: lock, Tables: []Monitor{{Table: "T", NoAlert: []string{"i"}}, {Table: "U"}}}, 0)
	a, b := stream.Pair()
	c.session = jsonrpc.NewSession(jsonrpc.NewConn(a), 0)
	c.sessionSeqno = ^uint(0)
	p := &peer{c: c, end: jsonrpc.NewConn(b)}
	p.t, _ = t.(*testing.T)
	t.Cleanup(func() { p.end.Close(); c.Close() })
	return p
}

// expect runs the client and returns the next request that it sent.
func (p *peer) expect(method string) *jsonrpc.Msg {
	p.t.Helper()
	p.c.Run(0)
	m, err := p.end.Recv()
	if err != nil || m.Method != method {
		p.t.Fatalf("want %s, got %+v %v", method, m, err)
	}
	return m
}

func (p *peer) reply(m *jsonrpc.Msg, result string) {
	p.end.Send(jsonrpc.NewReply([]byte(result), m.ID))
	p.c.Run(0)
}

func (p *peer) refuse(m *jsonrpc.Msg) {
	p.end.Send(jsonrpc.NewError([]byte(`"unknown method"`), m.ID))
	p.c.Run(0)
}

func (p *peer) notify(method, params string) {
	p.end.Send(jsonrpc.NewNotify(method, []byte(params)))
	p.c.Run(0)
}

// dump shows all rows of table T.
func (p *peer) dump() string {
	var lines []string
	for _, r := range p.c.Table("T").Rows() {
		line := fmt.Sprintf("%d:", r.UUID().Lo)
		for _, c := range r.table.schema.Columns[data.NumStd:] {
			line += " " + c.Name + "=" + string(r.Get(c.Name).AppendText(nil, &c.Type))
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

// monitor goes through the beginning of a connection up to the monitor request.
func (p *peer) monitor() *jsonrpc.Msg {
	p.t.Helper()
	p.reply(p.expect("get_schema"), `{"name":"_Server","tables":{"Database":{"columns":{"name":{},"schema":{},"model":{}}}}}`)
	m := p.expect("monitor_cond")
	if want := `["_Server",["monid","_Server"],{"Database":[{"columns":["name","model","schema"]}]}]`; string(m.Params) != want {
		p.t.Errorf("%s", m.Params)
	}
	row := json.NewObject(json.Pair{Name: "name", Value: json.NewString("D")}, json.Pair{Name: "model", Value: json.NewString("standalone")},
		json.Pair{Name: "schema", Value: json.NewString(testSchema)})
	p.reply(m, `{"Database":{"`+u1+`":{"initial":`+row.Text()+`}}}`)
	return p.expect("monitor_cond_since")
}

func TestUpdate3(t *testing.T) {
	p := newPeer(t, "")
	m := p.monitor()
	want := `["D",["monid","D"],{"T":[{"columns":["i","m","o","r","s"]}],"U":[{"columns":["b"]}]},"00000000-0000-0000-0000-000000000000"]`
	if string(m.Params) != want {
		t.Errorf("%s", m.Params)
	}
	p.reply(m, `[false,"`+u2+`",{"T":{"`+u1+`":{"initial":{"i":5,"s":["set",["b","a"]]}}}}]`)
	if p.c.Seqno() != 1 || p.c.lastID.String() != u2 || !p.c.Synced() {
		t.Errorf("seqno %d, last id %s", p.c.Seqno(), p.c.lastID)
	}
	first := p.c.Table("T").Rows()[0]
	for _, step := range []struct {
		update string
		alert  bool
		want   string
	}{
		{`{"T":{"` + u1 + `":{"modify":{"i":6}}}}`, false, `1: i=6 m={} o=[] r=[] s=[a, b]`},
		{`{"T":{"` + u1 + `":{"modify":{"s":["set",["a","c"]],"m":["map",[["k","v"]]],"o":"x"}}}}`, true, `1: i=6 m={k=v} o=x r=[] s=[b, c]`},
		{`{"T":{"` + u1 + `":{"modify":{"m":["map",[["k","w"],["l","1"]]],"o":["set",[]]}}}}`, true, `1: i=6 m={k=w, l="1"} o=[] r=[] s=[b, c]`},
		{`{"T":{"` + u2 + `":{"insert":{}}}}`, true, "1: i=6 m={k=w, l=\"1\"} o=[] r=[] s=[b, c]\n2: i=0 m={} o=[] r=[] s=[]"},
		{`{"T":{"` + u1 + `":{"delete":null}}}`, true, `2: i=0 m={} o=[] r=[] s=[]`},
	} {
		before := p.c.Seqno()
		p.notify("update3", `[["monid","D"],"`+u1+`",`+step.update+`]`)
		if got := p.dump(); got != step.want || (p.c.Seqno() != before) != step.alert {
			t.Errorf("%s: alert %v\n%s", step.update, p.c.Seqno() != before, cmp.Diff(step.want, got))
		}
	}
	if first.Get("i").Key(0).Int() != 5 {
		t.Error("an old version changed")
	}
	if p.c.lastID.String() != u1 {
		t.Errorf("last id %s", p.c.lastID)
	}
}

func TestPlainUpdates(t *testing.T) {
	p := newPeer(t, "")
	p.refuse(p.monitor())
	p.refuse(p.expect("monitor_cond"))
	p.reply(p.expect("monitor"), `{"T":{"`+u1+`":{"new":{"i":1,"s":"a","m":["map",[]],"o":["set",[]],"r":["set",[]]}}}}`)
	if got := p.dump(); got != `1: i=1 m={} o=[] r=[] s=[a]` {
		t.Error(got)
	}
	p.notify("update", `[["monid","D"],{"T":{"`+u1+`":{"old":{"s":"a"},"new":{"i":1,"s":["set",["x","y"]]}},"`+u2+`":{"new":{"i":2}}}}]`)
	if got := p.dump(); got != "1: i=1 m={} o=[] r=[] s=[x, y]\n2: i=2 m={} o=[] r=[] s=[]" {
		t.Error(got)
	}
	p.notify("update", `[["monid","D"],{"T":{"`+u1+`":{"old":{"i":1}}}}]`)
	if got := p.dump(); got != "2: i=2 m={} o=[] r=[] s=[]" {
		t.Error(got)
	}
}

func TestOldServer(t *testing.T) {
	p := newPeer(t, "")
	p.refuse(p.expect("get_schema"))
	p.reply(p.expect("get_schema"), `{"name":"D","tables":{"T":{"columns":{"i":{},"s":{}}}}}`)
	m := p.expect("monitor_cond")
	if want := `["D",["monid","D"],{"T":[{"columns":["i","s"]}]}]`; string(m.Params) != want {
		t.Errorf("%s", m.Params)
	}
	p.reply(m, `{"T":{"`+u1+`":{"initial":{"i":1}}}}`)
	txn := p.c.Begin()
	txn.Set("T", p.c.Table("T").Rows()[0].UUID(), "o", ScalarDatum("x"))
	if st := txn.Commit(); st != Unchanged {
		t.Errorf("a column that the server lacks: %v", st)
	}
}

// A server that says what cannot be is left, and asked for everything anew.
func TestInconsistency(t *testing.T) {
	for _, update := range []string{
		`{"T":{"` + u1 + `":{"modify":{"i":6}}}}`, `{"T":{"` + u1 + `":{"delete":null}}}`,
	} {
		p := newPeer(t, "")
		p.reply(p.monitor(), `[true,"`+u2+`",{}]`)
		p.notify("update3", `[["monid","D"],"`+u1+`",`+update+`]`)
		if p.c.Synced() || !p.c.lastID.IsZero() {
			t.Errorf("%s was believed", update)
		}
	}
}

func TestMonitorCanceled(t *testing.T) {
	p := newPeer(t, "")
	p.reply(p.monitor(), `[false,"`+u2+`",{"T":{"`+u1+`":{"initial":{"i":5}}}}]`)
	row := p.c.Table("T").Rows()[0]
	p.notify("monitor_canceled", `[["monid","D"]]`)
	p.expect("monitor_cancel")
	m := p.monitor()
	p.reply(m, `[false,"`+u2+`",{"T":{"`+u1+`":{"initial":{"i":5}}}}]`)
	if p.c.Table("T").Rows()[0] != row {
		t.Error("a row that did not change must stay the same pointer")
	}
}

func TestLock(t *testing.T) {
	p := newPeer(t, "L")
	p.c.Run(0)
	schema, _ := p.end.Recv()
	lock := p.expect("lock")
	if string(lock.Params) != `["L"]` {
		t.Errorf("%s", lock.Params)
	}
	p.reply(lock, `{"locked":false}`)
	if p.c.HasLock() || !p.c.LockContended() {
		t.Error("contended")
	}
	p.notify("locked", `["other"]`)
	if p.c.HasLock() {
		t.Error("somebody else's lock")
	}
	p.notify("locked", `["L"]`)
	if !p.c.HasLock() || p.c.LockContended() || p.c.Seqno() != 0 {
		t.Error("locked")
	}
	p.notify("stolen", `["L"]`)
	if p.c.HasLock() || !p.c.LockContended() {
		t.Error("stolen")
	}
	p.c.SetLock("")
	p.expect("unlock")
	p.reply(schema, `{}`)
}

func TestTransactionText(t *testing.T) {
	p := newPeer(t, "")
	p.reply(p.monitor(), `[false,"`+u2+`",{"T":{"`+u1+`":{"initial":{"i":5,"o":"x"}}}}]`)
	row := p.c.Table("T").Rows()[0].UUID()
	txn := p.c.Begin()
	txn.Comment("why: %d", 1)
	txn.Comment("and why")
	txn.Verify("T", row, "o")
	txn.Set("T", row, "i", ScalarDatum[int64](5)) // what it is anyway
	txn.Set("T", row, "o", OptionalDatum[string](nil))
	n := txn.Insert("U")
	txn.Set("U", n, "b", ScalarDatum(true))
	txn.AddElems("T", row, "r", SetDatum([]UUID{n}))
	txn.AddElems("T", row, "m", MapDatum(map[string]string{"k": "v"}))
	txn.RemoveElems("T", row, "s", SetDatum([]string{"z"}))
	txn.Increment("T", row, "i", false)
	if st := txn.Commit(); st != Incomplete {
		t.Fatal(st)
	}
	m := p.expect("transact")
	where := `"where":[["_uuid","==",["uuid","` + u1 + `"]]]`
	sym := symbol(n)
	want := `["D",{"columns":["o"],"op":"wait","rows":[{"o":"x"}],"table":"T","timeout":0,"until":"==",` + where + `},` +
		`{"op":"update","row":{"o":["set",[]]},"table":"T",` + where + `},` +
		`{"mutations":[["r","insert",["named-uuid","` + sym + `"]],["m","delete","k"],["m","insert",["map",[["k","v"]]]],["s","delete","z"]],"op":"mutate","table":"T",` + where + `},` +
		`{"op":"wait","rows":[],"table":"U","timeout":0,"until":"==","where":[]},` +
		`{"op":"insert","row":{"b":true},"table":"U","uuid-name":"` + sym + `"},` +
		`{"mutations":[["i","+=",1]],"op":"mutate","table":"T",` + where + `},` +
		`{"columns":["i"],"op":"select","table":"T",` + where + `},` +
		`{"comment":"why: 1\nand why","op":"comment"}]`
	if d := cmp.Diff(strings.ReplaceAll(want, "},{", "},\n{"), strings.ReplaceAll(string(m.Params), "},{", "},\n{")); d != "" {
		t.Error(d)
	}
	p.reply(m, `[{},{"count":1},{"count":1},{},{"uuid":["uuid","`+u2+`"]},{"count":1},{"rows":[{"i":6}]},{}]`)
	if real, ok := txn.RealUUID(n); txn.Status() != Success || txn.IncrementValue() != 6 || !ok || real.String() != u2 {
		t.Errorf("%v %d %v", txn.Status(), txn.IncrementValue(), real)
	}
}

func TestTransactionOutcomes(t *testing.T) {
	p := newPeer(t, "")
	p.reply(p.monitor(), `[false,"`+u2+`",{"T":{"`+u1+`":{"initial":{"i":5}}}}]`)
	row := p.c.Table("T").Rows()[0].UUID()
	send := func() (*Txn, *jsonrpc.Msg) {
		txn := p.c.Begin()
		txn.Set("T", row, "i", ScalarDatum[int64](99))
		txn.Commit()
		return txn, p.expect("transact")
	}
	for result, want := range map[string]Status{
		`[{"count":1}]`:                      Success,
		`[{"error":"timed out"},null]`:       TryAgain,
		`[{"error":"not owner"}]`:            NotLocked,
		`[null,{"error":"aborted"}]`:         TryAgain,
		`[{"error":"constraint violation"}]`: Error,
		`[{"error":7}]`:                      Error,
		`[7]`:                                Error,
		`{}`:                                 Error,
		`[{"error":"not allowed"}]`:          Error,
	} {
		txn, m := send()
		p.reply(m, result)
		if txn.Status() != want {
			t.Errorf("%s: %v", result, txn.Status())
		}
	}
	txn, m := send()
	p.end.Send(jsonrpc.NewError([]byte(`"canceled"`), m.ID))
	p.c.Run(0)
	if txn.Status() != TryAgain {
		t.Errorf("canceled: %v", txn.Status())
	}
	txn, _ = send()
	p.end.Close()
	p.c.Run(0)
	p.c.Run(0)
	if txn.Status() != TryAgain {
		t.Errorf("connection lost: %v", txn.Status())
	}
	if s := TryAgain.String(); s != "try again" {
		t.Error(s)
	}
}

// Whatever a server sends, the client neither panics nor loses its rows' type.
func FuzzServer(f *testing.F) {
	for _, s := range []string{
		`{"id":null,"method":"update3","params":[["monid","D"],"` + u1 + `",{"T":{"` + u1 + `":{"insert":{"s":["set",["a"]],"m":["map",[["a","b"]]]}}}}]}`,
		`{"id":null,"method":"update2","params":[["monid","D"],{"T":{"` + u1 + `":{"modify":{"i":1,"s":3}}}}]}`,
		`{"id":null,"method":"update","params":[["monid","D"],{"T":{"` + u1 + `":{"new":{"i":1}}}}]}`,
		`{"id":null,"method":"update2","params":[["monid","_Server"],{"Database":{"x":{"modify":{"schema":7}}}}]}`,
		`{"id":null,"method":"locked","params":[7]}`,
		`{"id":null,"method":"monitor_canceled","params":[["monid","_Server"]]}`,
		`{"id":REQ,"result":[false,"` + u1 + `",{"T":[]}],"error":null}`,
		`{"id":TXN,"result":[{"count":1},{"rows":[{}]},{"uuid":["uuid"]}],"error":null}`,
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, synced bool) {
		p := newPeer(t, "L")
		p.c.Run(0)
		if synced {
			p.c.state, p.c.version, p.c.server.monitored = monitoring, 3, true
		} else {
			p.c.state = dataCondSinceRequested
		}
		p.c.request, p.c.hasLock = []byte("1000001"), true
		p.c.Table("T").put(UUID{Lo: 1}, p.c.Table("T").defaults())
		txn := p.c.Begin()
		txn.Increment("T", UUID{Lo: 1}, "i", true)
		txn.Insert("U")
		txn.Commit()
		text = strings.NewReplacer("REQ", "1000001", "TXN", string(txn.id)).Replace(text)
		m, err := jsonrpc.Parse([]byte(text))
		if err != nil {
			return
		}
		p.c.message(m, 0)
		p.dump()
	})
}

// Rows stays sorted through changes, and what it returned before stays as it
// was.
func TestRowsOrder(t *testing.T) {
	p := newPeer(t, "")
	tb := p.c.Table("T")
	check := func(rows []*Row, want int) {
		t.Helper()
		if len(rows) != want {
			t.Fatalf("%d rows, want %d", len(rows), want)
		}
		for i := 1; i < len(rows); i++ {
			if compareUUID(rows[i-1].uuid, rows[i].uuid) >= 0 {
				t.Fatalf("not sorted at %d", i)
			}
		}
	}
	var old []*Row
	for i := range uint64(200) {
		u := UUID{Hi: i * 7919 % 13, Lo: i * 104729 % 1009}
		had := len(tb.Rows())
		if i%3 == 2 {
			tb.remove(tb.Rows()[int(i)%had].uuid)
			check(tb.Rows(), had-1)
		} else {
			tb.put(u, tb.defaults())
			check(tb.Rows(), len(tb.rows))
		}
		if i == 100 {
			old = tb.Rows()
		}
	}
	check(old, len(old))
}
