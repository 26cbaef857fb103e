package client

import (
	"sluice/ovsdb/json"
	"sluice/ovsdb/jsonrpc"
)

// SetLock changes the lock; an empty name gives it up.
func (c *Client) SetLock(name string) {
	if name == c.lock {
		return
	}
	if c.lock != "" {
		c.sendLock("unlock")
		c.contended = false
	}
	if c.lock = name; name != "" {
		c.sendLock("lock")
	}
}

func (c *Client) sendLock(method string) {
	c.hasLock, c.lockRequest = false, nil
	if c.session == nil || !c.session.Connected() {
		return
	}
	m := jsonrpc.NewRequest(method, jsonrpc.AppendStrings(nil, c.lock))
	if method == "lock" {
		c.lockRequest = m.ID
	}
	c.session.Send(m)
}

func (c *Client) lockReply(m *jsonrpc.Msg) {
	c.lockRequest = nil
	result, err := json.Parse(string(m.Result))
	locked := m.Type == jsonrpc.Reply && err == nil && result.Get("locked") != nil && result.Get("locked").Kind() == json.True
	c.setLocked(locked)
}

func (c *Client) setLocked(on bool) {
	if on && !c.hasLock && c.maySend() {
		// Who could not write for want of the lock shall try again. While a
		// connection is being set up its first contents do the same.
		c.seqno++
	}
	c.hasLock, c.contended = on, !on
}
