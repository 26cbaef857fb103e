package ofp

import (
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
)

// Lists of actions are refused, and left out of messages and prints, until package
// action can encode and decode them.

func (d *decoder) actions(b []byte) (action.List, error) {
	if len(b) > 0 {
		return nil, oferr.OFPBAC_BAD_TYPE
	}
	return nil, nil
}

func (d *decoder) instructions(b []byte) (action.List, error) { return d.actions(b) }

func (d *decoder) checkActions(action.List, *match.Match, uint8) error { return nil }

func (e *encoder) actions(action.List)      {}
func (e *encoder) instructions(action.List) {}
func (p *printer) actions(action.List)      {}
