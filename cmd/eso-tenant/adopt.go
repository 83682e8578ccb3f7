package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/adopt"
	"github.com/eso-tenant/eso-tenant/internal/audit"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/kubectl"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/scaffold"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// adoptOptions are adopt's flags.
type adoptOptions struct {
	dumps    []string
	output   string
	auditLog string
	cluster  string
	label    string
	live     bool
	context  string
}

func newAdopt(s streams) *cobra.Command {
	var o adoptOptions
	var report *reporter
	cmd := &cobra.Command{
		Use:   "adopt DUMP…",
		Short: "Make specifications of a cluster in use",
		Long: `Adopt makes a Platform, its Tenants and a plan of stores that are there. A dump:
  kubectl get ns,sa,deploy,sts,ds,cj,roles,rolebindings,clusterroles,\
  clusterrolebindings,$(kubectl api-resources -o name --verbs=list |
  grep external-secrets.io | paste -sd,) -A -o json > dump.json`,
		Example: `  eso-tenant adopt dump.json --audit-log audit.log -o fences`,
		Args: func(cmd *cobra.Command, dumps []string) error {
			return checkDumps(cmd, dumps, o.live)
		},
		RunE: func(cmd *cobra.Command, dumps []string) error {
			if err := checkStated(cmd, "audit-log", "cluster", "context", "output", "tenant-label"); err != nil {
				return err
			}
			if o.context != "" && !o.live {
				return errors.New("--context says which cluster --live asks; add --live")
			}
			if o.cluster != "" {
				if err := scaffold.CheckName(o.cluster); err != nil {
					return fmt.Errorf("--cluster: %w", err)
				}
			}
			o.dumps = dumps
			return s.adopt(cmd.Context(), o, report)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.auditLog, "audit-log", "", "audit log `file`, folder or pattern: what ESO minted")
	flags.StringVar(&o.cluster, "cluster", "", "`name` of the Platform (default \""+adopt.DefaultCluster+"\")")
	flags.StringVar(&o.context, "context", "", "with --live: the kubeconfig's `context`")
	flags.BoolVar(&o.live, "live", false, "ask the cluster, by kubectl")
	flags.StringVarP(&o.output, "output", "o", "", "write to this new `folder`, with the plan")
	flags.StringVar(&o.label, "tenant-label", "", "`key` of the Namespaces' label that is the tenant's\nname (default: each namespace is one)")
	report = s.reporter(cmd, s.err)
	return cmd
}

func checkDumps(cmd *cobra.Command, dumps []string, live bool) error {
	switch {
	case live && len(dumps) > 0:
		return fmt.Errorf("--live asks a cluster; leave %s out", problem.Quote(dumps[0]))
	case !live && len(dumps) == 0:
		return errors.New("name a dump of the cluster, - for standard input, or --live; '" + cmd.CommandPath() + " --help' has the command for it")
	default:
		return checkFolder(dumps)
	}
}

func (s streams) adopt(ctx context.Context, o adoptOptions, report *reporter) error {
	if o.output != "" {
		if err := checkNew(o.output); err != nil {
			return failed(err)
		}
	}
	in, problems, err := s.dumped(ctx, o)
	if err != nil {
		return err
	}
	var result *adopt.Result
	if problems.Errors() == 0 { // of half a dump, half a specification would be made
		progress := s.progress("adopting")
		result, problems = adopt.Make(in)
		progress.stop()
	}
	if result != nil && o.auditLog != "" {
		found, err := s.explainMints(ctx, result, o.auditLog)
		if err != nil {
			return failed(err)
		}
		problems = append(problems, found...)
	}
	if err := report.report(problems, nil); err != nil {
		return err
	}
	if err := s.writeAdopted(ctx, result, o.output); err != nil {
		return err
	}
	if report.forPeople() {
		s.say(result.Notes, nil)
		fmt.Fprintln(s.err, result.Summary())
	}
	return nil
}

// dumped reads the dump, or asks the cluster.
func (s streams) dumped(ctx context.Context, o adoptOptions) (adopt.Input, problem.List, error) {
	in := adopt.Input{Cluster: o.cluster, TenantLabel: o.label}
	progress := s.progress("reading the cluster")
	defer progress.stop()
	if !o.live {
		set, problems := fn.ReadObjects(o.dumps, s.in, adopt.Kinds)
		in.Objects = set.Objects
		return in, problems, nil
	}
	set, err := live(ctx, o.context, adopt.Kinds)
	if err != nil {
		return in, nil, failed(err)
	}
	in.Objects = set.Objects
	generators, err := liveGenerators(ctx, o.context)
	if err != nil {
		return in, nil, failed(asked(err))
	}
	in.Objects = append(in.Objects, generators...)
	facts, _ := scaffold.Ask(ctx, o.context) // what is not known is left out
	in.Kubernetes, in.Issuer = facts.Kubernetes, facts.Issuer
	if in.Cluster == "" {
		in.Cluster = facts.Name
	}
	return in, nil, nil
}

// liveGenerators reads ESO's generators, of which each release has other kinds.
func liveGenerators(ctx context.Context, kubeContext string) ([]inventory.Object, error) {
	const maxKinds = 1 << 20 // of bytes
	client := kubectl.Client{Context: kubeContext}
	out, err := client.Output(ctx, maxKinds, "api-resources", "--verbs=list", "--api-group=generators.external-secrets.io", "--output=name")
	kinds := strings.Fields(string(out))
	if err != nil || len(kinds) == 0 {
		return nil, err
	}
	stream, err := client.Stream(ctx, "get", strings.Join(kinds, ","), "--all-namespaces", "--output=json", "--chunk-size=500")
	if err != nil {
		return nil, err
	}
	set, problems := inventory.Read(slices.Values([]inventory.Source{{File: "cluster", Reader: stream}}), adopt.Kinds)
	if err := stream.Close(); err != nil {
		return nil, err
	}
	if len(problems) > 0 {
		return nil, errors.New(problems[0].Line())
	}
	return set.Objects, nil
}

// explainMints reads an audit log for what ESO minted, and has the result
// explain it. Of what else audit would find, only what was not read is said.
func (s streams) explainMints(ctx context.Context, result *adopt.Result, name string) (problem.List, error) {
	operator := audit.Account{Namespace: result.Operator.Namespace, Name: result.Operator.ServiceAccount}
	logs, problems := audit.Find([]string{name}, s.in)
	report, err := audit.Read(ctx, logs, &audit.Input{ESO: []audit.Account{operator}})
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	for _, p := range report.Problems {
		switch {
		case p.Rule == problem.AuditLogIncomplete && report.Coverage.Events == 0:
			p.Severity = problem.Error // nothing was read, so nothing is known
		case !slices.Contains([]problem.Rule{problem.AuditLogIncomplete, problem.AuditLogSecret, problem.SourceUnreadable}, p.Rule):
			continue
		}
		problems = append(problems, p)
	}
	if problems.Errors() > 0 {
		return problems, nil
	}
	var minted []adopt.Minted
	for i := range report.Rows {
		row := &report.Rows[i]
		if row.Requester == operator.Username() && row.As == "" && row.Given > 0 {
			minted = append(minted, adopt.Minted{Account: verify.Account(row.Account), Count: row.Given})
		}
	}
	return append(problems, result.Explain(name, minted)...), nil
}

// checkNew refuses a folder with something in it: nothing is overwritten.
func checkNew(dir string) error {
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return fmt.Errorf("%s is not empty, and adopt overwrites nothing; name a new folder", problem.Quote(dir))
	}
	return nil // what else is wrong with it, the writer says
}

