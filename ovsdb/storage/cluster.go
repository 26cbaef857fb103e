package storage

import (
	"fmt"

	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
)

// Cluster is what a clustered database's file says of the cluster, of which
// this server must be the only member.
type Cluster struct {
	// ServerID and ClusterID identify the server and its cluster.
	ServerID, ClusterID data.UUID
	// Name is the database's name.
	Name string
	// Address is where the server would be reached by other members.
	Address string
	// Term counts the elections, Index the log entries.
	Term, Index int64
	// First is the index of the first entry in the file.
	First int64
	// EID is the id of the latest entry.
	EID data.UUID
	// ElectionTimer is in ms.
	ElectionTimer int64
	eidTerm       int64 // term of the latest entry
}

const defaultElectionTimer = 1000

func loadCluster(l *Log, to Loader) (Content, *data.Error) {
	c := &Cluster{ElectionTimer: defaultElectionTimer}
	body, err := l.Next()
	if err != nil {
		return Content{}, err
	}
	if err := c.header(body, to); err != nil {
		return Content{}, err.Wrap("%s: bad header of a clustered database", l.name)
	}
	n := 0
	for {
		body, err := l.Next()
		if err == nil && body == "" {
			break
		}
		if err == nil {
			if err = c.record(body, to); err != nil {
				l.Unread()
			}
		}
		if err != nil {
			fileLog.Warn("%s", err.Error())
			break
		}
		n++
	}
	l.EndRead()
	return Content{Records: n, Cluster: c}, nil
}

// header reads the first record; the snapshot in it may be very large.
func (c *Cluster) header(body string, to Loader) *data.Error {
	p := json.NewParser(body)
	rest := map[string]json.Value{}
	snapshot := -1
	// The snapshot's id stands beside it, in any order: find it first.
	err := p.Members(func(name string) error {
		if name == "prev_data" {
			snapshot = len(body) - len(p.Rest())
			return p.Skip()
		}
		v, err := p.Value()
		rest[name] = v
		return err
	})
	if err != nil {
		return data.SyntaxErrorf(nil, "", "%v", err)
	}
	if snapshot < 0 {
		return data.Errorf("", "the server has not joined its cluster, and clusters of several servers are not supported")
	}
	get := func(name string) data.UUID {
		v := rest[name]
		u, _ := data.ParseUUID(v.Str())
		return u
	}
	c.ServerID, c.ClusterID, c.EID = get("server_id"), get("cluster_id"), get("prev_eid")
	name, addr := rest["name"], rest["local_address"]
	c.Name, c.Address = name.Str(), addr.Str()
	term, index, timer, servers := rest["prev_term"], rest["prev_index"], rest["prev_election_timer"], rest["prev_servers"]
	c.Term, c.Index = term.Int(), index.Int()
	c.First, c.eidTerm = c.Index+1, c.Term
	if timer.Int() > 0 {
		c.ElectionTimer = timer.Int()
	}
	if err := c.checkServers(&servers); err != nil {
		return err
	}
	return c.apply(json.NewParser(body[snapshot:]), to, c.EID)
}

func (c *Cluster) checkServers(v *json.Value) *data.Error {
	if v.Len() != 1 || v.Get(c.ServerID.String()) == nil {
		return data.Errorf("", "clusters of several servers are not supported")
	}
	return nil
}

// apply reads [schema or null, transaction].
func (c *Cluster) apply(p *json.Parser, to Loader, id data.UUID) *data.Error {
	converted := false
	err := p.Elements(func(i int) error {
		if i == 0 {
			v, err := p.Value()
			if err != nil || v.Kind() == json.Null {
				return err
			}
			s, serr := data.ParseSchema(&v)
			if serr != nil {
				return serr
			}
			converted = true
			to.Schema(s, id)
			return nil
		}
		if i > 1 || p.Peek() != '{' || to.Tables() == nil {
			return p.Skip()
		}
		t, terr := applyNext(to.Tables(), p, false)
		if terr != nil {
			return terr
		}
		if !converted || len(t.Changes) > 0 {
			to.Txn(t, id)
		}
		return nil
	})
	if err == nil {
		return nil
	}
	if e, ok := err.(*data.Error); ok {
		return e
	}
	return data.SyntaxErrorf(nil, "", "%v", err)
}

