package connmgr

import "sluice/internal/errno"

const maxSnoopers = 8

// addSnooper copies all messages to v from now on.
func (r *rconn) addSnooper(v *vconn) {
	if len(r.snoopers) >= maxSnoopers {
		logRconn.Dbg("too many monitor connections, discarding %s", v.name())
		v.close()
		return
	}
	logRconn.Info("new monitor connection from %s", v.name())
	v.anyVersion = true
	r.snoopers = append(r.snoopers, v)
}

func (r *rconn) runSnoopers() {
	for i := 0; i < len(r.snoopers); {
		s := r.snoopers[i]
		s.run()
		if _, err := s.recv(); err != nil && !isAgain(err) {
			r.closeSnooper(i, err)
			continue
		}
		i++
	}
}

func (r *rconn) copyToSnoopers(b []byte) {
	for i := 0; i < len(r.snoopers); {
		if err := r.snoopers[i].send(append([]byte(nil), b...)); err != nil && !isAgain(err) {
			r.closeSnooper(i, err)
			continue
		}
		i++
	}
}

func (r *rconn) closeSnooper(i int, err error) {
	logRconn.Dbg("%s: closing monitor connection to %s: %s", r.name, r.snoopers[i].name(), errno.Text(err))
	r.snoopers[i].close()
	last := len(r.snoopers) - 1
	r.snoopers[i] = r.snoopers[last]
	r.snoopers = r.snoopers[:last]
}
