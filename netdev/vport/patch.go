package vport

import (
	"golang.org/x/sys/unix"

	"sluice/netdev"
)

// RegisterPatch registers the class "patch".
func RegisterPatch() {
	netdev.Register(netdev.Class{Type: "patch", Virtual: true, Open: func(name string) (netdev.Device, error) {
		d := &Patch{}
		d.init(name, "patch")
		return d, nil
	}})
}

// Patch is a patch port.
type Patch struct {
	device
	peer string
}

// SetConfig implements netdev.Device: a patch port takes its peer's name.
func (d *Patch) SetConfig(options map[string]string) error {
	peer, ok := options["peer"]
	switch {
	case !ok:
		return d.configError("patch type requires valid 'peer' argument")
	case len(options) > 1:
		return d.configError("patch type takes only a 'peer' argument")
	case peer == d.Name():
		return d.configError("patch peer must not be self")
	}
	if d.peer != peer {
		d.peer = peer
		d.Changed()
	}
	return nil
}

func (d *Patch) configError(text string) error {
	text = d.Name() + ": " + text
	log.Err("%s", text)
	return &netdev.ConfigError{Text: text, Err: unix.EINVAL, Logged: true}
}

// Config implements netdev.Device.
func (d *Patch) Config() map[string]string {
	if d.peer == "" {
		return nil
	}
	return map[string]string{"peer": d.peer}
}

// Peer is the name of the peer, "" when it is not configured.
func (d *Patch) Peer() string { return d.peer }
