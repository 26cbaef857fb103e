package storage

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
)

// Cluster is what a clustered database's file says of the cluster.
type Cluster struct{}

func loadCluster(l *Log, schema func(*data.Schema, string), txn func(*db.Txn, string), tables func() *db.DB) (Content, *data.Error) {
	return Content{}, data.Errorf("", "%s: clustered databases are not supported", l.name)
}
