package bridge

import "testing"

func TestManagerTarget(t *testing.T) {
	for target, want := range map[string]string{
		"tcp:192.0.2.1":       "tcp:192.0.2.1:6640",
		"ssl:192.0.2.1:16640": "ssl:192.0.2.1:16640",
		"tcp:127.0.0.1:6640":  "",
		"tcp:127.0.0.2:6640":  "tcp:127.0.0.2:6640",
		"tcp:[2001:db8::1]":   "",
		"tcp:host:6640":       "",
		"ptcp:6640:192.0.2.1": "",
		"punix:/db.sock":      "",
		"tcp":                 "",
		"":                    "",
	} {
		if got, ok := managerTarget(target); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v; want %q", target, got, ok, want)
		}
	}
}

func TestLocalPrefix(t *testing.T) {
	for _, c := range [][3]string{
		{"10.1.2.3", "", "10.1.2.3/8"},
		{"172.20.1.1", "", "172.20.1.1/16"},
		{"192.168.5.6", "", "192.168.5.6/24"},
		{"10.1.2.3", "255.255.255.0", "10.1.2.3/24"},
		{"10.1.2.3", "255.255.255.255", "10.1.2.3/32"},
		{"10.1.2.3", "255.0.255.0", "10.1.2.3/8"},
		{"10.1.2.3", "0.0.0.0", "10.1.2.3/8"},
		{"10.1.2.3", "nonsense", "10.1.2.3/8"},
		{"225.0.0.1", "", ""},
		{"fe80::1", "", ""},
		{"", "255.255.255.0", ""},
	} {
		p, ok := localPrefix(c[0], c[1])
		if got := p.String(); ok != (c[2] != "") || ok && got != c[2] {
			t.Errorf("%s mask %s: %s, %v; want %s", c[0], c[1], got, ok, c[2])
		}
	}
}

func TestMapBool(t *testing.T) {
	for text, want := range map[string][2]bool{ // with the default false, true
		"": {false, true}, "true": {true, true}, "TRUE": {true, true}, "false": {false, false}, "False": {false, false},
		"yes": {false, true}, "1": {false, true}, "0": {false, true},
	} {
		m := map[string]string{"k": text}
		if got := [2]bool{mapBool(m, "k", false), mapBool(m, "k", true)}; got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
