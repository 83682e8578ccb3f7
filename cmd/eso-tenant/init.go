package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/format"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/scaffold"
)

// initOptions are init's flags.
type initOptions struct {
	scaffold.Answers
	live    bool
	context string
	yes     bool
}

func newInit(s streams) *cobra.Command {
	var o initOptions
	cmd := &cobra.Command{
		Use:   "init [DIR]",
		Short: "Make a repository that renders at once",
		Long: `Init makes a repository in DIR, by default the current folder, which is to be
new or empty. What git or the cluster can tell, it does not ask.`,
		Example: `  eso-tenant init fences --live --provider vault=https://vault.acme.dev:8200`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return errors.New("name one folder: init [DIR]")
			}
			return checkFolder(args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkStated(cmd, "ci", "cluster", "context", "eso-version", "owner", "provider", "tenant", "url"); err != nil {
				return err
			}
			if o.context != "" && !o.live {
				return errors.New("--context says which cluster --live asks; add --live")
			}
			return s.init(cmd.Context(), folderOf(args), o)
		},
	}
	flags := cmd.Flags()
	addChoice(cmd, &o.CI, "ci", []scaffold.CI{scaffold.GitHub, scaffold.GitLab}, "`system` that checks changes: github, gitlab")
	flags.StringVar(&o.Cluster, "cluster", "", "`name` of the cluster (default \""+scaffold.DefaultCluster+"\")")
	flags.StringVar(&o.context, "context", "", "kubeconfig `context` of the cluster that --live asks")
	flags.StringVar(&o.ESOVersion, "eso-version", "", "its `version` of ESO (default: the newest)")
	flags.BoolVar(&o.live, "live", false, "ask the cluster, by kubectl")
	flags.StringVar(&o.Owner, "owner", "", "platform `team` for CODEOWNERS: @acme/platform")
	flags.StringVar(&o.Provider, "provider", "", "`KIND=VALUE` of the first provider (default \""+scaffold.DefaultProvider+"\")")
	flags.StringVar(&o.Tenant, "tenant", "", "`name` of the example (default \""+scaffold.DefaultTenant+"\")")
	flags.StringVar(&o.URL, "url", "", "`URL` of the repository, for Flux")
	flags.BoolVarP(&o.yes, "yes", "y", false, "ask nothing")
	completeFlag(cmd, "provider", completeKinds)
	cmd.AddCommand(newInitTenant(s))
	cmd.SetUsageTemplate(initUsage)
	return cmd
}

// initUsage is cobra's, shorter by how it lists a single command below.
const initUsage = `Usage:
  {{.UseLine}}
  eso-tenant init tenant NAME [DIR]   add a tenant

Examples:
{{.Example}}

Flags:
{{.LocalFlags.FlagUsages}}`

// folderOf is the folder that the last argument may name.
func folderOf(args []string) string {
	if len(args) == 0 {
		return "."
	}
	return args[len(args)-1]
}

// checkFolder refuses a folder without a name, which is another one than meant.
func checkFolder(args []string) error {
	if slices.Contains(args, "") {
		return errors.New("\"\" names no folder; is a variable of your shell not set?")
	}
	return nil
}

