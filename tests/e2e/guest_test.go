package e2e

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// guestDir is where tests/deps unpacks the kernel of the distribution's cloud image.
const guestDir = "/var/lib/sluice-guest"

// initScript loads the driver, sets the address of the command line and gives the
// console to a shell.
const initScript = `#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
for m in virtio virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci failover net_failover virtio_net; do
  insmod /mod/$m.ko 2>/dev/null
done
for a in $(cat /proc/cmdline); do
  case $a in addr=*) ip addr add ${a#addr=} dev eth0;; esac
done
ip link set lo up; ip link set eth0 up
iperf3 -s -D
echo the guest is ready
exec sh </dev/console >/dev/console 2>&1
`

// archive is a cpio archive (newc), what kernels take as their first file system.
type archive struct {
	w     io.Writer
	inode int
	dirs  map[string]bool
}

func (a *archive) add(name string, mode int, data []byte) {
	for i, c := range name {
		if dir := name[:i]; c == '/' && !a.dirs[dir] {
			a.dirs[dir] = true
			a.entry(dir, 0o40755, nil)
		}
	}
	a.entry(name, mode, data)
}

func (a *archive) entry(name string, mode int, data []byte) {
	a.inode++
	head := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	a.w.Write(pad(append([]byte(nil), head...)))
	a.w.Write(pad(data))
}

func pad(b []byte) []byte { return append(b, make([]byte, (4-len(b)%4)%4)...) }

// initramfs makes the guests' file system and returns the kernel with it.
func initramfs(t *testing.T) (kernel, fs string) {
	t.Helper()
	kernels, _ := filepath.Glob(guestDir + "/boot/vmlinuz-*")
	if len(kernels) != 1 {
		t.Fatalf("no kernel in %s (make deps)", guestDir)
	}
	var buf bytes.Buffer
	z, _ := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	a := &archive{w: z, dirs: map[string]bool{}}
	file := func(from, to string) {
		b, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		a.add(to, 0o100755, b)
	}
	for _, dir := range []string{"proc", "sys", "dev", "tmp"} {
		a.entry(dir, 0o40755, nil)
	}
	a.add("init", 0o100755, []byte(initScript))
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	file(busybox, "bin/busybox")
	for _, m := range []string{"net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net", "drivers/virtio/virtio", "drivers/virtio/virtio_ring",
		"drivers/virtio/virtio_pci", "drivers/virtio/virtio_pci_modern_dev", "drivers/virtio/virtio_pci_legacy_dev"} {
		found, _ := filepath.Glob(guestDir + "/lib/modules/*/kernel/" + m + ".ko")
		if len(found) != 1 {
			t.Fatalf("no module %s", m)
		}
		file(found[0], "mod/"+filepath.Base(m)+".ko")
	}
	iperf, err := exec.LookPath("iperf3")
	if err != nil {
		t.Fatal(err)
	}
	file(iperf, "bin/iperf3")
	libs, err := exec.Command("ldd", iperf).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range strings.Fields(string(libs)) {
		if strings.HasPrefix(word, "/") {
			file(word, strings.TrimPrefix(word, "/"))
		}
	}
	a.entry("TRAILER!!!", 0, nil)
	z.Close()
	fs = filepath.Join(t.TempDir(), "initramfs.gz")
	if err := os.WriteFile(fs, buf.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return kernels[0], fs
}

// guest is a Linux in QEMU behind a vhost-user port.
type guest struct {
	t    *testing.T
	in   io.WriteCloser
	done chan struct{}
	n    int
	mu   sync.Mutex
	out  bytes.Buffer // guarded by mu
}

// Write collects the console.
func (g *guest) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.Write(b)
}

func (g *guest) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.out.String()
}

// startGuest boots a guest with an address behind a port; more are QEMU's options of
// the network card.
func startGuest(t *testing.T, s *testkit.Switch, kernel, fs, port, addr, more string) *guest {
	t.Helper()
	g := &guest{t: t, done: make(chan struct{})}
	last := addr[strings.LastIndexByte(addr, '.')+1:]
	cmd := s.Command("qemu-system-x86_64", "-accel", "tcg", "-cpu", "max", "-m", "160", "-nodefaults", "-display", "none", "-serial", "stdio",
		"-object", "memory-backend-memfd,id=mem,size=160M,share=on", "-numa", "node,memdev=mem",
		"-chardev", "socket,id=c0,path="+socketOf(s, port, "client")+",server=on", "-netdev", "vhost-user,id=n0,chardev=c0",
		"-device", "virtio-net-pci,netdev=n0,romfile=,vectors=0,mac=52:54:00:00:00:"+fmt.Sprintf("%02s", last)+more,
		"-kernel", kernel, "-initrd", fs, "-append", "console=ttyS0 quiet no_timer_check addr="+addr+"/24")
	cmd.Stdout, cmd.Stderr = g, g
	var err error
	if g.in, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { cmd.Wait(); close(g.done) }()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-g.done
		if t.Failed() {
			t.Logf("console of %s:\n%s", addr, g.text())
		}
	})
	return g
}

