package bpf

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// Consumer keeps what a device receives from the host's own protocols, as the
// kernel's bridges do with the packets of their ports.  Packet sockets have seen it
// before.
//
// It is attached by a BPF link: the kernel detaches it when the process dies.
type Consumer struct{ link link.Link }

// Consume begins to do so at the TCX hook of a device.  It fails with
// unix.EOPNOTSUPP on kernels without that hook (before 6.6).
func Consume(ifindex int) (*Consumer, error) {
	if Missing(TCX) {
		return nil, fmt.Errorf("%s: %w", TCX, unix.EOPNOTSUPP)
	}
	prog, err := dropAll()
	if err != nil {
		return nil, err
	}
	defer prog.Close() // the link keeps it
	l, err := link.AttachTCX(link.TCXOptions{Interface: ifindex, Program: prog, Attach: ebpf.AttachTCXIngress})
	if err != nil {
		return nil, fmt.Errorf("attach at TCX ingress: %w", err)
	}
	return &Consumer{l}, nil
}

// dropAll loads the program.
func dropAll() (*ebpf.Program, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, err
	}
	const drop = 2 // TCX_DROP
	return ebpf.NewProgram(&ebpf.ProgramSpec{
		Name: "sluice_consume", Type: ebpf.SchedCLS, License: "GPL",
		Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, drop), asm.Return()},
	})
}

// Close ends it.
func (c *Consumer) Close() error { return c.link.Close() }
