package conntrack

import (
	"bytes"
	"encoding/binary"
	"testing"

	"sluice/dpif/odp"
	"sluice/netdev/packet"
)

// cut splits an IP packet into fragments of size bytes of payload (a multiple of 8).
func cut(ip []byte, size int) (out [][]byte) {
	header := ip[:20]
	if ip[0]>>4 == 6 {
		header = append(bytes.Clone(ip[:40]), ip[6], 0, 0, 0, 0, 0, 0, 9)
		header[6] = 44
	}
	body := ip[20:]
	if ip[0]>>4 == 6 {
		body = ip[40:]
	}
	for at := 0; at < len(body); at += size {
		part := body[at:min(at+size, len(body))]
		h := bytes.Clone(header)
		more := at+size < len(body)
		if h[0]>>4 == 6 {
			off := uint16(at)
			if more {
				off |= 1
			}
			binary.BigEndian.PutUint16(h[42:], off)
			binary.BigEndian.PutUint16(h[4:], uint16(8+len(part)))
		} else {
			off := uint16(at / 8)
			if more {
				off |= 0x2000
			}
			binary.BigEndian.PutUint16(h[2:], uint16(20+len(part)))
			binary.BigEndian.PutUint16(h[6:], off)
			h[10], h[11] = 0, 0
			binary.BigEndian.PutUint16(h[10:], packet.Checksum(h))
		}
		out = append(out, append(h, part...))
	}
	return out
}

// join puts fragments, in order, together again.
func join(frags [][]byte) []byte {
	n, ip := 20, bytes.Clone(frags[0])
	if ip[0]>>4 == 6 {
		n = 48
	}
	for _, f := range frags[1:] {
		ip = append(ip, f[n:]...)
	}
	return ip[n:]
}

// feed sends IP packets one by one and returns what comes out, from the IP header.
func (b *bench) feed(arg odp.CTArg, ips ...[]byte) (out [][]byte, states []string) {
	for _, ip := range ips {
		eth := make([]byte, 14)
		eth[12], eth[13] = 0x08, 0x00
		if ip[0]>>4 == 6 {
			eth[12], eth[13] = 0x86, 0xdd
		}
		i := b.c.New(append(eth, ip...))
		b.extract(i)
		var batch packet.Batch
		batch.Add(i)
		b.ct.Execute(b.c, &batch, &arg, b.now)
		for _, j := range batch.Slice() {
			out = append(out, b.pool.AppendBytes(nil, j)[14:])
			states = append(states, stateText(b.pool.Meta(j).CTState))
			b.c.Free(j)
		}
	}
	return out, states
}

func TestFragments(t *testing.T) {
	for _, p := range []pkt{
		{src: hostA, dst: hostB, proto: protoUDP, sport: 5000, dport: 7, payload: 3000},
		{src: "fd00::1", dst: "fd00::2", proto: protoUDP, sport: 5000, dport: 7, payload: 3000},
	} {
		b := newBench(t)
		public, want := "10.9.9.9", p
		if p.src[0] == 'f' {
			public = "fd00::9"
		}
		want.src, want.sport = public, 77
		frags := cut(p.ip(), 1240)
		for _, order := range [][]int{{0, 1, 2}, {2, 0, 1}, {1, 2, 0}} {
			var in [][]byte
			for _, n := range order {
				in = append(in, frags[n])
			}
			out, states := b.feed(odp.CTArg{Commit: true, NAT: natTo(true, public, "", 77)}, in...)
			if len(out) != 3 || states[0] != states[2] || states[0] != "new|trk|snat" {
				t.Fatalf("%v: states %v", order, states)
			}
			body := want.ip()[20:]
			if p.src[0] == 'f' {
				body = want.ip()[40:]
			}
			if !bytes.Equal(join(out), body) {
				t.Errorf("%v: other payload", order)
			}
			for _, ip := range out {
				if ip[0]>>4 == 4 && packet.Checksum(ip[:20]) != 0 {
					t.Error("wrong IP checksum")
				}
			}
		}
		s, _ := b.ct.FragStatus()
		f := s.Family[family(uint16(map[bool]int{false: 0x800, true: 0x86dd}[p.src[0] == 'f']))]
		if s.Held != 0 || len(s.Lists) != 0 || f.Accepted != 9 || f.Completed != 9 {
			t.Errorf("status %+v", s)
		}
		if n := b.pool.Available(); n < 1000-2*32 {
			t.Errorf("frames are lost: %d left", n)
		}
	}
}

