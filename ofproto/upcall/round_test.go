package upcall

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/userspace"
	"sluice/internal/clock"
	"sluice/netdev/packet"
	"sluice/ofproto/xlate"
)

// threadTime is the CPU time of the calling thread.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		panic(err)
	}
	return time.Duration(ts.Nano())
}

// BenchmarkRound is a round of revalidation over 200,000 flows of a real datapath;
// worst-turn-ms is the CPU time of the longest of its turns, in which the loop does
// nothing else.
func BenchmarkRound(b *testing.B) {
	const n = 200000
	pool, err := packet.NewPool(1024)
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	dp := userspace.New(userspace.Options{Type: "dummy", Name: b.Name(), Clock: &clock.Fake{}, Pool: pool})
	defer dp.Close(true)
	bed := newBed(b)
	u := New(dp, bed.pool, &bed.mega, xlate.DirectSink{}, nil)
	u.SetSnapshot(bed.u.Snapshot())
	u.SetLimits(2*n, 10000, 500, DefaultMinPPS)
	u.SetFlowLimit(2 * n)
	bed.rule(0, 1, "in_port=1,udp", output(2))
	bed.rule(0, 2, "in_port=1,udp,nw_src=0.0.0.0/1,nw_dst=0.0.0.1", output(3))
	for i := range n {
		f := udp(1, uint32(i), uint32(i*7))
		up := &dpif.Upcall{Key: &f, UFID: f.HashUFID(), PMD: dpif.PMDNone, Now: bed.now + int64(i/100)}
		v := &dpif.Verdict{}
		if err := u.upcall(up, v); err != nil || !v.Install {
			b.Fatal(v.Install, err)
		}
		put := &dpif.FlowPut{Key: f, UFID: up.UFID, Actions: v.Actions, Create: true, PMD: dpif.PMDNone}
		put.Mask = v.Mask
		put.Mask.NwSrc = ^uint32(0)
		err := dp.FlowPut(put)
		v.Installed(err)
		if err != nil {
			b.Fatal(err)
		}
	}
	now := bed.now
	for _, c := range []struct {
		name  string
		reval bool
	}{{"counters", false}, {"translate", true}} {
		b.Run(fmt.Sprintf("%s-%d", c.name, n), func(b *testing.B) {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			worst, turns := time.Duration(0), 0
			for b.Loop() {
				u.WaitDump(func() {})
				if c.reval {
					u.Revalidate()
				}
				for more := true; more; turns++ {
					t0 := threadTime()
					more = u.Run(now)
					worst = max(worst, threadTime()-t0)
				}
			}
			if got := u.NFlows(); got != n {
				b.Fatalf("%d flows", got)
			}
			b.ReportMetric(float64(worst.Microseconds())/1000, "worst-turn-ms")
			b.ReportMetric(float64(turns)/float64(b.N), "turns/op")
		})
	}
}

// A round over many flows takes several turns.  What comes and goes meanwhile, and
// flows that the datapath lost, are treated as in a short one.
func TestRoundInTurns(t *testing.T) {
	b := newBed(t)
	b.u.SetFlowLimit(10 * slice)
	r := b.rule(0, 1, "in_port=1", output(2))
	const n = 3 * slice
	flows := make([]flow.Flow, n)
	for i := range flows {
		flows[i] = udp(1, uint32(i), 2)
		b.send(&flows[i])
	}
	b.count(r, n)
	for i := range flows {
		b.hit(&flows[i], 1)
	}
	// The datapath loses some, whose packets are lost with them.
	lost := []int{0, slice, n - 1}
	for _, i := range lost {
		delete(b.dp.flows, flows[i].HashUFID())
	}
	turns := 1
	for b.now += 1000; b.u.Run(b.now); turns++ {
		f := udp(1, uint32(n+turns), 3) // a new one in every turn
		b.send(&f)
	}
	if turns < 3 || turns > 5 {
		t.Errorf("%d turns for %d flows", turns, n)
	}
	added := uint64(turns - 1)
	b.count(r, n+n-uint64(len(lost))+added)
	// The next round counts nothing twice, and knows that the lost ones are not just
	// about to be installed.
	b.round()
	if got, want := b.u.ukeys.len(), n-len(lost)+int(added); got != want {
		t.Errorf("%d ukeys, want %d", got, want)
	}
	b.count(r, n+n-uint64(len(lost))+added)
	// Unused flows go, all of them.
	b.now += 20000
	b.round()
	if got := b.u.ukeys.len(); got != 0 || b.u.NFlows() != 0 {
		t.Errorf("%d ukeys and %d flows are left", got, b.u.NFlows())
	}
}
