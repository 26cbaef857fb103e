// Package unixctl is the control socket of a daemon, which ovs-appctl and the
// init scripts talk to: JSON-RPC requests whose method is a command and whose
// parameters are strings, answered by a text.
//
// A Server belongs to a daemon's event loop. Each connection has one command
// in progress and gets one command done per turn, because tests rely on a
// whole turn of the loop between two commands. What the commands do is the
// business of cmd; this package brings only list-commands and version.
package unixctl

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"sluice/internal/coverage"
	"sluice/internal/errno"
	"sluice/internal/poll"
	"sluice/internal/vlog"
	"sluice/ovsdb/jsonrpc"
	"sluice/ovsdb/stream"
)

var (
	log       = vlog.New("unixctl")
	rl        = vlog.NewLimiter(5, 5)
	cReceived = coverage.New("unixctl_received")
	cReplied  = coverage.New("unixctl_replied")
)

// maxAccepts bounds the connections that one turn takes.
const maxAccepts = 10

// AnyArgs as the largest number of arguments means no limit.
const AnyArgs = 1<<31 - 1

// Server is the commands of a daemon and the connections that give them.
//
// Thread-safety: it belongs to the event loop, replies included.
type Server struct {
	commands map[string]*command
	listener stream.Listener
	path     string
	conns    []*conn
}

type command struct {
	usage            string
	hidden           bool
	minArgs, maxArgs int
	fn               func(*Request)
}

type conn struct {
	rpc *jsonrpc.Conn
	// current is the command in progress, nil between commands.
	current *Request
}

// Request is one command that wants an answer, now or in a later turn.
type Request struct {
	// Command is the command's name.
	Command string
	// Args is what followed the name.
	Args []string

	conn *conn
	id   []byte
	// local takes the answer of a command that Call gave.
	local func(text string, ok bool)
}

// New makes a server with list-commands and version, which answers
// versionText. It listens nowhere yet.
func New(versionText string) *Server {
	s := &Server{commands: map[string]*command{}}
	s.Register("list-commands", "", 0, 0, s.listCommands)
	s.Register("version", "", 0, 0, func(r *Request) { r.Reply(versionText) })
	return s
}

// Register adds a command that takes minArgs to maxArgs arguments. usage is
// what list-commands shows of the arguments. A name that is taken stays with
// its first owner.
func (s *Server) Register(name, usage string, minArgs, maxArgs int, fn func(*Request)) {
	s.add(name, &command{usage: usage, minArgs: minArgs, maxArgs: maxArgs, fn: fn})
}

// RegisterHidden adds a command that list-commands does not show.
func (s *Server) RegisterHidden(name string, minArgs, maxArgs int, fn func(*Request)) {
	s.add(name, &command{hidden: true, minArgs: minArgs, maxArgs: maxArgs, fn: fn})
}

func (s *Server) add(name string, c *command) {
	if s.commands[name] == nil {
		s.commands[name] = c
	}
}

// Unregister takes a command away.
func (s *Server) Unregister(name string) { delete(s.commands, name) }

// DefaultPath is where a program listens unless it is told otherwise.
func DefaultPath(runDir, program string) string {
	return fmt.Sprintf("%s/%s.%d.ctl", runDir, program, os.Getpid())
}

// Listen opens the control socket. A relative path begins in runDir; "none"
// opens nothing.
func (s *Server) Listen(path, runDir string) error {
	if path == "none" {
		return nil
	}
	if !filepath.IsAbs(path) {
		path = runDir + "/" + path
	}
	l, err := stream.Listen("punix:"+path, stream.Options{})
	if err != nil {
		return fmt.Errorf("%s: could not initialize control socket (%s)", path, errno.Text(err))
	}
	s.listener, s.path = l, path
	return nil
}

// Path returns the name of the control socket, or nothing.
func (s *Server) Path() string { return s.path }

// Close ends all connections and removes the socket.
func (s *Server) Close() {
	for _, c := range s.conns {
		c.rpc.Close()
	}
	s.conns = nil
	if s.listener != nil {
		s.listener.Close()
		s.listener = nil
	}
}

// Run takes connections and commands.
func (s *Server) Run(now int64) {
	if s.listener == nil {
		return
	}
	for range maxAccepts {
		sc, err := s.listener.Accept()
		if err == stream.ErrAgain {
			break
		}
		if err != nil {
			log.WarnRL(rl, "%s: accept failed: %s", s.listener.Name(), errno.Text(err))
			break
		}
		s.conns = append(s.conns, &conn{rpc: jsonrpc.NewConn(sc)})
	}
	alive := s.conns[:0]
	for _, c := range s.conns {
		if s.runConn(c, now) {
			alive = append(alive, c)
		} else {
			c.rpc.Close()
		}
	}
	clear(s.conns[len(alive):])
	s.conns = alive
}

// runConn gives one connection its turn and says whether it lives on.
func (s *Server) runConn(c *conn, now int64) bool {
	c.rpc.Run(now)
	if c.rpc.Err() != nil {
		return false
	}
	if c.rpc.Backlog() > 0 || c.current != nil {
		return true
	}
	m, err := c.rpc.Recv()
	if err != nil {
		return err == jsonrpc.ErrAgain
	}
	if m.Type != jsonrpc.Request {
		log.WarnRL(rl, "%s: received unexpected %s message", c.rpc.Name(), m.Type)
		return false
	}
	s.process(c, m)
	return true
}

