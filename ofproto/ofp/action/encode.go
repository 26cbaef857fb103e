package action

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/ofver"
)

// encoder appends actions as version ver writes them.
type encoder struct {
	b   []byte
	ver ofver.Version
}

// put appends the action raw with its integer argument and returns where it begins.
func (e *encoder) put(raw Raw, arg uint64) int {
	f := encodings[raw][e.ver]
	start := len(e.b)
	e.b = append(e.b, make([]byte, f.size)...)
	a := e.b[start:]
	be.PutUint16(a[2:], uint16(f.size))
	if f.vendor == 0 {
		be.PutUint16(a, f.typ)
	} else {
		be.PutUint16(a, typeVendor)
		be.PutUint32(a[4:], f.vendor)
		be.PutUint16(a[8:], f.typ)
	}
	for i := int(f.argLen) - 1; i >= 0; i-- {
		a[int(f.argOfs)+i] = byte(arg)
		arg >>= 8
	}
	return start
}

// pad brings the action at start to a multiple of 8 bytes and sets its length.
func (e *encoder) pad(start int) {
	for (len(e.b)-start)%8 != 0 {
		e.b = append(e.b, 0)
	}
	be.PutUint16(e.b[start+2:], uint16(len(e.b)-start))
}

// AppendActions appends l as actions of version ver.
func (l List) AppendActions(b []byte, ver ofver.Version) []byte {
	e := encoder{b, ver}
	for _, a := range l {
		e.action(a)
	}
	return e.b
}

// AppendInstructions appends l as instructions of version ver (as actions in
// OpenFlow 1.0).
func (l List) AppendInstructions(b []byte, ver ofver.Version) []byte {
	if ver == ofver.OF10 {
		return l.AppendActions(b, ver)
	}
	e := encoder{b, ver}
	for i := 0; i < len(l); {
		if Of(l[i].Kind(), ver) != instApply {
			e.action(l[i])
			i++
			continue
		}
		start := e.beginActions(instApply)
		for ; i < len(l) && Of(l[i].Kind(), ver) == instApply; i++ {
			e.action(l[i])
		}
		e.endActions(start)
	}
	return e.b
}

func (e *encoder) instruction(i Instruction) int {
	start := len(e.b)
	e.b = append(e.b, make([]byte, instSize[i])...)
	be.PutUint16(e.b[start:], instWire[i])
	be.PutUint16(e.b[start+2:], uint16(instSize[i]))
	return start
}

func (e *encoder) beginActions(i Instruction) int { return e.instruction(i) }

// endActions sets the length; an instruction without actions is left out.
func (e *encoder) endActions(start int) {
	if n := len(e.b) - start; n > 8 {
		be.PutUint16(e.b[start+2:], uint16(n))
	} else {
		e.b = e.b[:start]
	}
}

// nest appends actions inside of the action at start.
func (e *encoder) nest(start int, l List) {
	for _, a := range l {
		e.action(a)
	}
	be.PutUint16(e.b[start+2:], uint16(len(e.b)-start))
}

func (e *encoder) action(a Action) {
	switch a := a.(type) {
	case *Output:
		e.output(a.Port, a.MaxLen)
	case *OutputTrunc:
		start := e.put(RawNXOutputTrunc, 0)
		be.PutUint16(e.b[start+10:], field.PortTo16(a.Port))
		be.PutUint32(e.b[start+12:], a.MaxLen)
	case *Group:
		e.put(RawGroup, uint64(a.ID))
	case *Controller:
		e.controller(a)
	case *Enqueue:
		e.enqueue(a)
	case *OutputReg:
		e.outputReg(a)
	case *Bundle:
		e.bundle(a)
	case *SetField:
		e.setField(a)
	case *RegMove:
		e.regMove(a)
	case *StackPush:
		e.stack(RawNXStackPush, a.Sub)
	case *StackPop:
		e.stack(RawNXStackPop, a.Sub)
	case *DecTTL:
		e.decTTL(a)
	case *DeleteField:
		start := e.put(RawNXDeleteField, 0)
		e.header(start+10, field.Sub{ID: a.ID, Size: a.Size}, 0)
	case *Encap:
		e.encap(a)
	case *Decap:
		start := e.put(RawNXDecap, 0)
		be.PutUint32(e.b[start+12:], a.PacketType)
	case *FinTimeout:
		start := e.put(RawNXFinTimeout, 0)
		be.PutUint16(e.b[start+10:], a.Idle)
		be.PutUint16(e.b[start+12:], a.Hard)
	case *Resubmit:
		e.resubmit(a)
	case *Learn:
		e.learn(a)
	case *Conjunction:
		start := e.put(RawNXConjunction, 0)
		e.b[start+10], e.b[start+11] = a.Clause, a.NClauses
		be.PutUint32(e.b[start+12:], a.ID)
	case *Multipath:
		e.multipath(a)
	case *Note:
		start := e.put(RawNXNote, 0)
		e.b = append(e.b[:start+10], a.Data...)
		e.pad(start)
	case *Sample:
		e.sample(a)
	case *CT:
		e.ct(a)
	case *NAT:
		e.nat(a)
	case *Clone:
		e.nest(e.put(RawNXClone, 0), a.Actions)
	case *CheckPktLarger:
		start := e.put(RawNXCheckPktLarger, 0)
		be.PutUint16(e.b[start+10:], a.Len)
		be.PutUint16(e.b[start+12:], a.Dst.Ofs)
		e.header(start+14, a.Dst, 0)
	case *Meter:
		e.meter(a)
	case *ClearActions:
		if e.ver > ofver.OF10 {
			e.instruction(instClear)
		}
	case *WriteActions:
		if e.ver > ofver.OF10 {
			start := e.beginActions(instWrite)
			for _, x := range a.Actions {
				e.action(x)
			}
			e.endActions(start)
		}
	case *WriteMetadata:
		e.writeMetadata(a)
	case *GotoTable:
		e.gotoTable(a)
	default:
		e.plain(a)
	}
}

