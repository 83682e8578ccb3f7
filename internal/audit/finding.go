package audit

import (
	"fmt"
	"maps"
	"slices"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// maxFindings bounds the findings of a rule that are kept apart: whoever has
// itself refused a million tokens hides nothing but refusals.
const maxFindings = 1000

// findingKey is what a finding says. Events that say the same are one finding.
type findingKey struct {
	rule problem.Rule
	says string
}

type finding struct {
	span
	severity problem.Severity
	reasons  map[string]struct{}
	hint     string
}

// observation is what one event says.
type observation struct {
	rule     problem.Rule
	severity problem.Severity // empty: the rule's own
	says     string
	reason   string // of the authorizer; may be empty
	hint     string
}

// find notes a finding.
func (t *tally) find(at place, o observation) {
	key := findingKey{o.rule, o.says}
	f := t.found[key]
	if f == nil {
		if t.kinds[o.rule] >= maxFindings {
			t.lost++
			return
		}
		t.kinds[o.rule]++
		f = &finding{reasons: map[string]struct{}{}, severity: o.severity, hint: o.hint}
		t.found[key] = f
	}
	f.add(at)
	if o.reason != "" && len(f.reasons) < 3 {
		note(f.reasons, o.reason)
	}
}

// problem is the finding as of now.
func (f *finding) problem(key findingKey) problem.Problem {
	p := problem.Problem{
		Rule: key.rule, Severity: f.severity, Position: f.first.position(),
		Message: key.says + ": " + f.String(), Hint: f.hint,
	}
	for _, reason := range slices.Sorted(maps.Keys(f.reasons)) {
		p.Because = append(p.Because, "the authorizer's reason: "+reason)
	}
	return p
}

// problems are the findings.
func (t *tally) problems() problem.List {
	var all problem.List
	for key, f := range t.found {
		all = append(all, f.problem(key))
	}
	if t.lost > 0 {
		all = append(all, problem.Problem{
			Rule: problem.TooManyProblems, Position: problem.Position{Subject: "audit log"},
			Message: fmt.Sprintf("there are more than %d findings of a rule or %d requesters and accounts; %s went uncounted", maxFindings, maxRows, problem.Plural(t.lost, "event")),
			Hint:    "look into a part of the log, with --since and --until",
		})
	}
	return all
}
