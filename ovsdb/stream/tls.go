package stream

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"sluice/internal/errno"
	"sluice/internal/vlog"
)

var (
	sslLog = vlog.New("stream_ssl")
	sslRL  = vlog.NewLimiter(10, 25)
)

// TLS is the keys and options of ssl: and pssl: connections. The files are
// read when a connection begins and again when they have changed. The fields
// may be changed between connections.
//
// Peers are checked as Open vSwitch does: the certificate must descend from
// one of the CA's; host names mean nothing.
//
// Thread-safety: it belongs to the goroutine that opens connections.
type TLS struct {
	// PrivateKey, Certificate and CACert name PEM files. CACert may be "none"
	// to check no peer.
	PrivateKey, Certificate, CACert string
	// Bootstrap makes CACert, if it does not exist, from what the first peer
	// shows.
	Bootstrap bool
	// PeerCACert names a PEM file with certificates to show to peers beside
	// our own, so that they can bootstrap.
	PeerCACert string
	// Protocols is a list such as "TLSv1.2,TLSv1.3"; empty is the default.
	Protocols string
	// Ciphers is a list in OpenSSL's language; empty is the default.
	Ciphers string

	seen   map[string]stamp
	cert   *tls.Certificate
	roots  *x509.CertPool
	noPeer bool

	// patience is for how long a client may take for its handshake; 0 is the
	// default.
	patience time.Duration
}

// stamp tells whether a file has changed.
type stamp struct {
	name string
	at   time.Time
}

// changed says whether the file that plays a part has another name or another
// time of change than it had.
func (t *TLS) changed(part, name string) bool {
	var s stamp
	s.name = name
	fi, err := os.Stat(name)
	if err == nil {
		s.at = fi.ModTime()
	} else if !errors.Is(err, fs.ErrNotExist) {
		sslLog.ErrRL(sslRL, "%s: stat failed (%s)", name, errno.Text(err))
	}
	if t.seen == nil {
		t.seen = map[string]stamp{}
	}
	old, known := t.seen[part]
	t.seen[part] = s
	return !known || old != s
}

// load reads the files that have changed, and refuses what cannot be used.
func (t *TLS) load() error {
	t.loadPair()
	t.loadRoots()
	bad := false
	if t.PrivateKey == "" {
		sslLog.Err("Private key must be configured to use SSL")
		bad = true
	}
	if t.Certificate == "" {
		sslLog.Err("Certificate must be configured to use SSL")
		bad = true
	}
	if t.roots == nil && !t.noPeer && !t.bootstrapping() {
		sslLog.Err("CA certificate must be configured to use SSL")
		bad = true
	}
	if bad || t.cert == nil {
		return unix.ENOPROTOOPT
	}
	return nil
}

func (t *TLS) loadPair() {
	if t.PrivateKey == "" || t.Certificate == "" {
		return
	}
	// All three decide what is shown to peers, so all three are looked at.
	key, cert := t.changed("key", t.PrivateKey), t.changed("cert", t.Certificate)
	peer := t.PeerCACert != "" && t.changed("peer", t.PeerCACert)
	if !key && !cert && !peer {
		return
	}
	pair, err := tls.LoadX509KeyPair(t.Certificate, t.PrivateKey)
	if err != nil {
		sslLog.Err("failed to load %s and %s: %s", t.Certificate, t.PrivateKey, err)
		return
	}
	// Only the first certificate of the file is ours.
	pair.Certificate = pair.Certificate[:1]
	if t.PeerCACert != "" {
		extra, err := readCerts(t.PeerCACert)
		if err != nil {
			sslLog.Err("failed reading %s: %s", t.PeerCACert, errno.Text(err))
		}
		for _, c := range extra {
			pair.Certificate = append(pair.Certificate, c.Raw)
		}
	}
	t.cert = &pair
}

func (t *TLS) loadRoots() {
	if t.CACert == "" || !t.changed("ca", t.CACert) {
		return
	}
	if t.noPeer = t.CACert == "none"; t.noPeer {
		sslLog.Warn("Peer certificate validation disabled (this is a security risk)")
		return
	}
	t.roots = nil
	if t.bootstrapping() {
		return
	}
	certs, err := readCerts(t.CACert)
	if err != nil {
		sslLog.Err("failed to load client certificates from %s: %s", t.CACert, errno.Text(err))
		return
	}
	t.roots = x509.NewCertPool()
	for _, c := range certs {
		t.roots.AddCert(c)
	}
}

