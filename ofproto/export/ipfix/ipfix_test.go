package ipfix

import (
	"encoding/binary"
	"fmt"
	"testing"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/ofproto/export"
	"sluice/ofproto/ofp"
)

// spec is a field of a template.
type spec struct {
	id         uint16
	size       uint16
	enterprise uint32
}

// collector decodes messages by the templates that came before, as any collector
// does.
type collector struct {
	t         testing.TB
	templates map[uint16][]spec
	records   []map[string]string // fields by "enterprise.id"; interface names get the first one only
	sets      []uint16
	messages  int
	seq       []uint32
	domains   []uint32
}

func (c *collector) send(b []byte) (sent, failed int) {
	c.messages++
	if len(b) > 1500 || int(binary.BigEndian.Uint16(b[2:])) != len(b) || binary.BigEndian.Uint16(b) != 10 {
		c.t.Fatalf("bad message: %x", b)
	}
	c.seq = append(c.seq, binary.BigEndian.Uint32(b[8:]))
	c.domains = append(c.domains, binary.BigEndian.Uint32(b[12:]))
	for b = b[16:]; len(b) > 0; {
		id, n := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		c.sets = append(c.sets, id)
		c.set(id, b[4:n])
		b = b[n:]
	}
	return 2, 0
}

func (c *collector) set(id uint16, b []byte) {
	switch id {
	case 2, 3:
		for len(b) > 0 {
			b = c.template(b, id == 3)
		}
	default:
		if c.templates[id] == nil {
			c.t.Fatalf("a record without template %d", id)
		}
		if b = c.record(c.templates[id], b); len(b) > 0 {
			c.t.Fatalf("template %d: %d bytes are left", id, len(b))
		}
	}
}

func (c *collector) template(b []byte, options bool) []byte {
	id, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
	b = b[4:]
	if options {
		b = b[2:] // scope fields
	}
	var specs []spec
	for range n {
		s := spec{id: binary.BigEndian.Uint16(b), size: binary.BigEndian.Uint16(b[2:])}
		b = b[4:]
		if s.id&0x8000 != 0 {
			s.id &^= 0x8000
			s.enterprise, b = binary.BigEndian.Uint32(b), b[4:]
		}
		specs = append(specs, s)
	}
	if c.templates == nil {
		c.templates = map[uint16][]spec{}
	}
	c.templates[id] = specs
	return b
}

func (c *collector) record(specs []spec, b []byte) []byte {
	fields := map[string]string{}
	for _, s := range specs {
		n := int(s.size)
		if s.size == 0xffff {
			n, b = int(b[0]), b[1:]
		}
		name := fmt.Sprintf("%d.%d", s.enterprise, s.id)
		if _, dup := fields[name]; dup {
			name += "'"
		}
		fields[name] = fmt.Sprintf("%x", b[:n])
		b = b[n:]
	}
	c.records = append(c.records, fields)
	return b
}

// want checks fields of a record.
func (c *collector) want(record int, fields map[string]string) {
	c.t.Helper()
	if record >= len(c.records) {
		c.t.Fatalf("%d records, want number %d", len(c.records), record)
	}
	for name, want := range fields {
		if got, ok := c.records[record][name]; !ok || got != want {
			c.t.Errorf("record %d: %s is %q (%v), want %q", record, name, got, ok, want)
		}
	}
}

func ipv4(proto uint8) flow.Flow {
	f := flow.Flow{InPort: 1, DLType: flow.EthIPv4, NwSrc: 0x0a000001, NwDst: 0x0a000002, NwProto: proto, NwTTL: 64, NwTOS: 0xb8, TpSrc: 8, TpDst: 0}
	f.DLSrc, f.DLDst = flow.MAC{2, 0, 0, 0, 0, 1}, flow.MAC{2, 0, 0, 0, 0, 2}
	return f
}

func sample(f flow.Flow, size int, dir Direction, acts ...odp.Action) *Sample {
	return &Sample{Sample: export.NewSample(&odp.UserspaceArg{}, &f, nil, size, acts), Domain: 5, Point: 6, Count: 10, Direction: dir,
		In: Interface{Index: 3, Name: "p1"}, Out: Interface{Index: 4, Type: 6, Name: "p2", Descr: "uplink"}}
}

var forward = odp.Action{Type: odp.Output, Port: 2}

