package ofproto

import (
	"errors"

	"sluice/dpif"
	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
	"sluice/ofproto/table"
)

// This file has the requests about meters.

func (sw *Switch) handleMeterMod(r *request) error {
	mm := r.msg.(*ofp.MeterMod)
	if mm.Command != ofp.MeterDelete {
		if err := sw.checkMeter(&mm.MeterConfig); err != nil {
			return err
		}
	}
	sw.Tables.Mu.Lock()
	err := sw.meterMod(mm, r.now)
	sw.Tables.Mu.Unlock()
	if err != nil {
		return err
	}
	sw.flowsChanged()
	if mm.MeterID > ofp.MeterMax {
		sw.dp.Configured(sw) // the virtual meters are not in flows but in all packet-ins
	}
	sw.conns.SendRequestForward(r.Conn, &ofp.RequestForward{XID: r.h.XID, Reason: ofp.ForwardMeterMod, Meter: mm})
	return nil
}

func (sw *Switch) checkMeter(c *ofp.MeterConfig) error {
	f := sw.dp.MeterFeatures()
	special := c.MeterID == ofp.MeterSlowpath || c.MeterID == ofp.MeterController
	switch {
	case f.MaxMeters == 0, c.MeterID == 0, c.MeterID > ofp.MeterMax && !special:
		return oferr.OFPMMFC_INVALID_METER
	case len(c.Bands) > int(f.MaxBands):
		return oferr.OFPMMFC_OUT_OF_BANDS
	}
	return nil
}

func (sw *Switch) meterMod(mm *ofp.MeterMod, now int64) error {
	m := sw.Tables.Meter(mm.MeterID)
	switch mm.Command {
	case ofp.MeterAdd:
		if m != nil {
			return oferr.OFPMMFC_METER_EXISTS
		}
		id, err := sw.dp.MeterSet(NoMeter, dpMeter(&mm.MeterConfig))
		if err != nil {
			return meterError(err)
		}
		sw.Tables.MeterAdd(mm.MeterConfig, id, now)
	case ofp.MeterModify:
		if m == nil {
			return oferr.OFPMMFC_UNKNOWN_METER
		}
		if _, err := sw.dp.MeterSet(m.Provider, dpMeter(&mm.MeterConfig)); err != nil {
			return meterError(err)
		}
		m.Config = mm.MeterConfig
	case ofp.MeterDelete:
		sw.meterDelete(mm.MeterID, m)
	default:
		return oferr.OFPMMFC_BAD_COMMAND
	}
	return nil
}

// meterDelete deletes a meter, or all, with the flows that use it.
func (sw *Switch) meterDelete(id uint32, m *table.Meter) {
	meters := []*table.Meter{m}
	if id == ofp.MeterAll {
		meters = sw.Tables.Meters()
	} else if m == nil {
		return
	}
	for _, m := range meters {
		sw.Tables.MeterDel(m)
		sw.dp.MeterDel(m.Provider)
	}
}

func dpMeter(c *ofp.MeterConfig) dpif.MeterConfig {
	out := dpif.MeterConfig{Flags: uint16(c.Flags)}
	for _, b := range c.Bands {
		out.Bands = append(out.Bands, dpif.MeterBand{Type: b.BandType, PrecLevel: b.PrecLevel, Rate: b.Rate, Burst: b.BurstSize})
	}
	return out
}

// meterError is the protocol error for a meter that the datapath refused.
func meterError(err error) error {
	var code oferr.Code
	if errors.As(err, &code) {
		return code
	}
	return oferr.OFPMMFC_OUT_OF_METERS
}

// selectMeters returns the meters that a request asks for.
func (sw *Switch) selectMeters(id uint32) ([]*table.Meter, error) {
	if id == ofp.MeterAll {
		return sw.Tables.Meters(), nil
	}
	if m := sw.Tables.Meter(id); m != nil {
		return []*table.Meter{m}, nil
	}
	return nil, oferr.OFPMMFC_UNKNOWN_METER
}

func (sw *Switch) handleMeterStats(r *request) error {
	sw.Tables.Mu.Lock()
	defer sw.Tables.Mu.Unlock()
	meters, err := sw.selectMeters(r.msg.(*ofp.MeterRequest).MeterID)
	if err != nil {
		return err
	}
	b := ofp.NewReplyBuilder(r.h, r.Protocol())
	for _, m := range meters {
		got, err := sw.dp.MeterGet(m.Provider)
		if err != nil {
			continue
		}
		st := ofp.MeterStat{MeterID: m.Config.MeterID, FlowCount: uint32(m.NFlows()), PacketInCount: got.Packets, ByteInCount: got.Bytes}
		st.DurationSec, st.DurationNsec = duration(m.Created, r.now)
		for i := range m.Config.Bands {
			var bs ofp.MeterBandStats
			if i < len(got.BandPackets) {
				bs = ofp.MeterBandStats{PacketCount: got.BandPackets[i], ByteCount: got.BandBytes[i]}
			}
			st.Bands = append(st.Bands, bs)
		}
		b.Add(&st)
	}
	sendAll(r.Conn, b.Parts())
	return nil
}

func (sw *Switch) handleMeterConfig(r *request) error {
	sw.Tables.Mu.Lock()
	defer sw.Tables.Mu.Unlock()
	meters, err := sw.selectMeters(r.msg.(*ofp.MeterRequest).MeterID)
	if err != nil {
		return err
	}
	b := ofp.NewReplyBuilder(r.h, r.Protocol())
	for _, m := range meters {
		b.Add(&m.Config)
	}
	sendAll(r.Conn, b.Parts())
	return nil
}

func (sw *Switch) handleMeterFeatures(r *request) error {
	f := sw.dp.MeterFeatures()
	r.reply(&ofp.MeterFeatures{
		MaxMeters: f.MaxMeters, BandTypes: f.BandTypes, Capabilities: f.Capabilities, MaxBands: f.MaxBands, MaxColor: f.MaxColor,
	})
	return nil
}
