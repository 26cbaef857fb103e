package vlog

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func capture(t *testing.T) *[]string {
	var got []string
	SetSink(func(m *Module, l Level, text string) {
		got = append(got, fmt.Sprintf("%s|%s|%s", m.Name(), l, text))
	})
	t.Cleanup(func() { SetSink(nil) })
	return &got
}

func TestLevels(t *testing.T) {
	got := capture(t)
	m := New("test_levels")
	m.Info("a %d", 1)
	m.Dbg("b")
	m.SetLevel(File, Dbg)
	m.Dbg("the file is not open")
	m.SetLevel(Console, Dbg)
	m.Dbg("100%%")
	m.SetLevel(Console, Off)
	m.SetLevel(Syslog, Off)
	m.Emer("nobody listens")
	want := []string{"test_levels|INFO|a 1", "test_levels|DBG|100%"}
	if d := cmp.Diff(want, *got); d != "" {
		t.Error(d)
	}
	if New("test_levels") != m || Lookup("TEST_LEVELS") != m {
		t.Error("a module name must mean one module")
	}
}

func TestDisabledCostsNothing(t *testing.T) {
	m := New("test_alloc")
	if n := testing.AllocsPerRun(100, func() { m.Dbg("nothing") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestLimiter(t *testing.T) {
	got := capture(t)
	ms := int64(5000)
	SetClock(func() int64 { return ms })
	t.Cleanup(func() { now.Store(nil) })
	m, rl := New("test_limit"), NewLimiter(1, 2)
	for i := range 5 {
		m.WarnRL(rl, "w%d", i)
		ms += 1000
	}
	ms += 120000
	m.WarnRL(rl, "late")
	m.SetRateLimited(false)
	for range 3 {
		m.WarnRL(rl, "free")
	}
	want := []string{
		"test_limit|WARN|w0", "test_limit|WARN|w1",
		"test_limit|WARN|Dropped 3 log messages in last 123 seconds (most recently, 121 seconds ago) due to excessive rate",
		"test_limit|WARN|late", "test_limit|WARN|free", "test_limit|WARN|free", "test_limit|WARN|free",
	}
	if d := cmp.Diff(want, *got); d != "" {
		t.Error(d)
	}
}

func TestThreads(t *testing.T) {
	var got []string
	SetThreadSink(func(m *Module, thread string, l Level, text string) {
		got = append(got, fmt.Sprintf("%s(%s)|%s|%s", m.Name(), thread, l, text))
	})
	t.Cleanup(func() { SetThreadSink(nil) })
	m := New("test_threads")
	m.Info("main")
	m.As("monitor1").Info("%d created", 1)
	m.As("monitor1").Dbg("not wanted")
	if d := cmp.Diff([]string{"test_threads()|INFO|main", "test_threads(monitor1)|INFO|1 created"}, got); d != "" {
		t.Error(d)
	}
}
