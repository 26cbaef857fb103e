package userspace

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"

	"sluice/dpif/dpcls"
	"sluice/dpif/flow"
	"sluice/internal/vlog"
)

// Lookup functions of the megaflow classifier, under stock's names: "generic", and
// "autovalidator", which compares what generic finds with a search of all flows.
// The one with the higher priority is used.
var lookups = struct {
	autovalidator, generic uint8
	// validate is autovalidator > generic, for all threads.
	validate atomic.Bool
}{autovalidator: 0, generic: 1}

var rlValidate = vlog.NewLimiter(1, 5)

// validate checks the classifier's answer for a packet against all flows of the
// thread.
func (t *flowTable) validate(k *flow.Mini, slot uint32, found bool) {
	if found {
		if !t.matches(slot, k) {
			log.ErrRL(rlValidate, "Autovalidation: flow %d was found but does not match", slot)
		}
		return
	}
	for at := t.first; at != 0; at = t.cold[at-1].next {
		if f := &t.cold[at-1]; dpcls.Match(k, &f.key, f.mask) {
			log.ErrRL(rlValidate, "Autovalidation: flow %d matches but was not found", at-1)
			return
		}
	}
}

// subtables counts the classifiers and subtables of all polling threads.
func subtables() (classifiers, tables int) {
	for _, t := range allThreads() {
		t.do(func() {
			classifiers += len(t.flows.cls)
			for _, c := range t.flows.cls {
				tables += c.Subtables()
			}
		})
	}
	return classifiers, tables
}

// SubtableLookupShow is dpif-netdev/subtable-lookup-info-get (and -prio-get).
func SubtableLookupShow([]string) (string, error) {
	_, tables := subtables()
	validating, generic := 0, tables
	if lookups.validate.Load() {
		validating, generic = tables, 0
	}
	return fmt.Sprintf("Available dpcls implementations:\n  autovalidator (Use count: %d, Priority: %d)\n"+
		"  generic (Use count: %d, Priority: %d)\n", validating, lookups.autovalidator, generic, lookups.generic), nil
}

// SubtableLookupSet is dpif-netdev/subtable-lookup-prio-set.
func SubtableLookupSet(args []string) (string, error) {
	prio, err := strconv.ParseUint(args[1], 10, 8)
	if err != nil {
		return "", errors.New("error converting priority, use integer in range 0-255\n")
	}
	switch args[0] {
	case "autovalidator":
		lookups.autovalidator = uint8(prio)
	case "generic":
		lookups.generic = uint8(prio)
	default:
		return "", errors.New("error, subtable lookup function not found\n")
	}
	classifiers, tables := 0, 0
	if on := lookups.autovalidator > lookups.generic; lookups.validate.Swap(on) != on {
		classifiers, tables = subtables()
	}
	return fmt.Sprintf("Lookup priority change affected %d dpcls ports and %d subtables.\n", classifiers, tables), nil
}
