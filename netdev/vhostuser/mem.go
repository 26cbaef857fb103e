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

// regionAlign is the least alignment of regions, which is that of pages.
const regionAlign = 4096

// mapRegion maps a region of a file.  A file that is shorter than the region is
// refused, since touching what is missing would be SIGBUS; one that shrinks later is
// what ring.guarded is for.
func mapRegion(r region, fd int) (*mapping, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, violation("memory region without a file: %v", err)
	}
	end, carry := bits.Add64(r.offset, r.size, 0)
	_, carryG := bits.Add64(r.guest, r.size, 0)
	_, carryU := bits.Add64(r.user, r.size, 0)
	const limit = 1 << 46
	if r.size == 0 || carry|carryG|carryU != 0 || end > limit {
		return nil, violation("memory region of %#x bytes at %#x, offset %#x", r.size, r.guest, r.offset)
	}
	if (r.guest|r.size|r.user|r.offset)%regionAlign != 0 {
		return nil, violation("misaligned memory region of %#x bytes at %#x, offset %#x", r.size, r.guest, r.offset)
	}
	if st.Size < 0 || uint64(st.Size) < end {
		return nil, violation("memory region ends at %#x, its file at %#x", end, st.Size)
	}
	// Huge pages want whole pages, from the beginning of the file.
	block := max(uint64(st.Blksize), regionAlign)
	if st.Mode&unix.S_IFMT != unix.S_IFREG || block&(block-1) != 0 {
		return nil, violation("memory region in a file that cannot be mapped")
	}
	all, err := unix.Mmap(fd, 0, int((end+block-1)&^(block-1)), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_NORESERVE)
	if err != nil {
		return nil, violation("memory region cannot be mapped: %v", err)
	}
	return &mapping{region: r, mem: all[r.offset:end:end], all: all}, nil
}

func (m *mapping) unmap() {
	if err := unix.Munmap(m.all); err != nil {
		log.Warn("munmap: %v", err)
	}
}

// overlaps says whether two regions share addresses of the guest or the front end.
func (r *region) overlaps(o *region) bool {
	return r.guest < o.guest+o.size && o.guest < r.guest+r.size || r.user < o.user+o.size && o.user < r.user+r.size
}

// add makes a memory with one more region; m may be nil.
func (m *memory) add(r region, fd int) (*memory, error) {
	next := &memory{}
	if m != nil {
		next.regions = append(next.regions, m.regions...)
	}
	if len(next.regions) == maxMemSlots {
		return nil, violation("more than %d memory regions", maxMemSlots)
	}
	for _, o := range next.regions {
		if r.overlaps(&o.region) {
			return nil, violation("memory regions overlap at %#x", r.guest)
		}
	}
	mp, err := mapRegion(r, fd)
	if err != nil {
		return nil, err
	}
	next.regions = append(next.regions, mp)
	return next, nil
}

// split separates a region from the others.
func (m *memory) split(r region) (gone, rest *memory) {
	gone, rest = &memory{}, &memory{}
	if m == nil {
		return gone, rest
	}
	for _, o := range m.regions {
		if o.guest == r.guest && o.size == r.size && o.user == r.user {
			gone.regions = append(gone.regions, o)
		} else {
			rest.regions = append(rest.regions, o)
		}
	}
	return gone, rest
}

func (m *memory) unmap() {
	if m == nil {
		return
	}
	for _, r := range m.regions {
		r.unmap()
	}
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
