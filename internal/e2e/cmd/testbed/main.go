// Command testbed is behind `make e2e`, `make e2e-up` and `make e2e-down`.
//
//	testbed build   build what the test bed consists of
//	testbed test    run the tests; arguments are for `go test`
//	testbed up      leave a fenced playground running
//	testbed down    end it
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testbed:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, arguments []string) error {
	command := ""
	if len(arguments) > 0 {
		command = arguments[0]
	}
	switch command {
	case "build":
		return buildAll(ctx, build.All())
	case "test":
		return test(ctx, arguments[1:])
	case "up":
		return up(ctx)
	case "serve": // what `up` leaves running
		return servePlayground(ctx)
	case "down":
		return down(ctx)
	default:
		return fmt.Errorf("what is %q? There are build, test, up and down", command)
	}
}

// buildAll builds components that are not built yet.
func buildAll(ctx context.Context, components []build.Component) error {
	builder, err := build.NewBuilder(os.Stderr)
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
