package storage

import (
	"runtime"
	"testing"
	"time"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// gatedDisk lets the test say when a flush ends.
type gatedDisk struct {
	disk
	begun, end chan struct{}
	flushes    int
}

func (g *gatedDisk) Datasync() error {
	g.begun <- struct{}{}
	<-g.end
	g.flushes++
	return g.disk.Datasync()
}

// TestGroupCommit queues sixteen durable transactions behind a flush: one more
// flush serves them all, and a transaction that need not be flushed does not
// overtake them.
func TestGroupCommit(t *testing.T) {
	s := schema(t)
	js := s.JSON()
	g := &gatedDisk{begun: make(chan struct{}, 100), end: make(chan struct{}, 100)}
	l := &Log{name: "db", f: g, magic: MagicStandalone}
	if err := l.append(Frame(nil, MagicStandalone, js.Append(nil))); err != nil {
		t.Fatal(err)
	}
	wake := make(chan struct{}, 100)
	w := NewWriter(l, Content{}, Options{}, func() { wake <- struct{}{} })
	d := db.New(s)
	submit := func(n int, durable bool) {
		t.Helper()
		over, err := w.Commit(Encode(nil, insert(t, d, n), 1, Options{}), data.UUID{}, durable, n)
		if over || err != nil {
			t.Fatalf("transaction %d was over at once (%v)", n, err)
		}
	}
	submit(0, true)
	<-g.begun
	for n := 1; n <= 16; n++ {
		submit(n, true)
	}
	submit(17, false)
	g.end <- struct{}{}
	<-g.begun
	g.end <- struct{}{}
	next := 0
	for next < 18 {
		<-wake
		for _, r := range w.Take() {
			if r.Err != nil || r.Token != any(next) {
				t.Fatalf("result %v (%v), want %d", r.Token, r.Err, next)
			}
			next++
		}
	}
	if g.flushes != 2 {
		t.Errorf("%d flushes, want 2", g.flushes)
	}
	if over, err := w.Commit(Encode(nil, insert(t, d, 18), 1, Options{}), data.UUID{}, false, 18); !over || err != nil {
		t.Errorf("a transaction on an idle disk was handed over (%v)", err)
	}
	w.Close()
}

// TestGather lets a slow disk wait for a commit that is expected, and go on
// without it when it does not come.
func TestGather(t *testing.T) {
	s := schema(t)
	g := &gatedDisk{begun: make(chan struct{}, 100), end: make(chan struct{}, 100)}
	w := NewWriter(&Log{name: "db", f: g, magic: MagicStandalone}, Content{}, Options{}, func() {})
	d := db.New(s)
	expect := func(flush time.Duration, n int) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.flush, w.expect = flush, n
	}
	submit := func(n int) {
		w.Commit(Encode(nil, insert(t, d, n), 1, Options{}), data.UUID{}, true, n)
	}
	for range 100 {
		g.end <- struct{}{}
	}
	expect(time.Hour, 3)
	for n := range 3 {
		submit(n)
	}
	<-g.begun
	for w.Busy() && len(w.Take()) == 0 {
		runtime.Gosched()
	}
	if g.flushes != 1 {
		t.Errorf("%d flushes for three expected commits, want 1", g.flushes)
	}
	expect(8*time.Millisecond, 2)
	submit(4)
	<-g.begun
	w.Close()
	if g.flushes != 2 {
		t.Errorf("%d flushes, want 2: the expected commit did not come", g.flushes)
	}
}
