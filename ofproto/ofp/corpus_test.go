package ofp

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/ofp/ofver"
)

// corpusMsg is a message that stock 3.1 sent, see tests/diff/record.
type corpusMsg struct {
	where      string // the command that it belongs to
	fromSwitch bool
	b          []byte
	p          Protocol // of the connection at that time
}

func readCorpus(t testing.TB) (msgs []corpusMsg) {
	paths, err := filepath.Glob("testdata/corpus/*.txt")
	if err != nil || len(paths) != 6 {
		t.Fatal("corpus: ", paths, err)
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		sc := bufio.NewScanner(f)
		sc.Buffer(nil, 1<<20)
		var m corpusMsg
		for sc.Scan() {
			s := sc.Text()
			if s[0] == '#' {
				m.where = filepath.Base(path) + s[1:]
				m.p = 0
				continue
			}
			m.fromSwitch = s[0] == '<'
			if m.b, err = hex.DecodeString(s[2:]); err != nil {
				t.Fatal(err)
			}
			m.p = protocolAfter(m.p, m.b)
			msgs = append(msgs, m)
		}
		f.Close()
	}
	return msgs
}

// protocolAfter is the protocol of a connection once b has passed.  The recorder
// leaves out what it has written before, so that Nicira messages count as well as
// what switches to them.
func protocolAfter(p Protocol, b []byte) Protocol {
	h, err := DecodeHeader(b)
	if err != nil || h.Version != OF10 {
		return WithTableID(DefaultProtocol(Version(b[0])), true)
	}
	switch h.Raw {
	case RawNXTFlowMod, RawNXSTFlowRequest, RawNXSTAggregateRequest, RawNXSTFlowReply, RawNXSTAggregateReply,
		RawNXTFlowRemoved:
		return ofver.OF10NXMTID
	}
	return ofver.OF10StdTID
}

// TestCorpusText prints what stock sent, to the text that stock prints.
func TestCorpusText(t *testing.T) {
	for v := OF10; v <= OF15; v++ {
		b, err := os.ReadFile("testdata/corpus/" + v.String() + ".text")
		if err != nil {
			t.Fatal(err)
		}
		texts := strings.SplitAfter(string(b), "====\n")
		for _, m := range readCorpus(t) {
			if !strings.HasPrefix(m.where, v.String()) {
				continue
			}
			want := strings.TrimSuffix(texts[0], "====\n")
			texts = texts[1:]
			if got := Format(m.b, nil, 1); got != want {
				t.Errorf("%s\ngot %s\nwant %s", m.where, got, want)
			}
		}
	}
}

// corpusTun is the map of tunnel options that the recorded switch has.
func corpusTun(t testing.TB) *field.TunTable {
	tab, err := new(field.TunTable).Add([]field.TunMapping{
		{Class: 0xffff, Type: 0, Len: 4, Index: 0}, {Class: 1, Type: 1, Len: 8, Index: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// TestCorpusRoundTrip decodes what stock sent and encodes it again, to the same
// bytes.  Requests that do not decode must be those that stock's switch refused, with
// the same error.
func TestCorpusRoundTrip(t *testing.T) {
	msgs := readCorpus(t)
	tun := corpusTun(t)
	n := 0
	for i, m := range msgs {
		c := Context{Protocol: m.p, loose: m.fromSwitch}
		if m.fromSwitch {
			c.Tun = tun
		}
		h, msg, err := c.Decode(m.b)
		if err != nil {
			checkRefused(t, err, m, msgs[i+1:])
			continue
		}
		n++
		got := Append(nil, m.p, h.XID, msg)
		if hello, ok := msg.(*Hello); ok {
			got = EncodeHello(hello.Versions, h.XID)
		}
		if h.Type == TypeTableStatsReply && h.Version < OF13 {
			checkStable(t, &c, h.XID, msg) // the decoder leaves out what the version does not know
			continue
		}
		if !bytes.Equal(got, m.b) {
			t.Errorf("%s\n%s got %x\nwant %x", m.where, Format(m.b, nil, 1), got, m.b)
		}
	}
	if n < 900 {
		t.Errorf("only %d messages", n)
	}
}

// checkRefused checks that stock's switch answered m with the error err.
func checkRefused(t *testing.T, err error, m corpusMsg, later []corpusMsg) {
	want := ErrorReply(err.(oferr.Code), Version(m.b[0]), m.b)
	for _, reply := range later {
		if reply.fromSwitch && bytes.Equal(reply.b[4:8], m.b[4:8]) {
			if !bytes.Equal(reply.b, want) {
				t.Errorf("%s\n%x\nanswered with %swant %s", m.where, m.b, Format(want, nil, 1), Format(reply.b, nil, 1))
			}
			return
		}
	}
	t.Errorf("%s\n%s%v", m.where, Format(m.b, nil, 1), err)
}
