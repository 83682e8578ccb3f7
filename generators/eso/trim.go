package eso

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Options say what is taken out of ESO's role and which features the cluster uses. Unknown names and
// features that the release does not have count for nothing.
type Options struct {
	Trims    []Trim
	Features []Feature
}

// Trimmed is what Trim makes of a release's role. Every rule in it is a part of a rule of upstream's.
type Trimmed struct {
	ClusterRole   []rbacv1.PolicyRule // what ESO keeps cluster-wide
	NamespaceRole []rbacv1.PolicyRule // what ESO needs in every tenant namespace instead
	// CARole is the part of NamespaceRole that a ClusterSecretStore needs in the namespace that its caProvider
	// names, which need not be a tenant's. Empty unless configMaps are trimmed.
	CARole  []rbacv1.PolicyRule
	Removed []Removal // in the order of upstream's role
}

// Removal is a right that ESO no longer has cluster-wide.
type Removal struct {
	Atom
	Moved  bool // it is in NamespaceRole
	Reason string
}

type fate string

const (
	keep fate = "keep"
	move fate = "move" // to the tenants' namespaces
	drop fate = "drop"
)

// Trim returns the release's role less what the options take out. It depends on nothing but its arguments.
func (r *Release) Trim(o Options) Trimmed {
	t := trimmer{
		options: o,
		never:   r.never,
		uses:    r.uses,
		on:      func(f Feature) bool { return r.Runs(f, o) },
	}
	granted := r.Untrimmed(o)
	fates, removed := t.decideAll(granted)
	return Trimmed{
		ClusterRole:   filter(granted, func(a Atom) bool { return fates[a] == keep }),
		NamespaceRole: filter(granted, func(a Atom) bool { return fates[a] == move }),
		CARole: filter(granted, func(a Atom) bool {
			return fates[a] == move && a == Atom{Group: "", Resource: "configmaps", Verb: "get"}
		}),
		Removed: removed,
	}
}

// Untrimmed returns the release's role as its chart makes it for these features: generic targets add to it.
func (r *Release) Untrimmed(o Options) []rbacv1.PolicyRule {
	granted := slices.Clone(r.Controller)
	if r.Runs(FeatureGenericTargets, o) {
		granted = append(granted, r.Toggles[r.Switches[FeatureGenericTargets].Value].Adds...)
	}
	return granted
}

type trimmer struct {
	options     Options
	never, uses []Fact
	on          func(Feature) bool
}

// decideAll decides each atom once: upstream grants some of them twice.
func (t *trimmer) decideAll(rules []rbacv1.PolicyRule) (map[Atom]fate, []Removal) {
	fates := map[Atom]fate{}
	var removed []Removal
	for _, a := range atoms(rules) {
		if _, decided := fates[a]; decided {
			continue
		}
		outcome, reason := t.decide(a)
		fates[a] = outcome
		if outcome != keep {
			removed = append(removed, Removal{Atom: a, Moved: outcome == move, Reason: reason})
		}
	}
	return fates, removed
}

// decide returns what becomes of an atom of upstream's role, and why when it is not kept.
func (t *trimmer) decide(a Atom) (fate, string) {
	for i := range t.never {
		if t.never[i].covers(a) {
			return keep, ""
		}
	}
	if a.Group == "" {
		if outcome, reason := t.decideCore(a); outcome != keep {
			return outcome, reason
		}
	}
	return t.decideFeature(a)
}

// decideCore applies the trims, all of which are about the core API group.
func (t *trimmer) decideCore(a Atom) (fate, string) {
	write := a.Verb != "get" && a.Verb != "list" && a.Verb != "watch"
	switch {
	case a.Resource == "serviceaccounts/token" && t.trims(TrimTokens):
		return drop, "a tenant's Role allows it for the named service accounts instead"
	case a.Resource == "secrets" && write && t.trims(TrimSecretWrites):
		return move, "ESO writes Secrets in tenant namespaces only"
	case a.Resource == "configmaps" && write: // upstream grants this for generic targets alone
		return move, "generic targets are written in tenant namespaces only"
	case a.Resource == "configmaps" && t.trims(TrimConfigMaps):
		return t.decideConfigMapRead(a)
	}
	return keep, ""
}

// decideConfigMapRead: ESO reads a ConfigMap by name, past its cache. Only a generic target makes it start an
// informer, and that one blocks a worker for as long as it may not list.
func (t *trimmer) decideConfigMapRead(a Atom) (fate, string) {
	switch {
	case a.Verb == "get":
		return move, "ESO reads ConfigMaps in tenant namespaces only"
	case t.on(FeatureGenericTargets):
		return keep, ""
	}
	return drop, "ESO does not cache ConfigMaps"
}

// decideFeature drops an atom that uses.json knows, when none of its uses is on.
func (t *trimmer) decideFeature(a Atom) (fate, string) {
	decision, reason := keep, ""
	for i := range t.uses {
		use := &t.uses[i]
		if !use.covers(a) {
			continue
		}
		if !slices.ContainsFunc(use.Features, func(f Feature) bool { return !t.on(f) }) {
			return keep, ""
		}
		decision, reason = drop, use.Reason
	}
	return decision, reason
}

func (t *trimmer) trims(trim Trim) bool {
	return slices.Contains(t.options.Trims, trim)
}

// filter returns the rules cut down to the atoms that are wanted, in upstream's order. A rule is split only
// where its resources keep different verbs, and one that keeps nothing is left out.
func filter(rules []rbacv1.PolicyRule, want func(Atom) bool) []rbacv1.PolicyRule {
	var kept []rbacv1.PolicyRule
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			kept = append(kept, filterGroup(group, rule, want)...)
		}
	}
	return kept
}

func filterGroup(group string, rule rbacv1.PolicyRule, want func(Atom) bool) []rbacv1.PolicyRule {
	var parts []rbacv1.PolicyRule
	for _, resource := range rule.Resources {
		var verbs []string
		for _, verb := range rule.Verbs {
			if want(Atom{group, resource, verb}) {
				verbs = append(verbs, verb)
			}
		}
		if len(verbs) == 0 {
			continue
		}
		same := slices.IndexFunc(parts, func(p rbacv1.PolicyRule) bool { return slices.Equal(p.Verbs, verbs) })
		if same >= 0 {
			parts[same].Resources = append(parts[same].Resources, resource)
			continue
		}
		parts = append(parts, rbacv1.PolicyRule{
			APIGroups:     []string{group},
			Resources:     []string{resource},
			ResourceNames: slices.Clone(rule.ResourceNames),
			Verbs:         verbs,
		})
	}
	return parts
}
