package userspace

import (
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
)

// A sweep in small steps sees each flow once that is there all the time, whatever
// comes and goes meanwhile, threads included.
func TestSweep(t *testing.T) {
	d := newDpif(t, &CPUs{list: []CPU{{0, 0}, {1, 0}}, dummy: true})
	p := newDev("p1", 2, true)
	add(t, d, p)
	d.SetConfig(map[string]string{"pmd-cpu-mask": "3"})
	d.Run(1)
	put := func(n uint32, pmd int) flow.UFID {
		key := flow.Flow{InPort: 1, DLType: flow.EthIPv4, NwSrc: n}
		mask := flow.Mask{InPort: ^uint32(0), DLType: 0xffff, NwSrc: ^uint32(0)}
		id := key.HashUFID()
		if err := d.FlowPut(&dpif.FlowPut{Key: key, Mask: mask, UFID: id, Actions: out(1), Create: true, PMD: pmd}); err != nil {
			t.Fatal(err)
		}
		return id
	}
	const perThread = 300
	ids := map[uint32]flow.UFID{}
	for n := range uint32(perThread) {
		for _, pmd := range []int{dpif.PMDNone, 0, 1} {
			ids[n] = put(n, pmd)
		}
	}
	type name struct {
		src uint32
		pmd int
	}
	seen := map[name]int{}
	var at dpif.Sweep
	steps := 0
	for more := true; more; steps++ {
		calls := 0
		more = d.FlowSweep(&at, 70, func(f *dpif.Flow) {
			seen[name{f.Key.NwSrc, f.PMD}]++
			calls++
		})
		if calls > 70 {
			t.Fatalf("%d flows in a step", calls)
		}
		switch steps {
		case 0, 1, 2: // of those that were seen and of those that come, and new ones
			for _, n := range []uint32{1, 200} {
				if _, err := d.FlowDel(ids[n+uint32(steps)], dpif.PMDAll); err != nil {
					t.Fatal(err)
				}
				put(1000+n+uint32(steps), dpif.PMDNone)
			}
		case 6: // the sweep is in the flows of core 0: that thread goes
			d.SetConfig(map[string]string{"pmd-cpu-mask": "2"})
			d.Run(2)
		}
	}
	if steps < 9 {
		t.Errorf("%d steps", steps)
	}
	for n := range uint32(perThread) {
		if n >= 1 && n <= 3 || n >= 200 && n <= 202 {
			continue
		}
		for _, pmd := range []int{dpif.PMDNone, 1} {
			if got := seen[name{n, pmd}]; got != 1 {
				t.Errorf("flow %d of thread %d was seen %d times", n, pmd, got)
			}
		}
	}
	for f, n := range seen {
		if n != 1 {
			t.Errorf("flow %d of thread %d was seen %d times", f.src, f.pmd, n)
		}
	}
}
