package vhostuser

import (
	"encoding/binary"
	"errors"
	"io"

	"golang.org/x/sys/unix"
)

// session is one connection to a front end: a goroutine that answers its messages.
// Rings and memory belong to the session; the polling threads reach rings by their
// locks only.
type session struct {
	d        *Device
	fd       int
	features uint64
	proto    uint64
	status   uint64
	mem      *memory
	owned    bool
}

// serve answers messages until the connection ends or the front end breaks the
// protocol.
func (s *session) serve() error {
	for {
		m, err := s.receive()
		if err != nil {
			return err
		}
		err = s.handle(m)
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

// readFull fills b, collecting descriptors on the way.
func (s *session) readFull(b []byte, m *message) error {
	oob := make([]byte, unix.CmsgSpace(4*maxMemSlots))
	for len(b) > 0 {
		if !s.d.waitFor(s.fd, unix.POLLIN, -1) {
			return errStopped
		}
		n, oobn, flags, _, err := unix.Recvmsg(s.fd, b, oob, unix.MSG_CMSG_CLOEXEC)
		switch {
		case err == unix.EINTR || err == unix.EAGAIN:
			continue
		case err != nil:
			return err
		}
		if oobn > 0 {
			m.fds = append(m.fds, rights(oob[:oobn])...)
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

// send writes a reply; a front end that does not read is cut off.
func (s *session) send(b []byte) error {
	for len(b) > 0 {
		if !s.d.waitFor(s.fd, unix.POLLOUT, replyLimitMs) {
			return errors.New("front end does not read replies")
		}
		n, err := unix.Write(s.fd, b)
		if err != nil && err != unix.EINTR && err != unix.EAGAIN {
			return err
		}
		b = b[max(n, 0):]
	}
	return nil
}

// replyLimitMs is how long a front end may take to read a reply.
const replyLimitMs = 5000

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
		log.Warn("%s: vhost-user request %d fails: %v", s.d.Name(), m.req, err)
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
		return nil, s.setFeatures(m)
	case reqSetOwner:
		s.owned = true
	case reqResetOwner:
		s.stopRings()
	case reqGetProtocolFeatures:
		return replyU64(m.req, offeredProto), nil
	case reqSetProtocolFeatures:
		v, err := m.u64()
		if v&^offeredProto != 0 {
			return nil, violation("protocol features %#x were not offered", v&^offeredProto)
		}
		s.proto = v
		return nil, err
	case reqGetQueueNum:
		return replyU64(m.req, maxVringPair), nil
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
	case reqSendRARP, reqNetSetMTU:
		_, err := m.u64()
		return nil, err
	case reqSetStatus:
		v, err := m.u64()
		s.status = v
		if err == nil && v == 0 {
			s.stopRings()
		}
		return nil, err
	case reqGetStatus:
		return replyU64(m.req, s.status), nil
	default:
		return nil, errors.New("unknown request")
	}
	return nil, nil
}

func (s *session) setFeatures(m *message) error {
	v, err := m.u64()
	if err != nil {
		return err
	}
	if v&^offeredFeatures != 0 {
		return violation("features %#x were not offered", v&^offeredFeatures)
	}
	s.features = v
	s.d.setFeatures(v)
	if v&featProtocol == 0 {
		// Without protocol features rings are enabled from the beginning.
		for _, r := range s.d.rings() {
			r.mu.Lock()
			r.enabled = true
			r.mu.Unlock()
		}
	}
	return nil
}

// ring returns the ring that a message is about.
func (s *session) ring(index int) (*ring, error) {
	rings := s.d.rings()
	if index < 0 || index >= 2*maxVringPair {
		return nil, violation("ring %d", index)
	}
	if index >= len(rings) {
		return s.d.spareRing(index), nil
	}
	return rings[index], nil
}

// setVring sets a number of a ring: its size, position or whether it is enabled.
func (s *session) setVring(m *message) error {
	index, num, err := m.vringState()
	if err != nil {
		return err
	}
	r, err := s.ring(index)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	packed := s.features&featPacked != 0
	switch m.req {
	case reqSetVringNum:
		if num == 0 || num > maxRingSize || !packed && num&(num-1) != 0 {
			return violation("ring of %d entries", num)
		}
		r.stop()
		r.size = uint16(num)
	case reqSetVringBase:
		r.stop()
		r.setBase(num, packed)
	case reqSetVringEnable:
		r.enabled = num != 0
		if !r.enabled {
			r.stop()
		}
	}
	return s.tryStart(r)
}

func (s *session) setVringAddr(m *message) error {
	a, err := m.vringAddr()
	if err != nil {
		return err
	}
	r, err := s.ring(a.index)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stop()
	r.addr, r.hasAddr = a, true
	return s.tryStart(r)
}

// tryStart runs a ring that has all it needs now.
func (s *session) tryStart(r *ring) error {
	was := r.running
	err := r.start(s.mem, s.features)
	if r.running != was {
		s.d.linkChanged()
	}
	return err
}

func (s *session) getVringBase(m *message) ([]byte, error) {
	index, _, err := m.vringState()
	if err != nil {
		return nil, err
	}
	r, err := s.ring(index)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	base := r.base(s.features&featPacked != 0)
	s.d.closeKick(r)
	r.stop()
	r.mu.Unlock()
	s.d.linkChanged()
	ne := binary.NativeEndian
	return reply(m.req, ne.AppendUint32(ne.AppendUint32(nil, uint32(index)), base)), nil
}

// setVringFd takes the eventfd of a ring: index(8) no-descriptor(bit 8).
func (s *session) setVringFd(m *message) error {
	v, err := m.u64()
	if err != nil {
		return err
	}
	r, err := s.ring(int(v & 0xff))
	if err != nil {
		return err
	}
	none := v&(1<<8) != 0
	if none != (len(m.fds) == 0) || len(m.fds) > 1 {
		return violation("request %d with %d descriptors", m.req, len(m.fds))
	}
	if m.req == reqSetVringErr {
		return nil
	}
	fd := -1
	if !none {
		if !isEventfd(m.fds[0]) {
			return violation("request %d with a descriptor that is no eventfd", m.req)
		}
		fd = m.takeFd()
		if err := unix.SetNonblock(fd, true); err != nil {
			unix.Close(fd)
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m.req == reqSetVringCall {
		if r.call >= 0 {
			unix.Close(r.call)
		}
		r.call = fd
		if fd >= 0 && r.running {
			signal(fd) // what was published meanwhile is seen
		}
		return nil
	}
	s.d.closeKick(r)
	r.kick = fd
	s.d.watchKick(r)
	return s.tryStart(r)
}

func (s *session) setMemTable(m *message) error {
	table, err := m.memTable()
	if err != nil {
		return err
	}
	next := &memory{}
	for i, reg := range table {
		for _, o := range next.regions {
			if reg.overlaps(&o.region) {
				next.unmap()
				return violation("memory regions overlap at %#x", reg.guest)
			}
		}
		mp, err := mapRegion(reg, m.fds[i])
		if err != nil {
			next.unmap()
			return err
		}
		next.regions = append(next.regions, mp)
	}
	s.replaceMemory(next, s.mem)
	return nil
}

func (m *memory) unmap() {
	if m == nil {
		return
	}
	for _, r := range m.regions {
		r.unmap()
	}
}

// replaceMemory makes next the memory of all rings and unmaps gone.
func (s *session) replaceMemory(next, gone *memory) {
	for _, r := range s.d.allRings() {
		r.mu.Lock()
		was := r.running
		r.stop()
		if was {
			if err := r.start(next, s.features); err != nil {
				log.Warn("%s: ring stopped: %v", s.d.Name(), err)
			}
		}
		r.mu.Unlock()
	}
	s.mem = next
	gone.unmap()
	for _, r := range s.d.allRings() {
		r.mu.Lock()
		if err := s.tryStart(r); err != nil {
			log.Warn("%s: ring not started: %v", s.d.Name(), err)
		}
		r.mu.Unlock()
	}
	s.d.linkChanged()
}

func (s *session) addMemReg(m *message) error {
	reg, err := m.memReg()
	if err != nil {
		return err
	}
	if len(m.fds) != 1 {
		return violation("ADD_MEM_REG with %d descriptors", len(m.fds))
	}
	next := &memory{}
	if s.mem != nil {
		next.regions = append(next.regions, s.mem.regions...)
	}
	if len(next.regions) == maxMemSlots {
		return violation("more than %d memory regions", maxMemSlots)
	}
	for _, o := range next.regions {
		if reg.overlaps(&o.region) {
			return violation("memory regions overlap at %#x", reg.guest)
		}
	}
	mp, err := mapRegion(reg, m.fds[0])
	if err != nil {
		return err
	}
	next.regions = append(next.regions, mp)
	s.replaceMemory(next, nil)
	return nil
}

func (s *session) remMemReg(m *message) error {
	reg, err := m.memReg()
	if err != nil {
		return err
	}
	next, gone := &memory{}, &memory{}
	if s.mem != nil {
		for _, o := range s.mem.regions {
			if o.guest == reg.guest && o.size == reg.size && o.user == reg.user {
				gone.regions = append(gone.regions, o)
			} else {
				next.regions = append(next.regions, o)
			}
		}
	}
	if len(gone.regions) == 0 {
		return violation("REM_MEM_REG of a region that is not there")
	}
	s.replaceMemory(next, gone)
	return nil
}

// stopRings stops all rings (reset of the device).
func (s *session) stopRings() {
	for _, r := range s.d.allRings() {
		r.mu.Lock()
		r.stop()
		r.mu.Unlock()
	}
	s.d.linkChanged()
}

// end gives up what the session has.
func (s *session) end() {
	for _, r := range s.d.allRings() {
		r.mu.Lock()
		r.stop()
		s.d.closeKick(r)
		if r.call >= 0 {
			unix.Close(r.call)
		}
		r.call = -1
		r.size, r.hasAddr, r.enabled = 0, false, false
		r.lastAvail, r.lastUsed, r.availWrap, r.usedWrap = 0, 0, true, true
		r.mu.Unlock()
	}
	s.mem.unmap()
	s.mem = nil
	s.d.setFeatures(0)
	s.d.linkChanged()
	unix.Close(s.fd)
}
