package data

import (
	"sort"

	"sluice/ovsdb/json"
)

// Function is what a clause compares with.
type Function uint8

// The functions, in the order in which clauses are evaluated.
const (
	EQ Function = iota
	LT
	LE
	GT
	GE
	NE
	EXCLUDES
	INCLUDES
	// ALWAYS and NEVER stand for the clauses true and false.
	ALWAYS
	NEVER
)

var functionNames = [...]string{"==", "<", "<=", ">", ">=", "!=", "excludes", "includes", "true", "false"}

// String gives the function's name in conditions.
func (f Function) String() string { return functionNames[f] }

// Clause is one <condition>.
type Clause struct {
	// Column is what is compared (nil for ALWAYS and NEVER).
	Column *Column
	// Function is how.
	Function Function
	// Arg is what with.
	Arg *Datum
}

// Row gives the values of a row by column.
type Row interface {
	// Get returns the value of the column with the given index.
	Get(column int) *Datum
}

// ParseClauses reads an array of conditions for table t.
func ParseClauses(v *json.Value, t *TableSchema, syms Symbols) ([]Clause, *Error) {
	out := make([]Clause, v.Len())
	for i := range v.List() {
		var err *Error
		if out[i], err = parseClause(&v.List()[i], t, syms); err != nil {
			return nil, err
		}
	}
	if len(out) > 1 {
		sort.SliceStable(out, func(i, j int) bool { return out[i].Function < out[j].Function })
	}
	return out, nil
}

func parseClause(v *json.Value, t *TableSchema, syms Symbols) (Clause, *Error) {
	switch v.Kind() {
	case json.True:
		return Clause{Function: ALWAYS}, nil
	case json.False:
		return Clause{Function: NEVER}, nil
	}
	l := v.List()
	if len(l) != 3 || l[0].Kind() != json.String || l[1].Kind() != json.String {
		return Clause{}, SyntaxErrorf(v, "", "Parse error in condition.")
	}
	c := Clause{Column: t.Column(l[0].Str())}
	if c.Column == nil {
		return c, SyntaxErrorf(v, "unknown column", "No column %s in table %s.", l[0].Str(), t.Name)
	}
	for c.Function = EQ; c.Function.String() != l[1].Str(); c.Function++ {
		if c.Function == INCLUDES {
			return c, Errorf("unknown function", "No function named %s.", l[1].Str())
		}
	}
	typ := c.Column.Type
	switch c.Function {
	case LT, LE, GT, GE:
		if !typ.IsScalar() && !typ.IsOptional() || typ.Key.Type != Integer && typ.Key.Type != Real {
			return c, SyntaxErrorf(v, "", `Type mismatch: "%s" operator may not be applied to column %s of type %s.`,
				c.Function, c.Column.Name, typ.English())
		}
		typ.Min = 1
	case EXCLUDES:
		if !typ.IsScalar() {
			typ.Min, typ.Max = 0, Unlimited
		}
	case INCLUDES:
		if !typ.IsScalar() {
			typ.Min = 0
		}
	}
	var err *Error
	c.Arg, err = ParseDatum(&l[2], &typ, syms)
	return c, err
}

// Match evaluates the clause for a row.
func (c *Clause) Match(r Row) bool {
	switch c.Function {
	case ALWAYS:
		return true
	case NEVER:
		return false
	}
	return c.MatchDatum(r.Get(c.Column.Index))
}

// MatchDatum evaluates the clause for the value of its column.
func (c *Clause) MatchDatum(d *Datum) bool {
	t := &c.Column.Type
	switch c.Function {
	case EQ:
		return Equal(t, d, c.Arg)
	case NE:
		return !Equal(t, d, c.Arg)
	case INCLUDES:
		return IncludesAll(t, d, c.Arg)
	case EXCLUDES:
		return ExcludesAll(t, d, c.Arg)
	case ALWAYS:
		return true
	case NEVER:
		return false
	}
	if d.n == 0 {
		return false
	}
	switch r := d.Key(0).Compare(t.Key.Type, c.Arg.Key(0)); c.Function {
	case LT:
		return r < 0
	case LE:
		return r <= 0
	case GT:
		return r > 0
	default:
		return r >= 0
	}
}

// MatchAll tells whether every clause matches, as "where" of operations wants it.
func MatchAll(cs []Clause, r Row) bool {
	for i := range cs {
		if !cs[i].Match(r) {
			return false
		}
	}
	return true
}

// MatchAny tells whether one clause matches, as "where" of monitors wants it.
func MatchAny(cs []Clause, r Row) bool {
	for i := range cs {
		if cs[i].Match(r) {
			return true
		}
	}
	return false
}
