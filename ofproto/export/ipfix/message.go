package ipfix

import (
	"encoding/binary"
)

// Numbers of messages and sets (RFC 7011 section 3).
const (
	version            = 10
	headerSize         = 16
	setTemplates       = 2
	setOptionTemplates = 3
	enterpriseBit      = 0x8000
)

// fullMessage is the size beyond which a message of templates takes no more.
const fullMessage = 1024

// message is a message that is being written.
type message struct {
	b     []byte
	setAt int // where the set that is being written begins
}

func newMessage(sec, seq, domain uint32) *message {
	m := &message{}
	m.u16(version, 0)
	m.u32(sec, seq, domain)
	return m
}

func (m *message) u16(vs ...uint16) {
	for _, v := range vs {
		m.b = binary.BigEndian.AppendUint16(m.b, v)
	}
}

func (m *message) u32(vs ...uint32) {
	for _, v := range vs {
		m.b = binary.BigEndian.AppendUint32(m.b, v)
	}
}

// set begins a set.
func (m *message) set(id uint16) {
	m.setAt = len(m.b)
	m.u16(id, 0)
}

// end ends the set and the message.
func (m *message) end() []byte {
	binary.BigEndian.PutUint16(m.b[m.setAt+2:], uint16(len(m.b)-m.setAt))
	binary.BigEndian.PutUint16(m.b[2:], uint16(len(m.b)))
	return m.b
}

// out sends a message and counts it.
func (e *Exporter) out(m *message) {
	sent, failed := e.send(m.end())
	e.stats.TxPkts += uint64(sent)
	e.stats.TxErrors += uint64(failed)
}

// spec appends the specifier of a field (RFC 7011 section 3.2).
func (m *message) spec(e *element) {
	id := e.id
	if e.vm {
		id |= enterpriseBit
	}
	m.u16(id, e.size)
	if e.vm {
		m.u32(vmware)
	}
}

// sendTemplates sends all templates.  They do not count in the sequence number.
func (e *Exporter) sendTemplates(sec, domain uint32) {
	begin := func() *message {
		m := newMessage(sec, e.seq, domain)
		m.set(setTemplates)
		return m
	}
	m := begin()
	kinds(func(k kind) {
		if len(m.b) >= fullMessage {
			e.out(m)
			m = begin()
		}
		m.u16(k.template(), 0)
		at := len(m.b) - 2
		n := 0
		k.groups(e.opts.VirtualObsID != "", func(g []element) {
			for i := range g {
				m.spec(&g[i])
			}
			n += len(g)
		})
		binary.BigEndian.PutUint16(m.b[at:], uint16(n))
	})
	e.out(m)

	// The statistics of the exporting process (RFC 7011 section 4.3) are of no
	// observation domain.
	m = newMessage(sec, e.seq, 0)
	m.set(setOptionTemplates)
	m.u16(reliabilityTemplate, 2, 1)
	m.spec(&element{id: 144, size: 4}) // exportingProcessId
	m.spec(&element{id: 167, size: 8}) // notSentPacketTotalCount
	e.out(m)
}

// sendReliability sends the statistics of the exporting process.
func (e *Exporter) sendReliability(sec uint32) {
	m := newMessage(sec, e.seq, 0)
	e.seq++
	m.set(reliabilityTemplate)
	m.u32(e.opts.ID)
	m.b = binary.BigEndian.AppendUint64(m.b, e.stats.TxErrors)
	e.out(m)
}

// sendRecord sends a flow, in a message of its own as stock does.
func (e *Exporter) sendRecord(f *entry, sec uint32, reason uint8) {
	m := newMessage(sec, e.seq, f.domain)
	e.seq++
	m.set(f.kind.template())
	m.b = append(m.b, f.key...)
	r := record{entry: f, sec: sec, reason: reason, vobs: e.opts.VirtualObsID}
	f.kind.groups(r.vobs != "", func(g []element) {
		for i := range g {
			if g[i].val != nil {
				m.b = g[i].val(m.b, &r)
			}
		}
	})
	e.out(m)
}