// guestLimit is how long a guest may take to boot or to do something, on a slow
// machine without virtualization.
const guestLimit = 60 * time.Second

// ready waits until the guest has booted for the nth time.
func (g *guest) ready(n int) {
	g.t.Helper()
	testkit.Eventually(g.t, guestLimit, "the guest boots", func() bool { return strings.Count(g.text(), "the guest is ready") == n })
}

// run runs a command on the console and returns what it prints.
func (g *guest) run(command string) string {
	g.t.Helper()
	g.n++
	begin, end := fmt.Sprintf("<<%d", g.n), fmt.Sprintf(">>%d", g.n)
	fmt.Fprintf(g.in, "echo '<''<%d'; %s; echo '>''>%d'\n", g.n, command, g.n)
	var out string
	testkit.Eventually(g.t, guestLimit, command+" in the guest", func() bool {
		_, after, ok := strings.Cut(g.text(), begin)
		if !ok {
			return false
		}
		out, _, ok = strings.Cut(after, end)
		return ok
	})
	return out
}

func (g *guest) ping(addr string) {
	g.t.Helper()
	if out := g.run("ping -c 3 -W 5 " + addr); !strings.Contains(out, " 0% packet loss") {
		g.t.Errorf("ping %s from the guest:\n%s", addr, out)
	}
}

// tcpTo sends from the guest for a second, and receives for one.
func (g *guest) tcpTo(addr string) {
	g.t.Helper()
	for _, dir := range []string{"", " -R"} {
		out := g.run("iperf3 -c " + addr + " -t 1 -f m" + dir)
		if !strings.Contains(out, "receiver") || strings.Contains(out, " 0.00 Mbits/sec                  receiver") {
			g.t.Errorf("iperf3 %s%s from the guest:\n%s", addr, dir, out)
		}
		for _, line := range strings.Split(out, "\n") {
			if strings.Contains(line, "receiver") {
				g.t.Logf("guest, %s%s: %s", addr, dir, strings.TrimSpace(line))
			}
		}
	}
}

func TestLinuxGuests(t *testing.T) {
	testkit.Need(t, "qemu-system-x86_64", "busybox", "iperf3", "ping", "ldd")
	kernel, fs := initramfs(t)
	const typ = "dpdkvhostuserclient"
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 2)
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
	s.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "type=afxdp", "--", "add-port", "br0", "p1")
	vhostPort(s, "v0", typ)
	vhostPort(s, "v1", typ)
	a := startGuest(t, s, kernel, fs, "v0", "10.9.0.21", "")
	b := startGuest(t, s, kernel, fs, "v1", "10.9.0.22", ",packed=on")
	for i := range h {
		h[i].Start("iperf3", "-s")
	}
	a.ready(1)
	b.ready(1)
	linkIs(t, s, "v0", "up")
	linkIs(t, s, "v1", "up")
	for _, addr := range []string{"10.9.0.1", "10.9.0.2", "10.9.0.22"} {
		a.ping(addr)
		a.tcpTo(addr)
	}
	b.ping("10.9.0.1")
	b.tcpTo("10.9.0.2")

	// A reboot, on the same connection.
	fmt.Fprintln(a.in, "reboot -f")
	linkIs(t, s, "v0", "down")
	a.ready(2)
	linkIs(t, s, "v0", "up")
	a.ping("10.9.0.1")

	// The switch goes and comes again.  (QEMU cannot tell the new one where a packed ring
	// was, so the second guest would have to set its card up anew.)
	s.Appctl("exit")
	testkit.Eventually(t, 5*time.Second, "the switch ends", func() bool { return s.Pid("ovs-vswitchd") == 0 })
	s.StartVswitchd()
	linkIs(t, s, "v0", "up")
	a.ping("10.9.0.1")
	a.tcpTo("10.9.0.1")
	if n := s.Vsctl("get", "interface", "v0", "statistics:vhost_protocol_violations"); n != "0" {
		t.Errorf("%s violations", n)
	}
}
