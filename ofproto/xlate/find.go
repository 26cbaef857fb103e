package xlate

import (
	"errors"
	"fmt"

	"sluice/dpif/flow"
	"sluice/ofproto/recirc"
	"sluice/ofproto/tunnel"
)

var errNoTunnel = errors.New("no OpenFlow tunnel port for this packet")

// Find returns the bridge that a packet with datapath key f enters, and the
// OpenFlow port that it came in by.
func (s *Snapshot) Find(f *flow.Flow, pool *recirc.Pool) (br *Bridge, ofport uint32, err error) {
	if f.RecircID != 0 {
		st := pool.Find(f.RecircID)
		if st == nil {
			return nil, 0, fmt.Errorf("no recirculation data for recirc_id %#x", f.RecircID)
		}
		if in := st.Metadata.InPort; in == flow.OFPNone || in == flow.OFPController {
			// Made up by a controller: there is no port, only a bridge.
			if br := s.byID[BridgeID(st.Bridge)]; br != nil {
				return br, in, nil
			}
		} else if p := s.portID[PortID(st.Port)]; p != nil {
			return p.Bridge, p.OFPort, nil
		}
	}
	if tunnel.Received(f) {
		id, _ := s.tunnels.Find(f)
		if p := s.portID[PortID(id)]; p != nil {
			return p.Bridge, p.OFPort, nil
		}
		tunnel.LogUnknown(func() []byte { return FlowText(nil, f, nil, nil) })
		return nil, 0, errNoTunnel
	}
	p := s.byODP[f.InPort]
	if p == nil {
		return nil, 0, fmt.Errorf("no OpenFlow port for datapath port %d", f.InPort)
	}
	return p.Bridge, p.OFPort, nil
}

// Apply credits stats to what the effects count, and repeats what they learned.
// done says that the translation's Sink has done the learning already.
func Apply(effects []Effect, s *Stats, done bool) {
	if s.Packets == 0 {
		return
	}
	outer := *s // with the tunnel headers that a packet has at that point
	s = &outer
	for i := range effects {
		e := &effects[i]
		switch e.Kind {
		case EffectTable:
			t := e.Tables.Table(e.TableID)
			if e.Matched {
				t.Matched.Add(s.Packets)
			} else {
				t.Missed.Add(s.Packets)
			}
		case EffectRule:
			e.Rule.Credit(s.Packets, s.Bytes, s.Used)
		case EffectGroup:
			e.creditGroup(s)
		case EffectFinTimeout:
			if s.TCPFlags&(tcpFIN|tcpRST) != 0 {
				e.Tables.ReduceTimeouts(e.Rule, e.Idle, e.Hard)
			}
		case EffectPort:
			if e.Tx != nil {
				e.Tx.IncTx(s.Packets, s.Bytes)
			}
			if e.Rx != nil {
				e.Rx.IncRx(s.Packets, s.Bytes)
			}
		case EffectMirror:
			e.Mirror.Packets.Add(s.Packets)
			e.Mirror.Bytes.Add(s.Bytes)
		case EffectBond:
			e.Load.Add(int(e.Bucket), s.Bytes)
		case EffectNetFlow:
			e.NetFlow.credit(s)
		case EffectHeader:
			outer.Bytes += outer.Packets * uint64(e.HeaderLen) // wraps for what ends
		case EffectNeighbor:
			e.Neighbor.use(s.Now)
		case EffectNormal:
			if !done {
				e.ML.Update(e.MAC, e.VLAN, e.Bundle, e.GratARP, e.Bond, s.Now)
			}
		case EffectLearn:
			if !done {
				e.Learn.refresh(s.Now)
			}
		}
	}
}

func (e *Effect) creditGroup(s *Stats) {
	if e.Bucket >= 0 {
		e.Group.Credit(int(e.Bucket), s.Packets, s.Bytes)
		return
	}
	e.Group.Credit(-1, s.Packets, s.Bytes)
	for i := range e.Group.BucketStats {
		e.Group.BucketStats[i].Packets.Add(s.Packets)
		e.Group.BucketStats[i].Bytes.Add(s.Bytes)
	}
}

var rlLearn = vlogLimiter()

// refresh keeps the learned flow alive, or learns it again when it is gone.
func (l *LearnedFlow) refresh(now int64) {
	var err error
	if l.Rule != nil {
		l.Rule, err = l.Tables.Refresh(l.Rule, l.Limit, now)
	} else {
		l.Rule, _, err = l.Tables.Learn(&l.Mod, l.Limit, now)
	}
	if err != nil {
		log.WarnRL(rlLearn, "xcache LEARN action execution failed.")
	}
}

// DirectSink does what a Sink is asked for at once, but has no machines that hear
// frames.
type DirectSink struct{}

// LearnMAC implements Sink.
func (DirectSink) LearnMAC(e *Effect, now int64) bool {
	return e.ML.Update(e.MAC, e.VLAN, e.Bundle, e.GratARP, e.Bond, now)
}

// LearnFlow implements Sink.
func (DirectSink) LearnFlow(l *LearnedFlow, now int64) (ok bool, err error) {
	l.Rule, ok, err = l.Tables.Learn(&l.Mod, l.Limit, now)
	return ok, err
}

// Snoop implements Sink.
func (DirectSink) Snoop(s *Snooped, now int64) int {
	return s.Table.Apply(&s.Msg, s.VLAN, s.Bundle, now)
}

// Frame implements Sink.
func (DirectSink) Frame(*Frame) {}
