package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// The old schema, and new ones: the same, and one without the column that
// holds the kids, and n as a set.
const (
	oldKids = `{"name":"t","tables":{
	 "r":{"columns":{"n":{"type":"integer"},"kids":{"type":{"key":{"type":"uuid","refTable":"k"},"min":0,"max":"unlimited"}}},"isRoot":true},
	 "k":{"columns":{"n":{"type":"integer"}}}}}`
	newKids = `{"name":"t","tables":{
	 "r":{"columns":{"n":{"type":{"key":"integer","min":0,"max":3}},"more":{"type":"string"}},"isRoot":true},
	 "k":{"columns":{"n":{"type":"integer"}}}}}`
)

// kidRows matches a file with rows of table k.
var kidRows = regexp.MustCompile(`"k":\{"[0-9a-f]{8}-`)

// TestConversionFollows converts a snapshot and brings over what was committed
// since; the file made on the way must say the same.
func TestConversionFollows(t *testing.T) {
	for _, c := range []struct {
		schema string
		want   string
	}{
		{oldKids, "k[1 2 6] r[1 22 5]"},
		{newKids, "k[] r[1 22 5]"},
	} {
		from, err := data.ParseSchemaText(oldKids)
		if err != nil {
			t.Fatal(err)
		}
		to, err := data.ParseSchemaText(c.schema)
		if err != nil {
			t.Fatal(err)
		}
		d := db.New(from)
		for n := 1; n <= 3; n++ {
			run(t, d, fmt.Sprintf(`{"op":"insert","table":"k","uuid-name":"k","row":{"n":%d}},
				{"op":"insert","table":"r","row":{"n":%[1]d,"kids":["named-uuid","k"]}}`, n))
		}
		path := filepath.Join(t.TempDir(), "db")
		_, w, wake := create(t, path)
		conv, re, err := w.Convert(d.Snapshot(), to, "", 1, data.UUID{}, true)
		if err != nil {
			t.Fatal(err)
		}
		var changes []*db.Change
		for i, ops := range []string{
			`{"op":"update","table":"r","where":[["n","==",2]],"row":{"n":22}}`,
			`{"op":"delete","table":"r","where":[["n","==",3]]}`,
			`{"op":"insert","table":"k","uuid-name":"k","row":{"n":5}},{"op":"insert","table":"r","row":{"n":5,"kids":["named-uuid","k"]}}`,
			`{"op":"insert","table":"r","row":{"n":7}}`,
			`{"op":"delete","table":"r","where":[["n","==",7]]}`,
			`{"op":"update","table":"k","where":[["n","==",5]],"row":{"n":6}}`,
		} {
			changes = append(changes, run(t, d, ops).Changes...)
			if i%3 == 2 {
				body, err := conv.Follow(changes, 1, Options{})
				if err != nil {
					t.Fatal(err)
				}
				re.Append(body)
				changes = nil
			}
		}
		if got := tables(conv.To); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
		if _, atoms := conv.To.Counts(); atoms != conv.Atoms {
			t.Errorf("%d atoms counted, are %d", conv.Atoms, atoms)
		}
		w.Replace(re, conv.To.Snapshot(), 0)
		<-wake
		if r := w.Take(); !reflect.DeepEqual(r, []Result{{0, nil}}) {
			t.Fatalf("results %v", r)
		}
		w.Close()
		l, err := Open(path, false)
		if err != nil {
			t.Fatal(err)
		}
		loaded, _ := load(t, l)
		l.Close()
		if got := tables(loaded); got != c.want {
			t.Errorf("the file has %s, want %s", got, c.want)
		}
		// Rows that the conversion collected are not written and collected again.
		text, readErr := os.ReadFile(path)
		if readErr != nil {
			t.Fatal(readErr)
		}
		if kids := kidRows.Match(text); kids != strings.HasPrefix(c.want, "k[1") {
			t.Errorf("kids in the file: %v", kids)
		}
	}
}

// tables shows column n of all rows, sorted as text.
func tables(d *db.DB) (out string) {
	for _, table := range d.Tables {
		var ns []string
		for r := range table.All {
			ns = append(ns, fmt.Sprint(r.Get(table.Schema.Column("n").Index).Key(0).Int()))
		}
		slices.Sort(ns) // tables do not promise an order
		out += fmt.Sprint(table.Schema.Name, ns, " ")
	}
	return out[:len(out)-1]
}
