// Package imports checks the import direction of DESIGN's layout, as allowed.txt
// states it, over the non-test files of the module.
package imports

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

const module = "sluice/"

// rules is what allowed.txt says.
type rules struct {
	allow map[string][]string // importer pattern → patterns
	home  map[string][]string // third-party prefix → importer patterns
}

func readRules(t *testing.T) rules {
	f, err := os.Open("allowed.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := rules{map[string][]string{}, map[string][]string{}}
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		line := strings.TrimSpace(sc.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if from, to, ok := strings.Cut(line, "->"); ok {
			r.allow[strings.TrimSpace(from)] = strings.Fields(to)
		} else if pkg, by, ok := strings.Cut(line, "<-"); ok {
			r.home[strings.TrimSpace(pkg)] = strings.Fields(by)
		} else {
			t.Fatalf("allowed.txt: %q", line)
		}
	}
	return r
}

func match(pattern, pkg string) bool {
	tree, ok := strings.CutSuffix(pattern, "/...")
	if !ok {
		return pkg == pattern
	}
	return pkg == tree || strings.HasPrefix(pkg, tree+"/")
}

func matchAny(patterns []string, pkg string) bool {
	for _, p := range patterns {
		if match(p, pkg) {
			return true
		}
	}
	return false
}

// verdict returns why pkg may not import imp, or "".
func (r rules) verdict(pkg, imp string) string {
	if local, ok := strings.CutPrefix(imp, module); ok {
		for from, to := range r.allow {
			if match(from, pkg) {
				if matchAny(to, local) {
					return ""
				}
				return "direction"
			}
		}
		return "no rule for the importer"
	}
	for prefix, homes := range r.home {
		if (imp == prefix || strings.HasPrefix(imp, prefix+"/")) && !matchAny(homes, pkg) {
			return "third-party code away from its home"
		}
	}
	return ""
}

func TestImports(t *testing.T) {
	r := readRules(t)
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(out)))
	n := 0
	for {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		n++
		pkg := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			if why := r.verdict(pkg, imp); why != "" {
				t.Errorf("%s imports %s: %s", pkg, imp, why)
			}
		}
	}
	if n < 10 {
		t.Errorf("only %d packages seen", n)
	}
}

func TestVerdict(t *testing.T) {
	r := readRules(t)
	for _, c := range []struct {
		pkg, imp string
		ok       bool
	}{
		{"ofproto/xlate", module + "dpif/flow", true},
		{"ofproto/xlate", module + "dpif/userspace", false},
		{"netdev/afxdp", module + "dpif", false},
		{"ovsdb/db", module + "ofproto", false},
		{"dpif", "github.com/cilium/ebpf/link", false},
		{"bpf", "github.com/cilium/ebpf/link", true},
	} {
		if got := r.verdict(c.pkg, c.imp) == ""; got != c.ok {
			t.Errorf("%s imports %s: allowed %v", c.pkg, c.imp, got)
		}
	}
}
