package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

func newRender(s streams) *cobra.Command {
	var opts renderOptions
	var report *reporter
	cmd := &cobra.Command{
		Use:   "render [PATH…]",
		Short: "Expand specifications into manifests",
		Long: `Render reads specifications (by default the current folder; - is standard input)
and writes one cluster's manifests to standard output, or all to a folder:

  <cluster>/platform/           the operator's own roles, and its chart's values
  <cluster>/tenants/<tenant>/   one file per namespace
  <cluster>/flux/               Flux Kustomizations, if the Platform has flux

With a problem, nothing is written. Only what eso-tenant made is replaced.`,
		Example: `  eso-tenant render examples/quickstart | kubectl apply --server-side -f -
  eso-tenant render platforms tenants --cluster eu-1 -o rendered`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if err := checkStated(cmd, "output", "cluster", "tenant"); err != nil {
				return err
			}
			return s.render(cmd.Context(), paths, &opts, report)
		},
	}
	cmd.Flags().StringVarP(&opts.output, "output", "o", "", "write to this `folder` instead of standard output")
	cmd.Flags().StringSliceVar(&opts.selection.Clusters, "cluster", nil, "render these clusters (Platforms) only")
	cmd.Flags().StringSliceVar(&opts.selection.Tenants, "tenant", nil, "render these tenants only, nothing of the Platform's")
	cmd.Flags().BoolVar(&opts.verify, "verify", false, "write only if the fence is proven to hold")
	report = s.reporter(cmd, s.err)
	return cmd
}

type renderOptions struct {
	output    string // a folder; "" is standard output
	selection fn.Selection
	verify    bool
}

// checkStated refuses flags that are given without a value. Taken for not
// given, as pflag has it, an unset variable of a script's would select all.
func checkStated(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		flag := cmd.Flags().Lookup(name)
		if value := flag.Value.String(); flag.Changed && (value == "" || value == "[]") {
			return fmt.Errorf("--%s is empty; is a variable of your shell not set?", name)
		}
	}
	return nil
}

func (s streams) render(ctx context.Context, paths []string, opts *renderOptions, report *reporter) error {
	progress := s.progress("reading specifications")
	rendering, sources, problems := build(paths, s)
	progress.stop()
	var selected *fn.Rendering
	if rendering != nil {
		var err error
		if selected, err = rendering.Select(opts.selection); err != nil {
			return &exit{code: exitUsage, cause: err}
		}
	}
	if opts.verify && selected != nil {
		found, err := s.proveRendering(selected)
		if err != nil {
			return failed(err)
		}
		problems = append(problems, found...)
	}
	if err := report.report(problems, sources); err != nil {
		return err
	}
	if opts.output == "" {
		return s.renderStream(ctx, selected)
	}
	if err := s.renderFolder(ctx, selected, opts.output); err != nil {
		return err
	}
	if report.forPeople() {
		fmt.Fprintf(s.err, "%s: %s\n", problem.Clean(opts.output), counted(selected))
	}
	return nil
}

func (s streams) proveRendering(selected *fn.Rendering) (problem.List, error) {
	defer s.progress("proving").stop()
	holdAll()
	return selected.Prove()
}

// build reads and decodes what the paths name, by default the current folder.
// The sources are for showing their lines.
func build(paths []string, s streams) (*fn.Rendering, []schema.Source, problem.List) {
	if len(paths) == 0 {
		paths = []string{"."}
	}
	sources, unread := fn.ReadSources(paths, s.in)
	rendering, problems := fn.Build(sources)
	all := slices.Concat(unread, problems)
	if rendering != nil && len(rendering.Clusters()) == 0 && all.Errors() == 0 {
		all = append(all, problem.Problem{
			Rule: problem.SourceEmpty, Position: problem.Position{File: strings.Join(paths, " ")},
			Message: "there is no specification here",
			Hint:    "a Platform and its Tenants have apiVersion eso-tenant.dev/v1alpha1",
		})
	}
	return rendering, sources, all
}

func (s streams) renderStream(ctx context.Context, r *fn.Rendering) error {
	if clusters := r.Clusters(); len(clusters) > 1 {
		return &exit{code: exitUsage, cause: fmt.Errorf("there are several clusters: %s; name one with --cluster, or a folder with -o", strings.Join(clusters, ", "))}
	}
	if !isTerminal(s.out) { // or it would stand among the manifests
		defer s.progress("writing manifests").stop()
	}
	out := bufio.NewWriterSize(s.out, 64<<10)
	if err := r.WriteStream(ctx, out); err != nil {
		return failed(err)
	}
	if err := out.Flush(); err != nil {
		return failed(fmt.Errorf("writing output: %w", err))
	}
	return nil
}

func (s streams) renderFolder(ctx context.Context, r *fn.Rendering, folder string) error {
	// Only here is there something to tidy up; anywhere else, and at a second
	// signal, the process may just end.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	progress := s.progress("writing manifests")
	err := r.WriteFolder(ctx, folder)
	progress.stop()
	if err != nil {
		if errors.Is(err, context.Canceled) {
			err = errors.New("interrupted; each cluster's folder is whole, the old one or the new one")
		}
		return failed(err)
	}
	return nil
}

// counted says what a rendering has, such as "2 clusters, 12 tenants, 20 namespaces".
func counted(r *fn.Rendering) string {
	clusters, tenants, namespaces := r.Count()
	text := problem.Plural(clusters, "cluster") + ", " + problem.Plural(tenants, "tenant") + ", " + problem.Plural(namespaces, "namespace")
	if r.Foreign > 0 {
		text += "; " + problem.Plural(r.Foreign, "document") + " of other kinds left alone"
	}
	return text
}
