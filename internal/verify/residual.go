package verify

import (
	"slices"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// residual reports what ESO can write and read. That it lists Secrets
// everywhere is how it works, until one ESO runs for each tenant: it is stated
// in every report, and no breach.
func residual(w *world) problem.List {
	var found problem.List
	for _, s := range w.eso {
		found = append(found, w.writes(s)...)
		found = append(found, w.reads(s)...)
	}
	return found
}

// placesOf are where a subject may do one of several things to Secrets.
func (w *world) placesOf(s rbac.Subject, verbs []string) []rbac.Place {
	var all []rbac.Place
	for _, verb := range verbs {
		all = append(all, w.auth.Places(s, verb, "", "secrets")...)
	}
	return all
}

// writes reports writes of Secrets beyond the namespaces that have a fence.
func (w *world) writes(s rbac.Subject) problem.List {
	var causes []cause
	beyond := map[cause][]reason{}
	for _, place := range w.placesOf(s, changing) {
		if !place.Everywhere && w.served[place.Namespace] {
			continue
		}
		r := reason{&hold{Place: place, ownRole: place.Grant.Bootstrap}, "write secrets"}
		key := causeOf(r)
		if beyond[key] == nil {
			causes = append(causes, key)
		}
		beyond[key] = append(beyond[key], r)
	}
	var found problem.List
	for _, key := range causes {
		found = append(found, w.writesBeyond(s, beyond[key]))
	}
	return found
}

func (w *world) writesBeyond(s rbac.Subject, places []reason) problem.Problem {
	grant := places[0].Grant
	p := problem.Problem{
		Rule: problem.WriteSecrets, Position: w.changeAt(places[0].hold), Because: because(w.why(grant, "write secrets")),
		Message: "External Secrets Operator (" + s.String() + ") may write Secrets " + where(places) + ", beyond those that have a tenant's store",
		Hint:    "trim secretWrites, with rbac: replace: its writes are then given in tenants' namespaces only",
	}
	if w.in.WritesMoved {
		p.Severity = problem.Error
	}
	return p
}

// reads states which Secrets ESO reads.
func (w *world) reads(s rbac.Subject) problem.List {
	places := w.placesOf(s, reading)
	everywhere := slices.IndexFunc(places, func(p rbac.Place) bool { return p.Everywhere })
	if everywhere < 0 {
		return nil
	}
	grant := places[everywhere].Grant
	return problem.List{{
		Rule: problem.ReadSecrets, Position: w.changeAt(&hold{Place: places[everywhere], ownRole: grant.Bootstrap}), Because: because(w.why(grant, "read secrets")),
		Message: "External Secrets Operator (" + s.String() + ") reads Secrets in every namespace; the fence does not end that",
		Hint:    "known and accepted, until one External Secrets Operator runs for each tenant",
	}}
}
