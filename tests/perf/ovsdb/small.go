package main

import "strconv"

// small measures small transactions: of one client, of sixteen, and beside a
// thousand clients that do nothing or wait for something. All of it happens in
// the same server, as two processes of one program differ by chance.
func (b *bench) small() []row {
	var us, us16, idle, waits [2][]float64
	var ss [2]*server
	var one, many [2][]*client
	for i := range ss {
		ss[i] = b.start(i)
		defer ss[i].stop()
		one[i], many[i] = dialN(ss[i], 1), dialN(ss[i], 16)
	}
	call := func(c *client, _ int) { c.transact(small) }
	for range *rounds {
		for i, s := range ss {
			before, u1 := s.slice(one[i], call)
			others := idlers(s)
			withIdle, _ := s.slice(one[i], call)
			s.leave(others)
			between, u2 := s.slice(one[i], call)
			others = pend(s)
			withWaits, _ := s.slice(one[i], call)
			s.leave(others)
			after, u3 := s.slice(one[i], call)
			_, u16 := s.slice(many[i], call)
			us[i], us16[i] = append(us[i], u1, u2, u3), append(us16[i], u16)
			idle[i] = append(idle[i], 2*withIdle/(before+between))
			waits[i] = append(waits[i], 2*withWaits/(between+after))
		}
	}
	both := func(v [2][]float64) [2]float64 { return [2]float64{median(v[stock]), median(v[ours])} }
	return []row{
		less("small transaction, one client: server's CPU", "us", both(us), 1.5),
		less("... sixteen clients", "us", both(us16), 1.5),
		own("... rate with 1,000 idle connections, of that without", "", both(idle), atLeast(0.8, "")),
		own("... rate with 1,000 pending waits, of that without", "", both(waits), atLeast(0.8, "")),
	}
}

// idlers makes a thousand connections that the server knows of.
func idlers(s *server) []*client {
	out := dialN(s, 1000)
	for _, c := range out {
		c.call("echo", "[]")
	}
	return out
}

// pend makes a thousand requests that wait for bridges which do not come.
func pend(s *server) []*client {
	c := dial(s.sock)
	for i := range 1000 {
		c.send("transact", `["Open_vSwitch",{"op":"wait","table":"Bridge","where":[["name","==","x`+strconv.Itoa(i)+
			`"]],"columns":["name"],"until":"==","rows":[{"name":"x"}]}]`)
	}
	c.call("echo", "[]")
	return []*client{c}
}
