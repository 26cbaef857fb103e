package dummy

import (
	"errors"
	"net/netip"
	"strings"

	"sluice/netdev"
)

// Texts with which the commands of netdev-dummy/ fail, stock's words.
var (
	errNoSuch  = errors.New("no such dummy netdev")
	errUnknown = errors.New("Unknown Dummy Interface") //nolint:staticcheck // the tool prints it so
	errBadQid  = errors.New("bad rx queue id.")
	errState   = errors.New("Invalid Admin State") //nolint:staticcheck // likewise
)

// Lookup returns the open dummy device of that name.
func Lookup(name string) (*Device, bool) {
	d, ok := netdev.ByName(name)
	if !ok {
		return nil, false
	}
	dummy, ok := d.(*Device)
	return dummy, ok
}

// all returns the open dummy devices, sorted by name.
func all() []*Device {
	var devs []*Device
	for _, d := range netdev.Devices() {
		if dummy, ok := d.(*Device); ok {
			devs = append(devs, dummy)
		}
	}
	return devs
}

// CheckQueue looks up the device and rx queue that netdev-dummy/receive names;
// the caller parses the packets afterwards and hands them to Device.Receive.
func CheckQueue(name string, qid int) (*Device, error) {
	d, ok := Lookup(name)
	if !ok {
		return nil, errNoSuch
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if qid < 0 || qid >= len(d.rxqs) {
		return nil, errBadQid
	}
	return d, nil
}

// SetAdminState is netdev-dummy/set-admin-state: name "" stands for all dummy
// devices.
func SetAdminState(name, state string) error {
	up := strings.EqualFold(state, "up")
	if !up && !strings.EqualFold(state, "down") {
		return errState
	}
	devs := all()
	if name != "" {
		d, ok := Lookup(name)
		if !ok {
			return errUnknown
		}
		devs = []*Device{d}
	}
	for _, d := range devs {
		if err := d.SetAdminUp(up); err != nil {
			return err
		}
	}
	return nil
}

// ConnState is the text of netdev-dummy/conn-state: of one device, or (name "")
// of all that have an outgoing connection.
func ConnState(name string) string {
	var b strings.Builder
	show := func(name, state string) {
		b.WriteString(name + ": " + state + "\n")
	}
	if name != "" {
		state := "unknown"
		if d, ok := Lookup(name); ok {
			state = d.connState()
		}
		show(name, state)
		return b.String()
	}
	for _, d := range all() {
		if state := d.connState(); state != "unknown" {
			show(d.Name(), state)
		}
	}
	return b.String()
}

func (d *Device) connState() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.conn.state()
}

// SetIP4 is netdev-dummy/ip4addr: arg is an address with a prefix length or
// netmask, or a single address.
func SetIP4(name, arg string) error {
	d, ok := Lookup(name)
	if !ok {
		return errUnknown
	}
	p, err := parseIP4(arg)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ip4 = p
	d.Changed()
	return nil
}

func parseIP4(arg string) (netip.Prefix, error) {
	addr, mask, hasMask := strings.Cut(arg, "/")
	a, err := netip.ParseAddr(addr)
	if err != nil || !a.Is4() {
		return netip.Prefix{}, errors.New(arg + ": invalid IP address")
	}
	if !hasMask {
		return netip.PrefixFrom(a, 32), nil
	}
	if p, err := netip.ParsePrefix(arg); err == nil {
		return p, nil
	}
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() {
		return netip.Prefix{}, errors.New(arg + ": IP network prefix bits not between 0 and 32, inclusive")
	}
	bits, b := 0, m.As4()
	for bits < 32 && b[bits/8]&(0x80>>(bits%8)) != 0 {
		bits++
	}
	return netip.PrefixFrom(a, bits), nil
}

// SetIP6 is netdev-dummy/ip6addr: arg is an address with a prefix length, or a
// single address.
func SetIP6(name, arg string) error {
	d, ok := Lookup(name)
	if !ok {
		return errUnknown
	}
	full := arg
	if !strings.Contains(arg, "/") {
		full += "/128"
	}
	p, err := netip.ParsePrefix(full)
	if err != nil || !p.Addr().Is6() {
		return errors.New(arg + ": invalid IPv6 address")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ip6 = p
	d.Changed()
	return nil
}
