package upcall

import (
	"fmt"

	"sluice/dpif"
)

// AppendShow appends what upcall/show prints about u.
func (u *Udpif) AppendShow(b []byte) []byte {
	b = fmt.Appendf(b, "%s@%s:\n", u.dp.Type(), u.dp.Name())
	b = fmt.Appendf(b, "  flows         : (current %d) (avg %d) (max %d) (limit %d)\n",
		u.dp.FlowCount(), u.rv.avgFlows, u.rv.maxFlows, u.flowLimit.Load())
	if o, ok := u.dp.(dpif.Offloader); ok {
		if threads, on := o.OffloadStats(); on {
			n := uint64(0)
			for i := range threads {
				n += threads[i].Inserted
			}
			b = fmt.Appendf(b, "  offloaded flows : %d\n", n)
		}
	}
	b = fmt.Appendf(b, "  dump duration : %dms\n", u.rv.duration)
	b = append(b, "  ufid enabled : true\n\n"...)
	return fmt.Appendf(b, "  %d: (keys %d)\n", 0, u.ukeys.len())
}
