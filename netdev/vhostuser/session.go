package vhostuser

import (
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// session is one connection to a front end: a goroutine that answers its messages.
// Memory belongs to the session; rings it shares with the polling threads, by their
// locks.
type session struct {
	d        *Device
	fd       int
	features uint64
	proto    uint64
	status   uint64
	mem      *memory
	pairs    int // pairs that the front end knows of
	oob      [oobSize]byte
}

// serve answers messages until the connection ends or the front end breaks the
// protocol.
func (s *session) serve() error {
	for {
		m, err := s.receive()
		if err != nil {
			return err
		}
		if err = m.check(); err == nil {
			err = s.handle(m)
		}
		closeAll(m.fds)
		if err != nil {
			return err
		}
	}
}

// receive reads one message with its descriptors.
func (s *session) receive() (*message, error) {
	var hdr [headerSize]byte
	m := &message{}
	if err := s.readFull(hdr[:], m); err != nil {
		closeAll(m.fds)
		return nil, err
	}
	req, flags, size, err := parseHeader(hdr[:])
	if err != nil {
		closeAll(m.fds)
		return nil, err
	}
	m.req, m.flags, m.payload = req, flags, make([]byte, size)
	if err := s.readFull(m.payload, m); err != nil {
		closeAll(m.fds)
		return nil, err
	}
	return m, nil
}

// oobSize is room for the descriptors of one message.
const oobSize = 256

// readFull fills b, collecting descriptors on the way.
func (s *session) readFull(b []byte, m *message) error {
	for len(b) > 0 {
		if !s.d.waitFor(s.fd, unix.POLLIN, -1) {
			return errStopped
		}
		n, oobn, flags, _, err := unix.Recvmsg(s.fd, b, s.oob[:], unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err != nil:
			return err
		}
		if oobn > 0 {
			m.fds = append(m.fds, rights(s.oob[:oobn])...)
		}
		if flags&unix.MSG_CTRUNC != 0 || len(m.fds) > maxMemSlots {
			return violation("too many descriptors")
		}
		if n == 0 {
			return io.EOF
		}
		b = b[n:]
	}
	return nil
}

func rights(oob []byte) []int {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil
	}
	var fds []int
	for i := range msgs {
		if got, err := unix.ParseUnixRights(&msgs[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}

func closeAll(fds []int) {
	for _, fd := range fds {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

// takeFd takes the message's only descriptor away from it.
func (m *message) takeFd() int {
	fd := m.fds[0]
	m.fds[0] = -1
	return fd
}

// replyLimitMs is how long a front end may take to read a reply.
const replyLimitMs = 5000

// send writes a reply; a front end that does not read is cut off.
func (s *session) send(b []byte) error {
	for len(b) > 0 {
		if !s.d.waitFor(s.fd, unix.POLLOUT, replyLimitMs) {
			return errors.New("front end does not read replies")
		}
		n, err := unix.SendmsgN(s.fd, b, nil, nil, unix.MSG_NOSIGNAL)
		if err != nil && err != unix.EINTR && err != unix.EAGAIN {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// handle does what one message asks and replies.
func (s *session) handle(m *message) error {
	answer, err := s.dispatch(m)
	if err != nil && errors.Is(err, errProtocol) {
		return err
	}
	if answer != nil {
		return s.send(answer)
	}
	failed := uint64(0)
	if err != nil {
		log.WarnRL(rl, "%s: vhost-user request %d fails: %v", s.d.Name(), m.req, err)
		failed = 1
	}
	if m.flags&flagNeedReply != 0 && s.proto&protoReplyAck != 0 {
		return s.send(replyU64(m.req, failed))
	}
	return nil
}

// dispatch returns the reply of a request that has one of its own.
func (s *session) dispatch(m *message) ([]byte, error) {
	switch m.req {
	case reqGetFeatures:
		return replyU64(m.req, offeredFeatures), nil
	case reqSetFeatures:
		return nil, s.setFeatures(m.u64())
	case reqResetOwner:
		s.stopRings()
	case reqGetProtocolFeatures:
		return replyU64(m.req, offeredProto), nil
	case reqSetProtocolFeatures:
		if v := m.u64() &^ offeredProto; v != 0 {
			return nil, violation("protocol features %#x were not offered", v)
		}
		s.proto = m.u64()
	case reqGetQueueNum:
		return replyU64(m.req, uint64(s.d.maxPairs.Load())), nil
	case reqSetMemTable:
		return nil, s.setMemTable(m)
	case reqGetMaxMemSlots:
		return replyU64(m.req, maxMemSlots), nil
	case reqAddMemReg:
		return nil, s.addMemReg(m)
	case reqRemMemReg:
		return nil, s.remMemReg(m)
	case reqSetVringNum, reqSetVringBase, reqSetVringEnable:
		return nil, s.setVring(m)
	case reqSetVringAddr:
		return nil, s.setVringAddr(m)
	case reqGetVringBase:
		return s.getVringBase(m)
	case reqSetVringKick, reqSetVringCall, reqSetVringErr:
		return nil, s.setVringFd(m)
	case reqNetSetMTU:
		if v := m.u64(); v < 68 || v > 65535 {
			return nil, errors.New("MTU is out of range")
		}
		s.d.guestMTU.Store(int64(m.u64()))
	case reqSetStatus:
		if s.status = m.u64(); s.status == 0 {
			s.stopRings()
		}
	case reqGetStatus:
		return replyU64(m.req, s.status), nil
	}
	return nil, nil // SET_OWNER and SEND_RARP tell nothing that is of use
}

func (s *session) setFeatures(v uint64) error {
	if v&^offeredFeatures != 0 {
		return violation("features %#x were not offered", v&^offeredFeatures)
	}
	if v != s.features {
		for _, r := range s.d.madeRings() {
			if r != nil {
				r.mu.Lock()
				r.stop()
				r.mu.Unlock()
			}
		}
	}
	s.features = v
	s.d.features.Store(v)
	s.d.notify()
	return s.startRings()
}

// ring returns the ring that a message is about.
func (s *session) ring(index uint32) (*ring, error) {
	if index >= 2*maxPairs {
		return nil, violation("ring %d", index)
	}
	s.pairs = max(s.pairs, int(index)/2+1)
	return s.d.ring(int(index)), nil
}

// setVring sets a number of a ring: its size, position or whether it is enabled.
func (s *session) setVring(m *message) error {
	index, num := m.vringState()
	r, err := s.ring(index)
	if err != nil {
		return err
	}
	return s.configure(r, func() error {
		switch m.req {
		case reqSetVringNum:
			if num == 0 || num > maxRingSize {
				return violation("ring of %d entries", num)
			}
			r.stop()
			r.size = uint16(num)
		case reqSetVringBase:
			r.stop()
			r.setBase(num, s.features&featPacked != 0)
		case reqSetVringEnable:
			if r.enabled = num != 0; !r.enabled {
				r.stop()
			}
		}
		return nil
	})
}

func (s *session) setVringAddr(m *message) error {
	a := m.vringAddr()
	r, err := s.ring(a.index)
	if err != nil {
		return err
	}
	return s.configure(r, func() error {
		r.stop()
		r.addr, r.hasAddr = a, true
		return nil
	})
}

// configure changes a ring, and starts it when it has all it needs then.
func (s *session) configure(r *ring, change func() error) error {
	r.mu.Lock()
	was := r.running
	err := change()
	if err == nil {
		err = s.start(r)
	}
	changed := r.running != was
	r.mu.Unlock()
	if changed {
		s.d.linkChanged(s.pairs)
	}
	return err
}

// start starts a ring that has all it needs.  Without protocol features rings are
// enabled from the beginning.
func (s *session) start(r *ring) error {
	return r.start(s.mem, s.features, r.enabled || s.features&featProtocol == 0)
}

// startRings starts all rings that have what they need.
func (s *session) startRings() error {
	var first error
	for _, r := range s.d.madeRings() {
		if r == nil {
			continue
		}
		r.mu.Lock()
		if err := s.start(r); err != nil && first == nil {
			first = err
		}
		r.mu.Unlock()
	}
	s.d.linkChanged(s.pairs)
	return first
}

func (s *session) getVringBase(m *message) ([]byte, error) {
	index, _ := m.vringState()
	r, err := s.ring(index)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	base := r.base(s.features&featPacked != 0)
	r.closeKick()
	r.stop()
	r.mu.Unlock()
	s.d.linkChanged(s.pairs)
	ne := binary.NativeEndian
	return reply(m.req, ne.AppendUint32(ne.AppendUint32(nil, index), base)), nil
}

// setVringFd takes the eventfd of a ring: index(8) no-descriptor(bit 8).
func (s *session) setVringFd(m *message) error {
	v := m.u64()
	r, err := s.ring(uint32(v & 0xff))
	if err != nil {
		return err
	}
	none := v&(1<<8) != 0
	if none != (len(m.fds) == 0) || len(m.fds) > 1 {
		return violation("request %d with %d descriptors", m.req, len(m.fds))
	}
	fd := -1
	if !none {
		if !isEventfd(m.fds[0]) {
			return violation("request %d with a descriptor that is no eventfd", m.req)
		}
		if m.req == reqSetVringErr {
			return nil // nothing is told by it
		}
		fd = m.takeFd()
		if err := unix.SetNonblock(fd, true); err != nil {
			unix.Close(fd)
			return err
		}
	}
	return s.configure(r, func() error {
		switch m.req {
		case reqSetVringCall:
			r.setCall(fd)
		case reqSetVringKick:
			return r.setKick(fd)
		}
		return nil
	})
}

func (s *session) setMemTable(m *message) error {
	table, err := m.memTable()
	if err != nil {
		return err
	}
	next := &memory{}
	for i, reg := range table {
		more, err := next.add(reg, m.fds[i])
		if err != nil {
			next.unmap()
			return err
		}
		next = more
	}
	return s.replaceMemory(next, s.mem)
}

// replaceMemory makes next the memory of all rings and unmaps gone.
func (s *session) replaceMemory(next, gone *memory) error {
	s.mem = next
	if len(next.regions) > 0 {
		s.d.node.Store(int64(numaNode(next.regions[0].mem)))
	}
	for _, r := range s.d.madeRings() {
		if r != nil {
			r.mu.Lock()
			r.stop()
			r.mu.Unlock()
		}
	}
	gone.unmap()
	return s.startRings()
}

func (s *session) addMemReg(m *message) error {
	next, err := s.mem.add(m.memReg(), m.fds[0])
	if err != nil {
		return err
	}
	return s.replaceMemory(next, nil)
}

func (s *session) remMemReg(m *message) error {
	if len(m.fds) > 1 {
		return violation("REM_MEM_REG with %d descriptors", len(m.fds))
	}
	gone, rest := s.mem.split(m.memReg())
	if len(gone.regions) == 0 {
		return violation("REM_MEM_REG of a region that is not there")
	}
	return s.replaceMemory(rest, gone)
}

// stopRings stops all rings (reset of the device); they have to be set up again.
func (s *session) stopRings() {
	for _, r := range s.d.madeRings() {
		if r != nil {
			r.mu.Lock()
			r.stop()
			r.closeKick()
			r.mu.Unlock()
		}
	}
	s.d.linkChanged(s.pairs)
}

// end gives up what the session has.
func (s *session) end() {
	for _, r := range s.d.madeRings() {
		if r != nil {
			r.mu.Lock()
			r.stop()
			r.closeKick()
			r.setCall(-1)
			r.reset()
			r.mu.Unlock()
		}
	}
	s.mem.unmap()
	s.mem = nil
	s.d.features.Store(0)
	s.d.guestMTU.Store(0)
	s.d.linkChanged(s.pairs)
	unix.Close(s.fd)
}
