// Package openflow measures how the switch takes flow tables, against stock Open
// vSwitch, interleaved: bundles, dumps, single flow_mods, memory.  Prints medians with
// their spread and the ratio of the medians.
//
// It is run by `make bench` (SLUICE_BENCH); SLUICE_BENCH_ROUNDS sets the number of
// rounds (5), SLUICE_BENCH_FLOWS the number of mixed flows (100,000), and
// SLUICE_BENCH_EXACT that of exact-match flows (1,000,000).  CPU time is that of the
// switch's process; on a busy machine it says more than the time on the wall.
package openflow

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/tests/testkit"
)

func setting(env string, def int) int {
	if n, err := strconv.Atoi(os.Getenv(env)); err == nil && n > 0 {
		return n
	}
	return def
}

// contender is a switch under test; figures are its results by name.
type contender struct {
	name, bin string
	figures   map[string][]float64
}

func contenders(t *testing.T) []*contender {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	ours := os.Getenv("SLUICE_BIN")
	if ours == "" {
		ours = filepath.Join(wd, "../../../bin")
	}
	dir := t.TempDir()
	for _, p := range []string{"ovsdb-server", "ovs-vswitchd"} {
		path, err := exec.LookPath(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(dir, p)); err != nil {
			t.Fatal(err)
		}
	}
	return []*contender{{"sluice", ours, map[string][]float64{}}, {"stock", dir, map[string][]float64{}}}
}

// rows are the figures in the order of the table; a name with /s is better if larger.
var rows = []string{
	"bundle, wall s", "bundle, server CPU s", "bundle, longest echo ms", "dump, wall s", "dump, server CPU s",
	"dump, longest echo ms", "RSS, KB/flow", "RSS peak, KB/flow", "flow_mod+barrier /s", "flow_mod+barrier, server CPU us",
	"exact flows, wall s", "exact flows, server CPU s", "exact flows, RSS MB",
}

func TestOpenFlow(t *testing.T) {
	if os.Getenv("SLUICE_BENCH") == "" {
		t.Skip("SLUICE_BENCH is not set")
	}
	os.Setenv("SLUICE_E2E", "1")
	testkit.Need(t)
	both := contenders(t)
	file := filepath.Join(t.TempDir(), "flows")
	n := setting("SLUICE_BENCH_FLOWS", 100000)
	writeMixed(t, file, n)
	for range setting("SLUICE_BENCH_ROUNDS", 5) {
		for _, c := range both {
			measure(t, c, func(t *testing.T, b *bench) { b.mixed(file, n); b.single(5000) })
		}
	}
	if exact := setting("SLUICE_BENCH_EXACT", 1000000); exact > 1 {
		for range min(3, setting("SLUICE_BENCH_ROUNDS", 1)) {
			for _, c := range both {
				measure(t, c, func(t *testing.T, b *bench) { b.exact(exact) })
			}
		}
	}
	fmt.Printf("%-32s %-26s %-26s %s\n", "", both[0].name, both[1].name, "ratio of medians")
	for _, r := range rows {
		a, b := both[0].figures[r], both[1].figures[r]
		if len(a) > 0 && len(b) > 0 {
			fmt.Printf("%-32s %-26s %-26s %.2f\n", r, spread(a), spread(b), median(a)/median(b))
		}
	}
}

func median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

func spread(v []float64) string {
	return fmt.Sprintf("%.3g (%.3g–%.3g)", median(v), slices.Min(v), slices.Max(v))
}

// bench is a started switch.
type bench struct {
	*testing.T
	*testkit.Switch
	c *contender
}

func measure(t *testing.T, c *contender, fn func(*testing.T, *bench)) {
	if !t.Run(c.name, func(t *testing.T) {
		os.Setenv("SLUICE_BIN", c.bin)
		s := testkit.NewSwitch(t, testkit.Options{})
		s.Vsctl("--", "add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure")
		fn(t, &bench{t, s, c})
	}) {
		t.FailNow()
	}
}

func (b *bench) add(row string, v float64) { b.c.figures[row] = append(b.c.figures[row], v) }

// timed measures fn in seconds of time and of the switch's CPU.
func (b *bench) timed(row string, fn func()) {
	cpu, begin := b.cpu(), time.Now()
	fn()
	b.add(row+", wall s", time.Since(begin).Seconds())
	b.add(row+", server CPU s", b.cpu()-cpu)
}

func (b *bench) cpu() float64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.Pid("ovs-vswitchd")))
	if err != nil {
		b.Fatal(err)
	}
	f := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	u, _ := strconv.ParseFloat(f[11], 64)
	k, _ := strconv.ParseFloat(f[12], 64)
	return (u + k) / 100
}

// memory returns a field of the switch's status in KB.
func (b *bench) memory(field string) (kb float64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", b.Pid("ovs-vswitchd")))
	if err != nil {
		b.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			fmt.Sscan(rest, &kb)
		}
	}
	return kb
}

