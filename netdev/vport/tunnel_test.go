package vport

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/netdev"
)

// opts makes options of "KEY=VALUE KEY=VALUE".
func opts(s string) map[string]string {
	m := map[string]string{}
	for f := range strings.FieldsSeq(s) {
		k, v, _ := strings.Cut(f, "=")
		m[k] = v
	}
	return m
}

func text(m map[string]string) string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		list = append(list, k+"="+m[k])
	}
	return strings.Join(list, " ")
}

// The texts are those of Open vSwitch 3.1 for the same options.
func TestTunnelOptions(t *testing.T) {
	for _, c := range []struct{ typ, in, out, err string }{
		{"gre", "remote_ip=1.1.1.1", "remote_ip=1.1.1.1", ""},
		{"vxlan", "remote_ip=1.1.1.1 key=7 tos=0x10 ttl=9 dst_port=123 csum=true df_default=false",
			"csum=true df_default=false dst_port=123 key=7 remote_ip=1.1.1.1 tos=0x10 ttl=9", ""},
		{"vxlan", "remote_ip=1.1.1.1 dst_port=4789 ttl=0 tos=3", "remote_ip=1.1.1.1", ""},
		{"gre", "remote_ip=flow local_ip=flow key=flow seq=true packet_type=ptap egress_pkt_mark=12",
			"egress_pkt_mark=12 key=flow local_ip=flow packet_type=ptap remote_ip=flow seq=true", ""},
		{"gre", "remote_ip=::ffff:7.7.7.7 local_ip=::", "remote_ip=7.7.7.7", ""},
		{"gre", "remote_ip=fc00::2 local_ip=fc00::1 dst_port=3 foo=bar psk=x", "local_ip=fc00::1 remote_ip=fc00::2", ""},
		{"gre", "remote_ip=1.1.1.1 key=010", "key=8 remote_ip=1.1.1.1", ""},
		{"gre", "remote_ip=1.1.1.1 key=1 in_key=2", "in_key=2 out_key=1 remote_ip=1.1.1.1", ""},
		{"stt", "remote_ip=1.1.1.9 in_key=5 out_key=flow", "in_key=5 out_key=flow remote_ip=1.1.1.9", ""},
		{"lisp", "remote_ip=1.1.1.9 ttl=inherit tos=inherit", "remote_ip=1.1.1.9 tos=inherit ttl=inherit", ""},
		{"bareudp", "remote_ip=1.1.1.9 dst_port=6635 payload_type=mpls", "dst_port=6635 remote_ip=1.1.1.9", ""},
		{"erspan", "remote_ip=1.1.1.1 erspan_ver=1 erspan_idx=7 key=1", "erspan_idx=0x7 erspan_ver=1 key=1 remote_ip=1.1.1.1", ""},
		{"erspan", "remote_ip=1.1.1.1 erspan_ver=2 erspan_dir=1 erspan_hwid=3f", "erspan_dir=1 erspan_hwid=0x3f erspan_ver=2 remote_ip=1.1.1.1", ""},
		{"erspan", "remote_ip=1.1.1.1 erspan_ver=flow", "erspan_dir=flow erspan_hwid=flow erspan_idx=flow erspan_ver=flow remote_ip=1.1.1.1", ""},

		{"vxlan", "", "", "p: vxlan type requires valid 'remote_ip' argument"},
		{"geneve", "remote_ip=1.2.3", "", "p: bad geneve 'remote_ip'\np: geneve type requires valid 'remote_ip' argument"},
		{"geneve", "remote_ip=224.1.1.1", "", "p: multicast remote_ip=224.1.1.1 not allowed"},
		{"gre", "remote_ip=1.1.1.1 local_ip=flow", "", "p: gre type requires 'remote_ip=flow' with 'local_ip=flow'"},
		{"gre", "remote_ip=1.1.1.1 local_ip=::1", "", "p: 'remote_ip' and 'local_ip' has to be of the same address family"},
		{"vxlan", "remote_ip=1.1.1.9 packet_type=legacy_l3", "",
			"p: legacy_l3 configured on VXLAN (without GPE) tunnel that cannot carry L3 traffic"},
		{"gtpu", "remote_ip=1.1.1.9 packet_type=legacy_l2", "", "p: legacy_l2 configured on gtpu tunnel that cannot carry L2 traffic"},
		{"gtpu", "remote_ip=1.1.1.9 packet_type=xx", "", "p: unknown packet_type 'xx'"},
		{"erspan", "remote_ip=1.1.1.9 erspan_idx=0xfffffff", "", "p: invalid erspan index: 0xfffffff"},
		{"erspan", "remote_ip=1.1.1.9 erspan_ver=3", "", "p: invalid erspan version: 3"},
		{"erspan", "remote_ip=1.1.1.9 erspan_ver=0", "", "p: invalid erspan version: 0"},
		{"erspan", "remote_ip=1.1.1.9 erspan_dir=2", "", "p: invalid erspan direction: 2"},
		{"erspan", "remote_ip=1.1.1.9 erspan_hwid=40", "", "p: invalid erspan hardware ID: 40"},
	} {
		d := newTunnel("p", kindOf(c.typ), &registry{vxlan: map[uint16]*vxlanUse{}})
		err := d.SetConfig(opts(c.in))
		if c.err != "" {
			var own *netdev.ConfigError
			if !errors.As(err, &own) || own.Text != c.err || !errors.Is(err, unix.EINVAL) {
				t.Errorf("%s %s: %v, want %q", c.typ, c.in, err, c.err)
			}
			if d.Tunnel() != nil {
				t.Errorf("%s %s: configured all the same", c.typ, c.in)
			}
			continue
		}
		if got := text(d.Config()); err != nil || got != c.out {
			t.Errorf("%s %s: %s, %v, want %s", c.typ, c.in, got, err, c.out)
		}
	}
	d := newTunnel("p", kindOf("bareudp"), &registry{})
	var own *netdev.ConfigError
	if err := d.SetConfig(opts("remote_ip=1.1.1.9 payload_type=foo")); !errors.Is(err, unix.EINVAL) || errors.As(err, &own) {
		t.Errorf("wrong payload type: %v", err)
	}
}

