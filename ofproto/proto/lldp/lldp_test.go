package lldp

import (
	"encoding/hex"
	"reflect"
	"slices"
	"strings"
	"testing"

	"sluice/dpif/flow"
)

var zeros = strings.Repeat("00", digestSize)

// sent is a frame that Open vSwitch 3.1 sent for the configuration sentConfig.
var sent = "0180c200000eaa55aa55001088cc" + "020704aa55aa550010" + "0403057031" + "06020078" + "0a0473797331" +
	"0c096d7920737769746368" + "0e0400040004" +
	"fe3200040d0b" + zeros + "38000000aa55aa55001000000000" +
	"fe2e00040d0c" + zeros + "0009000007" + "03e8000064" + "0000"

var sentConfig = Config{Chassis: flow.MAC{0xaa, 0x55, 0xaa, 0x55, 0, 0x10}, SystemName: "sys1", SystemDesc: "my switch",
	Mappings: []Mapping{{ISID: 7, VLAN: 9, Status: StatusPending}, {ISID: 100, VLAN: 1000, Status: StatusPending}}}

// server is a frame of an Auto Attach server that answers the mappings.
var server = "0180c200000e02000000000988cc" + "020704020000000001" + "04050565746837" + "06020078" + "0c0a74686520736572766572" +
	"fe3200040d0b" + zeros + "0b012300" + "020000000002" + "2123aabb" +
	"fe2e00040d0c" + zeros + "23e8000064" + "9009000007" + "fe060080c2010001" + "0000"

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

func TestAppendFrame(t *testing.T) {
	a := New("p1", sentConfig, 1000)
	if a.ShouldSend(5999) || !a.ShouldSend(6000) || a.Next() != 6000 {
		t.Errorf("first frame due at %d, want 6000", a.Next())
	}
	if got := hex.EncodeToString(a.AppendFrame(nil, sentConfig.Chassis, 6000)); got != sent {
		t.Errorf("sent\n%s, want\n%s", got, sent)
	}
	if a.Next() != 11000 {
		t.Errorf("next frame due at %d, want 11000", a.Next())
	}
}

func TestDecode(t *testing.T) {
	want := &PDU{ChassisSubtype: 4, ChassisID: unhex("020000000001"), PortSubtype: 5, PortID: []byte("eth7"), TTL: 120,
		SystemDesc: "the server", Unrecognized: 1,
		Element: &Element{Type: 2, VLANTagged: true, Provision: 2, MgmtVLAN: 0x123,
			System: SystemID{MAC: flow.MAC{2, 0, 0, 0, 0, 2}, ConnType: 1, Rsvd: 0x123, Rsvd2: [2]byte{0xaa, 0xbb}}},
		Mappings: []Mapping{{100, 1000, 2}, {7, 9, 9}}}
	got, err := Decode(unhex(server)[14:])
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("decoded %+v, %v; want %+v", got, err, want)
	}
	again, err := Decode(got.Append(nil))
	want.Unrecognized = 0
	if err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("encoded and decoded %+v, %v; want %+v", again, err, want)
	}
}

func TestManyMappings(t *testing.T) {
	p := PDU{ChassisSubtype: 4, ChassisID: []byte{1}, PortSubtype: 5, PortID: []byte{1}}
	for i := range 200 {
		p.Mappings = append(p.Mappings, Mapping{ISID: uint32(i), VLAN: uint16(i)})
	}
	got, err := Decode(p.Append(nil))
	if err != nil || !slices.Equal(got.Mappings, p.Mappings) {
		t.Errorf("%d mappings, %v", len(got.Mappings), err)
	}
}

