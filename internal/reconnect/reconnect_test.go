package reconnect

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sluice/internal/vlog"
)

// script plays reports and notes what Run says and what is logged. Each step
// is "ADVANCE REPORT".
func script(t *testing.T, f *FSM, steps ...string) string {
	t.Helper()
	var out []string
	vlog.SetSink(func(m *vlog.Module, l vlog.Level, text string) { out = append(out, text) })
	defer vlog.SetSink(nil)
	now := int64(1000)
	for _, step := range steps {
		var ms int64
		var report string
		fmt.Sscanf(step, "%d %s", &ms, &report)
		now += ms
		f.ReceiveAttempted(now)
		switch report {
		case "enable":
			f.Enable(now)
		case "connecting":
			f.Connecting(now)
		case "connected":
			f.Connected(now)
		case "refused":
			f.ConnectFailed(now, unix.ECONNREFUSED)
		case "timeout":
			f.ConnectFailed(now, nil)
		case "eof":
			f.Disconnected(now, io.EOF)
		case "dropped":
			f.Disconnected(now, nil)
		case "activity":
			f.Activity(now)
		case "listening":
			f.Listening(now)
		case "listen-error":
			f.ListenError(now, unix.EINVAL)
		case "run":
		default:
			t.Fatal(step)
		}
		if a := f.Run(now); a != None {
			out = append(out, fmt.Sprintf("%d: %s", now-1000, [...]string{"", "connect", "disconnect", "probe"}[a]))
		}
	}
	return strings.Join(out, "\n")
}

func TestScripts(t *testing.T) {
	for _, tc := range []struct {
		name  string
		setup func(f *FSM)
		steps []string
		want  string
	}{
		{"refused until the longest pause", nil,
			[]string{"0 enable", "0 refused", "999 run", "1 run", "0 refused", "2000 refused", "4000 refused", "8000 refused", "8000 refused"},
			`0: connect
r: connecting...
r: connection attempt failed (Connection refused)
1000: connect
r: connecting...
r: connection attempt failed (Connection refused)
r: waiting 2 seconds before reconnect
r: connecting...
r: connection attempt failed (Connection refused)
r: waiting 4 seconds before reconnect
r: connecting...
r: connection attempt failed (Connection refused)
r: continuing to reconnect in the background but suppressing further logging`},
		{"a lasting connection starts over", nil,
			[]string{"0 enable", "0 connecting", "500 connected", "3000 activity", "0 eof", "1000 run"},
			`0: connect
r: connecting...
r: connected
r: connection closed by peer
4500: connect`},
		{"probe and drop", nil,
			[]string{"0 enable", "0 connected", "4999 run", "1 run", "1000 activity", "5000 run", "5000 run", "0 dropped"},
			`0: connect
r: connecting...
r: connected
5000: probe
11000: probe
r: no response to inactivity probe after 5 seconds, disconnecting
16000: disconnect
r: connection dropped`},
		{"an attempt may take as long as the pause", nil,
			[]string{"0 enable", "0 connecting", "1000 run", "0 timeout"},
			`0: connect
r: connecting...
1000: disconnect
r: connection attempt timed out`},
		{"one try", func(f *FSM) { f.SetMaxTries(1) },
			[]string{"0 enable", "0 refused", "90000 run"},
			`0: connect
r: connecting...
r: connection attempt failed (Connection refused)`},
		{"passive", func(f *FSM) { f.SetPassive(true, 1000) },
			[]string{"0 enable", "0 listening", "60000 listen-error", "1000 run", "0 listening", "5 connected", "0 eof"},
			`0: connect
r: listening...
r: error listening for connections (Invalid argument)
61000: connect
r: listening...
r: listening...
r: connected
r: connection closed by peer
61005: connect`},
		{"free tries", func(f *FSM) { f.SetBackoffFreeTries(3) },
			[]string{"0 enable", "0 refused", "0 refused", "0 refused", "1000 run"},
			`0: connect
r: connecting...
r: connection attempt failed (Connection refused)
0: connect
r: connecting...
r: connection attempt failed (Connection refused)
0: connect
r: connecting...
r: connection attempt failed (Connection refused)
1000: connect`},
	} {
		f := New(1000)
		f.SetName("r")
		if tc.setup != nil {
			tc.setup(f)
		}
		if d := cmp.Diff(tc.want, script(t, f, tc.steps...)); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
	}
}

func TestNoProbeBeforeLooking(t *testing.T) {
	f := New(0)
	f.Enable(0)
	f.Connected(0)
	f.ReceiveAttempted(0)
	if a := f.Run(50000); a != None {
		t.Errorf("%v before anything was looked for", a)
	}
	f.ReceiveAttempted(50000)
	if a := f.Run(50001); a != Probe {
		t.Errorf("%v", a)
	}
	st := f.Stats(50001)
	if st.State != Idle || st.TotalConnected != 50001 || st.SinceDisconnect != -1 || st.Attempted != 1 || st.Successful != 1 {
		t.Errorf("%+v", st)
	}
}
