package bpf

import (
	"errors"
	"net"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/tests/testkit/nstest"
)

func TestMain(m *testing.M) {
	// The knob is read once, by whoever asks first.
	os.Setenv(disableEnv, "zerocopy")
	if !Missing(ZeroCopy) || Missing(NativeXDP) {
		panic("the knob has no effect")
	}
	SetMissing()
	nstest.Main(m)
}

func ifindex(t *testing.T, name string) int {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	return i.Index
}

func TestRedirect(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    RedirectOptions
		miss []Feature
	}{
		{"native", RedirectOptions{Mode: Native}, nil},
		{"native without tags", RedirectOptions{Mode: Native}, []Feature{VLANKfunc}},
		{"native multi-buffer", RedirectOptions{Mode: Native, MultiBuf: true}, nil},
		{"generic", RedirectOptions{Mode: Generic}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			SetMissing(tc.miss...)
			defer SetMissing()
			nstest.Veth(t, "bp0", nil, "bp1")
			o := tc.o
			o.Ifindex, o.Queues = ifindex(t, "bp0"), 4
			r, err := NewRedirect(o)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("keeps tags: %v", r.KeepsTag)
			if r.KeepsTag && (tc.miss != nil || o.Mode == Generic) {
				t.Error("tags kept without the kernel's help")
			}
			for _, mode := range []Mode{Native, Generic} {
				if _, err := NewRedirect(RedirectOptions{Ifindex: o.Ifindex, Queues: 1, Mode: mode}); !errors.Is(err, unix.EBUSY) {
					t.Errorf("second program in %s mode: %v", mode, err)
				}
			}
			if err := r.SetSocket(9, 0); err == nil {
				t.Error("queue 9 of 4 accepted")
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if r, err = NewRedirect(o); err != nil {
				t.Errorf("after Close: %v", err)
			} else if err := r.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParseFeatures(t *testing.T) {
	got := parseFeatures(" tx-budget,,native ")
	if len(got) != 2 || got[0] != TxBudget || got[1] != NativeXDP {
		t.Errorf("features %v", got)
	}
}
