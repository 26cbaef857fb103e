package daemon

import "fmt"

// StreamUsage describes the connection methods that a program takes and the
// TLS options.
func StreamUsage(name string, active, passive, bootstrap bool) string {
	s := "\n"
	if active {
		s += fmt.Sprintf("Active %s connection methods:\n", name) +
			"  tcp:HOST:PORT           PORT at remote HOST\n" +
			"  ssl:HOST:PORT           SSL PORT at remote HOST\n" +
			"  unix:FILE               Unix domain socket named FILE\n"
	}
	if passive {
		s += fmt.Sprintf("Passive %s connection methods:\n", name) +
			"  ptcp:PORT[:IP]          listen to TCP PORT on IP\n" +
			"  pssl:PORT[:IP]          listen for SSL on PORT on IP\n" +
			"  punix:FILE              listen on Unix domain socket FILE\n"
	}
	s += "PKI configuration (required to use SSL):\n" +
		"  -p, --private-key=FILE  file with private key\n" +
		"  -c, --certificate=FILE  file with certificate for private key\n" +
		"  -C, --ca-cert=FILE      file with peer CA certificate\n"
	if bootstrap {
		s += "  --bootstrap-ca-cert=FILE  file with peer CA certificate to read or create\n"
	}
	return s + "SSL options:\n" +
		"  --ssl-protocols=PROTOS  list of SSL protocols to enable\n" +
		"  --ssl-ciphers=CIPHERS   list of SSL ciphers to enable\n"
}

// DaemonUsage describes the options of daemons.
func (d *Daemon) DaemonUsage() string {
	return "\nDaemon options:\n" +
		"  --detach                run in background as daemon\n" +
		"  --monitor               creates a process to monitor this daemon\n" +
		"  --user=username[:group] changes the effective daemon user:group\n" +
		"  --no-chdir              do not chdir to '/'\n" +
		fmt.Sprintf("  --pidfile[=FILE]        create pidfile (default: %s/%s.pid)\n", d.Dirs.Run, d.Name) +
		"  --overwrite-pidfile     with --pidfile, start even if already running\n"
}

// LogUsage describes the options of logging.
func (d *Daemon) LogUsage() string {
	return "\nLogging options:\n" +
		"  -vSPEC, --verbose=SPEC   set logging levels\n" +
		"  -v, --verbose            set maximum verbosity level\n" +
		"  --log-file[=FILE]        enable logging to specified FILE\n" +
		fmt.Sprintf("                           (default: %s/%s.log)\n", d.Dirs.Log, d.Name) +
		"  --syslog-method=(libc|unix:file|udp:ip:port)\n" +
		"                           specify how to send messages to syslog daemon\n" +
		"  --syslog-target=HOST:PORT  also send syslog msgs to HOST:PORT via UDP\n"
}
