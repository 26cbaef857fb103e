package vnet

import (
	"golang.org/x/sys/unix"

	"sluice/netdev/packet"
)

// maxIovs is the most iovecs of one packet: its header and frames.  A chain that
// others built of half-filled frames may be longer than Frames.
const maxIovs = 2*Frames + 2

// Sender sends batches through a packet socket or a tap descriptor.
//
// Thread-safety: none; the queue's owner locks.
type Sender struct {
	hdrs [packet.BatchSize][HdrSize]byte
	iovs [packet.BatchSize][maxIovs]unix.Iovec
	lens [packet.BatchSize]int // iovecs in use
	msgs []mmsghdr
}

// NewSender makes a Sender.
func NewSender() *Sender { return &Sender{msgs: make([]mmsghdr, packet.BatchSize)} }

// prepare points the iovecs of place k at packet i; it fails for a chain that is
// too long.
func (s *Sender) prepare(p *packet.Pool, k int, i packet.Index) bool {
	encode(p, i, &s.hdrs[k])
	setIov(&s.iovs[k][0], s.hdrs[k][:])
	n := 1
	for ; i != 0; i = p.Meta(i).Next {
		if n == maxIovs {
			return false
		}
		if b := p.Data(i); len(b) > 0 {
			setIov(&s.iovs[k][n], b)
			n++
		}
	}
	s.lens[k] = n
	return true
}

// SendMmsg sends the packets of b through packet socket fd, frees them and
// returns how many went.
func (s *Sender) SendMmsg(fd int, c *packet.Cache, b *packet.Batch) (sent int) {
	n := 0
	for _, i := range b.Slice() {
		if s.prepare(c.Pool(), n, i) {
			armSend(&s.msgs[n], s.iovs[n][:s.lens[n]])
			n++
		}
	}
	for at := 0; at < n; {
		k, err := sendmmsg(fd, s.msgs[at:n])
		switch {
		case err == unix.EINTR:
		case err != nil:
			// The first packet is the one that failed: the rest may still go.
			at++
			if err == unix.EAGAIN || err == unix.ENOBUFS || err == unix.ENETDOWN {
				at = n
			}
		default:
			at += k
			sent += k
		}
	}
	c.FreeBatch(b)
	return sent
}

// Writev sends the packets of b through tap descriptor fd, frees them and
// returns how many went.
func (s *Sender) Writev(fd int, c *packet.Cache, b *packet.Batch) (sent int) {
	for _, i := range b.Slice() {
		if !s.prepare(c.Pool(), 0, i) {
			continue
		}
		for {
			_, err := writev(fd, s.iovs[0][:s.lens[0]])
			if err == nil {
				sent++
			}
			if err != unix.EINTR {
				break
			}
		}
	}
	c.FreeBatch(b)
	return sent
}
