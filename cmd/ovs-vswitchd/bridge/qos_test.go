package bridge

import (
	"math"
	"testing"

	"golang.org/x/sys/unix"

	"sluice/netdev"
	"sluice/schema/vswitch"
)

func TestPolicingOfRow(t *testing.T) {
	for _, s := range []struct {
		row  vswitch.Interface
		want netdev.Policing
	}{
		{vswitch.Interface{}, netdev.Policing{}},
		{vswitch.Interface{IngressPolicingRate: 1, IngressPolicingBurst: 2, IngressPolicingKpktsRate: 3, IngressPolicingKpktsBurst: 4},
			netdev.Policing{KbitRate: 1, KbitBurst: 2, KpktRate: 3, KpktBurst: 4}},
		{vswitch.Interface{IngressPolicingRate: 1 << 40, IngressPolicingBurst: -1}, netdev.Policing{KbitRate: math.MaxUint32}},
	} {
		if got := policing(&s.row); got != s.want {
			t.Errorf("%+v, want %+v", got, s.want)
		}
	}
}

// shaped is a device with one queue more than it has statistics of.
type shaping = netdev.QoS

type shaped struct{ shaping }

func (shaped) Queue(id uint32) ([]netdev.Detail, error) {
	return []netdev.Detail{{Key: "burst", Value: "12512"}, {Key: "min-rate", Value: "12000"}}, nil
}

func (shaped) QueueStats(id uint32) (netdev.QueueStats, error) {
	if id > 1 {
		return netdev.QueueStats{}, unix.ENOENT
	}
	return netdev.QueueStats{TxPackets: 3, TxBytes: 210, TxErrors: netdev.Unsupported}, nil
}

func TestQueueText(t *testing.T) {
	const details = "  burst: 12512\n  min-rate: 12000\n"
	for id, want := range []string{
		"\nDefault:\n" + details + "  tx_packets: 3\n  tx_bytes: 210\n",
		"\nQueue 1:\n" + details + "  tx_packets: 3\n  tx_bytes: 210\n",
		"\nQueue 2:\n" + details + "  Failed to get statistics for queue 2: No such file or directory",
	} {
		if got := string(appendQueue(nil, shaped{}, uint32(id))); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
