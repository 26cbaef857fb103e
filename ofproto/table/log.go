package table

import "sluice/internal/vlog"

var (
	log     = vlog.New("ofproto")
	rl      = vlog.NewLimiter(1, 5)
	rlMeter = vlog.NewLimiter(1, 5)
	rlLearn = vlog.NewLimiter(1, 5)
)
