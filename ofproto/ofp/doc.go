// Package ofp is the OpenFlow language of whole messages: version-neutral
// structs, their wire forms in OpenFlow 1.0 to 1.5 with the Nicira and ONF
// experimenter messages, and the text that logs and tools print for them.
//
// The connection manager frames a byte stream with Length, decodes requests with
// Decode (whose errors name the OpenFlow error to answer with) and encodes
// replies and asynchronous messages with Append or, for multipart replies, a
// ReplyBuilder.  Format prints any message, well-formed or not.
//
// Matches, actions and errors are packages of their own (match, action, oferr).
// This package keeps no state, opens no connections and does not know what a
// message does to a switch.
package ofp
