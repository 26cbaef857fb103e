package ovsdb

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

var rounds = flag.Int("rounds", 200, "how often TestKill kills a server")

// writer commits durably until the server dies, and returns the last number
// that was acknowledged.
func writer(sock string, id, from int, acked func(n int)) {
	conn, err := net.Dial("unix", sock)
	if err != nil {
		return
	}
	defer conn.Close()
	dec := json.NewDecoder(bufio.NewReader(conn))
	for n := from; ; n++ {
		// Two rows that belong together: half a transaction would show.
		fmt.Fprintf(conn, `{"id":%d,"method":"transact","params":["d",{"op":"insert","table":"kid","uuid-name":"k","row":{"n":%d}},`+
			`{"op":"insert","table":"root","row":{"name":"w%d-%d","i":%[2]d,"kids":["named-uuid","k"]}},{"op":"commit","durable":true}]}`,
			n, n%900, id, n)
		var r struct{ Result []map[string]any }
		if dec.Decode(&r) != nil {
			return
		}
		acked(n)
	}
}

// TestKill kills servers at random moments under durable load, also during
// compactions: nothing that was acknowledged may be missing, and nothing may
// be there in part. Several servers, each with a database of its own, take
// turns on the disk and the processors, which also varies the moments.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	program := build(t)
	const plain = `{"name":"d","version":"1.0.0","tables":{"root":{"columns":{"name":{"type":"string"},"i":{"type":"integer"},
		"kids":{"type":{"key":{"type":"uuid","refTable":"kid"},"min":1,"max":1}}},"indexes":[["name"]],"isRoot":true},
		"kid":{"columns":{"n":{"type":"integer"}}}}}`
	if err := os.WriteFile(dir+"/schema", []byte(plain), 0o600); err != nil {
		t.Fatal(err)
	}
	const servers = 4
	for i := range servers {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			killRounds(t, program, dir+"/schema", int64(i), (*rounds+servers-1-i)/servers)
		})
	}
}

// killRounds starts, loads and kills one server again and again.
func killRounds(t *testing.T, program, schema string, seed int64, n int) {
	dir := t.TempDir()
	if out, err := exec.Command("ovsdb-tool", "create", dir+"/db", schema).CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	const writers = 4
	last := [writers]int{}
	rnd := rand.New(rand.NewSource(seed))
	for round := range n {
		sock := fmt.Sprintf("%s/sock%d", dir, round)
		ctl := fmt.Sprintf("%s/ctl%d", dir, round)
		pid := launch(t, program, dir, sock, ctl)
		check(t, sock, last[:])
		var wg sync.WaitGroup
		kill := 20 + rnd.Intn(100)
		count := make(chan struct{}, 1000)
		for i := range writers {
			wg.Add(1)
			go func() {
				defer wg.Done()
				writer(sock, i, last[i]+1, func(n int) {
					last[i] = n
					select {
					case count <- struct{}{}:
					default:
					}
				})
			}()
		}
		for n := 0; n < kill; n++ {
			<-count
			if n == kill/2 {
				go exec.Command("ovs-appctl", "-t", ctl, "ovsdb-server/compact").Run()
			}
		}
		killAndWait(t, pid)
		wg.Wait()
	}
	check(t, sockOf(t, program, dir), last[:])
}

// sockOf starts the server for a last look, and kills it at the end of the test.
func sockOf(t *testing.T, program, dir string) string {
	pid := launch(t, program, dir, dir+"/sock", dir+"/ctl")
	t.Cleanup(func() { killAndWait(t, pid) })
	return dir + "/sock"
}

// launch starts the server in the background and returns its process.
func launch(t *testing.T, program, dir, sock, ctl string) int {
	t.Helper()
	out, err := exec.Command(program, "--detach", "--no-chdir", "--pidfile="+dir+"/pid", "--remote=punix:"+sock,
		"--unixctl="+ctl, "-vconsole:off", dir+"/db").CombinedOutput()
	if err != nil {
		t.Fatalf("%s", out)
	}
	text, err := os.ReadFile(dir + "/pid")
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// killAndWait kills a process that is not our child and waits for its end.
func killAndWait(t *testing.T, pid int) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	unix.Kill(pid, unix.SIGKILL)
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, -1)
		if err != unix.EINTR {
			return
		}
	}
}

// check looks for what was acknowledged.
func check(t *testing.T, sock string, last []int) {
	t.Helper()
	conn, err := net.Dial("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, `{"id":0,"method":"transact","params":["d",{"op":"select","table":"root","where":[]},{"op":"select","table":"kid","where":[]}]}`)
	var r struct {
		Result []struct{ Rows []map[string]any }
	}
	if err := json.NewDecoder(conn).Decode(&r); err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, row := range r.Result[0].Rows {
		have[row["name"].(string)] = true
	}
	for w, n := range last {
		for i := 1; i <= n; i++ {
			if !have[fmt.Sprintf("w%d-%d", w, i)] {
				t.Fatalf("transaction %d of writer %d was acknowledged and is lost", i, w)
			}
		}
		// The one that was under way may be there; then it is done.
		if have[fmt.Sprintf("w%d-%d", w, n+1)] {
			last[w] = n + 1
		}
	}
	if a, b := len(r.Result[0].Rows), len(r.Result[1].Rows); a != b {
		t.Fatalf("%d rows refer to %d", a, b)
	}
}
