// Package json reads and writes the JSON dialect of OVSDB: 64-bit integers
// stay exact, objects are sets of members (the last of two equal names wins)
// that always print in sorted order, and output has no white space.
//
// It is used by everything under ovsdb/. It does no framing of streams (that
// is ovsdb/jsonrpc) and no mapping to Go structs.
package json

import "sort"

// Kind is the type of a Value.
type Kind uint8

// The kinds of JSON values; true and false are kinds of their own.
const (
	Null Kind = iota
	False
	True
	Object
	Array
	Integer
	Real
	String
)

var kindNames = [...]string{"null", "false", "true", "object", "array", "number", "number", "string"}

// String gives the word that OVSDB's error messages use for the kind.
func (k Kind) String() string { return kindNames[k] }

// Value is one JSON value. The zero Value is null. Values are not changed
// after they have been built, so they may be shared.
type Value struct {
	kind  Kind
	num   uint64    // Integer: the int64; Real: the float64's bits
	str   string    // String
	list  []Value   // Array: elements; Object: the members' values
	names *[]string // Object: the members' names, sorted
}

// Kind tells the value's type.
func (v *Value) Kind() Kind { return v.kind }

// IsBool tells whether v is true or false.
func (v *Value) IsBool() bool { return v.kind == True || v.kind == False }

// Int returns the value of an Integer.
func (v *Value) Int() int64 { return int64(v.num) }

// Str returns the text of a String ("" for other kinds).
func (v *Value) Str() string { return v.str }

// List returns the elements of an Array (nil for other kinds).
func (v *Value) List() []Value {
	if v.kind != Array {
		return nil
	}
	return v.list
}

// Len is the number of elements or members.
func (v *Value) Len() int { return len(v.list) }

// Member returns the i'th member of an Object, in order of names.
func (v *Value) Member(i int) (string, *Value) { return (*v.names)[i], &v.list[i] }

// Get returns the member called name, or nil.
func (v *Value) Get(name string) *Value {
	if v.kind != Object || v.names == nil {
		return nil
	}
	names := *v.names
	if len(names) <= 8 {
		for i := range names {
			if names[i] == name {
				return &v.list[i]
			}
		}
		return nil
	}
	i := sort.SearchStrings(names, name)
	if i < len(names) && names[i] == name {
		return &v.list[i]
	}
	return nil
}

// Index returns the position of the member called name, or -1.
func (v *Value) Index(name string) int {
	if v.kind != Object || v.names == nil {
		return -1
	}
	i := sort.SearchStrings(*v.names, name)
	if i < len(*v.names) && (*v.names)[i] == name {
		return i
	}
	return -1
}

// NewString makes a String.
func NewString(s string) Value { return Value{kind: String, str: s} }

// NewInt makes an Integer.
func NewInt(i int64) Value { return Value{kind: Integer, num: uint64(i)} }

// NewBool makes True or False.
func NewBool(b bool) Value {
	if b {
		return Value{kind: True}
	}
	return Value{kind: False}
}

// NewArray makes an Array of the given elements.
func NewArray(elems ...Value) Value { return Value{kind: Array, list: elems} }

// NewObject makes an Object; of two equal names the last one counts.
func NewObject(members ...Pair) Value {
	ms := append([]Pair(nil), members...)
	return objectOf(ms)
}

// Pair is one member of an Object under construction.
type Pair struct {
	// Name is the member's name.
	Name string
	// Value is the member's value.
	Value Value
}

// objectOf sorts members (stably), drops all but the last of equal names and
// builds the Object.
func objectOf(ms []Pair) Value {
	sorted := true
	for i := 1; i < len(ms); i++ {
		if ms[i-1].Name >= ms[i].Name {
			sorted = false
			break
		}
	}
	if !sorted {
		if len(ms) <= 16 {
			insertionSort(ms)
		} else {
			sort.SliceStable(ms, func(i, j int) bool { return ms[i].Name < ms[j].Name })
		}
	}
	names := make([]string, 0, len(ms))
	list := make([]Value, 0, len(ms))
	for i := range ms {
		if i+1 < len(ms) && ms[i+1].Name == ms[i].Name {
			continue
		}
		names = append(names, ms[i].Name)
		list = append(list, ms[i].Value)
	}
	return Value{kind: Object, list: list, names: &names}
}

func insertionSort(ms []Pair) {
	for i := 1; i < len(ms); i++ {
		for j := i; j > 0 && ms[j].Name < ms[j-1].Name; j-- {
			ms[j], ms[j-1] = ms[j-1], ms[j]
		}
	}
}

// Equal tells whether two values are the same, whatever the order of members.
func Equal(a, b *Value) bool {
	if a.kind != b.kind || a.num != b.num || a.str != b.str || len(a.list) != len(b.list) {
		return false
	}
	for i := range a.list {
		if a.kind == Object && (*a.names)[i] != (*b.names)[i] {
			return false
		}
		if !Equal(&a.list[i], &b.list[i]) {
			return false
		}
	}
	return true
}
