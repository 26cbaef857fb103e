package vport

import (
	"slices"

	"sluice/netdev"
)

// kind is a type of tunnels.
type kind struct {
	typ string
	// dpPort is the name of the datapath port that tunnels of the type share; those
	// with a UDP port have one for each: NAME_PORT.
	dpPort string
	// udp says that the type has a dst_port; port is what it is by default.
	udp  bool
	port uint16
	// l2 and l3 say what the type can carry, csum and seq what options it has.
	l2, l3, csum, seq bool
}

// kinds are the types of Open vSwitch 3.1.  VXLAN can carry packets without Ethernet
// with the GPE extension only.
var kinds = [...]kind{
	{typ: "bareudp", dpPort: "udp_sys", udp: true, l3: true},
	{typ: "erspan", dpPort: "erspan_sys", l2: true},
	{typ: "geneve", dpPort: "genev_sys", udp: true, port: 6081, l2: true, csum: true},
	{typ: "gre", dpPort: "gre_sys", l2: true, l3: true, csum: true, seq: true},
	{typ: "gtpu", dpPort: "gtpu_sys", udp: true, port: 2152, l3: true},
	{typ: "ip6erspan", dpPort: "ip6erspan_sys", l2: true},
	{typ: "ip6gre", dpPort: "ip6gre_sys", l2: true, csum: true, seq: true},
	{typ: "lisp", dpPort: "lisp_sys", udp: true, port: 4341, l3: true},
	{typ: "stt", dpPort: "stt_sys", udp: true, port: 7471, l2: true, csum: true},
	{typ: "vxlan", dpPort: "vxlan_sys", udp: true, port: 4789, l2: true, csum: true},
}

func kindOf(typ string) *kind {
	i := slices.IndexFunc(kinds[:], func(k kind) bool { return k.typ == typ })
	return &kinds[i]
}

// layers says what tunnels with that configuration can carry.
func (k *kind) layers(c *netdev.TunnelConfig) (l2, l3 bool) { return k.l2, k.l3 || c.GPE }

// defaultMode is the packet_type of tunnels without that option.
func (k *kind) defaultMode(c *netdev.TunnelConfig) netdev.PTMode {
	if l2, _ := k.layers(c); !l2 {
		return netdev.LegacyL3
	}
	return netdev.LegacyL2
}
