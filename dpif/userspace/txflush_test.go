package userspace

import (
	"testing"

	"sluice/netdev/packet"
)

// With tx-flush-interval packets wait for others, but not longer than that.
func TestTxFlushInterval(t *testing.T) {
	d := newDpif(t, &CPUs{list: []CPU{{0, 0}}, dummy: true})
	dev := newDev("p1", 1, true)
	th := newThread(d, 0, 0)
	defer th.close()
	th.apply(&config{ports: []*port{nil, {no: 1, dev: dev, txqs: []*txq{{q: dev.tx}}}}, txFlushUs: 100}, nil, 0)
	output := func(n int) {
		var b packet.Batch
		for range n {
			b.Add(th.c.New(make([]byte, 60)))
		}
		th.Output(&b, 1)
	}
	for _, c := range []struct {
		now  int64 // µs
		out  int   // packets that are output before
		sent int   // in all
	}{
		{1000, 1, 0}, {1050, 1, 0}, {1099, 0, 0}, {1100, 0, 2}, // the first has waited long enough
		{1101, 1, 2}, {1200, 0, 2}, {1201, 0, 3},
		{1300, 30, 3}, {1301, 3, 33}, {1302, 30, 36}, // a full batch does not wait
		{1399, 0, 36}, {1400, 0, 66}, {5000, 0, 66},
	} {
		if output(c.out); c.out > 0 && len(th.dirty) != 1 {
			t.Errorf("at %d µs: %d ports are dirty", c.now, len(th.dirty))
		}
		if th.flushDue(c.now); dev.tx.n != c.sent {
			t.Errorf("at %d µs: %d packets sent, want %d", c.now, dev.tx.n, c.sent)
		}
	}
	if !th.holdsTx() || d.loop.holdsTx() {
		t.Error("only polling threads hold packets back")
	}
}

func TestTxFlushSetting(t *testing.T) {
	d := newDpif(t, &CPUs{list: []CPU{{0, 0}}, dummy: true})
	add(t, d, newDev("p1", 1, true))
	for _, c := range []struct {
		text string
		us   int64
	}{{"50", 50}, {"1000000", 1000000}, {"1000001", 0}, {"7", 7}, {"-1", 0}, {"x", 0}, {"", 0}} {
		d.SetConfig(map[string]string{"tx-flush-interval": c.text})
		d.Run(1)
		var got int64
		doAll([]*thread{d.thread(0)}, func(t *thread) { got = t.cfg.txFlushUs })
		if got != c.us {
			t.Errorf("%q: %d µs, want %d", c.text, got, c.us)
		}
	}
}
