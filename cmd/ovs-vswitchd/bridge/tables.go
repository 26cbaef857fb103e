package bridge

import (
	"slices"

	"sluice/ofproto"
	"sluice/ofproto/classifier"
	"sluice/ofproto/ofp/field"
	"sluice/schema/vswitch"
)

// flowTable reads a Flow_Table row.
func flowTable(bridge string, id int, r *vswitch.FlowTable) ofproto.TableConfig {
	c := ofproto.TableConfig{Name: val(r.Name), FlowLimit: ^uint32(0)}
	if v := r.FlowLimit; v != nil && *v >= 0 && *v < 1<<32-1 {
		c.FlowLimit = uint32(*v)
	}
	c.Evict = val(r.OverflowPolicy) == "evict"
	for _, s := range r.Groups {
		sub, err := field.ParseSub(s)
		if err != nil {
			log.WarnRL(rlDup, "bridge %s table %d: error parsing 'groups' (%s)", bridge, id, err)
			continue
		}
		c.Groups = append(c.Groups, sub)
	}
	c.Prefixes = prefixes(bridge, r.Prefixes)
	return c
}

// maxPrefixes is how many fields a table looks up by prefix.
const maxPrefixes = 3

// prefixes reads the names of fields; nil stands for the default ones, an empty
// list for none.
func prefixes(bridge string, names []string) []classifier.Prefix {
	var out []classifier.Prefix
	if slices.Contains(names, "none") {
		return []classifier.Prefix{}
	}
	for _, name := range names {
		if _, ok := field.ByName(name); !ok {
			log.Warn("bridge %s: 'prefixes' with unknown field: %s", bridge, name)
			continue
		}
		p := classifier.PrefixByName(name)
		switch {
		case p == classifier.PrefixNone:
			log.Warn("bridge %s: 'prefixes' with incompatible field: %s", bridge, name)
		case len(out) >= maxPrefixes:
			log.Warn("bridge %s: 'prefixes' with too many fields, field not used: %s", bridge, name)
		default:
			out = append(out, p)
		}
	}
	return out
}
