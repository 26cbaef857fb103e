package connmgr

import (
	"math"

	"sluice/internal/poll"
)

// pinsched limits the rate of packet-ins: what comes too fast waits in a queue a
// port, served in turn, so that one busy port does not starve the others.
type pinsched struct {
	rate, burst int64 // thousandths of a packet: a ms adds rate
	tokens      int64
	lastFill    int64 // ms
	queues      []*pinQueue
	next        int // queue to serve next
	nQueued     int

	nNormal, nLimited, nDropped uint64
}

type pinQueue struct {
	port uint32
	msgs [][]byte
}

// newPinsched limits to rate packets a second, burst at once; 0 stands for defaults.
func newPinsched(rate, burst int, now int64) *pinsched {
	p := &pinsched{lastFill: now}
	p.setLimits(rate, burst)
	p.tokens = p.burst
	return p
}

func (p *pinsched) setLimits(rate, burst int) {
	if rate <= 0 {
		rate = 1000
	}
	if burst <= 0 {
		burst = rate / 4
	}
	burst = max(burst, 1)
	p.rate, p.burst = int64(rate), int64(burst)*1000
	p.tokens = min(p.tokens, p.burst)
	for p.nQueued > burst {
		p.drop()
	}
}

// token takes what one packet costs, if there is enough.
func (p *pinsched) token(now int64) bool {
	const cost = 1000
	if p.tokens < cost {
		if now > p.lastFill {
			add := (now - p.lastFill) * p.rate
			p.lastFill = now
			p.tokens = min(p.tokens+add, p.burst)
		}
		if p.tokens < cost {
			return false
		}
	}
	p.tokens -= cost
	return true
}

// send returns b if it may be sent at once, nil if it waits or was dropped.
func (p *pinsched) send(port uint32, b []byte, now int64) []byte {
	if p == nil {
		return b
	}
	if p.nQueued == 0 && p.token(now) {
		p.nNormal++
		return b
	}
	if int64(p.nQueued)*1000 >= p.burst {
		p.drop()
	}
	q := p.queue(port)
	q.msgs = append(q.msgs, b)
	p.nQueued++
	p.nLimited++
	return nil
}

func (p *pinsched) queue(port uint32) *pinQueue {
	for _, q := range p.queues {
		if q.port == port {
			return q
		}
	}
	q := &pinQueue{port: port}
	p.queues = append(p.queues, q)
	return q
}

// drop removes a message from the longest queue.
func (p *pinsched) drop() {
	longest := 0
	for i, q := range p.queues {
		if len(q.msgs) > len(p.queues[longest].msgs) {
			longest = i
		}
	}
	p.nDropped++
	p.take(longest)
}

func (p *pinsched) take(i int) []byte {
	q := p.queues[i]
	b := q.msgs[0]
	q.msgs = q.msgs[1:]
	p.nQueued--
	if len(q.msgs) == 0 {
		p.queues = append(p.queues[:i], p.queues[i+1:]...)
		if p.next > i {
			p.next--
		}
	}
	return b
}

// run passes messages whose time has come to fn.
func (p *pinsched) run(now int64, fn func([]byte)) {
	if p == nil {
		return
	}
	for range 50 {
		if p.nQueued == 0 || !p.token(now) {
			return
		}
		if p.next >= len(p.queues) {
			p.next = 0
		}
		i := p.next
		p.next++
		fn(p.take(i))
	}
}

func (p *pinsched) wait(s *poll.Set) {
	if p == nil || p.nQueued == 0 {
		return
	}
	if p.tokens >= 1000 {
		s.Immediate()
		return
	}
	need := 1000 - p.tokens
	s.Timer(p.lastFill + int64(math.Ceil(float64(need)/float64(p.rate))))
}
