package ofp

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// printCase is a message and its text, as stock 3.1's ovs-ofctl prints it.
type printCase struct {
	name      string
	line      int
	verbosity int
	msg       []byte
	want      string
}

// readPrintCases reads a file of cases: a line "print verbosity=N", the message in
// hexadecimal, "----", the text, "====".
func readPrintCases(t testing.TB, path string) (cases []printCase) {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	sc.Buffer(nil, 1<<20)
	var c printCase
	var digits, text strings.Builder
	inText := false
	for line := 1; sc.Scan(); line++ {
		s := sc.Text()
		switch {
		case inText && s == "====":
			c.want = text.String()
			if c.msg, err = hex.DecodeString(digits.String()); err != nil {
				t.Fatalf("%s:%d: %v", path, line, err)
			}
			cases = append(cases, c)
			inText = false
			digits.Reset()
			text.Reset()
		case inText:
			text.WriteString(s + "\n")
		case s == "----":
			inText = true
		case strings.HasPrefix(s, "# "):
			c.name = s[2:]
		case strings.HasPrefix(s, "print "):
			c.line = line
			if _, err := fmt.Sscanf(s, "print verbosity=%d", &c.verbosity); err != nil {
				t.Fatalf("%s:%d: %v", path, line, err)
			}
		default:
			digits.WriteString(s)
		}
	}
	if err := sc.Err(); err != nil {
		t.Fatal(err)
	}
	return cases
}

func allPrintCases(t testing.TB) (cases []printCase) {
	paths, err := filepath.Glob("testdata/print/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("no test data", err)
	}
	for _, path := range paths {
		cases = append(cases, readPrintCases(t, path)...)
	}
	return cases
}

func TestPrint(t *testing.T) {
	for _, c := range allPrintCases(t) {
		t.Run(fmt.Sprintf("%s@%d", c.name, c.line), func(t *testing.T) {
			got := Format(c.msg, nil, c.verbosity)
			if got != c.want {
				t.Errorf("message %x\ngot:\n%swant:\n%s", c.msg, got, c.want)
			}
		})
	}
}
