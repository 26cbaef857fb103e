package dpctl

import (
	"testing"

	"sluice/dpif"
)

func TestDumpTypes(t *testing.T) {
	flows := []*dpif.Flow{{DPLayer: "ovs"}, {DPLayer: "ovs", Offloaded: true}, {DPLayer: "tc", Offloaded: true}}
	for _, c := range []struct {
		types string
		want  [3]bool
	}{
		{"", [3]bool{true, true, true}},
		{"all", [3]bool{true, true, true}},
		{"ovs", [3]bool{true, true, false}},
		{"tc", [3]bool{false, false, true}},
		{"dpdk", [3]bool{}},
		{"offloaded", [3]bool{false, false, true}},
		{"partially-offloaded", [3]bool{false, true, false}},
		{"non-offloaded", [3]bool{true, false, false}},
		{"tc,non-offloaded", [3]bool{true, false, true}},
	} {
		var a dumpArgs
		if err := (&call{}).types(&a, c.types); err != nil {
			t.Errorf("type=%s: %v", c.types, err)
		}
		for i, f := range flows {
			if got := a.wants(f); got != c.want[i] {
				t.Errorf("type=%s: flow %d shown: %v", c.types, i, got)
			}
		}
	}
}
