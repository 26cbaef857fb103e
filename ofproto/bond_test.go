package ofproto

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"sluice/dpif"
	"sluice/dpif/flow"
	"sluice/dpif/userspace"
	"sluice/ofproto/bond"
	"sluice/ofproto/maclearn"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/proto/lacp"
	"sluice/ofproto/table"
	"sluice/ofproto/xlate"
)

func (d *fakeDP) Support() dpif.Support                               { return dpif.Support{Recirc: true} }
func (d *fakeDP) BondID(*Switch) uint32                               { return 77 }
func (d *fakeDP) BondFree(uint32)                                     {}
func (d *fakeDP) BondSet(*Switch, uint32, *[bond.Buckets]bond.Output) {}
func (d *fakeDP) BondBytes(uint32) (out [bond.Buckets]uint64)         { return out }
func (d *fakeDP) Elsewhere(*Switch, string) []maclearn.Entry          { return nil }

func (d *fakeDev) CarrierResets() uint64 { return 0 }

// bonded makes the configuration of a bundle of some ports.
func bonded(c bond.Config, withLACP bool, ofports ...uint32) BundleConfig {
	c.Name = "bond0"
	b := BundleConfig{Name: c.Name, Tag: -1, VLANMode: VLANTrunk, Bond: &BondConfig{Config: c}}
	for _, no := range ofports {
		b.Members = append(b.Members, MemberConfig{OFPort: no,
			LACP: lacp.MemberConfig{Name: fmt.Sprint("p", no), PortID: uint16(no), Priority: 1}})
	}
	if withLACP {
		b.LACP = &lacp.Config{Name: c.Name, SysID: [6]byte{2, 1}, SysPriority: 9, Active: true, Fast: true}
	}
	return b
}

// pdu is a frame of a partner that agrees with what port no says of itself.
func pdu(no uint16) []byte {
	p := lacp.PDU{Actor: lacp.Info{SysID: [6]byte{2, 2}, PortID: no, Key: 1, State: lacp.Activity | lacp.Synchronization}}
	b := append(lacp.Group[:], 2, 2, 0, 0, 0, byte(no), 0x88, 0x09)
	return p.Append(b)
}

func TestLACPOnAPort(t *testing.T) {
	b := newBench(t, SwitchConfig{})
	b.port("p1", 1)
	p := b.sw.Port(1)
	cfg := *b.sw.Config()
	cfg.Bundles = []BundleConfig{bonded(bond.Config{}, true, 1)}
	if err := b.sw.Apply(cfg, b.now); err != nil {
		t.Fatal(err)
	}
	b.sw.Run(b.now)
	if len(b.dp.outs) != 1 || !bytes.HasPrefix(b.dp.outs[0].Packet, append(lacp.Group[:], 0xaa, 0x55, 0, 0, 0, 1, 0x88, 0x09, 1, 1)) {
		t.Fatalf("sent %v", b.dp.outs)
	}
	if p.MayEnable {
		t.Error("no partner, and the port may be enabled")
	}
	if current, ok := b.sw.LACPCurrent(1); !current || !ok {
		t.Error("expired counts as current")
	}
	if _, ok := b.sw.LACPCurrent(2); ok {
		t.Error("there is no port 2")
	}
	// A VLAN tag, which priority tagging may add, does no harm.
	tagged := append(bytes.Clone(pdu(1)[:12]), 0x81, 0, 0, 0)
	tagged = append(tagged, pdu(1)[12:]...)
	b.sw.queueFrame(&xlate.Frame{OFPort: 1, Reason: xlate.SlowLACP, Packet: tagged})
	b.sw.queueFrame(&xlate.Frame{OFPort: 1, Reason: xlate.SlowLACP, Packet: tagged[:13]})
	b.sw.Run(b.now)
	if !p.MayEnable {
		t.Error("with a partner the port may be enabled")
	}
	if s, ok := b.sw.LACPStats(1); !ok || s.Counts.RxPDUs != 2 || s.Counts.RxBadPDUs != 1 {
		t.Errorf("statistics %+v", s)
	}
	if text, ok := b.sw.AppendLACP(nil, "bond0", false); !ok || !strings.Contains(string(text), "member: p1: current attached") {
		t.Errorf("show %s", text)
	}
	if _, ok := b.sw.AppendLACP(nil, "bond1", true); ok {
		t.Error("bond1 does not exist")
	}
	cfg.Bundles[0].LACP = nil
	if err := b.sw.Apply(cfg, b.now); err != nil {
		t.Fatal(err)
	}
	b.sw.Run(b.now)
	if _, ok := b.sw.LACPCurrent(1); ok || !p.MayEnable {
		t.Error("LACP is off")
	}
}

