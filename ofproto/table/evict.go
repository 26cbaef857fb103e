package table

// evictGroup and evictIndex are the eviction groups of a table.
type evictGroup struct{ rules []*Rule }

type evictIndex struct{ byKey map[uint32]*evictGroup }
