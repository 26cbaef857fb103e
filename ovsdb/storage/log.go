package storage

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"

	"sluice/internal/vlog"
	"sluice/ovsdb/data"
)

var (
	lockLog = vlog.New("lockfile")
	fileLog = vlog.New("ovsdb_file")
	log     = vlog.New("ovsdb_log")
)

// file is what a Log needs of an *os.File; tests put failing disks in its place.
type file interface {
	io.ReaderAt
	io.WriterAt
	Truncate(size int64) error
	Datasync() error
	Close() error
}

type osFile struct{ *os.File }

func (f osFile) Datasync() error {
	for {
		err := unix.Fdatasync(int(f.Fd()))
		if err != unix.EINTR {
			return err
		}
	}
}

// Log is an open database file. Reading comes first, record by record; the
// first append cuts off whatever has not been read.
type Log struct {
	name   string // as the user wrote it, for messages
	path   string // absolute, links followed
	magic  string
	f      file
	r      *bufio.Reader
	off    int64 // end of the last good record
	prev   int64 // its beginning
	dirty  bool  // there is something after off
	synced int64 // up to here the disk has it
	broken bool  // a flush has failed: see resync
	lock   *os.File
	bad    *data.Error // what ended the reading
}

// Open opens an existing file, taking its lock if lock is set.
func Open(name string, lock bool) (*Log, *data.Error) {
	l, err := openLog(name, lock, os.O_RDWR)
	if err != nil {
		return nil, err
	}
	line, rerr := l.r.Peek(maxHeader)
	if i := bytes.IndexByte(line, '\n'); i >= 0 {
		line = line[:i+1]
	}
	switch {
	case len(line) == 0 && rerr != io.EOF:
		err = data.IOErrorf(rerr, "%s: read error", name)
	case len(line) == 0:
		err = data.Errorf("", "%s: cannot identify file type", name)
	default:
		magic, _, _, ok := parseHeader(line)
		if !ok {
			err = data.Errorf("", "%s: unexpected file format", name)
		} else if magic != MagicStandalone && magic != MagicCluster {
			err = data.Errorf("", "%s: cannot identify file type", name)
		}
		l.magic = magic
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Create makes a new file of one record.
func Create(name, magic string, first []byte) (*Log, *data.Error) {
	l, err := openLog(name, true, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return nil, err
	}
	l.magic = magic
	err = l.append(Frame(nil, magic, first))
	if err == nil {
		err = l.Sync()
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	syncDir(l.path)
	return l, nil
}

func openLog(name string, lock bool, flags int) (*Log, *data.Error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, data.IOErrorf(err, "could not determine current working directory")
	}
	l := &Log{name: name, path: follow(abs)}
	if lock {
		if l.lock, err = lockFile(l.path); err != nil {
			return nil, data.IOErrorf(err, "%s: failed to lock lockfile", name)
		}
	}
	f, err := os.OpenFile(name, flags, 0o660)
	if err != nil {
		l.unlock()
		op := "open"
		if flags&os.O_CREATE != 0 {
			op = "create"
		}
		return nil, data.IOErrorf(err, "%s: %s failed", name, op)
	}
	l.f = osFile{f}
	l.r = bufio.NewReaderSize(f, 1<<20)
	return l, nil
}

// follow resolves symbolic links, of a file that need not exist.
func follow(path string) string {
	for i := 0; i < 10; i++ {
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	return path
}

// lockFile takes the fcntl lock that keeps a second server away. The lock file
// stays after the lock is gone, as removing it would be a race.
func lockFile(path string) (*os.File, error) {
	name := follow(filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".~lock~"))
	if held[name] {
		lockLog.Warn("%s: cannot lock file because this process has already locked it", name)
		return nil, syscall.EDEADLK
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		lockLog.Warn("%s: failed to open lock file: %v", name, errors.Unwrap(err))
		return nil, err
	}
	lk := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
	if err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lk); err != nil {
		owner := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart}
		if unix.FcntlFlock(f.Fd(), unix.F_GETLK, &owner) == nil && owner.Pid != 0 {
			lockLog.Warn("%s: cannot lock file because it is already locked by pid %d", name, owner.Pid)
		} else {
			lockLog.Warn("%s: failed to lock file: %v", name, err)
		}
		f.Close()
		return nil, syscall.EAGAIN
	}
	held[name] = true
	return f, nil
}

