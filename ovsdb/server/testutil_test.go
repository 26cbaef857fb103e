package server

import (
	"sluice/ovsdb/data"
	"sluice/ovsdb/storage"
)

type dataError = data.Error

func frame(body string) []byte { return storage.Frame(nil, storage.MagicStandalone, []byte(body)) }
