package ovsdb

import (
	"bytes"
	"fmt"
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

// clientSteps are given to ovsdb-client, one after the other; SOCK and DIR stand for
// the server's socket and directory. What it prints and how it exits must not tell
// the servers apart. A step that begins with "&" goes on beside the others; if it
// is a monitor, until it has seen the row END.
var clientSteps = []string{
	"list-dbs SOCK",
	"get-schema SOCK",
	"get-schema SOCK d",
	"get-schema SOCK none",
	"get-schema-version SOCK d",
	"get-schema-cksum SOCK d",
	"list-tables SOCK d",
	"list-columns SOCK d",
	"list-columns SOCK d kid",
	"list-columns SOCK d none",
	`transact SOCK ["d",{"op":"insert","table":"kid","uuid-name":"k","row":{}},{"op":"insert","table":"root","row":{"name":"x0","i":2,"kids":["named-uuid","k"]}}]`,
	`&monitor SOCK d root name,i,si,m,kids`,
	`&monitor SOCK d ALL`,
	`&monitor SOCK d root name,!initial,!delete i,!insert`,
	`&monitor-cond SOCK d [["name","!=","x1"],["i","<",5]] root name,i`,
	`&monitor-cond-since SOCK d [["i",">",0]] root name,i`,
	`&monitor-cond-since SOCK d 00000000-0000-0000-0000-000000000000 [true] root name`,
	`&lock SOCK L1`,
	`&steal SOCK L2`,
	`transact SOCK ["d",{"op":"insert","table":"kid","uuid-name":"k","row":{"n":7}},{"op":"insert","table":"root","row":{"name":"x1","i":3,"kids":["named-uuid","k"],"m":["map",[["a",1],["b",-1]]]}}]`,
	`transact SOCK ["d",{"op":"insert","table":"root","row":{"name":"x2","i":4,"si":["set",[3,1,2]],"r":0.1,"e":"red"}},{"op":"comment","comment":"two"}]`,
	`transact SOCK ["d",{"op":"insert","table":"root","row":{"name":"x3","i":5000}}]`,
	`transact SOCK ["d",{"op":"nothing"}]`,
	`transact SOCK ["none"]`,
	`transact SOCK {}`,
	`transact SOCK [`,
	`query SOCK ["d",{"op":"select","table":"root","where":[["i",">=",4]],"columns":["name","i","si","m"]}]`,
	`query SOCK ["d",{"op":"delete","table":"root","where":[]},{"op":"select","table":"root","where":[],"columns":["name"]}]`,
	`transact SOCK ["d",{"op":"update","table":"root","where":[["name","==","x1"]],"row":{"i":9}}]`,
	`transact SOCK ["d",{"op":"delete","table":"root","where":[["name","==","x2"]]}]`,
	`transact SOCK ["d",{"op":"insert","table":"root","row":{"name":"END","i":1}}]`,
	"dump SOCK d",
	"dump SOCK d root",
	"dump SOCK d root name i",
	"-f json dump SOCK d kid n",
	"-f csv dump SOCK d root name r b",
	"-f list dump SOCK d root name m",
	"-f html --no-headings dump SOCK d root name",
	"dump SOCK d none",
	"needs-conversion SOCK DIR/schema",
	"needs-conversion SOCK DIR/new-schema",
	"convert SOCK DIR/wrong-schema",
	"convert SOCK DIR/new-schema",
	"needs-conversion SOCK DIR/new-schema",
	"get-schema-version SOCK d",
	"dump SOCK d",
	"wait SOCK d added",
	"wait SOCK d connected",
	"--timeout=1 wait SOCK d removed",
	"wait SOCK none removed",
	"backup SOCK d >DIR/backup",
	`transact SOCK ["d",{"op":"delete","table":"root","where":[]}]`,
	"restore SOCK d <DIR/backup",
	"dump SOCK d",
	"--force restore SOCK d <DIR/schema",
	"dump SOCK _Server Database name model connected leader sid",
}

// TestClient runs ovsdb-client against both servers.
func TestClient(t *testing.T) {
	var outs [2][]string
	for n, program := range []string{"/usr/sbin/ovsdb-server", build(t)} {
		outs[n] = runClient(t, program)
	}
	for i, step := range clientSteps {
		if outs[0][i] != outs[1][i] {
			t.Errorf("%s\nstock: %s\nours:  %s", step, outs[0][i], outs[1][i])
		}
	}
}

// patience is how long a client may take to print something.
const patience = 20 * time.Second

// background is a client that goes on beside the others.
type background struct {
	cmd *exec.Cmd
	out string // the file with its output
}

// runClient returns what each step printed, masked.
func runClient(t *testing.T, program string) []string {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"schema":     schema,
		"new-schema": strings.NewReplacer(`"1.0.0"`, `"1.1.0"`, `"r":{"type":"real"},`, "", `"oi":`, `"more":{"type":"string"},"oi":`).Replace(schema),
		// Not one that the rows violate: stock's server dies of that.
		"wrong-schema": strings.Replace(schema, `"name":"d"`, `"name":"other"`, 1),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("ovsdb-tool", "create", dir+"/db", dir+"/schema").CombinedOutput(); err != nil {
		t.Fatalf("ovsdb-tool: %s", out)
	}
	sock := sockOf(t, program, dir)
	outs := make([]string, len(clientSteps))
	running := map[int]background{}
	for i, step := range clientSteps {
		args, bg := strings.CutPrefix(step, "&")
		args = strings.NewReplacer("SOCK", "unix:"+sock, "DIR", dir).Replace(args)
		if !bg {
			outs[i] = mask(dir, runStep(t, dir, args))
			continue
		}
		b := background{exec.Command("ovsdb-client", strings.Fields(args)...), fmt.Sprintf("%s/out%d", dir, i)}
		f, err := os.Create(b.out)
		if err != nil {
			t.Fatal(err)
		}
		b.cmd.Stdout, b.cmd.Stderr = f, f
		if err := b.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		f.Close()
		t.Cleanup(func() { b.cmd.Process.Kill(); b.cmd.Wait() })
		running[i] = b
		testkit.Eventually(t, patience, program+": output of "+step, func() bool { return len(b.text(t)) > 0 || strings.Contains(step, "!initial") })
	}
	for i, b := range running {
		if strings.Contains(clientSteps[i], "monitor") {
			testkit.Eventually(t, patience, program+": row END in "+clientSteps[i], func() bool { return strings.Contains(b.text(t), "END") })
		}
		b.cmd.Process.Kill()
		b.cmd.Wait()
		outs[i] = mask(dir, b.text(t))
	}
	return outs
}

func (b background) text(t *testing.T) string {
	text, err := os.ReadFile(b.out)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// runStep runs one client to its end; "<" and ">" name files as for a shell.
func runStep(t *testing.T, dir, args string) string {
	t.Helper()
	words := strings.Fields(args)
	var cmd exec.Cmd
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if last := words[len(words)-1]; strings.ContainsAny(last[:1], "<>") {
		f, err := os.OpenFile(last[1:], os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if last[0] == '<' {
			cmd.Stdin = f
		} else {
			cmd.Stdout = f
		}
		words = words[:len(words)-1]
	}
	path, err := exec.LookPath("ovsdb-client")
	if err != nil {
		t.Fatal(err)
	}
	cmd.Path, cmd.Args = path, append([]string{"ovsdb-client", "--timeout=20"}, words...)
	cmd.Run()
	return fmt.Sprintf("%s(%s)", out.String(), cmd.ProcessState)
}

var (
	space = regexp.MustCompile(` +|-{3,}`)
	clock = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z`)
)

// mask takes out what differs from run to run: UUIDs, times, the width of columns and
// the order of rows.
func mask(dir, out string) string {
	out = strings.ReplaceAll(out, dir, "DIR")
	out = clock.ReplaceAllString(uuidText.ReplaceAllString(out, "UUID"), "TIME")
	var lines []string
	for _, l := range strings.Split(space.ReplaceAllString(out, " "), "\n") {
		if strings.Trim(l, " -") != "" {
			lines = append(lines, l)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