// writeAdopted writes a folder, with the plan; or the specifications as a stream.
func (s streams) writeAdopted(ctx context.Context, result *adopt.Result, dir string) error {
	if dir == "" {
		var all [][]byte
		for _, file := range result.Specifications {
			all = append(all, file.Data)
		}
		if _, err := s.out.Write(bytes.Join(all, []byte("---\n"))); err != nil {
			return failed(fmt.Errorf("writing output: %w", err))
		}
		return nil
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	files, err := adoptedFiles(result)
	if err != nil {
		return failed(err)
	}
	if err := scaffold.Write(ctx, dir, files); err != nil {
		return failed(interrupted(err))
	}
	return s.listAdopted(dir, files)
}

// schemaFile is where editors find the schema, as in a repository of init's.
const schemaFile = ".eso-tenant/schema.json"

func adoptedFiles(result *adopt.Result) ([]scaffold.File, error) {
	exported, err := schema.JSONSchema()
	if err != nil {
		return nil, fmt.Errorf("exporting the schema: %w", err)
	}
	files := []scaffold.File{}
	for _, file := range result.Specifications {
		up := strings.Repeat("../", strings.Count(file.Name, "/"))
		line := []byte("# yaml-language-server: $schema=" + up + schemaFile + "\n")
		files = append(files, scaffold.File{Name: file.Name, About: file.About, Data: append(line, file.Data...)})
	}
	plan := result.Plan()
	return append(files,
		scaffold.File{Name: plan.Name, About: plan.About, Data: plan.Data},
		scaffold.File{Name: schemaFile, About: "what editors check the files with", Data: exported},
	), nil
}

// listAdopted shows what was written, but not file by file where there are many.
func (s streams) listAdopted(dir string, files []scaffold.File) error {
	const shown = 20
	out := tabwriter.NewWriter(s.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(out, problem.Clean(dir))
	rest := max(0, len(files)-shown)
	for i, file := range files {
		if i == 1 && rest > 0 {
			fmt.Fprintf(out, "├── …\t%s\n", problem.Plural(rest, "more tenant"))
		}
		if i >= 1 && i <= rest {
			continue
		}
		branch := "├── "
		if i == len(files)-1 {
			branch = "└── "
		}
		fmt.Fprintf(out, "%s%s\t%s\n", branch, file.Name, file.About)
	}
	if err := out.Flush(); err != nil {
		return failed(fmt.Errorf("writing output: %w", err))
	}
	return nil
}
