// Package record makes the corpus of OpenFlow messages that the codec's tests use:
// it runs stock ovs-ofctl against a stock switch, through a proxy that writes down
// every message in both directions.
//
// It is run by hand, when the list of commands grows:
//
//	go test ./tests/diff/record -record
//
// The corpus is ofproto/ofp/testdata/corpus, one file per version.
package record

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/ofproto/ofp"
)

var record = flag.Bool("record", false, "record the corpus anew with the stock tools")

const corpusDir = "../../../ofproto/ofp/testdata/corpus"

// timeout ends whatever hangs.
const timeout = 20 * time.Second

func TestRecord(t *testing.T) {
	if !*record {
		t.Skip("the corpus is recorded with -record only")
	}
	sw := startSwitch(t, "ovs-vswitchd")
	for v := ofp.OF10; v <= ofp.OF15; v++ {
		out := corpus{sw: sw}
		sw.reset(t)
		p := startProxy(t, sw.dir, filepath.Join(sw.dir, "br0.mgmt"))
		for _, args := range commands(v) {
			p.run(t, sw, &out, v, args)
		}
		monitor(t, sw, p, &out, v)
		p.close()
		if err := os.MkdirAll(corpusDir, 0o755); err != nil {
			t.Fatal(err)
		}
		for suffix, b := range map[string]*bytes.Buffer{".txt": &out.messages, ".text": &out.text} {
			if err := os.WriteFile(filepath.Join(corpusDir, v.String()+suffix), b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// corpus is what is written for a version: the messages, and for each of them what
// stock prints, ended by "====".
type corpus struct {
	sw             *stockSwitch
	messages, text bytes.Buffer
}

// add writes one message.
func (c *corpus) add(t *testing.T, line string) {
	fmt.Fprintln(&c.messages, line)
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := c.sw.command(ctx, "ovs-ofctl", "-vconsole:off", "-vsyslog:off", "ofp-print", "-", "1")
	cmd.Stdin = strings.NewReader(line[2:] + "\n")
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	c.text.Write(text)
	c.text.WriteString("====\n")
}

// stockSwitch is a stock database and a switch on dummy devices.
type stockSwitch struct {
	dir string
	env []string
}

// startSwitch starts a stock database and vswitchd, which is stock's or ours.
func startSwitch(t *testing.T, vswitchd string) *stockSwitch {
	dir, err := os.MkdirTemp("", "ofprec")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	s := &stockSwitch{dir: dir, env: append(os.Environ(), "OVS_RUNDIR="+dir, "OVS_LOGDIR="+dir, "OVS_DBDIR="+dir)}
	s.must(t, "ovsdb-tool", "create", dir+"/conf.db", "/usr/share/openvswitch/vswitch.ovsschema")
	s.daemon(t, "ovsdb-server", "--no-chdir", "--remote=punix:"+dir+"/db.sock", "--unixctl="+dir+"/db.ctl", dir+"/conf.db")
	waitFor(t, dir+"/db.sock")
	s.vsctl(t, "--no-wait", "init")
	s.daemon(t, vswitchd, "--no-chdir", "--enable-dummy=override", "--disable-system", "--disable-system-route",
		"--unixctl="+dir+"/vs.ctl", "unix:"+dir+"/db.sock")
	waitFor(t, dir+"/vs.ctl")
	return s
}

// reset makes bridge br0 anew.
func (s *stockSwitch) reset(t *testing.T) {
	s.vsctl(t, "--if-exists", "del-br", "br0")
	s.vsctl(t, "add-br", "br0", "--", "set", "bridge", "br0", "datapath-type=dummy", "fail-mode=secure",
		"protocols=OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15",
		"other-config:datapath-id=fedcba9876543210", "other-config:hwaddr=aa:55:aa:55:00:00", "--",
		"add-port", "br0", "p1", "--", "set", "interface", "p1", "type=dummy", "ofport_request=1", "--",
		"add-port", "br0", "p2", "--", "set", "interface", "p2", "type=dummy", "ofport_request=2")
	waitFor(t, s.dir+"/br0.mgmt")
}

func (s *stockSwitch) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = s.env
	return cmd
}

func (s *stockSwitch) must(t *testing.T, name string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	if out, err := s.command(ctx, name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
}

func (s *stockSwitch) vsctl(t *testing.T, args ...string) {
	t.Helper()
	s.must(t, "ovs-vsctl", append([]string{"--db=unix:" + s.dir + "/db.sock"}, args...)...)
}

func (s *stockSwitch) daemon(t *testing.T, name string, args ...string) {
	cmd := s.command(context.Background(), name, append(args, "-vconsole:off")...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
}

func waitFor(t *testing.T, path string) {
	t.Helper()
	until(t, path, func() bool { _, err := os.Stat(path); return err == nil })
}

// until polls other processes, which cannot be waited for otherwise.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(timeout); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: does not happen", what)
		}
	}
}

// proxy passes OpenFlow connections on to a switch and keeps what went through.
type proxy struct {
	l    net.Listener
	path string
	dial string

	mu    sync.Mutex
	lines []string        // "> " or "< " and the message in hexadecimal
	seen  map[string]bool // what was kept before, but for the transaction id
	types []ofp.Type
	conns sync.WaitGroup
}

func startProxy(t *testing.T, dir, target string) *proxy {
	p := &proxy{seen: map[string]bool{}, path: filepath.Join(dir, "proxy"), dial: target}
	os.Remove(p.path)
	var err error
	if p.l, err = net.Listen("unix", p.path); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := p.l.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			go p.serve(c)
		}
	}()
	return p
}

