package main

import (
	"fmt"
	"os"
	"time"
)

// minProbes is how many requests a percentile is of, at least.
const minProbes = 1000

// waits measures what a small client waits while big work of others runs.
func (b *bench) waits() []row {
	text, err := os.ReadFile(*schema)
	if err != nil {
		fatal(err)
	}
	var took [2][]float64
	rows := b.during(fmt.Sprintf("compaction of %d ports", *ports), *ports, func(_ int, s *server) { s.compact() })
	rows = append(rows, b.during(fmt.Sprintf("conversion of %d ports", *ports), *ports, func(i int, s *server) {
		c := dial(s.sock)
		defer c.c.Close()
		c.call("set_db_change_aware", "[true]")
		begin := time.Now()
		c.call("convert", `["Open_vSwitch",`+string(text)+`]`)
		took[i] = append(took[i], time.Since(begin).Seconds())
	})...)
	rows = append(rows, own("the conversion itself", "s", [2]float64{median(took[stock]), median(took[ours])}, atMost(1, "s")))
	return append(rows, b.during(fmt.Sprintf("initial monitor of %d ports", *ports/10), *ports/10, func(_ int, s *server) {
		c := dial(s.sock)
		defer c.c.Close()
		c.send("monitor_cond", everything)
		c.skip()
	})...)
}

// during measures the waits of small transactions while work runs again and
// again, less those of an idle control run.
func (b *bench) during(what string, n int, work func(i int, s *server)) []row {
	var p99, longest [2]float64
	for i := range p99 {
		s := b.startOn(i, b.database(n))
		idle := percentile(probed(s, small, func() { time.Sleep(10 * time.Millisecond) }), 0.99)
		waits := probed(s, small, func() { work(i, s) })
		// What cannot be told from nothing counts as a twentieth of a ms.
		p99[i], longest[i] = max(percentile(waits, 0.99)-idle, 0.05), percentile(waits, 1)
		s.stop()
	}
	return []row{
		{"p99 of others' waits, less idle: " + what, "ms", p99, p99[stock] / p99[ours], atLeast(20, "x better")},
		told("... the longest of them", "ms", longest),
	}
}

// probed lets a small client send op while work runs, again and again until
// there are enough of its waits.
func probed(s *server, op string, work func()) (waits []float64) {
	for len(waits) < minProbes {
		p := probe(s.sock, op)
		for end := time.Now().Add(minProbes * probePeriod * 5 / 4); time.Now().Before(end); {
			work()
		}
		waits = append(waits, p.stop()...)
	}
	return waits
}
