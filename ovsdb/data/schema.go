package data

import (
	"strconv"
	"strings"

	"sluice/ovsdb/json"
)

// The columns that every table has.
const (
	ColUUID    = 0
	ColVersion = 1
	NumStd     = 2
)

// Schema is a <database-schema>. It is not changed after parsing.
type Schema struct {
	// Name, Version and Cksum are the members of these names.
	Name, Version, Cksum string
	// Tables holds the tables in order of names.
	Tables []*TableSchema
	byName map[string]*TableSchema
}

// TableSchema describes one table.
type TableSchema struct {
	// Name is the table's name.
	Name string
	// Index is the table's place in Schema.Tables.
	Index int
	// Mutable is the obsolete "mutable" member.
	Mutable bool
	// MaxRows is the largest number of rows, Unlimited if there is none.
	MaxRows uint32
	// IsRoot tells that rows live without being referred to.
	IsRoot bool
	// Columns holds _uuid, _version, then the others in order of names.
	Columns []*Column
	// Indexes lists the sets of columns that must be unique together.
	Indexes [][]*Column
	byName  map[string]*Column
}

// Column describes one column.
type Column struct {
	// Name is the column's name.
	Name string
	// Index is the column's place in TableSchema.Columns.
	Index int
	// Mutable tells that the column may change after the row's insertion.
	Mutable bool
	// Persistent tells that the column goes into the file.
	Persistent bool
	// Indexed tells that an index of the table has the column.
	Indexed bool
	// Type is the type of the column's values.
	Type Type
	// Default is the value that nobody has set.
	Default *Datum
}

// Table returns the table called name, or nil.
func (s *Schema) Table(name string) *TableSchema { return s.byName[name] }

// Column returns the column called name, or nil.
func (t *TableSchema) Column(name string) *Column { return t.byName[name] }

// HasRefs tells whether the column holds strong or weak references.
func (c *Column) HasRefs() bool { return c.Type.Key.RefTable != "" || c.Type.Value.RefTable != "" }

// ParseSchemaText reads a schema from its JSON text.
func ParseSchemaText(text string) (*Schema, *Error) {
	v, err := json.Parse(text)
	if err != nil {
		return nil, Errorf("syntax error", "schema is not valid JSON (%v)", err)
	}
	return ParseSchema(&v)
}

// ParseSchema reads a <database-schema>.
func ParseSchema(v *json.Value) (*Schema, *Error) {
	p := NewParser(v, "database schema")
	name := p.Member("name", AcceptID)
	version := p.Member("version", AcceptString|Optional)
	cksum := p.Member("cksum", AcceptString|Optional)
	tables := p.Member("tables", AcceptObject)
	if err := p.Finish(); err != nil {
		return nil, err
	}
	s := &Schema{Name: strings.Clone(name.Str()), byName: map[string]*TableSchema{}}
	if version != nil {
		if !ValidVersion(version.Str()) {
			return nil, SyntaxErrorf(v, "", `schema version "%s" not in format x.y.z`, version.Str())
		}
		s.Version = strings.Clone(version.Str())
	}
	if cksum != nil {
		s.Cksum = strings.Clone(cksum.Str())
	}
	for i := 0; i < tables.Len(); i++ {
		name, def := tables.Member(i)
		if err := checkName(v, name); err != nil {
			return nil, err
		}
		t, err := parseTable(strings.Clone(name), def)
		if err != nil {
			return nil, err
		}
		t.Index = len(s.Tables)
		s.Tables = append(s.Tables, t)
		s.byName[t.Name] = t
	}
	return s, s.finish()
}

// ValidVersion tells whether s has the form x.y.z.
func ValidVersion(s string) bool {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 10, 32); err != nil {
			return false
		}
	}
	return len(parts) == 3
}

func checkName(v *json.Value, name string) *Error {
	if name != "" && name[0] == '_' {
		return SyntaxErrorf(v, "", `names beginning with "_" are reserved`)
	}
	if !IsID(name) {
		return SyntaxErrorf(v, "", "name must be a valid id")
	}
	return nil
}