func TestTunnelConfigIsReplaced(t *testing.T) {
	d := newTunnel("p", kindOf("gre"), &registry{})
	if err := d.SetConfig(opts("remote_ip=1.1.1.1")); err != nil {
		t.Fatal(err)
	}
	old, seq := d.Tunnel(), d.ChangeSeq()
	if err := d.SetConfig(opts("remote_ip=1.1.1.1 ttl=64")); err != nil || d.Tunnel() != old || d.ChangeSeq() != seq {
		t.Errorf("the same options made a change: %v", err)
	}
	if err := d.SetConfig(opts("remote_ip=1.1.1.2")); err != nil || d.Tunnel() == old || d.ChangeSeq() == seq {
		t.Errorf("other options made none: %v", err)
	}
	if err := d.SetConfig(nil); err == nil || d.Tunnel().Remote != netip.MustParseAddr("1.1.1.2") {
		t.Error("wrong options replaced the ones in force")
	}
	if old.Remote != netip.MustParseAddr("1.1.1.1") {
		t.Error("the old configuration was written to")
	}
}

func TestDatapathPort(t *testing.T) {
	for _, c := range []struct{ typ, options, want string }{
		{"gre", "", "gre_sys"}, {"ip6gre", "", "ip6gre_sys"}, {"erspan", "", "erspan_sys"}, {"ip6erspan", "", "ip6erspan_sys"},
		{"vxlan", "", "vxlan_sys_4789"}, {"vxlan", "dst_port=5000", "vxlan_sys_5000"}, {"geneve", "", "genev_sys_6081"},
		{"gtpu", "", "gtpu_sys_2152"}, {"lisp", "", "lisp_sys_4341"}, {"stt", "", "stt_sys_7471"},
		{"bareudp", "dst_port=6635", "udp_sys_6635"},
	} {
		d := newTunnel("p", kindOf(c.typ), &registry{vxlan: map[uint16]*vxlanUse{}})
		if err := d.SetConfig(opts("remote_ip=1.1.1.1 " + c.options)); err != nil || d.DatapathPort() != c.want {
			t.Errorf("%s %s: %s, %v", c.typ, c.options, d.DatapathPort(), err)
		}
	}
	// The device of such a port takes its UDP port from its name.
	d := newTunnel("vxlan_sys_5000", kindOf("vxlan"), &registry{})
	if got := text(d.Config()); got != "dst_port=5000" || d.Tunnel() != nil {
		t.Errorf("shared port: %s", got)
	}
}

