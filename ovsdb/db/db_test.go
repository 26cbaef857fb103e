package db

import (
	"fmt"
	"strings"
	"testing"

	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
)

const testSchema = `{"name":"t","tables":{
 "root":{"columns":{"name":{"type":"string"},"kids":{"type":{"key":{"type":"uuid","refTable":"kid"},"min":0,"max":"unlimited"}},
   "likes":{"type":{"key":{"type":"uuid","refTable":"kid","refType":"weak"},"min":0,"max":"unlimited"}},
   "must":{"type":{"key":{"type":"uuid","refTable":"root","refType":"weak"},"min":0,"max":1}}},
   "indexes":[["name"]],"isRoot":true,"maxRows":5},
 "kid":{"columns":{"n":{"type":"integer"},"next":{"type":{"key":{"type":"uuid","refTable":"kid"},"min":0,"max":1}}}}}}`

func open(t testing.TB, schema string) *DB {
	t.Helper()
	s, err := data.ParseSchemaText(schema)
	if err != nil {
		t.Fatal(err)
	}
	return New(s)
}

// transact executes and commits operations and returns the reply.
func transact(t testing.TB, d *DB, ops string) string {
	t.Helper()
	v, err := json.Parse(`["t",` + ops + `]`)
	if err != nil {
		t.Fatalf("%s: %v", ops, err)
	}
	o := d.Execute(&Request{Params: &v})
	if o.Results == nil {
		return "waits"
	}
	if o.Txn == nil {
		return string(o.Results)
	}
	out := string(o.Results)
	if err := o.Txn.Precommit(); err != nil {
		if len(out) > 1 {
			out += ","
		}
		out += string(err.AppendJSON(nil))
	} else {
		o.Txn.Seal()
	}
	return out + "]"
}

func sameJSON(t testing.TB, a, b string) bool {
	t.Helper()
	va, err := json.Parse(a)
	if err != nil {
		t.Fatal(err)
	}
	vb, err := json.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return json.Equal(&va, &vb)
}

// dump shows all rows, names of kids by number, in order.
func dump(t testing.TB, d *DB) string {
	t.Helper()
	return transact(t, d, `{"op":"select","table":"root","where":[],"columns":["name"],"sort":["name"]},
		{"op":"select","table":"kid","where":[],"columns":["n"],"sort":["n"]}`)
}

func TestTransactions(t *testing.T) {
	d := open(t, testSchema)
	steps := []struct{ ops, want, after string }{
		{`{"op":"insert","table":"kid","row":{"n":1}}`, `uuid`, `[{"rows":[]},{"rows":[]}]`},
		{`{"op":"insert","table":"root","row":{"name":"a","kids":["named-uuid","k"],"likes":["named-uuid","k"]}},
		  {"op":"insert","table":"kid","uuid-name":"k","row":{"n":1,"next":["named-uuid","k2"]}},
		  {"op":"insert","table":"kid","uuid-name":"k2","row":{"n":2}}`, `uuid`, `[{"rows":[{"name":"a"}]},{"rows":[{"n":1},{"n":2}]}]`},
		{`{"op":"insert","table":"root","row":{"name":"a"}}`, `identical values (a) for index on column \"name\"`, `[{"rows":[{"name":"a"}]},{"rows":[{"n":1},{"n":2}]}]`},
		{`{"op":"delete","table":"kid","where":[["n","==",1]]}`, `remaining reference(s)`, `[{"rows":[{"name":"a"}]},{"rows":[{"n":1},{"n":2}]}]`},
		{`{"op":"mutate","table":"root","where":[["name","==","a"]],"mutations":[["kids","insert",["uuid","00000000-0000-0000-0000-000000000001"]]]}`,
			`references nonexistent row`, `[{"rows":[{"name":"a"}]},{"rows":[{"n":1},{"n":2}]}]`},
		{`{"op":"update","table":"root","where":[["name","==","a"]],"row":{"kids":["set",[]]}},{"op":"abort"}`, `aborted`,
			`[{"rows":[{"name":"a"}]},{"rows":[{"n":1},{"n":2}]}]`},
		{`{"op":"update","table":"root","where":[["name","==","a"]],"row":{"kids":["set",[]]}}`, `"count":1`, `[{"rows":[{"name":"a"}]},{"rows":[]}]`},
		{`{"op":"select","table":"root","where":[],"columns":["likes"]}`, `["set",[]]`, `[{"rows":[{"name":"a"}]},{"rows":[]}]`},
		{`{"op":"insert","table":"root","row":{"name":"b"}},{"op":"insert","table":"root","row":{"name":"c"}},{"op":"insert","table":"root","row":{"name":"d"}},
		  {"op":"insert","table":"root","row":{"name":"e"}},{"op":"insert","table":"root","row":{"name":"f"}}`, `limit of 5 row(s)`, `[{"rows":[{"name":"a"}]},{"rows":[]}]`},
	}
	for i, s := range steps {
		if got := transact(t, d, s.ops); !strings.Contains(got, s.want) {
			t.Errorf("step %d: %s, want %s", i, got, s.want)
		}
		if got := dump(t, d); got != s.after {
			t.Errorf("step %d: left %s, want %s", i, got, s.after)
		}
	}
}

