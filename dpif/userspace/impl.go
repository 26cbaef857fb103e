package userspace

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/dpif"
)

// Commands that choose between implementations, of which there is one each here.  (For
// the classifier see validate.go.)

// DPIFImplGet is dpif-netdev/dpif-impl-get: there is one implementation.
func DPIFImplGet([]string) (string, error) {
	return "Available DPIF implementations:\n  dpif_scalar (pmds: " + cores() + ")\n", nil
}

// DPIFImplSet is dpif-netdev/dpif-impl-set.
func DPIFImplSet(args []string) (string, error) {
	if args[0] != "dpif_scalar" {
		return "", fmt.Errorf("DPIF implementation not available: Unknown DPIF implementation %s.\n", args[0])
	}
	return "DPIF implementation set to dpif_scalar.\n", nil
}

// MiniflowParserGet is dpif-netdev/miniflow-parser-get: there is one parser.
func MiniflowParserGet([]string) (string, error) {
	return "Available MFEX implementations:\n  scalar (available: True pmds: " + cores() + ")\n", nil
}

// MiniflowParserSet is dpif-netdev/miniflow-parser-set [-pmd CORE] NAME [COUNT].  COUNT
// belongs to stock's "study", which measures the others.
func MiniflowParserSet(args []string) (string, error) {
	core, filtered := 0, false
	if args[0] == "-pmd" {
		if len(args) < 2 {
			return "", fmt.Errorf("Error: -pmd option requires a thread id argument.\n")
		}
		// The highest number is that of the control loop's thread.
		n, ok := number(args[1])
		if core, filtered = int(n), true; !ok || n == 1<<32-1 {
			return "", fmt.Errorf("Error: miniflow extract parser not changed, PMD thread passed is not valid: '%s'. "+
				"Pass a valid pmd thread ID.\n", args[1])
		}
		args = args[2:]
	}
	switch {
	case len(args) == 0:
		return "", fmt.Errorf("Error: no miniflow extract name provided. Output of miniflow-parser-get shows implementation list.\n")
	case len(args) > 1:
		return "", fmt.Errorf("Error: unknown argument %s.\n", args[1])
	case args[0] != "scalar":
		return "", fmt.Errorf("Error: unknown miniflow extract implementation %s.\n", args[0])
	}
	if filtered && !slices.ContainsFunc(allThreads(), func(t *thread) bool { return t.core == core }) {
		return "", fmt.Errorf("Error: miniflow extract parser not changed, PMD thread %d not in use, pass a valid pmd thread ID.\n", core)
	}
	if filtered {
		return fmt.Sprintf("Miniflow extract implementation set to scalar, on pmd thread %d.\n", core), nil
	}
	return "Miniflow extract implementation set to scalar.\n", nil
}

// cores lists the cores of all polling threads.
func cores() string {
	var list []string
	for _, t := range allThreads() {
		if t.core != dpif.PMDNone {
			list = append(list, strconv.Itoa(t.core))
		}
	}
	if len(list) == 0 {
		return "none"
	}
	return strings.Join(list, ",")
}
