package server

import (
	"strings"

	"sluice/ovsdb/data"
	"sluice/ovsdb/stream"
)

// TLSFiles names the keys for ssl: and pssl: remotes; each may also be a
// column, as db:DB,TABLE,COLUMN.
type TLSFiles struct {
	// PrivateKey, Certificate and CACert name PEM files.
	PrivateKey, Certificate, CACert string
	// Protocols and Ciphers are lists in OpenSSL's notation.
	Protocols, Ciphers string
}

// tlsConfig is the keys as configured and as resolved.
type tlsConfig struct {
	TLSFiles
	apply    func(TLSFiles) *stream.TLS
	resolved TLSFiles
	current  *stream.TLS
	problem  string
}

func (t *tlsConfig) files() []*string {
	return []*string{&t.PrivateKey, &t.Certificate, &t.CACert, &t.Protocols, &t.Ciphers}
}

// SetTLS tells which keys to use and how to make stream's settings of their
// names; apply may return nil if there are none.
func (s *Server) SetTLS(f TLSFiles, apply func(TLSFiles) *stream.TLS) {
	s.tls.TLSFiles, s.tls.apply = f, apply
	s.resolveTLS()
}

// resolveTLS reads names that come from databases.
func (s *Server) resolveTLS() string {
	if s.tls.apply == nil {
		return ""
	}
	var problems strings.Builder
	r := s.tls.TLSFiles
	for _, f := range []*string{&r.PrivateKey, &r.Certificate, &r.CACert, &r.Protocols, &r.Ciphers} {
		if isDB(*f) {
			*f = s.dbString(*f, &problems)
		}
	}
	if s.tls.current == nil || r != s.tls.resolved {
		s.tls.resolved = r
		s.tls.current = s.tls.apply(r)
		s.closeTLS()
	}
	return problems.String()
}

// closeTLS closes the remotes that use keys, to be opened with others.
func (s *Server) closeTLS() {
	for _, r := range s.sortedRemotes() {
		if strings.HasPrefix(r.target, "pssl:") || strings.HasPrefix(r.target, "ssl:") {
			s.closeRemote(r)
		}
	}
}

// dbString returns the first text that is not empty in a column.
func (s *Server) dbString(name string, problems *strings.Builder) string {
	dc, problem := s.parseDBColumn(name)
	if problem == "" && dc.col != nil && (dc.col.Type.Key.Type != data.String || dc.col.Type.IsMap()) {
		problem = `"` + name + `": table "` + dc.table.Schema.Name + `" column "` + dc.col.Name + `" is not string or set of strings`
	}
	if problem != "" {
		problems.WriteString(problem + "\n")
		return ""
	}
	if dc.table == nil {
		return ""
	}
	for r := range dc.table.All {
		for k := range r.Get(dc.col.Index).All {
			if k.Str() != "" {
				return k.Str()
			}
		}
	}
	return ""
}
