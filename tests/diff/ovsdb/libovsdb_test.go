package ovsdb

import (
	"context"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/ovn-kubernetes/libovsdb/client"
	"github.com/ovn-kubernetes/libovsdb/model"
	"github.com/ovn-kubernetes/libovsdb/ovsdb"
)

const libSchema = `{"name":"d","version":"1.0.0","tables":{
"root":{"columns":{"name":{"type":"string"},"i":{"type":"integer"},
  "ss":{"type":{"key":"string","min":0,"max":"unlimited"}},
  "m":{"type":{"key":"string","value":"integer","min":0,"max":"unlimited"}},
  "kids":{"type":{"key":{"type":"uuid","refTable":"kid"},"min":0,"max":"unlimited"}}},"indexes":[["name"]],"isRoot":true},
"kid":{"columns":{"n":{"type":"integer"}}}}}`

type libRoot struct {
	UUID string         `ovsdb:"_uuid"`
	Name string         `ovsdb:"name"`
	I    int            `ovsdb:"i"`
	SS   []string       `ovsdb:"ss"`
	M    map[string]int `ovsdb:"m"`
	Kids []string       `ovsdb:"kids"`
}

type libKid struct {
	UUID string `ovsdb:"_uuid"`
	N    int    `ovsdb:"n"`
}

// TestLibovsdb drives our server with the client library of the Go world.
func TestLibovsdb(t *testing.T) {
	dir := t.TempDir()
	program := build(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.WriteFile(dir+"/schema", []byte(libSchema), 0o600))
	if out, err := exec.Command("ovsdb-tool", "create", dir+"/db", dir+"/schema").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	if out, err := exec.Command(program, "--detach", "--no-chdir", "--pidfile="+dir+"/pid", "--remote=punix:"+dir+"/sock",
		"--unixctl="+dir+"/ctl", "-vconsole:off", dir+"/db").CombinedOutput(); err != nil {
		t.Fatalf("%s", out)
	}
	t.Cleanup(func() { exec.Command("ovs-appctl", "-t", dir+"/ctl", "exit").Run() })

	m, err := model.NewClientDBModel("d", map[string]model.Model{"root": &libRoot{}, "kid": &libKid{}})
	must(err)
	c, err := client.NewOVSDBClient(m, client.WithEndpoint("unix:"+dir+"/sock"))
	must(err)
	ctx := context.Background()
	must(c.Connect(ctx))
	defer c.Disconnect()
	_, err = c.MonitorAll(ctx)
	must(err)

	commit := func(ops []ovsdb.Operation) {
		t.Helper()
		results, err := c.Transact(ctx, ops...)
		must(err)
		_, err = ovsdb.CheckOperationResults(results, ops)
		must(err)
	}
	ops, err := c.Create(&libKid{UUID: "kid1", N: 7})
	must(err)
	more, err := c.Create(&libRoot{UUID: "root1", Name: "x", SS: []string{"a", "b"}, M: map[string]int{"k": 1}, Kids: []string{"kid1"}})
	must(err)
	commit(append(ops, more...))
	// The library fills its cache beside the replies.
	until := func(cond func() bool) {
		for !cond() {
			runtime.Gosched()
		}
	}
	var rows []libRoot
	until(func() bool { rows = nil; must(c.List(ctx, &rows)); return len(rows) > 0 })
	if len(rows) != 1 || rows[0].Name != "x" || len(rows[0].SS) != 2 || rows[0].M["k"] != 1 || len(rows[0].Kids) != 1 {
		t.Fatalf("the cache has %+v", rows)
	}
	rows[0].I = 5
	ops, err = c.Where(&rows[0]).Update(&rows[0], &rows[0].I)
	must(err)
	commit(ops)
	got := &libRoot{UUID: rows[0].UUID}
	until(func() bool { must(c.Get(ctx, got)); return got.I == 5 })
	ops, err = c.Where(got).Mutate(got, model.Mutation{Field: &got.SS, Mutator: ovsdb.MutateOperationInsert, Value: []string{"c"}})
	must(err)
	commit(ops)
	ops, err = c.Where(got).Delete()
	must(err)
	commit(ops)
	until(func() bool {
		rows = nil
		var kids []libKid
		must(c.List(ctx, &rows))
		must(c.List(ctx, &kids))
		return len(rows) == 0 && len(kids) == 0
	})
}
