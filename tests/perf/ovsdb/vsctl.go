package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// vsctl measures `ovs-vsctl add-port` as it is given, until the switch has the
// port, and with --no-wait, when it is over as soon as the database has it.
func (b *bench) vsctl() []row {
	n := *ports / 10
	var ss [2]*server
	var full, wall, client, cpu [2][]float64
	for i := range ss {
		ss[i] = b.startOn(i, b.database(n))
		defer ss[i].stop()
	}
	for r := range 2 * *rounds {
		for i, s := range ss {
			before := s.cpu()
			ms, own := s.addPort(fmt.Sprintf("new%d", r), "--no-wait")
			wall[i], client[i] = append(wall[i], ms), append(client[i], own)
			time.Sleep(50 * time.Millisecond) // what the server does afterwards counts as well
			cpu[i] = append(cpu[i], (s.cpu()-before)*1000)
		}
	}
	// One after the other: what stock's switch does with many ports on the side
	// would cost ours as well.
	for i, s := range ss {
		stop := s.startSwitch(filepath.Join(filepath.Dir(b.programs[i]), "ovs-vswitchd"))
		for r := range 3 {
			ms, _ := s.addPort(fmt.Sprintf("more%d", r))
			full[i] = append(full[i], ms)
		}
		stop()
	}
	both := func(v [2][]float64) [2]float64 { return [2]float64{median(v[stock]), median(v[ours])} }
	return []row{
		less(fmt.Sprintf("ovs-vsctl add-port at %d ports", n), "ms", both(full), 0.5),
		told("... without the switch (--no-wait)", "ms", both(wall)),
		told("...... ovs-vsctl's own CPU in it", "ms", both(client)),
		told("...... the server's CPU for it", "ms", both(cpu)),
	}
}

// addPort lets ovs-vsctl add a port, and returns how long that took and the CPU
// time that ovs-vsctl itself used, in ms.
func (s *server) addPort(name string, options ...string) (ms, own float64) {
	begin := time.Now()
	cmd := exec.Command("ovs-vsctl", append(options, "--db=unix:"+s.sock, "add-port", "br0", name)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		fatal(string(out))
	}
	return time.Since(begin).Seconds() * 1000, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds() * 1000
}

// startSwitch starts a switch whose devices cost nothing, and returns when it has
// all ports of the database.
func (s *server) startSwitch(program string) (stop func()) {
	cmd := exec.Command(program, "unix:"+s.sock, "--enable-dummy=override", "--unixctl="+s.dir+"/switch", "--pidfile="+s.dir+"/switch.pid", "-vconsole:off")
	cmd.Env = append(os.Environ(), "OVS_RUNDIR="+s.dir)
	if err := cmd.Start(); err != nil {
		fatal(err)
	}
	over := false
	stop = func() {
		if !over {
			over = true
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	cleanup = append(cleanup, stop)
	if out, err := exec.Command("ovs-vsctl", "--timeout=600", "--db=unix:"+s.sock, "set", "Open_vSwitch", ".", "external_ids:bench=1").CombinedOutput(); err != nil {
		fatal(string(out))
	}
	return stop
}
