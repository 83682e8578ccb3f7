package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// version is set when a release is built (-ldflags "-X main.version=…").
var version = ""

func newVersion(s streams) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version, and what it knows",
		Example: `  eso-tenant version`,
		Args:    cobra.NoArgs,

		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(*cobra.Command, []string) error {
			known := eso.Versions()
			_, err := fmt.Fprintf(s.out, "eso-tenant %s\n%s %s/%s\nspecification %s\nExternal Secrets Operator %s to %s\n",
				buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH,
				schema.APIVersion, known[0], known[len(known)-1])
			if err != nil {
				return failed(fmt.Errorf("writing output: %w", err))
			}
			return nil
		},
	}
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
