package main

import (
	"fmt"
	"os"
	"time"
)

// memory measures servers with very many ports: how long they take to start
// and how much memory they need, at rest and at work.
func (b *bench) memory() []row {
	file := b.database(*ports)
	text, err := os.ReadFile(*schema)
	if err != nil {
		fatal(err)
	}
	var start, rss, peak, live [2]float64
	for i := range start {
		var times []float64
		for range 3 {
			begin := time.Now()
			s := b.startOn(i, file)
			times = append(times, time.Since(begin).Seconds())
			s.stop()
		}
		start[i] = median(times)
		s := b.startOn(i, file)
		c := dial(s.sock)
		for range 1000 {
			c.transact(small)
		}
		rss[i] = s.memory("VmRSS")
		s.compact()
		m := dial(s.sock)
		m.send("monitor_cond", everything)
		m.skip()
		m.c.Close()
		c.call("set_db_change_aware", "[true]")
		c.call("convert", `["Open_vSwitch",`+string(text)+`]`)
		peak[i], live[i] = s.memory("VmHWM"), s.live()
		s.stop()
	}
	at := fmt.Sprintf(" with %d ports", *ports)
	return []row{
		less("start-up"+at, "s", start, 1),
		own("resident memory at rest"+at, "MB", rss, atMost(810, "MB")),
		told("... its peak in a compaction, a monitor and a conversion", "MB", peak),
		own("... live heap", "MB", live, atMost(450, "MB")),
	}
}
