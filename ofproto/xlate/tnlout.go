package xlate

// nativeTunnel encapsulates the packet and sends it on its way to the tunnel's other end.
func (ctx *context) nativeTunnel(p *Port, last, trunc bool) {
	// Translation does not know the routes of the host yet.
	ctx.report(NodeWarn, "native tunnel routing failed")
}
