package userspace

import (
	"golang.org/x/sys/unix"

	"sluice/dpif"
)

var _ dpif.Conntracker = (*Dpif)(nil)

// DumpConntrack implements dpif.Conntracker.
func (d *Dpif) DumpConntrack(zone *uint16) []dpif.CTEntry {
	if d.conntrack == nil {
		return nil
	}
	return d.conntrack.DumpConntrack(zone, d.clock.Now())
}

// FlushConntrack implements dpif.ConntrackFlusher.
func (d *Dpif) FlushConntrack(zone *uint16, match *dpif.CTMatch) error {
	if d.conntrack == nil {
		return nil
	}
	return d.conntrack.FlushConntrack(zone, match, d.clock.Now())
}

// ctConfig runs fn on the tracker, if there is one.
func ctConfig[T any](d *Dpif, fn func(Conntrack) (T, error)) (v T, err error) {
	if d.conntrack == nil {
		return v, unix.EOPNOTSUPP
	}
	return fn(d.conntrack)
}

func ctSet(d *Dpif, fn func(Conntrack) error) error {
	_, err := ctConfig(d, func(c Conntrack) (struct{}, error) { return struct{}{}, fn(c) })
	return err
}

// SetMaxConns implements dpif.CTConfig.
func (d *Dpif) SetMaxConns(n uint32) error {
	return ctSet(d, func(c Conntrack) error { return c.SetMaxConns(n) })
}

// MaxConns implements dpif.CTConfig.
func (d *Dpif) MaxConns() (uint32, error) { return ctConfig(d, Conntrack.MaxConns) }

// Conns implements dpif.CTConfig.
func (d *Dpif) Conns() (uint32, error) { return ctConfig(d, Conntrack.Conns) }

// SetTCPSeqCheck implements dpif.CTConfig.
func (d *Dpif) SetTCPSeqCheck(on bool) error {
	return ctSet(d, func(c Conntrack) error { return c.SetTCPSeqCheck(on) })
}

// TCPSeqCheck implements dpif.CTConfig.
func (d *Dpif) TCPSeqCheck() (bool, error) { return ctConfig(d, Conntrack.TCPSeqCheck) }

// SetLimits implements dpif.CTConfig.
func (d *Dpif) SetLimits(def *uint32, zones []dpif.CTLimit) error {
	return ctSet(d, func(c Conntrack) error { return c.SetLimits(def, zones) })
}

// Limits implements dpif.CTConfig.
func (d *Dpif) Limits(zones []uint16) (def uint32, list []dpif.CTLimit, err error) {
	list, err = ctConfig(d, func(c Conntrack) ([]dpif.CTLimit, error) {
		var err error
		def, list, err = c.Limits(zones)
		return list, err
	})
	return def, list, err
}

// DelLimits implements dpif.CTConfig.
func (d *Dpif) DelLimits(zones []uint16) error {
	return ctSet(d, func(c Conntrack) error { return c.DelLimits(zones) })
}

// SetZoneTimeouts implements dpif.CTConfig.
func (d *Dpif) SetZoneTimeouts(zones map[uint16]map[string]uint32) error {
	return ctSet(d, func(c Conntrack) error { return c.SetZoneTimeouts(zones) })
}

// SetFragEnabled implements dpif.CTConfig.
func (d *Dpif) SetFragEnabled(v6, on bool) error {
	return ctSet(d, func(c Conntrack) error { return c.SetFragEnabled(v6, on) })
}

// SetFragMin implements dpif.CTConfig.
func (d *Dpif) SetFragMin(v6 bool, size uint32) error {
	return ctSet(d, func(c Conntrack) error { return c.SetFragMin(v6, size) })
}

// SetFragMax implements dpif.CTConfig.
func (d *Dpif) SetFragMax(n uint32) error {
	return ctSet(d, func(c Conntrack) error { return c.SetFragMax(n) })
}

// FragStatus implements dpif.CTConfig.
func (d *Dpif) FragStatus() (dpif.CTFragStatus, error) { return ctConfig(d, Conntrack.FragStatus) }
