package server

import (
	"sort"

	"sluice/ovsdb/data"
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
)

// lock is one named lock; the first waiter owns it.
type lock struct {
	waiters []*waiter
}

// waiter is one session's interest in a lock.
type waiter struct {
	c     *session
	name  string
	steal bool
}

func (s *Server) owner(name string) *waiter {
	if l := s.locks[name]; l != nil && len(l.waiters) > 0 {
		return l.waiters[0]
	}
	return nil
}

func (c *session) ownsLock(name string) bool {
	w := c.locks[name]
	return w != nil && c.srv.owner(name) == w
}

const lockReadOnly = `"lock and unlock methods not allowed, DB server is read only."`

// lockName reads the parameter of lock, steal and unlock; it answers the
// request if that is wrong or nothing may be locked.
func (c *session) lockName(m *jsonrpc.Msg, params *json.Value) string {
	if c.readOnly() {
		c.reply(jsonrpc.NewError([]byte(lockReadOnly), m.ID))
		return ""
	}
	l := params.List()
	if len(l) != 1 || l[0].Kind() != json.String || !data.IsID(l[0].Str()) {
		c.replyError(m, data.SyntaxErrorf(params, "", "%s request params must be <id>", m.Method))
		return ""
	}
	return l[0].Str()
}

func (c *session) lock(m *jsonrpc.Msg, params *json.Value, steal bool) {
	name := c.lockName(m, params)
	if name == "" {
		return
	}
	if c.locks[name] != nil {
		c.replyError(m, data.SyntaxErrorf(params, "", "must issue \"unlock\" before new \"%s\"", m.Method))
		return
	}
	s := c.srv
	l := s.locks[name]
	if l == nil {
		l = &lock{}
		s.locks[name] = l
	}
	w := &waiter{c: c, name: name, steal: steal}
	if c.locks == nil {
		c.locks = map[string]*waiter{}
	}
	c.locks[name] = w
	switch {
	case !steal:
		l.waiters = append(l.waiters, w)
	case len(l.waiters) == 0:
		l.waiters = []*waiter{w}
	default:
		// The victim waits for the lock again, unless it has stolen it too.
		victim := l.waiters[0]
		rest := l.waiters
		if victim.steal {
			rest = rest[1:]
		}
		l.waiters = append([]*waiter{w}, rest...)
		victim.c.notifyLock(name, "stolen")
	}
	result := `{"locked":false}`
	if l.waiters[0] == w {
		result = `{"locked":true}`
	}
	c.reply(jsonrpc.NewReply([]byte(result), m.ID))
}

func (c *session) unlock(m *jsonrpc.Msg, params *json.Value) {
	name := c.lockName(m, params)
	if name == "" {
		return
	}
	w := c.locks[name]
	if w == nil {
		c.replyError(m, data.SyntaxErrorf(params, "", "%s: \"unlock\" without \"lock\" or \"steal\"", m.Method))
		return
	}
	c.dropLock(w)
	c.reply(jsonrpc.NewReply([]byte("{}"), m.ID))
}

// dropLock ends a session's interest in a lock; the next waiter gets it.
func (c *session) dropLock(w *waiter) {
	delete(c.locks, w.name)
	l := c.srv.locks[w.name]
	if l == nil {
		return // it was stolen, and given up since
	}
	for i, o := range l.waiters {
		if o != w {
			continue
		}
		l.waiters = append(l.waiters[:i:i], l.waiters[i+1:]...)
		if i == 0 && len(l.waiters) > 0 {
			l.waiters[0].c.notifyLock(w.name, "locked")
		}
		break
	}
	if len(l.waiters) == 0 {
		delete(c.srv.locks, w.name)
	}
}

func (c *session) notifyLock(name, method string) {
	c.js.Send(jsonrpc.NewNotify(method, jsonrpc.AppendStrings(nil, name)))
	c.written()
}

func (c *session) unlockAll() {
	for _, name := range c.lockNames(func(*waiter) bool { return true }) {
		c.dropLock(c.locks[name])
	}
}

// lockNames lists the session's locks that want accepts, sorted.
func (c *session) lockNames(want func(*waiter) bool) []string {
	var out []string
	for name, w := range c.locks {
		if want(w) {
			out = append(out, name)
		}
	}
	sort.Strings(out)
	return out
}
