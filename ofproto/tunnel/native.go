package tunnel

import (
	"net/netip"
	"slices"

	"sluice/dpif/flow"
	"sluice/internal/poll"
)

// Host is what native tunnels ask of the machine that they run on.
type Host struct {
	// Device returns the Ethernet address and the addresses of an open device.
	Device func(name string) (mac flow.MAC, addrs []netip.Prefix, ok bool)
	// DeviceSeq changes when Device may have another answer; 0: no such device.
	DeviceSeq func(name string) uint64
	// Routes returns the host's own routes, RouteSeq changes when they do.  Routes is
	// nil if they are not to be used.
	Routes   func() []Route
	RouteSeq func() uint64
}

// Native is what translation needs to encapsulate packets itself and to send them on
// their way, for all datapaths of a process.
//
// Thread-safety: the control loop owns it; translation on any thread reads its parts.
type Native struct {
	Routes    Routes
	Neighbors Neighbors
	Listeners Listeners

	host     Host
	devices  map[string]*hostDevice // those that somebody asked for
	routeSeq uint64
	// listened is the sequence numbers that the listeners' devices were made from.
	listened uint64
	started  bool
	seq      uint64
}

// hostDevice is what is known of a device.
type hostDevice struct {
	seq    uint64
	mac    flow.MAC
	addrs  []netip.Prefix
	exists bool
}

// NewNative returns a Native for a host.
func NewNative(h Host) *Native {
	n := &Native{host: h, devices: map[string]*hostDevice{}}
	n.Routes.Addrs = func(name string) []netip.Prefix { return n.device(name).addrs }
	return n
}

// device returns a device as it is now.
func (n *Native) device(name string) *hostDevice {
	d := n.devices[name]
	if d == nil {
		d = &hostDevice{}
		n.devices[name] = d
	}
	n.follow(name, d)
	return d
}

// follow reads a device again if it may have changed.
func (n *Native) follow(name string, d *hostDevice) {
	seq := n.host.DeviceSeq(name)
	if seq == d.seq {
		return
	}
	was := *d
	*d = hostDevice{seq: seq}
	if seq != 0 {
		if mac, addrs, ok := n.host.Device(name); ok {
			d.mac, d.addrs, d.exists = mac, addrs, true
		}
	}
	if was.mac != d.mac || was.exists != d.exists || !slices.Equal(was.addrs, d.addrs) {
		n.seq++
	}
}

// Addrs returns the addresses of a device, and has Seq change when they do.
func (n *Native) Addrs(name string) []netip.Addr {
	return addrsOf(n.device(name))
}

func addrsOf(d *hostDevice) []netip.Addr {
	var list []netip.Addr
	for _, p := range d.addrs {
		list = append(list, p.Addr())
	}
	return list
}

// Run follows the host: its routes, the addresses of its devices, and time.
func (n *Native) Run(now int64) {
	n.Neighbors.Run(now)
	if n.host.Routes != nil {
		if seq := n.host.RouteSeq(); seq != n.routeSeq || !n.started {
			n.routeSeq = seq
			n.Routes.SetSystem(n.host.Routes())
		}
	}
	n.started = true
	for name, d := range n.devices {
		if n.follow(name, d); !d.exists {
			delete(n.devices, name) // whoever wants it asks again
		}
	}
	if seq := n.seq + n.Routes.Seq(); seq != n.listened {
		n.listen()
		n.listened = n.seq + n.Routes.Seq()
	}
}

// Wait says when Run has something to do; what the host changes wakes the loop anyhow.
func (n *Native) Wait(s *poll.Set) {
	if at, ok := n.Neighbors.Next(); ok {
		s.Timer(at)
	}
}

// listen has tunnels end at the addresses of all devices that routes lead out of.
func (n *Native) listen() {
	ends := map[string]Endpoint{}
	for _, name := range n.Routes.Devices() {
		if d := n.device(name); d.exists {
			ends[name] = Endpoint{d.mac, addrsOf(d)}
		}
	}
	n.Listeners.SetDevices(ends)
}

// Seq changes when translation may come to another result.
func (n *Native) Seq() uint64 {
	return n.seq + n.Routes.Seq() + n.Neighbors.Seq() + n.Listeners.Seq()
}
