package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// server is a running database server.
type server struct {
	cmd  *exec.Cmd
	pid  int
	dir  string
	sock string
	log  string // its standard error
}

// startOn starts a program on a copy of a database file; under is a command
// and its options to run it with.
func (b *bench) startOn(program int, file string, under ...string) *server {
	dir, err := os.MkdirTemp(b.dir, "server")
	if err != nil {
		fatal(err)
	}
	if out, err := exec.Command("cp", file, dir+"/db").CombinedOutput(); err != nil {
		fatal(string(out))
	}
	s := &server{dir: dir, sock: filepath.Join(dir, "sock"), log: dir + "/stderr"}
	argv := append(under, b.programs[program], "--remote=punix:"+s.sock, "--unixctl="+dir+"/ctl",
		"--pidfile="+dir+"/pid", "-vconsole:off", dir+"/db")
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.cmd.Env = append(os.Environ(), "GODEBUG=gctrace=1")
	stderr, err := os.Create(s.log)
	if err != nil {
		fatal(err)
	}
	defer stderr.Close()
	s.cmd.Stderr = stderr
	if err := s.cmd.Start(); err != nil {
		fatal(err)
	}
	cleanup = append(cleanup, s.stop)
	dial(s.sock).call("list_dbs", "[]")
	text, err := os.ReadFile(dir + "/pid")
	if err != nil {
		fatal(err)
	}
	s.pid, _ = strconv.Atoi(strings.TrimSpace(string(text)))
	return s
}

// start starts a program on a database without ports.
func (b *bench) start(program int, under ...string) *server {
	return b.startOn(program, b.database(0), under...)
}

// database returns a file with a bridge of n ports, or without one. Our server
// makes it, in the format that both read.
func (b *bench) database(n int) string {
	if b.dbs[n] != "" {
		return b.dbs[n]
	}
	name := fmt.Sprintf("%s/db%d", b.dir, n)
	if out, err := exec.Command("ovsdb-tool", "create", name, *schema).CombinedOutput(); err != nil {
		fatal(string(out))
	}
	s := b.startOn(ours, name)
	c := dial(s.sock)
	c.transact(`{"op":"insert","table":"Open_vSwitch","row":{}}`)
	if n > 0 {
		fill(c, n)
	}
	s.compact()
	if err := os.Rename(s.dir+"/db", name); err != nil {
		fatal(err)
	}
	s.stop()
	b.dbs[n] = name
	return name
}

func (s *server) compact() {
	if out, err := exec.Command("ovs-appctl", "-t", s.dir+"/ctl", "ovsdb-server/compact").CombinedOutput(); err != nil {
		fatal(string(out))
	}
}

func (s *server) stop() {
	if s.cmd == nil {
		return
	}
	// First the server: a tracer that is killed would leave it stopped.
	if p, err := os.FindProcess(s.pid); err == nil && s.pid > 0 {
		p.Kill()
	}
	if s.pid != s.cmd.Process.Pid && s.pid > 0 {
		s.cmd.Wait()
	} else {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	s.cmd = nil
	os.RemoveAll(s.dir)
}

// cpu is the CPU time that the server has used, in seconds.
func (s *server) cpu() (sum float64) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.pid))
	for _, t := range tasks {
		text, _ := os.ReadFile(t)
		if f := strings.Fields(string(text)); len(f) > 0 {
			ns, _ := strconv.ParseFloat(f[0], 64)
			sum += ns / 1e9
		}
	}
	return sum
}

// memory is a figure of /proc/PID/status in MB: VmRSS, VmHWM.
func (s *server) memory(what string) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
	m := regexp.MustCompile(what + `:\s+(\d+)`).FindSubmatch(text)
	if m == nil {
		fatal("no", what, "of process", s.pid)
	}
	kb, _ := strconv.ParseFloat(string(m[1]), 64)
	return kb / 1024
}

// live is what the last garbage collection left over, in MB; 0 if there was
// none.
func (s *server) live() float64 {
	text, _ := os.ReadFile(s.log)
	all := regexp.MustCompile(`->(\d+) MB, `).FindAllSubmatch(text, -1)
	if len(all) == 0 {
		return 0
	}
	mb, _ := strconv.ParseFloat(string(bytes.TrimSpace(all[len(all)-1][1])), 64)
	return mb
}

// slice lets each client call fn one time after the other for the time of a
// slice; it returns calls per second and the server's CPU microseconds per
// call.
func (s *server) slice(clients []*client, fn func(c *client, i int)) (rate, us float64) {
	cpu, begin := s.cpu(), time.Now()
	end := begin.Add(time.Duration(*secs * float64(time.Second)))
	done := make(chan int)
	for _, c := range clients {
		go func() {
			n := 0
			for time.Now().Before(end) {
				fn(c, n)
				n++
			}
			done <- n
		}()
	}
	n := 0
	for range clients {
		n += <-done
	}
	return float64(n) / time.Since(begin).Seconds(), (s.cpu() - cpu) / float64(n) * 1e6
}

func dialN(s *server, n int) (out []*client) {
	for range n {
		out = append(out, dial(s.sock))
	}
	return out
}

// leave ends connections and lets the server see that.
func (s *server) leave(clients []*client) {
	for _, c := range clients {
		c.c.Close()
	}
	c := dial(s.sock)
	for range 100 {
		c.call("echo", "[]")
	}
	c.c.Close()
}
