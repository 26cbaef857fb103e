package table

import (
	"fmt"
	"runtime"
	"testing"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
)

func output(port uint32) action.List { return action.List{&action.Output{Port: port}} }

func inPort(port uint32) (m match.Match) {
	m.Flow.InPort, m.Mask.InPort = port, ^uint32(0)
	return m
}

func mod(command uint8, m match.Match, pri uint16, l action.List) *ofp.FlowMod {
	return &ofp.FlowMod{
		Command: command, Match: m, Priority: pri, Actions: l, BufferID: ofp.NoBuffer,
		OutPort: flow.OFPNone, OutGroup: ofp.GroupAny,
	}
}

func apply(t *testing.T, s *Set, fm *ofp.FlowMod, now int64, want error) {
	t.Helper()
	if err := s.Apply(fm, Requester{}, now); err != want {
		t.Fatalf("flow_mod: %v, want %v", err, want)
	}
}

// flows shows table 0 in a line.
func flows(s *Set) string {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	rules, _ := s.Collect(&Criteria{OutPort: flow.OFPNone, OutGroup: ofp.GroupAny}, nil)
	out := ""
	for _, r := range rules {
		m := r.Match()
		out += fmt.Sprintf("%d:%d:%x", r.Priority(), m.Flow.InPort, r.Cookie)
		for _, a := range r.Actions {
			if o, ok := a.(*action.Output); ok {
				out += fmt.Sprintf(">%d", o.Port)
			}
		}
		out += " "
	}
	return out
}

func expect(t *testing.T, s *Set, want string) {
	t.Helper()
	if got := flows(s); got != want {
		t.Fatalf("flows %q, want %q", got, want)
	}
}

func TestFlowMods(t *testing.T) {
	s := New(0)
	fm := mod(ofp.FlowAdd, inPort(1), 10, output(2))
	fm.NewCookie = 5
	apply(t, s, fm, 100, nil)
	apply(t, s, mod(ofp.FlowAdd, inPort(2), 10, output(3)), 100, nil)
	expect(t, s, "10:1:5>2 10:2:0>3 ")

	// A modify keeps cookie, creation and counters, an add of the same flow replaces.
	r := s.Table(0).Lookup(s.Version(), &flow.Flow{InPort: 1}, nil)
	r.Credit(3, 300, 150)
	fm = mod(ofp.FlowModify, match.Match{}, 0, output(9))
	fm.NewCookie = ofp.NoCookie
	apply(t, s, fm, 200, nil)
	expect(t, s, "10:1:5>9 10:2:0>9 ")
	n := s.Table(0).Lookup(s.Version(), &flow.Flow{InPort: 1}, nil)
	if p, b := n.Stats(); n == r || p != 3 || b != 300 || n.Created != 100 || n.Modified() != 200 || n.Used() != 150 {
		t.Fatalf("modified flow: %d packets, created %d, modified %d, used %d", p, n.Created, n.Modified(), n.Used())
	}
	// Packets that the old flow handled are counted for the new one.
	r.Credit(1, 100, 160)
	if p, _ := n.Stats(); p != 4 {
		t.Fatalf("late packets: %d", p)
	}
	fm = mod(ofp.FlowAdd, inPort(1), 10, output(2))
	fm.Flags = ofp.FlowResetCounts
	apply(t, s, fm, 300, nil)
	n = s.Table(0).Lookup(s.Version(), &flow.Flow{InPort: 1}, nil)
	if p, _ := n.Stats(); p != 0 || n.Created != 300 {
		t.Fatalf("added flow: %d packets, created %d", p, n.Created)
	}
	s.Reclaim()
	s.Reclaim()

	// A strict modify that finds nothing adds, unless its cookie forbids.
	apply(t, s, mod(ofp.FlowModifyStrict, inPort(3), 7, output(1)), 400, nil)
	fm = mod(ofp.FlowModifyStrict, inPort(4), 7, output(1))
	fm.CookieMask = 1
	apply(t, s, fm, 400, nil)
	expect(t, s, "10:2:0>9 10:1:0>2 7:3:0>1 ")

	// Deletes by cookie, by port, strict and loose.
	fm = mod(ofp.FlowDelete, match.Match{}, 0, nil)
	fm.OutPort = 9
	apply(t, s, fm, 500, nil)
	apply(t, s, mod(ofp.FlowDeleteStrict, inPort(1), 9, nil), 500, nil)
	expect(t, s, "10:1:0>2 7:3:0>1 ")
	fm = mod(ofp.FlowDelete, match.Match{}, 0, nil)
	fm.TableID = ofp.TableAll
	apply(t, s, fm, 500, nil)
	expect(t, s, "")
	fm.TableID = TableInternal // hidden rules are simply not there
	apply(t, s, fm, 500, nil)
	if s.Table(TableInternal).Len() != 4 {
		t.Fatal("internal rules went")
	}
	fm = mod(ofp.FlowAdd, inPort(1), 1, nil)
	fm.TableID = TableInternal
	apply(t, s, fm, 500, oferr.OFPBRC_EPERM)
	fm.TableID, fm.BufferID = 0, 7
	apply(t, s, fm, 500, oferr.OFPBRC_BUFFER_UNKNOWN)
}

