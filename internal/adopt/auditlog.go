package adopt

import (
	"cmp"
	"slices"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// Minted is a service account that ESO minted for, and how often.
type Minted struct {
	Account   verify.Account
	Count     int
	Explained bool // a store, or a generator, uses it; Explain says so
}

// Explain notes what an audit log says that ESO was given tokens of. Service
// accounts that no store and no generator uses are problems.
func (r *Result) Explain(log string, minted []Minted) problem.List {
	r.Minted = slices.SortedFunc(slices.Values(minted), func(a, b Minted) int {
		return cmp.Or(cmp.Compare(a.Account.Namespace, b.Account.Namespace), cmp.Compare(a.Account.Name, b.Account.Name))
	})
	r.Notes = append(r.Notes, r.mintedNote())
	var found problem.List
	for i := range r.Minted {
		m := &r.Minted[i]
		if m.Explained = r.explained[m.Account] || r.anywhere[m.Account.Name]; m.Explained {
			continue
		}
		found = append(found, problem.Problem{
			Rule: problem.MintUnexplained, Position: problem.Position{File: log},
			Message: "External Secrets Operator was given " + problem.Plural(m.Count, "token") + " of service account " + problem.Clean(m.Account.String()) + ", which no store and no generator uses",
			Hint:    "was the store deleted since? if not, find out who had the token made, and what for: afterwards there is none",
		})
	}
	return found
}

func (r *Result) mintedNote() string {
	user := rbac.ServiceAccount(r.Operator.Namespace, r.Operator.ServiceAccount).Username()
	if len(r.Minted) == 0 {
		return "the audit log has no token that " + user + " was given; does its policy log create of serviceaccounts/token?"
	}
	return "the audit log has tokens that " + user + " was given, of " + problem.Plural(len(r.Minted), "service account")
}
