package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newVet(s streams) *cobra.Command {
	var report *reporter
	cmd := &cobra.Command{
		Use:   "vet [PATH…]",
		Short: "Check specifications",
		Long: `Vet reads specifications (files, folders, or - for standard input; by default
the current folder) and reports every problem at its file, line and column:
as text on standard error, or in another --format on standard output.`,
		Example: `  eso-tenant vet platforms tenants
  eso-tenant vet platforms tenants --format sarif > vet.sarif`,
		RunE: func(_ *cobra.Command, paths []string) error { return s.vet(paths, report) },
	}
	report = s.reporter(cmd, s.out)
	return cmd
}

func (s streams) vet(paths []string, report *reporter) error {
	progress := s.progress("checking specifications")
	rendering, sources, problems := build(paths, s)
	progress.stop()
	if err := report.report(problems, sources); err != nil || !report.forPeople() {
		return err
	}
	if _, err := fmt.Fprintln(s.out, "valid: "+counted(rendering)); err != nil {
		return failed(fmt.Errorf("writing output: %w", err))
	}
	return nil
}
