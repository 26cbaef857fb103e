package appctl

import (
	"os"

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
	e := &dpctl.Env{
		Program: env.Program,
		Now:     env.Now,
		Datapaths: func() []dpctl.Datapath {
			var out []dpctl.Datapath
			for _, dp := range env.Bridges.Datapaths() {
				out = append(out, dpctl.Datapath{Dpif: dp.Dpif})
			}
			return out
		},
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

// parseFilter reads an OpenFlow match that datapath flows are compared with.
func parseFilter(text string, _ odp.PortNames) (func(*flow.Flow) bool, error) {
	m, _, err := match.Parse(text, nil)
	if err != nil {
		return nil, err
	}
	want, mask := m.Flow.Words(), m.Mask.Words()
	return func(f *flow.Flow) bool {
		got := f.Words()
		for i := range got {
			if (got[i]^want[i])&mask[i] != 0 {
				return false
			}
		}
		return true
	}, nil
}
