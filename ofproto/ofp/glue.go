package ofp

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp/match"
)

// matchOptions are the options for matches of the message.
func (d *decoder) matchOptions() match.Options { return match.Options{Tun: d.c.Tun} }

// pullMatch takes a match with its header off b.
func (d *decoder) pullMatch(m *match.Match, b []byte) (rest []byte, err error) {
	n, err := m.Pull(b, d.matchOptions())
	if err != nil {
		return nil, err
	}
	return b[n:], nil
}

// pullNXM takes a Nicira match of n bytes and its padding off b.
func (d *decoder) pullNXM(m *match.Match, b []byte, n int, cookie *match.Cookie) (rest []byte, err error) {
	n, err = m.PullNXM(b, n, d.matchOptions(), cookie)
	if err != nil {
		return nil, err
	}
	return b[n:], nil
}

// match writes a match in the version's layout.
func (e *encoder) match(m *match.Match) { e.b = m.Append(e.b, e.v) }

// oxm writes a match as OXM, whatever the version, and tells its unpadded length.
func (e *encoder) oxm(m *match.Match) (n int) {
	start := len(e.b)
	e.b = m.AppendOXM(e.b, e.v)
	return int(be16(e.b[start+2:]))
}

// nxm writes a Nicira match and tells its unpadded length.
func (e *encoder) nxm(m *match.Match, cookie match.Cookie) (n int) {
	e.b, n = m.AppendNXM(e.b, cookie)
	return n
}

// match prints a match, and the priority unless it is the default.
func (p *printer) match(m *match.Match, priority uint16) {
	p.b = m.AppendText(p.b, p.ports(), int(priority))
}

// ctInconsistent reports whether m matches the original tuple of a connection
// without the Ethernet type that gives the addresses a meaning.
func ctInconsistent(m *match.Match) bool {
	k := &m.Mask
	return (k.CTNwSrc != 0 || k.CTNwDst != 0) && m.Flow.DLType != flow.EthIPv4 ||
		(k.CTIPv6Src != flow.IPv6{} || k.CTIPv6Dst != flow.IPv6{}) && m.Flow.DLType != flow.EthIPv6
}
