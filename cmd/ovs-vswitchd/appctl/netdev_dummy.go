package appctl

import (
	"encoding/hex"
	"errors"
	"strconv"
	"strings"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
	"sluice/dpif/userspace"
	"sluice/netdev/dummy"
	"sluice/ovsdb/unixctl"
)

var dummyCommands = []command{
	{"netdev-dummy/receive", "name [--qid queue_id] packet|flow [--len packet_len]", 2, unixctl.AnyArgs, dummyReceive},
	{"dpif-dummy/change-port-number", "dp port new-number", 3, 3, changePortNumber},
	{"netdev-dummy/set-admin-state", "[netdev] up|down", 1, 2, func(_ *Env, r *unixctl.Request) {
		name, arg := optionalName(r.Args)
		if err := dummy.SetAdminState(name, arg); err != nil {
			r.ReplyError(err.Error())
			return
		}
		r.Reply("OK")
	}},
	{"netdev-dummy/conn-state", "[netdev]", 0, 1, func(_ *Env, r *unixctl.Request) {
		name := ""
		if len(r.Args) > 0 {
			name = r.Args[0]
		}
		r.Reply(dummy.ConnState(name))
	}},
	{"netdev-dummy/ip4addr", "[netdev] ipaddr/mask-prefix-len", 2, 2, func(_ *Env, r *unixctl.Request) {
		reply(r, "OK", dummy.SetIP4(r.Args[0], r.Args[1]))
	}},
	{"netdev-dummy/ip6addr", "[netdev] ip6addr", 2, 2, func(_ *Env, r *unixctl.Request) {
		reply(r, "OK", dummy.SetIP6(r.Args[0], r.Args[1]))
	}},
}

// changePortNumber is dpif-dummy/change-port-number: DP PORT NUMBER.
func changePortNumber(env *Env, r *unixctl.Request) {
	for _, dp := range env.Bridges.Datapaths() {
		u, ok := dp.Dpif.(*userspace.Dpif)
		if !ok || dp.Dpif.Name() != r.Args[0] {
			continue
		}
		no, err := strconv.ParseUint(r.Args[2], 10, 16)
		if err != nil || no == 0 {
			r.ReplyError("bad port number")
			return
		}
		err = u.ChangePortNumber(r.Args[1], uint32(no))
		env.Bridges.Renumbered(dp.Dpif, r.Args[1])
		reply(r, "", err)
		return
	}
	r.ReplyError("unknown datapath or not a dummy")
}

func optionalName(args []string) (name, arg string) {
	if len(args) == 2 {
		return args[0], args[1]
	}
	return "", args[0]
}

// dummyReceive queues packets on a dummy device: each argument is a packet in
// hexadecimal, or a datapath flow to make one from, with its length behind --len.
func dummyReceive(_ *Env, r *unixctl.Request) {
	args := r.Args[1:]
	qid := 0
	if len(args) >= 2 && args[0] == "--qid" {
		n, err := strconv.Atoi(args[1])
		if err != nil {
			n = 0
		}
		qid, args = n, args[2:]
	}
	dev, err := dummy.CheckQueue(r.Args[0], qid)
	if err != nil {
		r.ReplyError(err.Error())
		return
	}
	for len(args) > 0 {
		data, ok := packetFromHex(args[0])
		rest := args[1:]
		if !ok {
			size := 0
			if len(rest) >= 2 && rest[0] == "--len" {
				size, _ = strconv.Atoi(rest[1])
				if size < minFrame {
					r.ReplyError("too small packet len")
					return
				}
				rest = rest[2:]
			}
			if data, err = packetFromFlow(args[0], size); err != nil {
				r.ReplyError(err.Error())
				return
			}
		}
		dev.Receive(data, qid)
		args = rest
	}
	r.Reply("")
}

// minFrame is the least length of an Ethernet frame without its checksum.
const minFrame = 60

func packetFromHex(s string) ([]byte, bool) {
	b, err := hex.DecodeString(strings.Map(func(c rune) rune {
		if c == ' ' || c == '\t' || c == '\n' || c == '.' || c == ':' {
			return -1
		}
		return c
	}, s))
	return b, err == nil && len(b) >= 14
}

func packetFromFlow(s string, size int) ([]byte, error) {
	key, _, err := odp.ParseKey(s, nil)
	if err != nil {
		return nil, err
	}
	if key.DLType == 0 {
		key.DLType = flow.DLTypeNone
	}
	if size == 0 {
		return flow.Compose(&key, flow.DefaultPayload), nil
	}
	b, ok := flow.Grow(flow.Compose(&key, 0), &key, size)
	if !ok {
		return nil, errors.New("packet of the flow is longer than --len")
	}
	return b, nil
}
