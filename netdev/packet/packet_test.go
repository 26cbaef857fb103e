package packet

import (
	"bytes"
	"testing"
)

func newTestPool(t testing.TB, frames int) *Pool {
	p, err := NewPool(frames)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func fill(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

func TestNewCloneTrim(t *testing.T) {
	p := newTestPool(t, 100)
	c := p.NewCache(8)
	for _, n := range []int{0, 1, 60, FrameSize - Headroom, FrameSize, 20000, 65535} {
		data := fill(n)
		i := c.New(data)
		if i == 0 || int(p.Meta(i).Len) != n || !bytes.Equal(p.AppendBytes(nil, i), data) {
			t.Fatalf("New of %d bytes: packet %d differs", n, i)
		}
		j := c.Clone(i)
		c.Free(i)
		if !bytes.Equal(p.AppendBytes(nil, j), data) {
			t.Errorf("Clone of %d bytes differs", n)
		}
		c.Trim(j, n/2)
		if !bytes.Equal(p.AppendBytes(nil, j), data[:n/2]) {
			t.Errorf("Trim of %d bytes to the half differs", n)
		}
		c.Free(j)
	}
	c.Close()
	if got := p.Available(); got != 99 {
		t.Errorf("%d of 99 frames are free at the end", got)
	}
}

func TestExhaustion(t *testing.T) {
	p := newTestPool(t, 5)
	c := p.NewCache(2)
	if i := c.New(fill(5 * FrameSize)); i != 0 {
		t.Fatalf("New made packet %d of more frames than there are", i)
	}
	got := map[Index]bool{}
	for i := c.Alloc(); i != 0; i = c.Alloc() {
		if got[i] {
			t.Fatalf("frame %d handed out twice", i)
		}
		got[i] = true
	}
	if len(got) != 4 || got[0] {
		t.Errorf("got %v, want frames 1 to 4", got)
	}
}

func TestHead(t *testing.T) {
	p := newTestPool(t, 10)
	c := p.NewCache(2)
	data := fill(100)
	i := c.New(data)
	m := p.Meta(i)
	m.L3, m.L4 = 14, 34
	if !p.PushHead(i, 300) || m.L3 != 314 || m.Len != 400 {
		t.Fatalf("PushHead: %+v", *m)
	}
	if !bytes.Equal(p.Data(i)[300:], data) {
		t.Error("PushHead lost bytes")
	}
	if !p.PullHead(i, 320) || m.L3 != NoLayer || m.L4 != 14 || m.Len != 80 {
		t.Errorf("PullHead: %+v", *m)
	}
	if p.PullHead(i, 81) {
		t.Error("PullHead took more than there is")
	}
	if p.PushHead(i, FrameSize) {
		t.Error("PushHead found more room than a frame has")
	}
}

func TestLinearize(t *testing.T) {
	p := newTestPool(t, 10)
	c := p.NewCache(2)
	data := fill(FrameSize - 10)
	i := c.New(data)
	if p.Meta(i).Next == 0 || !c.Linearize(i) || p.Meta(i).Next != 0 {
		t.Fatal("not brought into one frame")
	}
	if !bytes.Equal(p.Data(i), data) {
		t.Error("bytes differ")
	}
	if c.Linearize(c.New(fill(FrameSize + 1))) {
		t.Error("a packet longer than a frame fits in one")
	}
}

func TestAllocFreeAllocatesNothing(t *testing.T) {
	p := newTestPool(t, 1000)
	c := p.NewCache(64)
	if n := testing.AllocsPerRun(100, func() { c.Free(c.Alloc()) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
