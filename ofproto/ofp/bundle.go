package ofp

// Types of a BundleCtrl: a request and the reply to it.
const (
	BundleOpenRequest    = 0
	BundleOpenReply      = 1
	BundleCloseRequest   = 2
	BundleCloseReply     = 3
	BundleCommitRequest  = 4
	BundleCommitReply    = 5
	BundleDiscardRequest = 6
	BundleDiscardReply   = 7
)

// Flags of a bundle.
const (
	BundleAtomic  = 1 << 0
	BundleOrdered = 1 << 1
)

// BundleCtrl opens, closes, commits or discards a bundle.
type BundleCtrl struct {
	BundleID uint32
	Ctrl     uint16 // BundleOpenRequest, …
	Flags    uint16
}

// BundleAdd puts a message into a bundle.
type BundleAdd struct {
	BundleID uint32
	Flags    uint16
	Inner    []byte // the whole message; its type is one that bundles may hold
	InnerH   Header // its header
}

// Type implements Msg.
func (*BundleCtrl) Type() Type { return TypeBundleControl }

// Type implements Msg.
func (*BundleAdd) Type() Type { return TypeBundleAddMessage }
