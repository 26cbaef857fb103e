package dpctl

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/dpif"
)

// ipVersion reads v4 or v6.
func ipVersion(s string) (v6, ok bool) {
	return strings.HasPrefix(s, "v6"), strings.HasPrefix(s, "v4") || strings.HasPrefix(s, "v6")
}

// fromEnd is the nth argument from the end, "" if there is none.
func (c *call) fromEnd(n int) string {
	if n > len(c.args) {
		return ""
	}
	return c.args[len(c.args)-n]
}

// ipfSetEnabled makes the command that turns reassembly on or off.
func ipfSetEnabled(on bool, word string) func(*call) error {
	return func(c *call) error {
		ct, err := c.tracker(3)
		if err != nil {
			return err
		}
		v6, ok := ipVersion(c.fromEnd(1))
		if !ok {
			return c.errorf(unix.EINVAL, "parameter missing: 'v4' for IPv4 or 'v6' for IPv6")
		}
		if err := ct.SetFragEnabled(v6, on); err != nil {
			return c.errorf(err, "%s fragmentation reassembly failed", word)
		}
		c.printf("%s fragmentation reassembly successful", word)
		return nil
	}
}

func ipfSetMin(c *call) error {
	ct, err := c.tracker(3)
	if err != nil {
		return err
	}
	v6, ok := ipVersion(c.fromEnd(2))
	if !ok {
		return c.errorf(unix.EINVAL, "parameter missing: v4 for IPv4 or v6 for IPv6")
	}
	n, err := strconv.ParseUint(c.fromEnd(1), 10, 32)
	if err != nil {
		return c.errorf(unix.EINVAL, "parameter missing for minimum fragment size")
	}
	if err := ct.SetFragMin(v6, uint32(n)); err != nil {
		return c.errorf(err, "requested minimum fragment size too small; see documentation")
	}
	c.printf("setting minimum fragment size successful")
	return nil
}

func ipfSetMax(c *call) error {
	ct, err := c.tracker(2)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(c.fromEnd(1), 10, 32)
	if err != nil {
		return c.errorf(unix.EINVAL, "parameter missing for maximum fragments")
	}
	if err := ct.SetFragMax(uint32(n)); err != nil {
		return c.errorf(err, "setting maximum fragments failed")
	}
	c.printf("setting maximum fragments successful")
	return nil
}

func ipfStatus(c *call) error {
	ct, err := c.tracker(1)
	if err != nil {
		return err
	}
	s, err := ct.FragStatus()
	if err != nil {
		return c.errorf(err, "ipf status could not be retrieved")
	}
	number := func(on bool) int {
		if on {
			return 1
		}
		return 0
	}
	const indent = "        "
	c.printf(indent + "Fragmentation Module Status\n" + indent + "---------------------------\n")
	c.printf(indent+"v4 enabled: %d\n", number(s.Family[0].Enabled))
	c.printf(indent+"v6 enabled: %d\n", number(s.Family[1].Enabled))
	c.printf(indent+"max num frags (v4/v6): %d\n", s.Max)
	c.printf(indent+"num frag: %d\n", s.Held)
	for i, v := range []string{"v4", "v6"} {
		c.fragFamily(indent, v, &s.Family[i])
	}
	if c.more > 0 {
		c.printf("\n" + indent + "Fragment Lists:\n\n")
		for _, l := range s.Lists {
			c.printf("%s\n", l)
		}
	}
	return nil
}

func (c *call) fragFamily(indent, v string, f *dpif.CTFragFamily) {
	c.printf("%smin %s frag size: %d\n", indent, v, f.Min)
	for _, line := range []struct {
		name string
		n    uint64
	}{{"accepted", f.Accepted}, {"completed", f.Completed}, {"expired", f.Expired},
		{"too small", f.TooSmall}, {"overlapped", f.Overlapped}, {"purged", f.Purged}} {
		c.printf("%s%s frags %s: %d\n", indent, v, line.name, line.n)
	}
}
