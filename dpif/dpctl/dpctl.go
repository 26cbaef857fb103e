// Package dpctl is the dpctl commands of ovs-appctl: what they do and print, on
// any dpif.
//
// cmd/ovs-vswitchd registers Commands with the control socket and calls Run; the
// Env says which datapaths there are.  Commands that need what a datapath does not
// have answer that it does not support them.
package dpctl

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/internal/errno"
)

// Datapath is a datapath that commands can name.
type Datapath struct{ Dpif dpif.Dpif }

// Name is TYPE@NAME, as commands take and print it.
func (d Datapath) Name() string { return d.Dpif.Type() + "@" + d.Dpif.Name() }

// Env is what the commands work on.  Functions may be nil: then what needs them is
// not supported.
type Env struct {
	// Program begins error messages: "ovs-vswitchd".
	Program string
	// Datapaths lists the datapaths, sorted by type and name.
	Datapaths func() []Datapath
	// Types are the types that datapaths can have.
	Types []string
	Now   func() int64
	// Create and Delete make and remove datapaths of the user's own.
	Create func(typ, name string) error
	Delete func(d Datapath) error
	// Open opens a device for add-if, Close gives up one that del-if took out.
	Open  func(name, typ string) (dpif.Device, error)
	Close func(dev dpif.Device)
	// ParseFilter parses the filter of dump-flows, fields in OpenFlow's words.
	ParseFilter func(text string, names odp.PortNames) (func(*flow.Flow, *flow.Mask) bool, error)
	// ReadFile reads the file of add-flows.
	ReadFile func(name string) ([]byte, error)
}

// Command is a row of the table of commands.
type Command struct {
	Name, Usage      string
	MinArgs, MaxArgs int
	run              func(*call) error
}

// unlimited arguments.
const unlimited = 1 << 20

// Commands lists the commands, without the prefix "dpctl/", with the usage texts
// of stock.
func Commands() []Command { return commands }

var commands []Command

func init() {
	commands = []Command{
		{"add-dp", "dp [iface...]", 1, unlimited, addDP},
		{"del-dp", "dp", 1, 1, delDP},
		{"add-if", "dp iface...", 2, unlimited, addIf},
		{"del-if", "dp iface...", 2, unlimited, delIf},
		{"set-if", "dp iface...", 2, unlimited, setIf},
		{"dump-dps", "", 0, 0, dumpDPs},
		{"show", "[-s] [dp...]", 0, unlimited, show},
		{"dump-flows", "[-m] [--names] [dp] [filter=..] [type=..] [pmd=..]", 0, 6, dumpFlows},
		{"add-flow", "[dp] flow actions", 2, 3, addFlow},
		{"mod-flow", "[dp] flow actions", 2, 3, modFlow},
		{"get-flow", "[dp] ufid", 1, 2, getFlow},
		{"del-flow", "[dp] flow", 1, 2, delFlow},
		{"add-flows", "[dp] file", 1, 2, addFlows},
		{"mod-flows", "[dp] file", 1, 2, modFlows},
		{"del-flows", "[dp] [file]", 0, 2, delFlows},
		{"offload-stats-show", "[dp]", 0, 1, offloadStats},
		{"dump-conntrack", "[-m] [-s] [dp] [zone=N]", 0, 4, dumpConntrack},
		{"flush-conntrack", "[dp] [zone=N] [ct-orig-tuple] [ct-reply-tuple]", 0, 4, flushConntrack},
		{"cache-get-size", "[dp]", 0, 1, cacheGetSize},
		{"cache-set-size", "dp cache <size>", 3, 3, cacheSetSize},
		{"ct-stats-show", "[dp] [zone=N]", 0, 3, ctStats},
		{"ct-bkts", "[dp] [gt=N]", 0, 2, ctBuckets},
		{"ct-set-maxconns", "[dp] maxconns", 1, 2, ctSetMaxConns},
		{"ct-get-maxconns", "[dp]", 0, 1, ctGetMaxConns},
		{"ct-get-nconns", "[dp]", 0, 1, ctGetConns},
		{"ct-enable-tcp-seq-chk", "[dp]", 0, 1, ctSetSeqCheck(true, "enabling")},
		{"ct-disable-tcp-seq-chk", "[dp]", 0, 1, ctSetSeqCheck(false, "disabling")},
		{"ct-get-tcp-seq-chk", "[dp]", 0, 1, ctGetSeqCheck},
		{"ct-set-limits", "[dp] [default=L] [zone=N,limit=L]...", 1, unlimited, ctSetLimits},
		{"ct-del-limits", "[dp] zone=N1[,N2]...", 1, 2, ctDelLimits},
		{"ct-get-limits", "[dp] [zone=N1[,N2]...]", 0, 2, ctGetLimits},
		{"ipf-set-enabled", "[dp] v4|v6", 1, 2, ipfSetEnabled(true, "enabling")},
		{"ipf-set-disabled", "[dp] v4|v6", 1, 2, ipfSetEnabled(false, "disabling")},
		{"ipf-set-min-frag", "[dp] v4|v6 minfragment", 2, 3, ipfSetMin},
		{"ipf-set-max-nfrags", "[dp] maxfrags", 1, 2, ipfSetMax},
		{"ipf-get-status", "[dp]", 0, 1, ipfStatus},
		{"list-commands", "", 0, unlimited, listCommands},
		{"parse-actions", "actions", 1, unlimited, parseActions},
		{"normalize-actions", "actions", 2, unlimited, normalizeActions},
	}
}

