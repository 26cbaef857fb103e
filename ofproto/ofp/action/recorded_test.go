package action

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/ofver"
)

func lines(t testing.TB, name string) []string {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")[1:]
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// differences is how stock's test commands show what an encoding changes.
func differences(a, b []byte) string {
	var ds []string
	for i := 0; i < max(len(a), len(b)); i++ {
		switch {
		case i >= len(a):
			ds = append(ds, fmt.Sprintf("%d: (none) -> %02x", i, b[i]))
		case i >= len(b):
			ds = append(ds, fmt.Sprintf("%d: %02x -> (none)", i, a[i]))
		case a[i] != b[i]:
			ds = append(ds, fmt.Sprintf("%d: %02x -> %02x", i, a[i], b[i]))
		}
	}
	return strings.Join(ds, "; ")
}

type wireCase struct {
	instructions bool
	ver          ofver.Version
	in           []byte
	text, diff   string
}

func wireCases(t testing.TB) (cs []wireCase) {
	ls := lines(t, "wire.txt")
	for i := 0; i+2 < len(ls); i += 3 {
		f := strings.Fields(ls[i])
		n, _ := strconv.Atoi(f[1])
		cs = append(cs, wireCase{f[0] == "instructions", ofver.OF10 + ofver.Version(n-10), unhex(f[2]),
			ls[i+1], strings.TrimSpace(ls[i+2])})
	}
	return cs
}

func (c *wireCase) decode(d *Decoder) (List, error) {
	if c.instructions {
		return d.Instructions(c.in, c.ver, nil)
	}
	return d.Actions(c.in, c.ver, nil)
}

func (c *wireCase) encode(l List) []byte {
	if c.instructions {
		return l.AppendInstructions(nil, c.ver)
	}
	return l.AppendActions(nil, c.ver)
}

func TestRecordedWire(t *testing.T) {
	var d Decoder
	bad := 0
	for _, c := range wireCases(t) {
		l, err := c.decode(&d)
		var got, diff string
		kind := "actions"
		if c.instructions {
			kind = "instructions"
		}
		if err != nil {
			got = fmt.Sprintf("bad %s %s: %v", c.ver, kind, err)
		} else {
			got = "actions=" + l.String()
			diff = differences(c.in, c.encode(l))
		}
		if got != c.text || diff != c.diff {
			t.Errorf("%s %v %x:\n got %s (%s)\nwant %s (%s)", c.ver, c.instructions, c.in, got, diff, c.text, c.diff)
			if bad++; bad > 20 {
				t.FailNow()
			}
		}
		if len(d.stack) != 0 || d.depth != 0 {
			t.Fatalf("%x leaves %d actions, depth %d", c.in, len(d.stack), d.depth)
		}
	}
}

type textCase struct {
	match, actions, text string
	wire                 map[ofver.Version][]byte
}

func textCases(t testing.TB) (cs []textCase) {
	for _, block := range strings.Split(strings.Join(lines(t, "text.txt"), "\n"), "\n\n") {
		ls := strings.Split(strings.Trim(block, "\n"), "\n")
		if len(ls) < 2 {
			continue
		}
		m, a, _ := strings.Cut(ls[0], "|")
		c := textCase{match: m, actions: a, text: ls[1], wire: make(map[ofver.Version][]byte)}
		for _, l := range ls[2:] {
			v, h, _ := strings.Cut(l, " ")
			n, _ := strconv.Atoi(v)
			c.wire[ofver.Version(n)] = unhex(h)
		}
		cs = append(cs, c)
	}
	return cs
}

// parse reads and checks the case as ovs-ofctl does.
func (c *textCase) parse() (List, *match.Match, ofver.Protocols, error) {
	table := uint8(255)
	mt := c.match
	if rest, ok := strings.CutPrefix(mt, "table="); ok {
		n, _ := strconv.Atoi(rest)
		table, mt = uint8(n), ""
	}
	m, u1, err := match.Parse(mt, nil)
	if err != nil {
		return nil, nil, 0, err
	}
	l, u2, err := ParseInstructions(c.actions, nil, nil)
	if err != nil {
		return nil, nil, 0, err
	}
	u3, err := l.Check(CheckParams{Match: m, MaxPort: flow.OFPMax, Table: table, NTables: 255})
	usable := u1 & u2 & u3
	if err == nil && usable == 0 {
		err = fmt.Errorf("actions are invalid with specified match (OFPBAC_MATCH_INCONSISTENT)")
	} else {
		err = CheckError(err)
	}
	return l, m, usable, err
}

func TestRecordedText(t *testing.T) {
	var d Decoder
	for _, c := range textCases(t) {
		l, _, usable, err := c.parse()
		if err != nil {
			if got := "error: " + strings.TrimSpace(err.Error()); got != c.text {
				t.Errorf("%s|%s:\n got %s\nwant %s", c.match, c.actions, got, c.text)
			}
			continue
		}
		if strings.HasPrefix(c.text, "error: ") {
			t.Errorf("%s|%s: is valid (%s), want %s", c.match, c.actions, l, c.text)
			continue
		}
		first := true
		for v := ofver.OF10; v <= ofver.OF15; v++ {
			want, ok := c.wire[v]
			can := usable&(ofver.OF12OXM<<(v-ofver.OF12)) != 0
			switch v {
			case ofver.OF10:
				can = usable&ofver.OF10Any != 0
			case ofver.OF11:
				can = usable&ofver.OF11Std != 0
			}
			if ok != can {
				t.Errorf("%s|%s: %s is usable: %v, want %v", c.match, c.actions, v, can, ok)
			}
			if !ok {
				continue
			}
			if got := l.AppendInstructions(nil, v); string(got) != string(want) {
				t.Errorf("%s|%s in %s:\n got %x\nwant %x", c.match, c.actions, v, got, want)
				continue
			}
			back, err := d.Instructions(want, v, nil)
			if want, undecodable := strings.CutPrefix(c.text, "undecodable: "); undecodable {
				// The tool sends what it does not understand itself.
				if first && (err == nil || err.Error() != want) {
					t.Errorf("%s|%s in %s: %v, want %s", c.match, c.actions, v, err, want)
				}
				first = false
				continue
			}
			if err != nil {
				if !refused(c.actions) {
					t.Errorf("%s|%s in %s: %v", c.match, c.actions, v, err)
				}
				continue
			}
			if first && back.String() != c.text {
				t.Errorf("%s|%s in %s prints\n got %s\nwant %s", c.match, c.actions, v, back, c.text)
			}
			first = false
			if again := back.AppendInstructions(nil, v); string(again) != string(want) && !lossy(c.actions) {
				t.Errorf("%s|%s in %s re-encodes as\n got %x\nwant %x", c.match, c.actions, v, again, want)
			}
		}
	}
}

// lossy cases need the match to be encoded again.
func lossy(s string) bool { return strings.Contains(s, "_tp_") }

// refused says that the tool sends what nobody takes: the value of a masked set_field
// with bits outside of its mask, an action that cannot be in an action set.
func refused(s string) bool {
	return strings.Contains(s, "/ff:ff:ff") || s == "write_actions(learn(table=1))"
}
