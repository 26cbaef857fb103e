package userspace

import (
	"fmt"
	"strings"
	"testing"
)

func TestMiniflowParserSet(t *testing.T) {
	d := newDpif(t, nil)
	add(t, d, newDev("p1", 1, true))
	for args, want := range map[string]string{
		"scalar":        "Miniflow extract implementation set to scalar.\n",
		"-pmd 0 scalar": "Miniflow extract implementation set to scalar, on pmd thread 0.\n",
		"study":         "! Error: unknown miniflow extract implementation study.\n",
		"scalar 300":    "! Error: unknown argument 300.\n",
		"-pmd":          "! Error: -pmd option requires a thread id argument.\n",
		"-pmd 0":        "! Error: no miniflow extract name provided. Output of miniflow-parser-get shows implementation list.\n",
		"-pmd x scalar": "! Error: miniflow extract parser not changed, PMD thread passed is not valid: 'x'. Pass a valid pmd thread ID.\n",
		"-pmd 9 scalar": "! Error: miniflow extract parser not changed, PMD thread 9 not in use, pass a valid pmd thread ID.\n",
	} {
		got, err := MiniflowParserSet(strings.Fields(args))
		if err != nil {
			got = fmt.Sprint("! ", err)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", args, got, want)
		}
	}
	if got, _ := MiniflowParserGet(nil); got != "Available MFEX implementations:\n  scalar (available: True pmds: 0)\n" {
		t.Errorf("get: %q", got)
	}
}

func TestLeadingNumber(t *testing.T) {
	for _, c := range []struct {
		text string
		want uint64
		ok   bool
	}{{"3", 3, true}, {"3x", 3, true}, {"x", 0, true}, {"", 0, true}, {"-1", 0, false}, {"99999999999999999999", 0, false}} {
		if n, ok := leadingNumber(c.text); ok != c.ok || ok && n != c.want {
			t.Errorf("%q: %d, %t", c.text, n, ok)
		}
	}
}

// A datapath that is named wrongly is an error where it is the only argument.
func TestNamedDatapaths(t *testing.T) {
	d := newDpif(t, nil)
	for name, fn := range map[string]func([]string) (string, error){"bond-show": BondShow, "pmd-rxq-rebalance": PMDRxqRebalance} {
		if _, err := fn([]string{"nope"}); err != errNoDatapath {
			t.Errorf("%s nope: %v", name, err)
		}
		if _, err := fn([]string{d.name}); err != nil {
			t.Errorf("%s %s: %v", name, d.name, err)
		}
	}
	if got, err := PMDRxqShow([]string{"-pmd", "9", d.name}); got != "" || err != nil {
		t.Errorf("pmd-rxq-show of a thread that does not exist: %q, %v", got, err)
	}
}
