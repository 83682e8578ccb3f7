package eso

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

//go:embed nevertrim.json
var neverTrimJSON string

//go:embed uses.json
var usesJSON string

// Fact is something read in ESO's source, or seen when running it, about rights that ESO needs.
type Fact struct {
	Features  []Feature `json:"features,omitempty"` // the features that need the rights together; none: ESO always does
	Since     string    `json:"since,omitempty"`    // first chart version; "": the oldest on record
	Until     string    `json:"until,omitempty"`    // last chart version; "": the newest on record
	Group     string    `json:"group"`
	Resources []string  `json:"resources"` // "*": all that upstream's role names in the group
	Verbs     []string  `json:"verbs"`
	Reason    string    `json:"reason"`
	Evidence  []string  `json:"evidence"` // path:line@tag in ESO's repository, or what was run
}

// Atom is the smallest right: one verb on one resource of one API group.
type Atom struct {
	Group, Resource, Verb string
}

func (f *Fact) holdsFor(chart string) bool {
	return (f.Since == "" || compare(chart, f.Since) >= 0) && (f.Until == "" || compare(chart, f.Until) <= 0)
}

func (f *Fact) covers(a Atom) bool {
	return f.Group == a.Group && slices.Contains(f.Verbs, a.Verb) &&
		(slices.Contains(f.Resources, a.Resource) || slices.Contains(f.Resources, "*"))
}

// NeverTrimmed returns what no trim takes out of this release's role, with the reasons.
func (r *Release) NeverTrimmed() []Fact {
	return slices.Clone(r.never)
}

// Uses returns what in this release's role is there for features only, with the reasons.
func (r *Release) Uses() []Fact {
	return slices.Clone(r.uses)
}

// decodeFacts returns those facts of a file that hold for a chart version; for all versions when it is "".
func decodeFacts(data, chart string) ([]Fact, error) {
	var facts []Fact
	if err := json.Unmarshal([]byte(data), &facts); err != nil {
		return nil, fmt.Errorf("decoding what is known of ESO's rights: %w", err)
	}
	return slices.DeleteFunc(facts, func(f Fact) bool { return chart != "" && !f.holdsFor(chart) }), nil
}

// atoms returns the rights that the rules grant. No rule on record has wildcards, names or URLs.
func atoms(rules []rbacv1.PolicyRule) []Atom {
	var all []Atom
	for _, rule := range rules {
		for _, group := range rule.APIGroups {
			for _, resource := range rule.Resources {
				for _, verb := range rule.Verbs {
					all = append(all, Atom{group, resource, verb})
				}
			}
		}
	}
	return all
}