// TestEveryTemplate: the record of each kind of packet is as its template says.
func TestEveryTemplate(t *testing.T) {
	for _, vobs := range []string{"", "observer"} {
		c := &collector{t: t}
		e := New(Options{ID: 1, VirtualObsID: vobs}, c.send)
		n := 0
		for _, f := range []flow.Flow{{DLType: flow.EthARP}, ipv4(6), ipv4(17), ipv4(132), ipv4(1), ipv4(47)} {
			for _, v6 := range []bool{false, true} {
				if v6 {
					if f.DLType == flow.EthARP {
						continue
					}
					f.DLType = flow.EthIPv6
					if f.NwProto == 1 {
						f.NwProto = 58
					}
				}
				for opt := range 8 {
					g := f
					if opt&1 != 0 {
						g.VLANs[0] = flow.VLAN{TPID: 0x8100, TCI: flow.VLANCFI | 7}
					}
					s := sample(g, 100, Direction(opt>>1&1))
					if opt&4 != 0 {
						kinds := []TunnelKind{TunnelVXLAN, TunnelGRE, TunnelSTT, TunnelGeneve, TunnelLISP}
						s.Tunnel = &Tunnel{Kind: kinds[n%len(kinds)], Key: &flow.Tunnel{IPDst: 1, ID: 0x0102030405060708}}
					}
					e.Add(s, 1000)
					n++
				}
			}
		}
		if len(c.records) != n+1 { // and the reliability statistics
			t.Errorf("%d records of %d samples", len(c.records), n)
		}
		if len(c.templates) != 2*11*2*2+1 {
			t.Errorf("%d templates", len(c.templates))
		}
		st := e.Stats()
		if st.TxPkts != 2*uint64(c.messages) || st.TotalFlows != uint64(n) || st.CurrentFlows != 0 || st.Pkts != uint64(n) {
			t.Errorf("%+v", st)
		}
	}
}

func TestRecord(t *testing.T) {
	c := &collector{t: t}
	e := New(Options{ID: 9, ActiveTimeoutSec: 60, MaxFlows: 10, VirtualObsID: "me"}, c.send)
	f := ipv4(1)
	e.Add(sample(f, 98, Egress, forward), 10000)
	f.NwSrc++ // another flow, which is dropped
	e.Add(sample(f, 98, Egress), 10500)
	f.NwSrc--
	e.Add(sample(f, 58, Egress, forward), 12000)
	if at, ok := e.Next(); !ok || at != 70000 {
		t.Errorf("next at %d, %v", at, ok)
	}
	e.Run(69999)
	if c.messages != 0 {
		t.Fatal("exported too early")
	}
	e.Run(70000)
	e.Run(70001)
	c.want(0, map[string]string{"0.144": "00000009", "0.167": "0000000000000000"})
	c.want(1, map[string]string{
		"0.138": "00000006", "0.61": "01", "0.56": "020000000001", "0.80": "020000000002", "0.256": "0800", "0.240": "0e",
		"0.10": "00000003", "0.368": "00000000", "0.82": "7031", "0.83": "",
		"0.14": "00000004", "0.369": "00000006", "0.82'": "7032", "0.83'": "75706c696e6b",
		"0.60": "04", "0.192": "40", "0.4": "01", "0.195": "2e", "0.196": "05", "0.5": "b8",
		"0.8": "0a000001", "0.12": "0a000002", "0.176": "08", "0.177": "00", "6876.898": "6d65",
		"0.158": fmt.Sprintf("%08x", 60000000), "0.159": fmt.Sprintf("%08x", 58000000),
		"0.133": "0000000000000000", "0.135": "000000000000000a", "0.2": "0000000000000014", "0.86": "000000000000001e",
		"0.357": "000000000000001e", "0.354": "0000000000000000", "0.352": fmt.Sprintf("%016x", 1560), "0.353": fmt.Sprintf("%016x", 2540),
		"0.136": "02", "0.132": "0000000000000000", "0.1": fmt.Sprintf("%016x", 1280), "0.85": fmt.Sprintf("%016x", 2120),
		"0.198": fmt.Sprintf("%016x", 840*84+440*44), "0.25": fmt.Sprintf("%016x", 44), "0.26": fmt.Sprintf("%016x", 84),
	})
	if len(c.records) != 2 {
		t.Fatalf("%d records", len(c.records))
	}
	e.Flush(70002)
	c.want(2, map[string]string{"0.8": "0a000002", "0.136": "04", "0.133": "000000000000000a", "0.132": fmt.Sprintf("%016x", 840)})
	// Templates go without being counted, the statistics of no domain.
	n := c.messages
	if n < 5 || c.domains[0] != 5 || c.domains[n-3] != 0 || c.domains[n-1] != 5 || c.seq[0] != 1 || c.seq[n-3] != 1 || c.seq[n-2] != 2 || c.seq[n-1] != 3 {
		t.Errorf("domains %v, sequence %v", c.domains, c.seq)
	}
}

