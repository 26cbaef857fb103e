package connmgr

import (
	"testing"

	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/match"
)

// TestStalledPeer checks that messages nobody asked for do not pile up for a peer
// that stopped reading, that others get theirs, and that it gets new ones once it reads.
func TestStalledPeer(t *testing.T) {
	h := newHarness(t)
	good := h.accept(ofp.OF13)
	bad := h.accept(ofp.OF13)
	for _, c := range h.m.conns {
		c.SetMissSendLen(128)
	}
	stalled := h.m.conns[1]
	stalled.r.v.conn.(*pipe).full = true
	fr := &ofp.FlowRemoved{Match: match.Match{}, Reason: ofp.RemovedDelete}
	const n = 100000
	got := 0
	for i := range int64(n) {
		h.m.now = i
		h.m.SendFlowRemoved(fr)
		if i%100 == 0 {
			h.m.conns[0].run(i)
			got += len(good.take())
		}
	}
	h.m.conns[0].run(n)
	if got += len(good.take()); got != n {
		t.Errorf("the good one got %d", got)
	}
	if stalled.r.txBytes > 2*stalledBytes || cRconnOverflow.Total() == 0 {
		t.Errorf("%d bytes wait, %d messages were dropped", stalled.r.txBytes, cRconnOverflow.Total())
	}
	stalled.r.v.conn.(*pipe).full = false
	for now := int64(n); stalled.r.txBytes > 0 && now < n+100; now++ {
		stalled.run(now)
	}
	bad.take()
	h.m.SendFlowRemoved(fr)
	if stalled.run(n + 100); len(bad.take()) != 1 {
		t.Error("it does not get new messages")
	}
}

// TestManyBundles opens as many bundles as a connection may have.
func TestManyBundles(t *testing.T) {
	h := newHarness(t)
	h.accept(ofp.OF14)
	c := h.m.conns[0]
	for i := range uint32(maxBundlesAConn) {
		if err := c.BundleOpen(i, 0, nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.BundleOpen(1<<31, 0, nil); err == nil {
		t.Error("one too many was opened")
	}
	for i := range uint32(maxBundlesAConn) {
		if err := c.BundleDiscard(i); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.bundles) != 0 {
		t.Errorf("%d are left", len(c.bundles))
	}
}

// TestManyParts checks the limit of what incomplete requests hold.
func TestManyParts(t *testing.T) {
	var a assembler
	b := make([]byte, 65000)
	copy(b, []byte{4, 18, byte(len(b) >> 8), byte(len(b) & 0xff), 0, 0, 0, 0, 0, 12, 0, 1}) // table features, more
	refused := 0
	for i := range 1000 {
		b := append([]byte(nil), b...)
		b[7] = byte(i % 32)
		if _, err := a.add(b, 0); err != nil {
			refused++
		}
	}
	if a.size > maxAllParts || refused == 0 {
		t.Errorf("%d bytes are held, %d parts refused", a.size, refused)
	}
	a.run(partTimeoutMs)
	if a.size != 0 || len(a.partial) != 0 {
		t.Errorf("%d bytes are left", a.size)
	}
}
