// Package connmgr is a switch's side of OpenFlow connections: it connects to
// controllers and lets them connect, negotiates versions, probes idle peers, and
// keeps what OpenFlow ties to a connection: protocol, role, asynchronous message
// masks, flow monitors, bundles, and limited queues of packet-ins.
//
// ofproto has one Manager a bridge, runs it on the control loop and gives it a
// handler for the messages that arrive; it sends replies and asynchronous messages
// through it.  What messages mean to the switch is not decided here.
//
// Layers, from the bottom: vconn frames messages and says hello; Rconn keeps a
// connection up, or gives one that was accepted up when it ends; Conn is an OpenFlow
// connection; Manager has them all.
//
// Thread-safety: a Manager belongs to the control loop.
package connmgr

import (
	"errors"

	"sluice/internal/coverage"
	"sluice/internal/vlog"
	"sluice/ovsdb/stream"
)

var (
	log        = vlog.New("connmgr")
	logVconn   = vlog.New("vconn")
	logRconn   = vlog.New("rconn")
	logPstream = vlog.New("vconn_stream")

	rlAccept = vlog.NewLimiter(1, 5)
	rlErr    = vlog.NewLimiter(10, 10)
	rlPin    = vlog.NewLimiter(5, 5)
	rlBadMsg = vlog.NewLimiter(1, 5)
	rlMsg    = vlog.NewLimiter(600, 600)
	rlSend   = vlog.NewLimiter(10, 25)

	cVconnOpen      = coverage.New("vconn_open")
	cVconnReceived  = coverage.New("vconn_received")
	cVconnSent      = coverage.New("vconn_sent")
	cRconnQueued    = coverage.New("rconn_queued")
	cRconnSent      = coverage.New("rconn_sent")
	cRconnDiscarded = coverage.New("rconn_discarded")
	cRconnOverflow  = coverage.New("rconn_overflow")
	cMonitorPause   = coverage.New("ofmonitor_pause")
	cMonitorResume  = coverage.New("ofmonitor_resume")
)

func isAgain(err error) bool { return errors.Is(err, stream.ErrAgain) }

// DefaultPort is the OpenFlow port of TCP and TLS.
const DefaultPort = 6653
