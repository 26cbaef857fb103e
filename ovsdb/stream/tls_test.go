package stream

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"sluice/internal/poll"
)

// pki is a certificate authority in a directory.
type pki struct {
	t    *testing.T
	dir  string
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newPKI(t *testing.T) *pki {
	p := &pki{t: t, dir: t.TempDir()}
	p.ca, p.key = p.issue("the CA", nil, nil)
	p.write("ca.pem", "CERTIFICATE", p.ca.Raw)
	return p
}

func (p *pki) issue(cn string, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	p.next++
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(p.next), Subject: pkix.Name{CommonName: cn},
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<34, 0),
		IsCA: parent == nil, BasicConstraintsValid: true,
	}
	if parent == nil {
		parent, signer = tmpl, key
	}
	raw, err := x509.CreateCertificate(rand.Reader, tmpl, parent, &key.PublicKey, signer)
	if err != nil {
		p.t.Fatal(err)
	}
	c, err := x509.ParseCertificate(raw)
	if err != nil {
		p.t.Fatal(err)
	}
	return c, key
}

func (p *pki) write(name, kind string, raw []byte) {
	if err := os.WriteFile(filepath.Join(p.dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// member makes a key and certificate and the options to use them.
func (p *pki) member(cn string) *TLS {
	c, key := p.issue(cn, p.ca, p.key)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write(cn+"-key.pem", "PRIVATE KEY", raw)
	p.write(cn+"-cert.pem", "CERTIFICATE", c.Raw)
	return &TLS{PrivateKey: p.path(cn + "-key.pem"), Certificate: p.path(cn + "-cert.pem"), CACert: p.path("ca.pem")}
}

func (p *pki) path(name string) string { return filepath.Join(p.dir, name) }

func listenTLS(t *testing.T, o *TLS) (Listener, string) {
	t.Helper()
	l, err := Listen("pssl:0:127.0.0.1", Options{TLS: o})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, "ssl:127.0.0.1:" + itoa(l.BoundPort())
}

// attempt connects and returns how the client's and the server's end went.
func attempt(t *testing.T, l Listener, target string, o *TLS) (client, server error) {
	t.Helper()
	c, err := Open(target, Options{TLS: o})
	if err != nil {
		return err, nil
	}
	defer c.Close()
	s := accept(t, l)
	client = until(t, func(p *poll.Set) { c.Wait(p, true, false, false) }, c.Connect)
	if client != nil {
		c.Close()
	}
	server = until(t, func(p *poll.Set) { s.Wait(p, true, false, false) }, s.Connect)
	return client, server
}

func TestTLS(t *testing.T) {
	p := newPKI(t)
	l, target := listenTLS(t, p.member("server"))
	c, s := exchange(t, l, target, Options{TLS: p.member("client"), DSCP: 8})
	if c.PeerID() != "server" || s.PeerID() != "client" {
		t.Errorf("peers %q %q", c.PeerID(), s.PeerID())
	}
	big := string(make([]byte, 3<<20))
	done := make(chan bool)
	go func() { write(t, c, big); c.Close(); close(done) }()
	if got := readN(t, s, len(big)); got != big {
		t.Error("data changed on the way")
	}
	<-done
	eof(t, s)
}

// TestTLSSilentClient connects to a server and never begins its handshake.
func TestTLSSilentClient(t *testing.T) {
	p := newPKI(t)
	o := p.member("server")
	o.patience = time.Millisecond
	l, target := listenTLS(t, o)
	c, err := Open("tcp"+strings.TrimPrefix(target, "ssl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := accept(t, l)
	defer s.Close()
	if err := until(t, func(p *poll.Set) { s.Wait(p, true, false, false) }, s.Connect); err != unix.EPROTO {
		t.Errorf("server: %v", err)
	}
	eof(t, c)
}

func TestTLSStranger(t *testing.T) {
	p := newPKI(t)
	l, target := listenTLS(t, p.member("server"))
	stranger := newPKI(t).member("stranger")
	if client, _ := attempt(t, l, target, stranger); client != unix.EPROTO {
		t.Errorf("client with another CA: %v", client)
	}
	stranger.CACert = "none"
	if _, server := attempt(t, l, target, stranger); server != unix.EPROTO {
		t.Errorf("server with a stranger: %v", server)
	}
}

func TestTLSBootstrap(t *testing.T) {
	p := newPKI(t)
	server := p.member("server")
	server.PeerCACert = p.path("ca.pem")
	l, target := listenTLS(t, server)
	client := p.member("client")
	client.CACert, client.Bootstrap = p.path("got.pem"), true
	if err, _ := attempt(t, l, target, client); err != unix.EPROTO {
		t.Errorf("the bootstrapping connection must not be used: %v", err)
	}
	want, _ := os.ReadFile(p.path("ca.pem"))
	if got, err := os.ReadFile(p.path("got.pem")); string(got) != string(want) {
		t.Errorf("%v %s", err, got)
	}
	exchange(t, l, target, Options{TLS: client})
}

func TestTLSKeyChange(t *testing.T) {
	p := newPKI(t)
	server := p.member("server")
	l, target := listenTLS(t, server)
	client := p.member("client")
	exchange(t, l, target, Options{TLS: client})
	other := p.member("other")
	for from, to := range map[string]string{other.PrivateKey: server.PrivateKey, other.Certificate: server.Certificate} {
		b, _ := os.ReadFile(from)
		os.WriteFile(to, b, 0o600)
		os.Chtimes(to, time.Unix(1, 0), time.Unix(1, 0))
	}
	if c, _ := exchange(t, l, target, Options{TLS: client}); c.PeerID() != "other" {
		t.Errorf("server still shows %q", c.PeerID())
	}
}

func TestTLSUnconfigured(t *testing.T) {
	for _, o := range []*TLS{nil, {}, {PrivateKey: "/nowhere", Certificate: "/nowhere", CACert: "/nowhere"}} {
		if _, err := Open("ssl:127.0.0.1:1", Options{TLS: o}); !errors.Is(err, unix.ENOPROTOOPT) {
			t.Errorf("%v", err)
		}
	}
	p := newPKI(t)
	c, err := Open("ssl:127.0.0.1:1", Options{TLS: p.member("x")})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := until(t, func(s *poll.Set) { c.Wait(s, true, false, false) }, c.Connect); !errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("closed port: %v", err)
	}
}

func TestTLSOptions(t *testing.T) {
	p := newPKI(t)
	server := p.member("server")
	server.Protocols, server.Ciphers = "TLSv1.2", "ECDHE+AES256:!SHA"
	l, target := listenTLS(t, server)
	client := p.member("client")
	exchange(t, l, target, Options{TLS: client})
	client.Protocols = "TLSv1.3"
	if c, _ := attempt(t, l, target, client); c == nil {
		t.Error("no common version, but connected")
	}
	client.Protocols, client.Ciphers = "TLSv1.2", "ECDHE-ECDSA-AES128-SHA"
	if c, _ := attempt(t, l, target, client); c == nil {
		t.Error("no common cipher, but connected")
	}
	if lo, hi := protocolRange("TLSv1,TLSv1.2"); lo != tls.VersionTLS10 || hi != tls.VersionTLS12 {
		t.Errorf("%x %x", lo, hi)
	}
	got := cipherSuites("AES256-SHA:kRSA+AESGCM:!AES128")
	if want := []uint16{tls.TLS_RSA_WITH_AES_256_CBC_SHA, tls.TLS_RSA_WITH_AES_256_GCM_SHA384}; !cmp.Equal(got, want) {
		t.Errorf("%x", got)
	}
	if cipherSuites("") != nil || cipherSuites("nonsense") != nil {
		t.Error("the default must be Go's")
	}
}
