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
