package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newVet(s streams) *cobra.Command {
	return &cobra.Command{
		Use:   "vet [PATH…]",
		Short: "Check specifications",
		Long: `Vet reads specifications (files, folders, or - for standard input; by default
the current folder) and reports every problem at its file, line and column.`,
		Example: `  eso-tenant vet platforms tenants`,
		RunE: func(_ *cobra.Command, paths []string) error {
			progress := s.progress("checking specifications")
			rendering, problems := build(paths, s)
			progress.stop()
			if err := s.report(problems); err != nil {
				return err
			}
			if _, err := fmt.Fprintln(s.out, "valid: "+counted(rendering)); err != nil {
				return failed(fmt.Errorf("writing output: %w", err))
			}
			return nil
		},
	}
}
