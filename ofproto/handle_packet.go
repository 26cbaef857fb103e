package ofproto

import (
	"sluice/dpif/flow"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
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
	return po, nil
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
	return err
}

func (sw *Switch) handleResume(r *request) error {
	return sw.dp.Resume(sw, &r.msg.(*ofp.Resume).PacketIn, r.now)
}