// plain appends actions that are one integer, or that later versions write as
// Set-Field.
func (e *encoder) plain(a Action) {
	switch a := a.(type) {
	case *SetVLANVID:
		e.implicitPush(a.PushIfNeeded && !a.FlowHasVLAN)
		e.legacy(Raw10SetVLANVID, Raw11SetVLANVID, uint64(a.VID), field.VLANVID, uint64(a.VID|vlanPresent))
	case *SetVLANPCP:
		e.implicitPush(a.PushIfNeeded && !a.FlowHasVLAN)
		e.legacy(Raw10SetVLANPCP, Raw11SetVLANPCP, uint64(a.PCP), field.VLANPCP, uint64(a.PCP))
	case *StripVLAN:
		if e.ver == ofver.OF10 {
			e.put(Raw10StripVLAN, 0)
		} else {
			e.put(Raw11PopVLAN, 0)
		}
	case *PushVLAN:
		if e.ver > ofver.OF10 { // there it is implied by what follows
			e.put(Raw11PushVLAN, uint64(a.EthType))
		}
	case *SetEthSrc:
		e.mac(RawSetDLSrc, field.EthSrc, a.MAC)
	case *SetEthDst:
		e.mac(RawSetDLDst, field.EthDst, a.MAC)
	case *SetIPv4Src:
		e.legacy(RawSetNwSrc, RawSetNwSrc, uint64(a.Addr), field.IPv4Src, uint64(a.Addr))
	case *SetIPv4Dst:
		e.legacy(RawSetNwDst, RawSetNwDst, uint64(a.Addr), field.IPv4Dst, uint64(a.Addr))
	case *SetIPDSCP:
		e.legacy(RawSetNwTOS, RawSetNwTOS, uint64(a.DSCP), field.IPDSCPShifted, uint64(a.DSCP>>2))
	case *SetIPECN:
		e.ecn(a.ECN)
	case *SetIPTTL:
		if e.ver == ofver.OF10 {
			e.regLoad(field.Whole(field.IPTTL), uint64(a.TTL))
		} else {
			e.put(Raw11SetNwTTL, uint64(a.TTL))
		}
	case *SetL4SrcPort:
		e.l4(RawSetTpSrc, a.Port, a.FlowIPProto, field.TCPSrc, field.UDPSrc, field.SCTPSrc)
	case *SetL4DstPort:
		e.l4(RawSetTpDst, a.Port, a.FlowIPProto, field.TCPDst, field.UDPDst, field.SCTPDst)
	case *SetMPLSLabel:
		e.legacy(RawSetMPLSLabel, RawSetMPLSLabel, uint64(a.Label), field.MPLSLabel, uint64(a.Label))
	case *SetMPLSTC:
		e.legacy(RawSetMPLSTC, RawSetMPLSTC, uint64(a.TC), field.MPLSTC, uint64(a.TC))
	case *SetMPLSTTL:
		e.put(RawSetMPLSTTL, uint64(a.TTL))
	case *DecMPLSTTL:
		e.put(RawDecMPLSTTL, 0)
	case *PushMPLS:
		e.put(RawPushMPLS, uint64(a.EthType))
	case *PopMPLS:
		e.put(RawPopMPLS, uint64(a.EthType))
	case *DecNSHTTL:
		e.put(RawNXDecNSHTTL, 0)
	case *SetTunnel:
		e.setTunnel(a)
	case *SetQueue:
		e.put(RawSetQueue, uint64(a.Queue))
	case *PopQueue:
		e.put(RawNXPopQueue, 0)
	case *Exit:
		e.put(RawNXExit, 0)
	case *CTClear:
		e.put(RawNXCTClear, 0)
	case *DebugRecirc:
		e.put(RawNXDebugRecirc, 0)
	case *DebugSlow:
		e.put(RawNXDebugSlow, 0)
	}
}

func (e *encoder) output(port uint32, maxLen uint16) {
	if e.ver == ofver.OF10 {
		start := e.put(Raw10Output, 0)
		be.PutUint16(e.b[start+4:], field.PortTo16(port))
		be.PutUint16(e.b[start+6:], maxLen)
		return
	}
	start := e.put(Raw11Output, 0)
	be.PutUint32(e.b[start+4:], port)
	be.PutUint16(e.b[start+8:], maxLen)
}

