// Command testbed is behind `make e2e`, `make e2e-up` and `make e2e-down`.
//
//	testbed build   compile what the test bed consists of
//	testbed test    run the tests; arguments are for `go test`
//	testbed up      leave a fenced playground running
//	testbed down    end it
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Stdout, os.Stderr, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out, log io.Writer, arguments []string) error {
	command := ""
	if len(arguments) > 0 {
		command = arguments[0]
	}
	switch command {
	case "build":
		return buildAll(ctx, log, build.All())
	case "test":
		return test(ctx, out, log, arguments[1:])
	case "up":
		return up(ctx, out, log)
	case "serve": // what `up` leaves running
		return servePlayground(ctx, log)
	case "down":
		return down(ctx, out)
	default:
		return fmt.Errorf("what is %q? There are build, test, up and down", command)
	}
}

// buildAll builds components that are not built yet.
func buildAll(ctx context.Context, log io.Writer, components []build.Component) error {
	builder, err := build.NewBuilder(log)
	if err != nil {
		return err
	}
	for _, component := range components {
		if _, err := builder.Build(ctx, component); err != nil {
			return err
		}
	}
	return nil
}
