package monitor

import (
	"fmt"
	"math/rand"
	"sort"
	"strings"
	"testing"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/json"
)

const testSchema = `{"name":"t","tables":{"a":{"columns":{"n":{"type":"integer"},"name":{"type":"string"},
 "s":{"type":{"key":"string","min":0,"max":"unlimited"}}},"isRoot":true},
 "b":{"columns":{"n":{"type":"integer"}},"isRoot":true}}}`

// replica is a client that keeps a copy by the notifications it gets.
type replica struct {
	m     *Monitor
	rows  map[string]map[string]string // row -> column -> JSON
	holds bool
	n     int
}

func (r *replica) Holds(*Monitor) bool { return r.holds }

func (r *replica) Notify(msg []byte) {
	r.n++
	v, err := json.Parse(string(msg))
	if err != nil {
		panic(fmt.Sprintf("%s: %v", msg, err))
	}
	r.apply(&v.Get("params").List()[1])
}

func (r *replica) apply(updates *json.Value) {
	for i := 0; i < updates.Len(); i++ {
		table, rows := updates.Member(i)
		for j := 0; j < rows.Len(); j++ {
			id, u := rows.Member(j)
			kind, row := u.Member(0)
			id = table + " " + id
			switch kind {
			case "delete":
				if r.rows[id] == nil {
					panic("deletion of an unknown row")
				}
				delete(r.rows, id)
				continue
			case "modify":
				if r.rows[id] == nil {
					panic("modification of an unknown row")
				}
			default:
				if r.rows[id] != nil {
					panic("insertion of a known row")
				}
				r.rows[id] = map[string]string{}
			}
			for k := 0; k < row.Len(); k++ {
				col, val := row.Member(k)
				if col == "s" && kind == "modify" {
					r.rows[id][col] = toggle(r.rows[id][col], val.Text())
				} else {
					r.rows[id][col] = val.Text()
				}
			}
			for col, val := range r.rows[id] {
				if val == "0" || val == `""` || val == `["set",[]]` {
					delete(r.rows[id], col)
				}
			}
		}
	}
}

func elements(set string) map[string]bool {
	out := map[string]bool{}
	if set == "" {
		return out
	}
	v, _ := json.Parse(set)
	if v.Kind() == json.String {
		out[v.Str()] = true
		return out
	}
	l := v.List()[1].List()
	for i := range l {
		out[l[i].Str()] = true
	}
	return out
}

func toggle(set, diff string) string {
	a := elements(set)
	for e := range elements(diff) {
		if a[e] {
			delete(a, e)
		} else {
			a[e] = true
		}
	}
	var l []string
	for e := range a {
		l = append(l, string(json.AppendString(nil, e)))
	}
	sort.Strings(l)
	if len(l) == 1 {
		return l[0]
	}
	return `["set",[` + strings.Join(l, ",") + `]]`
}

func (r *replica) text() string {
	var out []string
	for id, row := range r.rows {
		var cols []string
		for c, v := range row {
			cols = append(cols, c+"="+v)
		}
		sort.Strings(cols)
		out = append(out, id+" "+strings.Join(cols, " "))
	}
	sort.Strings(out)
	return strings.Join(out, "\n")
}

func run(t *testing.T, d *db.DB, ops string) *db.Txn {
	t.Helper()
	v, err := json.Parse(`["t",` + ops + `]`)
	if err != nil {
		t.Fatalf("%s: %v", ops, err)
	}
	o := d.Execute(&db.Request{Params: &v})
	if o.Txn == nil {
		t.Fatalf("%s: %s", ops, o.Results)
	}
	if err := o.Txn.Precommit(); err != nil {
		t.Fatal(err)
	}
	o.Txn.Seal()
	return o.Txn
}

