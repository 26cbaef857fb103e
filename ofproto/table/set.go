package table

import (
	"sync"
	"sync/atomic"

	"sluice/ofproto/classifier"
	"sluice/ofproto/ofp"
)

// Set is all flow tables, groups and meters of one bridge.
type Set struct {
	// Mu is the writer's lock.
	Mu sync.Mutex

	version atomic.Uint64
	tables  [NTables]*Table
	groups  sync.Map // uint32 → *Group, newest version first

	// Frag is what the switch does with fragments.
	Frag atomic.Uint32 // ofp.FragHandling

	events    []Event
	monitored bool // FlowChanged events are wanted
	expirable ruleList
	meters    map[uint32]*Meter
	nGroups   [4]int
	learned   map[learnKey]int // learn actions with delete_learned

	// Removed rules and groups: dead ones were removed lately, waiting ones go when
	// no reader is left that began before epoch deadSince.
	dead, waiting             []*Rule
	deadGroups, waitingGroups []*Group
	deadSince                 uint64

	boot int64 // ms of creation; eviction priorities count from it

	// ControllerMeter and SlowpathMeter are the datapath's meters for packets that go
	// to controllers and to the slow path; NoMeter if there is none.
	ControllerMeter, SlowpathMeter atomic.Uint32

	// OnEvent, when set, is called when an event is added on behalf of translation.
	OnEvent func()

	// The switch's own rules, in TableInternal.  Translation falls back to them: on
	// a miss with and without a packet-in, and for fragments that are dropped.
	MissRule, NoPacketInRule, DropFragsRule *Rule
}

// New returns a Set whose tables are empty but for the switch's own rules.
func New(now int64) *Set {
	s := &Set{meters: map[uint32]*Meter{}, learned: map[learnKey]int{}, boot: now}
	for i := range s.tables {
		t := &Table{ID: uint8(i), cls: classifier.New(classifier.DefaultPrefixes), maxFlows: ^uint32(0)}
		if i == TableInternal {
			t.hidden, t.readonly = true, true
		}
		s.tables[i] = t
	}
	s.version.Store(1)
	s.ControllerMeter.Store(NoMeter)
	s.SlowpathMeter.Store(NoMeter)
	s.addInternal(now)
	return s
}

// Version returns the version that lookups should use now.
func (s *Set) Version() uint64 { return s.version.Load() }

// Table returns a table; id must be less than NTables.
func (s *Set) Table(id uint8) *Table { return s.tables[id] }

// MissConfig returns what table id does with packets that match nothing.
func (s *Set) MissConfig(id uint8) ofp.TableMiss { return s.tables[id].Miss() }