// writeMixed writes flows of five shapes in 40 tables.
func writeMixed(t *testing.T, file string, n int) {
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range n {
		addr := fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&0xff, i&0xff)
		fmt.Fprintf(w, "table=%d,cookie=%#x,priority=%d,", i%40, i, 100+i%7)
		switch i % 5 {
		case 0:
			fmt.Fprintf(w, "ip,nw_dst=%s,actions=output:1\n", addr)
		case 1:
			fmt.Fprintf(w, "ip,nw_src=%s/24,nw_dst=%s,actions=mod_dl_dst:02:00:00:00:00:01,resubmit(,41)\n", addr, addr)
		case 2:
			fmt.Fprintf(w, "tcp,nw_dst=%s,tp_dst=%d,actions=ct(commit,zone=1),output:2\n", addr, i&0xffff)
		case 3:
			fmt.Fprintf(w, "ip,metadata=%#x,nw_dst=%s,actions=load:%#x->NXM_NX_REG0[],output:3\n", i, addr, i)
		case 4:
			fmt.Fprintf(w, "dl_dst=00:00:00:%02x:%02x:%02x,actions=output:4\n", i>>16, i>>8&0xff, i&0xff)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.Close()
}

// mixed loads flows in one bundle and dumps them.
func (b *bench) mixed(file string, n int) {
	before := b.memory("VmRSS")
	stop := b.echoes("bundle, longest echo ms")
	b.timed("bundle", func() { b.Ofctl("-O", "OpenFlow14", "--bundle", "add-flows", "br0", file) })
	stop()
	b.add("RSS, KB/flow", (b.memory("VmRSS")-before)/float64(n))
	stop = b.echoes("dump, longest echo ms")
	b.timed("dump", func() {
		if got := strings.Count(b.Ofctl("dump-flows", "br0"), "cookie="); got != n {
			b.Errorf("%d flows of %d are there", got, n)
		}
	})
	stop()
	b.add("RSS peak, KB/flow", (b.memory("VmHWM")-before)/float64(n))
}

// conn is a connection to the switch in OpenFlow 1.4.
type conn struct {
	*bench
	net.Conn
	r *bufio.Reader
	w *bufio.Writer
}

func (b *bench) connect() *conn {
	nc, err := net.Dial("unix", filepath.Join(b.Dir, "br0.mgmt"))
	if err != nil {
		b.Fatal(err)
	}
	b.T.Cleanup(func() { nc.Close() })
	c := &conn{b, nc, bufio.NewReaderSize(nc, 1<<16), bufio.NewWriterSize(nc, 1<<16)}
	c.w.Write(ofp.Encode(ofp.OF14, 1, &ofp.Hello{Versions: 1 << ofp.OF14}))
	c.w.Flush()
	c.expect(ofp.TypeHello)
	return c
}

// expect reads a message, which must be of a type.
func (c *conn) expect(want ofp.Type) {
	if err := c.read(want); err != nil {
		c.Fatal(err)
	}
}

func (c *conn) read(want ofp.Type) error {
	h := make([]byte, 8)
	if _, err := io.ReadFull(c.r, h); err != nil {
		return err
	}
	b := append(h, make([]byte, ofp.Length(h)-8)...)
	if _, err := io.ReadFull(c.r, b[8:]); err != nil {
		return err
	}
	if got, err := ofp.DecodeHeader(b); err != nil || got.Type != want {
		return fmt.Errorf("%v: %s", err, ofp.Format(b, nil, 1))
	}
	return nil
}

func (c *conn) barrier(xid uint32) {
	c.w.Write(ofp.Encode(ofp.OF14, xid, &ofp.Empty{Kind: ofp.TypeBarrierRequest}))
	c.w.Flush()
	c.expect(ofp.TypeBarrierReply)
}

// echoes sends an echo request every 5 ms until the function it returns is
// called: how long a busy switch keeps another controller waiting.
func (b *bench) echoes(row string) (stop func()) {
	c := b.connect()
	end, done := make(chan struct{}), make(chan struct{})
	var longest time.Duration
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			begin := time.Now()
			c.w.Write(ofp.Encode(ofp.OF14, 1, &ofp.EchoRequest{}))
			c.w.Flush()
			if err := c.read(ofp.TypeEchoReply); err != nil {
				b.Error(err)
				return
			}
			longest = max(longest, time.Since(begin))
		}
	}()
	return func() {
		close(end)
		<-done
		c.Close()
		b.add(row, longest.Seconds()*1000)
	}
}

// exactFlow is the i-th of many flows with the same mask.
func exactFlow(i int, table uint8) *ofp.FlowMod {
	fm := &ofp.FlowMod{Priority: 10, TableID: table, BufferID: ofp.NoBuffer, OutPort: flow.OFPNone, OutGroup: ofp.GroupAny,
		Actions: action.List{&action.Output{Port: 1}}}
	f, m := &fm.Match.Flow, &fm.Match.Mask
	f.DLType, m.DLType = flow.EthIPv4, 0xffff
	f.NwProto, m.NwProto = 6, 0xff
	f.NwSrc, m.NwSrc = 10<<24|uint32(i), ^uint32(0)
	f.NwDst, m.NwDst = 11<<24|uint32(i), ^uint32(0)
	f.TpSrc, m.TpSrc = uint16(i), 0xffff
	f.TpDst, m.TpDst = 80, 0xffff
	return fm
}

// single sends flow_mods one by one, each with a barrier.
func (b *bench) single(n int) {
	c := b.connect()
	msgs := make([][]byte, n)
	for i := range msgs {
		msgs[i] = ofp.Encode(ofp.OF14, uint32(i), exactFlow(i, 50))
	}
	cpu, begin := b.cpu(), time.Now()
	for i, m := range msgs {
		c.w.Write(m)
		c.barrier(uint32(i))
	}
	b.add("flow_mod+barrier /s", float64(n)/time.Since(begin).Seconds())
	b.add("flow_mod+barrier, server CPU us", (b.cpu()-cpu)/float64(n)*1e6)
}

// exact loads many flows of one shape as fast as the switch takes them.
func (b *bench) exact(n int) {
	c := b.connect()
	before := b.memory("VmRSS")
	b.timed("exact flows", func() {
		for i := range n {
			c.w.Write(ofp.Encode(ofp.OF14, uint32(i), exactFlow(i, 0)))
		}
		c.barrier(0)
	})
	b.add("exact flows, RSS MB", (b.memory("VmRSS")-before)/1024)
}
