package flow_test

import (
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"sluice/dpif/flow"
	"sluice/dpif/odp"
)

// ndExt is what stock's userspace datapath does not print.
var ndExt = regexp.MustCompile(`,nd_ext\([^)]*\)`)

// The file holds packets, what stock 3.1 extracts from them, and its hashes.
func TestExtractAsStock(t *testing.T) {
	data, err := os.ReadFile("testdata/extract.txt")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		text, want, _ := strings.Cut(line, " ")
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		var f flow.Flow
		m := flow.ExtractFlow(b, &flow.Flow{InPort: 7}, &f)
		flags := f.TCPFlags
		if f.NDOptType != 0 {
			flags = uint16(f.NDOptType) // stock keeps both in one field
		}
		key := ndExt.ReplaceAllString(string(odp.FormatKeyVerbose(nil, &f, nil, nil)), "")
		_, key, _ = strings.Cut(key, "packet_type(ns=0,id=0)")
		got := fmt.Sprintf("%s l25=%d l3=%d l4=%d h5=%08x l4h=%08x l3l4=%08x l3l4u=%08x l3h=%08x l2h=%08x es=%08x hb=%08x tcp=%03x",
			strings.TrimPrefix(key, ","), m.L25, m.L3, m.L4, f.Hash5Tuple(3), f.HashSymmetricL4(5), f.HashSymmetricL3L4(6, false),
			f.HashSymmetricL3L4(6, true), f.HashSymmetricL3(8), f.HashSymmetricL2(9), f.HashBy(flow.HashEthSrc, 4), flow.HashBytes(b, 77), flags)
		if got != want {
			t.Errorf("%s\n got %s\nwant %s", text, got, want)
		}
	}
}