func (p *proxy) close() {
	p.l.Close()
	p.conns.Wait()
}

func (p *proxy) serve(client net.Conn) {
	defer p.conns.Done()
	defer client.Close()
	sw, err := net.Dial("unix", p.dial)
	if err != nil {
		return
	}
	defer sw.Close()
	done := make(chan struct{})
	go func() {
		p.copy("< ", client, sw)
		client.Close()
		close(done)
	}()
	p.copy("> ", sw, client)
	sw.Close()
	<-done
}

// copy passes messages from src to dst until either end closes.
func (p *proxy) copy(dir string, dst, src net.Conn) {
	for {
		msg := make([]byte, ofp.HeaderLen, 4096)
		if _, err := io.ReadFull(src, msg); err != nil {
			return
		}
		n := ofp.Length(msg)
		if n < 0 {
			return
		}
		msg = append(msg, make([]byte, n-len(msg))...)
		if _, err := io.ReadFull(src, msg[ofp.HeaderLen:]); err != nil {
			return
		}
		h, _ := ofp.DecodePartialHeader(msg)
		p.mu.Lock()
		p.lines = append(p.lines, dir+hex.EncodeToString(msg))
		p.types = append(p.types, h.Type)
		p.mu.Unlock()
		if _, err := dst.Write(msg); err != nil {
			return
		}
	}
}

// bigLine is the length from which messages are too many bytes for a repository.
const bigLine = 16 << 10

func (p *proxy) saw(want ofp.Type) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, typ := range p.types {
		if typ == want {
			return true
		}
	}
	return false
}

// take returns the lines that one command exchanged.
func (p *proxy) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	lines := p.lines
	p.lines, p.types = nil, nil
	return lines
}

// flush writes what one command exchanged, but for what was written before.
func (p *proxy) flush(t *testing.T, out *corpus, title string) {
	fmt.Fprintf(&out.messages, "# %s\n", title)
	for _, line := range p.take() {
		const lenAt, xidAt, xidEnd = 2 + 4, 2 + 8, 2 + 16
		key := line[:xidAt] + line[xidEnd:]
		if len(line) > bigLine {
			key = line[:lenAt] + line[xidEnd:xidEnd+4] // of messages as big as that, one of a kind
		}
		if !p.seen[key] {
			p.seen[key] = true
			out.add(t, line)
		}
	}
}

func ofctlArgs(v ofp.Version, p *proxy, c command) []string {
	args := append([]string{"-O", v.String(), "--no-names"}, c.options...)
	args = append(args, c.name, "unix:"+p.path)
	return append(args, c.args...)
}

// run runs and records one command.
func (p *proxy) run(t *testing.T, sw *stockSwitch, out *corpus, v ofp.Version, c command) {
	p.exec(t, sw, v, c)
	p.flush(t, out, c.String())
}

// exec runs one command.  One that the version cannot do may fail.
func (p *proxy) exec(t *testing.T, sw *stockSwitch, v ofp.Version, c command) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := sw.command(ctx, "ovs-ofctl", ofctlArgs(v, p, c)...)
	cmd.Stdin = strings.NewReader(c.stdin)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("%v: %v", c, err)
	}
	if err != nil && *record {
		t.Logf("%v %v: %s", v, c, bytes.TrimSpace(text))
	}
	p.conns.Wait()
}

// monitor records asynchronous messages: packet-ins in every format, flow removed,
// port status and flow updates.
func monitor(t *testing.T, sw *stockSwitch, p *proxy, out *corpus, v ofp.Version) {
	for _, format := range []string{"standard", "nxt_packet_in", "nxt_packet_in2"} {
		c := command{name: "monitor", options: []string{"-P", format}, args: []string{"65534", "watch:"}}
		ctx, cancel := context.WithTimeout(context.Background(), timeout)
		cmd := sw.command(ctx, "ovs-ofctl", ofctlArgs(v, p, c)...)
		var text bytes.Buffer
		cmd.Stdout, cmd.Stderr = &text, &text
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%v: %s", c, &text)
			}
		})
		until(t, "barrier", func() bool { return p.saw(ofp.TypeBarrierReply) || p.saw(ofp.TypeSetPacketInFormat) })
		ofctl := func(name string, args ...string) {
			sw.must(t, "ovs-ofctl", append([]string{"-O", ofp.OF13.String(), name, "unix:" + p.dial}, args...)...)
		}
		ofctl("add-flow", "send_flow_rem,cookie=0x5,reg1=7,in_port=1,udp,actions=controller")
		ofctl("add-flow", "cookie=0x6,in_port=2,actions=controller(userdata=01.02.03,pause),mod_dl_src:00:00:00:00:00:01,2")
		frame := "50540000000a5054000000090800450000540000400040017a3b0a0000010a000002" + strings.Repeat("00", 20)
		ofctl("packet-out", "in_port=3, packet="+frame+", actions=controller")
		ofctl("packet-out", "in_port=2, packet="+frame+", actions=table")
		ofctl("mod-flows", "in_port=1,udp,actions=2")
		ofctl("del-flows", "in_port=1,udp")
		ofctl("mod-port", "p1", "down")
		ofctl("mod-port", "p1", "up")
		until(t, "packet-in", func() bool { return p.saw(ofp.TypePacketIn) })
		until(t, "port status", func() bool { return p.saw(ofp.TypePortStatus) })
		cmd.Process.Kill()
		cmd.Wait()
		cancel()
		p.conns.Wait()
		p.flush(t, out, c.String())
	}
}
