package netdev

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/poll"
)

// fake is a device without anything.
type fake struct {
	Base
	runs int
}

func (f *fake) Close(bool) error       { f.Release(); return nil }
func (f *fake) RxQueues() []RxQueue    { return nil }
func (f *fake) TxQueues() []TxQueue    { return nil }
func (f *fake) EtherAddr() MAC         { return MAC{} }
func (f *fake) SetEtherAddr(MAC) error { return nil }
func (f *fake) MTU() int               { return 0 }
func (f *fake) SetMTU(int) error       { return nil }
func (f *fake) Ifindex() int           { return 0 }
func (f *fake) Carrier() bool          { return true }
func (f *fake) AdminUp() bool          { return true }
func (f *fake) SetAdminUp(bool) error  { return nil }
func (f *fake) Stats() Stats           { return NoStats() }
func (f *fake) Run(int64)              { f.runs++ }
func (f *fake) Wait(s *poll.Set)       { s.Timer(7) }

func fakeClass(typ string) Class {
	return Class{Type: typ, Open: func(name string) (Device, error) {
		if name == "broken" {
			return nil, unix.ENODEV
		}
		f := &fake{}
		f.Init(name, typ)
		return f, nil
	}}
}

func open(t *testing.T, name, typ string) *fake {
	t.Helper()
	d, err := Open(name, typ)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close(false) })
	return d.(*fake)
}

func TestRegistry(t *testing.T) {
	Register(fakeClass("zoo"))
	Register(fakeClass("system"))
	Register(Class{Type: "zoo"}) // ignored
	if got := Types(); !slices.Equal(got, []string{"system", "zoo"}) {
		t.Errorf("types %v", got)
	}
	b, a := open(t, "b", ""), open(t, "a", "zoo")
	if b.Type() != "system" || a.Type() != "zoo" {
		t.Errorf("types %s and %s", b.Type(), a.Type())
	}
	if got := Devices(); len(got) != 2 || got[0] != Device(a) || got[1] != Device(b) {
		t.Errorf("devices %v", got)
	}
	for _, tc := range []struct {
		name, typ string
		want      error
	}{
		{"a", "zoo", unix.EEXIST},
		{"", "zoo", unix.EINVAL},
		{"c", "nothing", unix.EAFNOSUPPORT},
		{"broken", "zoo", unix.ENODEV},
	} {
		if _, err := Open(tc.name, tc.typ); !errors.Is(err, tc.want) {
			t.Errorf("open %q of type %q: %v, want %v", tc.name, tc.typ, err, tc.want)
		}
	}
	a.Close(false)
	if _, ok := ByName("a"); ok {
		t.Error("a closed device is found")
	}
	again := open(t, "a", "zoo")
	// A late Close of the old device must not hide the new one.
	a.Close(false)
	if d, ok := ByName("a"); !ok || d != Device(again) {
		t.Error("the new device is hidden")
	}
}

func TestOverride(t *testing.T) {
	Override(fakeClass("over"))
	Override(Class{Type: "over", Virtual: true})
	if c, ok := ClassOf("over"); !ok || !c.Virtual {
		t.Error("not replaced")
	}
	registry.mu.Lock()
	delete(registry.classes, "over")
	registry.mu.Unlock()
}

func TestRunAndWait(t *testing.T) {
	Override(fakeClass("zoo"))
	var order []int64
	OnRun(func(now int64) { order = append(order, now) }, func(s *poll.Set) { s.Timer(3) })
	defer func() { hooks = nil }()
	d := open(t, "r", "zoo")
	Run(42)
	if len(order) != 1 || order[0] != 42 || d.runs != 1 {
		t.Errorf("hook ran at %v, device %d times", order, d.runs)
	}
	var s poll.Set
	Wait(&s)
	if at, ok := s.Deadline(); !ok || at != 3 {
		t.Errorf("deadline %d, %v", at, ok)
	}
}

func TestConfigErrorText(t *testing.T) {
	err := NewConfigError("%s: bad", "p0")
	if errno.Text(err) != "p0: bad" || !errors.Is(err, unix.EINVAL) {
		t.Errorf("%q, %v", errno.Text(err), err)
	}
}

func TestChangeSeq(t *testing.T) {
	var f fake
	before := f.ChangeSeq()
	f.Changed()
	if f.ChangeSeq() == before {
		t.Error("no change seen")
	}
}
