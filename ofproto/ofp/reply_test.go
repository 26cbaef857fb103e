package ofp

import (
	"fmt"
	"testing"

	"sluice/dpif/flow"
	"sluice/ofproto/ofp/oferr"
)

// TestReplyBuilder fills a reply with more flows than one message holds.
func TestReplyBuilder(t *testing.T) {
	const nFlows = 3000
	for v := OF10; v <= OF15; v++ {
		request := Encode(v, 7, &FlowStatsRequest{OutPort: flow.OFPNone, OutGroup: GroupAny, TableID: TableAll})
		h, err := DecodeHeader(request)
		if err != nil {
			t.Fatal(err)
		}
		r := NewReplyBuilder(h, DefaultProtocol(v))
		for i := range uint64(nFlows) {
			r.Add(&FlowStats{Cookie: i, IdleAge: -1, HardAge: -1})
		}
		parts := r.Parts()
		if len(parts) < 2 {
			t.Fatalf("%v: %d parts", v, len(parts))
		}
		next := uint64(0)
		for i, part := range parts {
			h, m, err := new(Context).Decode(part)
			if err != nil {
				t.Fatalf("%v: part %d: %v", v, i, err)
			}
			reply := m.(*FlowStatsReply)
			if h.XID != 7 || reply.More != (i < len(parts)-1) {
				t.Errorf("%v: part %d: xid %d, more %v", v, i, h.XID, reply.More)
			}
			if i < len(parts)-1 && len(part) < MaxLen-200 {
				t.Errorf("%v: part %d has only %d bytes", v, i, len(part))
			}
			for _, f := range reply.Flows {
				if f.Cookie != next {
					t.Fatalf("%v: flow %d, want %d", v, f.Cookie, next)
				}
				next++
			}
		}
		if next != nFlows {
			t.Errorf("%v: %d flows", v, next)
		}
	}
}

func TestEmptyReply(t *testing.T) {
	h, err := DecodeHeader(Encode(OF13, 1, &PortStatsRequest{PortNo: flow.OFPNone}))
	if err != nil {
		t.Fatal(err)
	}
	r := NewReplyBuilder(h, DefaultProtocol(OF13))
	if !r.Empty() {
		t.Error("not empty")
	}
	got := Format(r.Parts()[0], nil, 1)
	if want := "OFPST_PORT reply (OF1.3) (xid=0x1): 0 ports\n"; got != want {
		t.Errorf("got %q", got)
	}
}

// TestReplyLayouts checks that each multipart request has a reply in each version.
func TestReplyLayouts(t *testing.T) {
	for r := RawInvalid + 1; r < nRaws; r++ {
		info := &rawTable[r]
		if !info.multipart() || info.isReply() {
			continue
		}
		for v := info.min; v <= info.max; v++ {
			reply := replyOf(r, v)
			if reply == RawInvalid || !rawTable[reply].isReply() {
				t.Errorf("%v of %v has no reply", r, v)
			}
		}
	}
}

// TestUnsayable encodes messages for versions that do not have them.
func TestUnsayable(t *testing.T) {
	for _, c := range []struct {
		m     Msg
		since Version
	}{
		{&MeterMod{}, OF13}, {&RoleStatus{}, OF13}, {&TableStatus{}, OF14}, {&TableMod{}, OF11},
		{&BundleCtrl{}, OF13}, {&TableDescReply{}, OF14}, {&Empty{Kind: TypeGetAsyncRequest}, OF13},
	} {
		for v := OF10; v <= OF15; v++ {
			if got := len(Encode(v, 1, c.m)) > 0; got != (v >= c.since) {
				t.Errorf("%v in %v: encoded %v", c.m.Type(), v, got)
			}
		}
	}
}

type testNames struct{}

func (testNames) PortName(p uint32) string {
	return map[uint32]string{1: "eth0", 2: "a b", 3: "7up"}[p]
}
func (testNames) PortByName(string) (uint32, bool) { return 0, false }
func (testNames) TableName(id uint8) string {
	return map[uint8]string{0: "first", 5: "x-y"}[id]
}
func (testNames) TableByName(string) (uint8, bool) { return 0, false }

func TestNames(t *testing.T) {
	names := &Names{Ports: testNames{}, Tables: testNames{}}
	m := &FlowMod{OutPort: 2, OutGroup: GroupAny, BufferID: NoBuffer, TableID: 5, Priority: 0x8000, Command: FlowDelete}
	m.Match.Flow.InPort, m.Match.Mask.InPort = 1, 0xffffffff
	got := Format(Encode(OF13, 1, m), names, 1)
	want := "OFPT_FLOW_MOD (OF1.3) (xid=0x1): DEL table:\"x-y\" in_port=eth0 out_port:\"a b\" actions=drop\n"
	if got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestHello(t *testing.T) {
	for _, c := range []struct {
		offer VersionBitmap
		size  int // a bitmap is sent only if there are gaps
		want  VersionBitmap
	}{
		{AllVersions, 8, AllVersions},
		{1 << OF10, 8, 1 << OF10},
		{1<<OF10 | 1<<OF13, 16, 1<<OF10 | 1<<OF13},
		{1 << OF13, 16, 1 << OF13},
	} {
		b := EncodeHello(c.offer, 1)
		m, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if h := m.(*Hello); len(b) != c.size || h.Versions != c.want || h.Malformed {
			t.Errorf("offer %v: %d bytes, %+v", c.offer, len(b), h)
		}
	}
	// A version that nobody knows yet is understood down to what it implies.
	m, err := Decode([]byte{9, 0, 0, 8, 0, 0, 0, 1})
	if err != nil || m.(*Hello).Versions != 0x3fe {
		t.Errorf("version 9: %+v, %v", m, err)
	}
	if got, want := AllVersions.String(), "0x01, 0x02, 0x03, 0x04, 0x05, 0x06"; got != want {
		t.Errorf("got %q", got)
	}
}

func TestErrorReplies(t *testing.T) {
	request := Encode(OF10, 0x55, &Empty{Kind: TypeBarrierRequest})
	for v := OF10; v <= OF15; v++ {
		for name, want := range map[string]string{
			"OFPBRC_BAD_TYPE": "OFPBRC_BAD_TYPE", "NXBRC_MUST_BE_ZERO": "NXBRC_MUST_BE_ZERO",
		} {
			code, ok := oferr.FromName(name)
			if !ok {
				t.Fatal(name)
			}
			b := ErrorReply(code, v, request)
			m, err := Decode(b)
			if err != nil {
				t.Fatalf("%v in %v: %v\n%s", name, v, err, Format(b, nil, 1))
			}
			if got, _ := m.(*Error).Code(v); fmt.Sprint(got) != want {
				t.Errorf("%v in %v comes back as %v", name, v, got)
			}
		}
	}
}
