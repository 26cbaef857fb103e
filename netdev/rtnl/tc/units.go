package tc

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"strconv"
	"sync"
)

// options are settings of the database.
type options = map[string]string

// number reads a setting; what is missing or not a number is 0.
func number(o options, key string) uint64 {
	v, err := strconv.ParseUint(o[key], 10, 64)
	if err != nil {
		return 0
	}
	return v
}

// number32 is number in 32 bits.
func number32(o options, key string, missing uint32) uint32 {
	if v := uint32(number(o, key)); v != 0 {
		return v
	}
	return missing
}

// bits shows bytes (a second) as the database has them.
func bits(size uint64) string { return strconv.FormatUint(8*size, 10) }

// clock is the kernel's units of time for packet scheduling (/proc/net/psched).
type clock struct {
	ticks float64 // a second
	hz    uint64  // timer interrupts a second; huge where timers are fine
}

// psched is the clock of this kernel.
var psched = sync.OnceValue(func() clock {
	const path = "/proc/net/psched"
	b, err := os.ReadFile(path)
	if err != nil {
		log.Warn("%s: open failed: %s", path, err)
		return clock{1, 100}
	}
	k, err := parsePsched(string(b))
	if err != nil {
		log.Warn("%s: %s", path, err)
	}
	return k
})

// parsePsched reads four hexadecimal numbers: nanoseconds a µs of the clock and a tick,
// ticks of the clock a second, and the resolution of timers.
func parsePsched(text string) (clock, error) {
	k := clock{1, 100}
	var us, tick, second, hz uint32
	if _, err := fmt.Sscanf(text, "%x %x %x %x", &us, &tick, &second, &hz); err != nil {
		return k, fmt.Errorf("read failed")
	}
	if us == 0 || tick == 0 || second == 0 {
		return k, fmt.Errorf("invalid scheduler parameters")
	}
	k.ticks = float64(us) * float64(second) / float64(tick)
	if second != 1000000 || hz == 0 {
		return k, fmt.Errorf("unexpected psched parameters: %d %d %d %d", us, tick, second, hz)
	}
	k.hz = uint64(hz)
	return k, nil
}

// ofBytes is how many ticks it takes to send size bytes (or packets) at a rate a
// second.
func (k clock) ofBytes(rate, size uint64) uint32 {
	if rate == 0 {
		return 0
	}
	return uint32(uint64(k.ticks) * size / rate)
}

// bytes is how many bytes go out in so many ticks.
func (k clock) bytes(rate uint64, ticks uint32) uint64 {
	return uint64(float64(rate) * float64(ticks) / k.ticks)
}

// ofMicroseconds is a time in ticks.
func (k clock) ofMicroseconds(us uint32) uint32 { return uint32(float64(us) * (k.ticks / 1000000)) }

// buffer is the burst of a class in ticks: at least what goes out between two timer
// interrupts, and a packet.
func (k clock) buffer(rate uint64, mtu int, burst uint64) uint32 {
	return k.ofBytes(rate, max(burst, rate/k.hz+uint64(mtu)))
}

// minFrame is what a packet counts at least: an Ethernet frame without its checksum.
const minFrame = 60

// cellLog is by how many bits lengths of packets are shifted to number the 256 rows
// of a rate table.
func cellLog(mtu int) uint8 {
	if mtu == 0 {
		mtu = 1500
	}
	log := uint8(0)
	for size := mtu + 14 + 4; size >= 256; size >>= 1 {
		log++
	}
	return log
}

// appendRate appends struct tc_ratespec of linux/pkt_sched.h.  Rates above 32 bits
// stand in an attribute of their own.
func appendRate(b []byte, rate uint64, mtu int) []byte {
	b = append(b, cellLog(mtu), 0)
	b = append(b, 0, 0, 0, 0) // overhead, alignment
	b = binary.NativeEndian.AppendUint16(b, minFrame)
	return binary.NativeEndian.AppendUint32(b, uint32(min(rate, math.MaxUint32)))
}

// rateTable is how long packets of the lengths that the rows stand for take to send.
func rateTable(rate uint64, mtu int) []byte {
	b := make([]byte, 0, 1024)
	log := cellLog(mtu)
	for row := range uint64(256) {
		size := max((row+1)<<log, minFrame)
		b = binary.NativeEndian.AppendUint32(b, psched().ofBytes(min(rate, math.MaxUint32), size))
	}
	return b
}
