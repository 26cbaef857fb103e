package packet

// New makes a packet of data, 0 when the memory is exhausted.
func (c *Cache) New(data []byte) Index {
	first := c.Alloc()
	if first == 0 {
		return 0
	}
	m := c.pool.Meta(first)
	n := copy(c.pool.Frame(first)[Headroom:], data)
	m.SegLen, m.Len = uint16(n), uint32(len(data))
	if !c.appendFrames(first, data[n:]) {
		c.Free(first)
		return 0
	}
	return first
}

// appendFrames chains frames that hold data behind frame last, without touching
// Len.
func (c *Cache) appendFrames(last Index, data []byte) bool {
	for len(data) > 0 {
		i := c.Alloc()
		if i == 0 {
			return false
		}
		m := c.pool.Meta(i)
		m.Data = 0
		n := copy(c.pool.Frame(i), data)
		m.SegLen = uint16(n)
		data = data[n:]
		c.pool.Meta(last).Next = i
		last = i
	}
	return true
}

// Clone copies packet i with its metadata, 0 when the memory is exhausted.
func (c *Cache) Clone(i Index) Index {
	p := c.pool
	first := c.cloneFrame(i)
	if first == 0 {
		return 0
	}
	if m := p.Meta(first); m.Cold != 0 {
		*p.Cold(first) = *p.Cold(i)
	}
	last := first
	for next := p.Meta(i).Next; next != 0; next = p.Meta(next).Next {
		j := c.cloneFrame(next)
		if j == 0 {
			c.Free(first)
			return 0
		}
		p.Meta(last).Next = j
		last = j
	}
	return first
}

func (c *Cache) cloneFrame(i Index) Index {
	j := c.Alloc()
	if j == 0 {
		return 0
	}
	m := c.pool.Meta(j)
	*m = *c.pool.Meta(i)
	m.Next = 0
	copy(c.pool.Data(j), c.pool.Data(i))
	return j
}

// AppendBytes appends the whole packet to dst.
func (p *Pool) AppendBytes(dst []byte, i Index) []byte {
	for ; i != 0; i = p.Meta(i).Next {
		dst = append(dst, p.Data(i)...)
	}
	return dst
}

// PushHead makes room for n bytes in front of the packet's data, moving the
// offsets of the layers; the new bytes are undefined.  It fails when the first
// frame has no room.
func (p *Pool) PushHead(i Index, n int) bool {
	m := p.Meta(i)
	if n > int(m.Data) && !p.shiftTail(i, n) {
		return false
	}
	m.Data -= uint16(n)
	m.SegLen += uint16(n)
	m.Len += uint32(n)
	m.moveLayers(n)
	return true
}

// shiftTail moves the first frame's bytes to its end to make headroom.
func (p *Pool) shiftTail(i Index, n int) bool {
	m := p.Meta(i)
	if int(m.SegLen)+n > FrameSize {
		return false
	}
	f := p.Frame(i)
	start := FrameSize - int(m.SegLen)
	copy(f[start:], p.Data(i))
	m.Data = uint16(start)
	return true
}

// PullHead removes n bytes from the front of the packet, which must lie in the
// first frame.  Layers that they held are gone.
func (p *Pool) PullHead(i Index, n int) bool {
	m := p.Meta(i)
	if n > int(m.SegLen) {
		return false
	}
	m.Data += uint16(n)
	m.SegLen -= uint16(n)
	m.Len -= uint32(n)
	m.moveLayers(-n)
	return true
}

// moveLayers adds n to the offsets of the layers that exist.
func (m *Meta) moveLayers(n int) {
	for _, l := range [...]*uint16{&m.L25, &m.L3, &m.L4} {
		if *l == NoLayer {
			continue
		}
		if v := int(*l) + n; v >= 0 {
			*l = uint16(v)
		} else {
			*l = NoLayer
		}
	}
}

// Trim cuts packet i to n bytes; frames behind are freed.
func (c *Cache) Trim(i Index, n int) {
	p := c.pool
	m := p.Meta(i)
	if n >= int(m.Len) {
		return
	}
	m.Len = uint32(n)
	for f := i; f != 0; {
		fm := p.Meta(f)
		if n <= int(fm.SegLen) {
			fm.SegLen = uint16(n)
			c.Free(fm.Next)
			fm.Next = 0
			return
		}
		n -= int(fm.SegLen)
		f = fm.Next
	}
}

// Linearize brings a chain that fits in one frame into its first frame; it
// reports whether the packet is in one frame.
func (c *Cache) Linearize(i Index) bool {
	p := c.pool
	m := p.Meta(i)
	if m.Next == 0 {
		return true
	}
	if int(m.Len) > FrameSize {
		return false
	}
	f := p.Frame(i)
	if int(m.Data)+int(m.Len) > FrameSize {
		start := FrameSize - int(m.Len)
		copy(f[start:], p.Data(i))
		m.Data = uint16(start)
	}
	at := int(m.Data) + int(m.SegLen)
	for j := m.Next; j != 0; j = p.Meta(j).Next {
		at += copy(f[at:], p.Data(j))
	}
	c.Free(m.Next)
	m.Next = 0
	m.SegLen = uint16(m.Len)
	return true
}
