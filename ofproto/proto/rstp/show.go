package rstp

import (
	"fmt"

	"sluice/ofproto/proto/bpdu"
)

// AppendShow appends what rstp/show prints of the bridge.
func (b *Bridge) AppendShow(out []byte) []byte {
	out = fmt.Appendf(out, "---- %s ----\nRoot ID:\n", b.name)
	if r := b.rootPort; r == nil {
		out = appendID(out, b.id, b.ownTimes())
		out = append(out, "  This bridge is the root\n"...)
	} else {
		out = appendID(out, b.rootPriority.root, r.designatedTimes)
		out = fmt.Appendf(out, "  root-port       %s\n  root-path-cost  %d\n", r.Name, b.rootPriority.cost)
	}
	out = append(out, "\nBridge ID:\n"...)
	out = appendID(out, b.id, b.ownTimes())
	out = fmt.Appendf(out, "\n  %-11.10s%-11.10s%-11.10s%-9.8s%-8.7s\n", "Interface", "Role", "State", "Cost", "Pri.Nbr")
	out = append(out, "  ---------- ---------- ---------- -------- -------\n"...)
	for _, p := range b.ports {
		out = fmt.Appendf(out, "  %-11.10s%-11.10s%-11.10s%-9d%d.%d\n", p.Name, p.role, p.state, p.cfg.PathCost, p.cfg.Priority, p.number)
	}
	return append(out, '\n')
}

func appendID(out []byte, id bpdu.ID, t times) []byte {
	m := id.MAC()
	out = fmt.Appendf(out, "  stp-priority    %d\n", id.Priority())
	out = fmt.Appendf(out, "  stp-system-id   %02x:%02x:%02x:%02x:%02x:%02x\n", m[0], m[1], m[2], m[3], m[4], m[5])
	return fmt.Appendf(out, "  stp-hello-time  %ds\n  stp-max-age     %ds\n  stp-fwd-delay   %ds\n", t.helloTime, t.maxAge, t.forwardDelay)
}
