package appctl

import (
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/dpctl"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/netdev"
	"sluice/ofproto/ofp/match"
	"sluice/ovsdb/unixctl"
)

// registerDpctl adds the commands dpctl/*.
func registerDpctl(srv *unixctl.Server, env *Env) {
	own := &ownDatapaths{env: env}
	e := &dpctl.Env{
		Program: env.Program,
		Now:     env.Now,
		Datapaths: func() []dpctl.Datapath {
			var out []dpctl.Datapath
			for _, dp := range env.Bridges.Datapaths() {
				out = append(out, dpctl.Datapath{Dpif: dp.Dpif})
			}
			out = append(out, own.list...)
			slices.SortFunc(out, func(a, b dpctl.Datapath) int { return strings.Compare(a.Name(), b.Name()) })
			return out
		},
		Types:       env.DatapathTypes,
		Create:      own.create,
		Delete:      own.delete,
		Open:        func(name, typ string) (dpif.Device, error) { return netdev.Open(name, typ) },
		Close:       func(dev dpif.Device) { env.Bridges.Detached(dev, env.Now()) },
		ParseFilter: parseFilter,
		ReadFile:    os.ReadFile,
	}
	for _, c := range dpctl.Commands() {
		srv.Register("dpctl/"+c.Name, c.Usage, c.MinArgs, c.MaxArgs, func(r *unixctl.Request) {
			text, ok := dpctl.Run(e, c.Name, r.Args)
			if ok {
				r.Reply(text)
			} else {
				r.ReplyError(text)
			}
		})
	}
}

// ownDatapaths are the datapaths that dpctl/add-dp made; no bridge uses them.
type ownDatapaths struct {
	env   *Env
	list  []dpctl.Datapath
	local []dpif.Device // their local ports' devices; nil: somebody else's
}

// create makes a datapath with its local port, whose device may be open already.
func (o *ownDatapaths) create(typ, name string) error {
	dp, localType, err := o.env.NewDatapath(typ, name)
	if err != nil {
		return err
	}
	dev, taken := netdev.ByName(name)
	if !taken {
		if dev, err = netdev.Open(name, localType); err != nil {
			_ = dp.Close(true)
			return err
		}
	}
	if _, err := dp.PortAdd(dev, 0); err != nil {
		_ = dp.Close(true)
		return err
	}
	o.list = append(o.list, dpctl.Datapath{Dpif: dp})
	if taken {
		dev = nil
	}
	o.local = append(o.local, dev)
	return nil
}

// delete closes a datapath and the devices in it.
func (o *ownDatapaths) delete(d dpctl.Datapath) error {
	n := slices.Index(o.list, d)
	if n < 0 {
		return unix.EBUSY // a bridge uses it
	}
	var devices []dpif.Device
	for _, p := range d.Dpif.Ports() {
		if _, dev, ok := d.Dpif.PortByNumber(p.No); ok && p.No != 0 {
			devices = append(devices, dev)
		}
	}
	if o.local[n] != nil {
		devices = append(devices, o.local[n])
	}
	o.list, o.local = slices.Delete(o.list, n, n+1), slices.Delete(o.local, n, n+1)
	err := d.Dpif.Close(true)
	for _, dev := range devices {
		if e := dev.Close(false); e != nil && err == nil {
			err = e
		}
	}
	return err
}

// parseFilter reads the fields of a packet, in the words of OpenFlow, that datapath
// flows are compared with.  What a flow wildcards it cannot differ in.
func parseFilter(text string, names odp.PortNames) (func(*flow.Flow, *flow.Mask) bool, error) {
	var m flow.Mask
	f, err := match.ParseExactFlow(text, nil, filterPorts{names}, &m)
	if err != nil {
		return nil, err
	}
	want, given := f.Words(), m.Words()
	return func(key *flow.Flow, mask *flow.Mask) bool {
		got, known := key.Words(), mask.Words()
		for i := range got {
			if (got[i]^want[i])&given[i]&known[i] != 0 {
				return false
			}
		}
		return true
	}, nil
}

// filterPorts lets a filter name datapath ports, where a match has OpenFlow ports.
type filterPorts struct{ names odp.PortNames }

// PortName implements field.PortMap.
func (p filterPorts) PortName(port uint32) string {
	name, _ := p.names.PortName(port)
	return name
}

// PortByName implements field.PortMap.
func (p filterPorts) PortByName(name string) (uint32, bool) { return p.names.PortNumber(name) }
