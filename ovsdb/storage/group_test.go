package storage

import (
	"testing"

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