// hashFlows counts the flows for hash values by what they do.
func hashFlows(sw *Switch) map[string]int {
	out := map[string]int{}
	for _, r := range sw.Tables.All() {
		if m := r.Match(); r.TableID == table.TableInternal && m.Mask.DPHash == 255 {
			out[string(r.Actions.AppendText(nil, nil, nil))]++
		}
	}
	return out
}

func TestBondFlows(t *testing.T) {
	b := newBench(t, SwitchConfig{})
	d1 := b.port("p1", 1)
	b.port("p2", 2)
	cfg := *b.sw.Config()
	cfg.Bundles = []BundleConfig{bonded(bond.Config{Mode: bond.BalanceTCP}, true, 1, 2)}
	turn := func() {
		b.now += 100
		b.sw.queueFrame(&xlate.Frame{OFPort: 1, Reason: xlate.SlowLACP, Packet: pdu(1)})
		b.sw.queueFrame(&xlate.Frame{OFPort: 2, Reason: xlate.SlowLACP, Packet: pdu(2)})
		b.sw.Run(b.now)
		b.sw.Run(b.now)
	}
	apply := func() {
		if err := b.sw.Apply(cfg, b.now); err != nil {
			t.Fatal(err)
		}
		b.sw.Run(b.now) // what comes before the link is known does not count
		turn()
	}
	check := func(what string, want map[string]int) {
		t.Helper()
		if got := hashFlows(b.sw); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s: flows %v, want %v", what, got, want)
		}
	}
	both := map[string]int{"output:1": 128, "output:2": 128}
	apply()
	check("both up", both)
	if got := b.sw.Bond("bond0").Members(); len(got) != 2 || b.sw.Bond("p1") != nil {
		t.Errorf("members %v", got)
	}
	d1.carrier = false
	turn()
	check("one down", map[string]int{"output:2": 256})
	d1.carrier = true
	turn()
	check("up again", both)
	cfg.Bundles = []BundleConfig{bonded(bond.Config{Mode: bond.ActiveBackup}, true, 1, 2)}
	apply()
	check("another mode", map[string]int{})
	cfg.Bundles = []BundleConfig{bonded(bond.Config{Mode: bond.BalanceTCP}, true, 1, 2)}
	apply()
	check("back again", both)
	if err := b.sw.PortDel(2, b.now); err != nil {
		t.Fatal(err)
	}
	check("a port went, and the bond with it", map[string]int{})
	if len(b.sw.Bonds()) != 0 {
		t.Error("a single port is no bond")
	}
}

// TestBalanceTCP takes packets through recirculation, and through lb_output.
func TestBalanceTCP(t *testing.T) {
	w := newWorld(t, 3)
	w.flow("", 1, 0, action.List{&action.Output{Port: flow.OFPNormal}})
	cfg := *w.sw.Config()
	config := bond.Config{Mode: bond.BalanceTCP, Basis: 7, RebalanceMs: 1000}
	cfg.Bundles = append(cfg.Bundles[2:3:3], bonded(config, true, 1, 2))
	apply := func() {
		if err := w.sw.Apply(cfg, w.now); err != nil {
			t.Fatal(err)
		}
		w.turn()
		for i := range 2 {
			w.devs[i].Receive(pdu(uint16(i+1)), 0)
		}
		w.turn()
	}
	apply()
	send := func() string {
		for port := range 8 {
			w.receive(3, strings.Replace(ping, "proto=1,tos=0,ttl=64,frag=no),icmp(type=8,code=0)",
				fmt.Sprintf("proto=6,tos=0,ttl=64,frag=no),tcp(src=%d,dst=2)", port), 1))
		}
		return w.dump()
	}
	got := regexp.MustCompile(`(recirc_id|dp_hash|recirc)\(0x[0-9a-fx/]*\)`).ReplaceAllString(send(), "$1(X)")
	for _, want := range []string{
		"recirc_id(0),in_port(3),packet_type(ns=0,id=0),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(frag=no), packets:7, bytes:826, used:0.000s, actions:hash(l4(7)),recirc(X)\n",
		"recirc_id(X),dp_hash(X),in_port(3),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no), packets:0, bytes:0, used:never, actions:1\n",
		"recirc_id(X),dp_hash(X),in_port(3),packet_type(ns=0,id=0),eth_type(0x0800),ipv4(frag=no), packets:0, bytes:0, used:never, actions:2\n",
		"eth_type(0x8809), packets:0, bytes:0, used:never, actions:userspace(pid=0,slow_path(lacp))\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%s\nlacks %s", got, want)
		}
	}
	// The flows' counters are what the entries carried.
	w.b.FinishRevalidation(w.now)
	var total uint64
	for _, n := range w.sw.bondBytes(w.sw.bonds.list[0]) {
		total += n
	}
	if total != 8*118 {
		t.Errorf("%d bytes counted, want %d", total, 8*118)
	}
	config.LBOutput = true
	cfg.Bundles[1] = bonded(config, true, 1, 2)
	apply()
	if n := len(hashFlows(w.sw)); n != 0 {
		t.Errorf("%d flows although the datapath chooses", n)
	}
	if got := send(); !strings.Contains(got, "actions:lb_output(1)\n") {
		t.Error(got)
	}
	total = 0
	for _, n := range w.sw.bondBytes(w.sw.bonds.list[0]) {
		total += n
	}
	if total != 8*118 {
		t.Errorf("lb_output counted %d bytes, want %d", total, 8*118)
	}
	// Members go by the numbers of datapath ports, which may change.
	sent := func() uint64 { return w.devs[0].Stats().TxPackets + w.devs[1].Stats().TxPackets }
	dp := w.b.Dpif().(*userspace.Dpif)
	for i, d := range w.devs[:2] {
		no := uint32(11 + i)
		if err := dp.ChangePortNumber(d.Name(), no); err != nil {
			t.Fatal(err)
		}
		w.b.Renumbered(d.Name(), no)
	}
	before := sent()
	if send(); sent() != before+8 {
		t.Errorf("%d packets of 8 left by renumbered ports", sent()-before)
	}
}

