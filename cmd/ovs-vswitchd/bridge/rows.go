package bridge

import (
	"strconv"
	"strings"

	"sluice/ovsdb/client"
	"sluice/schema/vswitch"
)

// refs returns the rows of uuids that the replica has.
func refs[T any](uuids []client.UUID, row func(client.UUID) *T) []*T {
	out := make([]*T, 0, len(uuids))
	for _, u := range uuids {
		if r := row(u); r != nil {
			out = append(out, r)
		}
	}
	return out
}

// val is the value of an optional column, or zero.
func val[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

func ptr[T any](v T) *T { return &v }

func choose(first bool, a, b string) *string {
	if first {
		return &a
	}
	return &b
}

// rootConfig is other_config of the root row; root is nil for an empty database.
func rootConfig(root *vswitch.OpenVSwitch) map[string]string {
	if root == nil {
		return nil
	}
	return root.OtherConfig
}

// vlans returns the ids that are valid.
func vlans(ids []int64) []uint16 {
	var out []uint16
	for _, n := range ids {
		if n >= 0 && n <= 4095 {
			out = append(out, uint16(n))
		}
	}
	return out
}

// mapInt returns an integer of a map of strings.
func mapInt(m map[string]string, key string, def int) int {
	n, err := strconv.Atoi(strings.TrimSpace(m[key]))
	if err != nil {
		return def
	}
	return n
}

// mapBool returns a truth value of a map of strings: what is neither "true" nor "false"
// is the default.
func mapBool(m map[string]string, key string, def bool) bool {
	switch strings.ToLower(m[key]) {
	case "true":
		return true
	case "false":
		return false
	}
	return def
}
