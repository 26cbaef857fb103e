package rtnl

import "encoding/binary"

// native is the byte order of netlink.
var native = binary.NativeEndian
