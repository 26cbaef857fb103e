package recirc

import (
	"testing"

	"sluice/ofproto/ofp/action"
)

func TestSharedAndLingering(t *testing.T) {
	p := NewPool()
	mk := func(table uint8, port uint32) *State {
		return &State{Table: table, Actions: action.List{&action.Output{Port: port}}}
	}
	a, b, c := p.Alloc(mk(1, 1)), p.Alloc(mk(1, 1)), p.Alloc(mk(1, 2))
	if a != 1 || b != 1 || c != 2 {
		t.Fatal(a, b, c)
	}
	p.Unref(a)
	if !p.Ref(1) {
		t.Fatal("id without references too early")
	}
	p.Unref(1)
	p.Unref(1)
	if p.Ref(1) || p.Find(1) == nil {
		t.Fatal("id must be found but take no references")
	}
	if d := p.Alloc(mk(1, 1)); d != 3 {
		t.Fatal("an expiring id was given out again:", d)
	}
	p.Run(0)
	p.Run(100)
	if p.Find(1) == nil {
		t.Fatal("gone before it lingered")
	}
	p.Run(500)
	if p.Find(1) != nil || p.Len() != 2 {
		t.Fatal("still there")
	}
}

func TestWrapSkipsStatic(t *testing.T) {
	p := NewPool()
	p.next = ^uint32(0)
	if id := p.AllocUnique(&State{}); id != ^uint32(0) {
		t.Fatal(id)
	}
	if id := p.AllocUnique(&State{}); id != staticIDs+1 {
		t.Fatal(id)
	}
}
