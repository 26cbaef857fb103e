package field

import (
	"strconv"
	"strings"

	"sluice/dpif/flow"
	"sluice/internal/vlog"
)

// PortMap translates between ports and their names.  A nil PortMap knows none.
type PortMap interface {
	// PortName returns the name of an OpenFlow port (32-bit numbering), "" if unknown.
	PortName(port uint32) string
	// PortByName is the inverse; false if unknown.
	PortByName(name string) (uint32, bool)
}

// TableMap translates between table numbers and names.  A nil TableMap knows none.
type TableMap interface {
	TableName(table uint8) string // "" if unknown
	TableByName(name string) (uint8, bool)
}

var (
	portLog  = vlog.New("ofp_port")
	tableLog = vlog.New("ofp_table")
)

var portRL = vlog.NewLimiter(1, 5)

// CheckPort says whether a 32-bit port number from a message is valid, as PortValid
// does, and logs one that is not.
func CheckPort(port uint32) bool {
	if PortValid(port) {
		return true
	}
	portLog.WarnRL(portRL, "port %d is outside the supported range 0 through %d or 0x%x through 0x%x",
		port, flow.OFPMax&0xffff-1, uint32(flow.OFPMax), uint32(0xffffffff))
	return false
}

var reserved = [...]struct {
	name string
	port uint32
}{
	{"IN_PORT", flow.OFPInPort},
	{"TABLE", flow.OFPTable},
	{"NORMAL", flow.OFPNormal},
	{"FLOOD", flow.OFPFlood},
	{"ALL", flow.OFPAll},
	{"CONTROLLER", flow.OFPController},
	{"LOCAL", flow.OFPLocal},
	{"ANY", flow.OFPNone},
	{"UNSET", flow.OFPUnset},
	{"NONE", flow.OFPNone},
}

// AppendPort appends the text of a port: the name of a reserved one, else the name
// that ports knows, else the number.
func AppendPort(b []byte, port uint32, ports PortMap) []byte {
	if port >= flow.OFPUnset {
		for i := range reserved {
			if reserved[i].port == port {
				return append(b, reserved[i].name...)
			}
		}
	}
	if ports != nil {
		if name := ports.PortName(port); name != "" {
			return AppendName(b, name)
		}
	}
	if port >= flow.OFPMax {
		port &= 0xffff
	}
	return strconv.AppendUint(b, uint64(port), 10)
}

// AppendName appends a port or table name, quoted unless it is alphanumeric and
// begins with a letter.
func AppendName(b []byte, name string) []byte {
	if !needsQuotes(name) {
		return append(b, name...)
	}
	return appendJSONString(b, name)
}

func needsQuotes(name string) bool {
	for i := range len(name) {
		c := name[i] | 0x20
		if !(c >= 'a' && c <= 'z') && !(i > 0 && name[i] >= '0' && name[i] <= '9') {
			return true
		}
	}
	return name == ""
}

func appendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c == '\b':
			b = append(b, `\b`...)
		case c == '\f':
			b = append(b, `\f`...)
		case c == '\n':
			b = append(b, `\n`...)
		case c == '\r':
			b = append(b, `\r`...)
		case c == '\t':
			b = append(b, `\t`...)
		case c < ' ':
			b = append(b, `\u00`...)
			b = append(b, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// unquote undoes appendJSONString for text in quotes; other text is itself.
func unquote(s string) (string, bool) {
	if !strings.HasPrefix(s, `"`) {
		return s, true
	}
	if len(s) < 2 || s[len(s)-1] != '"' {
		return "", false
	}
	u, err := strconv.Unquote(s)
	return u, err == nil
}

// parseUint reads a decimal number as C's strtoul does for the whole of s.
func parseUint(s string) (uint32, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "+"), 10, 32)
	return uint32(n), err == nil
}

// ParsePort reads a port: a number of OpenFlow 1.0 or later, the name of a reserved
// port in any case, or a name that ports knows, quoted or not.
func ParsePort(s string, ports PortMap) (uint32, bool) {
	if strings.HasPrefix(s, "-") {
		portLog.Warn("Negative value %s is not a valid port number.", s)
		return 0, false
	}
	if n, ok := parseUint(s); ok {
		return portFromNumber(n)
	}
	for i := range reserved {
		if strings.EqualFold(s, reserved[i].name) {
			return reserved[i].port, true
		}
	}
	name, ok := unquote(s)
	if !ok || ports == nil {
		return 0, false
	}
	return ports.PortByName(name)
}

func portFromNumber(n uint32) (uint32, bool) {
	switch {
	case n < flow.OFPMax&0xffff || n >= flow.OFPMax:
		return n, true
	case n < flow.OFPUnset&0xffff:
		portLog.Warn("port %d is a reserved OF1.0 port number that will be translated to %d when talking to "+
			"an OF1.1 or later controller", n, n|0xffff0000)
		return n | 0xffff0000, true
	case n <= 0xffff:
		portLog.Warn("referring to port %s as %d is deprecated for compatibility with OpenFlow 1.1 and later",
			AppendPort(nil, n|0xffff0000, nil), n)
		return n | 0xffff0000, true
	}
	portLog.Warn("port %d is outside the supported range 0 through ffff or 0x%x through 0xffffffff", n, uint32(flow.OFPMax))
	return 0, false
}

// AppendTable appends the text of a table: its name or number.
func AppendTable(b []byte, table uint8, tables TableMap) []byte {
	if tables != nil {
		if name := tables.TableName(table); name != "" {
			return AppendName(b, name)
		}
	}
	return strconv.AppendUint(b, uint64(table), 10)
}

// ParseTable reads a table: a number up to 255 or a name that tables knows.
func ParseTable(s string, tables TableMap) (uint8, bool) {
	if strings.HasPrefix(s, "-") {
		tableLog.Warn("Negative value %s is not a valid table number.", s)
		return 0, false
	}
	if n, ok := parseUint(s); ok {
		if n > 255 {
			tableLog.Warn("table %d is outside the supported range 0 through 255", n)
			return 0, false
		}
		return uint8(n), true
	}
	name, ok := unquote(s)
	if !ok || tables == nil {
		return 0, false
	}
	return tables.TableByName(name)
}
