package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

// client is a connection with a server.
type client struct {
	c net.Conn
	r *bufio.Reader
	d *json.Decoder
	n int
}

// dialed keeps connections that nobody uses any more from being collected,
// which would close them.
var dialed []*client

func dial(sock string) *client {
	end := time.Now().Add(time.Minute)
	for {
		c, err := net.Dial("unix", sock)
		if err == nil {
			r := bufio.NewReader(c)
			dialed = append(dialed, &client{c: c, r: r, d: json.NewDecoder(r)})
			return dialed[len(dialed)-1]
		}
		if time.Now().After(end) {
			fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
}

func (c *client) send(method, params string) {
	c.n++
	fmt.Fprintf(c.c, `{"id":%d,"method":"%s","params":%s}`, c.n, method, params)
}

type reply struct {
	ID     *json.RawMessage
	Method string
	Result json.RawMessage
	Error  json.RawMessage
}

// recv waits for a reply, passing over notifications.
func (c *client) recv() reply {
	for {
		var r reply
		if err := c.d.Decode(&r); err != nil {
			fatal(err)
		}
		if r.Method == "" {
			return r
		}
	}
}

func (c *client) call(method, params string) json.RawMessage {
	c.send(method, params)
	return check(method, c.recv())
}

func check(method string, r reply) json.RawMessage {
	if len(r.Error) > 0 && string(r.Error) != "null" || strings.Contains(string(r.Result[:min(len(r.Result), 1000)]), `"error"`) {
		fatal(method, string(r.Error), string(r.Result[:min(len(r.Result), 300)]))
	}
	return r.Result
}

func (c *client) transact(ops ...string) json.RawMessage {
	return c.call("transact", `["Open_vSwitch",`+strings.Join(ops, ",")+`]`)
}

// skip reads one message without a look at what it says, which costs less than
// decoding it: nothing else may have been received of the connection.
func (c *client) skip() {
	depth, quoted, escaped := 0, false, false
	for {
		b, err := c.r.ReadByte()
		if err != nil {
			fatal(err)
		}
		switch {
		case escaped:
			escaped = false
		case b == '\\':
			escaped = true
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{':
			depth++
		case b == '}':
			if depth--; depth == 0 {
				return
			}
		}
	}
}

// drain takes what the server sends from now on, in the background.
func (c *client) drain() {
	go func() {
		buf := make([]byte, 1<<16)
		for {
			if _, err := c.c.Read(buf); err != nil {
				return
			}
		}
	}()
}

const (
	small   = `{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["next_cfg","+=",1]]}`
	durable = `{"op":"commit","durable":true}`
	// everything is a monitor's request for all that grows with the ports.
	everything = `["Open_vSwitch",null,{"Port":[{}],"Interface":[{}],"Bridge":[{}]}]`
)

func addPort(i int) []string {
	return []string{
		fmt.Sprintf(`{"op":"insert","table":"Interface","uuid-name":"i%d","row":{"name":"p%d"}}`, i, i),
		fmt.Sprintf(`{"op":"insert","table":"Port","uuid-name":"p%d","row":{"name":"p%d","interfaces":["named-uuid","i%d"],"external_ids":["map",[["iface-id","x%d"]]]}}`, i, i, i, i),
		fmt.Sprintf(`{"op":"mutate","table":"Bridge","where":[["name","==","br0"]],"mutations":[["ports","insert",["named-uuid","p%d"]]]}`, i),
	}
}

const addBridge = `{"op":"insert","table":"Bridge","uuid-name":"b","row":{"name":"br0"}},` +
	`{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["bridges","insert",["named-uuid","b"]]]}`

// fill makes a bridge with ports, 200 to a transaction.
func fill(c *client, n int) {
	c.transact(addBridge)
	for i := 0; i < n; {
		var ops []string
		for j := 0; j < 200 && i < n; j++ {
			ops = append(ops, addPort(i)...)
			i++
		}
		c.transact(ops...)
	}
}

// prober is a client that sends a request every millisecond. It does not wait
// for the replies: who does sends nothing while the server stands still, and
// counts one long wait where a thousand clients would have had one each.
type prober struct {
	c    *client
	sent chan time.Time
	done chan bool
	wg   sync.WaitGroup
	got  []float64 // how long each waited, in ms
}

const probePeriod = time.Millisecond

// probe starts a prober that sends op.
func probe(sock, op string) *prober {
	p := &prober{c: dial(sock), sent: make(chan time.Time, 1<<20), done: make(chan bool)}
	p.c.call("set_db_change_aware", "[true]")
	p.wg.Add(2)
	go p.send(op)
	go p.recv()
	return p
}

func (p *prober) send(op string) {
	defer p.wg.Done()
	defer close(p.sent)
	late := false
	for next := time.Now(); ; next = next.Add(probePeriod) {
		select {
		case <-p.done:
			if !late {
				return
			}
		default:
		}
		time.Sleep(time.Until(next))
		// That this program was not run in time is not the server's fault;
		// that it does not read is: what could not be sent counts from when it
		// should have been.
		if !late {
			next = time.Now()
		}
		p.sent <- next
		p.c.send("transact", `["Open_vSwitch",`+op+`]`)
		late = time.Since(next) > probePeriod
	}
}

func (p *prober) recv() {
	defer p.wg.Done()
	for at := range p.sent {
		check("transact", p.c.recv())
		p.got = append(p.got, time.Since(at).Seconds()*1000)
	}
}

// stop ends the prober when all replies are there.
func (p *prober) stop() []float64 {
	close(p.done)
	p.wg.Wait()
	p.c.c.Close()
	return p.got
}
