package ofp

// Meter numbers with a meaning of their own.
const (
	MeterMax        = 0xffff0000
	MeterSlowpath   = 0xfffffffd
	MeterController = 0xfffffffe
	MeterAll        = 0xffffffff
)

// Commands of a MeterMod.
const (
	MeterAdd    = 0
	MeterModify = 1
	MeterDelete = 2
)

// MeterFlags say how a meter measures.
type MeterFlags uint16

// The meter flags.
const (
	MeterKbps  MeterFlags = 1 << 0
	MeterPktps MeterFlags = 1 << 1
	MeterBurst MeterFlags = 1 << 2 // bands have a burst size
	MeterStats MeterFlags = 1 << 3
)

// Types of meter band.
const (
	BandDrop       = 1
	BandDSCPRemark = 2
)

// MeterBand is one rate of a meter and what happens above it.
type MeterBand struct {
	BandType  uint16
	PrecLevel uint8 // BandDSCPRemark: how much the drop precedence rises
	Rate      uint32
	BurstSize uint32
}

// MeterConfig is a meter.
type MeterConfig struct {
	MeterID uint32
	Flags   MeterFlags
	Bands   []MeterBand
}

// MeterMod adds, changes or deletes a meter.
type MeterMod struct {
	Command uint16
	MeterConfig
}

// MeterRequest asks for the configuration or the statistics of one meter or all.
type MeterRequest struct {
	Kind    Type // TypeMeterStatsRequest or TypeMeterConfigStatsRequest
	MeterID uint32
}

// MeterConfigReply has the configuration of meters.
type MeterConfigReply struct {
	More   bool
	Meters []MeterConfig
}

// MeterBandStats count what exceeded a band.
type MeterBandStats struct{ PacketCount, ByteCount uint64 }

// MeterStat are the statistics of a meter.
type MeterStat struct {
	MeterID       uint32
	FlowCount     uint32
	PacketInCount uint64
	ByteInCount   uint64
	DurationSec   uint32
	DurationNsec  uint32
	Bands         []MeterBandStats
}

// MeterStatsReply has the statistics of meters.
type MeterStatsReply struct {
	More   bool
	Meters []MeterStat
}

// MeterFeatures are the limits of a switch's meters.
type MeterFeatures struct {
	MaxMeters    uint32
	BandTypes    uint32 // bit N: band type N
	Capabilities uint32 // MeterFlags
	MaxBands     uint8
	MaxColor     uint8
}

// Type implements Msg.
func (*MeterMod) Type() Type { return TypeMeterMod }

// Type implements Msg.
func (m *MeterRequest) Type() Type { return m.Kind }

// Type implements Msg.
func (*MeterConfigReply) Type() Type { return TypeMeterConfigStatsReply }

// Type implements Msg.
func (*MeterStatsReply) Type() Type { return TypeMeterStatsReply }

// Type implements Msg.
func (*MeterFeatures) Type() Type { return TypeMeterFeaturesStatsReply }
