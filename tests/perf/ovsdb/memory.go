package main

import (
	"fmt"
	"os"
	"os/exec"
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

// vsctl measures `ovs-vsctl add-port`: all of it, and what is ovs-vsctl's own.
func (b *bench) vsctl() []row {
	n := *ports / 10
	var ss [2]*server
	var wall, client, cpu [2][]float64
	for i := range ss {
		ss[i] = b.startOn(i, b.database(n))
		defer ss[i].stop()
	}
	for r := range 2 * *rounds {
		for i, s := range ss {
			before, begin := s.cpu(), time.Now()
			cmd := exec.Command("ovs-vsctl", "--no-wait", "--db=unix:"+s.sock, "add-port", "br0", fmt.Sprintf("new%d", r))
			if out, err := cmd.CombinedOutput(); err != nil {
				fatal(string(out))
			}
			wall[i] = append(wall[i], time.Since(begin).Seconds()*1000)
			client[i] = append(client[i], (cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()).Seconds()*1000)
			time.Sleep(50 * time.Millisecond) // what the server does afterwards counts as well
			cpu[i] = append(cpu[i], (s.cpu()-before)*1000)
		}
	}
	both := func(v [2][]float64) [2]float64 { return [2]float64{median(v[stock]), median(v[ours])} }
	return []row{
		less(fmt.Sprintf("ovs-vsctl add-port at %d ports", n), "ms", both(wall), 0.5),
		told("... ovs-vsctl's own CPU in it", "ms", both(client)),
		told("... the server's CPU for it", "ms", both(cpu)),
	}
}