// call is one run of a command.
type call struct {
	env  *Env
	args []string
	out  strings.Builder
	// failed: an error was printed.
	failed bool

	statistics, clear, mayCreate bool
	names, namesSet              bool
	more                         int
}

// Run runs a command and returns its text; ok is false when the text is an error.
func Run(env *Env, name string, args []string) (text string, ok bool) {
	c := &call{env: env, args: args}
	if !c.options() {
		return c.out.String(), false
	}
	for i := range commands {
		if cmd := &commands[i]; cmd.Name == name {
			// The control socket has counted the options too.
			if n := len(c.args); n < cmd.MinArgs {
				c.errorf(nil, "'%s' command requires at least %d arguments", name, cmd.MinArgs)
				return c.out.String(), false
			} else if n > cmd.MaxArgs {
				c.errorf(nil, "'%s' command takes at most %d arguments", name, cmd.MaxArgs)
				return c.out.String(), false
			}
			if err := commands[i].run(c); err != nil {
				c.failed = true
			}
			return c.out.String(), !c.failed
		}
	}
	c.errorf(nil, "unknown command '%s'; use --help for help", name)
	return c.out.String(), false
}

// options takes the options off the front of the arguments.
func (c *call) options() bool {
	for len(c.args) > 0 && len(c.args[0]) > 1 && c.args[0][0] == '-' {
		arg := c.args[0]
		switch {
		case arg == "--statistics":
			c.statistics = true
		case arg == "--clear":
			c.clear = true
		case arg == "--may-create":
			c.mayCreate = true
		case arg == "--more":
			c.more++
		case arg == "--names":
			c.names, c.namesSet = true, true
		case arg == "--no-names":
			c.names, c.namesSet = false, true
		case strings.HasPrefix(arg, "--"):
			c.printf("Unrecognized option %s", arg)
			return false
		default:
			if !c.shortOptions(arg[1:]) {
				return false
			}
		}
		c.args = c.args[1:]
	}
	if !c.namesSet {
		c.names = c.more > 0
	}
	return true
}

func (c *call) shortOptions(letters string) bool {
	for _, l := range letters {
		switch l {
		case 'm':
			c.more++
		case 's':
			c.statistics = true
		default:
			c.printf("Unrecognized option -%c", l)
			return false
		}
	}
	return true
}

func (c *call) printf(format string, args ...any) { fmt.Fprintf(&c.out, format, args...) }

// errorf prints an error message, with the words for err behind it, and returns an
// error.
func (c *call) errorf(err error, format string, args ...any) error {
	c.failed = true
	c.printf("%s: ", c.env.Program)
	c.printf(format, args...)
	if err == nil {
		c.out.WriteByte('\n')
		return unix.EINVAL
	}
	c.printf(" (%s)\n", errno.Text(err))
	return err
}

func unsupported(c *call) error { return c.errorf(unix.EOPNOTSUPP, "not supported by this datapath") }

// parseName splits TYPE@NAME; without a type it is "system".
func parseName(s string) (typ, name string) {
	if typ, name, ok := strings.Cut(s, "@"); ok {
		if typ == "" {
			typ = "system"
		}
		return typ, name
	}
	return "system", s
}

// find returns the datapath of that name.
func (c *call) find(arg string) (Datapath, bool) {
	typ, name := parseName(arg)
	for _, d := range c.env.Datapaths() {
		if d.Dpif.Type() == typ && d.Dpif.Name() == name {
			return d, true
		}
	}
	return Datapath{}, false
}

// open returns the datapath of that name, or prints that there is none.
func (c *call) open(arg string) (Datapath, error) {
	if d, ok := c.find(arg); ok {
		return d, nil
	}
	return Datapath{}, c.errorf(c.missing(arg), "opening datapath")
}

// missing is the error for a datapath that does not exist: one of that name may have
// another type, or the type may be one that nobody knows.
func (c *call) missing(arg string) unix.Errno {
	typ, name := parseName(arg)
	for _, d := range c.env.Datapaths() {
		if d.Dpif.Name() == name && slices.Contains(c.env.Types, typ) {
			return unix.EINVAL
		}
	}
	if !slices.Contains(c.env.Types, typ) {
		return unix.EAFNOSUPPORT
	}
	return unix.ENODEV
}

// optional takes a datapath off the front of the arguments, of which there are at
// most max with it; without one it is the only datapath that exists.
func (c *call) optional(max int) (Datapath, error) {
	if len(c.args) > 0 {
		if d, ok := c.find(c.args[0]); ok {
			c.args = c.args[1:]
			return d, nil
		}
	}
	if len(c.args) != max {
		switch list := c.env.Datapaths(); len(list) {
		case 1:
			return list[0], nil
		case 0:
			_ = c.errorf(nil, "no datapaths exist")
		default:
			_ = c.errorf(nil, "multiple datapaths, specify one")
		}
	}
	return Datapath{}, c.errorf(unix.EINVAL, "datapath not found")
}

// portNames names a datapath's ports.
type portNames struct{ d dpif.Dpif }

// PortName implements odp.PortNames.
func (n portNames) PortName(no uint32) (string, bool) {
	p, _, ok := n.d.PortByNumber(no)
	return p.Name, ok
}

// PortNumber implements odp.PortNames.
func (n portNames) PortNumber(name string) (uint32, bool) {
	p, _, ok := n.d.PortByName(name)
	return p.No, ok
}

func listCommands(c *call) error {
	c.printf("The available commands are:\n")
	for _, cmd := range commands {
		c.printf("  dpctl/%-23s %s\n", cmd.Name, cmd.Usage)
	}
	return nil
}