// held names the lock files this process has locked: fcntl locks do not keep
// a process from itself. Databases are opened and closed by one goroutine.
var held = map[string]bool{}

func (l *Log) unlock() {
	if l.lock != nil {
		delete(held, l.lock.Name())
		l.lock.Close()
		l.lock = nil
	}
}

// Close closes the file and gives up its lock.
func (l *Log) Close() {
	l.f.Close()
	l.unlock()
}

// Name is the file's name as the user wrote it.
func (l *Log) Name() string { return l.name }

// Magic tells the file's format.
func (l *Log) Magic() string { return l.magic }

// Size is the number of bytes in good records.
func (l *Log) Size() int64 { return l.off }

// Next reads a record's JSON. At the end, and at the first record that is not
// as it should be, it returns "", in the latter case with an error.
func (l *Log) Next() (string, *data.Error) {
	if l.bad != nil {
		return "", l.bad
	}
	line, err := l.r.ReadSlice('\n')
	if len(line) > maxHeader {
		line = line[:maxHeader]
	}
	if err == io.EOF && len(line) == 0 {
		return "", nil
	}
	if err != nil && err != io.EOF && err != bufio.ErrBufferFull {
		return "", l.fail(data.IOErrorf(err, "%s: read failed", l.name))
	}
	magic, size, sum, ok := parseHeader(line)
	if !ok || magic != l.magic {
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i]
		}
		return "", l.fail(data.SyntaxErrorf(nil, "", "%s: parse error at offset %d in header line \"%s\"", l.name, l.off, line))
	}
	return l.body(l.off+int64(len(line)), size, append([]byte(nil), sum...))
}

func (l *Log) body(at, size int64, sum []byte) (string, *data.Error) {
	buf, err := readN(l.r, size)
	if err != nil {
		return "", l.fail(data.IOErrorf(nil, "%s: error reading %d bytes starting at offset %d", l.name, size, at))
	}
	if actual := sha1.Sum(buf); !bytes.Equal(actual[:], sum) {
		return "", l.fail(data.SyntaxErrorf(nil, "", "%s: %d bytes starting at offset %d have SHA-1 hash %x but should have hash %x",
			l.name, size, at, actual, sum))
	}
	l.prev, l.off = l.off, at+size
	return unsafeString(buf), nil
}

// readN reads n bytes without believing a length that the file cannot hold.
func readN(r io.Reader, n int64) ([]byte, error) {
	const step = 16 << 20
	if n <= step {
		buf := make([]byte, n)
		_, err := io.ReadFull(r, buf)
		return buf, err
	}
	var b bytes.Buffer
	got, err := io.CopyN(&b, r, n)
	if err == nil && got < n {
		err = io.ErrUnexpectedEOF
	}
	return b.Bytes(), err
}

func (l *Log) fail(err *data.Error) *data.Error {
	l.bad, l.dirty = err, true
	return err
}

// BadJSON makes the error for a record whose SHA-1 is right but whose content
// is not a JSON object, and un-reads the record.
func (l *Log) BadJSON(err error) *data.Error {
	at, size := l.off, l.off-l.prev
	e := data.SyntaxErrorf(nil, "", "%s: %d bytes starting at offset %d are not valid JSON (%s)", l.name, size, at-size, err)
	l.Unread()
	return e
}

// Unread makes the record read last the end of the good part.
func (l *Log) Unread() {
	l.off = l.prev
	l.fail(data.Errorf("", "%s: record at offset %d was refused", l.name, l.off))
}

