package xlate

import (
	"strconv"

	"sluice/dpif/odp"
)

func utoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// actionsOver reports that the datapath actions would take more than n bytes in
// Netlink's format.
func (ctx *context) actionsOver(n int) bool {
	if len(ctx.actions) < n/2048 {
		return false // no action is longer than that
	}
	return netlinkSize(ctx.actions) > n
}

// netlinkSize is the size of actions in Netlink's format.
func netlinkSize(acts []odp.Action) int {
	n := 0
	for i := range acts {
		a := &acts[i]
		switch a.Type {
		case odp.PopVLAN, odp.PopEth, odp.PopNSH, odp.CTClear:
			n += 4
		case odp.Userspace:
			n += 4 + 8 + 4 + 56
		case odp.Set:
			n += 4 + 4 + 2*setSize(a.Ext)
		case odp.Hash, odp.AddMPLS:
			n += 12
		case odp.CT:
			n += 64
		case odp.PushEth:
			n += 16
		case odp.PushNSH:
			n += 40
		case odp.TunnelPush, odp.SetTunnel:
			n += 256
		case odp.Sample, odp.Clone, odp.CheckPktLen:
			n += 4 + 8 + 8 + netlinkSize(a.Nested) + netlinkSize(a.Else)
		default:
			n += 8
		}
	}
	return n
}

// setSize is the size of the header that a set action writes.
func setSize(e *odp.Ext) int {
	if e == nil || e.Set == nil {
		return 0
	}
	switch e.Set.Attr {
	case odp.AttrEth, odp.AttrIPv4:
		return 12
	case odp.AttrIPv6:
		return 40
	case odp.AttrARP, odp.AttrNSH:
		return 24
	case odp.AttrND:
		return 28
	}
	return 4
}