func TestBalanceSLB(t *testing.T) {
	w := newWorld(t, 3)
	w.flow("", 1, 0, action.List{&action.Output{Port: flow.OFPNormal}})
	cfg := *w.sw.Config()
	cfg.Bundles = append(cfg.Bundles[2:3:3], bonded(bond.Config{Mode: bond.BalanceSLB, RebalanceMs: 1000}, false, 1, 2))
	if err := w.sw.Apply(cfg, w.now); err != nil {
		t.Fatal(err)
	}
	w.turn()
	b := w.sw.Bond("bond0")
	if _, err := b.SetActive(w.devs[1].Name()); err != nil {
		t.Fatal(err)
	}
	w.turn()
	w.receive(3, ping)
	flow := "recirc_id(0),in_port(3),packet_type(ns=0,id=0),eth(src=50:54:00:00:00:01,dst=50:54:00:00:00:02),eth_type(0x0800),ipv4(frag=no)"
	member := "2"
	if got := w.dump(); strings.HasSuffix(got, "actions:1\n") {
		member = "1"
	} else if got != flow+", packets:0, bytes:0, used:never, actions:2\n" {
		t.Fatal(got)
	}
	for range 40 {
		w.receive(3, ping)
	}
	w.b.FinishRevalidation(w.now)
	bucket := bond.HashMAC([6]byte{0x50, 0x54, 0, 0, 0, 1}, 0, 0) & 255
	if got := string(b.AppendShow(nil, w.now)); !strings.Contains(got, fmt.Sprintf("  hash %d: 4 kB load\n", bucket)) {
		t.Error(got)
	}
	// It comes back by the bond: it must not be learned there, nor go further.
	sent := w.devs[2].Stats().TxPackets
	w.receive(1, ping)
	w.receive(2, ping)
	if n := w.devs[2].Stats().TxPackets; n != sent {
		t.Error("a reflected packet was forwarded")
	}
	if got := w.b.FDBShow(w.sw, w.now); !strings.Contains(got, "    3     0  50:54:00:00:00:01") {
		t.Errorf("the address moved: %s", got)
	}
	// Failure of the member that carries the address: the other one does, and says so.
	down, up := w.devs[0], w.devs[1]
	if member == "2" {
		down, up = up, down
	}
	before := up.Stats().TxPackets
	if err := down.SetAdminUp(false); err != nil {
		t.Fatal(err)
	}
	w.turn()
	if n := up.Stats().TxPackets; n != before+1 {
		t.Errorf("%d learning packets", n-before)
	}
	w.receive(3, ping)
	if n := up.Stats().TxPackets; n != before+2 {
		t.Error("the other member does not carry the packet")
	}
	if mac, ok := b.ActiveMAC(); !ok || mac != up.EtherAddr() {
		t.Errorf("active %v", mac)
	}
}

func TestReverseARP(t *testing.T) {
	var f, md flow.Flow
	frame := reverseARP([6]byte{2, 3, 4, 5, 6, 7}, 9)
	flow.ExtractFlow(frame, &md, &f)
	if len(frame) != 46 || f.DLType != 0x8035 || f.VLANs[0].TCI != flow.VLANCFI|9 || f.DLSrc != [6]byte{2, 3, 4, 5, 6, 7} {
		t.Errorf("%x", frame)
	}
	if untagged := reverseARP([6]byte{2}, 0); len(untagged) != 42 {
		t.Errorf("%x", untagged)
	}
}
