package vswitch

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sluice/internal/poll"
	"sluice/ovsdb/client"
	"sluice/ovsdb/stream"
)

// ovsdbServer is an ovsdb-server in a private directory: that of
// $OVSDB_SERVER, or the first on PATH.
type ovsdbServer struct {
	t    *testing.T
	dir  string
	prog string
	cmd  *exec.Cmd
}

func newServer(t *testing.T) *ovsdbServer {
	t.Helper()
	prog := os.Getenv("OVSDB_SERVER")
	if prog == "" {
		var err error
		if prog, err = exec.LookPath("ovsdb-server"); err != nil {
			t.Skip("no ovsdb-server (package openvswitch-switch)")
		}
	}
	s := &ovsdbServer{t: t, dir: t.TempDir(), prog: prog}
	s.tool("ovsdb-tool", "create", s.dir+"/conf.db", "vswitch.ovsschema")
	t.Cleanup(s.stop)
	return s
}

func (s *ovsdbServer) tool(args ...string) string {
	s.t.Helper()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.dir, "OVS_LOGDIR="+s.dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// start runs the server, and waits until it listens.
func (s *ovsdbServer) start(extra ...string) {
	s.t.Helper()
	args := append([]string{"--remote=punix:" + s.dir + "/db.sock", "--unixctl=" + s.dir + "/ctl", "-vconsole:off"}, extra...)
	s.cmd = exec.Command(s.prog, append(args, s.dir+"/conf.db")...)
	s.cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.dir, "OVS_LOGDIR="+s.dir, "OVS_DBDIR="+s.dir)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.tool("ovs-vsctl", "--timeout=20", "--retry", "--db=unix:"+s.dir+"/db.sock", "--no-wait", "init")
}

