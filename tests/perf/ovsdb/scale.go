package main

import (
	"fmt"
	"time"
)

// scale measures what must not grow with the database.
func (b *bench) scale() []row {
	n := *ports / 10
	var rate, flat [2]float64
	for i := range rate {
		rate[i], flat[i] = b.onebyone(i, n)
	}
	name := fmt.Sprintf("%d ports inserted one by one", n)
	rows := []row{
		more(name, "/s", rate, 2),
		own("... time of the first tenth to that of the last", "x", flat, atLeast(1, "x")),
	}
	rows = append(rows, b.indexed(n)...)
	return append(rows, b.monitors(), b.initials(n))
}

// onebyone inserts ports; flat compares the first tenth of them to the last.
func (b *bench) onebyone(program, n int) (rate, flat float64) {
	s := b.start(program)
	defer s.stop()
	c := dial(s.sock)
	c.transact(addBridge)
	var first, last time.Duration
	begin, mark := time.Now(), time.Now()
	for i := range n {
		if i == n-n/10 {
			mark = time.Now()
		}
		c.transact(addPort(i)...)
		if i == n/10-1 {
			first = time.Since(begin)
		}
	}
	last = time.Since(mark)
	return float64(n) / time.Since(begin).Seconds(), first.Seconds() / last.Seconds()
}

// indexed compares finding a row by an indexed column to finding it by UUID.
func (b *bench) indexed(n int) []row {
	var sel, upd [2]float64
	for i := range sel {
		s := b.startOn(i, b.database(n))
		c := dialN(s, 1)
		uuids := make([]string, 100)
		for k := range uuids {
			text := string(c[0].transact(fmt.Sprintf(`{"op":"select","table":"Port","where":[["name","==","p%d"]],"columns":["_uuid"]}`, k*n/100)))
			if _, err := fmt.Sscanf(text, `[{"rows":[{"_uuid":["uuid","%36s"]}]}]`, &uuids[k]); err != nil {
				fatal(err, text)
			}
		}
		where := [2]func(k int) string{
			func(k int) string { return fmt.Sprintf(`["name","==","p%d"]`, k*n/100) },
			func(k int) string { return fmt.Sprintf(`["_uuid","==",["uuid","%s"]]`, uuids[k]) },
		}
		var selects, updates [2][]float64
		for range *rounds {
			for w := range where {
				r, _ := s.slice(c, func(c *client, k int) {
					c.transact(`{"op":"select","table":"Port","where":[` + where[w](k%100) + `],"columns":["tag"]}`)
				})
				selects[w] = append(selects[w], 1/r)
				r, _ = s.slice(c, func(c *client, k int) {
					c.transact(fmt.Sprintf(`{"op":"update","table":"Port","where":[%s],"row":{"tag":%d}}`, where[w](k%100), k%4000))
				})
				updates[w] = append(updates[w], 1/r)
			}
		}
		sel[i], upd[i] = median(selects[0])/median(selects[1]), median(updates[0])/median(updates[1])
		s.stop()
	}
	at := fmt.Sprintf(" at %d rows", n)
	return []row{
		own("select by an indexed column: time to that by _uuid,"+at, "x", sel, atMost(2, "x")),
		own("update by an indexed column: time to that by _uuid,"+at, "x", upd, atMost(2, "x")),
	}
}

// monitors compares what a transaction costs under a hundred monitors with
// conditions of their own to what it costs under one.
func (b *bench) monitors() row {
	var v [2]float64
	for i := range v {
		one, hundred := b.watched(i, 1), b.watched(i, 100)
		var us [2][]float64
		for range *rounds {
			for k, s := range []*server{one, hundred} {
				_, u := s.slice(dialN(s, 1), func(c *client, n int) {
					c.transact(fmt.Sprintf(`{"op":"update","table":"Port","where":[["name","==","p%d"]],"row":{"tag":%d}}`, n%100, n%4000))
				})
				us[k] = append(us[k], u)
			}
		}
		v[i] = median(us[1]) / median(us[0])
		one.stop()
		hundred.stop()
	}
	return own("100 monitors with conditions: CPU of a transaction to that under one", "x", v, atMost(2, "x"))
}

// watched starts a server with 200 ports and monitors: one of all ports, or
// several with a condition each.
func (b *bench) watched(program, monitors int) *server {
	s := b.startOn(program, b.database(200))
	for i := range monitors {
		m := dial(s.sock)
		where := ""
		if monitors > 1 {
			where = fmt.Sprintf(`,"where":[["name","==","p%d"]]`, i)
		}
		m.call("monitor_cond", fmt.Sprintf(`["Open_vSwitch",null,{"Port":[{"columns":["name","tag"]%s}]}]`, where))
		m.drain()
	}
	return s
}

// initials measures twenty clients that ask for everything at once.
func (b *bench) initials(n int) row {
	var v [2]float64
	for i := range v {
		s := b.startOn(i, b.database(n))
		var all []float64
		for range 3 {
			cs := dialN(s, 20)
			cpu := s.cpu()
			for _, c := range cs {
				c.send("monitor_cond", everything)
			}
			for _, c := range cs {
				c.skip()
			}
			all = append(all, (s.cpu()-cpu)*1000)
			for _, c := range cs {
				c.c.Close()
			}
			dial(s.sock).transact(small) // makes what was composed obsolete
		}
		v[i] = median(all)
		s.stop()
	}
	return less(fmt.Sprintf("20 initial monitors of %d ports at once: CPU", n), "ms", v, 0.3)
}
