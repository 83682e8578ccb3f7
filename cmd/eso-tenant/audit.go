package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/audit"
	"github.com/eso-tenant/eso-tenant/internal/format"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// auditFlags are audit's.
type auditFlags struct {
	logs         []string
	cluster      string
	requester    []string
	writer       []string
	since, until string
	unusedAfter  string
	follow       bool
}

// formatCSV is audit's own: its table, for spreadsheets.
const formatCSV format.Format = "csv"

// writers are those who deliver the fence where nobody says otherwise: Flux.
var writers = []string{"system:serviceaccount:flux-system:kustomize-controller", "system:serviceaccount:flux-system:helm-controller"}

func newAudit(s streams) *cobra.Command {
	f := &auditFlags{}
	report := &reporter{streams: s, format: format.Text, severity: problem.Warning, machine: s.out}
	cmd := &cobra.Command{
		Use:   "audit [PATH…] --log FILE",
		Short: "Say who was given tokens, from an audit log",
		Long: `Audit reads audit logs of the API server, and holds them to specifications.
Without these, it says who was given tokens, and finds what is wrong anywhere.`,
		Example: `  eso-tenant audit platforms tenants --log audit.log,audit-*.gz
  eso-tenant audit fleet --log audit.log --since 24h --format csv`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if err := checkStated(cmd, "log", "cluster", "requester", "writer", "since", "until", "unused-after"); err != nil {
				return err
			}
			return s.audit(cmd.Context(), paths, f, report)
		},
	}
	flags := cmd.Flags()
	flags.StringSliceVarP(&f.logs, "log", "l", nil, "`file`, folder, pattern or -; plain, gzip or zstd")
	flags.StringVar(&f.cluster, "cluster", "", "the Platform, where there are several")
	flags.StringSliceVar(&f.requester, "requester", nil, "ESO's `account`, as namespace/name")
	flags.StringSliceVar(&f.writer, "writer", nil, "`user` that delivers fences (default: Flux)")
	flags.StringVar(&f.since, "since", "", "first `time` (RFC 3339), or 24h before the last event")
	flags.StringVar(&f.until, "until", "", "last `time`, likewise")
	flags.StringVar(&f.unusedAfter, "unused-after", "", "report what is not used for this `time` (default 30d)")
	flags.BoolVar(&f.follow, "follow", false, "go on reading one file, until interrupted")
	addChoice(cmd, &report.format, "format", append(format.All(), formatCSV), "`format`: text, json, sarif, junit, github, csv")
	addChoice(cmd, &report.severity, "severity", []problem.Severity{problem.Error, problem.Warning}, "least `severity` to show: error, warning (default)")
	cmd.AddCommand(newAuditPolicy(s))
	cmd.SetUsageTemplate(auditUsage)
	return cmd
}

// auditUsage is cobra's, shorter by how it lists a single command below.
const auditUsage = `Usage:
  {{.UseLine}}
  eso-tenant audit policy                  print the policy for such a log

Examples:
{{.Example}}

Flags:
{{.LocalFlags.FlagUsages}}`

