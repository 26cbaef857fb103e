package table

import (
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
)

// EventKind says what an Event tells.
type EventKind uint8

// The kinds of events.
const (
	FlowRemoved    EventKind = iota // Rule went; its flags ask for a flow_removed
	FlowChanged                     // for flow monitors: What, Rule, Reason, Req, OldActions
	VacancyCrossed                  // Table's vacancy crossed a threshold: Reason is ofp.TableVacancy*
	ChangesDone                     // the changes of one request are complete
)

// Event is a change that controllers may want to hear of.  Events are in the order
// of the changes.
type Event struct {
	Kind       EventKind
	What       ofp.FlowEvent // EventAdded, EventRemoved, EventModified
	Reason     ofp.FlowReason
	Rule       *Rule
	OldActions action.List // of a changed rule whose actions changed
	Changed    bool        // OldActions is meant
	Req        Requester
	Table      *ofp.TableDesc
	Vacancy    uint8
}

// Requester is the connection that asked for a change.
type Requester struct {
	Conn any // nil: the switch itself
	XID  uint32
}

// TakeEvents returns the events since the last call.  Mu must be held.
func (s *Set) TakeEvents() []Event {
	e := s.events
	s.events = nil
	return e
}

func (s *Set) event(e Event) { s.events = append(s.events, e) }

// changed tells flow monitors of a change, if there are any.
func (s *Set) changed(e Event) {
	if s.monitored {
		e.Kind = FlowChanged
		s.event(e)
	}
}

// SetMonitored says whether anybody wants FlowChanged events.
func (s *Set) SetMonitored(on bool) {
	s.Mu.Lock()
	s.monitored = on
	s.Mu.Unlock()
}
