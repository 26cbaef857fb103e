package connmgr

import (
	"math"

	"sluice/ofproto/ofp"
	"sluice/ofproto/ofp/oferr"
)

// assembler puts multipart requests together, by transaction id.
type assembler struct {
	partial []*partialRequest // oldest first
	size    int               // of all parts
}

type partialRequest struct {
	xid     uint32
	raw     ofp.Raw
	hasBody bool
	size    int
	timeout int64 // ms
	msgs    [][]byte
}

const (
	partTimeoutMs  = 1000
	maxPartsSize   = 4 << 20  // of a request
	maxAllParts    = 16 << 20 // of a connection's requests
	maxPartialReqs = 64
)

// add takes a message and returns a complete request, or none while parts are
// missing.
func (a *assembler) add(b []byte, now int64) ([][]byte, error) {
	if !IsMultipartRequest(b) {
		return [][]byte{b}, nil
	}
	h, err := ofp.DecodePartialHeader(b)
	if err != nil {
		return nil, err
	}
	more := h.Version >= ofp.OF13 && h.Flags&ofp.MultipartMore != 0
	hasBody := len(b) > h.BodyOff
	if hasBody {
		if _, err := ofp.DecodeHeader(b); err != nil {
			return nil, err
		}
	}
	p := a.find(h.XID)
	if p == nil {
		if !more {
			if !hasBody {
				if _, err := ofp.DecodeHeader(b); err != nil {
					return nil, err
				}
			}
			return [][]byte{b}, nil
		}
		if len(a.partial) >= maxPartialReqs {
			return nil, oferr.OFPBRC_MULTIPART_BUFFER_OVERFLOW
		}
		p = &partialRequest{xid: h.XID, raw: h.Raw}
		a.partial = append(a.partial, p)
	}
	p.timeout = now + partTimeoutMs
	p.size += len(b)
	a.size += len(b)
	p.hasBody = p.hasBody || hasBody
	switch {
	case p.raw != h.Raw:
		err = oferr.OFPBRC_BAD_STAT
	case p.size > maxPartsSize, a.size > maxAllParts:
		err = oferr.OFPBRC_MULTIPART_BUFFER_OVERFLOW
	case !more && !p.hasBody:
		_, err = ofp.DecodeHeader(b)
	}
	if err != nil {
		a.remove(p)
		return nil, err
	}
	p.msgs = append(p.msgs, b)
	if more {
		return nil, nil
	}
	a.remove(p)
	return p.bodies(), nil
}

// bodies returns the parts that have a body, or one if none has.
func (p *partialRequest) bodies() [][]byte {
	var out [][]byte
	for _, b := range p.msgs {
		if h, err := ofp.DecodePartialHeader(b); err == nil && len(b) > h.BodyOff {
			out = append(out, b)
		}
	}
	if len(out) == 0 {
		return p.msgs[:1]
	}
	return out
}

// run gives up requests whose parts do not come, and returns the errors to send.
func (a *assembler) run(now int64) [][]byte {
	var errs [][]byte
	for i := 0; i < len(a.partial); {
		p := a.partial[i]
		if now < p.timeout {
			i++
			continue
		}
		b := p.msgs[len(p.msgs)-1]
		errs = append(errs, ofp.ErrorReply(oferr.OFPBRC_MULTIPART_REQUEST_TIMEOUT, errorVersion(b), b))
		a.remove(p)
	}
	return errs
}

// next returns when run has something to do.
func (a *assembler) next() int64 {
	at := int64(math.MaxInt64)
	for _, p := range a.partial {
		at = min(at, p.timeout)
	}
	return at
}

func (a *assembler) find(xid uint32) *partialRequest {
	for _, p := range a.partial {
		if p.xid == xid {
			return p
		}
	}
	return nil
}

func (a *assembler) remove(p *partialRequest) {
	for i, x := range a.partial {
		if x == p {
			a.partial = append(a.partial[:i], a.partial[i+1:]...)
			a.size -= p.size
			return
		}
	}
}

// IsMultipartRequest reports whether b is framed as one, whatever is inside.
func IsMultipartRequest(b []byte) bool {
	switch ofp.Version(b[0]) {
	case ofp.OF10:
		return b[1] == 16
	default:
		return b[1] == 18
	}
}
