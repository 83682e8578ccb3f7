package rbac

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The controller (k8s.io/kubernetes v1.37.2, pkg/controller/clusterroleaggregation) puts the rules of the ClusterRoles
// that match into the aggregated one, again and again until nothing changes. Objects from a cluster therefore state the
// union already, and objects from files state nothing. Here both count: what is stated, and what is reached.

// mostSteps bounds what all aggregation together may cost: ClusterRoles that select each other by the thousand are no
// cluster's, and would take hours. A union for each of 10,000 tenants, and 10,000 roles in each of view, edit and admin,
// take a tenth.
const mostSteps = 3_000_000

// resolver works rules out, in New and nowhere else.
type resolver struct {
	*roles
	report func(Problem)
	left   int
}

// resolve sets the rules of roles.
func (rs *resolver) resolve(some []*role) {
	slices.SortFunc(some, (*role).compare)
	for _, r := range slices.Compact(some) {
		r.resolved = true
		r.rules = slices.Collect(r.stated())
		if !r.aggregates() {
			continue
		}
		if rules := rs.union(r, rs.spend); rs.left >= 0 {
			r.rules = rules
		} else {
			rs.report(Problem{Flaw: AggregationTooLarge, Object: r.ref, Detail: "is the union of other ClusterRoles, and all such unions together are too large to be worked out; only what it states counts"})
		}
	}
}

// spend takes steps from what is left, and tells whether there were as many.
func (rs *resolver) spend(steps int) bool {
	rs.left -= steps
	return rs.left >= 0
}

func unbounded(int) bool { return true }

func (r *role) aggregates() bool {
	return slices.ContainsFunc(r.definitions, func(d definition) bool { return d.aggregation != nil })
}

// effective returns the rules of any role; for one that New had no need of, they are worked out each time.
func (rs *roles) effective(r *role) []rule {
	if r.resolved {
		return r.rules
	}
	return rs.union(r, unbounded)
}

// union returns what a role states and what is stated by all roles that are aggregated into it, directly or not. What is
// stated twice is attributed to where it comes from.
func (rs *roles) union(r *role, spend func(int) bool) []rule {
	sources := rs.reach(r, spend)
	original := map[string]bool{}
	for _, s := range sources {
		for stated := range s.stated() {
			if !s.aggregates() && spend(1) {
				original[key(stated.PolicyRule)] = true
			}
		}
	}
	var rules []rule
	for _, s := range append([]*role{r}, sources...) {
		for stated := range s.stated() {
			if !s.aggregates() || !original[key(stated.PolicyRule)] {
				rules = append(rules, stated)
			}
		}
	}
	return rules
}

// key is the same for rules that say the same in the same order.
func key(r *rbacv1.PolicyRule) string {
	var b strings.Builder
	for _, list := range [][]string{r.Verbs, r.APIGroups, r.Resources, r.ResourceNames, r.NonResourceURLs} {
		for _, s := range list {
			b.WriteString(s)
			b.WriteByte(0)
		}
		b.WriteByte(1)
	}
	return b.String()
}

// reach returns all roles that are aggregated into one, directly or not, sorted, without itself.
func (rs *roles) reach(r *role, spend func(int) bool) []*role {
	seen := map[*role]bool{r: true}
	for queue := []*role{r}; len(queue) > 0; queue = queue[1:] {
		sources := rs.direct(queue[0], spend)
		if !spend(1 + len(sources)) {
			return nil
		}
		for _, s := range sources {
			if !seen[s] {
				seen[s] = true
				queue = append(queue, s)
			}
		}
	}
	delete(seen, r)
	return slices.SortedFunc(maps.Keys(seen), (*role).compare)
}

