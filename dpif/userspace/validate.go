package userspace

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"sluice/dpif"
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

// subtables counts the classifiers and subtables of the threads.
func subtables(threads []*thread) (classifiers, tables int) {
	for _, t := range threads {
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
	_, tables := subtables(allThreads())
	validating, generic := 0, tables
	if lookups.validate.Load() {
		validating, generic = tables, 0
	}
	return fmt.Sprintf("Available dpcls implementations:\n  autovalidator (Use count: %d, Priority: %d)\n"+
		"  generic (Use count: %d, Priority: %d)\n", validating, lookups.autovalidator, generic, lookups.generic), nil
}

// leadingNumber is the number that s begins with, 0 when it begins with none; ok is
// false when it is negative or has no end.
func leadingNumber(s string) (n uint64, ok bool) {
	end := strings.IndexFunc(s, func(c rune) bool { return c < '0' || c > '9' })
	if end < 0 {
		end = len(s)
	}
	if end == 0 {
		return 0, !strings.HasPrefix(s, "-")
	}
	n, err := strconv.ParseUint(s[:end], 10, 32)
	return n, err == nil
}

// SubtableLookupSet is dpif-netdev/subtable-lookup-prio-set.
func SubtableLookupSet(args []string) (string, error) {
	prio, ok := leadingNumber(args[1])
	if !ok || prio > 255 {
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
		// As stock, which does not count the control loop's.
		classifiers, tables = subtables(slices.DeleteFunc(allThreads(), func(t *thread) bool { return t.core == dpif.PMDNone }))
	}
	return fmt.Sprintf("Lookup priority change affected %d dpcls ports and %d subtables.\n", classifiers, tables), nil
}
