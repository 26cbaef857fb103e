package server

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
)

// TestConvertUnderLoad converts while all rows are changed again and again, each
// time before the conversion has brought over the time before: it must end.
func TestConvertUnderLoad(t *testing.T) {
	r := start(t)
	p, load := r.connect(t), r.connect(t)
	p.call("set_db_change_aware", `[true]`)
	load.call("set_db_change_aware", `[true]`)
	for i := range smallDB + 10 {
		p.transact(fmt.Sprintf(`{"op":"insert","table":"a","row":{"name":"r%d"}}`, i))
	}
	schema, err := data.ParseSchemaText(testSchema)
	if err != nil {
		t.Fatal(err)
	}
	const enough = 3000
	changes, over := 0, make(chan bool)
	r.on(func() {
		d, c := r.s.dbs["t"], r.s.sessions()[1]
		r.s.convertDB(d, schema, func(err *data.Error) {
			if err != nil {
				t.Error(err.Error())
			}
		})
		var change func()
		change = func() {
			if d.converting() == nil || changes == enough {
				close(over)
				return
			}
			changes++
			r.s.runTriggers() // as before a session is served
			r.s.try(request(t, c, d, changes, fmt.Sprintf(`["t",{"op":"update","table":"a","where":[],"row":{"n":%d}}]`, changes)))
			r.s.post(change)
		}
		change()
	})
	<-over
	if changes == enough {
		t.Fatalf("no end after %d transactions", enough)
	}
	for id := range changes {
		equal(t, load.wait(fmt.Sprint(id+1)), fmt.Sprintf(`[{"count":%d}]`, smallDB+10))
	}
	want := fmt.Sprintf(`[{"rows":[{"n":%d}]}]`, changes)
	equal(t, p.transact(`{"op":"select","table":"a","where":[["name","==","r7"]],"columns":["n"]}`), want)
}

// request makes a "transact" request as if a session had received it.
func request(t *testing.T, c *session, d *database, id int, params string) *trigger {
	v, err := json.Parse(params)
	if err != nil {
		t.Error(err)
	}
	return &trigger{c: c, db: d, msg: &jsonrpc.Msg{ID: []byte(fmt.Sprint(id))}, params: &v, slot: c.reserve()}
}

// TestConvertFails converts when the new file cannot be made: everything is as
// before, and what was seen under the conversion's id is not taken for known.
func TestConvertFails(t *testing.T) {
	r := start(t)
	p := r.connect(t)
	p.call("set_db_change_aware", `[true]`)
	p.transact(`{"op":"insert","table":"a","row":{"name":"x","n":4}}`)
	var d *database
	var id data.UUID
	r.on(func() { d = r.s.dbs["t"]; id = d.lastID })
	if err := os.MkdirAll(d.filename+".new/x", 0o700); err != nil {
		t.Fatal(err)
	}
	schema := strings.Replace(testSchema, `"s":{`, `"extra":{"type":"string"},"s":{`, 1)
	if got := p.call("convert", `["t",`+schema+`]`); !strings.Contains(got, "failed to remove") {
		t.Errorf("got %s", got)
	}
	r.on(func() {
		if d.lastID != id || d.hist.Last() != id {
			t.Errorf("ids %v and %v, want %v", d.lastID, d.hist.Last(), id)
		}
	})
	equal(t, p.transact(`{"op":"select","table":"a","where":[],"columns":["n"]}`), `[{"rows":[{"n":4}]}]`)
}

// TestConvertRemoved removes a database whose conversions are under way.
func TestConvertRemoved(t *testing.T) {
	for _, rows := range []int{1, smallDB + 10} {
		r := start(t)
		p := r.connect(t)
		p.call("set_db_change_aware", `[true]`)
		for i := range rows {
			p.transact(fmt.Sprintf(`{"op":"insert","table":"a","row":{"name":"r%d"}}`, i))
		}
		schema, err := data.ParseSchemaText(testSchema)
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan *data.Error, 2)
		large := rows > smallDB
		r.on(func() {
			d := r.s.dbs["t"]
			for range cap(over) {
				r.s.convertDB(d, schema, func(err *data.Error) { over <- err })
			}
			if large { // the first one is with a worker
				d.converting().frozen = true
				r.s.try(request(t, r.s.sessions()[0], d, 99, `["t",{"op":"insert","table":"a","row":{}}]`))
			}
			r.s.removeDB(d, "removed by a test")
		})
		if large {
			equal(t, p.wait("99"), `error "canceled"`)
		}
		<-over
		if err := <-over; err == nil {
			t.Errorf("%d rows: a database that is gone was converted", rows)
		}
		got := p.call("transact", `["_Server",{"op":"select","table":"Database","where":[],"columns":["name"]}]`)
		equal(t, got, `[{"rows":[{"name":"_Server"}]}]`)
	}
}