// TestWeakReferenceInSameTransaction is what stock gets wrong: the row that
// refers weakly to a deleted one is changed by the same transaction.
func TestWeakReferenceInSameTransaction(t *testing.T) {
	d := open(t, testSchema)
	transact(t, d, `{"op":"insert","table":"root","row":{"name":"a","kids":["named-uuid","k"],"likes":["named-uuid","k"]}},
		{"op":"insert","table":"kid","uuid-name":"k","row":{"n":1}}`)
	transact(t, d, `{"op":"update","table":"root","where":[],"row":{"name":"b","kids":["set",[]]}}`)
	got := transact(t, d, `{"op":"select","table":"root","where":[],"columns":["name","likes"]}`)
	if want := `[{"rows":[{"name":"b","likes":["set",[]]}]}]`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if n := d.WeakRefs(); n != 0 {
		t.Errorf("%d weak references counted", n)
	}
}

// TestRollbackRestores undoes sealed transactions in reverse order, as a failed
// write does.
func TestRollbackRestores(t *testing.T) {
	d := open(t, testSchema)
	transact(t, d, `{"op":"insert","table":"root","row":{"name":"a","kids":["named-uuid","k"],"likes":["named-uuid","k"]}},
		{"op":"insert","table":"kid","uuid-name":"k","row":{"n":1}}`)
	before := dump(t, d)
	var done []*Txn
	for _, ops := range []string{
		`{"op":"update","table":"root","where":[],"row":{"name":"b"}}`,
		`{"op":"update","table":"root","where":[],"row":{"kids":["set",[]]}}`,
		`{"op":"delete","table":"root","where":[]}`,
		`{"op":"insert","table":"root","row":{"name":"c"}}`,
	} {
		v, _ := json.Parse(`["t",` + ops + `]`)
		o := d.Execute(&Request{Params: &v})
		if err := o.Txn.Precommit(); err != nil {
			t.Fatal(err)
		}
		o.Txn.Seal()
		done = append(done, o.Txn)
	}
	for i := len(done) - 1; i >= 0; i-- {
		done[i].Rollback()
	}
	if after := dump(t, d); after != before {
		t.Errorf("%s, want %s", after, before)
	}
	if got := transact(t, d, `{"op":"delete","table":"kid","where":[]}`); !strings.Contains(got, "1 remaining reference") {
		t.Errorf("the reference count is wrong: %s", got)
	}
	if got := transact(t, d, `{"op":"select","table":"root","where":[["name","==","a"]],"columns":["name"]}`); !strings.Contains(got, `"a"`) {
		t.Errorf("the index is wrong: %s", got)
	}
}

func TestSnapshotsKeepTheirRows(t *testing.T) {
	d := open(t, `{"name":"t","tables":{"a":{"columns":{"n":{"type":"integer"}}}}}`)
	for i := 0; i < 600; i++ {
		transact(t, d, fmt.Sprintf(`{"op":"insert","table":"a","row":{"n":%d}}`, i))
	}
	snap := d.Snapshot()
	transact(t, d, `{"op":"delete","table":"a","where":[["n","<",300]]},{"op":"update","table":"a","where":[],"row":{"n":7}}`)
	sum := int64(0)
	for r := range snap.Tables[0].All {
		sum += r.Get(2).Key(0).Int()
	}
	if want := int64(600 * 599 / 2); sum != want || snap.Tables[0].Len() != 600 {
		t.Errorf("snapshot has %d rows with sum %d, want 600 and %d", snap.Tables[0].Len(), sum, want)
	}
}

