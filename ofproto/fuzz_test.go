package ofproto

import (
	"io"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/internal/poll"
	"sluice/ofproto/connmgr"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ovsdb/stream"
)

// tape is a connection that plays what was recorded and notes the answers.
type tape struct {
	in, out []byte
}

func (p *tape) Connect() error { return nil }
func (p *tape) Read(b []byte) (int, error) {
	if len(p.in) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.in)
	p.in = p.in[n:]
	return n, nil
}
func (p *tape) Write(b []byte) (int, error)    { p.out = append(p.out, b...); return len(b), nil }
func (p *tape) Close() error                   { return nil }
func (p *tape) Name() string                   { return "tape" }
func (p *tape) Fd() int                        { return -1 }
func (p *tape) PeerID() string                 { return "" }
func (p *tape) Wait(_ *poll.Set, _, _, _ bool) {}

var _ stream.Conn = (*tape)(nil)

// FuzzRequests sends a switch whatever, in each version, and checks that what comes
// back is OpenFlow.
func FuzzRequests(f *testing.F) {
	for v := ofp.OF10; v <= ofp.OF15; v++ {
		group := action.List{&action.Group{ID: 1}}
		for _, m := range []ofp.Msg{
			addFlow(1, 2), allFlows, &ofp.Empty{Kind: ofp.TypeTableStatsRequest}, &ofp.Empty{Kind: ofp.TypeTableDescRequest},
			&ofp.TableFeaturesMsg{Kind: ofp.TypeTableFeaturesStatsRequest}, &ofp.PortStatsRequest{PortNo: flow.OFPNone},
			&ofp.PortDescRequest{PortNo: flow.OFPNone}, &ofp.QueueStatsRequest{PortNo: flow.OFPNone, QueueID: ofp.QueueAll},
			&ofp.GroupMod{Command: ofp.GroupCmdAdd, GroupID: 1, Buckets: []ofp.Bucket{{WatchPort: flow.OFPNone, WatchGroup: ofp.GroupAny, Actions: group}}},
			&ofp.GroupRequest{Kind: ofp.TypeGroupDescStatsRequest, GroupID: ofp.GroupAll}, &ofp.Empty{Kind: ofp.TypeGroupFeaturesStatsRequest},
			&ofp.MeterMod{MeterConfig: ofp.MeterConfig{MeterID: 1, Flags: ofp.MeterKbps, Bands: []ofp.MeterBand{{BandType: ofp.BandDrop, Rate: 1}}}},
			&ofp.MeterRequest{Kind: ofp.TypeMeterStatsRequest, MeterID: ofp.MeterAll}, &ofp.BundleCtrl{BundleID: 1},
			&ofp.RoleMsg{Kind: ofp.TypeRoleRequest, Role: ofp.RolePrimary}, &ofp.PacketOut{BufferID: ofp.NoBuffer, Packet: make([]byte, 60)},
			&ofp.TLVTableMod{Maps: []ofp.TLVMap{{OptionClass: 1, OptionLen: 4}}}, &ofp.Empty{Kind: ofp.TypeNxtTlvTableRequest},
			&ofp.FlowMonitorRequest{Monitors: []ofp.FlowMonitor{{ID: 1, Flags: ofp.MonitorInitial, OutPort: flow.OFPNone, OutGroup: ofp.GroupAny, TableID: 255}}},
		} {
			if b := ofp.Encode(v, 3, m); len(b) > 0 {
				f.Add(uint8(v), b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, version uint8, b []byte) {
		v := ofp.OF10 + ofp.Version(version)%6
		sw, err := New(&fakeDP{meters: map[uint32]dpif.MeterConfig{}}, SwitchConfig{Name: "br0"}, Env{RunDir: t.TempDir()}, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer sw.Destroy(0)
		p := &tape{in: append(ofp.Encode(v, 1, &ofp.Hello{Versions: 1 << v}), b...)}
		sw.conns.Attach(p, connmgr.Config{Service: true, EnableAsync: true})
		for now := int64(1); now < 4; now++ {
			sw.Run(now)
		}
		for len(p.out) > 0 {
			n := ofp.Length(p.out)
			if n <= 0 || n > len(p.out) {
				t.Fatalf("not a message: %x", p.out)
			}
			if _, err := ofp.Decode(p.out[:n]); err != nil {
				t.Fatalf("%v: %x", err, p.out[:n])
			}
			p.out = p.out[n:]
		}
	})
}
