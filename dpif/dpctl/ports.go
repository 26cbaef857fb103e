package dpctl

import (
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/netdev"
)

func addDP(c *call) error {
	if _, ok := c.find(c.args[0]); ok {
		return c.errorf(unix.EEXIST, "add_dp")
	}
	if c.env.Create == nil {
		return c.errorf(unix.EOPNOTSUPP, "add_dp")
	}
	typ, name := parseName(c.args[0])
	if err := c.env.Create(typ, name); err != nil {
		return c.errorf(err, "add_dp")
	}
	if len(c.args) > 1 {
		return addIf(c)
	}
	return nil
}

func delDP(c *call) error {
	d, err := c.open(c.args[0])
	if err != nil {
		return err
	}
	if c.env.Delete == nil {
		return c.errorf(unix.EOPNOTSUPP, "del_dp")
	}
	if err := c.env.Delete(d); err != nil {
		return c.errorf(err, "del_dp")
	}
	return nil
}

func dumpDPs(c *call) error {
	for _, d := range c.env.Datapaths() {
		c.printf("%s\n", d.Name())
	}
	return nil
}

// iface is an argument NAME[,KEY=VALUE]….
type iface struct {
	name    string
	typ     string
	hasType bool
	port    uint32
	hasPort bool
	options []string // KEY, VALUE, …
}

func parseIface(arg string) iface {
	parts := strings.Split(arg, ",")
	f := iface{name: parts[0], typ: "system", port: dpif.PortNone}
	for _, o := range parts[1:] {
		key, value, _ := strings.Cut(o, "=")
		switch key {
		case "type":
			f.typ, f.hasType = value, true
		case "port_no":
			n, _ := strconv.ParseUint(value, 10, 32)
			f.port, f.hasPort = uint32(n), true
		default:
			f.options = append(f.options, key, value)
		}
	}
	return f
}

func addIf(c *call) error {
	d, err := c.open(c.args[0])
	if err != nil {
		return err
	}
	var last error
	for _, arg := range c.args[1:] {
		if err := c.addOne(d, parseIface(arg), arg); err != nil {
			last = err
		}
	}
	return last
}

func (c *call) addOne(d Datapath, f iface, arg string) error {
	if f.name == "" {
		return c.errorf(nil, "%s is not a valid network device name", arg)
	}
	if c.env.Open == nil {
		return c.errorf(unix.EOPNOTSUPP, "%s: failed to open network device", f.name)
	}
	if _, _, taken := d.Dpif.PortByName(f.name); taken {
		return c.errorf(unix.EEXIST, "adding %s to %s failed", f.name, c.args[0])
	}
	dev, err := c.env.Open(f.name, f.typ)
	if err != nil {
		return c.errorf(err, "%s: failed to open network device", f.name)
	}
	options := map[string]string{}
	for i := 0; i < len(f.options); i += 2 {
		if _, twice := options[f.options[i]]; twice {
			_ = c.errorf(nil, "duplicate \"%s\" option", f.options[i])
		}
		options[f.options[i]] = f.options[i+1]
	}
	if err := dev.SetConfig(options); err != nil {
		c.close(dev)
		return err
	}
	if _, err := d.Dpif.PortAdd(dev, f.port); err != nil {
		c.close(dev)
		return c.errorf(err, "adding %s to %s failed", f.name, c.args[0])
	}
	if err := dev.SetAdminUp(true); err != nil {
		return c.errorf(err, "%s: failed bringing interface up", f.name)
	}
	return nil
}

func (c *call) close(dev dpif.Device) {
	if c.env.Close != nil {
		c.env.Close(dev)
	}
}

func delIf(c *call) error {
	d, err := c.open(c.args[0])
	if err != nil {
		return err
	}
	var last error
	for _, name := range c.args[1:] {
		no, err := strconv.ParseUint(name, 10, 32)
		if err != nil {
			p, _, ok := d.Dpif.PortByName(name)
			if !ok {
				last = c.errorf(nil, "no port named %s", name)
				continue
			}
			no = uint64(p.No)
		}
		_, dev, _ := d.Dpif.PortByNumber(uint32(no))
		if err := d.Dpif.PortDel(uint32(no)); err != nil {
			last = c.errorf(err, "deleting port %s from %s failed", name, c.args[0])
			continue
		}
		c.close(dev)
	}
	return last
}

func setIf(c *call) error {
	d, err := c.open(c.args[0])
	if err != nil {
		return err
	}
	var last error
	for _, arg := range c.args[1:] {
		if err := c.setOne(d, parseIface(arg), arg); err != nil {
			last = err
		}
	}
	return last
}