// finish does what needs all tables: the root set and references.
func (s *Schema) finish() *Error {
	if s.roots() == 0 {
		// Schemas from before garbage collection do not say isRoot.
		for _, t := range s.Tables {
			t.IsRoot = true
		}
	}
	for _, t := range s.Tables {
		for _, c := range t.Columns {
			if err := s.checkRef(c, &c.Type.Key, "key"); err != nil {
				return err
			}
			if err := s.checkRef(c, &c.Type.Value, "value"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Schema) roots() (n int) {
	for _, t := range s.Tables {
		n += b2i(t.IsRoot)
	}
	return n
}

func (s *Schema) checkRef(c *Column, b *BaseType, what string) *Error {
	if b.Type != UUIDType || b.RefTable == "" {
		return nil
	}
	to := s.byName[b.RefTable]
	if to == nil {
		return SyntaxErrorf(nil, "", "column %s %s refers to undefined table %s", c.Name, what, b.RefTable)
	}
	if b.IsStrong() && !to.IsRoot {
		// If the reference were not in the file, its target would be
		// collected when the file is read, and later records that mention
		// the target would fail.
		c.Persistent = true
	}
	return nil
}

func parseTable(name string, v *json.Value) (*TableSchema, *Error) {
	p := NewParser(v, "table schema for table %s", name)
	columns := p.Member("columns", AcceptObject)
	mutable := p.Member("mutable", AcceptBool|Optional)
	maxRows := p.Member("maxRows", AcceptInteger|Optional)
	isRoot := p.Member("isRoot", AcceptBool|Optional)
	indexes := p.Member("indexes", AcceptArray|Optional)
	if err := p.Finish(); err != nil {
		return nil, err
	}
	t := &TableSchema{Name: name, Mutable: mutable == nil || mutable.Kind() == json.True,
		MaxRows: Unlimited, IsRoot: isRoot != nil && isRoot.Kind() == json.True, byName: map[string]*Column{}}
	if maxRows != nil {
		if maxRows.Int() <= 0 {
			return nil, SyntaxErrorf(v, "", "maxRows must be at least 1")
		}
		t.MaxRows = uint32(min(maxRows.Int(), Unlimited))
	}
	if columns.Len() == 0 {
		return nil, SyntaxErrorf(v, "", "table must have at least one column")
	}
	t.add(&Column{Name: "_uuid", Persistent: true, Type: ScalarType(UUIDType)})
	t.add(&Column{Name: "_version", Persistent: false, Type: ScalarType(UUIDType)})
	for i := 0; i < columns.Len(); i++ {
		name, def := columns.Member(i)
		if err := checkName(v, name); err != nil {
			return nil, err
		}
		c, err := parseColumn(strings.Clone(name), def)
		if err != nil {
			return nil, err
		}
		t.add(c)
	}
	if indexes != nil {
		return t, t.parseIndexes(v, indexes)
	}
	return t, nil
}

func (t *TableSchema) add(c *Column) {
	c.Index = len(t.Columns)
	c.Default = Default(&c.Type)
	t.Columns = append(t.Columns, c)
	t.byName[c.Name] = c
}

func (t *TableSchema) parseIndexes(v, indexes *json.Value) *Error {
	for i := range indexes.List() {
		cols, err := ParseColumnSet(&indexes.List()[i], t)
		if err != nil {
			return err
		}
		if len(cols) == 0 {
			return SyntaxErrorf(v, "", "index must have at least one column")
		}
		for _, c := range cols {
			if !c.Persistent {
				return SyntaxErrorf(v, "", "ephemeral columns (such as %s) may not be indexed", c.Name)
			}
			c.Indexed = true
		}
		t.Indexes = append(t.Indexes, cols)
	}
	return nil
}

func parseColumn(name string, v *json.Value) (*Column, *Error) {
	p := NewParser(v, "schema for column %s", name)
	mutable := p.Member("mutable", AcceptBool|Optional)
	ephemeral := p.Member("ephemeral", AcceptBool|Optional)
	typ := p.Member("type", AcceptString|AcceptObject)
	if err := p.Finish(); err != nil {
		return nil, err
	}
	t, err := ParseType(typ)
	if err != nil {
		return nil, err
	}
	t.Key.RefTable, t.Value.RefTable = strings.Clone(t.Key.RefTable), strings.Clone(t.Value.RefTable)
	c := &Column{Name: name, Type: t,
		Mutable:    mutable == nil || mutable.Kind() == json.True,
		Persistent: ephemeral == nil || ephemeral.Kind() == json.False}
	if t.Key.IsWeak() || t.Value.IsWeak() {
		c.Mutable = true // it changes when the target goes
	}
	return c, nil
}

// ParseColumnSet reads an array of distinct column names; nil stands for all
// columns of the table.
func ParseColumnSet(v *json.Value, t *TableSchema) ([]*Column, *Error) {
	if v == nil {
		return t.Columns, nil
	}
	const wrong = "array of distinct column names expected"
	if v.Kind() != json.Array {
		return nil, SyntaxErrorf(v, "", wrong)
	}
	cols := make([]*Column, 0, v.Len())
	for i := range v.List() {
		e := &v.List()[i]
		if e.Kind() != json.String {
			return nil, SyntaxErrorf(v, "", wrong)
		}
		c := t.byName[e.Str()]
		if c == nil {
			return nil, SyntaxErrorf(v, "", "%s is not a valid column name", e.Str())
		}
		for _, d := range cols {
			if d == c {
				return nil, SyntaxErrorf(v, "", wrong)
			}
		}
		cols = append(cols, c)
	}
	return cols, nil
}

// JSON gives the <database-schema>.
func (s *Schema) JSON() json.Value {
	allRoot := s.roots() == len(s.Tables)
	tables := make([]json.Pair, len(s.Tables))
	for i, t := range s.Tables {
		tables[i] = json.Pair{Name: t.Name, Value: t.json(allRoot)}
	}
	ms := []json.Pair{{Name: "name", Value: json.NewString(s.Name)}, {Name: "tables", Value: json.NewObject(tables...)}}
	if s.Version != "" {
		ms = append(ms, json.Pair{Name: "version", Value: json.NewString(s.Version)})
	}
	if s.Cksum != "" {
		ms = append(ms, json.Pair{Name: "cksum", Value: json.NewString(s.Cksum)})
	}
	return json.NewObject(ms...)
}

func (t *TableSchema) json(allRoot bool) json.Value {
	cols := make([]json.Pair, 0, len(t.Columns))
	for _, c := range t.Columns[NumStd:] {
		cols = append(cols, json.Pair{Name: c.Name, Value: c.json()})
	}
	ms := []json.Pair{{Name: "columns", Value: json.NewObject(cols...)}}
	if !t.Mutable {
		ms = append(ms, json.Pair{Name: "mutable", Value: json.NewBool(false)})
	}
	if allRoot != t.IsRoot {
		ms = append(ms, json.Pair{Name: "isRoot", Value: json.NewBool(t.IsRoot)})
	}
	if t.MaxRows != Unlimited {
		ms = append(ms, json.Pair{Name: "maxRows", Value: json.NewInt(int64(t.MaxRows))})
	}
	if len(t.Indexes) > 0 {
		var indexes []json.Value
		for _, ix := range t.Indexes {
			var names []json.Value
			for _, c := range ix {
				names = append(names, json.NewString(c.Name))
			}
			indexes = append(indexes, json.NewArray(names...))
		}
		ms = append(ms, json.Pair{Name: "indexes", Value: json.NewArray(indexes...)})
	}
	return json.NewObject(ms...)
}

func (c *Column) json() json.Value {
	ms := []json.Pair{{Name: "type", Value: c.Type.JSON()}}
	if !c.Mutable {
		ms = append(ms, json.Pair{Name: "mutable", Value: json.NewBool(false)})
	}
	if !c.Persistent {
		ms = append(ms, json.Pair{Name: "ephemeral", Value: json.NewBool(true)})
	}
	return json.NewObject(ms...)
}

// CheckEphemeral refuses what a clustered database cannot have.
func (s *Schema) CheckEphemeral() *Error {
	for _, t := range s.Tables {
		for _, c := range t.Columns[NumStd:] {
			if !c.Persistent {
				return SyntaxErrorf(nil, "", "Table %s column %s is ephemeral but "+
					"clustered databases do not support ephemeral columns.", t.Name, c.Name)
			}
		}
	}
	return nil
}
