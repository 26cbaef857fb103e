package jsonrpc

import (
	"strings"
	"testing"
)

// BenchmarkParse frames and checks a request of some 460 bytes.
func BenchmarkParse(b *testing.B) {
	text := []byte(`{"id":17,"method":"transact","params":["Open_vSwitch",{"op":"update","table":"Interface","where":[["_uuid","==",["uuid","2f77b348-9768-4866-b761-89d5177ecda0"]]],"row":{"statistics":["map",[["rx_bytes",123456789],["tx_bytes",987654321],["rx_packets",1234],["tx_packets",4321]]],"status":["map",[["driver_name","veth"],["driver_version","1.0"]]]}},{"op":"comment","comment":"` + strings.Repeat("x", 60) + `"}]}`)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	var s scanner
	for range b.N {
		s.reset()
		if done, err := s.feed(text); !done || err != nil {
			b.Fatal(err)
		}
		if _, err := s.message(); err != nil {
			b.Fatal(err)
		}
	}
}
