package main

import (
	"context"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// proofFlags say what is proven, and of what.
type proofFlags struct {
	paths     []string
	platform  []string
	cluster   string
	requester []string
	live      bool
	context   string
}

// add gives a command the flags.
func (f *proofFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.platform, "platform", nil, "`path` of specifications: what is meant")
	flags.StringVar(&f.cluster, "cluster", "", "the Platform to prove, where there are several")
	flags.StringSliceVar(&f.requester, "requester", nil, "ESO's `account`, as namespace/name")
	flags.BoolVar(&f.live, "live", false, "ask the cluster, by kubectl")
	flags.StringVar(&f.context, "context", "", "with --live: the kubeconfig's `context`")
}

func newVerify(s streams) *cobra.Command {
	var report *reporter
	flags := &proofFlags{}
	var allow string
	cmd := &cobra.Command{
		Use:   "verify [PATH…|-]",
		Short: "Prove that the fence holds",
		Long: `Verify proves whose tokens External Secrets Operator can come by: from
specifications, rendered manifests, kustomize's output or a dump of a cluster.
What stands in the way of the proof is a problem, with its path, step by step.`,
		Example: `  eso-tenant verify platforms tenants
  kustomize build . | eso-tenant verify - --platform platforms,tenants
  eso-tenant verify --live --platform platforms,tenants --cluster eu-1`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if err := checkStated(cmd, "platform", "cluster", "requester", "context", "allow"); err != nil {
				return err
			}
			flags.paths = paths
			return s.verify(cmd.Context(), flags, allow, report)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVar(&allow, "allow", "", "`file` of what is known and accepted")
	report = s.reporter(cmd, s.out)
	return cmd
}

func (s streams) verify(ctx context.Context, flags *proofFlags, allow string, report *reporter) error {
	progress := s.progress("proving")
	proof, err := s.prove(ctx, flags)
	progress.stop()
	if err != nil {
		return err
	}
	problems := proof.report.Problems
	if allow != "" {
		problems = fn.Accept(allow, problems, time.Now())
	}
	if proof.refused != nil { // the specifications are wrong: nothing was proven
		problems = proof.refused
	}
	reported := report.reportProof(problems)
	if !report.forPeople() || proof.refused != nil {
		return reported
	}
	if _, err := fmt.Fprint(s.out, proof.conclusion(problems)); err != nil {
		return failed(fmt.Errorf("writing output: %w", err))
	}
	return reported
}

// reportProof reports, for machines with the verdicts.
func (r *reporter) reportProof(problems problem.List) error {
	r.verdicts = map[string]string{}
	for power, verdict := range verify.Concluded(problems) {
		r.verdicts[string(power)] = string(verdict)
	}
	return r.report(problems, nil)
}

// proof is what was proven, and of how much.
type proof struct {
	report  *verify.Report
	input   verify.Input
	refused problem.List // what is wrong with the specifications
	files   int
	// rendered is how many of the objects were rendered and never written.
	rendered int
}

// prove reads what the flags name and proves it.
func (s streams) prove(ctx context.Context, flags *proofFlags) (*proof, error) {
	if flags.live && len(flags.paths) > 0 {
		return nil, &exit{code: exitUsage, cause: fmt.Errorf("--live asks a cluster; leave %s out, or name specifications with --platform", problem.Quote(flags.paths[0]))}
	}
	eso, err := requesters(flags.requester)
	if err != nil {
		return nil, err
	}
	p, err := s.load(ctx, flags)
	if err != nil || p.refused != nil {
		return p, err
	}
	if len(eso) > 0 {
		p.input.ESO = eso
	}
	p.report = verify.Check(p.input)
	return p, nil
}

func requesters(names []string) ([]rbac.Subject, error) {
	var all []rbac.Subject
	for _, name := range names {
		namespace, account, found := strings.Cut(name, "/")
		if !found || namespace == "" || account == "" {
			return nil, &exit{code: exitUsage, cause: fmt.Errorf("--requester %s is no namespace/name", problem.Quote(name))}
		}
		all = append(all, rbac.ServiceAccount(namespace, account))
	}
	return all, nil
}

// holdAll lifts the limit that main sets for what comes and goes: a proof holds
// a whole cluster, and the collector would find nothing to free.
func holdAll() {
	debug.SetGCPercent(100)
	debug.SetMemoryLimit(math.MaxInt64)
}

// load reads objects, and the specifications that say what is meant.
func (s streams) load(ctx context.Context, flags *proofFlags) (*proof, error) {
	holdAll()
	p := &proof{report: &verify.Report{}}
	set, unread, err := s.objects(ctx, flags)
	if err != nil {
		return nil, err
	}
	p.input.Objects, p.input.Unread, p.input.Clock = set.Objects, unread, fn.ClockAt(time.Now())
	p.files = set.Files
	specifications := flags.platform
	among := len(specifications) == 0
	if among && hasSpecifications(set) {
		specifications = flags.paths
		if len(specifications) == 0 {
			specifications = []string{"."}
		}
	}
	if len(specifications) == 0 {
		return p, nil
	}
	return p, s.expect(p, specifications, among, flags.cluster)
}

// objects reads the objects of a cluster or of paths.
func (s streams) objects(ctx context.Context, flags *proofFlags) (*inventory.Set, problem.List, error) {
	if flags.live {
		set, err := live(ctx, flags.context, verify.Kinds)
		return set, nil, failed(err)
	}
	paths := flags.paths
	if len(paths) == 0 {
		paths = []string{"."}
	}
	set, unread := fn.ReadObjects(paths, s.in, verify.Kinds)
	return set, unread, nil
}

const specificationGroup = "eso-tenant.dev"

func hasSpecifications(set *inventory.Set) bool {
	for kind := range set.Skipped {
		if strings.HasSuffix(kind, "."+specificationGroup) {
			return true
		}
	}
	return false
}

// expect takes from specifications what is meant. With specifications among the
// paths, what they render is added to what else is there, unless that is what was
// rendered before.
func (s streams) expect(p *proof, paths []string, among bool, cluster string) error {
	rendering, _, problems := build(paths, s)
	if problems.Errors() > 0 {
		p.refused = problems
		return nil
	}
	selection := fn.Selection{}
	if cluster != "" {
		selection.Clusters = []string{cluster}
	}
	selected, err := rendering.Select(selection)
	if err != nil {
		return &exit{code: exitUsage, cause: err}
	}
	expected, err := selected.Expectation()
	if err != nil {
		return &exit{code: exitUsage, cause: err}
	}
	expected.Objects, expected.Unread, expected.Clock = p.input.Objects, p.input.Unread, p.input.Clock
	made := len(expected.Objects) > 0
	if made && among {
		if made, err = selected.Made(expected.Objects); err != nil {
			return failed(err)
		}
	}
	if !made {
		rendered, err := selected.Objects()
		if err != nil {
			return failed(err)
		}
		p.rendered = len(rendered)
		expected.Objects = append(rendered, expected.Objects...)
	}
	p.input = expected
	return nil
}

// conclusion is what the proof comes to, for people.
func (p *proof) conclusion(problems problem.List) string {
	var b strings.Builder
	verdicts := verify.Concluded(problems)
	for _, power := range []verify.Power{verify.Mint, verify.Write, verify.Read} {
		fmt.Fprintf(&b, "%-6s %s\n", power, p.meaning(power, verdicts[power]))
	}
	fmt.Fprintf(&b, "over %s", problem.Plural(len(p.input.Objects), "object"))
	switch read := len(p.input.Objects) - p.rendered; {
	case p.files > 0 && read > 0 && p.rendered > 0:
		fmt.Fprintf(&b, ", %d of them rendered from %s", p.rendered, problem.Plural(p.files, "file"))
	case p.files > 0 && len(p.input.Objects) > 0:
		fmt.Fprintf(&b, " from %s", problem.Plural(p.files, "file"))
	}
	fmt.Fprintf(&b, "; what is not among them is taken not to be there\n")
	for _, closed := range p.report.Closed {
		fmt.Fprintf(&b, "closed %s by %s %s\n", closed.Rule, closed.Policy.Kind, problem.Clean(closed.Policy.Name))
	}
	return b.String()
}

// meaning says a verdict in words.
func (p *proof) meaning(power verify.Power, verdict verify.Verdict) string {
	fences := problem.Plural(len(p.report.Fences), "fenced service account")
	words := map[verify.Power]map[verify.Verdict]string{
		verify.Mint: {
			verify.Proven:   "proven: ESO can come by tokens of " + fences + ", and of no other",
			verify.Accepted: "accepted: beyond " + fences + ", what the warnings say",
		},
		verify.Write: {
			verify.Proven:   "proven: ESO writes Secrets in tenants' namespaces only",
			verify.Accepted: "accepted: ESO writes Secrets where the warnings say",
		},
		verify.Read: {
			verify.Proven:   "proven: ESO reads no Secrets",
			verify.Accepted: "accepted: ESO reads Secrets where the warnings say",
		},
	}
	if text := words[power][verdict]; text != "" {
		return text
	}
	return map[verify.Verdict]string{verify.NotProven: "not proven: the problems say what could not be read", verify.Breached: "breached: the problems say how"}[verdict]
}
