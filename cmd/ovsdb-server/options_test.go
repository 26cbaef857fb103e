package main

import (
	"slices"
	"testing"

	"sluice/cmd/internal/daemon"
)

func TestDatabaseNamedTwice(t *testing.T) {
	o := options{d: daemon.New([]string{"ovsdb-server", "b", "a", "b"})}
	o.parse()
	if want := []string{"a", "b"}; !slices.Equal(o.state.DBs, want) {
		t.Errorf("opens %q, want %q", o.state.DBs, want)
	}
}
