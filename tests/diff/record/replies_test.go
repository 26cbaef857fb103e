package record

import (
	"encoding/hex"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sluice/ofproto/ofp"
)

var replies = flag.Bool("replies", false, "compare the replies of this switch with those of the stock one")

// TestReplies gives the commands of the corpus to the stock switch and to ours (from
// SLUICE_BIN, or built), and compares what they answer.
func TestReplies(t *testing.T) {
	if !*replies {
		t.Skip("needs stock daemons and half a minute: asked for with -replies")
	}
	stock, ours := startSwitch(t, "ovs-vswitchd"), startSwitch(t, ourSwitch(t))
	for v := ofp.OF10; v <= ofp.OF15; v++ {
		want, got := answers(t, stock, v), answers(t, ours, v)
		for i, c := range commands(v) {
			if differs[c.String()] {
				continue
			}
			if !slices.Equal(want[i], got[i]) {
				t.Errorf("%v: %v\nstock: %s\nours:  %s", v, c, strings.Join(want[i], "       "), strings.Join(got[i], "       "))
			}
		}
	}
}

// differs are the commands whose answers may differ: stock refuses dscp_remark bands.
var differs = map[string]bool{
	"add-meter meter=2,pktps,bands=type=dscp_remark,rate=10,prec_level=1": true,
	"dump-meters": true, "meter-stats": true, "del-meter meter=2": true,
}

func ourSwitch(t *testing.T) string {
	if dir := os.Getenv("SLUICE_BIN"); dir != "" {
		return filepath.Join(dir, "ovs-vswitchd")
	}
	path := filepath.Join(t.TempDir(), "ovs-vswitchd")
	cmd := exec.Command("go", "build", "-o", path, "sluice/cmd/ovs-vswitchd")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// answers is what a switch sends for each command, as text that two switches share.
func answers(t *testing.T, sw *stockSwitch, v ofp.Version) (all [][]string) {
	sw.reset(t)
	p := startProxy(t, sw.dir, filepath.Join(sw.dir, "br0.mgmt"))
	defer p.close()
	for _, c := range commands(v) {
		p.exec(t, sw, v, c)
		var texts []string
		for _, line := range p.take() {
			if b, err := hex.DecodeString(line[2:]); err == nil && line[0] == '<' {
				texts = append(texts, commonText(b))
			}
		}
		all = append(all, texts)
	}
	return all
}

// Parts of the text that two runs do not share.
var (
	xids      = regexp.MustCompile(`xid=0x[0-9a-f]+`)
	durations = regexp.MustCompile(`duration[=:]?[0-9.]+s`)
	ages      = regexp.MustCompile(`(idle|hard)_age=\d+, `)
	macs      = regexp.MustCompile(`aa:55:aa:55:[0-9a-f:]+`)
	dumps     = regexp.MustCompile(`(?m)^[0-9a-f]{8}  .*\n`)
)

// unordered are the replies whose entries have no order to rely on.
var unordered = map[ofp.Type]bool{
	ofp.TypeFeaturesReply: true, ofp.TypePortStatsReply: true, ofp.TypePortDescStatsReply: true,
	ofp.TypeQueueStatsReply: true, ofp.TypeGroupDescStatsReply: true, ofp.TypeGroupStatsReply: true,
}

func commonText(b []byte) string {
	s := ofp.Format(b, nil, 1)
	for _, r := range []*regexp.Regexp{xids, durations, ages, macs, dumps} {
		s = r.ReplaceAllString(s, "")
	}
	if h, err := ofp.DecodeHeader(b); err == nil && unordered[h.Type] {
		lines := strings.SplitAfter(s, "\n")
		slices.Sort(lines)
		s = strings.Join(lines, "")
	}
	return s
}