// record reads one record after the header.
func (c *Cluster) record(body string, to Loader) *data.Error {
	v, jerr := json.Parse(body)
	if jerr != nil {
		return data.SyntaxErrorf(nil, "", "record is not valid JSON (%v)", jerr)
	}
	term, index := v.Get("term"), v.Get("index")
	if term != nil {
		c.Term = max(c.Term, term.Int())
	}
	if index == nil || term == nil {
		return nil // a vote, a leader, a commit index or a note
	}
	if servers := v.Get("servers"); servers != nil {
		if err := c.checkServers(servers); err != nil {
			return err
		}
	}
	if timer := v.Get("election_timer"); timer != nil {
		c.ElectionTimer = timer.Int()
	}
	if index.Int() != c.Index+1 {
		return data.Errorf("", "log entry %d follows entry %d", index.Int(), c.Index)
	}
	if d := v.Get("data"); d != nil {
		eid, _ := data.ParseUUID(v.Get("eid").Str())
		if err := c.apply(json.NewParser(d.Text()), to, eid); err != nil {
			return err
		}
		c.EID = eid
	}
	c.Index, c.eidTerm = index.Int(), term.Int()
	return nil
}

// clusterFormat writes transactions as entries of the raft log. Being the only
// member the server is its own leader and whatever it has written is committed.
type clusterFormat struct {
	*Cluster
}

func newClusterFormat(c *Cluster) *clusterFormat {
	f := &clusterFormat{c}
	f.Term++
	return f
}

func record(dst []byte, format string, args ...any) []byte {
	return Frame(dst, MagicCluster, fmt.Appendf(nil, format, args...))
}

// begin votes for this server, makes it the leader of a new term and adds the
// empty entry that a term begins with.
func (f *clusterFormat) begin(dst []byte) []byte {
	dst = record(dst, `{"term":%d,"vote":"%s"}`, f.Term, f.ServerID)
	dst = record(dst, `{"leader":"%s","term":%d}`, f.ServerID, f.Term)
	f.Index++
	f.eidTerm = f.Term
	dst = record(dst, `{"index":%d,"term":%d}`, f.Index, f.Term)
	return record(dst, `{"commit_index":%d}`, f.Index)
}

func (f *clusterFormat) frame(dst, body []byte, id data.UUID) []byte {
	f.Index++
	f.EID, f.eidTerm = id, f.Term
	dst = record(dst, `{"data":[null,%s],"eid":"%s","index":%d,"term":%d}`, body, id, f.Index, f.Term)
	return record(dst, `{"commit_index":%d}`, f.Index)
}

func (f *clusterFormat) alwaysDurable() bool { return true }
func (f *clusterFormat) save() any           { return *f.Cluster }
func (f *clusterFormat) restore(state any)   { *f.Cluster = state.(Cluster) }

func (f *clusterFormat) mark(id data.UUID) base {
	if !id.IsZero() {
		f.Index++
		f.EID, f.eidTerm = id, f.Term
	}
	f.First = f.Index + 1
	return clusterBase{*f.Cluster}
}

// clusterBase is the state of the log at a snapshot.
type clusterBase struct{ Cluster }

// write writes the header with the snapshot, and our vote.
func (b clusterBase) write(out *Log, c *compaction, opts Options) *data.Error {
	out.magic = MagicCluster
	err := out.appendStream(func(write func([]byte) error) error {
		head := fmt.Appendf(nil, `{"cluster_id":"%s","local_address":`, b.ClusterID)
		head = json.AppendString(head, b.Address)
		head = append(head, `,"name":`...)
		head = json.AppendString(head, b.Name)
		head = fmt.Appendf(head, `,"prev_eid":"%s","prev_election_timer":%d,"prev_index":%d,"prev_servers":{"%s":`,
			b.EID, b.ElectionTimer, b.Index, b.ServerID)
		head = json.AppendString(head, b.Address)
		head = fmt.Appendf(head, `},"prev_term":%d,"server_id":"%s","prev_data":[`, b.eidTerm, b.ServerID)
		schema := c.schema.JSON()
		head = schema.Append(head)
		if err := write(append(head, ',')); err != nil {
			return err
		}
		if err := encodeContents(c.schema, c.rows, c.comment, c.wall, opts, write); err != nil {
			return err
		}
		return write([]byte("]}"))
	})
	if err != nil {
		return err
	}
	return out.append(record(nil, `{"term":%d,"vote":"%s"}`, b.Term, b.ServerID))
}

// Cluster tells the state of a clustered database's log, nil for others.
func (w *Writer) Cluster() *Cluster {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f, ok := w.format.(*clusterFormat); ok && !w.busy {
		c := *f.Cluster
		w.shown = &c
	}
	return w.shown
}