// bootstrapping says whether the CA's certificate has yet to be got.
func (t *TLS) bootstrapping() bool {
	if !t.Bootstrap || t.CACert == "" || t.CACert == "none" {
		return false
	}
	_, err := os.Stat(t.CACert)
	return errors.Is(err, fs.ErrNotExist)
}

func readCerts(name string) ([]*x509.Certificate, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return certs, err
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, fmt.Errorf("no certificates")
	}
	return certs, nil
}

// session is what one connection needs of the settings, which may change while
// it lives.
type session struct {
	config *tls.Config
	// bootstrap is where to store the CA's certificate, or empty.
	bootstrap string
	// patience is for how long a client may take for its handshake.
	patience time.Duration
}

// session makes the settings of one connection; serverName goes into the
// handshake of a client.
func (t *TLS) session(client bool, serverName string) (*session, error) {
	if err := t.load(); err != nil {
		return nil, err
	}
	s := &session{patience: handshakeTimeout, config: &tls.Config{
		Certificates: []tls.Certificate{*t.cert},
		// Our own check replaces the usual one, which knows host names.
		InsecureSkipVerify: true,
		ServerName:         serverName,
		ClientAuth:         tls.RequireAnyClientCert,
		CipherSuites:       cipherSuites(t.Ciphers),
		// Stock resumes no sessions: each is to be checked anew.
		SessionTicketsDisabled: true,
	}}
	if t.patience > 0 {
		s.patience = t.patience
	}
	s.config.MinVersion, s.config.MaxVersion = protocolRange(t.Protocols)
	switch {
	case t.noPeer:
		s.config.ClientAuth = tls.NoClientCert
	case client && t.bootstrapping():
		s.bootstrap = t.CACert
	default:
		roots := t.roots
		s.config.ClientCAs = roots
		s.config.VerifyConnection = func(cs tls.ConnectionState) error { return verifyChain(roots, cs.PeerCertificates) }
	}
	return s, nil
}

// verifyChain checks that a certificate descends from the CA's, whatever it is
// meant for and whatever its host is called.
func verifyChain(roots *x509.CertPool, chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("peer did not return a certificate")
	}
	if roots == nil {
		roots = x509.NewCertPool()
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err
}

// store keeps the last certificate of a peer's chain as the CA's. The
// connection is given up in any case: the next one is checked.
func (s *session) store(chain []*x509.Certificate) {
	if len(chain) == 0 {
		sslLog.Err("could not bootstrap CA cert: no certificate presented by peer")
		return
	}
	ca := chain[len(chain)-1]
	if err := ca.CheckSignatureFrom(ca); err != nil || string(ca.RawIssuer) != string(ca.RawSubject) {
		sslLog.Err("could not bootstrap CA cert: obtained certificate is not self-signed (%v)", err)
		if len(chain) < 2 {
			sslLog.Err("only one certificate was received, so probably the peer is not configured to send its CA certificate")
		}
		return
	}
	f, err := os.OpenFile(s.bootstrap, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o444)
	switch {
	case errors.Is(err, fs.ErrExist):
		sslLog.InfoRL(sslRL, "reading CA cert %s created by another process", s.bootstrap)
		return
	case err != nil:
		sslLog.Err("could not bootstrap CA cert: creating %s failed: %s", s.bootstrap, errno.Text(err))
		return
	}
	err = pem.Encode(f, &pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
	if err2 := f.Close(); err == nil {
		err = err2
	}
	if err != nil {
		sslLog.Err("could not bootstrap CA cert: writing %s failed: %s", s.bootstrap, errno.Text(err))
		os.Remove(s.bootstrap)
		return
	}
	sslLog.Info("successfully bootstrapped CA cert to %s", s.bootstrap)
	sslLog.Info("killing successful connection to retry using CA cert")
}

var protocols = map[string]uint16{
	"tlsv1": tls.VersionTLS10, "tlsv1.1": tls.VersionTLS11, "tlsv1.2": tls.VersionTLS12, "tlsv1.3": tls.VersionTLS13,
}

// protocolRange returns the oldest and newest version of a list; zeros for the
// defaults.
func protocolRange(list string) (lo, hi uint16) {
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' }) {
		v := protocols[strings.ToLower(word)]
		if v == 0 {
			sslLog.ErrRL(sslRL, "%s: SSL protocol not recognized", word)
			return 0, 0
		}
		if lo == 0 || v < lo {
			lo = v
		}
		hi = max(hi, v)
	}
	return lo, hi
}
