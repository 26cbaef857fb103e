package ofp

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
)

// Properties of buckets (OpenFlow 1.5) and groups.
const (
	propBucketWeight     = 0
	propBucketWatchPort  = 1
	propBucketWatchGroup = 2
	vendorNetronome      = 0x0000154d
	vendorNetronomeOld   = 0x00001540 // as Open vSwitch 2.4 had it
	ntrSelectionMethod   = 1
	selectionMethodLen   = 16
)

// has15 reports whether the version has OpenFlow 1.5's layouts of groups: 1.0 has
// them as a Nicira extension.
func has15(v Version) bool { return v == OF10 || v >= OF15 }

func (e *encoder) bucket11(b *Bucket) {
	start := len(e.b)
	e.zeros(2)
	e.u16(b.Weight)
	e.u32(b.WatchPort)
	e.u32(b.WatchGroup)
	e.zeros(4)
	e.actions(b.Actions)
	e.put16(start, uint16(len(e.b)-start))
}

func (e *encoder) bucket15(b *Bucket, id uint32, t GroupType) {
	start := len(e.b)
	e.zeros(4)
	e.u32(id)
	e.actions(b.Actions)
	e.put16(start+2, uint16(len(e.b)-start-8))
	if t == GroupTypeSelect || b.Weight != 0 {
		at := e.startProp(propBucketWeight)
		e.u16(b.Weight)
		e.zeros(2)
		e.endProp(at)
	}
	if b.WatchPort != flow.OFPNone {
		e.propU32(propBucketWatchPort, b.WatchPort)
	}
	if b.WatchGroup != GroupAny {
		e.propU32(propBucketWatchGroup, b.WatchGroup)
	}
	e.put16(start, uint16(len(e.b)-start))
}

func (e *encoder) groupProps(p *GroupProps) {
	if p.SelectionMethod == "" {
		return
	}
	at := e.startProp(propExp(vendorNetronome, ntrSelectionMethod))
	e.zeros(4)
	e.str(p.SelectionMethod, selectionMethodLen)
	e.u64(p.SelectionMethodParam)
	e.b = p.Fields.Append(e.b, e.v)
	e.endProp(at)
}

// bucketIDs gives ids to the buckets that have none: the lowest free ones.
func bucketIDs(buckets []Bucket) []uint32 {
	ids := make([]uint32, len(buckets))
	used := map[uint32]bool{}
	var next uint32
	started := false
	for i := range buckets {
		ids[i] = buckets[i].BucketID
		if ids[i] <= BucketMax {
			if !started {
				used[ids[i]] = true // those before the first bucket without an id
			}
			continue
		}
		started = true
		for used[next] {
			next++
		}
		ids[i] = next
		next++
	}
	return ids
}

func (m *GroupMod) encode(e *encoder) { m.encodeAfter(e, nil, -1) }

// encodeAfter encodes m for a RequestForward, see there.
func (m *GroupMod) encodeAfter(e *encoder, newBuckets []Bucket, existed int) {
	e.begin(stdRaw(TypeGroupMod, e.v))
	start := len(e.b)
	command, buckets := m.Command, m.Buckets
	if command == GroupCmdAddOrMod && existed >= 0 {
		command = GroupCmdAdd
		if existed > 0 {
			command = GroupCmdModify
		}
	}
	if !has15(e.v) && (command == GroupCmdInsertBucket || command == GroupCmdRemoveBucket) {
		command, buckets = GroupCmdModify, newBuckets
	}
	e.u16(command)
	e.u8(uint8(m.GroupType))
	e.u8(0)
	e.u32(m.GroupID)
	if !has15(e.v) {
		for i := range buckets {
			e.bucket11(&buckets[i])
		}
		return
	}
	e.zeros(4)
	e.u32(m.CommandBucketID)
	for i, id := range bucketIDs(buckets) {
		e.bucket15(&buckets[i], id, m.GroupType)
	}
	e.put16(start+8, uint16(len(e.b)-start-16))
	e.groupProps(&m.Props)
}