func TestDecodeErrors(t *testing.T) {
	const head = "020704020000000001" + "0403057031" + "06020078"
	for _, c := range []struct{ pdu, want string }{
		{"", "some mandatory tlv are missing for frame"},
		{head, "some mandatory tlv are missing for frame"},
		{head + "00", "tlv header too short"},
		{head + "0a05", "frame too short for tlv"},
		{head + "000141", "lldp end with size not null"},
		{"0403057031" + "0000", "TLV 2 where a chassis ID should be"},
		{"020704020000000001" + "0000", "TLV 0 where a port ID should be"},
		{head + "06020078" + "0000", "second TTL TLV"},
		{"020104" + "0000", "Port/Chassis Id TLV too short"},
		{"02020801" + "0000", "unknown subtype for tlv id"},
		{"020704020000000001" + "0403057031" + "060100" + "0000", "TTL TLV too short"},
		{head + "0e03000400" + "0000", "System capabilities TLV too short"},
		{head + "1000" + "0000", "Management address TLV too short"},
		{head + "100121" + "0000", "too large management address"},
		{head + "10090501020304050203" + "0000", "Management address TLV too short"},
		{head + "fe0300040d" + "0000", "Organisational TLV too short"},
		{head + "fe0500040d0b00" + "0000", "ELEMENT TLV too short"},
		{head + "fe0500040d0c01" + "0000", "ISID_VLAN_ASGNS TLV too short"},
		{head + "fe2500040d0c" + zeros + "00" + "0000", "malformed vlan-isid mappings tlv"},
		{head + "100c" + "05" + "010a000001" + "02" + "00000007" + "00" + "0000", ""},
		{head + "f00101" + "0000", ""},
		{head + "0000" + "ffff", ""},
	} {
		_, err := Decode(unhex(c.pdu))
		if got := text(err); got != c.want {
			t.Errorf("%s: %q, want %q", c.pdu, got, c.want)
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestServer compares with what Open vSwitch 3.1 prints after the frame server.
func TestServer(t *testing.T) {
	a := New("p1", sentConfig, 1000)
	if got, want := a.Mappings(), "LLDP: p1\nI-SID    VLAN Source      Status  \n-------- ---- ----------- --------\n"+
		"7        9    Switch      Pending    \n100      1000 Switch      Pending    \n"; got != want {
		t.Errorf("mappings:\n%s, want\n%s", got, want)
	}
	a.Receive(unhex(server), 1000)
	a.Receive(unhex(server), 2000)
	if got, want := a.Status(), `LLDP: p1
  Auto Attach Primary Server Id: 02:00:00:00:00:01
  Auto Attach Primary Server Descr: the server
  Auto Attach Primary Server System Id: 02:00:00:00:00:02:01:00:23:01:aa:bb
`; got != want {
		t.Errorf("status:\n%s, want\n%s", got, want)
	}
	if got, want := a.Mappings(), "LLDP: p1\nI-SID    VLAN Source      Status  \n-------- ---- ----------- --------\n"+
		"7        9    Switch      Reject (Application interaction issue)\n100      1000 Switch      Active     \n"; got != want {
		t.Errorf("mappings:\n%s, want\n%s", got, want)
	}
	if got, want := a.Statistics(), `Statistics: p1
  tx cnt: 0
  rx cnt: 2
  rx discarded cnt: 0
  rx unrecognized cnt: 1
  ageout cnt: 0
  insert cnt: 1
  delete cnt: 0
  drop cnt: 0
`; got != want {
		t.Errorf("statistics:\n%s, want\n%s", got, want)
	}
}

func TestNeighbors(t *testing.T) {
	a := New("p1", Config{}, 0)
	a.Receive(slices.Insert(unhex(server), 12, 0x81, 0, 0, 5), 1000) // tagged
	a.Receive(unhex(server), 2000)
	a.Run(121999)
	if len(a.neighbors) != 1 {
		t.Fatalf("%d neighbors before the time to live is over", len(a.neighbors))
	}
	a.AppendFrame(nil, flow.MAC{}, 121999)
	if a.Next() != 122000 {
		t.Errorf("neighbor to be forgotten at %d, want 122000", a.Next())
	}
	a.Run(122000)
	if len(a.neighbors) != 0 || a.stats.AgedOut != 1 || a.stats.Delete != 1 {
		t.Errorf("%d neighbors, %+v", len(a.neighbors), a.stats)
	}

	// A time to live of 0 is a farewell.
	a.Receive(unhex(server), 200000)
	a.Receive(unhex(strings.Replace(server, "06020078", "06020000", 1)), 200000)
	if len(a.neighbors) != 0 || a.stats.Delete != 2 || a.stats.AgedOut != 1 {
		t.Errorf("%d neighbors after the farewell, %+v", len(a.neighbors), a.stats)
	}
	for i := range maxNeighbors + 3 {
		p := PDU{ChassisSubtype: 4, ChassisID: []byte{byte(i)}, PortSubtype: 5, PortID: []byte{1}, TTL: 9}
		a.Receive(append(unhex("0180c200000e02000000000988cc"), p.Append(nil)...), 200000)
	}
	if len(a.neighbors) != maxNeighbors || a.stats.Dropped != 3 {
		t.Errorf("%d neighbors, %d dropped", len(a.neighbors), a.stats.Dropped)
	}
	// Frames that are not ours, and those that are broken.
	stats := a.stats
	a.Receive(unhex("0180c2000002")[:6], 0)
	a.Receive(slices.Insert(unhex(server), 0, 1), 0)
	a.Receive(unhex(server)[:40], 0)
	if stats.Rx += 3; a.stats.Rx != stats.Rx || a.stats.Discarded != stats.Discarded+1 {
		t.Errorf("statistics %+v after %+v", a.stats, stats)
	}
}

func TestChanges(t *testing.T) {
	a := New("p1", sentConfig, 0)
	if got, want := a.TakeChanges(), []Change{{VLAN: 9}, {VLAN: 1000}}; !slices.Equal(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
	a.Receive(unhex(server), 0)
	a.Configure(sentConfig)
	if a.HasChanges() {
		t.Errorf("changes %v without one", a.TakeChanges())
	}
	cfg := sentConfig
	cfg.Mappings = []Mapping{{ISID: 8, VLAN: 10, Status: StatusPending}, cfg.Mappings[1]}
	a.Configure(cfg)
	if got, want := a.TakeChanges(), []Change{{VLAN: 9, Remove: true}, {VLAN: 10}}; !slices.Equal(got, want) {
		t.Errorf("changes %v, want %v", got, want)
	}
	if got := a.mappings; got[0].Status != StatusPending || got[1].Status != 2 {
		t.Errorf("mappings %v: what stays keeps its status", got)
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(unhex(sent))
	f.Add(unhex(server))
	f.Add(slices.Insert(unhex(server), 12, 0x88, 0xa8, 0, 5, 0x81, 0, 0, 5))
	f.Fuzz(func(t *testing.T, frame []byte) {
		a := New("p1", sentConfig, 0)
		a.Receive(frame, 0)
		_ = a.Status() + a.Mappings()
		b, ok := payload(frame)
		if !ok {
			return
		}
		p, err := Decode(b)
		if err != nil {
			return
		}
		p.Unrecognized = 0
		again, err := Decode(p.Append(nil))
		if err != nil || !reflect.DeepEqual(p.short(), again.short()) {
			t.Errorf("%+v changes to %+v, %v", p, again, err)
		}
	})
}

// short cuts texts to what can be sent.
func (p *PDU) short() *PDU {
	c := *p
	for _, s := range []*string{&c.PortDesc, &c.SystemName, &c.SystemDesc} {
		*s = (*s)[:min(len(*s), maxText)]
	}
	return &c
}
