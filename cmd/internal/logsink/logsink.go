// Package logsink is where the log messages of a daemon go: the console, a
// file, the system log. It gives them the form that Open vSwitch's have, with
// patterns that can be changed, and parses the "-v" and vlog/set language.
//
// Packages declare modules and emit messages through internal/vlog; a program
// makes one Sink and installs it with Install. A Sink is a zapcore.Core as
// well, for libraries that log through zap.
package logsink

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/vlog"
)

var log = vlog.New("vlog")

var defaultPatterns = [vlog.NDests]string{
	vlog.Syslog:  "ovs|%05N|%c%T|%p|%m",
	vlog.Console: "%D{%Y-%m-%dT%H:%M:%SZ}|%05N|%c%T|%p|%m",
	vlog.File:    "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m",
}

// targetPattern is the form of messages for --syslog-target: RFC 5424.
const targetPattern = "<%B>1 %D{%Y-%m-%dT%H:%M:%S.###Z} %E %A %P %c - \xef\xbb\xbf%m"

// Sink is the destinations of one process.
//
// Thread-safety: everything may be called by any goroutine.
type Sink struct {
	// Program is what "%A" shows.
	program string
	logDir  string
	wall    func() time.Time
	start   time.Time

	seq      atomic.Uint64
	facility atomic.Int32

	mu       sync.Mutex
	patterns [vlog.NDests]string
	file     *os.File
	fileName string
	method   syslogger
	target   *datagram
	console  *os.File
	buf      []byte
}

// New makes a sink that writes to stderr. logDir is where log files go that
// are named by default; wall tells the time of day.
func New(program, logDir string, wall func() time.Time) *Sink {
	return &Sink{program: program, logDir: logDir, wall: wall, start: wall(), patterns: defaultPatterns, console: os.Stderr}
}

// Install makes the sink receive all messages of the process.
func (s *Sink) Install() { vlog.SetThreadSink(s.emit) }

// Core returns the sink for libraries that use zap. The name of a logger is
// the module.
func (s *Sink) Core() zapcore.Core { return &core{s} }

// Program returns the name that the sink was made with.
func (s *Sink) Program() string { return s.program }

// record is one message on its way to the destinations.
type record struct {
	module *vlog.Module
	// thread is empty for the main loop.
	thread string
	level  vlog.Level
	text   string
	time   time.Time
	seq    uint64
}

func (s *Sink) emit(m *vlog.Module, thread string, l vlog.Level, text string) {
	r := record{m, thread, l, text, s.wall(), s.seq.Add(1)}
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := range vlog.NDests {
		if l <= m.LevelOf(d) {
			s.writeLocked(d, &r)
		}
	}
}

func (s *Sink) writeLocked(d vlog.Dest, r *record) {
	switch d {
	case vlog.Console:
		s.buf = append(s.format(s.buf[:0], s.patterns[d], r), '\n')
		s.console.Write(s.buf)
	case vlog.File:
		if s.file != nil {
			s.buf = append(s.format(s.buf[:0], s.patterns[d], r), '\n')
			s.file.Write(s.buf)
		}
	case vlog.Syslog:
		s.writeSyslogLocked(r)
	}
}

// core is a sink as zap sees it.
type core struct{ sink *Sink }

func (c *core) Enabled(zapcore.Level) bool               { return true }
func (c *core) With(fields []zapcore.Field) zapcore.Core { return c }
func (c *core) Sync() error                              { return nil }

func (c *core) Check(ent zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if !vlog.New(ent.LoggerName).Enabled(fromZap(ent.Level)) {
		return ce
	}
	return ce.AddCore(ent, c)
}

// Write logs the entry's message; fields are left out, since our lines have no
// place for them.
func (c *core) Write(ent zapcore.Entry, fields []zapcore.Field) error {
	c.sink.emit(vlog.New(ent.LoggerName), "", fromZap(ent.Level), ent.Message)
	return nil
}

func fromZap(l zapcore.Level) vlog.Level {
	switch {
	case l >= zapcore.DPanicLevel:
		return vlog.Emer
	case l == zapcore.ErrorLevel:
		return vlog.Err
	case l == zapcore.WarnLevel:
		return vlog.Warn
	case l == zapcore.InfoLevel:
		return vlog.Info
	}
	return vlog.Dbg
}

func (s *Sink) writeSyslogLocked(r *record) {
	if s.method == nil {
		s.method = defaultMethod()
	}
	facility := int(s.facility.Load())
	s.buf = s.format(s.buf[:0], s.patterns[vlog.Syslog], r)
	for line := range strings.SplitSeq(string(s.buf), "\n") {
		if line != "" {
			s.method.write(s, facility, syslogSeverity[r.level], line)
		}
	}
	if s.target != nil {
		s.buf = s.format(s.buf[:0], targetPattern, r)
		s.target.send(s.buf)
	}
}

// SetPattern changes the form of messages for one destination.
func (s *Sink) SetPattern(d vlog.Dest, pattern string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.patterns[d] = pattern
}

// FileName returns the name of the log file, or nothing.
func (s *Sink) FileName() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fileName
}

// LogFile returns the open log file, or nil.
func (s *Sink) LogFile() *os.File {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file
}

// OpenFile makes messages go to a file, too; an empty name is the default
// one. Opening the file that is open already changes nothing.
func (s *Sink) OpenFile(name string) error {
	if name == "" {
		name = fmt.Sprintf("%s/%s.log", s.logDir, s.program)
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o660)
	if err != nil {
		log.Warn("failed to open %s for logging: %s", name, errno.Text(err))
		return err
	}
	s.swap(f, name)
	return nil
}

// swap puts another file, or none, in place of the log file.
func (s *Sink) swap(f *os.File, name string) {
	s.mu.Lock()
	old := s.file
	s.mu.Unlock()
	if sameFile(old, f) {
		if f != nil {
			f.Close()
		}
		return
	}
	if old != nil {
		log.Info("closing log file")
	}
	s.mu.Lock()
	s.file, s.fileName = f, name
	s.mu.Unlock()
	vlog.SetActive(vlog.File, f != nil)
	if old != nil {
		old.Close()
	}
	if f != nil {
		log.Info("opened log file %s", name)
	}
}

func sameFile(a, b *os.File) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	sa, errA := a.Stat()
	sb, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(sa, sb)
}

// Reopen opens the log file anew, after a log rotation moved it away.
func (s *Sink) Reopen() error {
	name := s.FileName()
	if name == "" {
		return nil
	}
	return s.OpenFile(name)
}

// CloseFile stops to write to the log file, which Reopen can open again.
func (s *Sink) CloseFile() {
	s.mu.Lock()
	f := s.file
	s.file = nil
	s.mu.Unlock()
	vlog.SetActive(vlog.File, false)
	if f != nil {
		f.Close()
	}
}

// Suspend is CloseFile that says so in the log: for a monitor process, which
// must not keep a rotated file open.
func (s *Sink) Suspend() (name string) {
	name = s.FileName()
	s.swap(nil, "")
	return name
}

// Chown gives the log file to another user.
func (s *Sink) Chown(uid, gid int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fileName == "" {
		return nil
	}
	if err := os.Chown(s.fileName, uid, gid); err != nil {
		return fmt.Errorf("Failed to change %s ownership: %s.", s.fileName, errno.Text(err))
	}
	return nil
}

// AllLevels sets the level of every module for a destination.
func AllLevels(d vlog.Dest, l vlog.Level) {
	for _, m := range vlog.Modules() {
		m.SetLevel(d, l)
	}
}

// hostname is what "%E" shows.
func hostname() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Nodename[:])
}
