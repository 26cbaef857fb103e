package main

import (
	"bytes"
	"os"
	"testing"
)

// The committed file must be what the generator makes of the schema.
func TestCommitted(t *testing.T) {
	text, err := os.ReadFile("../vswitch/vswitch.ovsschema")
	if err != nil {
		t.Fatal(err)
	}
	want, err := generate("vswitch", string(text))
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../vswitch/rows.go")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("rows.go is out of date: go generate ./schema/vswitch")
	}
}
