// Package bfd is Bidirectional Forwarding Detection (RFC 5880) over IPv4 and UDP on
// one link (RFC 5881): a Session exchanges control packets with the system at the
// other end of a port and says whether the port can be used to forward packets.
//
// ofproto runs one Session per port whose Interface has bfd:enable=true.  The
// package sends nothing and reads no clock: AppendFrame gives the frame to send
// when Next says so, Receive takes the frames that came in.  Demand mode, the echo
// function, authentication and multipoint sessions do not exist.
//
// Beyond the RFC, as the Interface table of ovs-vswitchd.conf.db(5) describes it, a
// session may "decay" (ask for fewer packets while a link is idle) and take other
// traffic that comes in for a sign of life (forwarding_if_rx).
package bfd

import (
	"sluice/internal/vlog"
)

var (
	log   = vlog.New("bfd")
	rlBFD = vlog.NewLimiter(20, 20)
)
