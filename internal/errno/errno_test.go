package errno

import (
	"errors"
	"fmt"
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func TestText(t *testing.T) {
	_, missing := os.Open("/nowhere/at/all")
	for _, tc := range []struct {
		err  error
		want string
		no   int
	}{
		{nil, "", 0}, {io.EOF, "End of file", 0}, {unix.ECONNREFUSED, "Connection refused", 111},
		{fmt.Errorf("x: %w", unix.EAGAIN), "Resource temporarily unavailable", 11},
		{missing, "No such file or directory", 2}, {errors.New("own words"), "own words", 0},
		{unix.EPROTO, "Protocol error", 71}, {unix.Errno(0), "Success", 0},
	} {
		if got := Text(tc.err); got != tc.want || Number(tc.err) != tc.no {
			t.Errorf("%v: %q %d", tc.err, got, Number(tc.err))
		}
	}
}
