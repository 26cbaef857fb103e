package bridge

import (
	"testing"

	"sluice/netdev"
	"sluice/ofproto"
	"sluice/ovsdb/client"
	"sluice/ovsdb/data"
	"sluice/schema/vswitch"
)

// addressed is a device of which only the address counts.
type addressed struct {
	netdev.Device
	ea netdev.MAC
}

func (d addressed) EtherAddr() netdev.MAC { return d.ea }

func mac(t *testing.T, s string) netdev.MAC {
	m, err := parseMAC(s)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// addressBridge makes a bridge of ports; a port's interfaces are called after it.
func addressBridge(t *testing.T, ports ...addressPort) *bridge {
	br := &bridge{name: "br0", ports: map[string]*port{}, defaultEA: mac(t, "d6:0b:03:00:e5:41")}
	for n, c := range ports {
		p := &port{name: c.name, row: &vswitch.Port{UUID: client.UUID{Lo: uint64(n)}, Tag: c.tag}}
		if c.mac != "" {
			p.row.Mac = &c.mac
		}
		for _, s := range c.ifaces {
			i := &iface{name: c.name + string(rune('z'-len(p.ifaces))), dev: addressed{ea: mac(t, s)}, ofport: uint32(n + 1)}
			if c.name == br.name {
				i.ofport = ofproto.LocalPort
			}
			p.ifaces = append(p.ifaces, i)
		}
		br.addPort(p)
	}
	return br
}

type addressPort struct {
	name   string
	mac    string
	tag    *int64
	ifaces []string
}

// Stock leaves addresses out that nobody has assigned; with that of a veth device the
// kernel would answer twice what comes in by it for the bridge.
func TestLowestAddress(t *testing.T) {
	const own = "d6:0b:03:00:e5:41"
	tag := ptr(int64(7))
	for name, tt := range map[string]struct {
		ports []addressPort
		fake  *vswitch.Port
		want  string
	}{
		"no port":            {want: own},
		"local port":         {ports: []addressPort{{name: "br0", ifaces: []string{"00:01:02:03:04:05"}}}, want: own},
		"veth":               {ports: []addressPort{{name: "p0", ifaces: []string{"1a:63:80:9f:07:dc"}}}, want: own},
		"zero and multicast": {ports: []addressPort{{name: "p0", ifaces: []string{"00:00:00:00:00:00"}}, {name: "p1", ifaces: []string{"01:00:00:00:00:00"}}}, want: own},
		"reserved":           {ports: []addressPort{{name: "p0", ifaces: []string{"00:e0:2b:00:00:04"}}}, want: own},
		"lowest": {ports: []addressPort{{name: "p0", ifaces: []string{"10:00:00:00:00:01"}}, {name: "p1", ifaces: []string{"0c:00:00:00:00:01"}},
			{name: "p2", ifaces: []string{"02:00:00:00:00:01"}}}, want: "0c:00:00:00:00:01"},
		"first of a bond": {ports: []addressPort{{name: "b", ifaces: []string{"00:00:00:00:00:01", "00:00:00:00:00:02"}}}, want: "00:00:00:00:00:02"},
		"of the Port row": {ports: []addressPort{{name: "p0", mac: "00:00:00:00:00:09", ifaces: []string{"00:00:00:00:00:01"}}}, want: "00:00:00:00:00:09"},
		"fake bridge": {ports: []addressPort{{name: "p0", ifaces: []string{"00:00:00:00:00:01"}}, {name: "p1", tag: tag, ifaces: []string{"00:00:00:00:00:05"}}},
			fake: &vswitch.Port{Tag: tag}, want: "00:00:00:00:00:05"},
	} {
		br := addressBridge(t, tt.ports...)
		if got := br.lowestAddress(tt.fake); got != mac(t, tt.want) {
			t.Errorf("%s: %x, want %s", name, got, tt.want)
		}
	}
	br := addressBridge(t, addressPort{name: "p0", ifaces: []string{"00:00:00:00:00:01"}}, addressPort{name: "p1", ifaces: []string{"00:00:00:00:00:02"}})
	br.mirrorOutputs = []client.UUID{br.ports["p0"].row.UUID}
	if got := br.lowestAddress(nil); got != mac(t, "00:00:00:00:00:02") {
		t.Errorf("mirror: %x", got)
	}
}

// Stock on a PC gave these two.
func TestRowAddress(t *testing.T) {
	for id, want := range map[string]string{
		"00030bd4-50d6-41e5-9ee1-cf15e7bf12ca": "d6:0b:03:00:e5:41",
		"9a1678ae-6ac3-4fc6-b98c-30f44b28266b": "ae:78:16:9a:c6:4f",
	} {
		u, ok := data.ParseUUID(id)
		if !ok {
			t.Fatal(id)
		}
		if got := rowAddress(u); got != mac(t, want) {
			t.Errorf("%s: %x, want %s", id, got, want)
		}
	}
}
