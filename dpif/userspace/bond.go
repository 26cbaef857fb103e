package userspace

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"

	"sluice/dpif"
	"sluice/netdev/packet"
)

var _ dpif.Bonds = (*Dpif)(nil)

// bondMap is the ports of a bond by hash value; it is replaced, not changed.
type bondMap [dpif.BondBuckets]uint32

// bond is a thread's own view of a bond.
type bond struct {
	id      uint32
	members *bondMap
	// bytes is written by the thread and read by the control thread.
	bytes *[dpif.BondBuckets]atomic.Uint64
}

// BondSet implements dpif.Bonds.
func (d *Dpif) BondSet(id uint32, members *[dpif.BondBuckets]dpif.PortNo) {
	if members == nil {
		if d.bonds[id] == nil {
			return
		}
		delete(d.bonds, id)
	} else {
		m := bondMap(*members)
		d.bonds[id] = &m
	}
	doAll(d.threads(), func(t *thread) { t.setBonds() })
}

// setBonds takes the bonds of the datapath into use; the control thread waits for it.
func (t *thread) setBonds() {
	old := t.bonds
	t.bonds = make([]bond, 0, len(t.dp.bonds))
	for _, id := range slices.Sorted(maps.Keys(t.dp.bonds)) {
		b := bond{id: id, members: t.dp.bonds[id]}
		if i, ok := findBond(old, id); ok {
			b.bytes = old[i].bytes
		} else {
			b.bytes = new([dpif.BondBuckets]atomic.Uint64)
		}
		t.bonds = append(t.bonds, b)
	}
}

func findBond(bonds []bond, id uint32) (int, bool) {
	return slices.BinarySearchFunc(bonds, id, func(b bond, id uint32) int { return cmp.Compare(b.id, id) })
}

// BondBytes implements dpif.Bonds.
func (d *Dpif) BondBytes(id uint32) (out [dpif.BondBuckets]uint64) {
	for _, t := range d.threads() {
		if i, ok := findBond(t.bonds, id); ok {
			for v := range out {
				out[v] += t.bonds[i].bytes[v].Load()
			}
		}
	}
	return out
}

// LBOutput implements exec.Env: the packet's hash picks the member of the bond.
func (t *thread) LBOutput(b *packet.Batch, id uint32) {
	n, ok := findBond(t.bonds, id)
	if !ok {
		cInvalidBond.Add(uint64(b.N))
		t.c.FreeBatch(b)
		return
	}
	to := &t.bonds[n]
	one := t.x.GetBatch()
	for _, i := range b.Slice() {
		value := t.x.Hash(i) % dpif.BondBuckets
		port := to.members[value]
		if t.txPort(port) != nil {
			// One writer: no locked instruction.
			to.bytes[value].Store(to.bytes[value].Load() + uint64(t.p.Meta(i).Len))
		}
		one.Add(i)
		t.Output(one, port)
	}
	t.x.PutBatch(one)
	b.N = 0
}

// BondShow is dpif-netdev/bond-show.
func BondShow(args []string) (string, error) {
	d, err := named(args)
	if err != nil || len(d.bonds) == 0 {
		return "", err
	}
	var b strings.Builder
	b.WriteString("Bonds:\n")
	for _, id := range slices.Sorted(maps.Keys(d.bonds)) {
		fmt.Fprintf(&b, "  bond-id %d:\n", id)
		for bucket, member := range d.bonds[id] {
			fmt.Fprintf(&b, "    bucket %d - member %d\n", bucket, member)
		}
	}
	return b.String(), nil
}
