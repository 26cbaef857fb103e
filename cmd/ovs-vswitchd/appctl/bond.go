package appctl

import (
	"errors"
	"strconv"

	"sluice/ofproto/bond"
	"sluice/ovsdb/unixctl"
)

var bondCommands = []command{
	{"bond/list", "", 0, 0, bondList},
	{"bond/show", "[port]", 0, 1, bondShow},
	{"bond/migrate", "port hash member", 3, 3, withBond(func(b *bond.Bond, args []string) (string, error) {
		return "migrated", b.Migrate(args[0], args[1])
	})},
	{"bond/set-active-member", "port member", 2, 2, bondSetActive},
	{"bond/enable-member", "port member", 2, 2, bondEnable(true)},
	{"bond/disable-member", "port member", 2, 2, bondEnable(false)},
	{"bond/hash", "mac [vlan] [basis]", 1, 3, bondHash},
}

// oldBondCommands are names of former times.
var oldBondCommands = []command{
	{"bond/set-active-slave", "", 2, 2, bondSetActive},
	{"bond/enable-slave", "", 2, 2, bondEnable(true)},
	{"bond/disable-slave", "", 2, 2, bondEnable(false)},
}

var (
	errNoBond     = errors.New("no such bond")
	bondSetActive = withBond(func(b *bond.Bond, args []string) (string, error) {
		changed, err := b.SetActive(args[0])
		if changed {
			return "done", err
		}
		return "no change", err
	})
)

func bondEnable(on bool) func(*Env, *unixctl.Request) {
	return withBond(func(b *bond.Bond, args []string) (string, error) {
		if on {
			return "enabled", b.Enable(args[0], on)
		}
		return "disabled", b.Enable(args[0], on)
	})
}

// withBond makes a command of a function on the bond that the first argument names;
// the others are args.
func withBond(fn func(b *bond.Bond, args []string) (string, error)) func(*Env, *unixctl.Request) {
	return func(env *Env, r *unixctl.Request) {
		b := findBond(env, r.Args[0])
		if b == nil {
			r.ReplyError(errNoBond.Error())
			return
		}
		text, err := fn(b, r.Args[1:])
		reply(r, text, err)
	}
}

func findBond(env *Env, name string) *bond.Bond {
	for _, sw := range env.Bridges.Switches() {
		if b := sw.Bond(name); b != nil {
			return b
		}
	}
	return nil
}

func bondList(env *Env, r *unixctl.Request) {
	out := []byte("bond\ttype\trecircID\tmembers\n")
	for _, sw := range env.Bridges.Switches() {
		for _, b := range sw.Bonds() {
			out = b.AppendList(out)
		}
	}
	r.Reply(string(out))
}

func bondShow(env *Env, r *unixctl.Request) {
	if len(r.Args) > 0 {
		b := findBond(env, r.Args[0])
		if b == nil {
			r.ReplyError(errNoBond.Error())
			return
		}
		r.Reply(string(b.AppendShow(nil, env.Now())))
		return
	}
	var out []byte
	for _, sw := range env.Bridges.Switches() {
		for _, b := range sw.Bonds() {
			out = b.AppendShow(out, env.Now())
		}
	}
	r.Reply(string(out))
}

// bondHash prints the hash value of a source address and a VLAN, as balance-slb bonds
// spread them.  Its numbers are read as scanf does.
func bondHash(_ *Env, r *unixctl.Request) {
	var vlan, basis uint32
	var ok bool
	if len(r.Args) > 1 {
		if vlan, ok = scanUint(r.Args[1]); !ok {
			r.ReplyError("invalid vlan")
			return
		}
	}
	if len(r.Args) > 2 {
		if basis, ok = scanUint(r.Args[2]); !ok {
			r.ReplyError("invalid basis")
			return
		}
	}
	mac, ok := scanMAC(r.Args[0])
	if !ok {
		r.ReplyError("invalid mac")
		return
	}
	r.Reply(strconv.Itoa(int(bond.HashMAC(mac, uint16(vlan), basis) % bond.Buckets)))
}
