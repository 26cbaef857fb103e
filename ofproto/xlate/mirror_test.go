package xlate

import (
	"testing"

	"sluice/ofproto/maclearn"
	"sluice/ofproto/ofp/action"
)

// TestMirrors: what comes in by port 1 or leaves by port 2 is copied.  The expected
// texts are what stock prints.
func TestMirrors(t *testing.T) {
	const icmp = "in_port=1,dl_src=50:54:00:00:00:09,dl_dst=50:54:00:00:00:0a,icmp,nw_src=192.168.0.1,nw_dst=192.168.0.2,nw_ttl=128,icmp_type=8,icmp_code=0"
	vlans := func(ids ...uint16) *maclearn.VLANSet {
		s := &maclearn.VLANSet{}
		for _, v := range ids {
			s.Add(v)
		}
		return s
	}
	const plainMega = "recirc_id=0,eth,ip,in_port=1,nw_frag=no"
	for _, c := range []struct {
		name     string
		mirror   Mirror
		out      int // port, 0: a VLAN
		src, dst int
		acts     string
	}{
		{"source", Mirror{}, 3, 1, 0, "3,2"},
		{"destination", Mirror{}, 3, 0, 2, "2,3"},
		{"both, but one copy", Mirror{}, 3, 1, 2, "3,2"},
		{"neither", Mirror{}, 3, 2, 1, "2"},
		{"cut", Mirror{SnapLen: 100}, 3, 1, 0, "trunc(100),3,2"},
		{"another VLAN", Mirror{VLANs: vlans(11)}, 3, 1, 0, "2"},
		{"this VLAN", Mirror{VLANs: vlans(0, 11)}, 3, 1, 0, "3,2"},
		{"into a VLAN", Mirror{OutVLAN: 12}, 0, 1, 0, "push_vlan(vid=12,pcp=0),1,2,3,pop_vlan,2"},
	} {
		br := newBridge("br0")
		plain(br, 3)
		m := c.mirror
		m.Stats = &MirrorStats{}
		if c.out > 0 {
			m.Out = br.Bundles[c.out-1]
		}
		br.Mirrors = []*Mirror{nil, &m}
		if c.src > 0 {
			br.Bundles[c.src-1].SourceMask = 2
		}
		if c.dst > 0 {
			br.Bundles[c.dst-1].DestMask = 2
		}
		b := newBed(t, br)
		b.add(br, rule{0, 1, "in_port=1", action.List{output(2)}})
		b.flags.Record = true
		acts, mega, out := b.translate(icmp)
		if acts != c.acts || mega != plainMega {
			t.Errorf("%s: %s\n%s", c.name, acts, mega)
		}
		Apply(out.Effects, &Stats{Packets: 2, Bytes: 200}, false)
		want := uint64(2)
		if acts == "2" {
			want = 0
		}
		if n := m.Stats.Packets.Load(); n != want {
			t.Errorf("%s: %d packets counted, want %d", c.name, n, want)
		}
	}
}
