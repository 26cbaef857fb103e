// The program sluice is the switch for people: `sluice run` is database and switch in
// one process on a database file of its own.
package main

import (
	"fmt"
	"os"

	"sluice/cmd/internal/daemon"
)

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "run":
			run(os.Args)
			return
		case "-h", "--help", "help":
			fmt.Print(usage)
			return
		case "-V", "--version", "version":
			fmt.Printf("sluice (Open vSwitch) %s\n", daemon.Version)
			return
		}
	}
	fmt.Fprint(os.Stderr, usage)
	os.Exit(1)
}

const usage = `sluice: an Open vSwitch-compatible switch
usage: sluice run [OPTIONS] [DATABASE-FILE]

  run       start database and switch in this process; "sluice run --help"
            lists the options, which are those of the two daemons
`
