// Package jsonrpc is JSON-RPC 1.0 as OVSDB and the control sockets speak it:
// requests, replies and notifications one after the other on a stream, with
// nothing between them.
//
// Values inside of messages stay raw bytes that are known to be valid JSON:
// who understands them parses them. Conn is one connection, Session one that
// reconnects and probes. ovsdb/server, ovsdb/client and ovsdb/unixctl use
// them; nothing here knows a method but "echo".
package jsonrpc

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
)

// Type says what a message is.
type Type int

// The kinds of messages.
const (
	Request Type = iota
	Notify
	Reply
	Error
)

var typeNames = [...]string{"request", "notification", "reply", "error"}

// String returns the word that logs use.
func (t Type) String() string {
	if t < 0 || int(t) >= len(typeNames) {
		return "(null)"
	}
	return typeNames[t]
}

// Msg is one message. The raw members are valid JSON, nil where the message
// has none; a received null counts as none.
type Msg struct {
	Type   Type
	Method string
	// Params is an array in requests and notifications.
	Params []byte
	// Result is that of a Reply.
	Result []byte
	// Error is that of an Error, or of a reply made by NewError.
	Error []byte
	// ID pairs requests and replies, which compare it with SameID.
	ID []byte
}

var nextID atomic.Uint32

// NewRequest makes a request with an id that this process has not used yet.
func NewRequest(method string, params []byte) *Msg {
	id := strconv.AppendUint(nil, uint64(nextID.Add(1)-1), 10)
	return &Msg{Type: Request, Method: method, Params: params, ID: id}
}

// NewNotify makes a notification.
func NewNotify(method string, params []byte) *Msg {
	return &Msg{Type: Notify, Method: method, Params: params}
}

// NewReply answers the request with that id.
func NewReply(result, id []byte) *Msg { return &Msg{Type: Reply, Result: result, ID: id} }

// NewError refuses the request with that id. Logs call it a reply, as stock's
// do; at the other end it is received as an Error.
func NewError(err, id []byte) *Msg { return &Msg{Type: Reply, Error: err, ID: id} }

// SameID says whether two ids are the same JSON, as far as white space goes.
func SameID(a, b []byte) bool {
	return bytes.Equal(a, b) || a != nil && b != nil && bytes.Equal(Compact(a), Compact(b))
}

// Append appends the message as it goes over the wire.
func (m *Msg) Append(b []byte) []byte {
	b = append(b, `{"id":`...)
	if m.ID != nil {
		b = append(b, m.ID...)
	} else {
		b = append(b, "null"...)
	}
	switch {
	case m.Type == Request || m.Type == Notify:
		b = append(b, `,"method":`...)
		b = AppendQuote(b, m.Method)
		b = append(b, `,"params":`...)
		b = append(b, m.Params...)
	case m.Error != nil:
		// Stock leaves the result out here, though RFC 7047 wants null.
		b = append(b, `,"error":`...)
		b = append(b, m.Error...)
	default:
		b = append(b, `,"result":`...)
		b = append(b, m.Result...)
		b = append(b, `,"error":null`...)
	}
	return append(b, '}')
}

// describe is what debug logs show of a message.
func (m *Msg) describe() string {
	var b bytes.Buffer
	b.WriteString(m.Type.String())
	if m.Method != "" {
		fmt.Fprintf(&b, ", method=\"%s\"", m.Method)
	}
	for _, f := range []struct {
		name string
		raw  []byte
	}{{"params", m.Params}, {"result", m.Result}, {"error", m.Error}, {"id", m.ID}} {
		if f.raw != nil {
			fmt.Fprintf(&b, ", %s=%s", f.name, Compact(f.raw))
		}
	}
	return b.String()
}

// message makes a Msg of a complete scan, copying its bytes.
func (s *scanner) message() (*Msg, error) {
	if !s.isObject {
		return nil, fmt.Errorf("message is not a JSON object")
	}
	text := bytes.Clone(s.buf[:s.pos])
	get := func(m int) []byte {
		at := s.members[m]
		raw := text[at.from:at.to:at.to]
		if len(raw) == 0 || string(raw) == "null" {
			return nil
		}
		return raw
	}
	m := &Msg{Params: get(mParams), Result: get(mResult), Error: get(mError), ID: get(mID)}
	hasMethod := s.members[mMethod].to > 0
	if hasMethod {
		var ok bool
		at := s.members[mMethod]
		if m.Method, ok = Unquote(text[at.from:at.to]); !ok {
			return nil, fmt.Errorf("method is not a JSON string")
		}
	}
	switch {
	case m.Result != nil:
		m.Type = Reply
	case m.Error != nil:
		m.Type = Error
	case m.ID != nil:
		m.Type = Request
	default:
		m.Type = Notify
	}
	if s.hasUnexpected {
		return nil, fmt.Errorf("message has unexpected member \"%s\"", s.unexpected)
	}
	return m, m.check(hasMethod)
}

// check refuses members that do not go together.
func (m *Msg) check(hasMethod bool) error {
	if m.Params != nil && m.Params[0] != '[' {
		return fmt.Errorf("\"params\" must be JSON array")
	}
	call := m.Type == Request || m.Type == Notify
	for _, f := range []struct {
		name      string
		has, must bool
	}{
		{"method", hasMethod, call},
		{"params", m.Params != nil, call},
		{"result", m.Result != nil, m.Type == Reply},
		{"error", m.Error != nil, m.Type == Error},
		{"id", m.ID != nil, m.Type != Notify},
	} {
		if f.has == f.must {
			continue
		}
		not := " not"
		if f.must {
			not = ""
		}
		return fmt.Errorf("%s must%s have \"%s\"", m.Type, not, f.name)
	}
	return nil
}

// Parse reads a message from its JSON, which must be all there is.
func Parse(text []byte) (*Msg, error) {
	var s scanner
	done, err := s.feed(text)
	if err != nil {
		return nil, err
	}
	if !done {
		return nil, &SyntaxError{Text: "unexpected end of input", Offset: len(text)}
	}
	if len(bytes.TrimSpace(text[s.pos:])) > 0 {
		return nil, &SyntaxError{Text: "trailing garbage at end of input", Offset: s.pos}
	}
	return s.message()
}
