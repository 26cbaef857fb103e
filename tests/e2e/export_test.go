package e2e

import (
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"sluice/tests/testkit"
)

// collect receives datagrams inside the switch's namespace and returns where, and a
// function that returns those that have come.
func collect(t *testing.T, s *testkit.Switch) (addr string, got func() [][]byte) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	own, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	ns, err := netns.GetFromName(s.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	if err := netns.Set(ns); err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err := netns.Set(own); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	var mu sync.Mutex
	var all [][]byte
	go func() {
		buf := make([]byte, 65536)
		for {
			n, _, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, append([]byte(nil), buf[:n]...))
			mu.Unlock()
		}
	}()
	return conn.LocalAddr().String(), func() [][]byte {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

func be16(b []byte) int { return int(binary.BigEndian.Uint16(b)) }
func be32(b []byte) int { return int(binary.BigEndian.Uint32(b)) }

// pings is how many echo requests the tests send at least.
const pings = 10

// TestSFlow: each packet of a ping is sampled, and the ports' counters are told.
func TestSFlow(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	s.Vsctl("add-br", "br0")
	addr, got := collect(t, s)
	h := hosts(t, s, 2)
	s.Vsctl("add-port", "br0", "p0", "--", "add-port", "br0", "p1", "--", "--id=@s", "create", "sflow", `targets="`+addr+`"`,
		"agent=lo", "sampling=1", "polling=1", "header=128", "--", "set", "bridge", "br0", "sflow=@s")
	h[0].Ping("10.9.0.2", pings)
	var ifindex [2]int
	for i := range ifindex {
		fmt.Sscan(s.Vsctl("get", "interface", fmt.Sprintf("p%d", i), "ifindex"), &ifindex[i])
	}
	testkit.Eventually(t, 10*time.Second, "samples of all packets and counters of both ports", func() bool {
		echoes, ways, counters := 0, map[[2]int]int{}, map[int]bool{}
		for _, d := range got() {
			sflowSamples(t, d, func(tag int, b []byte) {
				switch tag {
				case 1: // flow sample: input, output, then records
					records(b[28:], be32(b[28:]), func(tag int, r []byte) {
						if frame := r[16:]; tag == 1 && be16(frame[12:]) == 0x0800 && frame[23] == 1 {
							echoes++
							ways[[2]int{be32(b[20:]), be32(b[24:])}]++
						}
					})
				case 2:
					counters[be32(b[4:])] = true
				}
			})
		}
		return echoes >= 2*(pings+1) && ways[ifindex] >= pings && ways[[2]int{ifindex[1], ifindex[0]}] >= pings &&
			counters[ifindex[0]] && counters[ifindex[1]] && counters[2<<24|1000]
	})
}

// sflowSamples calls f with the samples of a datagram.
func sflowSamples(t *testing.T, d []byte, f func(tag int, b []byte)) {
	t.Helper()
	if be32(d) != 5 || be32(d[4:]) != 1 || net.IP(d[8:12]).String() != "127.0.0.1" {
		t.Fatalf("not a datagram of this agent: %x", d)
	}
	records(d[24:], be32(d[24:]), f)
}

// records calls f with n records that stand behind their number.
func records(b []byte, n int, f func(tag int, b []byte)) {
	for b = b[4:]; n > 0; n-- {
		size := be32(b[4:])
		f(be32(b), b[8:8+size])
		b = b[8+size:]
	}
}

// TestNetFlow: the packets of a ping are all counted.
func TestNetFlow(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	s.Vsctl("add-br", "br0")
	addr, got := collect(t, s)
	h := hosts(t, s, 2)
	s.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "ofport_request=1", "--",
		"add-port", "br0", "p1", "--", "set", "interface", "p1", "ofport_request=2", "--",
		"--id=@n", "create", "netflow", `targets="`+addr+`"`, "active_timeout=1", "engine_id=3", "--", "set", "bridge", "br0", "netflow=@n")
	h[0].Ping("10.9.0.2", pings)
	testkit.Eventually(t, 20*time.Second, "all packets are reported", func() bool {
		requests, replies := 0, 0
		for _, d := range got() {
			if be16(d) != 5 || len(d) != 24+48*be16(d[2:]) || d[21] != 3 {
				t.Fatalf("not a NetFlow datagram of this switch: %x", d)
			}
			for r := d[24:]; len(r) > 0; r = r[48:] {
				if r[38] != 1 {
					continue
				}
				switch src := net.IP(r[:4]).String(); {
				case src == "10.9.0.1" && be16(r[12:]) == 1 && be16(r[34:]) == 8<<8:
					requests += be32(r[16:])
				case src == "10.9.0.2" && be16(r[12:]) == 2 && be16(r[14:]) == 1 && be16(r[34:]) == 0:
					replies += be32(r[16:])
				}
			}
		}
		return requests >= pings+1 && replies >= pings+1
	})
}

