package export

import (
	"encoding/hex"
	"slices"
	"testing"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const (
	outerEth  = "f8bc124434b6aa55aa5500000800"
	outerGRE  = "45100000000040004" + "02f0000" + "01010258" + "0101025c"
	outerIPv4 = "450400000000400040110000" + "01010258" + "0101025c"
)

func push(t testing.TB, header string) odp.Action {
	return odp.Action{Type: odp.TunnelPush, Ext: &odp.Ext{TnlPush: &odp.TunnelPushArg{Port: 4, OutPort: 1, Header: unhex(t, header)}}}
}

func TestPath(t *testing.T) {
	output := odp.Action{Type: odp.Output, Port: 2}
	tunnel := flow.Tunnel{IPDst: 0x01010101, ID: 456, TOS: 1}
	set := odp.Action{Type: odp.SetTunnel, Ext: &odp.Ext{Tunnel: &tunnel}}
	pushLabel := func(lse uint32) odp.Action { return odp.Action{Type: odp.PushMPLS, Port: lse} }
	setLabel := &odp.SetArg{Attr: odp.AttrMPLS}
	setLabel.Key.MPLS[0], setLabel.Mask.MPLS[0] = 0x00333040, ^uint32(0)
	labelled := flow.Flow{DLType: flow.EthMPLS, MPLS: [4]uint32{0x0000b640, 0x0000c740}}
	vxlan := flow.Tunnel{IPSrc: 0x01010258, IPDst: 0x0101025c, TOS: 4, TTL: 64, TpSrc: 0x8000, TpDst: 4789, ID: 0x123456}
	gre := flow.Tunnel{IPSrc: 0x01010258, IPDst: 0x0101025c, TOS: 0x10, TTL: 64, ID: 456}
	clone := func(a ...odp.Action) odp.Action { return odp.Action{Type: odp.Clone, Nested: a} }
	for _, c := range []struct {
		name    string
		key     flow.Flow
		actions []odp.Action
		want    Path
	}{
		{"nothing known", flow.Flow{}, nil, Path{}},
		{"output", flow.Flow{}, []odp.Action{output}, Path{Known: true, Output: true, OutPort: 2, HasOutPort: true}},
		{"no output", flow.Flow{}, []odp.Action{{Type: odp.Recirc, Port: 1}}, Path{Known: true}},
		{"sampled output", flow.Flow{}, []odp.Action{{Type: odp.Sample, Arg: 1 << 31, Nested: []odp.Action{output}}}, Path{Known: true}},
		{"sure output", flow.Flow{}, []odp.Action{{Type: odp.Sample, Arg: ^uint32(0), Nested: []odp.Action{output}}}, Path{Known: true, Output: true}},
		{"set tunnel", flow.Flow{}, []odp.Action{set, output}, Path{Known: true, Output: true, OutPort: 2, HasOutPort: true, HasTunnel: true, Tunnel: tunnel, encaps: 1}},
		{"two tunnels", flow.Flow{}, []odp.Action{set, set, output}, Path{Known: true, Output: true, OutPort: 2, HasOutPort: true, Tunnel: tunnel, encaps: 2}},
		{"tunnel taken off", flow.Flow{}, []odp.Action{set, {Type: odp.TunnelPop, Port: 4}}, Path{Known: true, Tunnel: tunnel, encaps: 1, badTunnel: true}},
		{"GRE pushed", flow.Flow{}, []odp.Action{clone(push(t, outerEth+outerGRE+"20006558000001c8"))},
			Path{Known: true, OutPort: 1, HasOutPort: true, HasTunnel: true, Tunnel: gre, TunnelProto: 47, encaps: 1}},
		{"VXLAN pushed", flow.Flow{}, []odp.Action{push(t, outerEth+outerIPv4+"800012b500000000"+"0800000012345600")},
			Path{Known: true, OutPort: 1, HasOutPort: true, HasTunnel: true, Tunnel: vxlan, TunnelProto: 17, encaps: 1}},
		{"short header", flow.Flow{}, []odp.Action{push(t, outerEth+"4500")}, Path{Known: true, OutPort: 1, HasOutPort: true, HasTunnel: true, encaps: 1}},
		{"labels kept", labelled, []odp.Action{output}, Path{Known: true, Output: true, OutPort: 2, HasOutPort: true, MPLS: []uint32{0x0000c740, 0x0000b640}}},
		{"label pushed", labelled, []odp.Action{pushLabel(0x00315820), output},
			Path{Known: true, Output: true, OutPort: 2, HasOutPort: true, MPLS: []uint32{0x0000c740, 0x0000b640, 0x00315820}}},
		{"label popped and set", labelled, []odp.Action{{Type: odp.PopMPLS}, {Type: odp.Set, Ext: &odp.Ext{Set: setLabel}}, output},
			Path{Known: true, Output: true, OutPort: 2, HasOutPort: true, MPLS: []uint32{0x00333040}}},
		{"too many popped", flow.Flow{}, []odp.Action{{Type: odp.PopMPLS}, output}, Path{Known: true, Output: true, OutPort: 2, HasOutPort: true, badMPLS: true}},
	} {
		// The labelled packet's first entry is not the last of its stack.
		if c.key.DLType != 0 {
			c.key.MPLS[0] &^= bottomOfStack
			c.key.MPLS[1] |= bottomOfStack
			for i := range c.want.MPLS {
				switch c.want.MPLS[i] {
				case 0x0000b640:
					c.want.MPLS[i] &^= bottomOfStack
				case 0x0000c740:
					c.want.MPLS[i] |= bottomOfStack
				}
			}
		}
		got := NewSample(&odp.UserspaceArg{}, &c.key, []byte{1, 2}, 60, c.actions).Path
		labels := got.MPLS
		got.MPLS = nil
		want := c.want
		want.MPLS = nil
		if got.Known != want.Known || got.Output != want.Output || got.OutPort != want.OutPort || got.HasOutPort != want.HasOutPort ||
			got.HasTunnel != want.HasTunnel || got.Tunnel != want.Tunnel || got.TunnelProto != want.TunnelProto || got.encaps != want.encaps ||
			got.badTunnel != want.badTunnel || got.badMPLS != want.badMPLS || !slices.Equal(labels, c.want.MPLS) {
			t.Errorf("%s: %+v\nlabels %x, want %+v", c.name, got, labels, c.want)
		}
	}
}

func TestSampleKeepsTheHead(t *testing.T) {
	long := make([]byte, 3000)
	s := NewSample(&odp.UserspaceArg{}, &flow.Flow{}, long, len(long), nil)
	if len(s.Head) != MaxHead || s.Size != 3000 {
		t.Errorf("%d bytes of %d", len(s.Head), s.Size)
	}
	long[0] = 9
	if s.Head[0] != 0 {
		t.Error("the sample shares the packet's bytes")
	}
}

// FuzzHeader: any bytes may be the header of a tunnel.
func FuzzHeader(f *testing.F) {
	f.Add(unhex(f, outerEth+outerGRE+"a000655800000000000001c8"))
	f.Add(unhex(f, outerEth+outerIPv4+"800012b500000000"+"0800000012345600"))
	f.Fuzz(func(t *testing.T, h []byte) {
		var p Path
		p.header(h)
		if len(h) < 34 && p.Tunnel != (flow.Tunnel{}) {
			t.Errorf("%x: a tunnel without an outer header", h)
		}
	})
}
