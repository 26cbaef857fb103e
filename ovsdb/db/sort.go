package db

import "sort"

func sortEntries(es []*entry) {
	sort.Slice(es, func(i, j int) bool {
		a, b := es[i], es[j]
		if a.table != b.table {
			return a.table.Schema.Index < b.table.Schema.Index
		}
		return a.row.UUID.Less(b.row.UUID)
	})
}