// TestReplicas runs random transactions under monitors with random conditions,
// which change and whose clients stop reading now and then: each copy must be
// what the monitor's condition leaves of the database.
func TestReplicas(t *testing.T) {
	schema, err := data.ParseSchemaText(testSchema)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewSource(1))
	pick := func(l ...string) string { return l[rnd.Intn(len(l))] }
	clause := func() string {
		return pick(
			fmt.Sprintf(`["n","==",%d]`, rnd.Intn(5)),
			fmt.Sprintf(`["n","<",%d]`, rnd.Intn(5)),
			fmt.Sprintf(`["name","==","%s"]`, pick("x", "y", "z")),
			fmt.Sprintf(`["name","!=","%s"]`, pick("x", "y", "z")),
			fmt.Sprintf(`["s","includes","%s"]`, pick("p", "q")),
			fmt.Sprintf(`["s","excludes","%s"]`, pick("p", "q")),
			`["s","==",["set",["p","q"]]]`, `false`, `["s","includes",["set",[]]]`,
		)
	}
	where := func() string {
		var l []string
		for i := rnd.Intn(4); i > 0; i-- {
			l = append(l, clause())
		}
		return "[" + strings.Join(l, ",") + "]"
	}
	d, g := db.New(schema), NewRegistry(schema)
	parse := func(s string) *json.Value {
		v, err := json.Parse(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		return &v
	}
	var rs []*replica
	seq := uint64(0)
	add := func() {
		req := fmt.Sprintf(`{"a":[{"columns":%s,"where":%s}]%s}`, pick(`["n","name","s"]`, `["n"]`, `["s"]`), where(), pick("", `,"b":{}`))
		m, err := g.Parse(V2, []byte("0"), parse(req))
		if err != nil {
			t.Fatal(err)
		}
		r := &replica{m: m, rows: map[string]map[string]string{}}
		m.Client = r
		g.Add(m, seq)
		text := g.Initial(m, d.Snapshot())
		g.Composed(m)
		r.apply(parse(string(text)))
		rs = append(rs, r)
	}
	op := func() string {
		cond := fmt.Sprintf(`[["n","==",%d]]`, rnd.Intn(5))
		return pick(
			fmt.Sprintf(`{"op":"insert","table":"a","row":{"n":%d,"name":"%s","s":["set",["%s"]]}}`, rnd.Intn(5), pick("x", "y", "z"), pick("p", "q")),
			fmt.Sprintf(`{"op":"update","table":"a","where":%s,"row":{"n":%d}}`, cond, rnd.Intn(5)),
			fmt.Sprintf(`{"op":"update","table":"a","where":%s,"row":{"name":"%s"}}`, cond, pick("x", "y", "z")),
			fmt.Sprintf(`{"op":"mutate","table":"a","where":%s,"mutations":[["s","%s","%s"]]}`, cond, pick("insert", "delete"), pick("p", "q")),
			fmt.Sprintf(`{"op":"delete","table":"a","where":%s}`, cond),
			`{"op":"insert","table":"b","row":{"n":1}}`, `{"op":"mutate","table":"b","where":[],"mutations":[["n","+=",1]]}`,
		)
	}
	check := func(step int) {
		t.Helper()
		for i, r := range rs {
			if r.m.Pending() || r.holds {
				continue
			}
			want := &replica{rows: map[string]map[string]string{}}
			want.apply(parse(string(r.m.initial(d.Snapshot()))))
			for _, row := range want.rows {
				delete(row, "_version")
			}
			for _, row := range r.rows {
				delete(row, "_version")
			}
			if a, b := r.text(), want.text(); a != b {
				t.Fatalf("step %d, monitor %d: the client has\n%s\nwant\n%s", step, i, a, b)
			}
		}
	}
	for step := 0; step < 800; step++ {
		if len(rs) < 25 && step%10 == 0 {
			add()
		}
		r := rs[rnd.Intn(len(rs))]
		switch rnd.Intn(12) {
		case 0:
			r.holds = !r.holds
			if !r.holds {
				g.Flush(r.m)
			}
		case 1:
			if r.holds {
				break
			}
			rc, err := r.m.ParseConditions(schema, parse(`{"a":[{"where":`+where()+`}]}`))
			if err != nil {
				t.Fatal(err)
			}
			g.Begin(rc)
			text := rc.Compose(d.Snapshot())
			// Something happens while the new conditions are computed.
			r.holds = true
			seq++
			g.Publish(&Commit{Seq: seq, Changes: run(t, d, op()).Changes})
			r.holds = false
			g.Recondition(rc, text, data.UUID{})
			g.Flush(r.m)
		case 2:
			if len(rs) > 20 {
				g.Remove(r.m)
				for i := range rs {
					if rs[i] == r {
						rs = append(rs[:i], rs[i+1:]...)
						break
					}
				}
			}
		}
		ops := op()
		if rnd.Intn(3) == 0 {
			ops += "," + op()
		}
		seq++
		g.Publish(&Commit{Seq: seq, Changes: run(t, d, ops).Changes})
		check(step)
	}
	for _, r := range rs {
		g.Remove(r.m)
	}
	if g.Len() != 0 || len(g.shapes) != 0 {
		t.Errorf("%d monitors and %d shapes are left", g.Len(), len(g.shapes))
	}
}

