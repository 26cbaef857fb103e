package poll

import "testing"

func TestEventWakesBlock(t *testing.T) {
	e := NewEvent()
	defer e.Close()
	var s Set
	go e.Set()
	e.Wait(&s)
	if err := s.Block(0); err != nil {
		t.Fatal(err)
	}
	if !e.Reset() || e.Reset() {
		t.Error("the event must be set exactly once")
	}
}

func TestDeadlines(t *testing.T) {
	var s Set
	if _, ok := s.timeout(5); ok {
		t.Error("an empty set has no deadline")
	}
	s.Timer(100)
	s.Timer(50)
	if d, ok := s.timeout(20); !ok || d.Milliseconds() != 30 {
		t.Errorf("timeout %v %v", d, ok)
	}
	s.Immediate()
	if d, ok := s.timeout(20); !ok || d != 0 {
		t.Errorf("immediate: %v %v", d, ok)
	}
	if err := s.Block(20); err != nil {
		t.Fatal(err)
	}
	if _, ok := s.Deadline(); ok {
		t.Error("Block must forget")
	}
}

func TestMergeAndSteadyStateAllocations(t *testing.T) {
	e := NewEvent()
	defer e.Close()
	e.Set()
	var a, b Set
	b.Timer(7)
	e.Wait(&b)
	a.Merge(&b)
	if at, ok := a.Deadline(); !ok || at != 7 || len(a.fds) != 1 {
		t.Errorf("merge: %v %v %v", at, ok, a.fds)
	}
	if n := testing.AllocsPerRun(100, func() { e.Wait(&a); e.Wait(&a); a.Block(0) }); n != 0 {
		t.Errorf("%v allocations a turn", n)
	}
}

func TestWatch(t *testing.T) {
	e := NewEvent()
	defer e.Close()
	var s, other Set
	var none Watch
	w := s.Watch(e.Fd(), In)
	if none.Idle() || w.Idle() {
		t.Error("nothing is known before Block")
	}
	for _, set := range []bool{false, true} {
		if set {
			e.Set()
		}
		w := s.Watch(e.Fd(), In)
		s.Immediate()
		if err := s.Block(0); err != nil {
			t.Fatal(err)
		}
		if w.Idle() == set || w.Idle() {
			t.Errorf("set: %v", set)
		}
	}
	// Too old, or of a set that was merged into another.
	old := s.Watch(e.Fd(), In)
	merged := other.Watch(e.Fd(), In)
	s.Merge(&other)
	e.Reset()
	for range 2 {
		s.Immediate()
		s.Block(0)
	}
	if old.Idle() || merged.Idle() {
		t.Error("a watch outlives its Block")
	}
}