func TestGroupPolicyIsPerPort(t *testing.T) {
	reg := &registry{vxlan: map[uint16]*vxlanUse{}}
	set := func(d *Tunnel, options string) error { return d.SetConfig(opts("remote_ip=1.1.1.1 " + options)) }
	a, b := newTunnel("a", kindOf("vxlan"), reg), newTunnel("b", kindOf("vxlan"), reg)
	if err := set(a, ""); err != nil {
		t.Fatal(err)
	}
	if err := set(b, "exts=gbp"); !errors.Is(err, unix.EEXIST) {
		t.Errorf("both on one port: %v", err)
	}
	if err := set(b, "exts=gbp dst_port=9000"); err != nil {
		t.Error(err)
	}
	if err := set(a, "exts=gbp"); err != nil {
		t.Errorf("alone on its port: %v", err)
	}
	if err := set(a, "dst_port=9000"); !errors.Is(err, unix.EEXIST) {
		t.Errorf("moved to the other's port: %v", err)
	}
	b.Close(false)
	if err := set(a, "dst_port=9000"); err != nil {
		t.Errorf("after the other is gone: %v", err)
	}
}

// roads is a Router of one road.
type roads struct {
	seq     uint64
	dev     string
	carrier bool
}

func (r *roads) RouteSeq() uint64 { return r.seq }
func (r *roads) Egress(dst netip.Addr, mark uint32) (string, bool) {
	if dst != netip.MustParseAddr("1.1.1.1") || mark != 3 {
		return "", false
	}
	return r.dev, r.carrier
}

func TestTunnelStatus(t *testing.T) {
	r := &roads{dev: "br0", carrier: true}
	d := newTunnel("p", kindOf("gre"), &registry{router: r})
	check := func(want string) {
		t.Helper()
		if got := text(d.Status()); got != want {
			t.Errorf("status %q, want %q", got, want)
		}
	}
	check("")
	if err := d.SetConfig(opts("remote_ip=1.1.1.1 egress_pkt_mark=3")); err != nil {
		t.Fatal(err)
	}
	check("tunnel_egress_iface=br0 tunnel_egress_iface_carrier=up")
	seq := d.ChangeSeq()
	r.carrier = false
	d.Run(0)
	check("tunnel_egress_iface=br0 tunnel_egress_iface_carrier=up") // no route changed
	r.seq++
	d.Run(0)
	check("tunnel_egress_iface=br0 tunnel_egress_iface_carrier=down")
	if d.ChangeSeq() == seq {
		t.Error("nobody hears of it")
	}
	if err := d.SetConfig(opts("remote_ip=flow")); err != nil {
		t.Fatal(err)
	}
	check("") // any device, as packets come
}

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		in   string
		base int
		want uint64
	}{
		{"12", 10, 12}, {" 12x", 10, 12}, {"x", 10, 0}, {"", 0, 0}, {"0x1F", 0, 31}, {"017", 0, 15}, {"0x1f", 16, 31},
		{"1f", 16, 31}, {"0x1f", 10, 0}, {"-1", 10, 1<<64 - 1}, {"18446744073709551615", 0, 1<<64 - 1},
	} {
		if got := number(c.in, c.base); got != c.want {
			t.Errorf("number(%q, %d) = %d, want %d", c.in, c.base, got, c.want)
		}
	}
}

func FuzzTunnelOptions(f *testing.F) {
	f.Add("vxlan", "remote_ip=1.1.1.1 key=flow exts=gbp,gpe dst_port=-1")
	f.Add("erspan", "remote_ip=flow erspan_ver=flow erspan_idx=ff tos=0xfc")
	f.Fuzz(func(t *testing.T, typ, in string) {
		if !slices.ContainsFunc(kinds[:], func(k kind) bool { return k.typ == typ }) {
			return
		}
		d := newTunnel("p", kindOf(typ), &registry{vxlan: map[uint16]*vxlanUse{}})
		if d.SetConfig(opts(in)) != nil {
			return
		}
		// What is shown makes the same tunnel.
		again := newTunnel("q", kindOf(typ), &registry{vxlan: map[uint16]*vxlanUse{}})
		shown := d.Config()
		if shown["erspan_ver"] == "0" {
			delete(shown, "erspan_ver") // none; stock shows it so
		}
		for _, ext := range []struct {
			on   bool
			name string
		}{{d.cfg.GBP, "gbp"}, {d.cfg.GPE, "gpe"}} { // which is not shown, as in stock
			if ext.on {
				shown["exts"] += "," + ext.name
			}
		}
		if err := again.SetConfig(shown); err != nil {
			t.Fatalf("%v: %v", shown, err)
		}
		if got, want := fmt.Sprint(again.Config()), fmt.Sprint(d.Config()); got != want {
			t.Errorf("%s became %s", want, got)
		}
	})
}