func TestOverlapAndLimits(t *testing.T) {
	s := New(0)
	apply(t, s, mod(ofp.FlowAdd, inPort(1), 10, nil), 0, nil)
	m := match.Match{}
	m.Flow.DLType, m.Mask.DLType = 0x800, 0xffff
	fm := mod(ofp.FlowAdd, m, 10, nil)
	fm.Flags = ofp.FlowCheckOverlap
	apply(t, s, fm, 0, oferr.OFPFMFC_OVERLAP)
	fm.Priority = 11
	apply(t, s, fm, 0, nil)

	s.Configure(0, Config{MaxFlows: 2})
	apply(t, s, mod(ofp.FlowAdd, inPort(2), 10, nil), 0, oferr.OFPFMFC_TABLE_FULL)
	apply(t, s, mod(ofp.FlowAdd, inPort(1), 10, output(4)), 0, nil)
	s.Configure(0, Config{MaxFlows: 2, Evict: true})
	apply(t, s, mod(ofp.FlowAdd, inPort(2), 10, nil), 0, oferr.OFPFMFC_TABLE_FULL) // none may be evicted
	s.Configure(0, Config{MaxFlows: 4, Evict: true})
	for i, idle := range []uint16{30, 20} {
		fm := mod(ofp.FlowAdd, inPort(uint32(20+i)), 1, nil)
		fm.IdleTimeout = idle
		apply(t, s, fm, 0, nil)
	}
	apply(t, s, mod(ofp.FlowAdd, inPort(2), 10, nil), 0, nil)
	expect(t, s, "11:0:0 10:1:0>4 1:20:0 10:2:0 ")
	if n, _ := s.Table(0).Limits(); n != 4 {
		t.Fatalf("%d flows", n)
	}
	s.Configure(0, Config{MaxFlows: 3, Evict: true})
	expect(t, s, "11:0:0 10:1:0>4 10:2:0 ")
}

