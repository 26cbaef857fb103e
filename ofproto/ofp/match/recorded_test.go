package match

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"sluice/ofproto/ofp/ofver"
)

func lines(t testing.TB, name string) []string {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")[1:]
}

// differences is how stock shows what changed.
func differences(prefix string, a, b []byte) (ds []string) {
	for i := range a {
		if a[i] != b[i] {
			ds = append(ds, fmt.Sprintf("%s%d: %02x -> %02x", prefix, i, a[i], b[i]))
		}
	}
	return ds
}

func TestRecordedFixed(t *testing.T) {
	ls := lines(t, "fixed.txt")
	for i := 0; i+2 < len(ls); i += 3 {
		ver, hexes, _ := strings.Cut(ls[i], " ")
		in := unhex(hexes)
		var m Match
		var text string
		var diff []string
		if ver == "10" {
			m.Decode10(in)
			text = m.String()
			out := m.Append10(nil)
			diff = differences("", in, out)
			m.NormalizeQuietly()
			diff = append(diff, differences("normal: ", out, m.Append10(nil))...)
		} else if err := m.Decode11(in); err != nil {
			text = fmt.Sprintf("bad ofp11_match: %v", err)
		} else {
			text = m.String()
			diff = differences("", in, m.Append11(nil))
		}
		if want := strings.TrimSpace(ls[i+2]); text != ls[i+1] || strings.Join(diff, "; ") != want {
			t.Errorf("%s %s:\n got %s (%s)\nwant %s (%s)", ver, hexes, text, strings.Join(diff, "; "), ls[i+1], want)
		}
	}
}

func TestRecordedText(t *testing.T) {
	ls := lines(t, "text.txt")
	for i := 0; i+1 < len(ls); i += 2 {
		in := ls[i]
		if in == "<any>" {
			in = ""
		}
		got := throughWire(t, in)
		if got != ls[i+1] {
			t.Errorf("%s:\n got %s\nwant %s", ls[i], got, ls[i+1])
		}
	}
}

// throughWire parses text and sends it in the protocol that the tool prefers.
func throughWire(t *testing.T, in string) string {
	m, usable, err := Parse(in, nil)
	if err != nil {
		return "error: " + err.Error()
	}
	var back Match
	if usable&ofver.OF10Std != 0 {
		back.Decode10(m.Append10(nil))
		back.NormalizeQuietly()
	} else {
		raw, n := m.AppendNXM(nil, Cookie{})
		if took, err := back.PullNXM(raw, n, Options{}, nil); err != nil || took != len(raw) {
			t.Errorf("%s: %v", in, err)
		}
		checkMini(t, in, &back)
	}
	return back.String()
}

func checkMini(t *testing.T, in string, m *Match) {
	z := m.Mini()
	var full Match
	z.Expand(&full)
	if !full.Equal(m) || full.String() != m.String() || !z.Matches(&m.Flow) || !z.SubsetOf(&z) {
		t.Errorf("%s: Mini gives %s", in, full.String())
	}
	z2 := full.Mini()
	if !z.Equal(&z2) || z.Hash(1) != z2.Hash(1) {
		t.Errorf("%s: Mini is not equal to itself", in)
	}
}

func TestFixedRoundTrip(t *testing.T) {
	ls := lines(t, "fixed.txt")
	for i := 0; i+2 < len(ls); i += 3 {
		ver, hexes, _ := strings.Cut(ls[i], " ")
		if ver != "11" {
			continue
		}
		var m, m2 Match
		if m.Decode11(unhex(hexes)) != nil {
			continue
		}
		b := m.Append(nil, ofver.OF11)
		if n, err := m2.Pull(b, Options{}); err != nil || n != Size11 || !bytes.Equal(m2.Append11(nil), b) {
			t.Errorf("%s: not stable (%v)", hexes, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, c := range nxmCases(f) {
		f.Add(uint8(c.ver), fromText(f, c.in))
	}
	f.Fuzz(func(t *testing.T, v uint8, b []byte) {
		ver := ofver.Version(v % 7)
		var m, m2 Match
		var cookie Cookie
		if m.Decode(b, Options{}, &cookie) != nil {
			return
		}
		_ = m.String()
		m.NormalizeQuietly()
		out := m.AppendEntries(nil, ver, Cookie{})
		if err := m2.Decode(out, Options{}, nil); err != nil {
			// Stock writes a few matches in a way that it refuses itself.
			return
		}
		if again := m2.AppendEntries(nil, ver, Cookie{}); !bytes.Equal(out, again) {
			t.Fatalf("%x\nbecomes %x\nthen %x", b, out, again)
		}
	})
}

func FuzzFixed(f *testing.F) {
	f.Add(make([]byte, Size11))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < Size11 {
			return
		}
		var m Match
		m.Decode10(b[:Size10])
		_ = m.String()
		if m.Decode11(b[:Size11]) == nil {
			_ = m.String()
		}
		m.Pull(b, Options{})
	})
}

func FuzzParse(f *testing.F) {
	ls := lines(f, "text.txt")
	for i := 0; i < len(ls); i += 2 {
		f.Add(ls[i])
	}
	f.Fuzz(func(t *testing.T, s string) {
		if m, _, err := Parse(s, nil); err == nil {
			m.AppendEntries(nil, 0, Cookie{})
			_ = m.String()
		}
		ParseExactFlow(s, nil, nil, nil)
	})
}

var sink Match

func BenchmarkDecodeNXM(b *testing.B) {
	raw := fromText(b, "NXM_OF_IN_PORT(0001), NXM_OF_ETH_TYPE(0800), NXM_OF_IP_SRC(01020304), NXM_OF_IP_DST_W(05060700/ffffff00), NXM_OF_IP_PROTO(06), NXM_OF_TCP_DST(0050)")
	b.ReportAllocs()
	for b.Loop() {
		sink.Decode(raw, Options{}, nil)
	}
}

func BenchmarkMini(b *testing.B) {
	m, _, _ := Parse("tcp,in_port=1,nw_src=1.2.3.4,nw_dst=5.6.7.0/24,tp_dst=80", nil)
	b.ReportAllocs()
	for b.Loop() {
		z := m.Mini()
		z.Expand(&sink)
	}
}

func BenchmarkEncodeMini(b *testing.B) {
	m, _, _ := Parse("tcp,in_port=1,nw_src=1.2.3.4,nw_dst=5.6.7.0/24,tp_dst=80", nil)
	z := m.Mini()
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		z.Expand(&sink)
		buf = sink.AppendOXM(buf[:0], ofver.OF13)
	}
}

func BenchmarkText(b *testing.B) {
	m, _, _ := Parse("tcp,in_port=1,nw_src=1.2.3.4,nw_dst=5.6.7.0/24,tp_dst=80", nil)
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = m.AppendText(buf[:0], nil, DefaultPriority)
	}
}

func TestCodecAllocatesNothing(t *testing.T) {
	m, _, err := Parse("tcp,in_port=1,nw_src=1.2.3.4,nw_dst=5.6.7.0/24,tp_dst=80", nil)
	if err != nil {
		t.Fatal(err)
	}
	raw := m.AppendEntries(nil, ofver.OF13, Cookie{})
	buf := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		sink.Decode(raw, Options{}, nil)
		buf = sink.AppendOXM(buf[:0], ofver.OF13)
		buf = sink.AppendText(buf[:0], nil, DefaultPriority)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
