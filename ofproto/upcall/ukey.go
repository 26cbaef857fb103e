package upcall

import (
	"sync"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/xlate"
)

// ukeyID names a datapath flow: polling threads hold flows of their own.
type ukeyID struct {
	ufid flow.UFID
	pmd  int
}

// ukey is what we know about a flow that we put into the datapath.
//
// Thread-safety: the thread that translated the miss makes it; once it is in the
// map, only the control thread changes it, but for installed.
type ukey struct {
	id      ukeyID
	key     packed
	mask    packed
	actions []odp.Action
	effects []xlate.Effect // nil: not translated yet
	recircs []uint32       // ids that it holds references to
	stats   dpif.FlowStats // as of the last push
	latest  dpif.FlowStats // as of the last dump
	created int64          // ms
	reval   uint64         // revalidation sequence that it agrees with
	seen    uint64         // dump that saw it last
	since   uint64         // dump in progress, or last done, when it was made
}

const nShards = 64

// ukeyMap is all ukeys by id.
type ukeyMap struct {
	shards [nShards]struct {
		mu sync.Mutex
		m  map[ukeyID]*ukey
		_  [40]byte
	}
}

func (m *ukeyMap) init() {
	for i := range m.shards {
		m.shards[i].m = map[ukeyID]*ukey{}
	}
}

// insert adds k unless there is one with its id already.
func (m *ukeyMap) insert(k *ukey) bool {
	s := &m.shards[k.id.ufid.Lo%nShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[k.id] != nil {
		return false
	}
	s.m[k.id] = k
	return true
}

func (m *ukeyMap) get(id ukeyID) *ukey {
	s := &m.shards[id.ufid.Lo%nShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.m[id]
}

func (m *ukeyMap) remove(k *ukey) bool {
	s := &m.shards[k.id.ufid.Lo%nShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m[k.id] != k {
		return false
	}
	delete(s.m, k.id)
	return true
}

func (m *ukeyMap) len() int {
	n := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		n += len(s.m)
		s.mu.Unlock()
	}
	return n
}

// all appends all ukeys to out, in no particular order.
func (m *ukeyMap) all(out []*ukey) []*ukey {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for _, k := range s.m {
			out = append(out, k)
		}
		s.mu.Unlock()
	}
	return out
}

// unseen appends the ukeys of a shard that a dump has not seen and returns how many
// the shard has.
func (m *ukeyMap) unseen(shard int, dump uint64, out *[]*ukey) int {
	s := &m.shards[shard]
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.m {
		if k.seen != dump {
			*out = append(*out, k)
		}
	}
	return len(s.m)
}

// equalActions compares lists of datapath actions.
func equalActions(a, b []odp.Action) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := &a[i], &b[i]
		if x.Type != y.Type || x.EtherType != y.EtherType || x.Port != y.Port || x.Arg != y.Arg || x.VLAN != y.VLAN ||
			!equalActions(x.Nested, y.Nested) || !equalActions(x.Else, y.Else) || !equalExt(x.Ext, y.Ext) {
			return false
		}
	}
	return true
}