func (s streams) audit(ctx context.Context, paths []string, f *auditFlags, report *reporter) error {
	in, refused, err := s.auditInput(paths, f)
	if err != nil {
		return err
	}
	if refused != nil {
		return report.report(refused, nil)
	}
	if len(f.logs) == 0 {
		return &exit{code: exitUsage, cause: errors.New("name an audit log, with --log FILE")}
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	var result *audit.Report
	if f.follow {
		result, err = s.follow(ctx, f, in, report)
	} else {
		result, err = s.readLogs(ctx, f, in)
	}
	if err != nil {
		return err
	}
	return report.reportAudit(result)
}

// readLogs reads the logs that there are.
func (s streams) readLogs(ctx context.Context, f *auditFlags, in *audit.Input) (*audit.Report, error) {
	progress := s.progress("reading logs")
	defer progress.stop()
	sources, problems := audit.Find(f.logs, s.in)
	if len(problems) > 0 { // of half the logs, half the truth
		return &audit.Report{Problems: problems}, nil
	}
	if err := window(ctx, f, in, sources); err != nil {
		return nil, err
	}
	result, err := audit.Read(ctx, sources, in)
	if err != nil {
		return nil, failed(interrupted(err))
	}
	return result, nil
}

// auditInput is what the specifications and the flags expect of a log.
func (s streams) auditInput(paths []string, f *auditFlags) (*audit.Input, problem.List, error) {
	in := &audit.Input{Writers: writers, UnusedAfter: 30 * 24 * time.Hour}
	if len(f.writer) > 0 {
		in.Writers = f.writer
	}
	if f.unusedAfter != "" {
		after, ok := parseLength(f.unusedAfter)
		if !ok {
			return nil, nil, &exit{code: exitUsage, cause: fmt.Errorf("--unused-after %s is no length of time, such as 30d or 12h", problem.Quote(f.unusedAfter))}
		}
		in.UnusedAfter = after
	}
	if len(paths) > 0 {
		expected, refused, err := s.expected(paths, f.cluster)
		if err != nil || refused != nil {
			return nil, refused, err
		}
		in.Specified, in.Observing = true, expected.Observing
		for _, eso := range expected.ESO {
			in.ESO = append(in.ESO, audit.Account{Namespace: eso.Namespace, Name: eso.Name})
		}
		for _, fence := range expected.Fences {
			in.Fences = append(in.Fences, audit.Fence{Account: audit.Account(fence.Account), Audiences: fence.Audiences, At: fence.At})
		}
	}
	eso, err := requesters(f.requester)
	if err != nil {
		return nil, nil, err
	}
	if len(eso) > 0 {
		in.ESO = nil
	}
	for _, account := range eso {
		in.ESO = append(in.ESO, audit.Account{Namespace: account.Namespace, Name: account.Name})
	}
	return in, nil, nil
}

// expected reads the specifications.
func (s streams) expected(paths []string, cluster string) (*verify.Input, problem.List, error) {
	if slices.Contains(paths, "-") {
		return nil, nil, &exit{code: exitUsage, cause: errors.New("specifications are read from files; - is for --log")}
	}
	rendering, _, problems := build(paths, s)
	if problems.Errors() > 0 {
		return nil, problems, nil
	}
	selection := fn.Selection{}
	if cluster != "" {
		selection.Clusters = []string{cluster}
	}
	selected, err := rendering.Select(selection)
	if err != nil {
		return nil, nil, &exit{code: exitUsage, cause: err}
	}
	expected, err := selected.Expectation()
	if err != nil {
		return nil, nil, &exit{code: exitUsage, cause: err}
	}
	return &expected, nil, nil
}

// window reads --since and --until. Lengths of time count back from the last
// event, for which the logs are read once more.
func window(ctx context.Context, f *auditFlags, in *audit.Input, sources []audit.Source) error {
	last := func() (time.Time, error) {
		if f.follow || slices.Contains(f.logs, "-") {
			return time.Time{}, &exit{code: exitUsage, cause: errors.New("what is read once has its last event at its end: give --since and --until as times, such as 2026-11-24T00:00:00Z")}
		}
		all, err := audit.Newest(ctx, sources)
		if err != nil {
			return time.Time{}, failed(interrupted(err))
		}
		return all.Last, nil
	}
	var err error
	if in.Window.Since, err = bound("since", f.since, last); err != nil {
		return err
	}
	if in.Window.Until, err = bound("until", f.until, last); err != nil {
		return err
	}
	if w := in.Window; !w.Since.IsZero() && !w.Until.IsZero() && w.Until.Before(w.Since) {
		return &exit{code: exitUsage, cause: errors.New("--until is before --since")}
	}
	return nil
}

// bound reads a time, or a length of time before the last event.
func bound(flag, text string, last func() (time.Time, error)) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	back, ok := parseLength(text)
	if !ok {
		return time.Time{}, &exit{code: exitUsage, cause: fmt.Errorf("--%s %s is neither a time, such as 2026-11-24T00:00:00Z, nor a length of time, such as 24h or 7d", flag, problem.Quote(text))}
	}
	end, err := last()
	if err != nil {
		return time.Time{}, err
	}
	return end.Add(-back), nil
}

// parseLength reads a positive length of time: Go's, or whole days as "30d".
func parseLength(text string) (time.Duration, bool) {
	const longest = 100 * 365
	if days, found := strings.CutSuffix(text, "d"); found {
		n, err := strconv.Atoi(days)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0 && n <= longest
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}

// follow reads one file while it grows, and says what it finds at once.
func (s streams) follow(ctx context.Context, f *auditFlags, in *audit.Input, report *reporter) (*audit.Report, error) {
	if len(f.logs) != 1 || f.logs[0] == "-" {
		return nil, &exit{code: exitUsage, cause: errors.New("--follow follows one file")}
	}
	if err := window(ctx, f, in, nil); err != nil {
		return nil, err
	}
	const pause = 500 * time.Millisecond
	follower := audit.Follower{File: f.logs[0], Wait: audit.WaitFor(ctx, pause), Say: func(found problem.List) error {
		for _, p := range found.AtLeast(report.severity) {
			if _, err := fmt.Fprintln(s.err, p.Line()); err != nil {
				return fmt.Errorf("writing findings: %w", err)
			}
		}
		return nil
	}}
	result, err := follower.Run(in)
	return result, failed(err)
}
