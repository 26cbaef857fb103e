package action

import (
	"encoding/binary"
	"fmt"
	"strings"
	"sync/atomic"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

var (
	log = vlog.New("ofp_actions")
	rl  = vlog.NewLimiter(1, 5)
	be  = binary.BigEndian
)

// debugAllowed lets the debug actions in.
var debugAllowed atomic.Bool

// AllowDebug lets the wire form of debug_recirc and debug_slow in, as a daemon does
// that was started with --enable-dummy.
func AllowDebug() { debugAllowed.Store(true) }

// index finds the form for what a message says: standard actions, Nicira's and ONF's.
var (
	standard  [ofver.OF15 + 1][32]*form
	nicira    [ofver.OF15 + 1][256]*form
	onf       [ofver.OF15 + 1]map[uint16]*form
	encodings [nRaw][ofver.OF15 + 1]*form
)

func init() {
	for i := range forms {
		f := &forms[i]
		for v := f.from; v <= f.to; v++ {
			encodings[f.raw][v] = f
			switch f.vendor {
			case 0:
				standard[v][f.typ] = f
			case vendorNX:
				nicira[v][f.typ] = f
			case vendorONF:
				if onf[v] == nil {
					onf[v] = make(map[uint16]*form)
				}
				onf[v][f.typ] = f
			}
		}
	}
	// A version that does not know an action writes it as the first one does that
	// knows it; so does stock.
	for raw := range encodings {
		var first *form
		for _, f := range encodings[raw] {
			if first == nil {
				first = f
			}
		}
		for v, f := range encodings[raw] {
			if f == nil {
				encodings[raw][v] = first
			}
		}
	}
}

const typeVendor = 0xffff

// findForm identifies the action at the beginning of b.
func findForm(b []byte, ver ofver.Version) (*form, error) {
	if len(b) < 8 {
		return nil, oferr.OFPBAC_BAD_LEN
	}
	typ := be.Uint16(b)
	var vendor uint32
	var f *form
	if typ == typeVendor {
		vendor = be.Uint32(b[4:])
		if vendor != vendorNX && vendor != vendorONF {
			log.WarnRL(rl, "OpenFlow action has unknown vendor %s", cHex(uint64(vendor)))
			return nil, oferr.OFPBAC_BAD_VENDOR
		}
		if len(b) < 16 {
			return nil, oferr.OFPBAC_BAD_LEN
		}
		typ = be.Uint16(b[8:])
		if vendor == vendorONF {
			f = onf[ver][typ]
		} else if int(typ) < len(nicira[ver]) {
			f = nicira[ver][typ]
		}
	} else if int(typ) < len(standard[ver]) {
		f = standard[ver][typ]
	}
	if f != nil {
		return f, nil
	}
	log.WarnRL(rl, "unknown %s action for vendor %s and type %d", ver, cHex(uint64(vendor)), typ)
	if vendor != 0 {
		return nil, oferr.OFPBAC_BAD_VENDOR_TYPE
	}
	return nil, oferr.OFPBAC_BAD_TYPE
}

// pullRaw takes an action from the beginning of b.
func pullRaw(b []byte, ver ofver.Version) (*form, []byte, error) {
	f, err := findForm(b, ver)
	if err != nil {
		return nil, nil, err
	}
	if f.replaced {
		log.InfoRL(rl, "%s is deprecated in %s (use Set-Field)", f.name, ver)
	}
	n := int(be.Uint16(b[2:]))
	longest := int(f.size)
	if f.extends {
		longest = 65528
	}
	switch {
	case n > len(b):
		log.WarnRL(rl, "OpenFlow action %s length %d exceeds action buffer length %d", f.name, n, len(b))
	case n < int(f.size) || n > longest:
		log.WarnRL(rl, "OpenFlow action %s length %d not in valid range [%d,%d]", f.name, n, f.size, longest)
	case n%8 != 0:
		log.WarnRL(rl, "OpenFlow action %s length %d is not a multiple of 8", f.name, n)
	default:
		return f, b[:n], nil
	}
	return nil, nil, oferr.OFPBAC_BAD_LEN
}

// Actions decodes the whole of b as actions of version ver.  tun is the switch's
// table of tunnel options, nil outside of a switch.  What is decoded does not refer
// to b.  The actions are valid in themselves; Check tells whether they fit a flow.
func (d *Decoder) Actions(b []byte, ver ofver.Version, tun *field.TunTable) (List, error) {
	d.tun = tun
	base := len(d.stack)
	if err := d.pull(b, ver, instApply.bit()|instMeter.bit(), noOuter); err != nil {
		d.drop(base)
		return nil, err
	}
	return d.finish(base), nil
}

// pull decodes and verifies b; the actions are on the stack.
func (d *Decoder) pull(b []byte, ver ofver.Version, allowed uint8, outer Kind) error {
	if len(b)%8 != 0 {
		log.WarnRL(rl, "OpenFlow message actions length %d is not a multiple of 8", len(b))
		return oferr.OFPBRC_BAD_LEN
	}
	base := len(d.stack)
	if err := d.decode(b, ver); err != nil {
		return err
	}
	return verify(d.stack[base:], ver, allowed, outer, nil)
}

// decode decodes all of b onto the stack.
func (d *Decoder) decode(all []byte, ver ofver.Version) error {
	if !ver.Valid() {
		return oferr.OFPBAC_BAD_TYPE
	}
	for b := all; len(b) > 0; {
		f, a, err := pullRaw(b, ver)
		if err == nil {
			err = d.one(f, a, ver)
		}
		if err != nil {
			logBad(all, len(all)-len(b), err)
			return err
		}
		b = b[len(a):]
	}
	return nil
}

func logBad(b []byte, ofs int, err error) {
	if !log.ShouldDrop(vlog.Warn, rl) {
		log.Warn("bad action at offset %d (%v):\n%s", ofs, err, hexDump(b))
	}
}

// hexDump shows b 16 bytes a line.
func hexDump(b []byte) string {
	var s strings.Builder
	for ofs := 0; len(b) > 0; ofs += 16 {
		n := min(16, len(b))
		fmt.Fprintf(&s, "%08x  ", ofs)
		for i, x := range b[:n] {
			sep := " "
			switch {
			case i == 7:
				sep = "-"
			case i == n-1:
				sep = ""
			}
			fmt.Fprintf(&s, "%02x%s", x, sep)
		}
		s.WriteByte('\n')
		b = b[n:]
	}
	return s.String()
}

func allZero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// arg returns the plain integer argument of the action a.
func (f *form) arg(a []byte) (x uint64) {
	for _, c := range a[f.argOfs : f.argOfs+f.argLen] {
		x = x<<8 | uint64(c)
	}
	return x
}

// one decodes the action a, which has a valid length, onto the stack.
func (d *Decoder) one(f *form, a []byte, ver ofver.Version) error {
	arg := f.arg(a)
	switch f.raw {
	case Raw10Output:
		return d.decodeOutput(field.PortFrom16(be.Uint16(a[4:])), be.Uint16(a[6:]))
	case Raw11Output:
		port := be.Uint32(a[4:])
		if !field.CheckPort(port) {
			return oferr.OFPBAC_BAD_OUT_PORT
		}
		return d.decodeOutput(port, be.Uint16(a[8:]))
	case Raw10Enqueue:
		return d.decodeEnqueue(a)
	case RawGroup:
		g := d.group.new()
		g.ID = uint32(arg)
		d.push1(g)
	case RawSetQueue:
		q := d.queue.new()
		q.Queue = uint32(arg)
		d.push1(q)
	case Raw15Meter:
		m := d.meter.new()
		*m = Meter{ID: uint32(arg), Provider: ^uint32(0)}
		d.push1(m)
	case Raw12SetField, Raw15SetField:
		return d.decodeSetField(a, f.raw == Raw15SetField)
	case RawNXRegLoad:
		return d.decodeRegLoad(a)
	case RawNXRegLoad2:
		return d.decodeRegLoad2(a)
	case Raw15CopyField:
		return d.decodeMove(a[4:10], a[12:], RawONF13CopyField)
	case RawONF13CopyField:
		return d.decodeMove(a[12:18], a[20:], RawONF13CopyField)
	case RawNXRegMove:
		return d.decodeMove(a[10:16], a[16:], RawNXRegMove)
	case RawNXResubmit, RawNXResubmitTable, RawNXResubmitTableCT:
		return d.decodeResubmit(f.raw, a)
	case RawNXNote:
		d.push1(&Note{Data: d.copy(a[10:])})
	case RawNXConjunction:
		return d.decodeConjunction(a)
	case RawNXMultipath:
		return d.decodeMultipath(a)
	case RawNXBundle, RawNXBundleLoad:
		return d.decodeBundle(f.raw == RawNXBundleLoad, a)
	case RawNXOutputReg, RawNXOutputReg2:
		return d.decodeOutputReg(f.raw, a)
	case RawNXLearn, RawNXLearn2:
		return d.decodeLearn(f.raw, a)
	case RawNXFinTimeout:
		d.push1(&FinTimeout{Idle: be.Uint16(a[10:]), Hard: be.Uint16(a[12:])})
	case RawNXController, RawNXController2:
		return d.decodeController(f.raw, a)
	case RawNXWriteMetadata:
		if !allZero(a[10:16]) {
			return oferr.NXBRC_MUST_BE_ZERO
		}
		d.pushMetadata(a[16:])
	case RawNXStackPush, RawNXStackPop:
		return d.decodeStack(f.raw == RawNXStackPush, a)
	case RawNXSample, RawNXSample2, RawNXSample3:
		return d.decodeSample(f.raw, a)
	case RawNXCT:
		return d.decodeCT(a, ver)
	case RawNXNAT:
		return d.decodeNAT(a)
	case RawNXOutputTrunc:
		o := &OutputTrunc{Port: field.PortFrom16(be.Uint16(a[10:])), MaxLen: be.Uint32(a[12:])}
		if o.MaxLen < ethHeaderLen {
			return oferr.OFPBAC_BAD_ARGUMENT
		}
		d.push1(o)
	case RawNXClone:
		l, err := d.nested(a[16:], ver, noOuter)
		if err != nil {
			return err
		}
		d.push1(&Clone{Actions: l})
	case RawNXEncap:
		return d.decodeEncap(a)
	case RawNXDecap:
		if len(a) > 16 {
			return oferr.NXBAC_UNKNOWN_ED_PROP
		}
		d.push1(&Decap{PacketType: be.Uint32(a[12:])})
	case RawNXCheckPktLarger:
		return d.decodeCheckPktLarger(a)
	case RawNXDeleteField:
		s, _, err := d.pullField(a[10:])
		if err != nil {
			return err
		}
		d.push1(&DeleteField{ID: s.ID, Size: s.Size})
	case RawNXDecTTLCntIDs:
		return d.decodeDecTTL(a)
	default:
		return d.simple(f.raw, a, arg)
	}
	return nil
}

const ethHeaderLen = 14

// simple decodes the actions that have no or a plain integer argument and no checks
// beyond its range.
func (d *Decoder) simple(raw Raw, a []byte, arg uint64) error {
	bad := false
	switch raw {
	case Raw10SetVLANVID, Raw11SetVLANVID:
		bad = arg > 0xfff
		v := d.vid.new()
		*v = SetVLANVID{VID: uint16(arg), PushIfNeeded: raw == Raw10SetVLANVID}
		d.push1(v)
	case Raw10SetVLANPCP, Raw11SetVLANPCP:
		bad = arg > 7
		v := d.pcp.new()
		*v = SetVLANPCP{PCP: uint8(arg), PushIfNeeded: raw == Raw10SetVLANPCP}
		d.push1(v)
	case Raw11PushVLAN:
		bad = arg != flow.EthVLAN && arg != flow.EthQinQ
		p := d.push.new()
		p.EthType = uint16(arg)
		d.push1(p)
	case Raw10StripVLAN:
		d.push1(stripVLAN)
	case Raw11PopVLAN:
		d.push1(popVLAN)
	case RawSetDLSrc:
		m := d.mac.new()
		m.MAC = [6]byte(a[4:10])
		d.push1(m)
	case RawSetDLDst:
		m := d.macDst.new()
		m.MAC = [6]byte(a[4:10])
		d.push1(m)
	case RawSetNwSrc:
		d.push1(&SetIPv4Src{Addr: uint32(arg)})
	case RawSetNwDst:
		d.push1(&SetIPv4Dst{Addr: uint32(arg)})
	case RawSetNwTOS:
		bad = arg&3 != 0
		d.push1(&SetIPDSCP{DSCP: uint8(arg)})
	case Raw11SetNwECN:
		bad = arg > 3
		d.push1(&SetIPECN{ECN: uint8(arg)})
	case Raw11SetNwTTL:
		d.push1(&SetIPTTL{TTL: uint8(arg)})
	case RawSetTpSrc:
		d.push1(&SetL4SrcPort{Port: uint16(arg)})
	case RawSetTpDst:
		d.push1(&SetL4DstPort{Port: uint16(arg)})
	case RawSetMPLSLabel:
		d.push1(&SetMPLSLabel{Label: uint32(arg)})
	case RawSetMPLSTC:
		d.push1(&SetMPLSTC{TC: uint8(arg)})
	case RawSetMPLSTTL:
		d.push1(&SetMPLSTTL{TTL: uint8(arg)})
	case RawDecMPLSTTL:
		d.push1(decMPLSTTL)
	case RawPushMPLS:
		bad = arg != flow.EthMPLS && arg != flow.EthMPLSMc
		d.push1(&PushMPLS{EthType: uint16(arg)})
	case RawPopMPLS:
		d.push1(&PopMPLS{EthType: uint16(arg)})
	case RawDecNwTTL:
		d.push1(decTTL)
	case RawNXDecNSHTTL:
		d.push1(decNSHTTL)
	case RawNXSetTunnel, RawNXSetTunnel64:
		t := d.tunnel.new()
		*t = SetTunnel{Raw: raw, ID: arg}
		d.push1(t)
	case RawNXPopQueue:
		d.push1(popQueue)
	case RawNXExit:
		d.push1(exit)
	case RawNXCTClear:
		d.push1(ctClear)
	case RawNXDebugSlow, RawNXDebugRecirc:
		if !debugAllowed.Load() {
			return oferr.OFPBAC_BAD_VENDOR_TYPE
		}
		if raw == RawNXDebugSlow {
			d.push1(debugSlow)
		} else {
			d.push1(debugRecirc)
		}
	default:
		return oferr.OFPBAC_BAD_TYPE
	}
	if bad {
		return oferr.OFPBAC_BAD_ARGUMENT
	}
	return nil
}

func (d *Decoder) decodeOutput(port uint32, maxLen uint16) error {
	o := d.output.new()
	o.Port, o.MaxLen = port, maxLen
	d.push1(o)
	return checkOutputPort(port, flow.OFPMax)
}

func (d *Decoder) decodeEnqueue(a []byte) error {
	e := &Enqueue{Port: field.PortFrom16(be.Uint16(a[4:])), Queue: be.Uint32(a[12:])}
	if e.Port >= flow.OFPMax && e.Port != flow.OFPInPort && e.Port != flow.OFPLocal {
		return oferr.OFPBAC_BAD_OUT_PORT
	}
	d.push1(e)
	return nil
}

func (d *Decoder) pushMetadata(b []byte) {
	m := d.meta.new()
	m.Value, m.Mask = be.Uint64(b), be.Uint64(b[8:])
	d.push1(m)
}

// maxNesting bounds actions inside actions on the wire.
const maxNesting = 100

// nested decodes actions inside of an action.
func (d *Decoder) nested(b []byte, ver ofver.Version, outer Kind) (List, error) {
	if d.depth >= maxNesting {
		return nil, oferr.OFPBAC_TOO_MANY
	}
	d.depth++
	base := len(d.stack)
	err := d.pull(b, ver, instApply.bit(), outer)
	d.depth--
	if err != nil {
		d.drop(base)
		return nil, err
	}
	return d.finish(base), nil
}