func (e *encoder) enqueue(a *Enqueue) {
	if e.ver == ofver.OF10 {
		start := e.put(Raw10Enqueue, 0)
		be.PutUint16(e.b[start+4:], field.PortTo16(a.Port))
		be.PutUint32(e.b[start+12:], a.Queue)
		return
	}
	e.put(RawSetQueue, uint64(a.Queue))
	e.output(a.Port, 0xffff)
	e.put(RawNXPopQueue, 0)
}

func (e *encoder) implicitPush(need bool) {
	if need && e.ver > ofver.OF10 {
		e.put(Raw11PushVLAN, flow.EthVLAN)
	}
}

// legacy writes an action of its own kind up to OpenFlow 1.1, and Set-Field from
// OpenFlow 1.2 on.
func (e *encoder) legacy(raw10, raw11 Raw, arg uint64, id field.ID, value uint64) {
	switch {
	case e.ver == ofver.OF10:
		e.put(raw10, arg)
	case e.ver == ofver.OF11:
		e.put(raw11, arg)
	default:
		e.setFieldUint(id, value)
	}
}

// setFieldUint writes Set-Field of a whole field of at most 8 bytes.
func (e *encoder) setFieldUint(id field.ID, x uint64) {
	var v field.Value
	for i := int(field.Get(id).Size) - 1; i >= 0; i-- {
		v[i] = byte(x)
		x >>= 8
	}
	e.setFieldEntry(id, &v, nil)
}

func (e *encoder) setFieldEntry(id field.ID, v, mask *field.Value) {
	raw := Raw12SetField
	if e.ver >= ofver.OF15 {
		raw = Raw15SetField
	}
	start := e.put(raw, 0)
	e.b = field.AppendEntry(e.b[:start+4], id, e.ver, v, mask)
	e.pad(start)
}

func (e *encoder) mac(raw Raw, id field.ID, mac [6]byte) {
	if e.ver < ofver.OF12 {
		start := e.put(raw, 0)
		copy(e.b[start+4:], mac[:])
		return
	}
	var v field.Value
	copy(v[:], mac[:])
	e.setFieldEntry(id, &v, nil)
}

func (e *encoder) ecn(ecn uint8) {
	switch {
	case e.ver == ofver.OF10:
		e.regLoad(field.Sub{ID: field.IPECN, Bits: 2}, uint64(ecn))
	case e.ver == ofver.OF11:
		e.put(Raw11SetNwECN, uint64(ecn))
	default:
		e.setFieldUint(field.IPECN, uint64(ecn))
	}
}

func (e *encoder) l4(raw Raw, port uint16, proto uint8, tcp, udp, sctp field.ID) {
	if e.ver >= ofver.OF12 {
		switch proto {
		case protoTCP:
			e.setFieldUint(tcp, uint64(port))
			return
		case protoUDP:
			e.setFieldUint(udp, uint64(port))
			return
		case protoSCTP:
			e.setFieldUint(sctp, uint64(port))
			return
		}
	}
	e.put(raw, uint64(port))
}

func (e *encoder) setTunnel(a *SetTunnel) {
	switch {
	case e.ver >= ofver.OF12:
		e.setFieldUint(field.TunID, a.ID)
	case a.ID <= 0xffffffff && a.Raw != RawNXSetTunnel64:
		e.put(RawNXSetTunnel, a.ID)
	default:
		e.put(RawNXSetTunnel64, a.ID)
	}
}

func (e *encoder) meter(a *Meter) {
	switch {
	case e.ver == ofver.OF13 || e.ver == ofver.OF14:
		start := e.instruction(instMeter)
		be.PutUint32(e.b[start+4:], a.ID)
	case e.ver >= ofver.OF15:
		e.put(Raw15Meter, uint64(a.ID))
	}
}

func (e *encoder) writeMetadata(a *WriteMetadata) {
	at := 0
	if e.ver == ofver.OF10 {
		at = e.put(RawNXWriteMetadata, 0) + 16
	} else {
		at = e.instruction(instMetadata) + 8
	}
	be.PutUint64(e.b[at:], a.Value)
	be.PutUint64(e.b[at+8:], a.Mask)
}

func (e *encoder) gotoTable(a *GotoTable) {
	if e.ver == ofver.OF10 {
		e.resubmit(&Resubmit{InPort: flow.OFPInPort, Table: a.Table})
		return
	}
	start := e.instruction(instGoto)
	e.b[start+4] = a.Table
}

func (e *encoder) resubmit(a *Resubmit) {
	port := field.PortTo16(a.InPort)
	if a.Table == 255 && a.Raw == RawNXResubmit {
		e.put(RawNXResubmit, uint64(port))
		return
	}
	raw := RawNXResubmitTable
	if a.CT {
		raw = RawNXResubmitTableCT
	}
	start := e.put(raw, 0)
	be.PutUint16(e.b[start+10:], port)
	e.b[start+12] = a.Table
}
