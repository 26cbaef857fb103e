package netdev

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
)

var log = vlog.New("netdev")

// registry holds the classes and the open devices of the process.
var registry struct {
	mu      sync.Mutex
	classes map[string]Class
	open    map[string]Device
	// sorted is the open devices by name; replaced whole, never edited.  nil: to be
	// made when it is asked for, since devices come by the thousand.
	sorted []Device
}

// Register adds a class.  A type that is taken already stays as it is, with a
// warning.
func Register(c Class) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if registry.classes == nil {
		registry.classes = map[string]Class{}
	}
	if _, taken := registry.classes[c.Type]; taken {
		log.Warn("attempted to register duplicate netdev provider: %s", c.Type)
		return
	}
	registry.classes[c.Type] = c
}

// Override replaces the class of c.Type, or adds it.  Devices that are open keep
// their old class.  This is what --enable-dummy=override does.
func Override(c Class) {
	registry.mu.Lock()
	delete(registry.classes, c.Type)
	registry.mu.Unlock()
	Register(c)
}

// ClassOf returns the class registered for a type; "" stands for "system".
func ClassOf(typ string) (Class, bool) {
	if typ == "" {
		typ = "system"
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	c, ok := registry.classes[typ]
	return c, ok
}

// Types lists the registered types, sorted (Open_vSwitch column iface_types).
func Types() []string {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	types := make([]string, 0, len(registry.classes))
	for t := range registry.classes {
		types = append(types, t)
	}
	slices.Sort(types)
	return types
}

// Open opens the device of that name; an empty type is "system".  A device can
// be open once only: a second Open answers EEXIST until the first is closed.
// The errors wrap a unix.Errno, whose text the bridge composes into "could not
// open network device NAME (TEXT)".
func Open(name, typ string) (Device, error) {
	if name == "" {
		return nil, fmt.Errorf("open device: empty name: %w", unix.EINVAL)
	}
	class, ok := ClassOf(typ)
	if !ok {
		log.Warn("could not create netdev %s of unknown type %s", name, typ)
		return nil, fmt.Errorf("open device %s: unknown type %q: %w", name, typ, unix.EAFNOSUPPORT)
	}
	if _, taken := ByName(name); taken {
		return nil, fmt.Errorf("open device %s: %w", name, unix.EEXIST)
	}
	dev, err := class.Open(name)
	if err != nil {
		return nil, err
	}
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if registry.open == nil {
		registry.open = map[string]Device{}
	}
	registry.open[name] = dev
	registry.sorted = nil
	return dev, nil
}

func sortLocked() {
	devs := make([]Device, 0, len(registry.open))
	for _, d := range registry.open {
		devs = append(devs, d)
	}
	slices.SortFunc(devs, func(a, b Device) int { return strings.Compare(a.Name(), b.Name()) })
	registry.sorted = devs
}

// Configure gives dev its options, and logs that it could not.  The error's text is
// for the database.
func Configure(dev Device, options map[string]string) error {
	err := dev.SetConfig(options)
	if err == nil {
		return nil
	}
	cause := err
	var own *ConfigError
	if errors.As(err, &own) {
		cause = own.Err
		if !own.Logged {
			log.Warn("%s", own.Text)
		}
	}
	text := fmt.Sprintf("%s: could not set configuration (%s)", dev.Name(), errno.Text(cause))
	log.Warn("%s", text)
	if own != nil {
		return own
	}
	return &ConfigError{Text: text, Err: err}
}

// ByName returns the open device of that name.
func ByName(name string) (Device, bool) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	d, ok := registry.open[name]
	return d, ok
}

// Devices returns the open devices, sorted by name.  The slice must not be
// changed.
func Devices() []Device {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if registry.sorted == nil {
		sortLocked()
	}
	return registry.sorted
}

// hooks are what classes want to do in every turn of the loop.
var hooks []hook

type hook struct {
	run  func(now int64)
	wait func(*poll.Set)
}

// OnRun has RunClasses and WaitClasses call the functions; a class registers what
// serves all its devices, such as an event socket.
func OnRun(run func(now int64), wait func(*poll.Set)) {
	hooks = append(hooks, hook{run, wait})
}

// RunClasses does the control work of the classes; the main loop calls it once a
// turn, before it runs the devices.
func RunClasses(now int64) {
	for _, h := range hooks {
		h.run(now)
	}
}

// WaitClasses arms set with whatever wakes RunClasses.
func WaitClasses(set *poll.Set) {
	for _, h := range hooks {
		h.wait(set)
	}
}

// Run does the control work of the classes and of all open devices.
func Run(now int64) {
	RunClasses(now)
	for _, d := range Devices() {
		d.Run(now)
	}
}

// Wait arms set with whatever wakes Run.
func Wait(set *poll.Set) {
	WaitClasses(set)
	for _, d := range Devices() {
		d.Wait(set)
	}
}

// release forgets a closed device.
func release(name string, b *Base) {
	registry.mu.Lock()
	defer registry.mu.Unlock()
	if d, ok := registry.open[name]; ok && d.(interface{ base() *Base }).base() == b {
		delete(registry.open, name)
		registry.sorted = nil
	}
}
