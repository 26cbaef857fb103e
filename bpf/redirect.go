// Package bpf is the switch's programs in the kernel: their C source (c/), the
// objects compiled from it, and handles with types around them.
//
// netdev/afxdp uses Redirect, which hands a device's frames to AF_XDP sockets, and
// netdev/system Consume, which keeps a device's packets from the host.
// The package attaches programs and fills maps; it opens no devices or sockets
// and knows nothing of flows.
//
// It is the only home of cilium/ebpf.
package bpf

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Mode is how an XDP program is attached.
type Mode int

// Modes of attachment.
const (
	Native  Mode = iota // in the driver
	Generic             // in the kernel's common receive path
)

// String is the mode's name in options and status.
func (m Mode) String() string {
	if m == Generic {
		return "generic"
	}
	return "native"
}

// RedirectOptions says what NewRedirect shall load and attach.
type RedirectOptions struct {
	Ifindex  int
	Queues   int // size of the map from queues to sockets
	Mode     Mode
	MultiBuf bool // the sockets take frames of several buffers
}

// Redirect is an XDP program on one device, which hands the frames of each
// receive queue to the AF_XDP socket set for it.
//
// It is attached by a BPF link: the kernel detaches it when the process dies.
type Redirect struct {
	prog *ebpf.Program
	xsks *ebpf.Map
	link link.Link
	// KeepsTag reports that VLAN tags which the driver keeps beside the frame are
	// put back.
	KeepsTag bool
}

// loadSpec parses the embedded object once.
var loadSpec = sync.OnceValues(func() (*ebpf.CollectionSpec, error) {
	// Only kernels before 5.11 count BPF memory against RLIMIT_MEMLOCK.
	_ = rlimit.RemoveMemlock()
	return loadXsk()
})

const mapName = "sluice_xsks"

// programs names the programs by (multi-buffer, VLAN tag).
var programs = map[[2]bool]string{
	{false, false}: "sluice_xsk",
	{false, true}:  "sluice_xsk_vlan",
	{true, false}:  "sluice_xsk_sg",
	{true, true}:   "sluice_xsk_vsg",
}

// NewRedirect loads the best program that the kernel takes and attaches it.  An
// error wraps unix.EBUSY when the device has an XDP program already.
func NewRedirect(o RedirectOptions) (*Redirect, error) {
	spec, err := loadSpec()
	if err != nil {
		return nil, fmt.Errorf("parse XDP program: %w", err)
	}
	ms := spec.Maps[mapName].Copy()
	ms.MaxEntries = uint32(max(o.Queues, 1))
	xsks, err := ebpf.NewMap(ms)
	if err != nil {
		return nil, fmt.Errorf("create XSKMAP: %w", err)
	}
	r := &Redirect{xsks: xsks}
	// A program with the tag must be bound to its device, which generic mode
	// refuses; old kernels do not know the function.
	for _, tag := range []bool{o.Mode == Native && !Missing(VLANKfunc), false} {
		err = r.start(spec, o, tag)
		if err == nil {
			r.KeepsTag = tag
			return r, nil
		}
		if !tag || errors.Is(err, unix.EBUSY) {
			break
		}
	}
	xsks.Close()
	return nil, err
}

func (r *Redirect) start(spec *ebpf.CollectionSpec, o RedirectOptions, tag bool) error {
	ps := spec.Programs[programs[[2]bool{o.MultiBuf, tag}]].Copy()
	if tag {
		ps.Ifindex = uint32(o.Ifindex)
		ps.Flags |= unix.BPF_F_XDP_DEV_BOUND_ONLY
	}
	if err := ps.Instructions.AssociateMap(mapName, r.xsks); err != nil {
		return fmt.Errorf("link XDP program: %w", err)
	}
	prog, err := ebpf.NewProgram(ps)
	if err != nil {
		return fmt.Errorf("load XDP program: %w", err)
	}
	flags := link.XDPDriverMode
	if o.Mode == Generic {
		flags = link.XDPGenericMode
	}
	l, err := link.AttachXDP(link.XDPOptions{Program: prog, Interface: o.Ifindex, Flags: flags})
	if err != nil {
		prog.Close()
		if errors.Is(err, unix.EEXIST) {
			// The kernel's answer while the other mode is in use.
			err = fmt.Errorf("%w: %w", unix.EBUSY, err)
		}
		return fmt.Errorf("attach XDP program in %s mode: %w", o.Mode, err)
	}
	r.prog, r.link = prog, l
	return nil
}

// SetSocket has the frames of queue go to the AF_XDP socket fd, which must be
// bound to it.  The kernel forgets the socket when it is closed.
func (r *Redirect) SetSocket(queue, fd int) error {
	if err := r.xsks.Update(uint32(queue), uint32(fd), ebpf.UpdateAny); err != nil {
		return fmt.Errorf("set socket of queue %d: %w", queue, err)
	}
	return nil
}

// Close detaches the program and frees it and its map.
func (r *Redirect) Close() error {
	err := r.link.Close()
	r.prog.Close()
	r.xsks.Close()
	if err != nil {
		return fmt.Errorf("detach XDP program: %w", err)
	}
	return nil
}

// ProgramInfo describes a program that somebody attached to a device.
type ProgramInfo struct {
	Name string
	// ToSockets reports that the program has a map of AF_XDP sockets.
	ToSockets bool
}

// Inspect describes the program of that id (as netlink reports it).
func Inspect(id uint32) (ProgramInfo, error) {
	p, err := ebpf.NewProgramFromID(ebpf.ProgramID(id))
	if err != nil {
		return ProgramInfo{}, fmt.Errorf("XDP program %d: %w", id, err)
	}
	defer p.Close()
	info, err := p.Info()
	if err != nil {
		return ProgramInfo{}, fmt.Errorf("XDP program %d: %w", id, err)
	}
	r := ProgramInfo{Name: info.Name}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			continue
		}
		r.ToSockets = r.ToSockets || m.Type() == ebpf.XSKMap
		m.Close()
	}
	return r, nil
}
