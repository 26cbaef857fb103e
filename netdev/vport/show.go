package vport

import (
	"fmt"
	"net/netip"

	"sluice/netdev"
)

// describe is the options that make configuration c, without those that are as if
// they were not there.
func (k *kind) describe(c *netdev.TunnelConfig) map[string]string {
	m := map[string]string{}
	set := func(key, format string, args ...any) { m[key] = fmt.Sprintf(format, args...) }
	end := func(key string, a netip.Addr, flow bool) {
		if a.IsValid() {
			m[key] = a.String()
		} else if flow {
			m[key] = "flow"
		}
	}
	end("remote_ip", c.Remote, c.RemoteFlow)
	end("local_ip", c.Local, c.LocalFlow)
	if c.InKey.Present && c.InKey == c.OutKey {
		m["key"] = keyText(c.InKey)
	} else {
		if c.InKey.Present {
			m["in_key"] = keyText(c.InKey)
		}
		if c.OutKey.Present {
			m["out_key"] = keyText(c.OutKey)
		}
	}
	if c.TTLInherit {
		m["ttl"] = "inherit"
	} else if c.TTL != defaultTTL {
		set("ttl", "%d", c.TTL)
	}
	if c.TOSInherit {
		m["tos"] = "inherit"
	} else if c.TOS != 0 {
		set("tos", "0x%x", c.TOS)
	}
	if c.DstPort != 0 && c.DstPort != k.port {
		set("dst_port", "%d", c.DstPort)
	}
	if c.Csum {
		m["csum"] = "true"
	}
	if c.Seq {
		m["seq"] = "true"
	}
	if c.PTMode != k.defaultMode(c) {
		m["packet_type"] = c.PTMode.String()
	}
	if !c.DontFragment {
		m["df_default"] = "false"
	}
	if c.SetEgressPktMark {
		set("egress_pkt_mark", "%d", c.EgressPktMark)
	}
	if k.typ == "erspan" || k.typ == "ip6erspan" {
		describeERSPAN(m, c)
	}
	return m
}

func keyText(k netdev.TunnelKey) string {
	if k.Flow {
		return "flow"
	}
	return fmt.Sprint(k.Value)
}

func describeERSPAN(m map[string]string, c *netdev.TunnelConfig) {
	set := func(key string, flow bool, format string, v any) {
		if m[key] = fmt.Sprintf(format, v); flow {
			m[key] = "flow"
		}
	}
	set("erspan_ver", c.ERSPANVerFlow, "%d", c.ERSPANVer)
	if c.ERSPANVerFlow || c.ERSPANVer == 1 {
		set("erspan_idx", c.ERSPANIdxFlow, "0x%x", c.ERSPANIdx)
	}
	if c.ERSPANVerFlow || c.ERSPANVer == 2 {
		set("erspan_dir", c.ERSPANDirFlow, "%d", c.ERSPANDir)
		set("erspan_hwid", c.ERSPANHwIDFlow, "0x%x", c.ERSPANHwID)
	}
}
