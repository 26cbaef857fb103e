// Package table holds what OpenFlow controllers put into a switch: flow tables and
// their rules, groups and meters, and the transactions that change them.
//
// One Set belongs to one bridge.  ofproto's message handlers change it (flow_mod,
// group_mod, meter_mod, bundles, expiry), translation reads it and, for learn and
// fin_timeout actions, changes it too.  The package knows the structs of ofp and
// matches and actions, but no connections, ports or datapaths: what others must be
// told of comes out as Events.
//
// # Versions
//
// Set.Version is the version that lookups should use.  A transaction prepares
// everything for the next version, checking as it goes, and then either publishes
// that version with one store or takes all its changes back.
//
// # Thread-safety
//
// Set.Mu is the writer's lock: transactions, expiry and dumps hold it.  Readers on
// any thread call Version, Table, Lookup, Group and the counters without it, between
// Reader.Enter and Reader.Exit, which keep removed rules findable for them.
package table