// TestSharedInitialContents has a monitor begin while another one of its shape
// changes its conditions.
func TestSharedInitialContents(t *testing.T) {
	schema, _ := data.ParseSchemaText(testSchema)
	d, g := db.New(schema), NewRegistry(schema)
	run(t, d, `{"op":"insert","table":"a","row":{"n":3}}`)
	add := func(where string) (*Monitor, string) {
		v, _ := json.Parse(`{"a":[{"columns":["n"],"where":[` + where + `]}]}`)
		m, err := g.Parse(V2, []byte("0"), &v)
		if err != nil {
			t.Fatal(err)
		}
		m.Client = &quiet{}
		g.Add(m, 1)
		return m, string(g.Initial(m, d.Snapshot()))
	}
	m, _ := add(`["n","==",1]`)
	v, _ := json.Parse(`{"a":[{"where":[["n","==",2]]}]}`)
	rc, err := m.ParseConditions(schema, &v)
	if err != nil {
		t.Fatal(err)
	}
	g.Begin(rc)
	a, text := add("")
	b, same := add("")
	if !strings.Contains(text, `"n":3`) || text != same {
		t.Errorf("%s and %s", text, same)
	}
	g.Composed(a)
	g.Composed(b)
	g.Recondition(rc, rc.Compose(d.Snapshot()), data.UUID{})
}

func TestHistory(t *testing.T) {
	schema, _ := data.ParseSchemaText(testSchema)
	d, g, h := db.New(schema), NewRegistry(schema), History{}
	h.Reset(data.NewUUID())
	ids := []data.UUID{h.Last()}
	for i := 0; i < 150; i++ {
		txn := run(t, d, fmt.Sprintf(`{"op":"insert","table":"b","row":{"n":%d}}`, i))
		c := &Commit{Seq: uint64(i + 1), ID: data.NewUUID(), Changes: txn.Changes}
		h.Add(c, txn.Atoms(), 1<<20)
		ids = append(ids, c.ID)
	}
	v, _ := json.Parse(`{"b":{"columns":["n"]}}`)
	m, err := g.Parse(V3, []byte("0"), &v)
	if err != nil {
		t.Fatal(err)
	}
	if h.Len() != maxHistory {
		t.Errorf("%d commits remembered", h.Len())
	}
	for i, id := range ids {
		text, found := h.Since(m, id, 1<<30)
		if want := i >= 150-maxHistory; found != want {
			t.Fatalf("commit %d: found %v", i, found)
		}
		if found && strings.Count(string(text), "insert") != 150-i {
			t.Fatalf("commit %d: %s", i, text)
		}
	}
	if _, found := h.Since(m, data.UUID{}, 1<<30); found {
		t.Error("the id of nothing was found")
	}
}

func FuzzRequests(f *testing.F) {
	for _, s := range []string{
		`{"a":{}}`, `{"a":[{"columns":["n"],"where":[["n","==",1],true],"select":{"initial":false}}],"b":[]}`,
		`{"a":{"columns":["n","n"]}}`, `{"c":{}}`, `[]`,
	} {
		f.Add(s)
	}
	schema, _ := data.ParseSchemaText(testSchema)
	f.Fuzz(func(t *testing.T, text string) {
		v, err := json.Parse(text)
		if err != nil {
			return
		}
		for ver := V1; ver <= V3; ver++ {
			d, g := db.New(schema), NewRegistry(schema)
			m, err := g.Parse(ver, []byte("0"), &v)
			if err != nil {
				continue
			}
			m.Client = &quiet{}
			g.Add(m, 0)
			g.Initial(m, d.Snapshot())
			g.Composed(m)
			g.Publish(&Commit{Seq: 1, Changes: run(t, d, `{"op":"insert","table":"a","row":{"n":1}},{"op":"insert","table":"b","row":{}}`).Changes})
			g.Publish(&Commit{Seq: 2, Changes: run(t, d, `{"op":"update","table":"a","where":[],"row":{"n":2,"s":"x"}},{"op":"delete","table":"b","where":[]}`).Changes})
			g.Remove(m)
		}
	})
}

type quiet struct{}

func (*quiet) Holds(*Monitor) bool { return false }
func (*quiet) Notify(msg []byte) {
	if _, err := json.Parse(string(msg)); err != nil {
		panic(err)
	}
}
