package ofproto

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"sluice/dpif"
	"sluice/dpif/odp"
	"sluice/ofproto/maclearn"
	"sluice/ofproto/ofp/field"
	"sluice/ofproto/xlate"
)

// This file has what the commands fdb/*, dpif/* and upcall/* print and do.

// portText returns the number, or name of the reserved port, of a bundle's first
// port.
func (r *switchRef) portText(id maclearn.Port) string {
	for _, ref := range r.bundles {
		if ref.id == id && len(ref.cfg.Members) > 0 {
			return string(field.AppendPort(nil, ref.cfg.Members[0].OFPort, nil))
		}
	}
	return ""
}

// FDBShow is fdb/show.
func (b *Backer) FDBShow(sw *Switch, now int64) string {
	r := b.bySwitch[sw]
	return string(r.ml.AppendShow(nil, r.portText, now))
}

// FDBFlush is fdb/flush for one bridge.
func (b *Backer) FDBFlush(sw *Switch) { b.bySwitch[sw].ml.Flush() }

// FDBStatsShow is fdb/stats-show.
func (b *Backer) FDBStatsShow(sw *Switch) string {
	return string(b.bySwitch[sw].ml.AppendStats(nil, sw.Name()))
}

// FDBStatsClear is fdb/stats-clear for one bridge.
func (b *Backer) FDBStatsClear(sw *Switch) { b.bySwitch[sw].ml.ClearStats() }

// FDBAdd is fdb/add: it binds an address to a port for ever.
func (b *Backer) FDBAdd(sw *Switch, port, vlan, mac string, now int64) (string, error) {
	r := b.bySwitch[sw]
	ea, ok := field.ParseMAC(mac)
	if !ok {
		return "", errors.New("bad MAC address")
	}
	p := sw.PortByName(port)
	if p == nil {
		return "", errors.New("software error, odp port is present but no ofp port")
	}
	v := vlanArg(vlan)
	note := ""
	if old, ok := r.ml.Get(ea, v, now); ok {
		name, kind := r.bundleName(old.Port), "dynamic"
		if old.Static {
			kind = "static"
		}
		if name != port || !old.Static {
			note = fmt.Sprintf("Overriding already existing %s entry on %s\n", kind, r.portText(old.Port))
		}
	}
	id := maclearn.PortNone
	for _, ref := range r.bundles {
		if slices.ContainsFunc(ref.cfg.Members, func(m MemberConfig) bool { return m.OFPort == p.OFPort }) {
			id = ref.id
		}
	}
	if !r.ml.AddStatic(ea, v, id) {
		return "", errors.New("could not add static mac entry\n")
	}
	return note, nil
}

func (r *switchRef) bundleName(id maclearn.Port) string {
	for name, ref := range r.bundles {
		if ref.id == id {
			return name
		}
	}
	return ""
}

// vlanArg reads a VLAN id the way atoi does: nonsense is 0.
func vlanArg(s string) uint16 {
	s = strings.TrimLeft(s, " \t")
	n := 0
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	v, _ := strconv.ParseUint(s[:n], 10, 16)
	return uint16(v)
}

// FDBDel is fdb/del.
func (b *Backer) FDBDel(sw *Switch, vlan, mac string) error {
	ea, ok := field.ParseMAC(mac)
	if !ok {
		return errors.New("bad MAC address")
	}
	if !b.bySwitch[sw].ml.DelStatic(ea, vlanArg(vlan)) {
		return errors.New("could not find static mac entry\n")
	}
	return nil
}

