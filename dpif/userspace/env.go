package userspace

import (
	"encoding/binary"

	"sluice/dpif"
	"sluice/dpif/exec"
	"sluice/dpif/flow"
	"sluice/dpif/meter"
	"sluice/dpif/odp"
	"sluice/internal/coverage"
	"sluice/netdev/packet"
)

var _ exec.Env = (*thread)(nil)

var (
	cInvalidPort = coverage.New("datapath_drop_invalid_port")
	cInvalidBond = coverage.New("datapath_drop_invalid_bond")
	cMeter       = coverage.New("datapath_drop_meter")
	cTooBig      = coverage.New("datapath_drop_too_big")
)

// Output implements exec.Env: the packets wait for the end of the batch.
func (t *thread) Output(b *packet.Batch, port uint32) {
	tp := t.txPort(port)
	if tp == nil {
		cInvalidPort.Add(uint64(b.N))
		t.c.FreeBatch(b)
		return
	}
	if tp.batch.N+b.N > packet.BatchSize {
		t.flushPort(tp)
	}
	if !tp.waits && b.N > 0 {
		tp.waits = true
		t.dirty = append(t.dirty, tp)
	}
	copy(tp.batch.Pkts[tp.batch.N:], b.Slice())
	tp.batch.N += b.N
	b.N = 0
}

// flowOf is the flow of a packet as it is now.
func (t *thread) flowOf(i packet.Index) *flow.Flow {
	var k flow.Mini
	f := new(flow.Flow)
	flow.Extract(t.p.Data(i), t.p.Meta(i), t.p.Cold(i), &k)
	k.Expand(f)
	return f
}

// Recirculate implements exec.Env.
func (t *thread) Recirculate(b *packet.Batch, id uint32) {
	if !t.canRecirculate(b) {
		return
	}
	for _, i := range b.Slice() {
		t.p.Meta(i).RecircID = id
	}
	t.recirculate(b)
}

func (t *thread) canRecirculate(b *packet.Batch) bool {
	if t.recircs < maxRecirc {
		return true
	}
	cRecirc.Add(uint64(b.N))
	log.Warn("Packet dropped. Max recirculation depth exceeded.")
	t.c.FreeBatch(b)
	return false
}

// recirculate takes packets, which have one input port, through the flow tables
// again.
func (t *thread) recirculate(b *packet.Batch) {
	if b.N == 0 {
		return
	}
	t.stats.add(statRecirc, uint64(b.N))
	t.recircs++
	t.depth++
	t.input(b, t.p.Meta(b.Pkts[0]).InPort)
	t.depth--
	t.recircs--
}

// Userspace implements exec.Env: ofproto gets each packet and may answer with
// actions for it.
func (t *thread) Userspace(b *packet.Batch, arg *odp.UserspaceArg) {
	for _, i := range b.Slice() {
		t.userspace(i, arg)
	}
	b.N = 0
}

func (t *thread) userspace(i packet.Index, arg *odp.UserspaceArg) {
	t.depth++
	defer func() { t.depth-- }()
	sc := t.scratchAt()
	if sc == nil {
		cUserspace.Inc()
		t.c.Free(i)
		return
	}
	sc.flow = *t.flowOf(i)
	u := &sc.upcall
	*u = dpif.Upcall{Kind: dpif.UpcallAction, Key: &sc.flow, UFID: sc.flow.HashUFID(), Userdata: arg, Actions: t.running}
	v, err := t.upcall(sc, u, i)
	if err != nil {
		cUserspace.Inc()
		t.c.Free(i)
		return
	}
	t.runOn(i, v.Actions)
}

// Conntrack implements exec.Env.
func (t *thread) Conntrack(b *packet.Batch, arg *odp.CTArg) {
	if ct := t.dp.conntrack; ct != nil {
		ct.Execute(t.c, b, arg, t.now)
		return
	}
	for _, i := range b.Slice() {
		m := t.p.Meta(i)
		m.CTState, m.CTZone = flow.CTTracked|flow.CTInvalid, arg.Zone
	}
}

// Meter implements exec.Env.
func (t *thread) Meter(b *packet.Batch, id uint32) {
	var sizes [packet.BatchSize]uint32
	var verdicts [packet.BatchSize]meter.Verdict
	for n, i := range b.Slice() {
		sizes[n] = t.p.Meta(i).Len
	}
	t.dp.meters.Run(id, sizes[:b.N], t.now, &verdicts)
	kept := 0
	for n, i := range b.Slice() {
		if verdicts[n].Drop {
			cMeter.Inc()
			t.c.Free(i)
			continue
		}
		if level := verdicts[n].Remark; level != 0 {
			t.remark(i, level)
		}
		b.Pkts[kept] = i
		kept++
	}
	b.N = kept
}

// remark raises the drop precedence of an assured forwarding code point (RFC 2597)
// by level, at most to 3.
func (t *thread) remark(i packet.Index, level uint8) {
	m := t.p.Meta(i)
	b := t.p.Data(i)
	if m.L3 == packet.NoLayer || int(m.L3)+20 > len(b) {
		return
	}
	ip := b[m.L3:]
	switch ip[0] >> 4 {
	case 4:
		tos := remarked(ip[1], level)
		csum := binary.BigEndian.Uint16(ip[10:])
		binary.BigEndian.PutUint16(ip[10:], packet.Recalc16(csum, uint16(ip[1]), uint16(tos)))
		ip[1] = tos
	case 6:
		word := binary.BigEndian.Uint32(ip)
		tc := remarked(uint8(word>>20), level)
		binary.BigEndian.PutUint32(ip, word&^0x0ff00000|uint32(tc)<<20)
	}
}

