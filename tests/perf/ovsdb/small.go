package main

import "strconv"

// small measures small transactions: of one client, of sixteen, and beside a
// thousand clients that do nothing or wait for something.
func (b *bench) small() []row {
	type contender struct {
		plain, idle, waits          *server
		one, many, oneIdle, oneWait []*client
		us, us16, besides, besidesW []float64
	}
	var cs [2]contender
	for i := range cs {
		c := &cs[i]
		c.plain, c.idle, c.waits = b.start(i), b.start(i), b.start(i)
		defer c.plain.stop()
		defer c.idle.stop()
		defer c.waits.stop()
		c.one, c.many = dialN(c.plain, 1), dialN(c.plain, 16)
		for range 1000 {
			dial(c.idle.sock)
		}
		c.oneIdle = dialN(c.idle, 1)
		pend(c.waits)
		c.oneWait = dialN(c.waits, 1)
	}
	call := func(c *client, _ int) { c.transact(small) }
	for range *rounds {
		for i := range cs {
			c := &cs[i]
			rate, us := c.plain.slice(c.one, call)
			idle, _ := c.idle.slice(c.oneIdle, call)
			waits, _ := c.waits.slice(c.oneWait, call)
			again, us2 := c.plain.slice(c.one, call)
			_, us16 := c.plain.slice(c.many, call)
			rate = (rate + again) / 2
			c.us, c.us16 = append(c.us, us, us2), append(c.us16, us16)
			c.besides, c.besidesW = append(c.besides, idle/rate), append(c.besidesW, waits/rate)
		}
	}
	both := func(f func(c *contender) []float64) [2]float64 {
		return [2]float64{median(f(&cs[stock])), median(f(&cs[ours]))}
	}
	return []row{
		less("small transaction, one client: server's CPU", "us", both(func(c *contender) []float64 { return c.us }), 1.5),
		less("... sixteen clients", "us", both(func(c *contender) []float64 { return c.us16 }), 1.5),
		own("... rate with 1,000 idle connections, of that without", "", both(func(c *contender) []float64 { return c.besides }), atLeast(0.8, "")),
		own("... rate with 1,000 pending waits, of that without", "", both(func(c *contender) []float64 { return c.besidesW }), atLeast(0.8, "")),
	}
}

// pend makes a thousand requests that wait for bridges which do not come.
func pend(s *server) {
	c := dial(s.sock)
	for i := range 1000 {
		c.send("transact", `["Open_vSwitch",{"op":"wait","table":"Bridge","where":[["name","==","x`+strconv.Itoa(i)+
			`"]],"columns":["name"],"until":"==","rows":[{"name":"x"}]}]`)
	}
	c.call("echo", "[]")
}
