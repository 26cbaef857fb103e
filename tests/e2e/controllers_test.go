package e2e

import (
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	of "github.com/netrack/openflow"
	"github.com/netrack/openflow/ofp"
	"github.com/netrack/openflow/ofputil"

	"sluice/tests/testkit"
)

// TestOsKen runs a learning switch on os-ken's framework.  The application ends
// itself when the switch refuses a message, so that nothing learns.
func TestOsKen(t *testing.T) {
	testkit.Need(t, "osken-manager", "ping")
	app, err := filepath.Abs("testdata/learning.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct{ name, version string }{{"OpenFlow10", "1.0"}, {"OpenFlow13", "1.3"}, {"OpenFlow15", "1.5"}} {
		t.Run(v.name, func(t *testing.T) {
			s, h := withController(t, v.name)
			out := filepath.Join(s.Dir, "osken.log")
			s.Start("env", "PYTHONDONTWRITEBYTECODE=1", "OFP_VERSION="+v.version, "sh", "-c", `exec "$@" >"$0" 2>&1`, out,
				"osken-manager", "--ofp-listen-host", "127.0.0.1", "--ofp-tcp-listen-port", "6653", app)
			// It needs seconds to import itself; the switch would be backing off.
			testkit.Eventually(t, 30*time.Second, "os-ken listens", func() bool {
				ss, err := s.Try("ss", "-Hltn", "sport", "=", ":6653")
				return err == nil && ss != ""
			})
			s.Vsctl("set-controller", "br0", "tcp:127.0.0.1:6653")
			learns(t, s, h)
			testkit.Eventually(t, 5*time.Second, "the controller has the description", func() bool {
				text, err := s.Try("grep", "-c", "^description.*Open vSwitch", out)
				return err == nil && text != ""
			})
		})
	}
}

// TestNetrackController runs a controller on netrack/openflow, which speaks 1.3.
func TestNetrackController(t *testing.T) {
	testkit.Need(t, "ping")
	s, h := withController(t, "OpenFlow13")
	sock := filepath.Join(s.Dir, "netrack.sock")
	ln, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	var refused atomic.Int32
	srv := of.Server{Handler: netrackSwitch(t, &refused), HandlerRunner: of.SequentialRunner{}}
	done := make(chan struct{})
	go func() { srv.Serve(ln); close(done) }()
	t.Cleanup(func() { ln.Close(); <-done })
	s.Vsctl("set-controller", "br0", "unix:"+sock)
	learns(t, s, h)
	if n := refused.Load(); n != 0 {
		t.Errorf("the switch refused %d messages", n)
	}
}

// netrackSwitch floods what it does not know and makes flows for what it does.
func netrackSwitch(t *testing.T, refused *atomic.Int32) of.Handler {
	mux := of.NewTypeMux()
	mux.Handle(of.TypeHello, ofputil.HelloHandler(4, of.HandlerFunc(func(rw of.ResponseWriter, r *of.Request) {
		rw.Write(&of.Header{Version: 4, Type: of.TypeFeaturesRequest}, nil)
	})))
	mux.Handle(of.TypeEchoRequest, ofputil.EchoHandler(nil))
	mux.HandleFunc(of.TypeError, func(of.ResponseWriter, *of.Request) { refused.Add(1) })
	write := func(rw of.ResponseWriter, typ of.Type, fm *ofp.FlowMod) {
		if err := rw.Write(&of.Header{Version: 4, Type: typ}, fm); err != nil {
			t.Log(err)
		}
	}
	mux.HandleFunc(of.TypeFeaturesReply, func(rw of.ResponseWriter, r *of.Request) {
		miss := ofp.NewFlowMod(ofp.FlowAdd, nil)
		miss.Match = ofputil.ExtendedMatch()
		miss.Instructions = apply(&ofp.ActionOutput{Port: ofp.PortController, MaxLen: 0xffff})
		write(rw, of.TypeFlowMod, miss)
	})
	ports := map[[6]byte]ofp.PortNo{}
	mux.HandleFunc(of.TypePacketIn, func(rw of.ResponseWriter, r *of.Request) {
		var in ofp.PacketIn
		if _, err := in.ReadFrom(r.Body); err != nil || len(in.Data) < 14 {
			t.Logf("packet_in of %d bytes: %v", len(in.Data), err)
			return
		}
		port := ofp.PortNo(in.Match.Field(ofp.XMTypeInPort).Value.UInt32())
		dst, src := [6]byte(in.Data[:6]), [6]byte(in.Data[6:12])
		ports[src] = port
		out, known := ports[dst]
		if !known {
			out = ofp.PortFlood
		} else {
			fm := ofp.NewFlowMod(ofp.FlowAdd, nil)
			fm.Priority = 1
			fm.Match = ofputil.ExtendedMatch(ofputil.MatchInPort(port),
				ofp.XM{Class: ofp.XMClassOpenflowBasic, Type: ofp.XMTypeEthDst, Value: dst[:]},
				ofp.XM{Class: ofp.XMClassOpenflowBasic, Type: ofp.XMTypeEthSrc, Value: src[:]})
			fm.Instructions = apply(&ofp.ActionOutput{Port: out})
			write(rw, of.TypeFlowMod, fm)
		}
		err := rw.Write(&of.Header{Version: 4, Type: of.TypePacketOut}, &ofp.PacketOut{Buffer: ofp.NoBuffer, InPort: port,
			Actions: ofp.Actions{&ofp.ActionOutput{Port: out}}, Data: in.Data})
		if err != nil {
			t.Log(err)
		}
	})
	return mux
}

func apply(a ofp.Action) ofp.Instructions {
	return ofp.Instructions{&ofp.InstructionApplyActions{Actions: ofp.Actions{a}}}
}