// TestBorrowedRows: tables of two databases share rows, until one changes them.
func TestBorrowedRows(t *testing.T) {
	a, b := open(t, testSchema), open(t, testSchema)
	transact(t, a, `{"op":"insert","table":"kid","uuid-name":"k","row":{"n":1}},
		{"op":"insert","table":"root","row":{"name":"x","kids":["named-uuid","k"],"likes":["named-uuid","k"]}},
		{"op":"insert","table":"root","row":{"name":"y","likes":["named-uuid","k"]}}`)
	borrow := func(names ...string) *Txn {
		txn := b.Begin()
		for _, name := range names {
			for r := range a.Table(name).All {
				txn.Borrow(b.Table(name), r)
			}
		}
		if err := txn.Precommit(); err != nil {
			t.Fatal(err)
		}
		return txn
	}
	txn := borrow("kid", "root")
	txn.Seal()
	if txn.Adjusted() || dump(t, b) != dump(t, a) {
		t.Errorf("adjusted: %v, b has %s", txn.Adjusted(), dump(t, b))
	}
	const likes = `{"op":"select","table":"root","where":[["name","!=","x"]],"columns":["name","likes"]}`
	before := transact(t, a, likes)
	for r := range a.Table("root").All {
		if b.Table("root").Row(r.UUID) != r {
			t.Errorf("%s is not shared", r.UUID)
		}
	}
	transact(t, b, `{"op":"update","table":"root","where":[["name","==","y"]],"row":{"name":"z","likes":["set",[]]}}`)
	if got := transact(t, a, likes); got != before {
		t.Errorf("a has %s, had %s", got, before)
	}
	if want := `[{"rows":[{"name":"z","likes":["set",[]]}]}]`; !sameJSON(t, transact(t, b, likes), want) {
		t.Errorf("b has %s", transact(t, b, likes))
	}

	// Weak references to rows that did not come along go, in b alone.
	b = open(t, testSchema)
	transact(t, a, `{"op":"update","table":"root","where":[],"row":{"kids":["set",[]]}},{"op":"delete","table":"root","where":[["name","==","x"]]}`)
	transact(t, a, `{"op":"insert","table":"kid","uuid-name":"k","row":{"n":2}},
		{"op":"insert","table":"root","row":{"name":"x","kids":["named-uuid","k"]}},
		{"op":"update","table":"root","where":[["name","==","y"]],"row":{"likes":["named-uuid","k"]}}`)
	before = transact(t, a, likes)
	txn = b.Begin()
	for r := range a.Table("root").All {
		if r.Get(b.Table("root").Schema.Column("kids").Index).Len() == 0 {
			txn.Borrow(b.Table("root"), r)
		}
	}
	if err := txn.Precommit(); err != nil {
		t.Fatal(err)
	}
	txn.Seal()
	if want := `[{"rows":[{"name":"y","likes":["set",[]]}]}]`; !txn.Adjusted() || !sameJSON(t, transact(t, b, likes), want) {
		t.Errorf("adjusted: %v, b has %s", txn.Adjusted(), transact(t, b, likes))
	}
	if got := transact(t, a, likes); got != before || strings.Contains(got, `["set",[]]`) {
		t.Errorf("a has %s, had %s", got, before)
	}
}

func TestWaits(t *testing.T) {
	d := open(t, testSchema)
	wait := `{"op":"wait","table":"root","where":[["name","==","a"]],"columns":["name"],"until":"==","rows":[{"name":"a"}]`
	if got := transact(t, d, wait+`}`); got != "waits" {
		t.Errorf("%s, want it to wait", got)
	}
	if got := transact(t, d, wait+`,"timeout":0}`); !strings.Contains(got, `"where\" clause test failed`) {
		t.Errorf("%s, want it to fail", got)
	}
	transact(t, d, `{"op":"insert","table":"root","row":{"name":"a"}}`)
	if got := transact(t, d, wait+`}`); got != `[{}]` {
		t.Errorf("%s, want it to be satisfied", got)
	}
}

func FuzzTransact(f *testing.F) {
	for _, s := range []string{
		`{"op":"insert","table":"root","row":{"name":"a"}}`,
		`{"op":"mutate","table":"root","where":[["name","!=","x"]],"mutations":[["kids","delete",["set",[]]]]}`,
		`{"op":"wait","table":"root","where":[],"until":"==","rows":[],"timeout":0}`,
		`{"op":"select","table":"kid","where":[["n",">",1]],"columns":["n"],"sort":["n"]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, ops string) {
		v, err := json.Parse(`["t",` + ops + `]`)
		if err != nil {
			return
		}
		d := open(t, testSchema)
		transact(t, d, `{"op":"insert","table":"root","row":{"name":"z","kids":["named-uuid","k"]}},{"op":"insert","table":"kid","uuid-name":"k","row":{"n":1}}`)
		before := dump(t, d)
		o := d.Execute(&Request{Params: &v})
		if o.Txn != nil {
			o.Results = append(o.Results, ']')
			if o.Txn.Precommit() == nil {
				o.Txn.Seal()
			}
			o.Txn.Rollback()
		}
		if o.Results != nil {
			if _, err := json.Parse(string(o.Results)); err != nil {
				t.Fatalf("reply %s: %v", o.Results, err)
			}
		}
		if after := dump(t, d); after != before {
			t.Fatalf("rolled back to %s, was %s", after, before)
		}
	})
}
