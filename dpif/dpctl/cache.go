package dpctl

import (
	"strings"

	"golang.org/x/sys/unix"
)

// The caches that these commands are about are the kernel datapath's: no datapath here
// has any.

func cacheGetSize(c *call) error {
	d, err := c.optional(1)
	if err != nil {
		return err
	}
	c.printf("%s:\n", d.Name())
	return nil
}

func cacheSetSize(c *call) error {
	// A number is what begins with one.
	if text := c.args[2]; text == "" || strings.IndexByte("0123456789-", text[0]) < 0 {
		return c.errorf(unix.EINVAL, "size is malformed")
	}
	if _, ok := c.find(c.args[0]); !ok {
		return c.errorf(c.missing(c.args[0]), "Opening datapath %s failed", c.args[0])
	}
	return c.errorf(unix.EOPNOTSUPP, "Setting caches not supported")
}
