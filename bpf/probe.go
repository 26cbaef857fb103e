package bpf

import (
	"os"
	"strings"
	"sync"
)

// Feature names something that a kernel may lack.  The code that uses a feature
// tries it and falls back when the kernel refuses.
type Feature string

// Features that the switch can do without.
const (
	VLANKfunc   Feature = "vlan-kfunc"   // rx VLAN tag in XDP programs, 6.8
	NativeXDP   Feature = "native"       // XDP in the driver
	ZeroCopy    Feature = "zerocopy"     // AF_XDP zero copy in the driver
	SharedUMEM  Feature = "shared-umem"  // one UMEM for several devices, 5.10
	NeedWakeup  Feature = "need-wakeup"  // XDP_USE_NEED_WAKEUP, 5.4
	TxBudget    Feature = "tx-budget"    // XDP_MAX_TX_SKB_BUDGET, 6.17
	TxMetadata  Feature = "tx-metadata"  // transmit metadata: checksum, 6.8
	MultiBuffer Feature = "multi-buffer" // XDP_USE_SG, 6.6
	TCX         Feature = "tcx"          // programs at TC by BPF links, 6.6
)

// disableEnv lists features, comma-separated, that are treated as missing: a
// knob for tests, which proves each fallback on a kernel that has everything.
const disableEnv = "SLUICE_TEST_MISSING_FEATURES"

var missing struct {
	once sync.Once
	mu   sync.Mutex
	set  map[Feature]bool
}

// Missing reports that a feature must be treated as missing.
func Missing(f Feature) bool {
	missing.once.Do(func() { setMissing(parseFeatures(os.Getenv(disableEnv))) })
	missing.mu.Lock()
	defer missing.mu.Unlock()
	return missing.set[f]
}

// SetMissing replaces the set of features that are treated as missing, for tests.
func SetMissing(features ...Feature) {
	missing.once.Do(func() {})
	setMissing(features)
}

func setMissing(features []Feature) {
	missing.mu.Lock()
	defer missing.mu.Unlock()
	missing.set = map[Feature]bool{}
	for _, f := range features {
		missing.set[f] = true
	}
}

func parseFeatures(list string) []Feature {
	var fs []Feature
	for _, f := range strings.Split(list, ",") {
		if f = strings.TrimSpace(f); f != "" {
			fs = append(fs, Feature(f))
		}
	}
	return fs
}