// TestIPFIX: a collector that knows nothing but what it is sent decodes the packets
// of a ping, those of the bridge's exporter and those of a sample action.
func TestIPFIX(t *testing.T) {
	testkit.Need(t)
	s := testkit.NewSwitch(t, testkit.Options{})
	s.Vsctl("add-br", "br0")
	bridge, gotBridge := collect(t, s)
	flows, gotFlows := collect(t, s)
	h := hosts(t, s, 2)
	s.Vsctl("add-port", "br0", "p0", "--", "add-port", "br0", "p1", "--",
		"--id=@x", "create", "ipfix", `targets="`+bridge+`"`, "sampling=1", "cache_active_timeout=1", "cache_max_flows=100", "obs_domain_id=7", "--",
		"set", "bridge", "br0", "ipfix=@x", "--", "--id=@y", "create", "ipfix", `targets="`+flows+`"`, "--",
		"--id=@b", "get", "bridge", "br0", "--", "create", "flow_sample_collector_set", "id=5", "bridge=@b", "ipfix=@y")
	s.Ofctl("add-flow", "br0", "icmp,icmp_type=8,actions=sample(probability=65535,collector_set_id=5,obs_domain_id=9),normal")
	h[0].Ping("10.9.0.2", pings)
	testkit.Eventually(t, 20*time.Second, "the bridge's exporter reports both ways, in and out", func() bool {
		n := map[string]int{}
		ipfixRecords(t, gotBridge(), 7, func(f map[int][]byte) {
			if len(f[8]) == 4 && f[4][0] == 1 {
				n[fmt.Sprintf("%v %d", net.IP(f[8]), f[61][0])] += be32(f[2][4:])
			}
		})
		return n["10.9.0.1 0"] > pings && n["10.9.0.1 1"] > pings && n["10.9.0.2 0"] > pings && n["10.9.0.2 1"] > pings
	})
	testkit.Eventually(t, 20*time.Second, "the sample action's exporter reports requests", func() bool {
		n := 0
		ipfixRecords(t, gotFlows(), 9, func(f map[int][]byte) {
			if net.IP(f[8]).String() != "10.9.0.1" || f[176][0] != 8 {
				t.Errorf("a sample of something else: %x", f)
			}
			n += be32(f[2][4:])
		})
		return n > pings
	})
	if out := s.Ofctl("dump-ipfix-flow", "br0"); !strings.Contains(out, "1 ids") || strings.Contains(out, "sampled pkts=0") {
		t.Errorf("statistics: %s", out)
	}
}

// ipfixRecords calls f with the standard fields of the data records of a domain.
func ipfixRecords(t *testing.T, messages [][]byte, domain int, f func(map[int][]byte)) {
	t.Helper()
	type field struct{ id, size int }
	templates := map[int][]field{}
	for _, m := range messages {
		if be16(m) != 10 || be16(m[2:]) != len(m) {
			t.Fatalf("not a message: %x", m)
		}
		for b := m[16:]; len(b) > 0; b = b[be16(b[2:]):] {
			set, body := be16(b), b[4:be16(b[2:])]
			switch {
			case set == 2:
				for len(body) > 0 {
					id, n := be16(body), be16(body[2:])
					body = body[4:]
					templates[id] = nil
					for range n {
						templates[id] = append(templates[id], field{be16(body), be16(body[2:])})
						if be16(body)&0x8000 != 0 {
							body = body[4:]
						}
						body = body[4:]
					}
				}
			case set > 255 && be32(m[12:]) == domain:
				if templates[set] == nil {
					t.Fatalf("a record before its template %d", set)
				}
				fields := map[int][]byte{}
				for _, x := range templates[set] {
					n := x.size
					if n == 0xffff {
						n, body = int(body[0]), body[1:]
					}
					fields[x.id] = body[:n]
					body = body[n:]
				}
				if len(body) != 0 {
					t.Fatalf("template %d: %d bytes are left", set, len(body))
				}
				f(fields)
			}
		}
	}
}
