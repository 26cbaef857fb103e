package server

import (
	"sluice/internal/poll"
	"sluice/ovsdb/data"
)

// open opens what a DATABASE argument names.
func (s *Server) open(name string) (*database, *data.Error) { return s.openFile(name) }

type relayClient struct{}

func (r *relayClient) run()               {}
func (r *relayClient) wait(*poll.Set)     {}
func (r *relayClient) close()             {}
func (r *relayClient) connected() bool    { return false }
func (r *relayClient) forward(t *trigger) {}
func (r *relayClient) forget(t *trigger)  {}
