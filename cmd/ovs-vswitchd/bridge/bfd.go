package bridge

import (
	"math"
	"net/netip"

	"sluice/dpif/flow"
	"sluice/ofproto/proto/bfd"
	"sluice/ovsdb/client"
)

// bfdConfig reads the bfd column of an Interface row; nil: no BFD.
func bfdConfig(m map[string]string) *bfd.Config {
	if !mapBool(m, "enable", false) {
		return nil
	}
	c := &bfd.Config{
		Mult:           bfd.DefaultMult,
		MinTx:          intervalMs(m, "min_tx", bfd.DefaultMinTx),
		MinRx:          intervalMs(m, "min_rx", bfd.DefaultMinRx),
		DecayMinRx:     int64(min(max(mapInt(m, "decay_min_rx", 0), 0), math.MaxInt32)),
		ForwardingIfRx: mapBool(m, "forwarding_if_rx", false),
		CpathDown:      mapBool(m, "cpath_down", false),
		CheckTnlKey:    mapBool(m, "check_tnl_key", false),
		OAM:            mapBool(m, "oam", false),
		LocalSrcMAC:    macOrZero(m["bfd_local_src_mac"]),
		LocalDstMAC:    macOrZero(m["bfd_local_dst_mac"]),
		RemoteDstMAC:   macOrZero(m["bfd_remote_dst_mac"]),
		SrcIP:          ipv4(m["bfd_src_ip"], bfd.DefaultSrcIP),
		DstIP:          ipv4(m["bfd_dst_ip"], bfd.DefaultDstIP),
	}
	if n := mapInt(m, "mult", bfd.DefaultMult); n >= 1 && n <= 255 {
		c.Mult = uint8(n)
	}
	return c
}

// intervalMs returns an interval in ms, at least 1.
func intervalMs(m map[string]string, key string, def int) int64 {
	return int64(min(max(mapInt(m, key, def), 1), math.MaxInt32))
}

// macOrZero returns zero for text that is no address.
func macOrZero(s string) flow.MAC {
	m, err := parseMAC(s)
	if err != nil {
		return flow.MAC{}
	}
	return flow.MAC(m)
}

func ipv4(s string, def uint32) uint32 {
	if s == "" {
		return def
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		log.ErrRL(rlDup, "\"%s\" is not a valid IP address", s)
		return def
	}
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// bfdStatus writes what the BFD sessions of a bridge are like: of all, or of those
// that have news.
func bfdStatus(t *client.Txn, br *bridge, all bool, now int64) {
	news := br.sw.TakeBFDNews()
	br.eachIface(func(i *iface) {
		if all || news[i.ofport] {
			i.row.SetBfdStatus(t, br.sw.BFDStatus(i.ofport, now))
		}
	})
}
