package server

import (
	"fmt"

	"sluice/ovsdb/data"
	"sluice/ovsdb/storage"
	"sluice/ovsdb/unixctl"
)

// registerCluster adds the commands for clustered databases, once there is
// one. The cluster has one member, so some of them have nothing to do.
func (s *Server) registerCluster() {
	if s.ctl == nil || s.clusterCommands {
		return
	}
	for _, d := range s.dbs {
		if d.model == clustered {
			s.clusterCommands = true
		}
	}
	if !s.clusterCommands {
		return
	}
	reg := func(name, usage string, lo, hi int, fn func(*unixctl.Request, *database, *storage.Cluster)) {
		s.ctl.Register(name, usage, lo, hi, func(r *unixctl.Request) {
			d := s.dbs[r.Args[0]]
			if d == nil || d.model != clustered {
				r.ReplyError("unknown cluster")
				return
			}
			fn(r, d, d.w.Cluster())
		})
	}
	reg("cluster/cid", "DB", 1, 1, func(r *unixctl.Request, _ *database, c *storage.Cluster) { r.Reply(c.ClusterID.String()) })
	reg("cluster/sid", "DB", 1, 1, func(r *unixctl.Request, _ *database, c *storage.Cluster) { r.Reply(c.ServerID.String()) })
	reg("cluster/status", "DB", 1, 1, s.cmdClusterStatus)
	reg("cluster/leave", "DB", 1, 1, func(r *unixctl.Request, _ *database, _ *storage.Cluster) {
		r.ReplyError("the only member cannot leave its cluster")
	})
	reg("cluster/kick", "DB SERVER", 2, 2, func(r *unixctl.Request, _ *database, _ *storage.Cluster) {
		r.ReplyError("the only member cannot be kicked from its cluster")
	})
	reg("cluster/change-election-timer", "DB TIME", 2, 2, func(r *unixctl.Request, _ *database, _ *storage.Cluster) {
		r.ReplyError("the cluster has one member and holds no elections")
	})
	reg("cluster/set-backlog-threshold", "DB N_MSGS N_BYTES", 3, 3, func(r *unixctl.Request, _ *database, _ *storage.Cluster) { r.Reply("") })
}

// short is the beginning of a UUID, as people are shown servers and clusters.
func short(u data.UUID) string { return u.String()[:4] }

func (s *Server) cmdClusterStatus(r *unixctl.Request, d *database, c *storage.Cluster) {
	ms := s.now - d.opened
	r.Reply(fmt.Sprintf("%s\nName: %s\nCluster ID: %s (%s)\nServer ID: %s (%s)\nAddress: %s\n"+
		"Status: cluster member\nRole: leader\nTerm: %d\nLeader: self\nVote: self\n\n"+
		"Last Election started %d ms ago, reason: timeout\nLast Election won: %d ms ago\n"+
		"Election timer: %d\nLog: [%d, %d]\nEntries not yet committed: 0\nEntries not yet applied: 0\n"+
		"Connections:\nDisconnections: 0\nServers:\n    %s (%s at %s) (self) next_index=%d match_index=%d\n",
		short(c.ServerID), c.Name, short(c.ClusterID), c.ClusterID, short(c.ServerID), c.ServerID, c.Address,
		c.Term, ms, ms, c.ElectionTimer, c.First, c.Index+1,
		short(c.ServerID), short(c.ServerID), c.Address, c.First, c.Index))
}
