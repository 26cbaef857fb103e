package ofp

import (
	"math/bits"

	"sluice/ofproto/ofp/action"
)

// ActionSet is a set of kinds of action, as features of switches, tables and
// groups list them: bit N stands for action.Kind N.
type ActionSet uint64

// Has reports whether kind k is in the set.
func (s ActionSet) Has(k action.Kind) bool { return s&(1<<k) != 0 }

// InstructionSet is a set of kinds of instruction.
type InstructionSet uint32

// The kinds of instruction.
const (
	InstApplyActions InstructionSet = 1 << iota
	InstClearActions
	InstWriteActions
	InstWriteMetadata
	InstMeter
	InstGotoTable
)

// FieldSet is a set of match fields, by the numbers that package field gives them.
type FieldSet [4]uint64

// Has reports whether field number id is in the set.
func (s *FieldSet) Has(id int) bool { return id >= 0 && id < 256 && s[id/64]&(1<<(id%64)) != 0 }

// Add puts field number id into the set.
func (s *FieldSet) Add(id int) { s[id/64] |= 1 << (id % 64) }

// Empty reports whether the set has no field.
func (s *FieldSet) Empty() bool { return *s == FieldSet{} }

// Each calls f for each field number in the set, in rising order.
func (s *FieldSet) Each(f func(id int)) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			f(i*64 + bits.TrailingZeros64(w))
		}
	}
}

// TableSet is a set of flow tables.
type TableSet [4]uint64

// Has reports whether table id is in the set.
func (s *TableSet) Has(id uint8) bool { return s[id/64]&(1<<(id%64)) != 0 }

// Add puts table id into the set.
func (s *TableSet) Add(id uint8) { s[id/64] |= 1 << (id % 64) }
