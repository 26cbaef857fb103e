package dpctl

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/internal/errno"
)

func ctSetLimits(c *call) error {
	ct, err := c.tracker(unlimited)
	if err != nil {
		return err
	}
	var def *uint32
	var zones []dpif.CTLimit
	if len(c.args) > 0 {
		if text, ok := strings.CutPrefix(c.args[0], "default="); ok {
			v, err := strconv.ParseUint(text, 10, 32)
			if err != nil {
				return c.errorf(unix.EINVAL, "invalid default limit")
			}
			n := uint32(v)
			def, c.args = &n, c.args[1:]
		}
	}
	for _, arg := range c.args {
		l, err := parseZoneLimit(arg)
		if err != nil {
			return c.errorf(unix.EINVAL, "%s", err)
		}
		zones = append(zones, l)
	}
	if err := ct.SetLimits(def, zones); err != nil {
		return c.errorf(err, "failed to set conntrack limit")
	}
	return nil
}

// parseZoneLimit parses zone=N,limit=L.
func parseZoneLimit(s string) (l dpif.CTLimit, err error) {
	hasZone, hasLimit := false, false
	for field := range strings.FieldsFuncSeq(s, func(r rune) bool { return r == ',' || r == ' ' }) {
		name, value, _ := strings.Cut(field, "=")
		if value == "" {
			return l, fmt.Errorf("field %s missing value", name)
		}
		var v uint64
		switch name {
		case "zone":
			v, err = strconv.ParseUint(value, 0, 16)
			l.Zone, hasZone = uint16(v), true
		case "limit":
			v, err = strconv.ParseUint(value, 0, 32)
			l.Limit, hasLimit = uint32(v), true
		default:
			return l, fmt.Errorf("invalid zone limit field: %s", name)
		}
		if err != nil {
			return l, fmt.Errorf("failed to parse field %s", name)
		}
	}
	if !hasZone || !hasLimit {
		return l, fmt.Errorf("failed to parse zone limit")
	}
	return l, nil
}

// parseZones parses zone=N1[,N2]….
func parseZones(s string) (zones []uint16, err error) {
	list, ok := strings.CutPrefix(s, "zone=")
	if !ok {
		return nil, fmt.Errorf("invalid argument %s", s)
	}
	for text := range strings.SplitSeq(list, ",") {
		v, err := strconv.ParseUint(text, 10, 16)
		if err != nil {
			return nil, fmt.Errorf("invalid zone")
		}
		zones = append(zones, uint16(v))
	}
	return zones, nil
}

func ctDelLimits(c *call) error {
	ct, err := c.tracker(2)
	if err != nil {
		return err
	}
	if len(c.args) == 0 {
		return c.errorf(unix.EINVAL, "invalid argument")
	}
	zones, err := parseZones(c.args[0])
	if err != nil {
		return c.errorf(unix.EINVAL, "%s", err)
	}
	if err := ct.DelLimits(zones); err != nil {
		return c.errorf(err, "failed to delete conntrack limit")
	}
	return nil
}

func ctGetLimits(c *call) error {
	ct, err := c.tracker(2)
	if err != nil {
		return err
	}
	var zones []uint16
	if len(c.args) > 0 {
		if zones, err = parseZones(c.args[0]); err != nil {
			return c.errorf(unix.EINVAL, "%s", err)
		}
	}
	def, list, err := ct.Limits(zones)
	if err != nil {
		return c.errorf(err, "failed to get conntrack limit %s", errno.Text(err))
	}
	c.printf("default limit=%d", def)
	for _, l := range list {
		c.printf("\nzone=%d,limit=%d,count=%d", l.Zone, l.Limit, l.Count)
	}
	c.printf("\n")
	return nil
}