func TestBadFragments(t *testing.T) {
	b := newBench(t)
	p := pkt{src: hostA, dst: hostB, proto: protoUDP, sport: 5000, dport: 7, payload: 3000}
	frags := cut(p.ip(), 1240)
	// Too small.
	if _, states := b.feed(commit, cut(p.ip(), 800)[0]); len(states) != 1 || states[0] != "inv|trk" {
		t.Errorf("small fragment: %v", states)
	}
	// The same twice; incomplete.
	_, states := b.feed(commit, frags[0], frags[0], frags[2])
	if len(states) != 1 || states[0] != "inv|trk" {
		t.Errorf("overlap: %v", states)
	}
	s, _ := b.ct.FragStatus()
	want := "(src=10.1.1.1,dst=10.1.1.2,recirc_id=0,ip_id=0,dl_type=0x800,zone=0,nw_proto=17,num_fragments=2,state=first/last frag)"
	if s.Held != 2 || len(s.Lists) != 1 || s.Lists[0] != want || s.Family[0].Overlapped != 1 || s.Family[0].TooSmall != 1 {
		t.Errorf("status %+v", s)
	}
	// Too late: they go on as invalid with the next packet.
	b.now += fragTimeoutMs + 1
	_, states = b.feed(commit, udp(hostA, 5, hostB, 7).ip())
	if len(states) != 3 || states[0] != "new|trk" || states[1] != "inv" || states[2] != "inv" {
		t.Errorf("expired: %v", states)
	}
	// Without packets they are forgotten.
	b.feed(commit, frags[0])
	b.now += fragTimeoutMs + fragPurgeMs
	b.ct.Run(b.c, b.now)
	if s, _ = b.ct.FragStatus(); s.Held != 0 || s.Family[0].Purged != 1 || len(s.Lists) != 0 {
		t.Errorf("after purge %+v", s)
	}
	// Switched off.
	_ = b.ct.SetFragEnabled(false, false)
	if _, states = b.feed(commit, frags[0]); len(states) != 1 || states[0] != "inv|trk" {
		t.Errorf("disabled: %v", states)
	}
	if b.ct.SetFragMin(true, 399) == nil || b.ct.SetFragMax(5001) == nil {
		t.Error("limits out of range are accepted")
	}
}

// TestManyFragments: a packet of more fragments than a batch holds leaves with the
// batches that follow.
func TestManyFragments(t *testing.T) {
	b := newBench(t)
	_ = b.ct.SetFragMin(false, 400)
	p := pkt{src: hostA, dst: hostB, proto: protoUDP, sport: 5000, dport: 7, payload: 20000}
	frags := cut(p.ip(), 400)
	out, _ := b.feed(commit, frags...)
	if len(out) != packet.BatchSize {
		t.Errorf("%d fragments left at once", len(out))
	}
	more, _ := b.feed(track, udp(hostA, 9, hostB, 7).ip())
	if out = append(out, more[1:]...); len(out) != len(frags) || !bytes.Equal(join(out), p.ip()[20:]) {
		t.Errorf("%d of %d fragments", len(out), len(frags))
	}
}

func FuzzFragments(f *testing.F) {
	for _, p := range []pkt{{src: hostA, dst: hostB, proto: protoUDP, sport: 5000, dport: 7, payload: 900},
		{src: "fd00::1", dst: "fd00::2", proto: protoUDP, sport: 5000, dport: 7, payload: 900}} {
		frags := cut(p.ip(), 448)
		f.Add(frags[0], frags[1], frags[2])
	}
	b := newBench(f)
	f.Fuzz(func(t *testing.T, x, y, z []byte) {
		b.t, b.ct = t, New()
		_ = b.ct.SetFragMin(false, 400)
		_ = b.ct.SetFragMin(true, 400)
		for _, d := range [][]byte{x, y, z} {
			if len(d) > 0 && len(d) < 3000 {
				b.feed(odp.CTArg{Commit: true, NAT: natTo(true, "10.9.9.9", "")}, d)
			}
		}
		b.ct.Run(b.c, b.now+1<<20)
	})
}
