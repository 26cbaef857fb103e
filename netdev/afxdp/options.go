package afxdp

import (
	"strconv"
	"strings"

	"sluice/netdev"
)

// maxQueues is the most receive queues of a device.
const maxQueues = 16

// xdpMode is the value of options:xdp-mode, or what came of it.
type xdpMode int

const (
	modeUnspec xdpMode = iota
	modeBestEffort
	modeZeroCopy
	modeNative
	modeGeneric
)

var modeNames = [...]string{"unspecified", "best-effort", "native-with-zerocopy", "native", "generic"}

func (m xdpMode) String() string { return modeNames[m] }

// config is the options of an afxdp interface.
type config struct {
	nRxq       int
	mode       xdpMode
	needWakeup bool
}

func defaultConfig() config { return config{nRxq: 1, mode: modeBestEffort, needWakeup: true} }

// parseConfig reads the options; those it does not know are ignored, as in stock.
func parseConfig(name string, options map[string]string) (config, error) {
	c := defaultConfig()
	if n, err := strconv.Atoi(strings.TrimSpace(options["n_rxq"])); err == nil {
		c.nRxq = max(n, 1)
	}
	if c.nRxq > maxQueues {
		return c, netdev.NewConfigError("%s: Too big 'n_rxq' (%d > %d).", name, c.nRxq, maxQueues)
	}
	if v, ok := options["xdp-mode"]; ok {
		c.mode = modeUnspec
		for m := modeBestEffort; m <= modeGeneric; m++ {
			if strings.EqualFold(v, m.String()) {
				c.mode = m
			}
		}
		if c.mode == modeUnspec {
			return c, netdev.NewConfigError("%s: Incorrect xdp-mode (%s).", name, v)
		}
	}
	c.needWakeup = !strings.EqualFold(options["use-need-wakeup"], "false")
	return c, nil
}
