package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/tests/testkit"
)

// withController starts a switch whose packets only a controller forwards.
func withController(t *testing.T, version string) (*testkit.Switch, []*testkit.Host) {
	t.Helper()
	s := testkit.NewSwitch(t, testkit.Options{})
	h := hosts(t, s, 2)
	s.Vsctl("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev", "fail_mode=secure", "protocols="+version)
	s.Vsctl("add-port", "br0", "p0", "--", "set", "interface", "p0", "type=afxdp", "--", "add-port", "br0", "p1")
	return s, h
}

// learns waits for the connection and checks that the controller's flows forward.
func learns(t *testing.T, s *testkit.Switch, h []*testkit.Host) {
	t.Helper()
	testkit.Eventually(t, 15*time.Second, "the controller is connected", func() bool {
		return s.Vsctl("--bare", "--columns=is_connected", "list", "controller") == "true"
	})
	// Until it has flows for both directions a busy controller may lose packets: it
	// keeps few messages for a switch (ovs-testcontroller: ten).
	version := "-OOpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15"
	testkit.Eventually(t, 20*time.Second, "the controller lets a ping through and makes flows for it", func() bool {
		_, err := h[0].Try("ping", "-q", "-c", "1", "-W", "1", "10.9.0.2")
		return err == nil && strings.Count(s.Ofctl(version, "--no-names", "dump-flows", "br0"), "actions=output:") >= 2
	})
	h[0].Ping("10.9.0.2", 5)
}

func TestTestController(t *testing.T) {
	testkit.Need(t, "ovs-testcontroller", "ping")
	for _, version := range []string{"OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15"} {
		t.Run(version, func(t *testing.T) {
			s, h := withController(t, version)
			s.Start("ovs-testcontroller", "-O", version, "--unixctl=none", "ptcp:6653:127.0.0.1")
			s.Vsctl("set-controller", "br0", "tcp:127.0.0.1:6653")
			learns(t, s, h)
		})
	}
}

func TestTestControllerTLS(t *testing.T) {
	testkit.Need(t, "ovs-testcontroller", "ping")
	s, h := withController(t, "OpenFlow13")
	pki := newPKI(t, s.Dir)
	ctlKey, ctlCert := pki.issue("controller")
	swKey, swCert := pki.issue("switch")
	s.Start("ovs-testcontroller", "-O", "OpenFlow13", "--unixctl=none", "--private-key="+ctlKey, "--certificate="+ctlCert,
		"--ca-cert="+pki.ca, "pssl:6653:127.0.0.1")
	s.Vsctl("set-ssl", swKey, swCert, pki.ca)
	s.Vsctl("set-controller", "br0", "ssl:127.0.0.1:6653")
	learns(t, s, h)
	// A certificate of another authority is refused.
	other := newPKI(t, t.TempDir())
	key, cert := other.issue("switch")
	s.Vsctl("set-ssl", key, cert, other.ca)
	s.Appctl("bridge/reconnect", "br0")
	testkit.Eventually(t, 15*time.Second, "the connection with a strange certificate ends", func() bool {
		return s.Vsctl("--bare", "--columns=is_connected", "list", "controller") == "false"
	})
}

// pki is a certificate authority in a directory.
type pki struct {
	t    *testing.T
	dir  string
	ca   string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newPKI(t *testing.T, dir string) *pki {
	t.Helper()
	p := &pki{t: t, dir: dir, next: 2}
	var err error
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &p.key.PublicKey, p.key)
	if err != nil {
		t.Fatal(err)
	}
	if p.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	p.ca = p.write("cacert.pem", "CERTIFICATE", der)
	return p
}

func (p *pki) write(name, kind string, der []byte) string {
	p.t.Helper()
	path := filepath.Join(p.dir, name)
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// issue makes a key and a certificate and returns their files.
func (p *pki) issue(name string) (key, cert string) {
	p.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(p.next), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	p.next++
	der, err := x509.CreateCertificate(rand.Reader, tmpl, p.cert, &k.PublicKey, p.key)
	if err != nil {
		p.t.Fatal(err)
	}
	kd, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.write(name+"-privkey.pem", "EC PRIVATE KEY", kd), p.write(name+"-cert.pem", "CERTIFICATE", der)
}