func completeKinds(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var kinds []cobra.Completion
	for _, kind := range scaffold.Kinds() {
		kinds = append(kinds, kind+"=")
	}
	return kinds, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func (s streams) init(ctx context.Context, dir string, o initOptions) error {
	if err := o.Check(); err != nil {
		return s.usage(err)
	}
	if err := scaffold.CheckEmpty(dir); err != nil {
		return failed(err)
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second one ends the process
	repository, live, unknown := s.find(ctx, dir, o)
	s.say(unknown, nil)
	given := o.Answers
	notes := o.Complete(repository, live)
	if !o.yes && s.talks() {
		notes = nil // what is guessed is asked
		if err := s.ask(ctx, given, &o.Answers); err != nil {
			return failed(err)
		}
	}
	notes = append(notes, o.MadeUp()...)
	if outside := repository.OutsideRoot(o.Answers); outside != "" {
		notes = append(notes, outside)
	}
	files, warnings, err := scaffold.New(o.Answers, repository, live, buildVersion())
	if err != nil {
		return s.usage(err)
	}
	if err := scaffold.Write(ctx, dir, files); err != nil {
		return failed(interrupted(err))
	}
	s.say(notes, warnings)
	return s.welcome(dir, files)
}

var errInterrupted = errors.New("interrupted; nothing was written")

// interrupted says it in the user's words.
func interrupted(err error) error {
	if errors.Is(err, context.Canceled) {
		return errInterrupted
	}
	return err
}

// find looks around: at git, and at the cluster if that is asked for.
func (s streams) find(ctx context.Context, dir string, o initOptions) (repository scaffold.Repository, live scaffold.Live, notes []string) {
	repository = scaffold.Git(ctx, dir)
	if o.live {
		progress := s.progress("asking the cluster")
		live, notes = scaffold.Ask(ctx, o.context)
		progress.stop()
	}
	return repository, live, notes
}

// usage says what is wrong with the command line, all of it.
func (s streams) usage(err error) error {
	var all scaffold.UsageErrors
	if !errors.As(err, &all) {
		return failed(err)
	}
	for _, one := range all {
		s.sayError(one)
	}
	return &exit{code: exitUsage}
}

// say tells on standard error what the user should look at.
func (s streams) say(notes []string, warnings problem.List) {
	for _, note := range notes {
		fmt.Fprintln(s.err, "note: "+problem.Clean(note))
	}
	people := reporter{streams: s, format: format.Text}
	_ = people.report(warnings, nil) // there is no error among them
}

// welcome shows what is there now, and the way to the first manifests.
func (s streams) welcome(dir string, files []scaffold.File) error {
	out := tabwriter.NewWriter(s.out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(out, problem.Clean(dir))
	for i, file := range files {
		branch := "├── "
		if i == len(files)-1 {
			branch = "└── "
		}
		fmt.Fprintf(out, "%s%s\t%s\n", branch, file.Name, file.About)
	}
	fmt.Fprintln(out, "\nNext:")
	if dir != "." {
		fmt.Fprintln(out, "  cd "+shellWord(dir))
	}
	fmt.Fprintln(out, "  eso-tenant render . -o rendered")
	if err := out.Flush(); err != nil {
		return failed(fmt.Errorf("writing output: %w", err))
	}
	return nil
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./][A-Za-z0-9_./-]*$`)

// shellWord is a word that a shell takes as it is.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(problem.Clean(word), "'", `'\''`) + "'"
}

func newInitTenant(s streams) *cobra.Command {
	var a scaffold.TenantAnswers
	cmd := &cobra.Command{
		Use:   "tenant NAME [DIR]",
		Short: "Add a tenant to a repository",
		Long: `Tenant adds tenants/NAME.yaml to the repository in DIR, by default the current
folder, and names it in kustomization.yaml and CODEOWNERS where these are.`,
		Example: `  eso-tenant init tenant web --owner @acme/web
  eso-tenant init tenant web --identity roleARN=arn:aws:iam::123456789012:role/w`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return errors.New("name one tenant, and at most one folder: init tenant NAME [DIR]")
			}
			return checkFolder(args[1:])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkStated(cmd, "clusters", "group", "identity", "namespace", "owner", "provider"); err != nil {
				return err
			}
			a.Name = args[0]
			return s.initTenant(cmd.Context(), folderOf(args[1:]), a)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVar(&a.Clusters, "clusters", nil, "`Platforms` it lives on, where there are several")
	flags.StringVar(&a.Group, "group", "", "`group` of its people, who may view")
	flags.StringArrayVar(&a.Identity, "identity", nil, "`KEY=VALUE` that the provider knows it by")
	flags.StringVar(&a.Namespace, "namespace", "", "its `namespace` (default: NAME)")
	flags.StringVar(&a.Owner, "owner", "", "its `team` for CODEOWNERS, such as @acme/web")
	flags.StringVar(&a.Provider, "provider", "", "`name` in the catalogue, where there are several")
	cmd.SetUsageTemplate((&cobra.Command{}).UsageTemplate()) // not that of init
	completeFlag(cmd, "clusters", completeNames(fn.ClusterNames))
	return cmd
}

func (s streams) initTenant(ctx context.Context, dir string, a scaffold.TenantAnswers) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	added, problems, err := scaffold.AddTenant(ctx, dir, a)
	if err != nil {
		return s.usage(interrupted(err))
	}
	people := reporter{streams: s, format: format.Text}
	if err := people.report(problems, nil); err != nil {
		return err
	}
	s.say(added.Notes, added.Warnings)
	for _, file := range added.Files {
		fmt.Fprintln(s.out, problem.Clean(file))
	}
	return nil
}
