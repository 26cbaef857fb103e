package testkit

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Testpmd is a dpdk-testpmd that takes commands.  It needs the tools dpdk-testpmd and
// stdbuf.
type Testpmd struct {
	t     testing.TB
	ports int
	cmd   *exec.Cmd
	in    io.WriteCloser
	done  chan struct{}
	mu    sync.Mutex
	out   bytes.Buffer // guarded by mu
}

// StartTestpmd starts a testpmd in the switch's namespace.  Its ports are virtual
// devices (arguments of --vdev); dpdk are more arguments of DPDK, args its own.
func StartTestpmd(t testing.TB, s *Switch, devices, dpdk []string, args ...string) *Testpmd {
	t.Helper()
	p := &Testpmd{t: t, ports: len(devices), done: make(chan struct{})}
	prefix := unique("sluice")
	all := append([]string{"-o0", "dpdk-testpmd", "--no-huge", "--no-pci", "--no-telemetry", "--file-prefix=" + prefix}, dpdk...)
	for _, d := range devices {
		all = append(all, "--vdev="+d)
	}
	p.cmd = s.Command("stdbuf", append(append(all, "--", "-i"), args...)...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.cmd.Wait(); close(p.done) }()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("testpmd:\n%s", p.Text())
		}
		os.RemoveAll("/var/run/dpdk/" + prefix)
	})
	return p
}

// Write collects the output.
func (p *Testpmd) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

// Text is all output so far.
func (p *Testpmd) Text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// Say gives a command.
func (p *Testpmd) Say(command string) { fmt.Fprintln(p.in, command) }

// say gives a command and waits until what it prints at its end has come once more.
func (p *Testpmd) say(command, end string) {
	p.t.Helper()
	before := strings.Count(p.Text(), end)
	p.Say(command)
	Eventually(p.t, 10*time.Second, "testpmd does "+command, func() bool { return strings.Count(p.Text(), end) > before })
}

// Forward begins to forward; the counters of forwarding begin at 0 then.
func (p *Testpmd) Forward() { p.t.Helper(); p.say("start", "packets/burst=") }

// StopForwarding returns when no more packets are taken or made.
func (p *Testpmd) StopForwarding() { p.t.Helper(); p.say("stop", "\nDone.") }

var rxPackets = regexp.MustCompile(`RX-packets: +(\d+) `)

// Received asks how many packets arrived, at all ports.
func (p *Testpmd) Received() (n int) {
	p.t.Helper()
	before := len(rxPackets.FindAllString(p.Text(), -1))
	p.Say("show port stats all")
	Eventually(p.t, 20*time.Second, "testpmd tells statistics", func() bool {
		all := rxPackets.FindAllStringSubmatch(p.Text(), -1)
		if len(all) < before+p.ports {
			return false
		}
		n = 0
		for _, m := range all[before : before+p.ports] {
			v, _ := strconv.Atoi(m[1])
			n += v
		}
		return true
	})
	return n
}

// Kill ends testpmd as a crash does.
func (p *Testpmd) Kill() {
	p.cmd.Process.Kill()
	<-p.done
}

// Quit ends testpmd in good order.
func (p *Testpmd) Quit() {
	p.t.Helper()
	p.Say("stop")
	p.Say("quit")
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.t.Errorf("testpmd does not end:\n%s", p.Text())
		p.Kill()
	}
}
