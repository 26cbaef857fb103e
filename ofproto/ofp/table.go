package ofp

// TableAll is the table id that stands for all tables.
const TableAll = 0xff

// TableMiss is what happens to a packet that matches nothing (OpenFlow 1.1, 1.2).
type TableMiss uint8

// The ways to treat a miss.
const (
	MissDefault    TableMiss = iota // as the version says, or not given
	MissController                  // to the controller
	MissContinue                    // to the next table
	MissDrop
)

// Tristate is a setting that a message can leave alone.
type Tristate uint8

// The values of a Tristate.
const (
	Unspecified Tristate = iota
	On
	Off
)

// Eviction flags of a table: what counts for choosing a flow to evict.
const (
	EvictOther      = 1 << 0
	EvictImportance = 1 << 1
	EvictLifetime   = 1 << 2
	// EvictUnset is the value of a message that does not give the flags.
	EvictUnset = 0xffffffff
)

// Vacancy are the thresholds of vacancy events, in percent.
type Vacancy struct {
	Down    uint8 // event when vacancy falls below
	Up      uint8 // event when vacancy rises above
	Current uint8 // current vacancy; 0 in a TableMod
}

// TableMod configures a table.
type TableMod struct {
	TableID       uint8     // TableAll: all
	Miss          TableMiss // OpenFlow 1.1 and 1.2
	Eviction      Tristate  // OpenFlow 1.4+
	EvictionFlags uint32    // OpenFlow 1.4+; EvictUnset: not given
	Vacancy       Tristate  // OpenFlow 1.4+
	Thresholds    Vacancy   // OpenFlow 1.4+
}

// TableDesc is the configuration of a table.
type TableDesc struct {
	TableID       uint8
	Eviction      Tristate
	EvictionFlags uint32 // EvictUnset: not given
	Vacancy       Tristate
	Thresholds    Vacancy
}

// TableDescReply has the configuration of tables.
type TableDescReply struct {
	More   bool
	Tables []TableDesc
}

// Reasons of a TableStatus.
const (
	TableVacancyDown = 3
	TableVacancyUp   = 4
)

// TableStatus tells of a table whose vacancy crossed a threshold.
type TableStatus struct {
	Reason uint8
	Desc   TableDesc
}

// TableActions are the actions that a table can apply or write.
type TableActions struct {
	Actions   ActionSet
	SetFields FieldSet
}

// TableInstructions are what flows of a table can do.
type TableInstructions struct {
	Next         TableSet       // where goto_table may go
	Instructions InstructionSet //
	Write, Apply TableActions
}

// Commands of a table features request (OpenFlow 1.5).
const (
	TableFeaturesReplace = 0
	TableFeaturesModify  = 1
	TableFeaturesEnable  = 2
	TableFeaturesDisable = 3
)

// TableFeatures are what a table can do.
type TableFeatures struct {
	Command       uint8 // of the first in a request
	TableID       uint8
	Name          string // at most 31 bytes on the wire
	MetadataMatch uint64 // bits of metadata that can be matched
	MetadataWrite uint64 // bits of metadata that can be written
	MaxEntries    uint32
	HasProperties bool // the message had any property

	Miss            TableMiss // OpenFlow 1.1 and 1.2
	Eviction        int8      // OpenFlow 1.4+: 1 supported, 0 not; -1 in other versions
	VacancyEvents   int8      // OpenFlow 1.4+: likewise
	NonMissFeatures TableInstructions
	MissFeatures    TableInstructions

	Match    FieldSet // fields that can be matched
	Mask     FieldSet // of these, those that can have masks
	Wildcard FieldSet // of these, those that can be left out
}

// TableFeaturesMsg asks for table features (no Tables), changes them, or reports them.
type TableFeaturesMsg struct {
	Kind   Type // TypeTableFeaturesStatsRequest or …Reply
	More   bool
	Tables []TableFeatures
}

// TableStats are the statistics of a table.  Before OpenFlow 1.3 the message also
// tells features, which decoding fills in and encoding takes from Features.
type TableStats struct {
	TableID      uint8
	ActiveCount  uint32
	LookupCount  uint64
	MatchedCount uint64
	Features     *TableFeatures // nil in OpenFlow 1.3+ when decoded
}

// TableStatsReply has the statistics of tables.
type TableStatsReply struct {
	More   bool
	Tables []TableStats
}

// Type implements Msg.
func (*TableMod) Type() Type { return TypeTableMod }

// Type implements Msg.
func (*TableDescReply) Type() Type { return TypeTableDescReply }

// Type implements Msg.
func (*TableStatus) Type() Type { return TypeTableStatus }

// Type implements Msg.
func (m *TableFeaturesMsg) Type() Type { return m.Kind }

// Type implements Msg.
func (*TableStatsReply) Type() Type { return TypeTableStatsReply }
