package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/format"
	"github.com/eso-tenant/eso-tenant/internal/offboard"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// planFormat is how a plan is written.
type planFormat string

const (
	planText     planFormat = "text"
	planMarkdown planFormat = "markdown"
	planJSON     planFormat = "json"
)

func newOffboard(s streams) *cobra.Command {
	var request offboard.Request
	var clusters []string
	as := planText
	cmd := &cobra.Command{
		Use:   "offboard TENANT [PATH…]",
		Short: "Plan how a tenant goes, step by step",
		Long: `Offboard prints what to do so that a tenant goes and leaves nothing behind: the
edits and commands in order, what Flux removes and what it never does, and how
long tokens stay good. With --to, how its namespaces go to another tenant, also
one that there is not yet. It changes nothing.`,
		Example: `  eso-tenant offboard payments platforms tenants
  eso-tenant offboard payments --namespace payments-old --to ledger`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return errors.New("name the tenant that is to go")
			}
			return nil
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 0 {
				return completeNames(fn.TenantNames)(cmd, args, typed)
			}
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkStated(cmd, "cluster", "namespace", "to"); err != nil {
				return err
			}
			request.Tenant = args[0]
			return s.offboard(args[1:], request, clusters, as)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&clusters, "cluster", nil, "on these clusters (Platforms) only")
	flags.StringVarP(&request.Namespace, "namespace", "n", "", "this `namespace` of the tenant's only")
	flags.StringVar(&request.To, "to", "", "move to this `tenant`, and remove nothing")
	flags.BoolVar(&request.DeleteNamespaces, "delete-namespaces", false, "delete the Namespaces, too, with all in them")
	addChoice(cmd, &as, "format", []planFormat{planText, planMarkdown, planJSON}, "`format` of the plan: text (default), markdown, json")
	completeFlag(cmd, "to", completeNames(fn.TenantNames))
	completeFlag(cmd, "namespace", cobra.NoFileCompletions)
	return cmd
}

func (s streams) offboard(paths []string, request offboard.Request, clusters []string, as planFormat) error {
	switch {
	case request.To == request.Tenant:
		return &exit{code: exitUsage, cause: fmt.Errorf("tenant %s has its namespaces already; --to names another one", problem.Quote(request.Tenant))}
	case request.To != "" && request.DeleteNamespaces:
		return &exit{code: exitUsage, cause: errors.New("with --to, nothing is removed; leave --delete-namespaces out")}
	case request.To != "" && !fn.IsName(request.To):
		return &exit{code: exitUsage, cause: fmt.Errorf("--to %s is no name of a tenant", problem.Quote(request.To))}
	}
	progress := s.progress("reading specifications")
	rendering, sources, problems := build(paths, s)
	progress.stop()
	report := reporter{streams: s, format: format.Text, severity: problem.Error}
	if err := report.report(problems, sources); err != nil {
		return err
	}
	selected, err := rendering.Select(fn.Selection{Clusters: clusters})
	if err != nil {
		return &exit{code: exitUsage, cause: err}
	}
	if err := s.known(selected.Resolved(), request); err != nil {
		return err
	}
	return writePlan(s.out, offboard.New(selected.Resolved(), request), as)
}

// known looks for what is to go, and says what is near where there is no such.
func (s streams) known(clusters []*schema.Cluster, request offboard.Request) error {
	var tenants, namespaces []string
	for _, c := range clusters {
		for _, t := range c.Tenants {
			tenants = append(tenants, t.Name)
			if t.Name != request.Tenant {
				continue
			}
			for _, ns := range t.Namespaces {
				namespaces = append(namespaces, ns.Name)
			}
		}
	}
	switch {
	case !slices.Contains(tenants, request.Tenant):
		return s.unknown("there is no tenant "+problem.Quote(request.Tenant), request.Tenant, tenants)
	case request.Namespace != "" && !slices.Contains(namespaces, request.Namespace):
		return s.unknown("tenant "+request.Tenant+" has no namespace "+problem.Quote(request.Namespace), request.Namespace, namespaces)
	default:
		return nil
	}
}

// unknown is a problem in what was asked for, which the specifications lack.
func (streams) unknown(message, name string, there []string) error {
	if near := schema.Nearest(name, there); near != "" {
		message += "; did you mean " + problem.Quote(near) + "?"
	}
	return &exit{code: exitProblems, cause: errors.New(message)}
}

func writePlan(out io.Writer, plan offboard.Plan, as planFormat) error {
	var text string
	switch as {
	case planMarkdown:
		text = plan.Markdown()
	case planJSON:
		data, err := json.MarshalIndent(plan, "", "  ")
		if err != nil {
			return failed(fmt.Errorf("writing the plan: %w", err))
		}
		text = string(data) + "\n"
	default:
		text = plan.Text()
	}
	if _, err := io.WriteString(out, text); err != nil {
		return failed(fmt.Errorf("writing output: %w", err))
	}
	return nil
}
