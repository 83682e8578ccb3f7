package rbac

import (
	"cmp"
	"encoding/json"
	"iter"
	"maps"
	"slices"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
)

// roles finds roles by name.
type roles struct {
	given map[Ref]*role
	own   func() map[Ref]*role // Kubernetes' own that are not given; read when first needed
	all   func() *labelled     // ClusterRoles, given and own
}

// role is all that objects of one name say.
type role struct {
	ref         Ref
	bootstrap   bool
	definitions []definition // one, unless the input is ambiguous

	// Set by New, for roles that somebody is bound to or that aggregate others.
	rules            []rule
	sources          []*role // that are aggregated directly, sorted
	resolved, linked bool    // whether these are set
}

// definition is what one object says.
type definition struct {
	labels      map[string]string
	rules       []rbacv1.PolicyRule
	aggregation *rbacv1.AggregationRule
	protected   bool // the API server leaves it as it is, even if it is called as one of its own
}

// rule is a rule and where it stands.
type rule struct {
	*rbacv1.PolicyRule
	source *role
	index  int
}

func newRoles(o Objects, own *defaults, report func(Problem)) *roles {
	rs := &roles{given: map[Ref]*role{}}
	addTo(rs.given, o, false, report)
	rs.restore(own, report)
	rs.own = sync.OnceValue(func() map[Ref]*role {
		found := map[Ref]*role{}
		addTo(found, own.objects(), true, func(Problem) {})
		maps.DeleteFunc(found, func(ref Ref, _ *role) bool { return rs.given[ref] != nil })
		return found
	})
	rs.all = sync.OnceValue(func() *labelled { return newLabelled(rs.given, rs.own()) })
	return rs
}

const (
	clusterRole        = "ClusterRole"
	plainRole          = "Role"
	clusterRoleBinding = "ClusterRoleBinding"
	roleBinding        = "RoleBinding"
)

func (r *role) compare(o *role) int { return r.ref.compare(o.ref) }

// addTo makes roles of objects.
func addTo(table map[Ref]*role, o Objects, bootstrap bool, report func(Problem)) {
	for _, c := range o.ClusterRoles {
		define(table, Ref{clusterRole, "", c.Name}, bootstrap, definition{c.Labels, c.Rules, c.AggregationRule, isProtected(c.Annotations)})
	}
	for _, r := range o.Roles {
		ref := Ref{plainRole, r.Namespace, r.Name}
		if r.Namespace == "" {
			report(withoutNamespace(ref))
			continue
		}
		define(table, ref, bootstrap, definition{rules: r.Rules, protected: isProtected(r.Annotations)})
	}
	for _, r := range table {
		if len(r.definitions) > 1 {
			r.settle(report)
		}
	}
}

func isProtected(annotations map[string]string) bool {
	return annotations[rbacv1.AutoUpdateAnnotationKey] == "false"
}

func withoutNamespace(ref Ref) Problem {
	return Problem{Flaw: NamespaceMissing, Object: ref, Detail: "has no namespace, so where it would be is not known; it is left out"}
}

func define(table map[Ref]*role, ref Ref, bootstrap bool, d definition) {
	r := table[ref]
	if r == nil {
		r = &role{ref: ref, bootstrap: bootstrap}
		table[ref] = r
	}
	r.definitions = append(r.definitions, d)
}

// settle brings several definitions into an order that does not depend on the input's, and drops repetitions.
func (r *role) settle(report func(Problem)) {
	text := func(d definition) string { return encode(d.labels, d.rules, d.aggregation, d.protected) }
	slices.SortFunc(r.definitions, func(d, e definition) int { return cmp.Compare(text(d), text(e)) })
	r.definitions = slices.CompactFunc(r.definitions, func(d, e definition) bool { return text(d) == text(e) })
	if len(r.definitions) > 1 {
		report(ambiguous(r.ref))
	}
}

func ambiguous(ref Ref) Problem {
	return Problem{Flaw: Ambiguous, Object: ref, Detail: "there are several of this name that differ; the rights of all count"}
}

// encode is some text that is the same for the same values. What is encoded came out of a decoder, so it can be encoded.
func encode(values ...any) string {
	text, err := json.Marshal(values)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// find returns a role that is given or Kubernetes' own, or nil.
func (rs *roles) find(ref Ref) *role {
	if r := rs.given[ref]; r != nil {
		return r
	}
	return rs.own()[ref]
}

// stated yields the rules that stand in the role itself.
func (r *role) stated() iter.Seq[rule] {
	return func(yield func(rule) bool) {
		index := 0
		for _, d := range r.definitions {
			for i := range d.rules {
				if !yield(rule{&d.rules[i], r, index}) {
					return
				}
				index++
			}
		}
	}
}
