package ofp

// Capabilities of a switch, version-neutral.
type Capabilities uint32

// The capabilities.
const (
	CapFlowStats      Capabilities = 1 << 0
	CapTableStats     Capabilities = 1 << 1
	CapPortStats      Capabilities = 1 << 2
	CapSTP            Capabilities = 1 << 3 // OpenFlow 1.0 only
	CapGroupStats     Capabilities = 1 << 4 // OpenFlow 1.1+
	CapIPReasm        Capabilities = 1 << 5
	CapQueueStats     Capabilities = 1 << 6
	CapARPMatchIP     Capabilities = 1 << 7  // OpenFlow 1.0 and 1.1
	CapPortBlocked    Capabilities = 1 << 8  // OpenFlow 1.2+
	CapBundles        Capabilities = 1 << 9  // OpenFlow 1.4+
	CapFlowMonitoring Capabilities = 1 << 10 // OpenFlow 1.4+
)

// FeaturesReply describes a switch.
type FeaturesReply struct {
	DatapathID   uint64
	NBuffers     uint32       // packets that the switch can buffer
	NTables      uint8        // flow tables
	AuxiliaryID  uint8        // 0: the main connection
	Capabilities Capabilities // what it can do
	Actions      ActionSet    // OpenFlow 1.0: actions it supports
	Ports        []Port       // OpenFlow 1.0 to 1.2; see Fits
}

// FragHandling says what a switch does with IP fragments.
type FragHandling uint16

// The ways to handle fragments.
const (
	FragNormal  FragHandling = 0 // ports of fragments are zero
	FragDrop    FragHandling = 1
	FragReasm   FragHandling = 2
	FragNXMatch FragHandling = 3 // fragments may be matched
)

// SwitchConfig is the reply to a config request, or sets the config.
type SwitchConfig struct {
	Kind Type // TypeGetConfigReply or TypeSetConfig
	Frag FragHandling
	// InvalidTTL: 1 sends packets whose TTL runs out to the controller, 0 does
	// not, -1 leaves it as it is (OpenFlow 1.1 and 1.2 only can set it).
	InvalidTTL  int
	MissSendLen uint16 // bytes of a packet that go to the controller by default
}

// Desc is the reply to a request for the switch's description.
type Desc struct {
	MfrDesc, HwDesc, SwDesc, SerialNum, DpDesc string
}

// Type implements Msg.
func (*FeaturesReply) Type() Type { return TypeFeaturesReply }

// Type implements Msg.
func (m *SwitchConfig) Type() Type { return m.Kind }

// Type implements Msg.
func (*Desc) Type() Type { return TypeDescStatsReply }
