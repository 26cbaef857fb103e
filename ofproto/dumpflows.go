package ofproto

import "fmt"

// DumpAllFlows returns the text of all flows, hidden ones included, as
// bridge/dump-flows prints it.  offload adds the counters of offloaded packets, of
// which there are none that are not counted as others too.
func (sw *Switch) DumpAllFlows(now int64, offload bool) string {
	sw.Tables.Mu.Lock()
	rules := sw.Tables.All()
	sw.Tables.Mu.Unlock()
	var b []byte
	for _, r := range rules {
		if r.TableID != 0 {
			b = fmt.Appendf(b, "table_id=%d, ", r.TableID)
		}
		packets, bytes := r.Stats()
		b = fmt.Appendf(b, "duration=%ds, n_packets=%d, n_bytes=%d, ", (now-r.Created)/1000, packets, bytes)
		if offload {
			b = append(b, "n_offload_packets=0, n_offload_bytes=0, "...)
		}
		m := r.Match()
		m.Tun = sw.tun
		b = m.AppendText(b, nil, r.Priority())
		b = append(b, ",actions="...)
		b = r.Actions.AppendText(b, nil, nil)
		b = append(b, '\n')
	}
	return string(b)
}
