package connmgr

import (
	"maps"
	"slices"

	"sluice/ofproto/ofp/oferr"
)

// Bundle is an OpenFlow bundle that a connection is filling.
type Bundle struct {
	ID      uint32
	Flags   uint16
	Closed  bool
	Entries []any // what ofproto keeps of the messages

	open []byte // the request that opened it
	used int64  // ms
}

const (
	bundleCheckMs   = 1000
	bundleIdleMs    = 10 * 1000
	maxBundlesAConn = 1 << 16
)

// Bundle returns the bundle with an id, or nil.
func (c *Conn) Bundle(id uint32) *Bundle { return c.bundles[id] }

// BundleOpen opens a bundle on behalf of request.
func (c *Conn) BundleOpen(id uint32, flags uint16, request []byte) error {
	if c.Bundle(id) != nil {
		c.BundleRemove(c.Bundle(id))
		return oferr.OFPBFC_BAD_ID
	}
	if len(c.bundles) >= maxBundlesAConn {
		return oferr.OFPBFC_OUT_OF_BUNDLES
	}
	if c.bundles == nil {
		c.bundles = map[uint32]*Bundle{}
	}
	c.bundles[id] = &Bundle{ID: id, Flags: flags, open: request, used: c.mgr.now}
	return nil
}

// BundleClose closes a bundle: nothing can be added any more.
func (c *Conn) BundleClose(id uint32, flags uint16) error {
	b := c.Bundle(id)
	var err error
	switch {
	case b == nil:
		return oferr.OFPBFC_BAD_ID
	case b.Closed:
		err = oferr.OFPBFC_BUNDLE_CLOSED
	case b.Flags != flags:
		err = oferr.OFPBFC_BAD_FLAGS
	}
	if err != nil {
		c.BundleRemove(b)
		return err
	}
	b.used = c.mgr.now
	b.Closed = true
	return nil
}

// BundleAdd puts an entry into a bundle, which it opens if it does not exist.
func (c *Conn) BundleAdd(id uint32, flags uint16, entry any, request []byte) error {
	b := c.Bundle(id)
	if b == nil {
		if err := c.BundleOpen(id, flags, request); err != nil {
			return err
		}
		b = c.Bundle(id)
	}
	var err error
	switch {
	case b.Closed:
		err = oferr.OFPBFC_BUNDLE_CLOSED
	case b.Flags != flags:
		err = oferr.OFPBFC_BAD_FLAGS
	}
	if err != nil {
		c.BundleRemove(b)
		return err
	}
	b.used = c.mgr.now
	b.Entries = append(b.Entries, entry)
	return nil
}

// BundleDiscard throws a bundle away.
func (c *Conn) BundleDiscard(id uint32) error {
	b := c.Bundle(id)
	if b == nil {
		return oferr.OFPBFC_BAD_ID
	}
	c.BundleRemove(b)
	return nil
}

// BundleRemove takes b off the connection.
func (c *Conn) BundleRemove(b *Bundle) {
	if c.bundles[b.ID] == b {
		delete(c.bundles, b.ID)
	}
}

// expireBundles gives up bundles that nobody touched for long.
func (c *Conn) expireBundles(now int64) {
	if now < c.nextBundleCheck {
		return
	}
	c.nextBundleCheck = now + bundleCheckMs
	if len(c.bundles) == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(c.bundles)) {
		if b := c.bundles[id]; b.used <= now-c.mgr.bundleIdleMs() {
			c.SendError(b.open, oferr.OFPBFC_TIMEOUT)
			c.BundleRemove(b)
		}
	}
}

func (m *Manager) bundleIdleMs() int64 {
	if m.BundleIdleSec > 0 {
		return int64(m.BundleIdleSec) * 1000
	}
	return bundleIdleMs
}
