package ofproto

import (
	"errors"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/action"
	"sluice/ofproto/ofp/match"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/table"
)

// This file has the requests that send packets.

func (sw *Switch) handlePacketOut(r *request) error {
	cPacketOut.Inc()
	po, err := sw.preparePacketOut(r, r.msg.(*ofp.PacketOut))
	if err != nil {
		return err
	}
	return sw.packetOut(po, r.now)
}

// preparePacketOut checks a packet_out as far as that needs no tables.
func (sw *Switch) preparePacketOut(r *request, m *ofp.PacketOut) (*PacketOut, error) {
	if in := m.Metadata.Flow.InPort; in >= maxPorts && in < flow.OFPMax {
		return nil, oferr.OFPBRC_BAD_PORT
	}
	if m.BufferID != ofp.NoBuffer {
		return nil, oferr.OFPBRC_BUFFER_UNKNOWN
	}
	po := &PacketOut{Packet: m.Packet, Flow: m.Metadata.Flow, Actions: m.Actions}
	metadata := po.Flow
	flow.ExtractFlow(po.Packet, &metadata, &po.Flow)
	exact := match.Match{Flow: po.Flow, Mask: exactMask(&po.Flow), Tun: sw.tun}
	err := po.Actions.CheckConsistent(r.Protocol(), action.CheckParams{Match: &exact, MaxPort: maxPorts, NTables: table.NTables})
	return po, err
}

// packetOut sends a packet that was prepared.
func (sw *Switch) packetOut(po *PacketOut, now int64) error {
	sw.Tables.Mu.Lock()
	err := sw.Tables.CheckActions(po.Actions)
	sw.Tables.Mu.Unlock()
	if err != nil {
		return err
	}
	err = sw.dp.PacketOut(sw, po, now)
	sw.processEvents()
	var code oferr.Code
	if err != nil && !errors.As(err, &code) {
		// The packet was understood; what the datapath makes of it is not the
		// controller's concern.
		logOF.DbgRL(rlOF, "%s: packet_out: %v", sw.name, err)
		return nil
	}
	return err
}

func (sw *Switch) handleResume(r *request) error {
	return sw.dp.Resume(sw, &r.msg.(*ofp.Resume).PacketIn, r.now)
}

// exactMask has the bits that a packet of f's kind has: what its actions may rely on.
func exactMask(f *flow.Flow) (m flow.Mask) {
	m.InPort, m.PacketType, m.DLType = ^uint32(0), ^uint32(0), 0xffff
	for i := range f.VLANs {
		if f.VLANs[i].TPID == 0 {
			break
		}
		m.VLANs[i] = flow.VLAN{TPID: 0xffff, TCI: 0xffff}
	}
	if m.VLANs[0].TPID == 0 {
		m.VLANs[0] = flow.VLAN{TPID: 0xffff, TCI: 0xffff} // no tag
	}
	m.NwProto, m.NwFrag, m.CTState = 0xff, 0xff, 0xff
	m.TpSrc, m.TpDst = 0xffff, 0xffff
	for i := range m.MPLS {
		m.MPLS[i] = ^uint32(0)
	}
	return m
}
