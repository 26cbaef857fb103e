package dpctl

import (
	"fmt"

	"golang.org/x/sys/unix"

	"sluice/dpif"
)

// offloadStats prints the counters of offloaded flows: the sums and averages over all
// threads, then those of each.
func offloadStats(c *call) error {
	d, err := c.optional(1)
	if err != nil {
		return err
	}
	o, ok := d.Dpif.(dpif.Offloader)
	var threads []dpif.OffloadStats
	if ok {
		threads, ok = o.OffloadStats()
	}
	if !ok {
		return c.errorf(unix.EINVAL, "retrieving offload statistics")
	}
	var total dpif.OffloadStats
	for _, s := range threads {
		total.Enqueued += s.Enqueued
		total.Inserted += s.Inserted
		total.Mean += s.Mean
		total.StdDev += s.StdDev
		total.RecentMean += s.RecentMean
		total.RecentStdDev += s.RecentStdDev
	}
	n := uint64(len(threads))
	total.Mean, total.StdDev, total.RecentMean, total.RecentStdDev = total.Mean/n, total.StdDev/n, total.RecentMean/n, total.RecentStdDev/n
	c.printf("HW Offload stats:\n")
	c.offloadStats("  Total", &total)
	for i := range threads {
		c.offloadStats(fmt.Sprintf("  [%3d]", i), &threads[i])
	}
	return nil
}

func (c *call) offloadStats(who string, s *dpif.OffloadStats) {
	for _, l := range []struct {
		name string
		v    uint64
	}{
		{"                Enqueued offloads", s.Enqueued}, {"                Inserted offloads", s.Inserted},
		{"  Cumulative Average latency (us)", s.Mean}, {"   Cumulative Latency stddev (us)", s.StdDev},
		{" Exponential Average latency (us)", s.RecentMean}, {"  Exponential Latency stddev (us)", s.RecentStdDev},
	} {
		c.printf("   %s %s: %6d\n", who, l.name, l.v)
	}
}
