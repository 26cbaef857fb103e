package ofp

// Msg is a decoded message: one of the structs of this package, by pointer.
type Msg interface {
	// Type is what the message means.
	Type() Type

	// encode appends the message, unless its version cannot express it.
	encode(e *encoder)
	// format prints what follows the header.
	format(p *printer)
}

// Empty is a message without a body: a barrier, a request for features, …
type Empty struct {
	Kind Type // which message it is
	// AltRaw, if not RawInvalid, is the layout in which a message that has
	// several of them in one version came.
	AltRaw Raw
}

// Hello opens a connection.
type Hello struct {
	// Versions the sender speaks: the bitmap element of the message if it has
	// one, else all versions up to that of the header.
	Versions VersionBitmap
	// Malformed: the message held something else than elements that are known
	// or may be ignored.  Versions is usable all the same.
	Malformed bool
}

// Error answers a message that could not be carried out.
type Error struct {
	// ErrType and ErrCode are the numbers on the wire.  For an experimenter
	// error Vendor is its id, ErrType is 0xffff or 0xb0c2, and ErrCode is the
	// experimenter's own type for the error.
	ErrType, ErrCode uint16
	Vendor           uint32
	NXType           uint16 // Nicira errors before OpenFlow 1.2: the error's own type, with its code in ErrCode
	Data             []byte // start of the message that failed, or text for a failed hello
}

// EchoRequest asks for an EchoReply with the same data.
type EchoRequest struct{ Data []byte }

// EchoReply answers an EchoRequest.
type EchoReply struct{ Data []byte }

// Type implements Msg.
func (m *Empty) Type() Type { return m.Kind }

// Type implements Msg.
func (*Hello) Type() Type { return TypeHello }

// Type implements Msg.
func (*Error) Type() Type { return TypeError }

// Type implements Msg.
func (*EchoRequest) Type() Type { return TypeEchoRequest }

// Type implements Msg.
func (*EchoReply) Type() Type { return TypeEchoReply }
