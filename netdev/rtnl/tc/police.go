package tc

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"sluice/internal/coverage"
	"sluice/internal/errno"
	"sluice/netdev"
)

var cSetPolicing = coverage.New("netdev_set_policing")

// policed is what is in force on the ingress side of a link.
type policed struct {
	known bool
	cfg   netdev.Policing
}

// SetPolicing puts the kernel's policer on the ingress side of the link, in the way of
//
//	tc qdisc add dev DEV ingress
//	tc filter add dev DEV parent ffff: protocol all prio 1 matchall
//	    action police rate RATEkbit burst BURSTk mtu 65535 drop
//
// or with the older classifier "basic" and priority 49.  The first call ends what an
// earlier process left there.  What the kernel refuses is not tried again until the
// configuration changes, since the datapath enforces it in any case.
func (c *Control) SetPolicing(p netdev.Policing) error {
	p = p.Normalize()
	c.checkLink()
	if c.pol.known && c.pol.cfg == p {
		return nil
	}
	cSetPolicing.Inc()
	err := c.setPolicing(p)
	c.pol = policed{known: true, cfg: p}
	return err
}

func (c *Control) setPolicing(p netdev.Policing) error {
	if err := c.ingress(unix.RTM_DELQDISC, 0); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		log.WarnRL(rl, "%s: removing policing failed: %s", c.link.Name(), errno.Text(err))
		return err
	}
	if !p.On() {
		return nil
	}
	if err := c.ingress(unix.RTM_NEWQDISC, unix.NLM_F_EXCL|unix.NLM_F_CREATE); err != nil {
		log.WarnRL(rl, "%s: adding policing qdisc failed: %s", c.link.Name(), errno.Text(err))
		return err
	}
	classifier := "matchall"
	err := transact(c.matchall(p))
	if errors.Is(err, unix.ENOENT) {
		classifier = "basic"
		err = transact(c.basic(p))
	}
	if err != nil {
		log.WarnRL(rl, "%s: adding cls_%s policing action failed: %s", c.link.Name(), classifier, errno.Text(err))
		// The qdisc is of no use without a filter; stock leaves it behind.
		if err := c.ingress(unix.RTM_DELQDISC, 0); err != nil {
			log.WarnRL(rl, "%s: removing policing failed: %s", c.link.Name(), errno.Text(err))
		}
		return fmt.Errorf("police %s: %w", c.link.Name(), err)
	}
	return nil
}

// Handles of the ingress side.
const (
	ingressHandle = 0xffff0000
	ingressParent = 0xfffffff1 // of the qdisc
	ingressFilter = 0xfffffff2 // parent of filters: packets that come in
)

func (c *Control) ingress(typ, flags int) error {
	return transact(request(typ, flags, tcmsg(c.index, ingressHandle, ingressParent, 0),
		nameAttr("ingress"), nl.NewRtAttr(nl.TCA_OPTIONS, nil)))
}

// filterInfo is tcm_info of a filter: its priority and that it takes all protocols.
func filterInfo(prio uint32) uint32 {
	all := binary.NativeEndian.Uint16([]byte{unix.ETH_P_ALL >> 8, unix.ETH_P_ALL & 0xff})
	return prio<<16 | uint32(all)
}

// Attributes that hold the actions of a filter.
const (
	matchallActions = 2
	basicActions    = 3
)

func (c *Control) matchall(p netdev.Policing) *nl.NetlinkRequest {
	return request(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_ECHO, tcmsg(c.index, 1, ingressFilter, filterInfo(1)),
		nameAttr("matchall"), policeOptions(matchallActions, p))
}

func (c *Control) basic(p netdev.Policing) *nl.NetlinkRequest {
	return request(unix.RTM_NEWTFILTER, unix.NLM_F_EXCL|unix.NLM_F_CREATE, tcmsg(c.index, 0, ingressHandle, filterInfo(49)),
		nameAttr("basic"), policeOptions(basicActions, p))
}

// Attributes of an action, and of police's options.
const (
	actKind         = 1
	actOptions      = 2
	policeTbf       = 1 // struct tc_police
	policeRate      = 2 // a rate table
	policeResult    = 5
	policePktRate   = 10
	policePktBurst  = 11
	policeShot      = 2          // drop what is above the rate
	policeGoOn      = 0xffffffff // TC_ACT_UNSPEC: the packet goes its way
	policeMTU       = 65535
	policeActionNum = 1
)

// policeOptions is the TCA_OPTIONS of a filter with one action, police.
func policeOptions(actions int, p netdev.Policing) *nl.RtAttr {
	o := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	act := o.AddRtAttr(actions, nil).AddRtAttr(policeActionNum, nil)
	act.AddRtAttr(actKind, nl.ZeroTerminated("police"))
	po := act.AddRtAttr(actOptions, nil)
	rate := p.BytesRate()
	if rate != 0 {
		po.AddRtAttr(policeRate, rateTable(rate, policeMTU))
	}
	if p.KpktRate != 0 {
		pkts, burst := uint64(p.KpktRate)*1000, uint64(p.KpktBurst)*1000
		po.AddRtAttr(policePktRate, nl.Uint64Attr(pkts))
		po.AddRtAttr(policePktBurst, nl.Uint64Attr(uint64(psched().ofBytes(pkts, burst))))
	}
	// struct tc_police: index, action, limit, burst in ticks, MTU, rate, peak rate,
	// counts of references, capabilities.
	b := wire(0, policeShot, 0, psched().ofBytes(rate, p.BytesBurst()), policeMTU)
	b = appendRate(b, rate, policeMTU)
	b = append(b, make([]byte, 24)...)
	po.AddRtAttr(policeTbf, b)
	po.AddRtAttr(policeResult, wire(policeGoOn))
	return o
}
