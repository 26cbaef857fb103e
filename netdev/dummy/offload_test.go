package dummy

import (
	"bytes"
	"testing"

	"sluice/netdev"
	"sluice/netdev/packet"
)

// prefix matches the frames that begin with it.
type prefix []byte

func (p prefix) Matches(frame []byte) bool          { return bytes.HasPrefix(frame, p) }
func (p prefix) AppendText(b []byte, _ bool) []byte { return append(b, p...) }
func (p prefix) AppendFrame(b, frame []byte) []byte { return append(b, frame...) }
func flowOf(id byte, mark uint32, p string) *netdev.OffloadFlow {
	return &netdev.OffloadFlow{ID: netdev.FlowID{id}, Mark: mark, Match: prefix(p)}
}

func TestOffloadMarks(t *testing.T) {
	pool, err := packet.NewPool(64)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	c := pool.NewCache(8)
	d := newDevice("off", "dummy", false)
	marks := func() (list []uint32) {
		for _, frame := range []string{"aa", "ab", "b"} {
			d.Receive([]byte(frame+"..............."), 0)
		}
		for {
			var b packet.Batch
			if n, err := d.rx[0].Recv(c, &b); n == 0 || err != nil {
				return list
			}
			mark := uint32(0)
			if m := pool.Meta(b.Pkts[0]); m.Offload&packet.FlowMarked != 0 {
				mark = m.Hash
			}
			list = append(list, mark)
			c.FreeBatch(&b)
		}
	}
	check := func(what string, a, b, c uint32) {
		t.Helper()
		if got := marks(); len(got) != 3 || got[0] != a || got[1] != b || got[2] != c {
			t.Errorf("%s: marks %d, want %d %d %d", what, got, a, b, c)
		}
	}
	check("no flows", 0, 0, 0)
	for _, f := range []*netdev.OffloadFlow{flowOf(1, 5, "aa"), flowOf(2, 6, "b")} {
		if err := d.FlowPut(f); err != nil {
			t.Fatal(err)
		}
	}
	check("two flows", 5, 0, 6)
	if err := d.FlowPut(flowOf(1, 7, "a")); err != nil {
		t.Fatal(err)
	}
	check("one changed", 7, 7, 6)
	if err := d.FlowDel(netdev.FlowID{1}); err != nil {
		t.Fatal(err)
	}
	if err := d.FlowDel(netdev.FlowID{1}); err == nil {
		t.Error("a flow was deleted twice")
	}
	check("one deleted", 0, 0, 6)
	d.FlowFlush()
	check("flushed", 0, 0, 0)
}
