package conntrack

import (
	"maps"
	"sync"
	"sync/atomic"

	"sluice/dpif"
)

// defaultZone is the zone number of the limit for zones that have none of their
// own; noLimit that of connections no limit counts.
const (
	defaultZone = -1
	noLimit     = -2
)

// zoneLimit is how many connections a zone may have.
type zoneLimit struct {
	id    uint64 // unlike that of any limit before
	max   atomic.Uint32
	count atomic.Uint32
}

// limits is the limits of all zones: an immutable map, replaced as a whole.  All
// zones without a limit of their own share the default one's count, as in stock.
//
// Thread-safety: mu orders writers; readers load the map.
type limits struct {
	mu     sync.Mutex
	zones  atomic.Pointer[map[int32]*zoneLimit]
	lastID uint64
}

func (l *limits) load() map[int32]*zoneLimit {
	if m := l.zones.Load(); m != nil {
		return *m
	}
	return nil
}

// admit counts a connection of a zone; ok is false when the zone is full.
func (l *limits) admit(zone uint16) (limit int32, id uint64, ok bool) {
	m := l.load()
	if m == nil {
		return noLimit, 0, true
	}
	limit = int32(zone)
	z := m[limit]
	if z == nil {
		limit = defaultZone
		z = m[limit]
	}
	if z == nil {
		return noLimit, 0, true
	}
	for {
		n := z.count.Load()
		if n >= z.max.Load() {
			return 0, 0, false
		}
		if z.count.CompareAndSwap(n, n+1) {
			return limit, z.id, true
		}
	}
}

// release counts a connection down, unless its limit is gone.
func (l *limits) release(limit int32, id uint64) {
	if limit == noLimit {
		return
	}
	if z := l.load()[limit]; z != nil && z.id == id {
		z.count.Add(^uint32(0))
	}
}

func (l *limits) change(fn func(m map[int32]*zoneLimit)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := maps.Clone(l.load())
	if m == nil {
		m = map[int32]*zoneLimit{}
	}
	fn(m)
	l.zones.Store(&m)
}

func (l *limits) set(zone int32, limit uint32) {
	l.change(func(m map[int32]*zoneLimit) {
		if z := m[zone]; z != nil {
			z.max.Store(limit)
			log.Info("Changed zone limit of %d for zone %d", limit, zone)
			return
		}
		l.lastID++
		z := &zoneLimit{id: l.lastID}
		z.max.Store(limit)
		m[zone] = z
		log.Info("Created zone limit of %d for zone %d", limit, zone)
	})
}

// SetLimits implements dpif.CTConfig.
func (t *Tracker) SetLimits(def *uint32, zones []dpif.CTLimit) error {
	if def != nil {
		t.limits.set(defaultZone, *def)
	}
	for _, z := range zones {
		t.limits.set(int32(z.Zone), z.Limit)
	}
	return nil
}

// Limits implements dpif.CTConfig.
func (t *Tracker) Limits(zones []uint16) (def uint32, list []dpif.CTLimit, err error) {
	m := t.limits.load()
	d := m[defaultZone]
	if d != nil {
		def = d.max.Load()
	}
	add := func(zone uint16, z *zoneLimit) {
		l := dpif.CTLimit{Zone: zone}
		if z != nil {
			l.Limit, l.Count = z.max.Load(), z.count.Load()
		}
		list = append(list, l)
	}
	for _, zone := range zones {
		z := m[int32(zone)]
		if z == nil {
			z = d
		}
		add(zone, z)
	}
	if len(zones) > 0 {
		return def, list, nil
	}
	for zone := int32(0); zone <= 0xffff && len(m) > 0; zone++ {
		if z := m[zone]; z != nil {
			add(uint16(zone), z)
		}
	}
	return def, list, nil
}

// DelLimits implements dpif.CTConfig.
func (t *Tracker) DelLimits(zones []uint16) error {
	for _, zone := range zones {
		t.limits.change(func(m map[int32]*zoneLimit) {
			if m[int32(zone)] == nil {
				log.Info("Attempted delete of non-existent zone limit: zone %d", zone)
				return
			}
			delete(m, int32(zone))
			log.Info("Deleted zone limit for zone %d", zone)
		})
	}
	return nil
}
