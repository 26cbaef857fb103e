package action

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sluice/internal/vlog"
	"sluice/ofproto/ofp/ofver"
)

// Bad actions are logged as stock logs them; the messages end up in the daemon's log,
// which the conformance tests read.
func TestRecordedLog(t *testing.T) {
	var got []string
	vlog.SetSink(func(m *vlog.Module, l vlog.Level, text string) {
		if l != vlog.Dbg {
			got = append(got, fmt.Sprintf("%s|%s|%s", m.Name(), l, strings.TrimRight(text, "\n")))
		}
	})
	defer vlog.SetSink(nil)
	for _, name := range []string{"ofp_actions", "meta_flow", "nx_match", "bundle"} {
		m := vlog.Lookup(name)
		m.SetRateLimited(false)
		defer m.SetRateLimited(true)
	}
	var d Decoder
	ls := lines(t, "log.txt")
	for i := 0; i+1 < len(ls); i += 2 {
		f := strings.Fields(ls[i])
		n, _ := strconv.Atoi(f[1])
		c := wireCase{instructions: f[0] == "instructions", ver: ofver.OF10 + ofver.Version(n-10), in: unhex(f[2])}
		var want []string
		if err := json.Unmarshal([]byte(ls[i+1]), &want); err != nil {
			t.Fatal(err)
		}
		got = nil
		c.decode(&d)
		if !slices.Equal(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", ls[i], got, want)
		}
	}
}