func (s *Server) process(c *conn, m *jsonrpc.Msg) {
	cReceived.Inc()
	r := &Request{Command: m.Method, conn: c, id: m.ID}
	c.current = r
	if log.DbgEnabled() {
		log.Dbg("received request %s%s, id=%s", m.Method, jsonrpc.Compact(m.Params), m.ID)
	}
	args, allStrings := jsonrpc.Strings(m.Params)
	r.Args = args
	s.dispatch(r, len(jsonrpc.Elems(m.Params)), allStrings)
}

func (s *Server) dispatch(r *Request, n int, allStrings bool) {
	cmd := s.commands[r.Command]
	switch {
	case cmd == nil:
		r.ReplyError(fmt.Sprintf("\"%s\" is not a valid command (use \"list-commands\" to see a list of valid commands)", r.Command))
	case n < cmd.minArgs:
		r.ReplyError(fmt.Sprintf("\"%s\" command requires at least %d arguments", r.Command, cmd.minArgs))
	case n > cmd.maxArgs:
		r.ReplyError(fmt.Sprintf("\"%s\" command takes at most %d arguments", r.Command, cmd.maxArgs))
	case !allStrings:
		r.ReplyError(fmt.Sprintf("\"%s\" command has non-string argument", r.Command))
	default:
		cmd.fn(r)
	}
}

// Call gives a command from inside the process, as ovsdb-server's own
// start-up and tests do. done gets the answer; ok is false for an error.
func (s *Server) Call(name string, args []string, done func(text string, ok bool)) {
	s.dispatch(&Request{Command: name, Args: args, local: done}, len(args), true)
}

// Wait wakes p when Run has something to do.
func (s *Server) Wait(p *poll.Set) {
	if s.listener == nil {
		return
	}
	s.listener.Wait(p)
	for _, c := range s.conns {
		c.rpc.Wait(p)
		if c.rpc.Backlog() == 0 && c.current == nil {
			c.rpc.RecvWait(p)
		}
	}
}

// Busy says whether a command was taken whose answer has not left yet.
func (s *Server) Busy() bool {
	for _, c := range s.conns {
		if c.current != nil || c.rpc.Backlog() > 0 {
			return true
		}
	}
	return false
}

func (s *Server) listCommands(r *Request) {
	names := make([]string, 0, len(s.commands))
	for name, c := range s.commands {
		if !c.hidden {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var b strings.Builder
	b.WriteString("The available commands are:\n")
	for _, name := range names {
		fmt.Fprintf(&b, "  %-23s %s\n", name, s.commands[name].usage)
	}
	r.Reply(b.String())
}

// Reply answers the command with success. Only one answer may be given.
func (r *Request) Reply(text string) { r.reply(text, true) }

// ReplyError answers the command with an error, which ovs-appctl prints
// before it exits with status 2.
func (r *Request) ReplyError(text string) { r.reply(text, false) }

// Replyf is Reply with a format.
func (r *Request) Replyf(format string, args ...any) { r.Reply(fmt.Sprintf(format, args...)) }

// ReplyErrorf is ReplyError with a format.
func (r *Request) ReplyErrorf(format string, args ...any) { r.ReplyError(fmt.Sprintf(format, args...)) }

func (r *Request) reply(text string, ok bool) {
	cReplied.Inc()
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if r.local != nil {
		r.local(text, ok)
		return
	}
	if r.conn.current != r {
		panic(fmt.Sprintf("unixctl: second reply to %q", r.Command))
	}
	r.conn.current = nil
	body := jsonrpc.Quote(text)
	m, how := jsonrpc.NewReply(body, r.id), "success"
	if !ok {
		m, how = jsonrpc.NewError(body, r.id), "error"
	}
	if log.DbgEnabled() {
		log.Dbg("replying with %s, id=%s: \"%s\"", how, r.id, text)
	}
	// If the client has gone, the next turn notices.
	r.conn.rpc.Send(m)
}

// Call connects to the control socket at path, gives one command and waits
// for the answer. It is for tests and for tools: it blocks.
func Call(path, name string, args ...string) (text string, ok bool, err error) {
	sc, err := stream.Open("unix:"+path, stream.Options{})
	if err != nil {
		return "", false, err
	}
	c := jsonrpc.NewConn(sc)
	defer c.Close()
	req := jsonrpc.NewRequest(name, jsonrpc.AppendStrings(nil, args...))
	c.Send(req)
	for {
		c.Run(0)
		m, err := c.Recv()
		switch {
		case err == jsonrpc.ErrAgain:
			var p poll.Set
			c.Wait(&p)
			c.RecvWait(&p)
			if err := p.Block(0); err != nil {
				return "", false, err
			}
		case err != nil:
			return "", false, err
		case m.Error != nil:
			text, isString := jsonrpc.Unquote(m.Error)
			if !isString {
				return "", false, unix.EINVAL
			}
			return text, false, nil
		case m.Type == jsonrpc.Reply:
			text, isString := jsonrpc.Unquote(m.Result)
			if !isString {
				return "", false, unix.EINVAL
			}
			return text, true, nil
		}
	}
}