// EndRead says that reading is over. What follows the good part is going to be
// cut off by the first append; if it is more than the torn end of a record it
// is copied to a file beside the database first.
func (l *Log) EndRead() {
	l.r = nil
	l.synced = l.off
	if l.bad == nil {
		return
	}
	rest := io.NewSectionReader(l.f, l.off, 1<<62)
	if !worthKeeping(bufio.NewReader(rest)) {
		return
	}
	rest.Seek(0, io.SeekStart)
	name, err := keepAside(l.path, rest)
	if err != nil {
		log.Warn("%s: could not keep the damaged part of the file aside: %v", l.name, err)
		return
	}
	log.Warn("%s: kept what follows offset %d aside in %s", l.name, l.off, name)
}

// worthKeeping tells whether a record header follows the first line: then the
// damage is not at the end of the file.
func worthKeeping(r *bufio.Reader) bool {
	first := true
	for {
		line, err := r.ReadSlice('\n')
		if !first {
			if _, _, _, ok := parseHeader(line); ok {
				return true
			}
		}
		first = false
		for err == bufio.ErrBufferFull {
			_, err = r.ReadSlice('\n')
		}
		if err != nil {
			return false
		}
	}
}

func keepAside(path string, r io.Reader) (string, error) {
	for i := 1; ; i++ {
		name := path + ".damaged-" + strconv.Itoa(i)
		f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o660)
		if errors.Is(err, os.ErrExist) && i < 100 {
			continue
		}
		if err != nil {
			return "", err
		}
		_, err = io.Copy(f, r)
		if serr := f.Sync(); err == nil {
			err = serr
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		return name, err
	}
}

// append writes framed records at the end of the good part. If that fails the
// file is as it was (the next append cuts off what was written).
func (l *Log) append(recs []byte) *data.Error {
	if l.dirty {
		if err := l.f.Truncate(l.off); err != nil {
			return data.IOErrorf(err, "%s: cannot truncate to length %d", l.name, l.off)
		}
		l.dirty = false
	}
	if _, err := l.f.WriteAt(recs, l.off); err != nil {
		l.dirty = l.f.Truncate(l.off) != nil
		return data.IOErrorf(err, "%s: write failed", l.name)
	}
	l.off += int64(len(recs))
	return nil
}

// Sync makes the disk have all that was appended.
func (l *Log) Sync() *data.Error {
	if l.broken {
		if err := l.resync(); err != nil {
			return err
		}
	}
	if err := l.f.Datasync(); err != nil {
		l.broken = true
		return data.IOErrorf(err, "%s: fsync failed", l.name)
	}
	l.synced = l.off
	return nil
}

// resync writes again what a failed flush may have lost: the kernel reports
// such a failure once and then takes the pages for clean, so another flush
// would report success for data that never reached the disk.
func (l *Log) resync() *data.Error {
	buf := make([]byte, l.off-l.synced)
	if _, err := l.f.ReadAt(buf, l.synced); err != nil {
		return data.IOErrorf(err, "%s: read failed", l.name)
	}
	for rest := buf; len(rest) > 0; {
		i := bytes.IndexByte(rest, '\n')
		_, size, sum, ok := parseHeader(rest[:i+1])
		if !ok || int64(len(rest)-i-1) < size {
			return data.Errorf("I/O error", "%s: data was lost by a failed fsync", l.name)
		}
		body := rest[i+1 : int64(i+1)+size]
		if actual := sha1.Sum(body); !bytes.Equal(actual[:], sum) {
			return data.Errorf("I/O error", "%s: data was lost by a failed fsync", l.name)
		}
		rest = rest[int64(i+1)+size:]
	}
	if _, err := l.f.WriteAt(buf, l.synced); err != nil {
		return data.IOErrorf(err, "%s: write failed", l.name)
	}
	l.broken = false
	return nil
}

// cut takes back what was appended after off.
func (l *Log) cut(off int64) {
	l.off = off
	l.dirty = l.f.Truncate(off) != nil
}

func syncDir(path string) {
	d, err := os.Open(filepath.Dir(path))
	if err == nil {
		err = d.Sync()
		d.Close()
	}
	if err != nil {
		fileLog.Warn("%s: fsync of the directory failed: %v", path, err)
	}
}
