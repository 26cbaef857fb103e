package vhostuser

import (
	"math/bits"

	"golang.org/x/sys/unix"
)

// memory is the guest's memory as it is mapped here.  It is immutable: a change of the
// table makes a new one, which keeps the regions that stay.
type memory struct {
	regions []*mapping
}

// mapping is one mapped region.
type mapping struct {
	region
	mem []byte // the region itself, without the offset in its file
	all []byte // what munmap takes
}

// mapRegion maps a region of a file.  A file that is shorter than the region is
// refused, since touching what is missing would be SIGBUS.
func mapRegion(r region, fd int) (*mapping, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, err
	}
	end, carry := bits.Add64(r.offset, r.size, 0)
	_, carryG := bits.Add64(r.guest, r.size, 0)
	_, carryU := bits.Add64(r.user, r.size, 0)
	const limit = 1 << 46
	if r.size == 0 || carry|carryG|carryU != 0 || end > limit {
		return nil, violation("memory region of %#x bytes at %#x, offset %#x", r.size, r.guest, r.offset)
	}
	if uint64(st.Size) < end {
		return nil, violation("memory region ends at %#x, its file at %#x", end, st.Size)
	}
	all, err := unix.Mmap(fd, 0, int(end), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		return nil, err
	}
	return &mapping{region: r, mem: all[r.offset:end:end], all: all}, nil
}

func (m *mapping) unmap() {
	if err := unix.Munmap(m.all); err != nil {
		log.Warn("munmap: %v", err)
	}
}

// overlaps says whether two regions share guest addresses.
func (r *region) overlaps(o *region) bool {
	return r.guest < o.guest+o.size && o.guest < r.guest+r.size
}

// at returns the bytes at a guest physical address, up to the end of the region; nil
// where there is no memory.
func (m *memory) at(addr uint64) []byte {
	for _, r := range m.regions {
		if off := addr - r.guest; off < r.size {
			return r.mem[off:]
		}
	}
	return nil
}

// user returns n bytes at an address of the front end, nil unless one region has
// them all.
func (m *memory) user(addr, n uint64) []byte {
	for _, r := range m.regions {
		if off := addr - r.user; off < r.size && n <= r.size-off {
			return r.mem[off : off+n : off+n]
		}
	}
	return nil
}
