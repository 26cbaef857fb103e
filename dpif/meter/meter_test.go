package meter

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/dpif"
	"sluice/netdev/packet"
)

func run(tb *Table, now int64, sizes ...uint32) (dropped []bool) {
	var out [packet.BatchSize]Verdict
	tb.Run(1, sizes, now, &out)
	for i := range sizes {
		dropped = append(dropped, out[i].Drop)
	}
	return dropped
}

func TestPacketRate(t *testing.T) {
	var tb Table
	cfg := dpif.MeterConfig{Flags: flagPktps | flagBurst, Bands: []dpif.MeterBand{{Type: 1, Rate: 1, Burst: 2}}}
	if err := tb.Set(1, cfg, 0); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		now  int64
		want []bool
	}{
		{0, []bool{false, false, true}}, // the burst
		{999, []bool{true}},
		{1000, []bool{false, true}},
		{60000, []bool{false, false, true}}, // never more than the burst
	} {
		if got := run(&tb, tc.now, make([]uint32, len(tc.want))...); !slices.Equal(got, tc.want) {
			t.Errorf("at %d ms dropped %v, want %v", tc.now, got, tc.want)
		}
	}
	s, err := tb.Del(1)
	if err != nil || s.Packets != 9 || s.BandPackets[0] != 4 {
		t.Errorf("counters %+v, %v", s, err)
	}
	if _, err := tb.Get(1); err != unix.ENOENT {
		t.Errorf("a deleted meter: %v", err)
	}
	if got := run(&tb, 1, 5); got[0] {
		t.Error("a meter that does not exist drops")
	}
}

func TestByteRateAndHighestBand(t *testing.T) {
	var tb Table
	err := tb.Set(1, dpif.MeterConfig{Flags: flagKbps, Bands: []dpif.MeterBand{
		{Type: 1, Rate: 8}, {Type: 2, Rate: 16, PrecLevel: 1},
	}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out [packet.BatchSize]Verdict
	tb.Run(1, []uint32{1000, 1000, 1000}, 0, &out)
	want := []Verdict{{}, {Drop: true}, {Remark: 1}}
	if !slices.Equal(out[:3], want) {
		t.Errorf("got %v, want %v", out[:3], want)
	}
}

func TestErrors(t *testing.T) {
	var tb Table
	for _, tc := range []struct {
		id   uint32
		cfg  dpif.MeterConfig
		want error
	}{
		{MaxMeters, dpif.MeterConfig{}, unix.EFBIG},
		{1, dpif.MeterConfig{Flags: 1 << 9}, unix.EBADF},
		{1, dpif.MeterConfig{Bands: make([]dpif.MeterBand, 9)}, unix.EINVAL},
		{1, dpif.MeterConfig{Bands: []dpif.MeterBand{{Type: 9}}}, unix.ENODEV},
	} {
		if err := tb.Set(tc.id, tc.cfg, 0); err != tc.want {
			t.Errorf("%+v: %v, want %v", tc.cfg, err, tc.want)
		}
	}
}
