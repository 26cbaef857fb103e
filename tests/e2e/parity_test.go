package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// TestControlCommands gives stock's ovs-vswitchd and ours the same configuration and
// the same commands, right and wrong ones, and compares what they answer.  The tables
// are testdata/parity: what differs on purpose is not in them (docs/compat.md).
func TestControlCommands(t *testing.T) {
	testkit.Need(t)
	if _, err := exec.LookPath(filepath.Join(stockBin, "ovs-vswitchd")); err != nil {
		t.Fatalf("%v (make deps)", err)
	}
	began := time.Now()
	args := []string{"--enable-dummy=override", "--disable-system", "--disable-system-route", "--dummy-numa=0"}
	stock := testkit.NewSwitch(t, testkit.Options{Bin: stockBin, Vswitchd: args})
	ours := testkit.NewSwitch(t, testkit.Options{Vswitchd: args})
	sides := []*side{newSide(t, stock), newSide(t, ours)}
	for _, line := range table(t, "setup") {
		each(sides, func(s *side) { s.must(line) })
	}
	commands := table(t, "commands")
	for _, line := range commands {
		if strings.HasPrefix(line, "ovs-") {
			each(sides, func(s *side) { s.must(line) })
			continue
		}
		words, sorted := strings.CutPrefix(line, "sort ")
		words, numbers := strings.CutPrefix(words, "numbers ")
		each(sides, func(s *side) {
			s.got = s.mask(s.ask(split(words)))
			if sorted {
				lines := strings.Split(s.got, "\n")
				slices.Sort(lines)
				s.got = strings.Join(lines, "\n")
			}
			if numbers {
				s.got = number.ReplaceAllString(s.got, " N")
			}
		})
		if sides[0].got != sides[1].got {
			t.Errorf("%s\n--- stock\n%s\n--- ours\n%s", words, sides[0].got, sides[1].got)
		}
	}
	const limit = 30 * time.Second
	if took := time.Since(began); took > limit {
		t.Errorf("%d commands took %v, more than %v", len(commands), took, limit)
	}
}

// table reads a table: a command a line, # comments.
func table(t *testing.T, name string) (list []string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "parity", name))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(data), "\n") {
		if line != "" && line[0] != '#' {
			list = append(list, line)
		}
	}
	return list
}

// split splits a line at spaces, but not between single quotes.
func split(line string) (words []string) {
	word, quoted, any := "", false, false
	for _, c := range line + " " {
		switch {
		case c == '\'':
			quoted, any = !quoted, true
		case c == ' ' && !quoted:
			if any {
				words = append(words, word)
			}
			word, any = "", false
		default:
			word, any = word+string(c), true
		}
	}
	return words
}

// side is one of the two switches.
type side struct {
	t    *testing.T
	sw   *testkit.Switch
	conn net.Conn
	dec  *json.Decoder
	got  string
}

func newSide(t *testing.T, sw *testkit.Switch) *side {
	t.Helper()
	conn, err := net.Dial("unix", fmt.Sprintf("%s/ovs-vswitchd.%d.ctl", sw.Dir, sw.Pid("ovs-vswitchd")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &side{t: t, sw: sw, conn: conn, dec: json.NewDecoder(conn)}
}

// each runs fn for both at the same time.
func each(sides []*side, fn func(*side)) {
	done := make(chan struct{})
	for _, s := range sides {
		go func() { defer func() { done <- struct{}{} }(); fn(s) }()
	}
	for range sides {
		<-done
	}
}

// must runs a command of the configuration, a tool or a control command.
func (s *side) must(line string) {
	words := split(line)
	if !strings.HasPrefix(words[0], "ovs-") {
		if got := s.ask(words); strings.HasPrefix(got, "error: ") {
			s.t.Errorf("%s: %s", line, got)
		}
		return
	}
	if out, err := s.sw.TryTool(words[0], words[1:]...); err != nil {
		s.t.Errorf("%s: %v\n%s", line, err, out)
	}
}

// ask gives a control command as ovs-appctl does, and returns the answer.
func (s *side) ask(words []string) string {
	args := append([]string{}, words[1:]...) // [], not null
	request, err := json.Marshal(map[string]any{"id": 0, "method": words[0], "params": args})
	if err != nil {
		return err.Error()
	}
	s.conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := s.conn.Write(request); err != nil {
		return err.Error()
	}
	var reply struct{ Result, Error *string }
	if err := s.dec.Decode(&reply); err != nil {
		return err.Error()
	}
	if reply.Error != nil {
		return "error: " + *reply.Error
	}
	return *reply.Result
}

// masks take out what is chance, or documented as different.
var masks = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`ufid:[0-9a-f-]{36}`), "UFID"},
	{regexp.MustCompile(`aa:55:aa:55:00:[0-9a-f]{2}`), "MAC"}, // dummies count their addresses
	{regexp.MustCompile(`(Detect Time|Next TX Time|Last TX Time): now .*`), "$1: T"},
	{regexp.MustCompile(`Discriminator: 0x[0-9a-f]{2,}`), "Discriminator: X"},
	{regexp.MustCompile(`, dp-extra-info:[^\n]*`), ""},                        // of stock's parser
	{regexp.MustCompile(`(?m)^  port 0: ovs-dummy \(dummy-internal\)\n`), ""}, // not made here
	{regexp.MustCompile(`(?m)^  \d+: \(keys`), "  N: (keys"},                  // a thread's id
	{regexp.MustCompile(`\(avg \d+\)`), "(avg N)"},
	{regexp.MustCompile(`dump duration : \d+ms`), "dump duration : T"},
	{regexp.MustCompile(`(?m)^netdev_vhost .*\n`), ""},       // a module of ours
	{regexp.MustCompile(`\b128\.\d\b`), "128.N"},             // ports of a spanning tree are numbered by name
	{regexp.MustCompile(`(?m)\t(p\d), (p\d)$`), "\tMEMBERS"}, // in any order
	{regexp.MustCompile(`Time: [\d:.]+\n`), "Time: T\n"},
	{regexp.MustCompile(`duration: [\d.]+ s`), "duration: T"},
}

// number is a number and the space around it.
var number = regexp.MustCompile(` *[\d.]+ *`)

// outputs are actions that go to ports only: a flood goes in the order of hash tables.
var outputs = regexp.MustCompile(`(?m)(actions: ?)([\w,]+)$`)

func (s *side) mask(text string) string {
	text = strings.ReplaceAll(text, s.sw.Dir, "DIR")
	for _, m := range masks {
		text = m.re.ReplaceAllString(text, m.with)
	}
	return outputs.ReplaceAllStringFunc(text, func(match string) string {
		parts := outputs.FindStringSubmatch(match)
		ports := strings.Split(parts[2], ",")
		slices.Sort(ports)
		return parts[1] + strings.Join(ports, ",")
	})
}