func decodeGroupMod(d decoder) (Msg, error) {
	m, err := d.groupMod(d.body)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (d *decoder) groupMod(b []byte) (*GroupMod, error) {
	m := &GroupMod{Command: be16(b), GroupType: GroupType(b[2]), GroupID: be32(b[4:]), CommandBucketID: BucketAll}
	var err error
	if !has15(d.Version) {
		m.Buckets, err = d.buckets11(b[8:])
		if err == nil && d.Version >= OF13 && m.Command == GroupCmdDelete && len(m.Buckets) > 0 {
			err = oferr.OFPGMFC_INVALID_GROUP
		}
	} else {
		err = m.decode15(d, b)
	}
	if err != nil {
		return nil, err
	}
	return m, m.check()
}

func (m *GroupMod) decode15(d *decoder, b []byte) (err error) {
	m.CommandBucketID = be32(b[12:])
	id := m.CommandBucketID
	one := id <= BucketMax || id == BucketFirst || id == BucketLast
	ok := id == BucketAll
	switch m.Command {
	case GroupCmdRemoveBucket:
		ok = ok || one
	case GroupCmdInsertBucket:
		ok = one
	}
	if !ok {
		return oferr.OFPGMFC_BAD_BUCKET
	}
	n := int(be16(b[8:]))
	b = b[16:]
	if n > len(b) {
		return oferr.OFPBRC_BAD_LEN
	}
	if m.Buckets, err = d.buckets15(b[:n], m.GroupType); err != nil {
		return err
	}
	return m.Props.decode(b[n:], m.GroupType, m.Command)
}

// check finds what no group may look like.
func (m *GroupMod) check() error {
	switch {
	case m.GroupType > GroupTypeFF:
		return oferr.OFPGMFC_BAD_TYPE
	case m.GroupType == GroupTypeIndirect && m.Command != GroupCmdDelete && len(m.Buckets) != 1:
		return oferr.OFPGMFC_INVALID_GROUP
	}
	switch m.Command {
	case GroupCmdAdd, GroupCmdModify, GroupCmdAddOrMod, GroupCmdDelete, GroupCmdInsertBucket:
	case GroupCmdRemoveBucket:
		if len(m.Buckets) > 0 {
			return oferr.OFPGMFC_BAD_BUCKET
		}
	default:
		return oferr.OFPGMFC_BAD_COMMAND
	}
	for i := range m.Buckets {
		b := &m.Buckets[i]
		switch {
		case b.Weight != 0 && m.GroupType != GroupTypeSelect && m.Command != GroupCmdInsertBucket:
			return oferr.OFPGMFC_INVALID_GROUP
		case m.GroupType == GroupTypeFF && !b.HasLiveness():
			return oferr.OFPGMFC_INVALID_GROUP
		case (m.GroupType == GroupTypeAll || m.GroupType == GroupTypeIndirect) && b.HasLiveness():
			return oferr.OFPGMFC_WATCH_UNSUPPORTED
		}
	}
	return nil
}

func (d *decoder) buckets11(b []byte) (buckets []Bucket, err error) {
	const size = 16
	for len(b) > 0 {
		if len(b) < size {
			return nil, oferr.OFPGMFC_BAD_BUCKET
		}
		n := int(be16(b))
		if n < size || n > len(b) {
			return nil, oferr.OFPGMFC_BAD_BUCKET
		}
		bucket := Bucket{Weight: be16(b[2:]), WatchGroup: be32(b[8:]), BucketID: uint32(len(buckets))}
		if bucket.Actions, err = d.actions(b[size:n]); err != nil {
			return nil, err
		}
		if bucket.WatchPort, err = port11(be32(b[4:])); err != nil {
			return nil, oferr.OFPGMFC_BAD_WATCH
		}
		buckets = append(buckets, bucket)
		b = b[n:]
	}
	return buckets, nil
}

func (d *decoder) buckets15(b []byte, t GroupType) (buckets []Bucket, err error) {
	const size = 8
	seen := map[uint32]bool{}
	duplicate := false
	for len(b) > 0 {
		if len(b) < size {
			return nil, oferr.OFPGMFC_BAD_BUCKET
		}
		n, actions := int(be16(b)), int(be16(b[2:]))
		if n < size || n > len(b) || actions > n-size {
			return nil, oferr.OFPGMFC_BAD_BUCKET
		}
		bucket := Bucket{BucketID: be32(b[4:]), WatchPort: flow.OFPNone, WatchGroup: GroupAny}
		if t == GroupTypeSelect {
			bucket.Weight = 1
		}
		if bucket.Actions, err = d.actions(b[size : size+actions]); err != nil {
			return nil, err
		}
		if err = bucket.decodeProps(b[size+actions : n]); err != nil {
			return nil, err
		}
		if bucket.BucketID > BucketMax {
			return nil, oferr.OFPGMFC_BAD_BUCKET
		}
		duplicate = duplicate || seen[bucket.BucketID]
		seen[bucket.BucketID] = true
		buckets = append(buckets, bucket)
		b = b[n:]
	}
	if duplicate {
		return nil, oferr.OFPGMFC_BAD_BUCKET
	}
	return buckets, nil
}

func (b *Bucket) decodeProps(props []byte) error {
	port := b.WatchPort
	err := eachProp(props, func(p property) (err error) {
		switch p.typ {
		case propBucketWeight:
			b.Weight, err = p.u16()
		case propBucketWatchPort:
			port, err = p.u32()
		case propBucketWatchGroup:
			b.WatchGroup, err = p.u32()
		default:
			err = unknownProp(false, p.typ)
		}
		return err
	})
	if err != nil {
		return err
	}
	if b.WatchPort, err = port11(port); err != nil {
		return oferr.OFPGMFC_BAD_WATCH
	}
	return nil
}

func (g *GroupProps) decode(b []byte, t GroupType, command uint16) error {
	return eachProp(b, func(p property) error {
		switch p.typ {
		case propExp(vendorNetronome, ntrSelectionMethod), propExp(vendorNetronomeOld, ntrSelectionMethod):
			return g.decodeSelection(p.all, t, command)
		}
		return unknownProp(false, p.typ)
	})
}

func (g *GroupProps) decodeSelection(b []byte, t GroupType, command uint16) error {
	const size = 40
	switch {
	case t > GroupTypeFF:
		return oferr.OFPGMFC_BAD_TYPE
	case t != GroupTypeSelect:
		return oferr.OFPBPC_BAD_VALUE
	}
	switch command {
	case GroupCmdAdd, GroupCmdModify, GroupCmdAddOrMod:
	case GroupCmdDelete, GroupCmdInsertBucket, GroupCmdRemoveBucket:
		return oferr.OFPBPC_BAD_VALUE
	default:
		return oferr.OFPGMFC_BAD_COMMAND
	}
	if len(b) < size {
		return oferr.OFPBPC_BAD_LEN
	}
	method := fixedString(b[16:32])
	if method != "hash" && method != "dp_hash" || len(method) == selectionMethodLen {
		return oferr.OFPBPC_BAD_VALUE
	}
	g.SelectionMethod, g.SelectionMethodParam = method, be64(b[32:])
	if len(b) > size && method != "hash" {
		return oferr.OFPBPC_BAD_VALUE
	}
	var err error
	g.Fields, err = field.PullArray(b[size:])
	return err
}

var groupTypeNames = [...]string{"all", "select", "indirect", "ff", "unknown"}

// bucketID prints a bucket id, in the versions that have them.
func (p *printer) bucketID(label string, id uint32) {
	if !has15(p.Version) {
		return
	}
	p.str(label)
	switch id {
	case BucketFirst:
		p.str("first")
	case BucketLast:
		p.str("last")
	case BucketAll:
		p.str("all")
	default:
		p.dec(uint64(id))
	}
	p.byte(',')
}

func (p *printer) group(id uint32, t GroupType, buckets []Bucket, props *GroupProps, withType bool) {
	p.f("group_id=%d", id)
	if withType {
		p.str(",type=")
		p.str(groupTypeNames[min(int(t), len(groupTypeNames)-1)])
	}
	if props.SelectionMethod != "" {
		p.f(",selection_method=%s", props.SelectionMethod)
		if props.SelectionMethodParam != 0 {
			p.f(",selection_method_param=%d", props.SelectionMethodParam)
		}
		if len(props.Fields) == 1 {
			p.str(",fields=")
			p.b = props.Fields.AppendText(p.b)
		} else if len(props.Fields) > 1 {
			p.str(",fields(")
			p.b = props.Fields.AppendText(p.b)
			p.byte(')')
		}
	}
	p.byte(',')
	for i := range buckets {
		p.bucket(&buckets[i], t)
	}
	p.chompByte(',')
}

func (p *printer) bucket(b *Bucket, t GroupType) {
	p.str("bucket=")
	p.bucketID("bucket_id:", b.BucketID)
	usual := uint16(0)
	if t == GroupTypeSelect {
		usual = 1
	}
	if b.Weight != usual {
		p.f("weight:%d,", b.Weight)
	}
	if b.WatchPort != flow.OFPNone {
		p.str("watch_port:")
		p.port(b.WatchPort)
		p.byte(',')
	}
	if b.WatchGroup != GroupAny {
		p.f("watch_group:%d,", b.WatchGroup)
	}
	p.str("actions=")
	p.actions(b.Actions)
	p.byte(',')
}

func (m *GroupMod) format(p *printer) {
	p.str("\n ")
	bucketCommand := false
	switch m.Command {
	case GroupCmdAdd:
		p.str("ADD")
	case GroupCmdModify:
		p.str("MOD")
	case GroupCmdAddOrMod:
		p.str("ADD_OR_MOD")
	case GroupCmdDelete:
		p.str("DEL")
	case GroupCmdInsertBucket:
		p.str("INSERT_BUCKET")
		bucketCommand = true
	case GroupCmdRemoveBucket:
		p.str("REMOVE_BUCKET")
		bucketCommand = true
	}
	p.byte(' ')
	if bucketCommand {
		p.bucketID("command_bucket_id:", m.CommandBucketID)
	}
	p.group(m.GroupID, m.GroupType, m.Buckets, &m.Props, !bucketCommand)
}
