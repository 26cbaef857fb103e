package coverage

import (
	"strings"
	"testing"
)

func TestShow(t *testing.T) {
	a, b := New("test_a"), New("test_b")
	New("test_never")
	Run(0)
	a.Inc()
	b.Add(59)
	Run(RunInterval)
	text := strings.Join(Show(), "\n")
	for _, want := range []string{
		"test_a                     0.2/sec     0.017/sec        0.0003/sec   total: 1",
		"test_b                    11.8/sec     0.983/sec        0.0164/sec   total: 59",
		"1 events never hit",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if Lookup("test_b").Total() != 59 || Lookup("nothing") != nil {
		t.Error("Lookup")
	}
	if n := testing.AllocsPerRun(100, a.Inc); n != 0 {
		t.Errorf("Inc: %v allocations", n)
	}
	// A call after more than an hour must not run for ever or past the end.
	Run(RunInterval * 1e9)
}
