package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/diff"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// diffFormat is what a difference is written as.
type diffFormat string

const (
	diffText     diffFormat = "text"
	diffJSON     diffFormat = "json"
	diffMarkdown diffFormat = "markdown"
)

// diffFlags say what is compared, and how it is said.
type diffFlags struct {
	format       diffFormat
	cluster      string
	platform     []string
	live         bool
	context      string
	failOnGrowth bool
}

func newDiff(s streams) *cobra.Command {
	flags := &diffFlags{format: diffText}
	cmd := &cobra.Command{
		Use:   "diff A B",
		Short: "Say what changes in objects and in power",
		Long: `Diff compares what two inputs make of a cluster: its objects, and who may do
what. Each is a file or folder of specifications or manifests, - for standard
input, or rev:path in git; with --live, B is the cluster itself.`,
		Example: `  eso-tenant diff origin/main:fleet fleet
  eso-tenant diff origin/main:fleet fleet --fail-on-growth --format markdown
  eso-tenant diff rendered/eu-1 --live`,
		Args: func(_ *cobra.Command, operands []string) error { return flags.check(operands) },
		RunE: func(cmd *cobra.Command, operands []string) error {
			if err := checkStated(cmd, "cluster", "platform", "context"); err != nil {
				return err
			}
			return s.diff(cmd.Context(), operands, flags)
		},
	}
	addChoice(cmd, &flags.format, "format", []diffFormat{diffText, diffJSON, diffMarkdown}, "`format`: text, json, markdown (for a pull request)")
	f := cmd.Flags()
	f.BoolVar(&flags.failOnGrowth, "fail-on-growth", false, "exit with 1 if somebody may do more than before")
	f.StringVar(&flags.cluster, "cluster", "", "the Platform, where there are several")
	f.StringSliceVar(&flags.platform, "platform", nil, "`path` of specifications that say what is meant")
	f.BoolVar(&flags.live, "live", false, "ask the cluster, by kubectl, in place of B")
	f.StringVar(&flags.context, "context", "", "with --live: the kubeconfig's `context`")
	return cmd
}

// check looks at the operands, which are two but for --live.
func (f *diffFlags) check(operands []string) error {
	switch {
	case f.live && len(operands) != 1:
		return errors.New("with --live, name one input: the cluster is the other")
	case !f.live && len(operands) != 2:
		return errors.New("name two inputs, the older one first; or one, and --live")
	case !f.live && operands[0] == "-" && operands[1] == "-":
		return errors.New("standard input can be one of the two only")
	case f.context != "" && !f.live:
		return errors.New("--context is for --live")
	default:
		return nil
	}
}

// difference is all that a comparison found.
type difference struct {
	before, after string
	objects       []diff.Change
	power         verify.Shift
}

func (d *difference) empty() bool { return len(d.objects) == 0 && d.power.Empty() }

func (s streams) diff(ctx context.Context, operands []string, flags *diffFlags) error {
	holdAll()
	progress := s.progress("comparing")
	found, problems, err := s.compare(ctx, operands, flags)
	progress.stop()
	if err != nil {
		return err
	}
	if problems.Errors() > 0 {
		_ = problems.WriteText(s.err, s.style(nil)) // the exit code says it as well
		return &exit{code: exitProblems}
	}
	if err := s.writeDifference(found, flags.format); err != nil {
		return failed(fmt.Errorf("writing output: %w", err))
	}
	if flags.failOnGrowth && found.power.Grows() {
		return &exit{code: exitProblems}
	}
	return nil
}

// compare reads both sides. With a problem in one of them, nothing is compared:
// what could not be read would count as gone.
func (s streams) compare(ctx context.Context, operands []string, flags *diffFlags) (*difference, problem.List, error) {
	before, err := s.side(ctx, operands[0], flags.cluster)
	if err != nil {
		return nil, nil, err
	}
	var after *side
	if flags.live {
		after, err = readCluster(ctx, flags.context, before)
	} else {
		after, err = s.side(ctx, operands[1], flags.cluster)
	}
	if err != nil {
		return nil, nil, err
	}
	expected, refused, err := s.meant(flags, before, after)
	problems := slices.Concat(before.problems, after.problems, refused)
	if err != nil || problems.Errors() > 0 {
		return nil, problems, err
	}
	leaveOutDelivery(before, after)
	found, twice := between(before, after, expected, flags.live)
	return found, append(problems, twice...), nil
}

// meant reads the specifications that say what is meant of objects. Without
// any, one side's are for both; without these, the operator is found among the
// objects, the older ones first.
func (s streams) meant(flags *diffFlags, before, after *side) (*verify.Input, problem.List, error) {
	if len(flags.platform) == 0 {
		expected := cmp.Or(before.expected, after.expected)
		for _, d := range []*side{before, after} {
			if expected == nil {
				expected = d.guess()
			}
		}
		return expected, nil, nil
	}
	rendering, _, problems := build(flags.platform, s)
	if problems.Errors() > 0 {
		return nil, problems, nil
	}
	selection := fn.Selection{}
	if flags.cluster != "" {
		selection.Clusters = []string{flags.cluster}
	}
	selected, err := rendering.Select(selection)
	if err != nil {
		return nil, nil, &exit{code: exitUsage, cause: err}
	}
	expected, err := selected.Expectation()
	if err != nil {
		return nil, nil, &exit{code: exitUsage, cause: err}
	}
	return &expected, problems, nil
}

// guess is what is meant as far as objects show it, nil if they do not.
func (d *side) guess() *verify.Input {
	if eso := verify.Operator(verify.Input{Objects: d.objects}); len(eso) > 0 {
		return &verify.Input{ESO: eso}
	}
	return nil
}

// leaveOutDelivery takes Flux's Kustomizations out where one side was rendered
// in memory and has none.
func leaveOutDelivery(sides ...*side) {
	inMemory := func(d *side) bool { return d.expected != nil }
	if !slices.ContainsFunc(sides, inMemory) {
		return
	}
	for _, d := range sides {
		d.objects = slices.DeleteFunc(d.objects, func(o inventory.Object) bool { return delivery(&o) })
	}
}

func between(before, after *side, expected *verify.Input, live bool) (*difference, problem.List) {
	a, twiceBefore := diff.NewIndex(before.objects)
	b, twiceAfter := diff.NewIndex(after.objects)
	if twice := slices.Concat(doubles(twiceBefore), doubles(twiceAfter)); len(twice) > 0 {
		return nil, twice
	}
	found := &difference{before: before.name, after: after.name}
	found.objects = diff.Between(a, b, diff.Options{Live: live})
	found.power = verify.Compare(before.input(expected), after.input(expected))
	return found, nil
}

// input is what the prover is given of a side.
func (d *side) input(expected *verify.Input) verify.Input {
	in := verify.Input{}
	switch {
	case d.expected != nil:
		in = *d.expected
	case expected != nil:
		in = *expected
	}
	in.Objects = d.objects
	return in
}
