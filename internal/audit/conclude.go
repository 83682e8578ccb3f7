package audit

import (
	"cmp"
	"slices"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// conclude writes what was counted into the report.
func (t *tally) conclude(r *Report) {
	r.Coverage.Duplicates = t.dups
	r.Rows = t.table()
	r.Kubelets = t.kubelets
	r.Kubelets.Nodes, r.Kubelets.Accounts = len(t.nodes), len(t.pods)
	r.Problems = append(r.Problems, t.problems()...)
	if t.unlike > 0 {
		r.Notes = append(r.Notes, problem.Plural(t.unlike, "event")+" past the bound could not be compared with others: duplicates among them count twice")
	}
	if t.requests == 0 && r.Coverage.Events > r.Coverage.Outside {
		r.Problems = append(r.Problems, problem.Problem{
			Rule: problem.AuditLogLevel, Position: problem.Position{Subject: "audit log"},
			Message: "there is no request for a token in the whole log; every node makes some each hour",
			Hint:    "log create of serviceaccounts/token at level Request: eso-tenant audit policy --merge POLICY",
		})
	}
	if r.Coverage.Files > 0 && r.Coverage.Events == 0 && r.Problems.Errors() == 0 {
		r.Problems = append(r.Problems, problem.Problem{
			Rule: problem.AuditLogIncomplete, Severity: problem.Error, Position: problem.Position{Subject: "audit log"},
			Message: "there is no audit event in all that was read: it says nothing, not that nothing happened",
			Hint:    "name the file that --audit-log-path of the API server has",
		})
	}
	t.unused(r)
	r.Problems = r.Problems.Sorted()
}

// unused finds fences that ESO was given no token of for long, by the log's own
// time.
func (t *tally) unused(r *Report) {
	after := t.in.UnusedAfter
	if after <= 0 || len(t.in.Fences) == 0 || t.requests == 0 {
		return
	}
	if span := r.Coverage.Span(); span < after {
		r.Notes = append(r.Notes, "the events span "+Length(span)+": too short to say which fenced service accounts were not used for "+Length(after))
		return
	}
	fences := slices.Clone(t.in.Fences)
	slices.SortFunc(fences, func(a, b Fence) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	for _, f := range fences {
		last, used := t.used[f.Account]
		if used && r.Coverage.Last.Sub(moment(last.at)) < after {
			continue
		}
		says := "the operator was given no token of fenced service account " + quote(f.String()) + " in the " + Length(r.Coverage.Span()) + " that the events span"
		if used {
			says = "the operator was last given a token of fenced service account " + quote(f.String()) + " at " + stamp(last.at) + ", " + Length(r.Coverage.Last.Sub(moment(last.at))) + " before the last event"
		}
		r.Problems = append(r.Problems, problem.Problem{
			Rule: problem.AuditUnused, Position: f.At, Message: says,
			Hint: "a right that nobody uses is one to take away: is the store still needed?",
		})
	}
}

// Length writes a duration in its largest whole units, such as "30d" or "36h10m".
func Length(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return problem.Plural(int(d/day), "day")
	case d >= time.Minute:
		text := d.Truncate(time.Minute).String()
		return text[:len(text)-len("0s")]
	default:
		return d.Truncate(time.Second).String()
	}
}
