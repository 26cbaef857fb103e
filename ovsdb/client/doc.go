// Package client keeps a replica of chosen tables of an OVSDB database and
// writes to the database in transactions. The switch's control loop runs it;
// schema/vswitch puts typed rows on top, which is what most callers use.
//
// # Reading
//
// A Client is run every turn:
//
//	c := client.New(client.Config{Schema: …, Tables: …, Remotes: …, Lock: "ovs_vswitchd"}, now)
//	for {
//		c.Run(now)
//		if c.Seqno() != seen { … look at c.Table("Bridge").Rows() … }
//		c.Wait(&set, now)
//	}
//
// The replica only changes inside Run. Seqno grows whenever a column that was
// not named in NoAlert changed, a row came or went, the lock was won or lost,
// or a new connection brought its first contents. Rows are immutable: a row
// that changes is replaced by a new *Row, so that equal pointers mean equal
// contents and rows may be kept as long as one likes. During a reconnection
// the old contents stay in view until the server's are here.
//
// # Writing
//
//	t := c.Begin()
//	t.Comment("ovs-vswitchd: …")
//	t.Set("Interface", uuid, "ofport", data.NewScalar(data.IntAtom(1)))
//	status := t.Commit()      // Incomplete as a rule
//	…                         // later turns, after c.Run
//	switch t.Status() { … }
//
// The replica shows the result once the server has sent it, which is before
// the status becomes Success. With a Lock configured, nothing is written
// without it.
//
// # What it does not do
//
// It has no conditions on rows: whole tables are replicated. It blocks
// nowhere, starts no goroutines and reads no clock.
//
// Thread-safety: everything belongs to the goroutine that calls Run, but for
// rows, which anyone may read.
package client
