package match

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"sluice/ofproto/ofp/field"
	"sluice/ofproto/ofp/ofver"
)

// fromText reads matches in the notation of `ovs-ofctl parse-nxm`.
func fromText(t testing.TB, s string) (b []byte) {
	if s == "<any>" {
		return nil
	}
	for s = strings.TrimLeft(s, ", "); s != ""; s = strings.TrimLeft(s, ", ") {
		name, rest, _ := strings.Cut(s, "(")
		body, after, ok := strings.Cut(rest, ")")
		if !ok {
			t.Fatalf("%s: bad syntax", s)
		}
		v, m, masked := strings.Cut(body, "/")
		value, mask := unhex(v), unhex(m)
		h := headerByName(t, name)
		h = h.WithPayload(len(value), masked || h.HasMask())
		if h.Experimenter() {
			b = be.AppendUint64(b, uint64(h))
		} else {
			b = be.AppendUint32(b, uint32(h>>32))
		}
		b = append(append(b, value...), mask...)
		s = after
	}
	return b
}

func unhex(s string) []byte {
	b, _ := hex.DecodeString(strings.ReplaceAll(strings.ReplaceAll(s, " ", ""), ".", ""))
	return b
}

func headerByName(t testing.TB, name string) field.Header {
	switch strings.TrimSuffix(name, "_W") {
	case "NXM_NX_COOKIE":
		return field.CookieHeader.WithPayload(8, strings.HasSuffix(name, "_W"))
	}
	if id, wild, ok := field.ByWireName(name); ok {
		for _, w := range field.Get(id).IDs {
			if w.Name == strings.TrimSuffix(name, "_W") {
				return w.Header.WithPayload(int(field.Get(id).Size), wild)
			}
		}
	}
	n, err := strconv.ParseUint(name, 16, 64)
	if err != nil {
		t.Fatalf("unknown field %s", name)
	}
	if len(name) == 8 {
		n <<= 32
	}
	return field.Header(n)
}

// toText is the inverse of fromText.
func toText(b []byte) string {
	if len(b) == 0 {
		return "<any>"
	}
	var parts []string
	for len(b) > 0 {
		h, n, err := field.PullHeader(b)
		if err != nil || len(b) < n+h.PayloadLen() {
			parts = append(parts, fmt.Sprintf("<%d invalid bytes>", len(b)))
			break
		}
		data := b[n : n+h.PayloadLen()]
		b = b[n+h.PayloadLen():]
		name := fmt.Sprintf("%d:%d", h.Class(), h.Num())
		if id, ok := field.ByHeader(h); ok {
			for _, w := range field.Get(id).IDs {
				if (w.Header^h)&^(0x1ff<<32) == 0 {
					name = w.Name
				}
			}
		} else if (h^field.CookieHeader)&^(0x1ff<<32) == 0 {
			name = "NXM_NX_COOKIE"
		}
		if h.HasMask() {
			name += "_W"
			data, mask := data[:len(data)/2], data[len(data)/2:]
			parts = append(parts, fmt.Sprintf("%s(%x/%x)", name, data, mask))
		} else {
			parts = append(parts, fmt.Sprintf("%s(%x)", name, data))
		}
	}
	return strings.Join(parts, ", ")
}

type nxmCase struct {
	ver     ofver.Version
	loose   bool
	in, out string
}

func nxmCases(t testing.TB) (cs []nxmCase) {
	f, err := os.Open("testdata/nxm.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		tag := sc.Text()
		if strings.HasPrefix(tag, "#") {
			continue
		}
		sc.Scan()
		in := sc.Text()
		sc.Scan()
		v, how, _ := strings.Cut(tag, " ")
		c := nxmCase{loose: how == "loose", in: in, out: sc.Text()}
		if v != "nxm" {
			n, _ := strconv.Atoi(v)
			c.ver = ofver.OF10 + ofver.Version(n-10)
		}
		cs = append(cs, c)
	}
	return cs
}

// Decoding and encoding gives what stock ovs-ofctl gives.
func TestRecordedNXM(t *testing.T) {
	bad := 0
	for _, c := range nxmCases(t) {
		var m Match
		var cookie Cookie
		cp := &cookie
		if c.ver != 0 {
			cp = nil
		}
		raw := fromText(t, c.in)
		var got string
		if err := m.Decode(raw, Options{Loose: c.loose}, cp); err != nil {
			got = fmt.Sprintf("nx_pull_match() returned error %v", err)
		} else {
			got = toText(m.AppendEntries(nil, c.ver, cookie))
		}
		if got != c.out {
			t.Errorf("version %d loose %v: %s\n got %s\nwant %s", c.ver, c.loose, c.in, got, c.out)
			if bad++; bad > 20 {
				t.FailNow()
			}
		}
	}
}