func TestTunnelAndTCP(t *testing.T) {
	c := &collector{t: t}
	e := New(Options{}, c.send)
	f := ipv4(6)
	f.TCPFlags = 0x12
	f.DLDst = flow.MAC{1, 0, 0x5e, 0, 0, 1}
	f.VLANs[0] = flow.VLAN{TPID: 0x8100, TCI: 3<<13 | flow.VLANCFI | 11}
	s := sample(f, 118, Egress, forward)
	s.Tunnel = &Tunnel{Kind: TunnelVXLAN, Key: &flow.Tunnel{IPSrc: 1, IPDst: 2, TpSrc: 3, TpDst: 4789, ID: 0x123456}}
	e.Add(s, 1000)
	c.want(1, map[string]string{
		"0.240": "12", "0.58": "000b", "0.243": "000b", "0.244": "03", "0.7": "0008", "0.11": "0000",
		"6876.893": "00000001", "6876.894": "00000002", "6876.895": "11", "6876.896": "0003", "6876.897": "12b5", "6876.891": "01", "6876.892": "123456",
		"0.222": "000000000000000a", "0.218": "000000000000000a", "0.219": "0000000000000000",
		"0.19": "000000000000000a", "0.174": "000000000000000a", "0.20": fmt.Sprintf("%016x", 1000), "0.175": fmt.Sprintf("%016x", 1000),
	})
}

func TestFullCache(t *testing.T) {
	c := &collector{t: t}
	e := New(Options{ActiveTimeoutSec: 600, MaxFlows: 2}, c.send)
	for i := range 3 {
		f := ipv4(17)
		f.TpSrc = uint16(i)
		e.Add(sample(f, 100, Ingress), int64(1000+i))
	}
	c.want(1, map[string]string{"0.7": "0000", "0.136": "05"}) // the oldest
	if st := e.Stats(); len(c.records) != 2 || st.CurrentFlows != 2 {
		t.Errorf("%d records, %d flows", len(c.records), st.CurrentFlows)
	}
	// A smaller cache holds from now on.
	e.SetOptions(Options{ActiveTimeoutSec: 600}, 2000)
	if st := e.Stats(); len(c.records) != 4 || st.CurrentFlows != 0 {
		t.Errorf("%d records, %d flows", len(c.records), st.CurrentFlows)
	}
}

func TestTemplatesAreRepeated(t *testing.T) {
	c := &collector{t: t}
	e := New(Options{}, c.send)
	e.Add(sample(ipv4(17), 100, Ingress), 1000)
	first := c.messages
	e.Add(sample(ipv4(17), 100, Ingress), 600000)
	if c.messages != first+1 {
		t.Errorf("%d messages, want %d", c.messages, first+1)
	}
	e.Add(sample(ipv4(17), 100, Ingress), 601000)
	if c.messages != 2*first+1 {
		t.Errorf("%d messages, want %d", c.messages, 2*first+1)
	}
}

func TestErrorsAreCounted(t *testing.T) {
	e := New(Options{ID: 1}, func([]byte) (sent, failed int) { return 0, 1 })
	other := ipv4(47)
	six := other
	six.DLType = flow.EthIPv6
	for _, f := range []flow.Flow{ipv4(6), other, six, {DLType: flow.EthARP}} {
		e.Add(sample(f, 100, Ingress), 1000)
	}
	st := e.Stats()
	if st.TxErrors == 0 {
		t.Error("no message failed")
	}
	st.TxErrors = 0
	want := ofp.IPFIXStats{TotalFlows: 4, Pkts: 4, IPv4Pkts: 1, IPv4ErrorPkts: 1, IPv6ErrorPkts: 1, ErrorPkts: 2}
	if st != want {
		t.Errorf("%+v", st)
	}
}
