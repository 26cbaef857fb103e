package dpctl

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
)

func parseActions(c *call) error {
	for _, arg := range c.args {
		actions, err := odp.ParseActions(arg, nil)
		if err != nil {
			return c.errorf(unix.EINVAL, "odp_actions_from_string")
		}
		c.printf("%s\n", odp.FormatActions(nil, actions, nil))
	}
	return nil
}

// numbers is the NAME=NUMBER arguments of normalize-actions.
type numbers map[string]uint32

// PortName implements odp.PortNames.
func (n numbers) PortName(uint32) (string, bool) { return "", false }

// PortNumber implements odp.PortNames.
func (n numbers) PortNumber(name string) (uint32, bool) {
	no, ok := n[name]
	return no, ok
}

// headers is what normalize-actions tells packets apart by.
type headers struct {
	vlans [flow.MaxVLANs]flow.VLAN
}

// normalizeActions prints what actions do for each stack of VLAN tags, whatever
// the order that they do it in.
func normalizeActions(c *call) error {
	names := numbers{}
	for _, arg := range c.args[2:] {
		name, text, ok := strings.Cut(arg, "=")
		no, err := strconv.ParseInt(text, 10, 32)
		if !ok || err != nil {
			return c.errorf(nil, "%s: expected NAME=NUMBER", arg)
		}
		names[name] = uint32(no)
	}
	key, mask, err := odp.ParseExactKey(c.args[0], names)
	if err != nil {
		_ = c.errorf(unix.EINVAL, "odp_flow_key_from_string (%v)", err)
		return err
	}
	c.printf("input flow: %s\n", odp.FormatKey(nil, &key, &mask, nil))
	actions, err := odp.ParseActions(c.args[1], names)
	if err != nil {
		return c.errorf(unix.EINVAL, "odp_actions_from_string")
	}
	if c.more > 0 {
		c.printf("input actions: %s\n", odp.FormatActions(nil, actions, nil))
	}
	c.normalized(&key, actions)
	return nil
}

func (c *call) normalized(key *flow.Flow, actions []odp.Action) {
	at := headers{vlans: key.VLANs}
	isMPLS := key.DLType == flow.EthMPLS || key.DLType == flow.EthMPLSMc
	byHeaders := map[headers][]odp.Action{}
	var order []headers
	for _, a := range actions {
		switch a.Type {
		case odp.PopVLAN:
			copy(at.vlans[:], at.vlans[1:])
			at.vlans[len(at.vlans)-1] = flow.VLAN{}
			continue
		case odp.PushVLAN:
			copy(at.vlans[1:], at.vlans[:])
			at.vlans[0] = a.VLAN
			continue
		}
		if byHeaders[at] == nil {
			order = append(order, at)
		}
		byHeaders[at] = append(byHeaders[at], a)
	}
	slices.SortFunc(order, func(a, b headers) int {
		for i := range a.vlans {
			if n := cmp.Or(cmp.Compare(a.vlans[i].TPID, b.vlans[i].TPID), cmp.Compare(a.vlans[i].TCI, b.vlans[i].TCI)); n != 0 {
				return n
			}
		}
		return 0
	})
	for _, h := range order {
		c.printHeaders(&h)
		if lse := key.MPLS[0]; isMPLS {
			c.printf("mpls(label=%d,tc=%d,ttl=%d): ", lse>>12, lse>>9&7, lse&0xff)
		} else {
			c.printf("no mpls: ")
		}
		c.out.Write(odp.FormatActions(nil, sortOutputs(byHeaders[h]), nil))
	}
}

func (c *call) printHeaders(h *headers) {
	for i, v := range h.vlans {
		if v.TCI == 0 {
			if i == 0 {
				c.printf("no vlan: ")
			}
			return
		}
		c.printf("vlan(")
		if v.TPID != flow.EthVLAN {
			c.printf("tpid=0x%04x,", v.TPID)
		}
		c.printf("vid=%d,pcp=%d): ", v.TCI&flow.VLANVIDMask, v.TCI>>flow.VLANPCPShift)
	}
}

// sortOutputs sorts outputs that follow each other by port.
func sortOutputs(actions []odp.Action) []odp.Action {
	for from := 0; from < len(actions); {
		to := from
		for to < len(actions) && actions[to].Type == odp.Output {
			to++
		}
		slices.SortStableFunc(actions[from:to], func(a, b odp.Action) int { return cmp.Compare(a.Port, b.Port) })
		from = to + 1
	}
	return actions
}
