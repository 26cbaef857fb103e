package table

import (
	"unsafe"

	"sluice/ofproto/classifier"
)

// fromClassifier returns the Rule that embeds r.  Every classifier rule in a Set is
// the first member of a Rule.
func fromClassifier(r *classifier.Rule) *Rule { return (*Rule)(unsafe.Pointer(r)) }

var _ = [1]int{}[unsafe.Offsetof(Rule{}.Rule)]