// AppendShow appends the part of dpif/show about this datapath.
func (b *Backer) AppendShow(out []byte) []byte {
	st := b.dp.Stats()
	out = fmt.Appendf(out, "%s: hit:%d missed:%d\n", b.Name(), st.Hit, st.Missed)
	for _, r := range b.switches {
		out = fmt.Appendf(out, "  %s:\n", r.sw.Name())
		ports := slices.Clone(r.sw.Ports())
		slices.SortFunc(ports, func(x, y *Port) int { return strings.Compare(x.Name, y.Name) })
		for _, p := range ports {
			out = fmt.Appendf(out, "    %s %d/", p.Name, p.OFPort&0xffff)
			if p.DPPort != dpif.PortNone {
				out = fmt.Appendf(out, "%d:", p.DPPort)
			} else {
				out = append(out, "none:"...)
			}
			out = fmt.Appendf(out, " (%s", p.Type)
			cfg := p.Dev.Config()
			for i, k := range sortedKeys(cfg) {
				sep := ","
				if i == 0 {
					sep = ":"
				}
				out = fmt.Appendf(out, "%s %s=%s", sep, k, cfg[k])
			}
			out = append(out, ")\n"...)
		}
	}
	return out
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// portNames names the ports of the datapath.
type portNames struct{ dp dpif.Dpif }

// PortName implements odp.PortNames.
func (n portNames) PortName(no uint32) (string, bool) {
	p, _, ok := n.dp.PortByNumber(no)
	return p.Name, ok
}

// PortNumber implements odp.PortNames.
func (n portNames) PortNumber(name string) (uint32, bool) {
	p, _, ok := n.dp.PortByName(name)
	return p.No, ok
}

// PortNames returns the names of the datapath's ports, for formatting and parsing.
func (b *Backer) PortNames() odp.PortNames { return portNames{b.dp} }

// DumpFlows is dpif/dump-flows: the datapath flows of a bridge.  args are the
// options, without the bridge.
func (b *Backer) DumpFlows(sw *Switch, args []string, now int64) string {
	verbose, names, set := false, false, false
	for _, a := range args {
		switch a {
		case "-m":
			verbose = true
		case "--names":
			names, set = true, true
		case "--no-names":
			names, set = false, true
		}
	}
	if !set {
		names = verbose
	}
	var ports odp.PortNames
	if names {
		ports = b.PortNames()
	}
	id := b.bySwitch[sw].id
	snap := b.udpif.Snapshot()
	var out []byte
	b.dp.FlowDump(func(f *dpif.Flow) bool {
		if br, _, err := snap.Find(&f.Key, b.recircs); err != nil || br.ID != id {
			return true
		}
		if verbose {
			out = odp.AppendUFID(out, f.UFID)
			out = append(out, ' ')
			out = odp.FormatKeyVerbose(out, &f.Key, &f.Mask, ports)
		} else {
			out = odp.FormatKey(out, &f.Key, &f.Mask, ports)
		}
		out = append(out, ", "...)
		out = appendStats(out, &f.Stats, now)
		out = append(out, ", actions:"...)
		out = odp.FormatActions(out, f.Actions, ports)
		out = append(out, '\n')
		return true
	})
	return string(out)
}

func appendStats(b []byte, s *dpif.FlowStats, now int64) []byte {
	b = fmt.Appendf(b, "packets:%d, bytes:%d, used:", s.Packets, s.Bytes)
	if s.Used != 0 {
		b = fmt.Appendf(b, "%.3fs", float64(now-s.Used)/1000)
	} else {
		b = append(b, "never"...)
	}
	if s.TCPFlags != 0 {
		b = append(b, ", flags:"...)
		for _, f := range tcpFlagLetters {
			if s.TCPFlags&f.bit != 0 {
				b = append(b, f.text...)
			}
		}
	}
	return b
}

// tcpFlagLetters are the flags in the order in which they are printed.
var tcpFlagLetters = []struct {
	bit  uint16
	text string
}{{0x2, "S"}, {0x1, "F"}, {0x8, "P"}, {0x4, "R"}, {0x20, "U"}, {0x10, "."}, {0x40, "E"}, {0x80, "C"},
	{0x100, "N"}, {0x200, "[200]"}, {0x400, "[400]"}, {0x800, "[800]"}}

// feature is one thing that a datapath may be able to do.
type feature struct {
	name, title string
	yes         func(*dpif.Support) *bool
	num         func(*dpif.Support) *int
}

// features are in the order in which dpif/show-dp-features prints them.
var features = []feature{
	{"masked_set_action", "Masked set action", func(s *dpif.Support) *bool { return &s.MaskedSetAction }, nil},
	{"tnl_push_pop", "Tunnel push pop", func(s *dpif.Support) *bool { return &s.TunnelPushPop }, nil},
	{"ufid", "Ufid", func(s *dpif.Support) *bool { return &s.UFID }, nil},
	{"trunc", "Truncate action", func(s *dpif.Support) *bool { return &s.Truncate }, nil},
	{"clone", "Clone action", func(s *dpif.Support) *bool { return &s.Clone }, nil},
	{"sample_nesting", "Sample nesting", nil, func(s *dpif.Support) *int { return &s.SampleNesting }},
	{"ct_eventmask", "Conntrack eventmask", func(s *dpif.Support) *bool { return &s.CTEventMask }, nil},
	{"ct_clear", "Conntrack clear", func(s *dpif.Support) *bool { return &s.CTClear }, nil},
	{"max_hash_alg", "Max dp_hash algorithm", nil, func(s *dpif.Support) *int { return &s.MaxHashAlg }},
	{"check_pkt_len", "Check pkt length action", func(s *dpif.Support) *bool { return &s.CheckPktLen }, nil},
	{"ct_timeout", "Conntrack timeout policy", func(s *dpif.Support) *bool { return &s.CTTimeout }, nil},
	{"explicit_drop_action", "Explicit Drop action", func(s *dpif.Support) *bool { return &s.ExplicitDropAction }, nil},
	{"lb_output_action", "Optimized Balance TCP mode", func(s *dpif.Support) *bool { return &s.LBOutput }, nil},
	{"ct_zero_snat", "Conntrack all-zero IP SNAT", func(s *dpif.Support) *bool { return &s.CTZeroSNAT }, nil},
	{"add_mpls", "MPLS Label add", func(s *dpif.Support) *bool { return &s.AddMPLS }, nil},
	{"max_vlan_headers", "Max VLAN headers", nil, func(s *dpif.Support) *int { return &s.MaxVLANHeaders }},
	{"max_mpls_depth", "Max MPLS depth", nil, func(s *dpif.Support) *int { return &s.MaxMPLSDepth }},
	{"recirc", "Recirc", func(s *dpif.Support) *bool { return &s.Recirc }, nil},
	{"ct_state", "CT state", func(s *dpif.Support) *bool { return &s.CTState }, nil},
	{"ct_zone", "CT zone", func(s *dpif.Support) *bool { return &s.CTZone }, nil},
	{"ct_mark", "CT mark", func(s *dpif.Support) *bool { return &s.CTMark }, nil},
	{"ct_label", "CT label", func(s *dpif.Support) *bool { return &s.CTLabel }, nil},
	{"ct_state_nat", "CT state NAT", func(s *dpif.Support) *bool { return &s.CTStateNAT }, nil},
	{"ct_orig_tuple", "CT orig tuple", func(s *dpif.Support) *bool { return &s.CTOrigTuple }, nil},
	{"ct_orig_tuple6", "CT orig tuple for IPv6", func(s *dpif.Support) *bool { return &s.CTOrigTuple6 }, nil},
	{"nd_ext", "IPv6 ND Extension", func(s *dpif.Support) *bool { return &s.NDExt }, nil},
}

// ShowFeatures is dpif/show-dp-features: what the datapath could do when it was opened.
func (b *Backer) ShowFeatures() string {
	var sb strings.Builder
	for _, f := range features {
		fmt.Fprintf(&sb, "%s: %s\n", f.title, f.value(&b.probed, "Yes", "No"))
	}
	return sb.String()
}

// Capabilities is the same as the column of the Datapath table shows it.
func (b *Backer) Capabilities() map[string]string {
	// The flush of conntrack entries needs no probe.
	m := map[string]string{"ct_flush": "true"}
	for _, f := range features {
		m[f.name] = f.value(&b.probed, "true", "false")
	}
	// Stock does not say how deep, though its manual does.
	m["sample_nesting"] = strconv.FormatBool(b.probed.SampleNesting > 0)
	return m
}

// value is a feature of s as text.
func (f *feature) value(s *dpif.Support, yes, no string) string {
	switch {
	case f.num != nil:
		return strconv.Itoa(*f.num(s))
	case *f.yes(s):
		return yes
	}
	return no
}

// logFeatures logs what the datapath can do, when it is opened.
func (b *Backer) logFeatures() {
	s := b.support
	can := func(yes bool, what string) {
		verb := "supports"
		if !yes {
			verb = "does not support"
		}
		dpifLog.Info("%s: Datapath %s %s", b.Name(), verb, what)
	}
	can(s.Recirc, "recirculation")
	dpifLog.Info("%s: VLAN header stack length probed as %d", b.Name(), s.MaxVLANHeaders)
	dpifLog.Info("%s: MPLS label stack length probed as %d", b.Name(), s.MaxMPLSDepth)
	can(s.Truncate, "truncate action")
	can(s.UFID, "unique flow ids")
	can(s.Clone, "clone action")
	dpifLog.Info("%s: Max sample nesting level probed as %d", b.Name(), s.SampleNesting)
	can(s.CTEventMask, "eventmask in conntrack action")
	can(s.CTClear, "ct_clear action")
	dpifLog.Info("%s: Max dp_hash algorithm probed to be %d", b.Name(), s.MaxHashAlg)
	can(s.CheckPktLen, "check_pkt_len action")
	can(s.CTTimeout, "timeout policy in conntrack action")
	can(s.CTZeroSNAT, "ct_zero_snat")
	can(s.AddMPLS, "add_mpls action")
	can(s.CTState, "ct_state")
	can(s.CTZone, "ct_zone")
	can(s.CTMark, "ct_mark")
	can(s.CTLabel, "ct_label")
	can(s.CTStateNAT, "ct_state_nat")
	can(s.CTOrigTuple, "ct_orig_tuple")
	can(s.CTOrigTuple6, "ct_orig_tuple6")
	can(s.NDExt, "IPv6 ND Extensions")
}

// Support returns what translation may use of the datapath now.
func (b *Backer) Support() dpif.Support { return b.support }

// SetFeature is dpif/set-dp-features: without a name it shows all features,
// without a value one, and else it changes one within what the datapath can do.
func (b *Backer) SetFeature(name, value string) string {
	boot := b.probed
	show := func(f *feature) string {
		if f.num != nil {
			return fmt.Sprintf("%s (%s) : [run time]:%d, [boot time]:%d\n", f.name, f.title, *f.num(&b.support), *f.num(&boot))
		}
		return fmt.Sprintf("%s (%s) : [run time]:%t, [boot time]:%t\n", f.name, f.title, *f.yes(&b.support), *f.yes(&boot))
	}
	if name == "" {
		text := ""
		for i := range features {
			text += show(&features[i])
		}
		return text
	}
	i := slices.IndexFunc(features, func(f feature) bool { return f.name == name })
	if i < 0 {
		return "Unexpected support field"
	}
	f := &features[i]
	if value == "" {
		return show(f)
	}
	if problem := f.set(&b.support, &boot, value); problem != "" {
		return problem
	}
	b.publish()
	b.udpif.Flush(b.now)
	return ""
}

func (f *feature) set(s, boot *dpif.Support, value string) (problem string) {
	if f.num == nil {
		switch strings.ToLower(value) {
		case "true":
			if !*f.yes(boot) {
				return "Can not enable features not supported by the datapth"
			}
			*f.yes(s) = true
		case "false":
			*f.yes(s) = false
		default:
			return "Boolean value expected"
		}
		return ""
	}
	n, err := strconv.Atoi(value)
	switch {
	case err != nil:
		return "Integer number expected"
	case n < 0:
		return "Negative number not expected"
	case n > *f.num(boot):
		return "Can not set value beyond the datapath capability"
	}
	*f.num(s) = n
	return ""
}

// AppendUpcallShow appends the part of upcall/show about this datapath.
func (b *Backer) AppendUpcallShow(out []byte) []byte { return b.udpif.AppendShow(out) }

// EnableMegaflows is upcall/enable-megaflows and upcall/disable-megaflows, for all
// datapaths; the caller then flushes each with FlushFlows.
func EnableMegaflows(on bool) { megaflowsEnabled.Store(on) }

// FlushFlows deletes all datapath flows, counting their last packets.
func (b *Backer) FlushFlows(now int64) { b.udpif.Flush(now) }

// PurgeFlows is revalidator/purge.
func (b *Backer) PurgeFlows(now int64) { b.udpif.Purge(now) }

// SetFlowLimit is upcall/set-flow-limit.
func (b *Backer) SetFlowLimit(n uint32) { b.udpif.SetFlowLimit(n) }

// PauseRevalidation is revalidator/pause and, with false, revalidator/resume.
func (b *Backer) PauseRevalidation(pause bool) {
	if pause {
		b.udpif.Pause()
	} else {
		b.udpif.Resume()
	}
}

// Snapshot returns what translation reads now.
func (b *Backer) Snapshot() *xlate.Snapshot { return b.udpif.Snapshot() }
