package logsink

import (
	"os"
	"strconv"
	"strings"
	"time"
)

// format appends a message in the form that a pattern describes; ovs-appctl(8)
// lists the conversions.
func (s *Sink) format(b []byte, pattern string, r *record) []byte {
	for i := 0; i < len(pattern); {
		if pattern[i] != '%' {
			b = append(b, pattern[i])
			i++
			continue
		}
		i++
		left, pad, width := false, byte(' '), 0
		if i < len(pattern) && pattern[i] == '-' {
			left = true
			i++
		}
		if i < len(pattern) && pattern[i] == '0' {
			pad = '0'
			i++
		}
		for i < len(pattern) && '0' <= pattern[i] && pattern[i] <= '9' {
			width = min(width*10+int(pattern[i]-'0'), 1000)
			i++
		}
		if i >= len(pattern) {
			break
		}
		conversion := pattern[i]
		i++
		arg := ""
		if strings.IndexByte("cdD", conversion) >= 0 && i < len(pattern) && pattern[i] == '{' {
			arg = pattern[i+1:]
			if end := strings.IndexByte(arg, '}'); end >= 0 {
				arg = arg[:end]
			}
			i = min(i+len(arg)+2, len(pattern))
		}
		start := len(b)
		b = s.convert(b, conversion, arg, r)
		b = padTo(b, start, width, pad, left)
	}
	return b
}

func padTo(b []byte, start, width int, pad byte, left bool) []byte {
	missing := width - (len(b) - start)
	if missing <= 0 {
		return b
	}
	used := len(b) - start
	for range missing {
		b = append(b, pad)
	}
	if !left {
		copy(b[start+missing:], b[start:start+used])
		for i := range missing {
			b[start+i] = pad
		}
	}
	return b
}

func (s *Sink) convert(b []byte, conversion byte, arg string, r *record) []byte {
	switch conversion {
	case 'A':
		return append(b, s.program...)
	case 'B':
		facility := int(s.facility.Load())
		if facility == 0 {
			facility = facilityLocal0
		}
		return strconv.AppendInt(b, int64(facility+syslogSeverity[r.level]), 10)
	case 'c':
		return append(b, r.module.Name()...)
	case 'd', 'D':
		if arg == "" {
			arg = "%Y-%m-%d %H:%M:%S.###"
		}
		t := r.time
		if conversion == 'D' {
			t = t.UTC()
		}
		return Strftime(b, arg, t)
	case 'E':
		return append(b, hostname()...)
	case 'm':
		return append(b, strings.TrimRight(r.text, "\n")...)
	case 'N':
		return strconv.AppendUint(b, r.seq, 10)
	case 'n':
		return append(b, '\n')
	case 'p':
		return append(b, r.level.String()...)
	case 'P':
		return strconv.AppendInt(b, int64(os.Getpid()), 10)
	case 'r':
		return strconv.AppendInt(b, r.time.Sub(s.start).Milliseconds(), 10)
	case 't':
		if r.thread == "" {
			return append(b, "main"...)
		}
		return append(b, r.thread...)
	case 'T':
		if r.thread != "" {
			b = append(b, '(')
			b = append(b, r.thread...)
			b = append(b, ')')
		}
		return b
	}
	return append(b, conversion)
}

// Strftime appends a time in the form of the C library's function of that
// name, "###" standing for milliseconds.
func Strftime(b []byte, format string, t time.Time) []byte {
	for i := 0; i < len(format); i++ {
		switch {
		case strings.HasPrefix(format[i:], "###"):
			ms := t.Nanosecond() / 1e6
			b = append(b, byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
			i += 2
		case format[i] == '%' && i+1 < len(format):
			i++
			b = strftimeOne(b, format[i], t)
		default:
			b = append(b, format[i])
		}
	}
	return b
}

// layouts are the conversions that Go's time package knows, too.
var layouts = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'c': "Mon Jan _2 15:04:05 2006",
	'd': "02", 'D': "01/02/06", 'e': "_2", 'F': "2006-01-02", 'H': "15", 'I': "03", 'm': "01", 'M': "04",
	'p': "PM", 'r': "03:04:05 PM", 'R': "15:04", 'S': "05", 'T': "15:04:05", 'X': "15:04:05", 'x': "01/02/06",
	'y': "06", 'Y': "2006", 'z': "-0700", 'Z': "MST",
}

func strftimeOne(b []byte, c byte, t time.Time) []byte {
	if layout, ok := layouts[c]; ok {
		return t.AppendFormat(b, layout)
	}
	switch c {
	case 'n':
		return append(b, '\n')
	case 't':
		return append(b, '\t')
	case '%':
		return append(b, '%')
	case 's':
		return strconv.AppendInt(b, t.Unix(), 10)
	case 'j':
		return append(b, []byte(strconv.Itoa(1000 + t.YearDay()))[1:]...)
	case 'C':
		return append(b, []byte(strconv.Itoa(100 + t.Year()/100))[1:]...)
	case 'k':
		return padTo(strconv.AppendInt(b, int64(t.Hour()), 10), len(b), 2, ' ', false)
	case 'u':
		return strconv.AppendInt(b, int64((t.Weekday()+6)%7+1), 10)
	case 'w':
		return strconv.AppendInt(b, int64(t.Weekday()), 10)
	}
	return append(b, '%', c)
}
