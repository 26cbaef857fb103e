package stp

import (
	"fmt"

	"sluice/ofproto/proto/bpdu"
)

// AppendShow appends what stp/show prints of the bridge.
func (b *Bridge) AppendShow(out []byte) []byte {
	out = fmt.Appendf(out, "---- %s ----\nRoot ID:\n", b.name)
	out = appendID(out, b.root, &b.own)
	if b.rootPort == nil {
		out = append(out, "  This bridge is the root\n"...)
	} else {
		out = fmt.Appendf(out, "  root-port       %s\n  root-path-cost  %d\n", b.rootPort.Name, b.rootCost)
	}
	out = append(out, "\nBridge ID:\n"...)
	out = appendID(out, b.id, &b.used)
	out = fmt.Appendf(out, "\n  %-11.10s%-11.10s%-11.10s%-6.5s%-8.7s\n", "Interface", "Role", "State", "Cost", "Pri.Nbr")
	out = append(out, "  ---------- ---------- ---------- ----- -------\n"...)
	for _, p := range b.enabled() {
		out = fmt.Appendf(out, "  %-11.10s%-11.10s%-11.10s%-6d%d.%d\n", p.Name, p.Role(), p.state, p.pathCost, p.id>>8, p.id&0xff)
	}
	return append(out, '\n')
}

func appendID(out []byte, id bpdu.ID, t *times) []byte {
	m := id.MAC()
	out = fmt.Appendf(out, "  stp-priority  %d\n", id.Priority())
	out = fmt.Appendf(out, "  stp-system-id   %02x:%02x:%02x:%02x:%02x:%02x\n", m[0], m[1], m[2], m[3], m[4], m[5])
	return fmt.Appendf(out, "  stp-hello-time  %ds\n  stp-max-age     %ds\n  stp-fwd-delay   %ds\n", t.hello/1000, t.maxAge/1000, t.forward/1000)
}
