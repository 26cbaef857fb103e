package upcall

import (
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/export"
	"sluice/ofproto/export/netflow"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/xlate"
)

// TestSamples: a sample goes to the bridge that its action names, one of a foreign
// flow to the bridge of its port.
func TestSamples(t *testing.T) {
	b := newBed(t)
	type taken struct {
		id xlate.BridgeID
		s  *export.Sample
	}
	var got []taken
	acts := []odp.Action{{Type: odp.Output, Port: 2}}
	send := func(arg *odp.UserspaceArg, inPort uint32) error {
		f := &flow.Flow{InPort: inPort, DLType: flow.EthIPv4}
		up := &dpif.Upcall{Kind: dpif.UpcallAction, Key: f, Packet: []byte{1, 2, 3}, Userdata: arg, Actions: acts,
			Whole: func() []byte { return make([]byte, 2000) }}
		return b.dp.up(up, &dpif.Verdict{})
	}
	if err := send(&odp.UserspaceArg{Kind: odp.UserSFlow}, 1); err != nil {
		t.Errorf("without an exporter: %v", err)
	}
	b.u.OnSample(func(id xlate.BridgeID, s *export.Sample) { got = append(got, taken{id, s}) })
	other := xlate.BridgeID{9}
	arg := &odp.UserspaceArg{Kind: odp.UserIPFIX, Bridge: other}
	if err := send(arg, 1); err != nil {
		t.Error(err)
	}
	if err := send(&odp.UserspaceArg{Kind: odp.UserFlowSample}, 1); err != nil {
		t.Error(err)
	}
	if err := send(&odp.UserspaceArg{Kind: odp.UserFlowSample}, 77); err == nil {
		t.Error("a sample of no bridge is taken")
	}
	if len(got) != 2 || got[0].id != other || got[0].s.Arg != arg || got[1].id != b.br.ID {
		t.Fatalf("samples %+v", got)
	}
	if s := got[0].s; s.Size != 2000 || s.Key.InPort != 1 || !s.Path.Output {
		t.Errorf("sample %+v", s)
	}
}

// TestNetFlowCounts: what the datapath forwards is credited, and what was credited is
// reported when the flow goes.
func TestNetFlowCounts(t *testing.T) {
	b := newBed(t)
	nf := netflow.New(b.now)
	b.br.NetFlow = nf
	b.u.SetSnapshot(xlate.Build([]*xlate.Bridge{b.br}, nil))
	b.rule(0, 1, "in_port=1", &action.Output{Port: 2})
	f := &flow.Flow{InPort: 1, DLType: flow.EthIPv4, NwProto: 17, NwSrc: 1, NwDst: 2, TpSrc: 3, TpDst: 4}
	b.send(f)
	b.hit(f, 5)
	b.round()
	reports := func() (packets int) {
		nf.Run(b.now, 0, func(d []byte) {
			for r := d[24:]; len(r) > 0; r = r[48:] {
				packets += int(r[19])
			}
		})
		return packets
	}
	if n := reports(); n != 0 {
		t.Errorf("%d packets are reported already", n)
	}
	b.hit(f, 3)
	b.u.Purge(b.now)
	if n := reports(); n != 9 {
		t.Errorf("%d packets are reported, want 9", n)
	}
}
