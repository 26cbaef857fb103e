package stream

import (
	"golang.org/x/sys/unix"

	"sluice/internal/vlog"
)

var sslLog = vlog.New("stream_ssl")

// TLS is the keys and options of ssl: and pssl: connections.
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
}

func openSSL(target, rest string, o *Options) (Conn, error) {
	sslLog.Err("%s: TLS is not configured", target)
	return nil, unix.ENOPROTOOPT
}

func listenSSL(rest string, o *Options) (Listener, error) {
	sslLog.Err("%s: TLS is not configured", rest)
	return nil, unix.ENOPROTOOPT
}
