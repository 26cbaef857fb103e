package storage

import (
	"crypto/sha1"

	"sluice/ovsdb/data"
	"sluice/ovsdb/db"
	"sluice/ovsdb/json"
)

// Content is what Load found besides the data.
type Content struct {
	// Records is the number of transactions in the file.
	Records int
	// Cluster is what a clustered file says of itself, nil for others.
	Cluster *Cluster
}

// Loader is told what Load finds.
type Loader struct {
	// Schema gets the schema (again after a conversion) and the id of the
	// state it begins with.
	Schema func(s *data.Schema, id data.UUID)
	// Txn gets each transaction, which has been applied, and its id.
	Txn func(t *db.Txn, id data.UUID)
	// Tables answers the tables to apply transactions to.
	Tables func() *db.DB
}

// Chain makes a standalone transaction's id of the one before it and the text
// that is in the file, so that reading the file again gives the same ids.
func Chain(prev data.UUID, body string) data.UUID {
	h := sha1.New()
	h.Write(prev.Append(nil))
	h.Write([]byte(body))
	return data.UUIDFromBytes(h.Sum(nil))
}

// Load reads a file. A bad record ends the reading with a warning, as what
// comes before it is good; a file without a good schema is refused.
func Load(l *Log, to Loader) (Content, *data.Error) {
	if l.magic == MagicCluster {
		return loadCluster(l, to)
	}
	var c Content
	body, err := l.Next()
	if err != nil {
		return c, err
	}
	v, jerr := json.Parse(body)
	if jerr != nil {
		return c, l.BadJSON(jerr)
	}
	s, err := data.ParseSchema(&v)
	if err != nil {
		return c, err.Wrap("failed to parse \"%s\" as ovsdb schema", l.name)
	}
	id := Chain(data.UUID{}, body)
	to.Schema(s, id)
	for {
		body, err := l.Next()
		if err == nil && body == "" {
			break
		}
		var t *db.Txn
		if err == nil {
			t, err = Apply(to.Tables(), body, false)
			if err != nil {
				l.Unread()
			}
		}
		if err != nil {
			fileLog.Warn("%s", err.Error())
			break
		}
		id = Chain(id, trimLF(body))
		to.Txn(t, id)
		c.Records++
	}
	l.EndRead()
	return c, nil
}

func trimLF(s string) string {
	if n := len(s); n > 0 && s[n-1] == '\n' {
		return s[:n-1]
	}
	return s
}
