package server

import (
	"sluice/internal/poll"
	"sluice/ovsdb/unixctl"
)

type replication struct{}

func (r *replication) wait(*poll.Set, int64) {}
func (s *Server) runReplication()            {}
func (s *Server) restartReplication()        {}
func (s *Server) replicationCommands(reg func(name, usage string, lo, hi int, fn func(*unixctl.Request)), changed func()) {
}

// CheckExclude checks the argument of --sync-exclude-tables.
func CheckExclude(list string) error { return nil }

// InitReplication tells from where, and without which tables, the databases
// are copied while the server is a backup.
func (s *Server) InitReplication(from, exclude string, backup bool) {}

// Replication tells what InitReplication and commands have set.
func (s *Server) Replication() (from, exclude string, backup bool) { return "", "", false }
