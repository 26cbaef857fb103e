// Package vswitch is the Open_vSwitch database as the switch sees it: the
// schema and typed rows over ovsdb/client.
//
//	db := vswitch.Open(remotes, "ovs_vswitchd", stream.Options{}, now)
//	…
//	db.Run(now)
//	for _, br := range db.BridgeRows() {
//		for _, u := range br.Ports {
//			port := db.Port(u)      // nil if the replica does not have it
//		…
//	t := db.Begin()
//	iface.SetOfport(t, &n)
//	iface.SetStatus(t, map[string]string{"driver_name": "veth"})
//	t.Increment(vswitch.TableOpenVSwitch, cfg.UUID, "cur_cfg", false)
//	status := t.Commit()
//
// A typed row is one immutable version: when the row changes, the accessor
// returns another pointer, so a caller sees by comparing pointers what it has
// to look at again. Optional columns are pointers, nil for none; sets are
// sorted slices; maps are Go maps, whose order a caller must not let show.
//
// cmd/ovs-vswitchd/bridge reconciles these rows with the switch; no other
// package sees them. rows.go is generated; run "go generate" after a change of
// the schema.
package vswitch

//go:generate go run sluice/schema/gen vswitch vswitch.ovsschema rows.go

import (
	_ "embed"
	"sync"

	"sluice/ovsdb/client"
	"sluice/ovsdb/data"
	"sluice/ovsdb/stream"
)

//go:embed vswitch.ovsschema
var schemaText string

// SchemaText returns the schema as a file has it, for those who create a
// database.
func SchemaText() string { return schemaText }

// Schema returns the parsed schema.
var Schema = sync.OnceValue(func() *data.Schema {
	s, err := data.ParseSchemaText(schemaText)
	if err != nil {
		panic("vswitch: " + err.Error())
	}
	return s
})

// DB is the switch's replica.
type DB struct{ *client.Client }

// Open makes the switch's replica of the tables that it reads or writes.
func Open(remotes []string, lock string, o stream.Options, now int64) *DB {
	return &DB{client.New(client.Config{Schema: Schema(), Tables: Tables(), Remotes: remotes, Lock: lock, Stream: o}, now)}
}

// Root returns the only row of table Open_vSwitch, or nil if there is none.
func (db *DB) Root() *OpenVSwitch {
	if rows := db.OpenVSwitchRows(); len(rows) > 0 {
		return rows[0]
	}
	return nil
}

func typed[T any](t *client.Table, decode func(*client.Row) *T) []*T {
	rows := t.Rows()
	out := make([]*T, len(rows))
	for i, r := range rows {
		out[i] = client.Typed(r, decode)
	}
	return out
}

// hidden are columns that the switch neither reads nor writes.
var hidden = map[string][]string{
	"Open_vSwitch":              {"external_ids", "ovs_version", "db_version", "system_type", "system_version"},
	"Bridge":                    {"external_ids"},
	"Port":                      {"external_ids"},
	"Interface":                 {"external_ids"},
	"Controller":                {"external_ids"},
	"QoS":                       {"external_ids"},
	"Queue":                     {"external_ids"},
	"Mirror":                    {"external_ids"},
	"NetFlow":                   {"external_ids"},
	"sFlow":                     {"external_ids"},
	"IPFIX":                     {"external_ids"},
	"Flow_Sample_Collector_Set": {"external_ids"},
	"Manager":                   {"external_ids", "inactivity_probe", "is_connected", "max_backoff", "status"},
	"Flow_Table":                {"external_ids"},
	"Datapath":                  {"external_ids"},
	"CT_Zone":                   {"external_ids"},
	"CT_Timeout_Policy":         {"external_ids"},
	"SSL":                       {"external_ids"},
}

// quiet are columns that only the switch writes: their changes are its own,
// and need no new look at the configuration.
var quiet = map[string][]string{
	"Open_vSwitch": {"cur_cfg", "statistics", "datapath_types", "iface_types", "dpdk_version", "dpdk_initialized"},
	"Bridge":       {"datapath_id", "datapath_version", "status", "rstp_status"},
	"Port":         {"status", "rstp_status", "rstp_statistics", "statistics", "bond_active_slave"},
	"Interface": {"admin_state", "duplex", "link_speed", "link_state", "link_resets", "mac_in_use", "ifindex",
		"mtu", "ofport", "statistics", "status", "cfm_fault", "cfm_fault_status", "cfm_remote_mpids",
		"cfm_flap_count", "cfm_health", "cfm_remote_opstate", "bfd_status", "lacp_current", "error"},
	"Controller": {"is_connected", "role", "status"},
	"Mirror":     {"statistics"},
	"Datapath":   {"capabilities", "datapath_version"},
}

// Tables returns what the switch replicates: everything but what it has no
// use for.
func Tables() []client.Monitor {
	var list []client.Monitor
	for _, t := range Schema().Tables {
		m := client.Monitor{Table: t.Name, NoAlert: quiet[t.Name]}
		for _, c := range t.Columns[data.NumStd:] {
			if !contains(hidden[t.Name], c.Name) {
				m.Columns = append(m.Columns, c.Name)
			}
		}
		list = append(list, m)
	}
	return list
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}
