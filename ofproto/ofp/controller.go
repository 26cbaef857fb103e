package ofp

// Role of a controller.
type Role uint32

// The roles.
const (
	RoleNoChange  Role = 0 // only asks
	RoleEqual     Role = 1
	RolePrimary   Role = 2
	RoleSecondary Role = 3
)

// RoleMsg asks for a role, or answers with it.
type RoleMsg struct {
	Kind            Type // TypeRoleRequest or TypeRoleReply
	Role            Role
	HasGenerationID bool // false for the Nicira messages and in replies without one
	GenerationID    uint64
	NX              bool // the Nicira message (always in OpenFlow 1.0 and 1.1)
}

// Reasons of a RoleStatus.
const (
	RoleReasonPrimaryRequest = 0 // another controller became primary
	RoleReasonConfig         = 1
	RoleReasonExperimenter   = 2
)

// RoleStatus tells a controller that its role changed.
type RoleStatus struct {
	Role         Role
	Reason       uint8
	GenerationID uint64
}

// AsyncType is a kind of asynchronous message.
type AsyncType uint8

// The kinds of asynchronous message, indices of AsyncConfig.
const (
	AsyncPacketIn AsyncType = iota
	AsyncPortStatus
	AsyncFlowRemoved
	AsyncRoleStatus
	AsyncTableStatus
	AsyncRequestForward
	NAsyncTypes
)

// AsyncConfig says which asynchronous messages a controller wants: per kind a
// bitmap of reasons.
type AsyncConfig struct {
	Primary   [NAsyncTypes]uint32 // while its role is primary or equal
	Secondary [NAsyncTypes]uint32 // while its role is secondary
}

// AsyncMsg sets, or reports, an AsyncConfig.
type AsyncMsg struct {
	Kind   Type // TypeSetAsyncConfig or TypeGetAsyncReply
	Config AsyncConfig
	// SetPrimary and SetSecondary say which kinds the message mentions; the
	// others stay as they are (bit N: AsyncType N).
	SetPrimary, SetSecondary uint8
	Raw                      Raw // RawInvalid: the usual layout of the version
}

// SetControllerID gives the connection an id for controller(id=…) actions.
type SetControllerID struct{ ID uint16 }

// PacketInFormat is how packet-ins are encoded for a connection.
type PacketInFormat uint32

// The packet-in formats.
const (
	PacketInStd  PacketInFormat = 0 // OFPT_PACKET_IN of the version
	PacketInNXT  PacketInFormat = 1 // NXT_PACKET_IN
	PacketInNXT2 PacketInFormat = 2 // NXT_PACKET_IN2
)

// SetPacketInFormat chooses the packet-in format of the connection.
type SetPacketInFormat struct{ Format PacketInFormat }

// SetFlowFormat chooses the flow format of an OpenFlow 1.0 connection.
type SetFlowFormat struct {
	Format uint32 // FlowFormatOF10 or FlowFormatNXM
}

// The flow formats of NXT_SET_FLOW_FORMAT.
const (
	FlowFormatOF10 = 0
	FlowFormatNXM  = 2
)

// FlowModTableID turns table ids in flow_mods of OpenFlow 1.0 on or off.
type FlowModTableID struct{ On bool }

// Type implements Msg.
func (m *RoleMsg) Type() Type { return m.Kind }

// Type implements Msg.
func (*RoleStatus) Type() Type { return TypeRoleStatus }

// Type implements Msg.
func (m *AsyncMsg) Type() Type { return m.Kind }

// Type implements Msg.
func (*SetControllerID) Type() Type { return TypeSetControllerId }

// Type implements Msg.
func (*SetPacketInFormat) Type() Type { return TypeSetPacketInFormat }

// Type implements Msg.
func (*SetFlowFormat) Type() Type { return TypeSetFlowFormat }

// Type implements Msg.
func (*FlowModTableID) Type() Type { return TypeFlowModTableId }
