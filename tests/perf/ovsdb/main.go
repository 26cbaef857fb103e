// The program ovsdb measures database servers under the same load, one after
// the other: stock's and ours. It prints rates, the server's CPU time and the
// ratios, for the table of docs/compat-ovsdb.md.
//
//	go run ./tests/perf/ovsdb [-ports N] [-only REGEXP] SERVER...
//
// It needs ovsdb-tool and the Open_vSwitch schema of Debian's packages.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"
)

var (
	ports  = flag.Int("ports", 10000, "ports in the large database")
	only   = flag.String("only", "", "run only the scenarios that match")
	schema = flag.String("schema", "/usr/share/openvswitch/vswitch.ovsschema", "schema file")
	secs   = flag.Float64("seconds", 1, "length of each measurement")
)

// client is a connection that sends one request at a time.
type client struct {
	c net.Conn
	d *json.Decoder
	n int
}

func dial(sock string) *client {
	for i := 0; ; i++ {
		c, err := net.Dial("unix", sock)
		if err == nil {
			return &client{c: c, d: json.NewDecoder(bufio.NewReaderSize(c, 1<<16))}
		}
		if i == 2000 {
			fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func fatal(v ...any) {
	fmt.Fprintln(os.Stderr, v...)
	os.Exit(1)
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
	r := c.recv()
	if len(r.Error) > 0 && string(r.Error) != "null" || strings.Contains(string(r.Result), `"error"`) {
		fatal(method, string(r.Error), string(r.Result[:min(len(r.Result), 300)]))
	}
	return r.Result
}

func (c *client) transact(ops ...string) json.RawMessage {
	return c.call("transact", `["Open_vSwitch",`+strings.Join(ops, ",")+`]`)
}

// server is a running database server.
type server struct {
	cmd  *exec.Cmd
	dir  string
	sock string
}

func start(program string) *server {
	dir, err := os.MkdirTemp("", "ovsdb-perf")
	if err != nil {
		fatal(err)
	}
	s := &server{dir: dir, sock: filepath.Join(dir, "sock")}
	if out, err := exec.Command("ovsdb-tool", "create", dir+"/db", *schema).CombinedOutput(); err != nil {
		fatal(string(out))
	}
	s.cmd = exec.Command(program, "--remote=punix:"+s.sock, "--unixctl="+dir+"/ctl", "-vconsole:off", dir+"/db")
	if err := s.cmd.Start(); err != nil {
		fatal(err)
	}
	dial(s.sock).transact(`{"op":"insert","table":"Open_vSwitch","row":{}}`)
	return s
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
	os.RemoveAll(s.dir)
}

// cpu is the CPU time the server has used, in seconds.
func (s *server) cpu() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	u, _ := strconv.ParseFloat(f[11], 64)
	k, _ := strconv.ParseFloat(f[12], 64)
	return (u + k) / 100
}

func (s *server) rss() float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	m := regexp.MustCompile(`VmRSS:\s+(\d+)`).FindSubmatch(text)
	kb, _ := strconv.ParseFloat(string(m[1]), 64)
	return kb / 1024
}

// run calls fn for the time of one measurement and returns calls per second
// and CPU microseconds per call.
func (s *server) run(fn func(i int)) (rate, us float64) {
	cpu, begin, n := s.cpu(), time.Now(), 0
	for time.Since(begin).Seconds() < *secs {
		fn(n)
		n++
	}
	el := time.Since(begin).Seconds()
	return float64(n) / el, (s.cpu() - cpu) / float64(n) * 1e6
}

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

const small = `{"op":"mutate","table":"Open_vSwitch","where":[],"mutations":[["next_cfg","+=",1]]}`

// scenario measures one thing; a larger result is better if more is set.
type scenario struct {
	name string
	unit string
	more bool
	run  func(s *server) float64
}

var scenarios = []scenario{
	{"small transactions, CPU each", "us", false, func(s *server) float64 {
		c := dial(s.sock)
		_, us := s.run(func(int) { c.transact(small) })
		return us
	}},
	{"small transactions", "/s", true, func(s *server) float64 {
		c := dial(s.sock)
		r, _ := s.run(func(int) { c.transact(small) })
		return r
	}},
	{"... with 1,000 idle connections", "/s", true, func(s *server) float64 {
		for i := 0; i < 1000; i++ {
			dial(s.sock)
		}
		c := dial(s.sock)
		r, _ := s.run(func(int) { c.transact(small) })
		return r
	}},
	{"... with 1,000 pending waits", "/s", true, func(s *server) float64 {
		w := dial(s.sock)
		for i := 0; i < 1000; i++ {
			w.send("transact", `["Open_vSwitch",{"op":"wait","table":"Bridge","where":[["name","==","x`+strconv.Itoa(i)+`"]],"columns":["name"],"until":"==","rows":[{"name":"x"}]}]`)
		}
		c := dial(s.sock)
		r, _ := s.run(func(int) { c.transact(small) })
		return r
	}},
	{"ports inserted one by one", "/s", true, func(s *server) float64 {
		c := dial(s.sock)
		c.transact(addBridge)
		begin := time.Now()
		for i := 0; i < *ports; i++ {
			c.transact(addPort(i)...)
		}
		return float64(*ports) / time.Since(begin).Seconds()
	}},
	{"the last of them against the first", "x", true, func(s *server) float64 {
		c := dial(s.sock)
		c.transact(addBridge)
		part := *ports / 10
		var first, last time.Duration
		begin := time.Now()
		for i := 0; i < *ports; i++ {
			if i == *ports-part {
				begin = time.Now()
			}
			c.transact(addPort(i)...)
			if i == part-1 {
				first = time.Since(begin)
			}
		}
		last = time.Since(begin)
		return first.Seconds() / last.Seconds()
	}},
	{"select by indexed name", "/s", true, func(s *server) float64 {
		c := dial(s.sock)
		fill(c, *ports)
		r, _ := s.run(func(i int) {
			c.transact(fmt.Sprintf(`{"op":"select","table":"Port","where":[["name","==","p%d"]],"columns":["tag"]}`, i%*ports))
		})
		return r
	}},
	{"100 monitors of one kind, CPU per transaction", "us", false, func(s *server) float64 { return monitors(s, false) }},
	{"100 monitors with conditions, CPU per transaction", "us", false, func(s *server) float64 { return monitors(s, true) }},
	{"20 initial monitors, CPU", "ms", false, func(s *server) float64 {
		fill(dial(s.sock), *ports)
		cpu := s.cpu()
		var cs []*client
		for i := 0; i < 20; i++ {
			c := dial(s.sock)
			c.send("monitor_cond", `["Open_vSwitch",null,{"Port":[{}],"Interface":[{}],"Bridge":[{}]}]`)
			cs = append(cs, c)
		}
		for _, c := range cs {
			c.recv()
		}
		return (s.cpu() - cpu) * 1000
	}},
	{"longest wait of others during compaction", "ms", false, func(s *server) float64 {
		return during(s, func(*client) { exec.Command("ovs-appctl", "-t", s.dir+"/ctl", "ovsdb-server/compact").Run() })
	}},
	{"longest wait of others during an initial monitor", "ms", false, func(s *server) float64 {
		return during(s, func(c *client) {
			c.call("monitor_cond", `["Open_vSwitch",null,{"Port":[{}],"Interface":[{}],"Bridge":[{}]}]`)
		})
	}},
	{"longest wait of others during a conversion", "ms", false, func(s *server) float64 {
		text, err := os.ReadFile(*schema)
		if err != nil {
			fatal(err)
		}
		return during(s, func(c *client) { c.call("convert", `["Open_vSwitch",`+string(text)+`]`) })
	}},
	{"memory with the ports", "MB", false, func(s *server) float64 {
		fill(dial(s.sock), *ports)
		return s.rss()
	}},
	{"durable transactions of 16 writers", "/s", true, func(s *server) float64 {
		done := make(chan int)
		end := time.Now().Add(time.Duration(*secs * float64(time.Second)))
		for w := 0; w < 16; w++ {
			c := dial(s.sock)
			go func() {
				n := 0
				for ; time.Now().Before(end); n++ {
					c.transact(small, `{"op":"commit","durable":true}`)
				}
				done <- n
			}()
		}
		sum := 0
		for w := 0; w < 16; w++ {
			sum += <-done
		}
		return float64(sum) / *secs
	}},
}

// monitors measures updates of one port under 100 monitors.
func monitors(s *server, distinct bool) float64 {
	c := dial(s.sock)
	fill(c, 200)
	for i := 0; i < 100; i++ {
		m := dial(s.sock)
		where := ""
		if distinct {
			where = fmt.Sprintf(`,"where":[["name","==","p%d"]]`, i)
		}
		m.call("monitor_cond", fmt.Sprintf(`["Open_vSwitch",null,{"Port":[{"columns":["name","tag"]%s}]}]`, where))
		go func() {
			buf := make([]byte, 1<<16)
			for {
				if _, err := m.c.Read(buf); err != nil {
					return
				}
			}
		}()
	}
	_, us := s.run(func(i int) {
		c.transact(fmt.Sprintf(`{"op":"update","table":"Port","where":[["name","==","p%d"]],"row":{"tag":%d}}`, i%100, i%4000))
	})
	return us
}

// during measures the longest time that a small client waits while big work
// runs, in ms.
func during(s *server, work func(c *client)) float64 {
	c := dial(s.sock)
	fill(c, *ports)
	stop := make(chan bool)
	go func() {
		w := dial(s.sock)
		w.call("set_db_change_aware", "[true]")
		work(w)
		stop <- true
	}()
	c.call("set_db_change_aware", "[true]")
	var waits []float64
	for over := false; !over || len(waits) < 100; {
		begin := time.Now()
		c.call("echo", "[]")
		waits = append(waits, time.Since(begin).Seconds()*1000)
		select {
		case <-stop:
			over = true
		default:
		}
	}
	sort.Float64s(waits)
	return waits[len(waits)-1]
}

func main() {
	flag.Parse()
	re := regexp.MustCompile(*only)
	for _, sc := range scenarios {
		if !re.MatchString(sc.name) {
			continue
		}
		fmt.Printf("%-52s", sc.name)
		var first float64
		for i, program := range flag.Args() {
			s := start(program)
			v := sc.run(s)
			s.stop()
			fmt.Printf(" %10.1f %-3s", v, sc.unit)
			if i == 0 {
				first = v
				continue
			}
			ratio := first / v
			if sc.more {
				ratio = v / first
			}
			fmt.Printf(" (%.2fx)", ratio)
		}
		fmt.Println()
	}
}
