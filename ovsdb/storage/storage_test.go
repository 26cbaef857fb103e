package storage

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/json"
)

const schemaText = `{"name":"t","tables":{"a":{"columns":{"n":{"type":"integer"},"s":{"type":{"key":"string","min":0,"max":"unlimited"}},"e":{"type":"integer","ephemeral":true}},"isRoot":true}},"version":"1.0.0"}`

func schema(t testing.TB) *data.Schema {
	t.Helper()
	s, err := data.ParseSchemaText(schemaText)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run executes operations and returns the transaction, sealed.
func run(t testing.TB, d *db.DB, ops string) *db.Txn {
	t.Helper()
	v, err := json.Parse(`["t",` + ops + `]`)
	if err != nil {
		t.Fatal(err)
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

func insert(t testing.TB, d *db.DB, n int) *db.Txn {
	return run(t, d, fmt.Sprintf(`{"op":"insert","table":"a","row":{"n":%d,"s":["set",["x","y%d"]],"e":5}}`, n, n))
}

// numbers lists column n of all rows of a file.
func numbers(t testing.TB, path string) map[int64]bool {
	t.Helper()
	l, err := Open(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, _ := load(t, l)
	out := map[int64]bool{}
	for r := range d.Tables[0].All {
		out[r.Get(d.Schema.Tables[0].Column("n").Index).Key(0).Int()] = true
	}
	return out
}

func load(t testing.TB, l *Log) (*db.DB, Content) {
	t.Helper()
	var d *db.DB
	c, err := Load(l, Loader{
		Schema: func(s *data.Schema, _ data.UUID) { d = db.New(s) },
		Txn:    func(*db.Txn, data.UUID) {},
		Tables: func() *db.DB { return d },
	})
	if err != nil {
		t.Fatal(err)
	}
	return d, c
}

// create makes a file with a writer whose results come by the channel.
func create(t testing.TB, path string) (*db.DB, *Writer, chan struct{}) {
	t.Helper()
	s := schema(t)
	js := s.JSON()
	l, err := Create(path, MagicStandalone, js.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	wake := make(chan struct{}, 1000)
	return db.New(s), NewWriter(l, Content{}, Options{}, func() { wake <- struct{}{} }), wake
}

// commit writes a transaction and waits until it is over.
func commit(w *Writer, wake chan struct{}, txn *db.Txn, durable bool) *data.Error {
	body := Encode(nil, txn, 1, Options{})
	over, err := w.Commit(body, data.UUID{}, durable, txn)
	for !over {
		<-wake
		for _, r := range w.Take() {
			if r.Token == any(txn) {
				over, err = true, r.Err
			}
		}
	}
	return err
}

func TestWriteAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	d, w, wake := create(t, path)
	for i := 0; i < 10; i++ {
		if err := commit(w, wake, insert(t, d, i), i%3 == 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := commit(w, wake, run(t, d, `{"op":"mutate","table":"a","where":[["n","<",5]],"mutations":[["s","delete","x"],["s","insert","z"]]}`), false); err != nil {
		t.Fatal(err)
	}
	if err := commit(w, wake, run(t, d, `{"op":"delete","table":"a","where":[["n","==",7]]}`), false); err != nil {
		t.Fatal(err)
	}
	w.Close()
	l, err := Open(path, false)
	if err != nil {
		t.Fatal(err)
	}
	back, c := load(t, l)
	if c.Records != 12 || back.Tables[0].Len() != 9 {
		t.Errorf("%d records and %d rows, want 12 and 9", c.Records, back.Tables[0].Len())
	}
	cols := back.Schema.Tables[0]
	for r := range back.Tables[0].All {
		n := r.Get(cols.Column("n").Index).Key(0).Int()
		want := fmt.Sprintf(`["set",["x","y%d"]]`, n)
		if n < 5 {
			want = fmt.Sprintf(`["set",["y%d","z"]]`, n)
		}
		s := cols.Column("s")
		if got := string(r.Get(s.Index).AppendJSON(nil, &s.Type)); got != want {
			t.Errorf("row %d has %s, want %s", n, got, want)
		}
		if e := r.Get(cols.Column("e").Index).Key(0).Int(); e != 0 {
			t.Errorf("the ephemeral column of row %d is %d", n, e)
		}
	}
}

func TestTornTailIsCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	d, w, wake := create(t, path)
	commit(w, wake, insert(t, d, 1), false)
	w.Close()
	text, _ := os.ReadFile(path)
	os.WriteFile(path, append(text, "OVSDB JSON 500 0123456789012345678901234567890123456789\n{\"a\":{"...), 0o600)
	l, err := Open(path, true)
	if err != nil {
		t.Fatal(err)
	}
	d, c := load(t, l)
	wake = make(chan struct{}, 10)
	w = NewWriter(l, c, Options{}, func() { wake <- struct{}{} })
	commit(w, wake, insert(t, d, 2), false)
	w.Close()
	if got := numbers(t, path); len(got) != 2 || !got[1] || !got[2] {
		t.Errorf("the file has %v", got)
	}
	if m, _ := filepath.Glob(path + ".damaged*"); len(m) > 0 {
		t.Errorf("a torn tail was kept aside: %v", m)
	}
}

func TestDamagedRecordIsKeptAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	d, w, wake := create(t, path)
	for i := 1; i <= 3; i++ {
		commit(w, wake, insert(t, d, i), false)
	}
	w.Close()
	text, _ := os.ReadFile(path)
	text = bytes.Replace(text, []byte("y2"), []byte("q2"), 1)
	os.WriteFile(path, text, 0o600)
	if got := numbers(t, path); len(got) != 1 {
		t.Errorf("the file has %v", got)
	}
	kept, err := os.ReadFile(path + ".damaged-1")
	if err != nil || !bytes.Contains(kept, []byte("y3")) || !bytes.HasSuffix(text, kept) {
		t.Errorf("the damaged part was not kept: %v", err)
	}
}

func TestCompactionBesideCommits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	d, w, wake := create(t, path)
	n := 0
	for round := 0; round < 5; round++ {
		for i := 0; i < 20; i++ {
			n++
			commit(w, wake, insert(t, d, n), false)
		}
		over := false
		w.Compact(d.Schema, d.Snapshot(), "compacting", 1, "compaction")
		for !over {
			n++
			txn := insert(t, d, n)
			done, err := w.Commit(Encode(nil, txn, 1, Options{}), data.UUID{}, n%2 == 0, txn)
			for !done {
				<-wake
				for _, r := range w.Take() {
					if r.Token == any("compaction") {
						over = true
					}
					if r.Token == any(txn) {
						done, err = true, r.Err
					}
					if r.Err != nil {
						t.Fatal(r.Err)
					}
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range w.Take() {
				over = over || r.Token == any("compaction")
			}
		}
	}
	w.Close()
	if got := numbers(t, path); len(got) != n {
		t.Errorf("%d rows, want %d", len(got), n)
	}
	if m, _ := filepath.Glob(path + ".tmp"); len(m) > 0 {
		t.Error("a temporary file was left")
	}
}

// disk is a file whose contents reach the platter only by a flush, and which
// fails as told. After a failed flush the kernel forgets what was not written.
type disk struct {
	mu        sync.Mutex
	cache     []byte
	platter   []byte
	dirty     [][2]int64
	failWrite bool
	failSync  bool
}

func (f *disk) ReadAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off >= int64(len(f.cache)) {
		return 0, io.EOF
	}
	n := copy(p, f.cache[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *disk) WriteAt(p []byte, off int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(p)
	if f.failWrite {
		n /= 2
	}
	f.dirty = append(f.dirty, [2]int64{off, off + int64(n)})
	if need := int(off) + n; need > len(f.cache) {
		f.cache = append(f.cache, make([]byte, need-len(f.cache))...)
	}
	copy(f.cache[off:], p[:n])
	if f.failWrite {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (f *disk) Truncate(size int64) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if int(size) < len(f.cache) {
		f.cache = f.cache[:size]
	}
	return nil
}

func (f *disk) Datasync() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	ranges := f.dirty
	f.dirty = nil
	if f.failSync {
		return syscall.EIO // and the ranges are clean now, without being written
	}
	if len(f.platter) > len(f.cache) {
		f.platter = f.platter[:len(f.cache)]
	}
	for len(f.platter) < len(f.cache) {
		f.platter = append(f.platter, 0)
	}
	for _, r := range ranges {
		end := min(r[1], int64(len(f.cache)))
		if r[0] < end {
			copy(f.platter[r[0]:end], f.cache[r[0]:end])
		}
	}
	return nil
}

func (f *disk) Close() error { return nil }

// TestNothingAcknowledgedIsLost commits durably on a disk that fails at random
// and then loses power.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	s := schema(t)
	js := s.JSON()
	for seed := int64(0); seed < 100; seed++ {
		rnd := rand.New(rand.NewSource(seed))
		f := &disk{}
		l := &Log{name: "db", f: f, magic: MagicStandalone}
		if err := l.append(Frame(nil, MagicStandalone, js.Append(nil))); err != nil {
			t.Fatal(err)
		}
		if err := l.Sync(); err != nil {
			t.Fatal(err)
		}
		wake := make(chan struct{}, 1000)
		w := NewWriter(l, Content{}, Options{}, func() { wake <- struct{}{} })
		d := db.New(s)
		acked, refused := map[int64]bool{}, map[int64]bool{}
		for n := 1; n < 40; n++ {
			f.mu.Lock()
			f.failWrite, f.failSync = rnd.Intn(6) == 0, rnd.Intn(4) == 0
			f.mu.Unlock()
			durable := rnd.Intn(3) > 0
			txn := insert(t, d, n)
			if err := commit(w, wake, txn, durable); err != nil {
				txn.Rollback()
				w.Reset()
				refused[int64(n)] = true
			} else if durable {
				acked[int64(n)] = true
			}
		}
		f.mu.Lock()
		image := append([]byte(nil), f.platter...)
		f.mu.Unlock()
		path := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(path, image, 0o600); err != nil {
			t.Fatal(err)
		}
		got := numbers(t, path)
		for n := range acked {
			if !got[n] {
				t.Fatalf("seed %d: transaction %d was acknowledged and is lost", seed, n)
			}
		}
		w.Close()
		f.mu.Lock()
		os.WriteFile(path, f.cache, 0o600)
		f.mu.Unlock()
		for n := range numbers(t, path) {
			if refused[n] {
				t.Fatalf("seed %d: transaction %d was refused and is in the file", seed, n)
			}
		}
	}
}

func TestLockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	_, w, _ := create(t, path)
	if _, err := Open(path, true); err == nil || !errors.Is(err.Errno, syscall.EDEADLK) {
		t.Errorf("second opener got %v", err)
	}
	w.Close()
	l, err := Open(path, true)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
}

func TestClusterFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	sid, cid, eid := data.NewUUID(), data.NewUUID(), data.NewUUID()
	head := fmt.Sprintf(`{"prev_eid":"%s","cluster_id":"%s","name":"t","prev_term":1,"prev_data":[%s,{}],"prev_servers":{"%s":"unix:s1"},"server_id":"%[4]s","prev_index":1,"local_address":"unix:s1"}`,
		eid, cid, schemaText, sid)
	l, err := Create(path, MagicCluster, []byte(head))
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	n := 0
	for round := 1; round < 4; round++ {
		l, err := Open(path, true)
		if err != nil {
			t.Fatal(err)
		}
		d, c := load(t, l)
		if c.Cluster == nil || c.Cluster.ServerID != sid || d.Tables[0].Len() != n {
			t.Fatalf("round %d: %+v with %d rows, want %d", round, c.Cluster, d.Tables[0].Len(), n)
		}
		wake := make(chan struct{}, 100)
		w := NewWriter(l, c, Options{}, func() { wake <- struct{}{} })
		for i := 0; i < 5; i++ {
			n++
			if err := commit(w, wake, insert(t, d, n), false); err != nil {
				t.Fatal(err)
			}
			if i == 2 && round == 2 {
				w.Compact(d.Schema, d.Snapshot(), "compacting", 1, "compaction")
			}
		}
		w.Close()
	}
	if got := numbers(t, path); len(got) != n {
		t.Errorf("%d rows, want %d", len(got), n)
	}
}

func FuzzLoad(f *testing.F) {
	whole := Frame(Frame(nil, MagicStandalone, []byte(schemaText)), MagicStandalone, []byte(`{"_is_diff":true,"_date":1,"a":{"00000000-0000-0000-0000-000000000001":{"n":5}}}`))
	f.Add(whole)
	f.Add(whole[:len(whole)-4])
	f.Add([]byte("OVSDB CLUSTER 5 0000000000000000000000000000000000000000\n{}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "db")
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(path, false)
		if err != nil {
			return
		}
		defer l.Close()
		var d *db.DB
		Load(l, Loader{Schema: func(s *data.Schema, _ data.UUID) { d = db.New(s) }, Txn: func(*db.Txn, data.UUID) {}, Tables: func() *db.DB { return d }})
	})
}

// FuzzApply gives the content of records, which the SHA-1 keeps FuzzLoad from
// reaching.
func FuzzApply(f *testing.F) {
	for _, s := range []string{
		`{"_is_diff":true,"_date":1,"a":{"00000000-0000-0000-0000-000000000001":{"n":5,"s":["set",["x"]]}}}`,
		`{"a":{"00000000-0000-0000-0000-000000000001":null},"_comment":"x"}`, `{"b":{}}`, `[]`,
	} {
		f.Add(s)
	}
	s, _ := data.ParseSchemaText(schemaText)
	f.Fuzz(func(t *testing.T, text string) {
		d := db.New(s)
		if _, err := Apply(d, `{"a":{"00000000-0000-0000-0000-000000000001":{"n":1}}}`, false); err != nil {
			t.Fatal(err)
		}
		if _, err := Apply(d, text, false); err != nil && !strings.Contains(text, "0001") && d.Tables[0].Len() != 1 {
			t.Fatalf("%q left %d rows", text, d.Tables[0].Len())
		}
	})
}