func TestBundleRollsBack(t *testing.T) {
	s := New(0)
	apply(t, s, mod(ofp.FlowAdd, inPort(1), 10, output(2)), 0, nil)
	before, version := flows(s), s.Version()
	seen := s.Table(0).Lookup(version, &flow.Flow{InPort: 1}, nil)

	s.Mu.Lock()
	s.TakeEvents()
	x := s.Begin()
	for _, fm := range []*ofp.FlowMod{
		mod(ofp.FlowAdd, inPort(1), 10, output(5)),
		mod(ofp.FlowAdd, inPort(7), 10, output(5)),
		mod(ofp.FlowModify, match.Match{}, 0, output(6)),
		mod(ofp.FlowDelete, inPort(7), 0, nil),
	} {
		m, err := s.NewFlowMod(fm, 1)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.Flow(m, Requester{}); err != nil {
			t.Fatal(err)
		}
	}
	g := s.NewGroupMod(&ofp.GroupMod{Command: ofp.GroupCmdAdd, GroupID: 3}, 1)
	if err := x.Group(g, Requester{}); err != nil {
		t.Fatal(err)
	}
	if s.Table(0).Lookup(version, &flow.Flow{InPort: 1}, nil) != seen || s.Group(version, 3) != nil {
		t.Fatal("changes are visible before the commit")
	}
	bad, err := s.NewFlowMod(mod(ofp.FlowAdd, inPort(8), 1, action.List{&action.Group{ID: 99}}), 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := x.Flow(bad, Requester{}); err != oferr.OFPBAC_BAD_OUT_GROUP {
		t.Fatalf("unknown group: %v", err)
	}
	x.Rollback()
	if e := s.TakeEvents(); len(e) != 0 {
		t.Fatalf("%d events of what did not happen", len(e))
	}
	s.Mu.Unlock()
	expect(t, s, before)
	if s.Version() != version || s.Table(0).Lookup(version, &flow.Flow{InPort: 1}, nil) != seen || s.nGroups[0] != 0 {
		t.Fatal("something is left of the bundle")
	}
}

func TestExpiry(t *testing.T) {
	s := New(0)
	add := func(port uint32, idle, hard uint16) {
		fm := mod(ofp.FlowAdd, inPort(port), 1, nil)
		fm.IdleTimeout, fm.HardTimeout, fm.Flags = idle, hard, ofp.FlowSendRem
		apply(t, s, fm, 0, nil)
	}
	add(1, 10, 0)
	add(2, 0, 20)
	add(3, 10, 15)
	s.Table(0).Lookup(s.Version(), &flow.Flow{InPort: 3}, nil).Credit(1, 60, 9000)
	for _, step := range []struct {
		now  int64
		want string
	}{{10000, "1:1:0 1:2:0 1:3:0 "}, {10001, "1:2:0 1:3:0 "}, {15001, "1:2:0 "}, {20001, ""}} {
		s.Expire(step.now)
		expect(t, s, step.want)
	}
	var reasons []ofp.FlowReason
	s.Mu.Lock()
	for _, e := range s.TakeEvents() {
		if e.Kind == FlowRemoved {
			reasons = append(reasons, e.Reason)
		}
	}
	s.Mu.Unlock()
	if fmt.Sprint(reasons) != fmt.Sprint([]ofp.FlowReason{ofp.RemovedIdleTimeout, ofp.RemovedHardTimeout, ofp.RemovedHardTimeout}) {
		t.Errorf("reasons %v", reasons)
	}
}

func TestGroups(t *testing.T) {
	s := New(0)
	do := func(gm ofp.GroupMod, want error) *GroupMod {
		t.Helper()
		m := s.NewGroupMod(&gm, 1)
		s.Mu.Lock()
		defer s.Mu.Unlock()
		x := s.Begin()
		err := x.Group(m, Requester{})
		if err != want {
			t.Fatalf("group_mod: %v, want %v", err, want)
		}
		if err == nil {
			x.Commit()
		} else {
			x.Rollback()
		}
		return m
	}
	buckets := func(ids ...uint32) (b []ofp.Bucket) {
		for _, id := range ids {
			b = append(b, ofp.Bucket{BucketID: id})
		}
		return b
	}
	ids := func() (out string) {
		for _, b := range s.Group(s.Version(), 1).Buckets {
			out += fmt.Sprint(b.BucketID, " ")
		}
		return out
	}
	do(ofp.GroupMod{Command: ofp.GroupCmdModify, GroupID: 1}, oferr.OFPGMFC_UNKNOWN_GROUP)
	do(ofp.GroupMod{Command: ofp.GroupCmdAdd, GroupID: 1, Buckets: buckets(1, 2)}, nil)
	do(ofp.GroupMod{Command: ofp.GroupCmdAdd, GroupID: 1}, oferr.OFPGMFC_GROUP_EXISTS)
	for _, tc := range []struct {
		command uint16
		at      uint32
		add     []ofp.Bucket
		want    error
		ids     string
	}{
		{ofp.GroupCmdInsertBucket, ofp.BucketLast, buckets(5), nil, "1 2 5 "},
		{ofp.GroupCmdInsertBucket, ofp.BucketFirst, buckets(6), nil, "6 1 2 5 "},
		{ofp.GroupCmdInsertBucket, 1, buckets(7, 8), nil, "6 1 7 8 2 5 "},
		{ofp.GroupCmdInsertBucket, 99, buckets(9), oferr.OFPGMFC_UNKNOWN_BUCKET, "6 1 7 8 2 5 "},
		{ofp.GroupCmdInsertBucket, ofp.BucketLast, buckets(1), oferr.OFPGMFC_BUCKET_EXISTS, "6 1 7 8 2 5 "},
		{ofp.GroupCmdRemoveBucket, 7, nil, nil, "6 1 8 2 5 "},
		{ofp.GroupCmdRemoveBucket, ofp.BucketFirst, nil, nil, "1 8 2 5 "},
		{ofp.GroupCmdRemoveBucket, ofp.BucketLast, nil, nil, "1 8 2 "},
		{ofp.GroupCmdRemoveBucket, 99, nil, oferr.OFPGMFC_UNKNOWN_BUCKET, "1 8 2 "},
		{ofp.GroupCmdRemoveBucket, ofp.BucketAll, nil, nil, ""},
	} {
		do(ofp.GroupMod{Command: tc.command, GroupID: 1, CommandBucketID: tc.at, Buckets: tc.add}, tc.want)
		if got := ids(); got != tc.ids {
			t.Fatalf("buckets %q, want %q", got, tc.ids)
		}
	}
	// Flows that use a group go with it.
	apply(t, s, mod(ofp.FlowAdd, inPort(1), 1, action.List{&action.Group{ID: 1}}), 1, nil)
	apply(t, s, mod(ofp.FlowAdd, inPort(2), 1, nil), 1, nil)
	if s.Group(s.Version(), 1).NRules() != 1 {
		t.Fatal("the group does not know its flow")
	}
	old := s.Version()
	do(ofp.GroupMod{Command: ofp.GroupCmdDelete, GroupID: ofp.GroupAll}, nil)
	expect(t, s, "1:2:0 ")
	if s.Group(s.Version(), 1) != nil || s.Group(old, 1) == nil {
		t.Fatal("visibility of a deleted group")
	}
	s.Reclaim()
	s.Reclaim()
	if s.Group(old, 1) != nil {
		t.Fatal("a deleted group stays")
	}
}

func TestLearn(t *testing.T) {
	s := New(0)
	fm := mod(ofp.FlowModifyStrict, inPort(1), 5, output(7))
	fm.NewCookie, fm.ModifyCookie, fm.HardTimeout = 9, true, 10
	r, below, err := s.Learn(fm, 1, 1000)
	if err != nil || !below || r == nil {
		t.Fatal(r, below, err)
	}
	again, _, err := s.Learn(fm, 1, 3000)
	if err != nil || again != r || r.Modified() != 3000 {
		t.Fatal("a known flow is not just refreshed")
	}
	fm2 := *fm
	fm2.Match = inPort(2)
	if _, below, _ := s.Learn(&fm2, 1, 3000); below {
		t.Fatal("limit not kept")
	}
	s.Expire(13001)
	expect(t, s, "")
	if n, err := s.Refresh(r, 0, 14000); err != nil || n == r || n.Removed() {
		t.Fatal("a flow that expired is not put back", err)
	}
	expect(t, s, "5:1:9>7 ")
}

func TestDeleteLearned(t *testing.T) {
	s := New(0)
	learn := action.List{&action.Learn{Cookie: 0x77, Flags: action.LearnDeleteLearned}}
	apply(t, s, mod(ofp.FlowAdd, inPort(1), 9, learn), 0, nil)
	apply(t, s, mod(ofp.FlowAdd, inPort(2), 9, learn), 0, nil)
	fm := mod(ofp.FlowAdd, inPort(3), 5, nil)
	fm.NewCookie = 0x77
	apply(t, s, fm, 0, nil)
	apply(t, s, mod(ofp.FlowDeleteStrict, inPort(1), 9, nil), 0, nil)
	expect(t, s, "9:2:0 5:3:77 ")
	apply(t, s, mod(ofp.FlowDeleteStrict, inPort(2), 9, nil), 0, nil)
	expect(t, s, "")
}

func TestReadersKeepRules(t *testing.T) {
	s := New(0)
	apply(t, s, mod(ofp.FlowAdd, inPort(1), 1, nil), 0, nil)
	r := NewReader()
	defer r.Close()
	r.Enter()
	v := s.Version()
	apply(t, s, mod(ofp.FlowDelete, match.Match{}, 0, nil), 0, nil)
	s.Reclaim()
	s.Reclaim()
	if s.Table(0).Lookup(v, &flow.Flow{InPort: 1}, nil) == nil {
		t.Fatal("a rule left while a reader needs it")
	}
	r.Exit()
	s.Reclaim()
	if s.Table(0).Len() != 0 {
		t.Fatal("a removed rule stays")
	}
}

// load fills s with n flows of five shapes in 40 tables.
func load(s *Set, n int) error {
	for i := range n {
		var m match.Match
		m.Flow.DLType, m.Mask.DLType = flow.EthIPv4, 0xffff
		m.Flow.NwDst, m.Mask.NwDst = uint32(i), ^uint32(0)
		switch i % 5 {
		case 1:
			m.Flow.NwSrc, m.Mask.NwSrc = uint32(i*3), 0xffffff00&^0
			m.Flow.NwSrc &= m.Mask.NwSrc
		case 2:
			m.Flow.NwProto, m.Mask.NwProto, m.Flow.TpDst, m.Mask.TpDst = 6, 0xff, uint16(i), 0xffff
		case 3:
			m.Flow.Metadata, m.Mask.Metadata = uint64(i), ^uint64(0)
		case 4:
			m.Flow.Regs[0], m.Mask.Regs[0] = uint32(i), ^uint32(0)
		}
		fm := mod(ofp.FlowAdd, m, uint16(100+i%3), action.List{&action.Output{Port: uint32(i%100 + 1)}})
		fm.TableID = uint8(i % 40)
		fm.NewCookie = uint64(i)
		if err := s.Apply(fm, Requester{}, 0); err != nil {
			return err
		}
		if i%1000 == 0 {
			s.TakeEvents()
		}
	}
	return nil
}

// TestMemory keeps the memory of a rule below 1 KB.
func TestMemory(t *testing.T) {
	const n = 50000
	var before, after runtime.MemStats
	s := New(0)
	runtime.GC()
	runtime.ReadMemStats(&before)
	if err := load(s, n); err != nil {
		t.Fatal(err)
	}
	s.TakeEvents()
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := int(after.HeapAlloc-before.HeapAlloc) / n
	if each > 1024 {
		t.Errorf("%d bytes a rule", each)
	}
	t.Logf("%d bytes a rule", each)
	runtime.KeepAlive(s)
}

func BenchmarkLoad100k(b *testing.B) {
	for b.Loop() {
		if err := load(New(0), 100000); err != nil {
			b.Fatal(err)
		}
	}
}
