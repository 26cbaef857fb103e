package ofproto

import (
	"slices"

	"sluice/internal/vlog"
	"sluice/ofproto/xlate"
)

var logMirror = vlog.New("ofproto_dpif_mirror")

// mirrorRef is the place of a mirror in the masks of all snapshots, and its counters.
type mirrorRef struct {
	uuid  string // "": nobody has the place
	stats *xlate.MirrorStats
}

// configureMirrors gives each mirror of a switch a place; one that stays keeps its.
func (r *switchRef) configureMirrors(cfg []MirrorConfig) {
	for i := range r.mirrors {
		if !slices.ContainsFunc(cfg, func(c MirrorConfig) bool { return c.UUID == r.mirrors[i].uuid }) {
			r.mirrors[i] = mirrorRef{}
		}
	}
	for i := range cfg {
		if r.mirror(cfg[i].UUID) >= 0 {
			continue
		}
		place := r.mirror("")
		if place < 0 {
			logMirror.Warn("maximum of %d port mirrors reached, cannot create %s", xlate.MaxMirrors, cfg[i].Name)
			continue
		}
		r.mirrors[place] = mirrorRef{cfg[i].UUID, &xlate.MirrorStats{}}
	}
}

// mirror returns the place of a mirror, -1: it has none.
func (r *switchRef) mirror(uuid string) int {
	return slices.IndexFunc(r.mirrors[:], func(m mirrorRef) bool { return m.uuid == uuid })
}

// describeMirrors describes the mirrors of a switch to translation.
func (r *switchRef) describeMirrors(br *xlate.Bridge, cfg []MirrorConfig) {
	if len(cfg) == 0 {
		return
	}
	bundles := make(map[string]*xlate.Bundle, len(br.Bundles))
	for _, b := range br.Bundles {
		bundles[b.Name] = b
	}
	br.Mirrors = make([]*xlate.Mirror, xlate.MaxMirrors)
	for i := range cfg {
		c := &cfg[i]
		out := bundles[c.OutPort]
		place := r.mirror(c.UUID)
		if place < 0 || out == nil && c.OutPort != "" {
			continue
		}
		m := &xlate.Mirror{Name: c.Name, VLANs: vlanSet(c.SelectVLANs), Out: out, SnapLen: c.SnapLen, Stats: r.mirrors[place].stats}
		if out == nil {
			m.OutVLAN = uint16(c.OutVLAN)
		}
		br.Mirrors[place] = m
		for _, b := range br.Bundles {
			if c.SelectAll || slices.Contains(c.SrcPorts, b.Name) {
				b.SourceMask |= 1 << place
			}
			if c.SelectAll || slices.Contains(c.DstPorts, b.Name) {
				b.DestMask |= 1 << place
			}
		}
	}
}

// MirrorStats returns what a mirror has copied; ok: there is such a mirror.
func (b *Backer) MirrorStats(sw *Switch, uuid string) (packets, bytes uint64, ok bool) {
	r := b.bySwitch[sw]
	if r == nil || uuid == "" {
		return 0, 0, false
	}
	i := r.mirror(uuid)
	if i < 0 {
		return 0, 0, false
	}
	s := r.mirrors[i].stats
	return s.Packets.Load(), s.Bytes.Load(), true
}