func remarked(tos, level uint8) uint8 {
	class, prec := tos>>5, tos>>3&3
	if class < 1 || class > 4 || prec == 0 || tos&4 != 0 {
		return tos
	}
	prec = min(prec+level, 3)
	return tos&^0x18 | prec<<3
}

// flush sends what waits for all ports.
func (t *thread) flush() {
	for _, tp := range t.dirty {
		t.flushPort(tp)
		tp.waits = false
	}
	t.dirty, t.dirtyUs = t.dirty[:0], 0
}

// flushDue sends what has waited for tx-flush-interval, at µs now.
func (t *thread) flushDue(now int64) {
	switch {
	case len(t.dirty) == 0:
	case t.dirtyUs == 0:
		t.dirtyUs = now
	case now-t.dirtyUs >= t.cfg.txFlushUs:
		t.flush()
	}
}

// holdsTx says whether packets wait for tx-flush-interval.  The control loop has other
// things to do than to watch over µs.
func (t *thread) holdsTx() bool { return t.cfg.txFlushUs > 0 && t.core != dpif.PMDNone }

// flushPort sends the packets that wait for one port.
func (t *thread) flushPort(tp *txPort) {
	if tp.batch.N == 0 {
		return
	}
	n := tp.batch.N
	t.finish(tp)
	t.send(tp)
	tp.idle = 0
	if !tp.active {
		tp.active = true
		t.active = append(t.active, tp)
	}
	t.stats.add(statSentPkts, uint64(n))
	t.stats.add(statSentBatches, 1)
}

// send hands the port's batch to the device.
func (t *thread) send(tp *txPort) {
	if tp.port.hashTx {
		t.sendByHash(tp)
	} else {
		tp.q.send(t.c, &tp.batch)
	}
	tp.batch.N = 0
}

func (q *txq) send(c *packet.Cache, b *packet.Batch) {
	if q.shared.Load() {
		q.mu.Lock()
		q.q.Send(c, b)
		q.mu.Unlock()
	} else {
		q.q.Send(c, b)
	}
}

func (q *txq) flush(c *packet.Cache) {
	if q.shared.Load() {
		q.mu.Lock()
		q.q.Flush(c)
		q.mu.Unlock()
	} else {
		q.q.Flush(c)
	}
}

// sendByHash spreads the batch over all queues of the port (tx-steering=hash).
func (t *thread) sendByHash(tp *txPort) {
	queues := tp.port.txqs
	var to [packet.BatchSize]uint32
	for n, i := range tp.batch.Slice() {
		to[n] = t.x.Hash(i) % uint32(len(queues))
	}
	b := t.x.GetBatch()
	for id, q := range queues {
		for n, i := range tp.batch.Slice() {
			if to[n] == uint32(id) {
				b.Add(i)
			}
		}
		if b.N > 0 {
			q.send(t.c, b)
			b.N = 0
		}
	}
	t.x.PutBatch(b)
}

// kick lets the queues that sent lately collect what the kernel is done with.
func (t *thread) kick() {
	kept := 0
	for _, tp := range t.active {
		if tp.port.hashTx {
			for _, q := range tp.port.txqs {
				q.flush(t.c)
			}
		} else {
			tp.q.flush(t.c)
		}
		tp.idle++
		if tp.idle > maxIdleFlush {
			tp.active = false
			continue
		}
		t.active[kept] = tp
		kept++
	}
	t.active = t.active[:kept]
}

// finish does in software what the port cannot do itself.
func (t *thread) finish(tp *txPort) {
	for n, i := range tp.batch.Slice() {
		m := t.p.Meta(i)
		if m.Csum == packet.CsumPartial && !tp.caps.Csum || m.GSOType != 0 && !tp.cuts(m) ||
			m.Next != 0 && !tp.caps.MultiSeg || m.Offload&packet.CsumUnmarked != 0 {
			t.finishFrom(tp, n)
			return
		}
	}
}

// cuts reports that the port segments a GSO packet; none does so inside a tunnel.
func (tp *txPort) cuts(m *packet.Meta) bool { return tp.caps.TSO && m.Cold&packet.ColdInner == 0 }

// finishFrom finishes the packets from the nth on.  Segments of large packets may
// be more than the batch holds: full batches are sent at once.
func (t *thread) finishFrom(tp *txPort, n int) {
	rest := tp.batch
	tp.batch.N = n
	for _, i := range rest.Pkts[n:rest.N] {
		m := t.p.Meta(i)
		if m.Offload&packet.CsumUnmarked != 0 {
			m.Offload &^= packet.CsumUnmarked
			t.p.DetectPartial(i)
		}
		if m.GSOType != 0 && !tp.cuts(m) {
			t.segment(tp, i)
			continue
		}
		t.put(tp, i)
	}
}

// segment cuts packet i and puts its segments.
func (t *thread) segment(tp *txPort, i packet.Index) {
	var s packet.Segmenter
	if s.Start(t.c, i) {
		for j := s.Next(); j != 0; j = s.Next() {
			t.put(tp, j)
		}
	} else {
		cTooBig.Inc()
	}
	t.c.Free(i)
}

// put adds a packet to the port's batch, its checksum completed and its frames
// joined where the port needs it.
func (t *thread) put(tp *txPort, i packet.Index) {
	m := t.p.Meta(i)
	if m.Csum == packet.CsumPartial && !tp.caps.Csum {
		t.p.CompleteCsum(i)
	}
	if m.Next != 0 && !tp.caps.MultiSeg && !t.c.Linearize(i) {
		cTooBig.Inc()
		t.c.Free(i)
		return
	}
	if tp.batch.Full() {
		t.send(tp)
	}
	tp.batch.Add(i)
}
