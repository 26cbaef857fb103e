package bridge

import (
	"math"
	"strconv"
	"strings"

	"sluice/ofproto/proto/cfm"
	"sluice/ovsdb/client"
)

// cfmConfig reads the CFM settings of an Interface row; nil: no CFM.
func cfmConfig(i *iface) *cfm.Config {
	if i.row.CfmMpid == nil {
		return nil
	}
	oc, options := i.row.OtherConfig, i.dev.Config()
	c := &cfm.Config{
		MPID:        uint64(*i.row.CfmMpid),
		IntervalMs:  min(mapInt(oc, "cfm_interval", 0), math.MaxInt32),
		Extended:    mapBool(oc, "cfm_extended", false),
		Demand:      mapBool(oc, "cfm_demand", false),
		PCP:         uint8(mapInt(oc, "cfm_ccm_pcp", 0)),
		VLAN:        ccmVLAN(oc["cfm_ccm_vlan"]),
		CheckTnlKey: options["key"] == "flow" || options["in_key"] == "flow",
	}
	if c.IntervalMs <= 0 {
		c.IntervalMs = 1000
	}
	if s, ok := oc["cfm_opstate"]; ok {
		c.OpDown = !strings.EqualFold(s, "up")
	}
	return c
}

// ccmVLAN reads cfm_ccm_vlan; what is no number means no VLAN.
func ccmVLAN(s string) uint16 {
	if strings.EqualFold(s, "random") {
		return cfm.RandomVLAN
	}
	n, err := strconv.Atoi(s)
	if err != nil || uint16(n) == cfm.RandomVLAN {
		return 0
	}
	return uint16(n)
}

// cfmStatus writes what CFM finds on the ports of a bridge: on all, or on those that
// have news.
func cfmStatus(t *client.Txn, br *bridge, all bool) {
	news := br.sw.TakeCFMNews()
	br.eachIface(func(i *iface) {
		if !all && !news[i.ofport] {
			return
		}
		r := i.row
		s, ok := br.sw.CFMStatus(i.ofport)
		if !ok {
			r.SetCfmFault(t, nil)
			r.SetCfmFaultStatus(t, nil)
			r.SetCfmRemoteOpstate(t, nil)
			r.SetCfmFlapCount(t, nil)
			r.SetCfmHealth(t, nil)
			r.SetCfmRemoteMpids(t, nil)
			return
		}
		r.SetCfmFault(t, ptr(s.Fault != 0))
		r.SetCfmFaultStatus(t, s.Fault.Reasons())
		r.SetCfmFlapCount(t, ptr(clamp(s.Flaps)))
		r.SetCfmRemoteOpstate(t, nil)
		if s.HasOpState {
			r.SetCfmRemoteOpstate(t, choose(s.RemoteUp, "up", "down"))
		}
		r.SetCfmHealth(t, nil)
		if s.Health >= 0 {
			r.SetCfmHealth(t, ptr(int64(s.Health)))
		}
		var mpids []int64
		for _, m := range s.RemoteMPIDs {
			mpids = append(mpids, int64(m))
		}
		r.SetCfmRemoteMpids(t, mpids)
	})
}
