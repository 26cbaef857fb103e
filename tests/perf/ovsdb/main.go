// The program ovsdb compares two database servers, stock's and ours, under the
// same load and in the same run. It prints a table of what both took, and
// beside each figure that we promise the bound and whether it is met. The table
// in docs/compat-ovsdb.md is its output.
//
//	go run ./tests/perf/ovsdb [-only REGEXP] [-ports N] STOCK OURS
//
// What is measured in slices alternates between the servers, so that a noisy
// machine hits both, and the median counts. It needs ovsdb-tool, ovs-vsctl and
// the Open_vSwitch schema of Debian's packages, strace for the slow disk, and
// some ten minutes of a machine with two cores that does nothing else.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
)

var (
	ports  = flag.Int("ports", 100000, "ports in the large database; the small one has a tenth")
	only   = flag.String("only", "", "run only the groups that match: small, scale, durable, waits, memory, vsctl")
	schema = flag.String("schema", "/usr/share/openvswitch/vswitch.ovsschema", "schema file")
	rounds = flag.Int("rounds", 7, "slices of each kind")
	secs   = flag.Float64("seconds", 0.4, "length of a slice")
)

// bench is one run of the program.
type bench struct {
	programs [2]string // stock's and ours
	dir      string
	dbs      map[int]string // database files by their numbers of ports
}

// Indices of programs and of whatever is measured of both.
const (
	stock = iota
	ours
)

// row is one line of the table.
type row struct {
	what, unit string
	v          [2]float64 // measured of stock and of ours
	figure     float64    // what we promise something about,
	wanted     bound      // and what; none if it is only told
}

// bound is a promise about a figure.
type bound struct {
	op    string // "<=" or ">="
	value float64
	unit  string // what the figure is in
}

func atMost(v float64, unit string) bound  { return bound{"<=", v, unit} }
func atLeast(v float64, unit string) bound { return bound{">=", v, unit} }

func (b bound) met(v float64) bool {
	if b.op == "<=" {
		return v <= b.value
	}
	return v >= b.value
}

// less makes a row for which ours must take at most some part of what stock
// takes.
func less(what, unit string, v [2]float64, part float64) row {
	return row{what, unit, v, v[ours] / v[stock], atMost(part, "x stock")}
}

// more makes a row for which ours must reach at least some multiple of stock.
func more(what, unit string, v [2]float64, times float64) row {
	return row{what, unit, v, v[ours] / v[stock], atLeast(times, "x stock")}
}

// own makes a row for which ours must keep a bound of its own.
func own(what, unit string, v [2]float64, wanted bound) row {
	return row{what, unit, v, v[ours], wanted}
}

// told makes a row without a promise.
func told(what, unit string, v [2]float64) row { return row{what: what, unit: unit, v: v} }

func number(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

func (r row) print() {
	fmt.Printf("%-58s %9s %9s %-3s", r.what, number(r.v[stock]), number(r.v[ours]), r.unit)
	if r.wanted.op != "" {
		verdict := "met"
		if !r.wanted.met(r.figure) {
			verdict = "NOT MET"
		}
		fmt.Printf("  %8s %-10s wanted %s %-5s %s", number(r.figure), r.wanted.unit, r.wanted.op, number(r.wanted.value), verdict)
	}
	fmt.Println()
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// percentile returns the value that a part of all values do not exceed.
func percentile(v []float64, part float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[min(len(s)-1, int(part*float64(len(s))))]
}

// cleanup is called before the program ends, whatever the reason.
var cleanup []func()

func quit(status int) {
	for i := len(cleanup) - 1; i >= 0; i-- {
		cleanup[i]()
	}
	os.Exit(status)
}

func fatal(v ...any) {
	fmt.Fprintln(os.Stderr, v...)
	quit(1)
}

func main() {
	flag.Parse()
	if flag.NArg() != 2 {
		fmt.Fprintln(os.Stderr, "usage: ovsdb [options] STOCK OURS")
		os.Exit(2)
	}
	re, err := regexp.Compile(*only)
	if err != nil {
		fatal(err)
	}
	dir, err := os.MkdirTemp("", "ovsdb-perf")
	if err != nil {
		fatal(err)
	}
	cleanup = append(cleanup, func() { os.RemoveAll(dir) })
	b := &bench{programs: [2]string{flag.Arg(0), flag.Arg(1)}, dir: dir, dbs: map[int]string{}}
	fmt.Printf("%-58s %9s %9s\n", "", "stock", "ours")
	for _, g := range []struct {
		name string
		run  func() []row
	}{
		{"small", b.small}, {"scale", b.scale}, {"durable", b.durable},
		{"waits", b.waits}, {"memory", b.memory}, {"vsctl", b.vsctl},
	} {
		if re.MatchString(g.name) {
			for _, r := range g.run() {
				r.print()
			}
		}
	}
	quit(0)
}
