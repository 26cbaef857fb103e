package rtnl

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// XDPFeatures is what the kernel says of a device's XDP (netlink family
// "netdev", Linux 6.3).
type XDPFeatures struct {
	Act        uint64 // NETDEV_XDP_ACT_*
	ZCMaxSegs  uint32 // buffers of a zero-copy frame
	RxMetadata uint64 // NETDEV_XDP_RX_METADATA_*
	XSK        uint64 // NETDEV_XSK_FLAGS_*: metadata of zero-copy transmission
}

// Bits of XDPFeatures.Act.
const (
	XDPActBasic    = 1 << 0
	XDPActRedirect = 1 << 1
	XDPActZeroCopy = 1 << 3
)

// Numbers of the netlink family "netdev" (linux/netdev.h).
const (
	netdevCmdDevGet      = 1
	netdevADevIfindex    = 1
	netdevADevXDP        = 3
	netdevADevZCMaxSegs  = 4
	netdevADevRxMetadata = 5
	netdevADevXSK        = 6
)

// GetXDPFeatures asks the kernel; kernels before 6.3 answer with an error.
func GetXDPFeatures(index int) (XDPFeatures, error) {
	family, err := netlink.GenlFamilyGet("netdev")
	if err != nil {
		return XDPFeatures{}, fmt.Errorf("netlink family netdev: %w", err)
	}
	req := nl.NewNetlinkRequest(int(family.ID), unix.NLM_F_ACK)
	// Not nl.Genlmsg: it leaves the reserved bytes, which must be zero, undefined.
	req.AddRawData(append([]byte{netdevCmdDevGet, 1, 0, 0},
		nl.NewRtAttr(netdevADevIfindex, nl.Uint32Attr(uint32(index))).Serialize()...))
	msgs, err := req.Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return XDPFeatures{}, fmt.Errorf("XDP features of link %d: %w", index, err)
	}
	var f XDPFeatures
	for _, m := range msgs {
		if len(m) < nl.SizeofGenlmsg {
			continue
		}
		attrs, err := nl.ParseRouteAttr(m[nl.SizeofGenlmsg:])
		if err != nil {
			return XDPFeatures{}, fmt.Errorf("XDP features of link %d: %w", index, err)
		}
		for _, a := range attrs {
			f.set(int(a.Attr.Type), a.Value)
		}
	}
	return f, nil
}

func (f *XDPFeatures) set(typ int, value []byte) {
	if typ == netdevADevZCMaxSegs && len(value) >= 4 {
		f.ZCMaxSegs = native.Uint32(value)
	}
	if len(value) < 8 {
		return
	}
	switch v := native.Uint64(value); typ {
	case netdevADevXDP:
		f.Act = v
	case netdevADevRxMetadata:
		f.RxMetadata = v
	case netdevADevXSK:
		f.XSK = v
	}
}
