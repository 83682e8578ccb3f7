// Command eso-tenant-controller is eso-tenant inside of Flux: it expands the
// tenants in Flux sources and publishes the result as ExternalArtifacts.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/fluxcd/pkg/runtime/logger"
	ctrl "sigs.k8s.io/controller-runtime"
)

// version is set when a release is built (-ldflags "-X main.version=…").
var version = ""

func main() {
	closeDoors()
	// As `render` does: a publication makes much short-lived data, and to collect
	// it less often saves CPU. GOMEMLIMIT, which the Deployment sets, keeps memory
	// bounded.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	os.Exit(start(os.Args[1:]))
}

// start runs the controller and returns the exit code.
func start(args []string) int {
	options, err := parse(args, os.Stderr)
	switch {
	case errors.Is(err, errHelp):
		return 0
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	logger.SetLogger(logger.NewLogger(options.log))
	if err := run(ctrl.SetupSignalHandler(), options); err != nil {
		ctrl.Log.Error(err, "the controller ends")
		return 3
	}
	return 0
}

// run has a manager run the controller until ctx ends, or until the process has
// to end because of what is running in it.
func run(ctx context.Context, o *options) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	manager, err := newManager(ctx, o, func(reason string) { cancel(errors.New(reason)) })
	if err != nil {
		return err
	}
	ctrl.Log.Info("starting", "version", buildVersion())
	if err := manager.Start(ctx); err != nil {
		return fmt.Errorf("running the controller: %w", err)
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// buildVersion is the release, or else the module version that go install used.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
