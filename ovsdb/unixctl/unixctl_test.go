package unixctl

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/internal/poll"
)

// serve runs s in a goroutine until the test ends.
func serve(t *testing.T, s *Server) {
	stop, done := poll.NewEvent(), make(chan struct{})
	go func() {
		defer close(done)
		for !stop.Reset() {
			s.Run(0)
			var p poll.Set
			s.Wait(&p)
			stop.Wait(&p)
			p.Block(0)
		}
		s.Close()
	}()
	t.Cleanup(func() { stop.Set(); <-done })
}

func TestServer(t *testing.T) {
	s := New("prog (Open vSwitch) 3.1.0")
	s.Register("echo", "[ARG]...", 1, 2, func(r *Request) { r.Reply(strings.Join(r.Args, "|")) })
	s.RegisterHidden("secret", 0, AnyArgs, func(r *Request) { r.ReplyError("no\n") })
	var held *Request
	s.Register("hold", "", 0, 0, func(r *Request) { held = r })
	s.RegisterHidden("held", 0, 0, func(r *Request) { r.Replyf("%v", held != nil) })
	s.Register("release", "", 0, 0, func(r *Request) { held.Reply("late"); r.Reply("") })
	dir := t.TempDir()
	if err := s.Listen("x.ctl", dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "x.ctl")
	serve(t, s)
	for _, tc := range []struct {
		cmd, want string
		ok        bool
	}{
		{"version", "prog (Open vSwitch) 3.1.0\n", true},
		{"list-commands", "The available commands are:\n  echo                    [ARG]...\n  hold                    \n  list-commands           \n  release                 \n  version                 \n", true},
		{"echo a b", "a|b\n", true},
		{"echo", "\"echo\" command requires at least 1 arguments\n", false},
		{"echo a b c", "\"echo\" command takes at most 2 arguments\n", false},
		{"secret", "no\n", false},
		{"nothing", "\"nothing\" is not a valid command (use \"list-commands\" to see a list of valid commands)\n", false},
	} {
		f := strings.Fields(tc.cmd)
		text, ok, err := Call(path, f[0], f[1:]...)
		if text != tc.want || ok != tc.ok || err != nil {
			t.Errorf("%s: %q %v %v", tc.cmd, text, ok, err)
		}
	}
	late := make(chan string)
	go func() { text, _, _ := Call(path, "hold"); late <- text }()
	for {
		if text, _, _ := Call(path, "held"); text == "true\n" {
			break
		}
	}
	Call(path, "release")
	if got := <-late; got != "late\n" {
		t.Errorf("held reply %q", got)
	}
	if appctl, err := exec.LookPath("ovs-appctl"); err == nil {
		out, err := exec.Command(appctl, "-t", path, "echo", "ä \"x\"").CombinedOutput()
		if string(out) != "ä \"x\"\n" || err != nil {
			t.Errorf("ovs-appctl: %q %v", out, err)
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestCallInside(t *testing.T) {
	s := New("v")
	got := ""
	s.Call("version", nil, func(text string, ok bool) { got = text })
	if got != "v\n" {
		t.Errorf("%q", got)
	}
}
