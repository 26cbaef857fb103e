package main

import (
	"os/exec"
	"time"
)

// durable measures durable transactions on a disk that takes 20 ms for a flush:
// strace makes those calls return late, and no others.
func (b *bench) durable() []row {
	strace, err := exec.LookPath("strace")
	if err != nil {
		fatal("the slow disk needs strace: apt-get install strace, or tests/deps")
	}
	const calls = "fsync,fdatasync"
	under := []string{strace, "-f", "--seccomp-bpf", "-o", "/dev/null", "-e", "trace=" + calls, "-e", "inject=" + calls + ":delay_exit=20000"}
	var rate, times, wait, longest [2]float64
	for i := range rate {
		s := b.start(i, under...)
		one, many := dialN(s, 1), dialN(s, 16)
		call := func(c *client, _ int) { c.transact(small, durable) }
		var ones, manys []float64
		for range 3 {
			r, _ := s.slice(one, call)
			ones = append(ones, r)
			r, _ = s.slice(many, call)
			manys = append(manys, r)
		}
		rate[i] = median(manys)
		times[i] = median(manys) / median(ones)
		const read = `{"op":"select","table":"Open_vSwitch","where":[],"columns":["next_cfg"]}`
		idle := percentile(probed(s, read, func() { time.Sleep(10 * time.Millisecond) }), 0.99)
		busy := probed(s, read, func() { s.slice(many, call) })
		wait[i], longest[i] = max(percentile(busy, 0.99)-idle, 0), percentile(busy, 1)
		s.stop()
	}
	return []row{
		told("disk with 20 ms a flush: durable transactions, 16 writers", "/s", rate),
		own("... of the rate of one writer", "x", times, atLeast(8, "x")),
		own("... p99 of a reader's wait, less that on an idle server", "ms", wait, atMost(2, "ms")),
		told("... a reader's longest wait", "ms", longest),
	}
}
