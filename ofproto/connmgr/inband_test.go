package connmgr

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"sluice/dpif/flow"
)

// hiddenFlows returns the hidden flows as text, highest priority last.
func (h *harness) hiddenFlows() []string {
	var out []string
	for _, r := range h.m.Tables.All() {
		if r.TableID == 0 && r.IsHidden() {
			m := r.Match()
			out = append(out, string(m.AppendText(nil, nil, r.Priority())))
		}
	}
	slices.Sort(out)
	return out
}

func (h *harness) wantHidden(when string, want ...string) {
	h.Helper()
	slices.Sort(want)
	if got := h.hiddenFlows(); !slices.Equal(got, want) {
		h.Errorf("%s:\n%s\nwant:\n%s", when, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// localFlows and hopFlows and remoteFlows are the flows of one address each.
var localFlows = []string{
	"priority=180000,udp,in_port=LOCAL,dl_src=02:00:00:00:00:00,tp_src=68,tp_dst=67",
	"priority=180001,arp,dl_dst=02:00:00:00:00:00,arp_op=2",
	"priority=180002,arp,dl_src=02:00:00:00:00:00,arp_op=1",
}

func hopFlows(mac string) []string {
	return []string{"priority=180003,arp,dl_dst=" + mac + ",arp_op=2", "priority=180004,arp,dl_src=" + mac + ",arp_op=1"}
}

func remoteFlows(ip string, ports ...int) []string {
	out := []string{"priority=180005,arp,arp_tpa=" + ip + ",arp_op=2", "priority=180006,arp,arp_spa=" + ip + ",arp_op=1"}
	for _, p := range ports {
		out = append(out, fmt.Sprintf("priority=180007,tcp,nw_dst=%s,tp_dst=%d", ip, p), fmt.Sprintf("priority=180008,tcp,nw_src=%s,tp_src=%d", ip, p))
	}
	return out
}

func TestInBandNextHop(t *testing.T) {
	h := newHarness(t)
	hops := map[string]flow.MAC{"240.0.0.1": {2, 1}}
	asked := map[string]int{}
	h.m.InBand.NextHop = func(a netip.Addr) (flow.MAC, bool) {
		asked[a.String()]++
		mac, ok := hops[a.String()]
		return mac, ok
	}
	h.m.InBand.Managers = []string{"ssl:240.0.0.1:6640", "tcp:240.0.0.2:6640", "tcp:127.0.0.1x", "punix:/db"}
	h.m.Configure([]Config{{Target: "tcp:240.0.0.1:6633", InBand: true}, {Target: "tcp:240.0.0.3:6633"}}, false)
	h.m.Run(1000)
	fixed := slices.Concat(localFlows, remoteFlows("240.0.0.1", 6633, 6640), remoteFlows("240.0.0.2", 6640))
	one := hopFlows("02:01:00:00:00:00")
	h.wantHidden("one hop is known", slices.Concat(fixed, one)...)

	// An unknown hop is looked for every second, a known one more seldom.
	h.m.Configure([]Config{{Target: "tcp:240.0.0.1:6633", InBand: true}}, false)
	h.m.Run(1500)
	hops["240.0.0.1"], hops["240.0.0.2"] = flow.MAC{2, 9}, flow.MAC{2, 2}
	if asked["240.0.0.1"] != 1 || asked["240.0.0.2"] != 1 {
		t.Error("asked within a second", asked)
	}
	h.m.Run(2500)
	h.wantHidden("the other one came", slices.Concat(fixed, one, hopFlows("02:02:00:00:00:00"))...)
	h.m.Run(11500)
	h.wantHidden("the first one changed", slices.Concat(fixed, hopFlows("02:09:00:00:00:00"), hopFlows("02:02:00:00:00:00"))...)
	if asked["240.0.0.1"] != 2 || asked["240.0.0.2"] != 2 {
		t.Error("asked", asked)
	}

	// Two remotes behind one hop share its flows.
	hops["240.0.0.1"] = hops["240.0.0.2"]
	h.m.Run(25000)
	h.wantHidden("one hop for both", slices.Concat(fixed, hopFlows("02:02:00:00:00:00"))...)

	h.m.InBand.Managers = nil
	h.m.Configure(nil, false)
	h.m.Run(26000)
	h.wantHidden("no remotes")
	h.m.Destroy()
}
