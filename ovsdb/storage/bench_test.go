package storage

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// BenchmarkConvert converts a database of 100,000 ports with an interface each to
// its own schema, and writes the new file.
func BenchmarkConvert(b *testing.B) {
	const ports = 100000
	text, err := os.ReadFile("/usr/share/openvswitch/vswitch.ovsschema")
	if err != nil {
		b.Skip("no schema of Open vSwitch: ", err)
	}
	schema, e := data.ParseSchemaText(string(text))
	if e != nil {
		b.Fatal(e)
	}
	d := db.New(schema)
	var rec strings.Builder
	rec.WriteString(`{"Bridge":{"00000000-0000-4000-8000-000000000000":{"name":"br0","ports":["set",[`)
	id := func(kind, i int) string {
		return fmt.Sprintf("%08x-0000-4000-8000-%012x", i*0x9e3779b1&0xffffffff, kind)
	}
	for i := range ports {
		if i > 0 {
			rec.WriteByte(',')
		}
		fmt.Fprintf(&rec, `["uuid","%s"]`, id(1, i))
	}
	fmt.Fprint(&rec, `]]}},"Open_vSwitch":{"00000000-0000-4000-8000-000000000001":{"bridges":["uuid","00000000-0000-4000-8000-000000000000"]}},"Port":{`)
	for i := range ports {
		fmt.Fprintf(&rec, `"%s":{"name":"p%d","interfaces":["uuid","%s"],"tag":%d},`, id(1, i), i, id(2, i), i%4000)
	}
	text2 := strings.TrimSuffix(rec.String(), ",") + `},"Interface":{`
	rec.Reset()
	for i := range ports {
		fmt.Fprintf(&rec, `"%s":{"name":"p%d","type":"dummy","external_ids":["map",[["iface-id","port-%d"],["vm","%d"]]]},`, id(2, i), i, i, i/2)
	}
	if _, e := Apply(d, text2+strings.TrimSuffix(rec.String(), ",")+"}}", false); e != nil {
		b.Fatal(e)
	}
	l, e := Create(filepath.Join(b.TempDir(), "db"), MagicStandalone, []byte("{}"))
	if e != nil {
		b.Fatal(e)
	}
	w := NewWriter(l, Content{}, Options{}, func() {})
	defer w.Close()
	snap := d.Snapshot()
	b.ResetTimer()
	for range b.N {
		_, r, e := w.Convert(snap, schema, "converted", 1, data.UUID{}, true)
		if e != nil {
			b.Fatal(e)
		}
		r.Discard()
	}
}
