package server

import (
	"fmt"
	"math/rand"
	"sync"
	"testing"

	"sluice/ovsdb/data"
)

// TestStress has several clients do everything at once, beside compactions and
// conversions: nobody may hang, and the counters must add up.
func TestStress(t *testing.T) {
	r := start(t)
	setup := r.connect(t)
	setup.transact(`{"op":"insert","table":"a","row":{"name":"counter"}}`)
	for i := 0; i < smallDB+50; i++ {
		setup.transact(fmt.Sprintf(`{"op":"insert","table":"a","row":{"n":%d,"name":"r%[1]d"}}`, i))
	}
	const clients, rounds = 6, 120
	var wg sync.WaitGroup
	var mu sync.Mutex
	adds := 0
	for c := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rnd := rand.New(rand.NewSource(int64(c)))
			p := r.connect(t)
			p.call("set_db_change_aware", "[true]")
			p.call("monitor_cond", `["t","all",{"a":[{}]}]`)
			p.call("monitor_cond", `["t","some",{"a":[{"columns":["n"],"where":[["name","==","counter"]]}]}]`)
			for range rounds {
				switch rnd.Intn(10) {
				case 0:
					p.call("monitor_cond_change", fmt.Sprintf(`["some","some",{"a":[{"where":[["n","<",%d]]}]}]`, rnd.Intn(600)))
				case 1:
					id := fmt.Sprint(`"m`, rnd.Intn(3), `"`)
					p.call("monitor_cond_since", `["t",`+id+`,{"a":[{"columns":["s"]}]},"00000000-0000-0000-0000-000000000000"]`)
					p.call("monitor_cancel", `[`+id+`]`)
				case 2:
					p.transact(fmt.Sprintf(`{"op":"update","table":"a","where":[["name","==","r%d"]],"row":{"s":["set",["%d"]]}}`, rnd.Intn(600), rnd.Intn(9)))
				case 3:
					p.call("lock", `["l"]`)
					p.call("unlock", `["l"]`)
				default:
					ops := `{"op":"mutate","table":"a","where":[["name","==","counter"]],"mutations":[["n","+=",1]]}`
					if rnd.Intn(2) == 0 {
						ops += `,{"op":"commit","durable":true}`
					}
					if p.transact(ops)[:11] == `[{"count":1` {
						mu.Lock()
						adds++
						mu.Unlock()
					}
				}
				p.got = nil
			}
		}()
	}
	wg.Add(1)
	go func() {
		defer wg.Done()
		for range 8 {
			over := make(chan struct{})
			r.on(func() { r.s.dbs["t"].compact(func(*data.Error) { close(over) }) })
			<-over
			p := r.connect(t)
			p.call("set_db_change_aware", "[true]")
			if got := p.call("convert", `["t",`+testSchema+`]`); got != `{}` {
				t.Errorf("conversion: %s", got)
			}
		}
	}()
	wg.Wait()
	want := fmt.Sprintf(`[{"rows":[{"n":%d}]}]`, adds)
	equal(t, r.connect(t).transact(`{"op":"select","table":"a","where":[["name","==","counter"]],"columns":["n"]}`), want)
	path := ""
	r.on(func() { path = r.s.dbs["t"].filename })
	r.close()
	r = serve(t, path)
	equal(t, r.connect(t).transact(`{"op":"select","table":"a","where":[["name","==","counter"]],"columns":["n"]}`), want)
}