func (s *ovsdbServer) stop() {
	if s.cmd != nil {
		s.cmd.Process.Signal(syscall.SIGTERM)
		s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *ovsdbServer) vsctl(args ...string) string {
	s.t.Helper()
	return s.tool(append([]string{"ovs-vsctl", "--timeout=20", "--db=unix:" + s.dir + "/db.sock", "--no-wait"}, args...)...)
}

// open makes a replica and a function that runs it until a condition holds.
func (s *ovsdbServer) open(lock string) (*DB, func(what string, done func() bool)) {
	start := time.Now()
	now := func() int64 { return time.Since(start).Milliseconds() }
	db := Open([]string{"unix:" + s.dir + "/db.sock"}, lock, stream.Options{}, now())
	s.t.Cleanup(db.Close)
	return db, func(what string, done func() bool) {
		s.t.Helper()
		deadline := now() + 30000
		for !done() {
			db.Run(now())
			if done() {
				return
			}
			if now() > deadline {
				s.t.Fatalf("%s: nothing for 30 seconds", what)
			}
			var p poll.Set
			db.Wait(&p, now())
			p.Timer(deadline)
			p.Block(now())
		}
	}
}

func TestReplica(t *testing.T) {
	s := newServer(t)
	s.start()
	s.vsctl("add-br", "br0", "--", "set", "bridge", "br0", "other_config:a=b", "--", "set", "port", "br0", "tag=7", "trunks=1,3,2")
	db, until := s.open("")
	until("first contents", db.HasEverConnected)
	br := db.BridgeRows()[0]
	if br.Name != "br0" || !cmp.Equal(br.OtherConfig, map[string]string{"a": "b"}) || br.FailMode != nil || len(br.Ports) != 1 {
		t.Errorf("%+v", br)
	}
	port := db.Port(br.Ports[0])
	if *port.Tag != 7 || !cmp.Equal(port.Trunks, []int64{1, 2, 3}) || db.Interface(port.Interfaces[0]).Type != "internal" {
		t.Errorf("%+v", port)
	}
	seq := db.Seqno()
	s.vsctl("set", "bridge", "br0", "other_config:a=c", "other_config:d=e", "fail_mode=secure", "--", "add-port", "br0", "p1")
	until("change", func() bool { return db.Seqno() != seq })
	now := db.Bridge(br.UUID)
	if now == br || !cmp.Equal(now.OtherConfig, map[string]string{"a": "c", "d": "e"}) || *now.FailMode != "secure" || len(now.Ports) != 2 {
		t.Errorf("%+v", now)
	}
	if db.Port(br.Ports[0]) != port {
		t.Error("a port that did not change must stay the same pointer")
	}
	s.vsctl("del-port", "p1")
	until("deletion", func() bool { return len(db.PortRows()) == 1 && len(db.InterfaceRows()) == 1 })
}

func commit(t *testing.T, db *DB, until func(string, func() bool), txn *client.Txn) client.Status {
	t.Helper()
	txn.Commit()
	until("commit", func() bool { return txn.Status() != client.Incomplete })
	return txn.Status()
}

func TestTransactions(t *testing.T) {
	s := newServer(t)
	s.start()
	s.vsctl("add-br", "br0")
	db, until := s.open("ovs_vswitchd")
	until("lock", db.HasLock)
	until("contents", db.HasEverConnected)
	iface, root := db.InterfaceRows()[0], db.Root()
	seq := db.Seqno()

	txn := db.Begin()
	n := int64(65534)
	txn.Comment("ovs-vswitchd: test")
	iface.SetOfport(txn, &n)
	iface.SetStatistics(txn, map[string]int64{"rx_bytes": 1, "tx_bytes": 1 << 60})
	iface.SetStatus(txn, map[string]string{"a": "b"})
	txn.Increment(TableOpenVSwitch, root.UUID, "cur_cfg", false)
	if st := commit(t, db, until, txn); st != client.Success || txn.IncrementValue() != root.CurCfg+1 {
		t.Errorf("%v %s %d", st, txn.Err(), txn.IncrementValue())
	}
	if got := db.Interface(iface.UUID); *got.Ofport != n || got.Statistics["tx_bytes"] != 1<<60 {
		t.Errorf("own write is not in the replica: %+v", got)
	}
	if db.Seqno() != seq {
		t.Error("own columns must not alert")
	}
	if out := s.vsctl("get", "interface", "br0", "ofport", "status"); out != "65534\n{a=b}\n" {
		t.Errorf("%q", out)
	}

	same := db.Begin()
	iface.SetOfport(same, &n)
	if st := same.Commit(); st != client.Unchanged {
		t.Errorf("writing the same: %v", st)
	}

	bad := db.Begin()
	s.vsctl("set", "bridge", "br0", "datapath_type=x")
	bad.Verify(TableBridge, db.BridgeRows()[0].UUID, "datapath_type")
	(&Bridge{UUID: db.BridgeRows()[0].UUID}).SetDatapathType(bad, "y")
	if st := commit(t, db, until, bad); st != client.TryAgain {
		t.Errorf("stale verify: %v", st)
	}

	refused := db.Begin()
	long := int64(5000)
	(&Port{UUID: db.PortRows()[0].UUID}).SetTag(refused, &long)
	if st := commit(t, db, until, refused); st != client.Error || !strings.Contains(refused.Err(), "constraint violation") {
		t.Errorf("%v %s", st, refused.Err())
	}

	ins := db.Begin()
	m := ins.Insert(TableMirror)
	(&Mirror{UUID: m}).SetName(ins, "m0")
	(&Bridge{UUID: db.BridgeRows()[0].UUID}).SetMirrors(ins, []client.UUID{m})
	if st := commit(t, db, until, ins); st != client.Success {
		t.Fatalf("%v %s", st, ins.Err())
	}
	if real, ok := ins.RealUUID(m); !ok || db.Mirror(real) == nil || db.Mirror(real).Name != "m0" {
		t.Errorf("inserted row: %v %v", real, ok)
	}
}

func TestLockContention(t *testing.T) {
	s := newServer(t)
	s.start()
	a, untilA := s.open("ovs_vswitchd")
	untilA("lock", a.HasLock)
	b, untilB := s.open("ovs_vswitchd")
	untilB("contention", func() bool { return b.LockContended() && b.HasEverConnected() })
	txn := b.Begin()
	b.Root().SetCurCfg(txn, 99)
	if st := txn.Commit(); st != client.NotLocked {
		t.Errorf("without the lock: %v", st)
	}
	seq := b.Seqno()
	a.Close()
	untilB("lock", b.HasLock)
	if b.Seqno() == seq {
		t.Error("winning the lock must alert")
	}
}

func TestServerRestart(t *testing.T) {
	s := newServer(t)
	s.start()
	s.vsctl("add-br", "br0")
	db, until := s.open("ovs_vswitchd")
	until("contents", func() bool { return len(db.BridgeRows()) == 1 && db.HasLock() })
	br := db.BridgeRows()[0]
	txn := db.Begin()
	txn.Commit()
	s.stop()
	until("end", func() bool { return !db.Synced() })
	if len(db.BridgeRows()) != 1 {
		t.Error("the old contents must stay in view")
	}
	lost := db.Begin()
	db.Root().SetCurCfg(lost, 5)
	if st := lost.Commit(); st != client.TryAgain {
		t.Errorf("without a server: %v", st)
	}
	s.start()
	s.vsctl("add-br", "br1", "--", "del-br", "br0", "--", "add-br", "br2")
	until("new contents", func() bool { return db.Synced() && len(db.BridgeRows()) == 2 && db.HasLock() })
	if db.Bridge(br.UUID) != nil {
		t.Error("br0 must be gone")
	}
}

// Without monitor_cond the client falls back to monitor.
func TestPlainMonitor(t *testing.T) {
	s := newServer(t)
	s.start("--disable-file-column-diff")
	s.tool("ovs-appctl", "-t", s.dir+"/ctl", "ovsdb-server/disable-monitor-cond")
	s.vsctl("add-br", "br0")
	db, until := s.open("")
	until("contents", db.HasEverConnected)
	s.vsctl("set", "bridge", "br0", "other_config:x=y", "--", "add-port", "br0", "p1")
	until("change", func() bool { return len(db.PortRows()) == 2 && db.BridgeRows()[0].OtherConfig["x"] == "y" })
	s.vsctl("del-port", "p1")
	until("deletion", func() bool { return len(db.PortRows()) == 1 })
}

func TestEmbeddedSchema(t *testing.T) {
	file, err := os.ReadFile(filepath.Join(".", "vswitch.ovsschema"))
	if err != nil || !bytes.Equal(file, []byte(SchemaText())) {
		t.Errorf("embedded schema differs: %v", err)
	}
}
