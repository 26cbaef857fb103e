// Package ofproto is the OpenFlow switch: a Switch per bridge with its tables, ports
// and controllers, and a Backer per datapath that runs the translation of packets
// for all bridges on it.
//
// cmd/ovs-vswitchd/bridge makes Switches from the database and gives them plain
// configuration structs; the datapath below is a dpif.  The package reads no
// database, opens no devices and has no goroutine of its own for control state: all
// of it runs on the control loop, through Run and Wait.
package ofproto
