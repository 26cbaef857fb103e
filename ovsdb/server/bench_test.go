package server

import "testing"

// BenchmarkTransact is one small transaction after the other.
func BenchmarkTransact(b *testing.B) {
	r := start(b)
	p := r.connect(b)
	p.transact(`{"op":"insert","table":"a","row":{"name":"x"}}`)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		p.wait(p.send("transact", `["t",{"op":"mutate","table":"a","where":[["name","==","x"]],"mutations":[["n","+=",1]]}]`))
	}
}
