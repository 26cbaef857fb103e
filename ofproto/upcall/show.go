package upcall

import "fmt"

// AppendShow appends what upcall/show prints about u.
func (u *Udpif) AppendShow(b []byte) []byte {
	b = fmt.Appendf(b, "%s@%s:\n", u.dp.Type(), u.dp.Name())
	b = fmt.Appendf(b, "  flows         : (current %d) (avg %d) (max %d) (limit %d)\n",
		u.dp.FlowCount(), u.rv.avgFlows, u.rv.maxFlows, u.flowLimit.Load())
	b = fmt.Appendf(b, "  dump duration : %dms\n", u.rv.duration)
	b = append(b, "  ufid enabled : true\n\n"...)
	return fmt.Appendf(b, "  %d: (keys %d)\n", 0, u.ukeys.len())
}
