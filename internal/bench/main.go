// Command bench measures what rendering costs, ours beside other tools, in one run on one machine.
//
// The workload is ten objects a tenant: Namespace, ServiceAccount, token Role and binding, write Role and binding,
// Vault SecretStore, default-deny NetworkPolicy, ResourceQuota and LimitRange. Each tool gets it in its own form (peers/),
// runs as a child process of its own, and must yield as many objects of each kind as the others.
//
// CPU time is user plus system time of the child, peak memory its resident set. Runs are interleaved, so that a slow
// minute hits every tool. Ratios compare minimums: noise only ever adds to CPU time.
//
//	go run ./internal/bench [-tenants 1000] [-large 10000] [-runs 5] [-exec 50] [-log 500] [-only helm,cue] [-check]
//
// An audit log (generated, 2 % requests for tokens) is read by ours and by jq, which has to be installed: make jq.
//
// Exit codes: 0 measured (and, with -check, every promise holds), 1 a promise is broken, 2 usage, 3 could not run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
)

const (
	exitBroken   = 1
	exitUsage    = 2
	exitCouldNot = 3

	maxLogMB = 4000
)

// options are the command line, parsed.
type options struct {
	tenants int      // of the workload that every tool runs
	large   int      // of the workload that shows how ours grows; 0 leaves it out
	runs    int      // of each tool
	exec    int      // runs of one tenant as an exec function; 0 leaves it out
	log     int      // megabytes of the audit log; 0 leaves it out
	only    []string // names of tools; empty means all
	check   bool
}

var errUsage = errors.New("usage")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parse(args, stderr)
	if err != nil {
		return exitUsage // parse has said why
	}
	result, err := measureAll(ctx, opts, stderr)
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return exitCouldNot
	}
	promises := result.promises()
	result.print(stdout)
	printPromises(stdout, promises)
	if opts.check && slices.ContainsFunc(promises, promise.broken) {
		return exitBroken
	}
	return 0
}

func parse(args []string, stderr io.Writer) (options, error) {
	var opts options
	var only string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&opts.tenants, "tenants", 1000, "tenants of the workload that every tool runs")
	flags.IntVar(&opts.large, "large", 10000, "tenants of the workload that shows how ours grows; 0: leave it out")
	flags.IntVar(&opts.runs, "runs", 5, "runs of each tool")
	flags.IntVar(&opts.exec, "exec", 50, "runs of one tenant as an exec function; 0: leave it out")
	flags.IntVar(&opts.log, "log", wholeLogMB, "megabytes of the audit log that ours and jq read; 0: leave it out")
	flags.StringVar(&only, "only", "", "comma-separated tools to run, of "+strings.Join(toolNames(), ","))
	flags.BoolVar(&opts.check, "check", false, "exit 1 if a promise about ratios or memory is broken")
	if err := flags.Parse(args); err != nil {
		return opts, errUsage
	}
	if only != "" {
		opts.only = strings.Split(only, ",")
	}
	if complaint := opts.complaint(flags.NArg()); complaint != "" {
		fmt.Fprintf(stderr, "bench: %s\n", complaint)
		return opts, errUsage
	}
	return opts, nil
}

// complaint says what is wrong with the options, or nothing.
func (o options) complaint(operands int) string {
	for _, name := range o.only {
		if !slices.Contains(toolNames(), name) {
			return fmt.Sprintf("%q is not a tool; there are %s", name, strings.Join(toolNames(), ", "))
		}
	}
	switch {
	case operands > 0:
		return "takes flags only"
	case o.tenants < 1 || o.tenants > maxTenants || o.large < 0 || o.large > maxTenants:
		return fmt.Sprintf("-tenants and -large are at most %d", maxTenants)
	case o.log < 0 || o.log > maxLogMB:
		return fmt.Sprintf("-log is 0 to %d", maxLogMB)
	case o.runs < 1 || o.exec < 0:
		return "-runs is at least 1, -exec at least 0"
	case o.check && len(o.only) > 0:
		return "-check needs every tool; leave -only out"
	}
	return ""
}
