package appctl

import (
	"net"
	"strconv"

	"sluice/dpif/flow"
	"sluice/ovsdb/unixctl"
)

var bondCommands = []command{
	{"bond/hash", "mac [vlan] [basis]", 1, 3, bondHash},
}

// bondMask selects one of the 256 hash buckets of a bond.
const bondMask = 255

// bondHash prints the bucket that source address and VLAN fall into, as balance-slb
// bonds spread them.
func bondHash(_ *Env, r *unixctl.Request) {
	var vlan, basis uint64
	var err error
	if len(r.Args) > 1 {
		if vlan, err = strconv.ParseUint(r.Args[1], 10, 16); err != nil {
			r.ReplyError("invalid vlan")
			return
		}
	}
	if len(r.Args) > 2 {
		if basis, err = strconv.ParseUint(r.Args[2], 10, 32); err != nil {
			r.ReplyError("invalid basis")
			return
		}
	}
	mac, err := net.ParseMAC(r.Args[0])
	if err != nil || len(mac) != 6 {
		r.ReplyError("invalid mac")
		return
	}
	v := vlan << 48
	for i, b := range mac {
		v |= uint64(b) << (40 - 8*i)
	}
	r.Reply(strconv.Itoa(int(flow.HashUint64(v, uint32(basis)) & bondMask)))
}
