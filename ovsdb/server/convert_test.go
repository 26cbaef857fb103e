package server

import (
	"os"
	"strings"
	"testing"

	"sluice/ovsdb/data"
)

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
