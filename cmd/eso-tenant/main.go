// Command eso-tenant expands tenant specifications into the manifests that
// fence External Secrets Operator. Without arguments it is a KRM function.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

func main() {
	// A run makes much short-lived data and is over soon: collecting it less
	// often saves a third of the CPU, and the limit keeps memory bounded.
	debug.SetGCPercent(400)
	debug.SetMemoryLimit(384 << 20)

	// A closed pipe is an error to report, not a signal to die of.
	signal.Ignore(syscall.SIGPIPE)
	program, args := invoked(os.Args[0], os.Args[1:])
	os.Exit(run(context.Background(), args, streams{program: program, in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
