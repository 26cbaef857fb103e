package action

import (
	"strings"

	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

// Instruction is a kind of instruction, in the order in which a list must have them.
type Instruction uint8

// The instructions.
const (
	instMeter Instruction = iota
	instApply
	instClear
	instWrite
	instMetadata
	instGoto

	nInstructions
)

// Exported names of the instructions, for sets of features.
const (
	InstMeter         = instMeter
	InstApplyActions  = instApply
	InstClearActions  = instClear
	InstWriteActions  = instWrite
	InstWriteMetadata = instMetadata
	InstGotoTable     = instGoto
	NInstructions     = nInstructions
)

const allInstructions = 1<<nInstructions - 1

// noOuter stands for the action around a list that is in none.
const noOuter = NKinds

func (i Instruction) bit() uint8 { return 1 << i }

var instNames = [nInstructions]string{"meter", "apply_actions", "clear_actions", "write_actions", "write_metadata", "goto_table"}

// String returns the instruction's name.
func (i Instruction) String() string {
	if i < nInstructions {
		return instNames[i]
	}
	return "<unknown>"
}

// InstructionByName is the inverse of String, in any case.
func InstructionByName(name string) (Instruction, bool) {
	for i, n := range instNames {
		if strings.EqualFold(n, name) {
			return Instruction(i), true
		}
	}
	return 0, false
}

// Of returns the instruction that carries an action of kind k in version ver.
func Of(k Kind, ver ofver.Version) Instruction {
	switch k {
	case KindMeter:
		if ver >= ofver.OF15 {
			return instApply
		}
		return instMeter
	case KindClearActions:
		return instClear
	case KindWriteActions:
		return instWrite
	case KindWriteMetadata:
		return instMetadata
	case KindGotoTable:
		return instGoto
	}
	return instApply
}

// Wire types of instructions; meter is one in OpenFlow 1.3 and 1.4 only.
var instWire = [nInstructions]uint16{instGoto: 1, instMetadata: 2, instWrite: 3, instApply: 4, instClear: 5, instMeter: 6}

// InstructionsToWire returns a set of instructions (bit N: Instruction N) as
// OpenFlow 1.1 and 1.2 table statistics number them.
func InstructionsToWire(set uint32, ver ofver.Version) (wire uint32) {
	for i := range nInstructions {
		if set>>i&1 != 0 && (i != instMeter || ver == ofver.OF13 || ver == ofver.OF14) {
			wire |= 1 << instWire[i]
		}
	}
	return wire
}

// InstructionsFromWire is the inverse of InstructionsToWire.
func InstructionsFromWire(wire uint32, ver ofver.Version) (set uint32) {
	for i := range nInstructions {
		if wire>>instWire[i]&1 != 0 && (i != instMeter || ver == ofver.OF13 || ver == ofver.OF14) {
			set |= 1 << i
		}
	}
	return set
}

// InstructionFromType returns the instruction of a wire type.
func InstructionFromType(typ uint16) (Instruction, error) {
	for i := range nInstructions {
		if instWire[i] == typ {
			return i, nil
		}
	}
	return 0, oferr.OFPBIC_UNKNOWN_INST
}

// WireType returns the instruction's type on the wire.
func (i Instruction) WireType() uint16 { return instWire[i] }

const instExperimenter = 0xffff

// Sizes of instructions; the ones with actions can be longer.
var instSize = [nInstructions]int{instMeter: 8, instApply: 8, instClear: 8, instWrite: 8, instMetadata: 24, instGoto: 8}

// splitInstructions finds the instructions in b.
func splitInstructions(b []byte, ver ofver.Version) (insts [nInstructions][]byte, err error) {
	for ofs := 0; ofs < len(b); {
		rest := b[ofs:]
		n := int(be.Uint16(rest[2:]))
		if n%8 != 0 || n < 8 || n > len(rest) {
			log.WarnRL(rl, "bad instruction format at offset %d", ofs)
			return insts, oferr.OFPBIC_BAD_LEN
		}
		typ := be.Uint16(rest)
		if typ == instExperimenter {
			return insts, oferr.OFPBIC_BAD_EXPERIMENTER
		}
		i, err := InstructionFromType(typ)
		if err != nil {
			return insts, err
		}
		if n != instSize[i] && i != instApply && i != instWrite {
			return insts, oferr.OFPBIC_BAD_LEN
		}
		if i == instMeter && ver >= ofver.OF15 {
			return insts, oferr.OFPBIC_UNKNOWN_INST
		}
		if insts[i] != nil {
			return insts, oferr.OFPBIC_DUP_INST
		}
		insts[i] = rest[:n]
		ofs += n
	}
	return insts, nil
}

// Instructions decodes the whole of b as instructions of version ver (as actions in
// OpenFlow 1.0), as Actions does.
func (d *Decoder) Instructions(b []byte, ver ofver.Version, tun *field.TunTable) (List, error) {
	d.tun = tun
	base := len(d.stack)
	var err error
	if ver == ofver.OF10 {
		err = d.pull(b, ver, allInstructions, noOuter)
	} else if err = d.instructions(b, ver); err == nil {
		err = verify(d.stack[base:], ver, allInstructions, noOuter, nil)
	}
	if err != nil {
		d.drop(base)
		return nil, err
	}
	return d.finish(base), nil
}

func (d *Decoder) instructions(b []byte, ver ofver.Version) error {
	if len(b)%8 != 0 {
		log.WarnRL(rl, "OpenFlow message instructions length %d is not a multiple of 8", len(b))
		return oferr.OFPBIC_BAD_LEN
	}
	insts, err := splitInstructions(b, ver)
	if err != nil {
		return err
	}
	if in := insts[instMeter]; in != nil {
		m := d.meter.new()
		*m = Meter{ID: be.Uint32(in[4:]), Provider: ^uint32(0)}
		d.push1(m)
	}
	if in := insts[instApply]; in != nil {
		if err := d.decode(in[8:], ver); err != nil {
			return err
		}
	}
	if insts[instClear] != nil {
		d.push1(clearActions)
	}
	if in := insts[instWrite]; in != nil {
		if err := d.writeActions(in[8:], ver); err != nil {
			return err
		}
	}
	if in := insts[instMetadata]; in != nil {
		d.pushMetadata(in[8:])
	}
	if in := insts[instGoto]; in != nil {
		g := d.goTo.new()
		g.Table = in[4]
		d.push1(g)
	}
	return nil
}

func (d *Decoder) writeActions(b []byte, ver ofver.Version) error {
	base := len(d.stack)
	if err := d.decode(b, ver); err != nil {
		return err
	}
	for _, a := range d.stack[base:] {
		if setClass(a.Kind()) == classInvalid {
			log.WarnRL(rl, "disallowed action in action set")
			return oferr.OFPBAC_BAD_TYPE
		}
	}
	w := d.write.new()
	w.Actions = d.finish(base)
	d.push1(w)
	return nil
}