// direct returns what an aggregated role's selectors match, sorted. A role is never its own source.
func (rs *roles) direct(r *role, spend func(int) bool) []*role {
	if r.linked || !r.aggregates() {
		return r.sources
	}
	selectors, _ := r.selectors()
	found := map[*role]bool{}
	for _, s := range selectors {
		candidates := rs.all().candidates(s)
		if !spend(len(candidates)) {
			return nil
		}
		for _, c := range candidates {
			if c != r && c.isSelected(s) {
				found[c] = true
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), (*role).compare)
}

func (r *role) isSelected(by labels.Selector) bool {
	return slices.ContainsFunc(r.definitions, func(d definition) bool { return by.Matches(labels.Set(d.labels)) })
}

// selectors returns those of all definitions. For one that cannot be read, the controller gives up on the whole role;
// here the others count nevertheless.
func (r *role) selectors() (readable []labels.Selector, invalid error) {
	for _, d := range r.definitions {
		if d.aggregation == nil {
			continue
		}
		for i := range d.aggregation.ClusterRoleSelectors {
			s, err := metav1.LabelSelectorAsSelector(&d.aggregation.ClusterRoleSelectors[i])
			if err != nil {
				invalid = err
				continue
			}
			readable = append(readable, s)
		}
	}
	return readable, invalid
}

// labelled finds ClusterRoles by label: with a union for each tenant, looking at all roles for each is too slow.
type labelled struct {
	all     []*role
	byLabel map[[2]string][]*role
}

func newLabelled(tables ...map[Ref]*role) *labelled {
	l := &labelled{byLabel: map[[2]string][]*role{}}
	for _, table := range tables {
		for ref, r := range table {
			if ref.Kind != clusterRole {
				continue
			}
			l.all = append(l.all, r)
			for _, d := range r.definitions {
				for name, value := range d.labels {
					l.byLabel[[2]string{name, value}] = append(l.byLabel[[2]string{name, value}], r)
				}
			}
		}
	}
	return l
}

// candidates are roles among which are all that the selector matches.
func (l *labelled) candidates(s labels.Selector) []*role {
	requirements, selectable := s.Requirements()
	if !selectable {
		return nil
	}
	fewest := l.all
	for i := range requirements {
		value, exact := s.RequiresExactMatch(requirements[i].Key())
		if !exact {
			continue
		}
		if some := l.byLabel[[2]string{requirements[i].Key(), value}]; len(some) < len(fewest) {
			fewest = some
		}
	}
	return fewest
}

// link looks at all roles that aggregate others, bound or not, keeps what they aggregate, and returns them. Where no given
// role does, Kubernetes' own are of no interest.
func (rs *resolver) link() []*role {
	aggregated := aggregating(maps.Values(rs.given))
	if len(aggregated) == 0 {
		return nil
	}
	aggregated = aggregating(slices.Values(rs.all().all))
	for _, r := range aggregated {
		if _, err := r.selectors(); err != nil {
			rs.report(Problem{Flaw: AggregationInvalid, Object: r.ref, Detail: "has a selector that cannot be read: " + err.Error()})
		}
		r.sources = rs.direct(r, rs.spend)
		r.linked = rs.left >= 0
		if len(r.sources) == 0 && !r.says() && r.linked {
			rs.report(Problem{Flaw: AggregationEmpty, Object: r.ref, Detail: "is the union of other ClusterRoles, and none of them is here, so what it gives is not known"})
		}
	}
	for _, loop := range loops(aggregated) {
		first, rest := loop[0], loop[1:]
		rs.report(Problem{Flaw: AggregationCycle, Object: first.ref, Other: rest[0].ref, Detail: fmt.Sprintf("is aggregated into %s and the other way round (%d ClusterRoles in all), so each has the rules of all", rest[0].ref, len(loop))})
	}
	return aggregated
}

func aggregating(roles iter.Seq[*role]) (some []*role) {
	for r := range roles {
		if r.aggregates() {
			some = append(some, r)
		}
	}
	slices.SortFunc(some, (*role).compare)
	return some
}

// says tells whether the role states any rule.
func (r *role) says() bool {
	return slices.ContainsFunc(r.definitions, func(d definition) bool { return len(d.rules) > 0 })
}

// loops returns the sets of roles that are aggregated into each other, sorted: the strongly connected components of more
// than one, by Tarjan's algorithm.
func loops(aggregated []*role) (found [][]*role) {
	index, low, onStack := map[*role]int{}, map[*role]int{}, map[*role]bool{}
	var stack []*role
	var visit func(*role)
	visit = func(r *role) {
		index[r] = len(index) + 1
		low[r] = index[r]
		stack, onStack[r] = append(stack, r), true
		for _, s := range r.sources {
			if index[s] == 0 {
				visit(s)
				low[r] = min(low[r], low[s])
			} else if onStack[s] {
				low[r] = min(low[r], index[s])
			}
		}
		if low[r] != index[r] {
			return
		}
		start := slices.Index(stack, r)
		loop := slices.SortedFunc(slices.Values(stack[start:]), (*role).compare)
		stack = stack[:start]
		for _, s := range loop {
			onStack[s] = false
		}
		if len(loop) > 1 {
			found = append(found, loop)
		}
	}
	for _, r := range aggregated {
		if index[r] == 0 {
			visit(r)
		}
	}
	return found
}