func (c *call) setOne(d Datapath, f iface, arg string) error {
	if f.name == "" {
		return c.errorf(nil, "%s is not a valid network device name", arg)
	}
	p, dev, ok := d.Dpif.PortByName(f.name)
	if !ok {
		return c.errorf(unix.ENODEV, "%s: failed to query port in %s", f.name, c.args[0])
	}
	if f.hasType && f.typ != p.Type {
		return c.errorf(nil, "%s: can't change type from %s to %s", f.name, p.Type, f.typ)
	}
	if f.hasPort && f.port != p.No {
		return c.errorf(nil, "%s: can't change port number from %d to %d", f.name, p.No, f.port)
	}
	options := map[string]string{}
	for k, v := range dev.Config() {
		options[k] = v
	}
	for i := 0; i < len(f.options); i += 2 {
		if f.options[i+1] == "" {
			delete(options, f.options[i])
		} else {
			options[f.options[i]] = f.options[i+1]
		}
	}
	if err := dev.SetConfig(options); err != nil {
		return c.errorf(err, "Error updating configuration")
	}
	return nil
}

func show(c *call) error {
	if len(c.args) == 0 {
		for _, d := range c.env.Datapaths() {
			c.showOne(d)
		}
		return nil
	}
	var last error
	for _, name := range c.args {
		if d, ok := c.find(name); ok {
			c.showOne(d)
		} else {
			last = c.errorf(c.missing(name), "opening datapath %s failed", name)
		}
	}
	return last
}

func (c *call) showOne(d Datapath) {
	s := d.Dpif.Stats()
	c.printf("%s:\n  lookups: hit:%d missed:%d lost:%d\n  flows: %d\n", d.Name(), s.Hit, s.Missed, s.Lost, s.Flows)
	if s.Masks != ^uint32(0) {
		c.showMasks(&s)
	}
	for _, p := range d.Dpif.Ports() {
		_, dev, _ := d.Dpif.PortByNumber(p.No)
		c.printf("  port %d: %s", p.No, p.Name)
		if p.Type != "system" {
			c.printf(" (%s%s)", p.Type, configText(dev.Config()))
		}
		c.printf("\n")
		if c.statistics {
			c.showStats(dev.Stats())
		}
	}
}

func (c *call) showMasks(s *dpif.DPStats) {
	packets := s.Hit + s.Missed
	per := func(n uint64) float64 {
		if packets == 0 {
			return 0
		}
		return float64(n) / float64(packets)
	}
	c.printf("  masks: hit:%d total:%d hit/pkt:%.2f\n", s.MaskHit, s.Masks, per(s.MaskHit))
	if s.CacheHit != ^uint64(0) {
		c.printf("  cache: hit:%d hit-rate:%.2f%%\n", s.CacheHit, per(s.CacheHit)*100)
	}
}

// configText is the options of a device, sorted.
func configText(config map[string]string) string {
	keys := make([]string, 0, len(config))
	for k := range config {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	var b strings.Builder
	for i, k := range keys {
		if i == 0 {
			b.WriteString(": ")
		} else {
			b.WriteString(", ")
		}
		b.WriteString(k + "=" + config[k])
	}
	return b.String()
}

func (c *call) showStats(s netdev.Stats) {
	row := func(pairs ...any) {
		for i := 0; i < len(pairs); i += 2 {
			c.printf("%s", pairs[i])
			if v := pairs[i+1].(uint64); v == netdev.Unsupported {
				c.printf("?")
			} else {
				c.printf("%d", v)
			}
		}
	}
	row("    RX packets:", s.RxPackets, " errors:", s.RxErrors, " dropped:", s.RxDropped,
		" overruns:", s.RxOverErrors, " frame:", s.RxFrameErrors)
	row("\n    TX packets:", s.TxPackets, " errors:", s.TxErrors, " dropped:", s.TxDropped,
		" aborted:", s.TxAbortedErrors, " carrier:", s.TxCarrierErrors)
	row("\n    collisions:", s.Collisions)
	row("\n    RX bytes:", s.RxBytes)
	c.humanSize(s.RxBytes)
	row("  TX bytes:", s.TxBytes)
	c.humanSize(s.TxBytes)
	c.printf("\n")
}

func (c *call) humanSize(v uint64) {
	if v == netdev.Unsupported || v < 1024 {
		return
	}
	f := float64(v)
	for _, unit := range []string{"KiB", "MiB", "GiB", "TiB"} {
		f /= 1024
		if f < 1024 || unit == "TiB" {
			c.printf(" (%.1f %s)", f, unit)
			return
		}
	}
}
