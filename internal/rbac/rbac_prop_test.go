package rbac

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
)

// The words of random worlds are few, so that things meet.
var (
	someVerbs      = []string{"get", "create", "list", "*"}
	someGroups     = []string{"", "apps", "*"}
	someResources  = []string{"secrets", "serviceaccounts", "serviceaccounts/token", "*/token", "serviceaccounts/*", "*", "*/*", "pods/exec", "tokens/token"}
	someNames      = []string{"", "a", "b", "*"}
	someNamespaces = []string{"red", "blue"}
	somePaths      = []string{"/metrics", "/healthz", "/healthz/*", "*", "/health**", "/*"}
	someLabels     = []string{"x", "y"}
	someSubjects   = []rbacv1.Subject{
		{Kind: "ServiceAccount", Namespace: "red", Name: "a"},
		{Kind: "ServiceAccount", Namespace: "blue", Name: "a"},
		{Kind: "ServiceAccount", Name: "a"},
		{Kind: "ServiceAccount", Namespace: "red", Name: "a:b"},
		{Kind: "ServiceAccount", Namespace: "red:a", Name: "b"},
		{Kind: "User", Name: "system:serviceaccount:red:a", APIGroup: rbacv1.GroupName},
		{Kind: "User", Name: "system:serviceaccount:red", APIGroup: "example.com"},
		{Kind: "User", Name: "ann", APIGroup: rbacv1.GroupName},
		{Kind: "User", Name: "system:anonymous"},
		{Kind: "Group", Name: "system:authenticated"},
		{Kind: "Group", Name: "system:unauthenticated"},
		{Kind: "Group", Name: "system:serviceaccounts"},
		{Kind: "Group", Name: "system:serviceaccounts:red"},
		{Kind: "Group", Name: "ops"},
		{Kind: "group", Name: "ops"},
	}
)

func wordsOf(words []string, least, most int) *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.SampledFrom(words), least, most)
}

var someRule = rapid.Custom(func(t *rapid.T) rbacv1.PolicyRule {
	r := rbacv1.PolicyRule{Verbs: wordsOf(someVerbs, 1, 3).Draw(t, "verbs")}
	if rapid.IntRange(0, 5).Draw(t, "path") == 0 {
		r.NonResourceURLs = wordsOf(somePaths, 1, 2).Draw(t, "paths")
		return r
	}
	r.APIGroups = wordsOf(someGroups, 1, 2).Draw(t, "groups")
	r.Resources = wordsOf(someResources, 1, 3).Draw(t, "resources")
	if rapid.Bool().Draw(t, "named") {
		r.ResourceNames = wordsOf(someNames, 0, 3).Draw(t, "names")
	}
	return r
})

var someSelector = rapid.Custom(func(t *rapid.T) metav1.LabelSelector {
	label := rapid.SampledFrom(someLabels).Draw(t, "label")
	return rapid.SampledFrom([]metav1.LabelSelector{
		{MatchLabels: map[string]string{label: "true"}},
		{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: label, Operator: metav1.LabelSelectorOpDoesNotExist}}},
		{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: label, Operator: "Sideways"}}},
		{},
	}).Draw(t, "selector")
})

var someClusterRole = rapid.Custom(func(t *rapid.T) *rbacv1.ClusterRole {
	c := &rbacv1.ClusterRole{}
	c.Name = rapid.SampledFrom([]string{"one", "two", "three", "four"}).Draw(t, "name")
	if rapid.IntRange(0, 3).Draw(t, "states") > 0 {
		c.Rules = rapid.SliceOfN(someRule, 1, 3).Draw(t, "rules")
	}
	for _, label := range wordsOf(someLabels, 0, 1).Draw(t, "labels") {
		c.Labels = map[string]string{label: "true"}
	}
	if rapid.IntRange(0, 2).Draw(t, "aggregates") == 0 {
		c.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: rapid.SliceOfN(someSelector, 0, 2).Draw(t, "selectors")}
	}
	return c
})

var someRole = rapid.Custom(func(t *rapid.T) *rbacv1.Role {
	r := &rbacv1.Role{Rules: rapid.SliceOfN(someRule, 1, 3).Draw(t, "rules")}
	r.Namespace = rapid.SampledFrom(someNamespaces).Draw(t, "namespace")
	r.Name = rapid.SampledFrom([]string{"one", "two"}).Draw(t, "name")
	return r
})

var someRoleRef = rapid.Custom(func(t *rapid.T) rbacv1.RoleRef {
	return rbacv1.RoleRef{
		APIGroup: rapid.SampledFrom([]string{rbacv1.GroupName, rbacv1.GroupName, "", "example.com"}).Draw(t, "apiGroup"),
		Kind:     rapid.SampledFrom([]string{"Role", "Role", "Role", "ClusterRole", "ClusterRole", "ClusterRole", "role"}).Draw(t, "kind"),
		Name:     rapid.SampledFrom([]string{"one", "two", "one", "two", "three", "four", "nobody"}).Draw(t, "role"),
	}
})

var someRoleBinding = rapid.Custom(func(t *rapid.T) *rbacv1.RoleBinding {
	b := &rbacv1.RoleBinding{RoleRef: someRoleRef.Draw(t, "ref")}
	b.Namespace = rapid.SampledFrom(someNamespaces).Draw(t, "namespace")
	b.Name = rapid.SampledFrom([]string{"p", "q"}).Draw(t, "name")
	b.Subjects = rapid.SliceOfN(rapid.SampledFrom(someSubjects), 1, 4).Draw(t, "subjects")
	return b
})

var someClusterRoleBinding = rapid.Custom(func(t *rapid.T) *rbacv1.ClusterRoleBinding {
	b := &rbacv1.ClusterRoleBinding{RoleRef: someRoleRef.Draw(t, "ref")}
	b.Name = rapid.SampledFrom([]string{"p", "q", "r"}).Draw(t, "name")
	b.Subjects = rapid.SliceOfN(rapid.SampledFrom(someSubjects), 1, 4).Draw(t, "subjects")
	return b
})

var someObjects = rapid.Custom(func(t *rapid.T) Objects {
	return Objects{
		Roles:               rapid.SliceOfN(someRole, 3, 6).Draw(t, "roles"),
		ClusterRoles:        rapid.SliceOfN(someClusterRole, 3, 6).Draw(t, "clusterRoles"),
		RoleBindings:        rapid.SliceOfN(someRoleBinding, 2, 6).Draw(t, "roleBindings"),
		ClusterRoleBindings: rapid.SliceOfN(someClusterRoleBinding, 1, 4).Draw(t, "clusterRoleBindings"),
	}
})

var someRequest = rapid.Custom(func(t *rapid.T) Request {
	if rapid.IntRange(0, 5).Draw(t, "path") == 0 {
		return Request{
			Verb:           rapid.SampledFrom(someVerbs).Draw(t, "verb"),
			NonResourceURL: rapid.SampledFrom([]string{"/metrics", "/healthz", "/healthz/etcd", "/health", "*"}).Draw(t, "url"),
			Namespace:      rapid.SampledFrom(append(someNamespaces, "")).Draw(t, "namespace"),
		}
	}
	r := Request{
		Verb:      rapid.SampledFrom(append(someVerbs, "watch")).Draw(t, "verb"),
		Group:     rapid.SampledFrom(append(someGroups, "batch")).Draw(t, "group"),
		Resource:  rapid.SampledFrom([]string{"secrets", "serviceaccounts", "pods", "tokens", "*"}).Draw(t, "resource"),
		Name:      rapid.SampledFrom(append(someNames, "c")).Draw(t, "name"),
		Namespace: rapid.SampledFrom(append(someNamespaces, "", "green")).Draw(t, "namespace"),
	}
	r.Subresource = rapid.SampledFrom([]string{"", "token", "exec", "*"}).Draw(t, "subresource")
	return r
})

// askers are all that are worth asking about: everybody bound, and some who are not.
func askers() []Subject {
	return []Subject{
		ServiceAccount("red", "a"), ServiceAccount("blue", "a"), ServiceAccount("red", "b"), ServiceAccount("green", "z"),
		ServiceAccount("red", "a:b"), User("system:serviceaccount:red"), User("ann"), User("bob"), User("system:anonymous"),
		Group("system:authenticated"), Group("system:unauthenticated"), Group("system:serviceaccounts"),
		Group("system:serviceaccounts:red"), Group("ops"), Group("nobodies"),
	}
}

// alone takes the objects for all that there is, without Kubernetes' own.
func alone(o Objects) *Authorizer {
	return build(o, &defaults{read: func() map[Ref]*bootstrapObject { return nil }})
}

// An answer is that of loops over everything, and so are its reasons.
func TestEqualsNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := someObjects.Draw(t, "objects")
		a, n := alone(o), newNaive(o)
		for range 10 {
			r := someRequest.Draw(t, "request")
			for _, s := range askers() {
				user, groups := nameAndGroups(s)
				reasons := n.why(user, groups, r)
				want := map[string]bool{}
				for _, w := range reasons {
					subject, _ := readSubject(&w.subject, w.namespace)
					want[fmt.Sprint(Ref{w.kind, w.namespace, w.name}, subject, w.rule)] = true
				}
				got := map[string]bool{}
				for _, g := range a.Grants(s, r) {
					got[fmt.Sprint(g.Binding, g.Subject, a.ruleOf(g).String())] = true
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%v asks %+v (-naive +ours):\n%s", s, r, diff)
				}
				if _, ok := a.Allowed(s, r); ok != (len(reasons) > 0) {
					t.Fatalf("%v asks %+v: allowed %t, and %d reasons", s, r, ok, len(reasons))
				}
			}
		}
	})
}

// ruleOf finds the rule that a grant names.
func (a *Authorizer) ruleOf(g Grant) *rbacv1.PolicyRule {
	for found, r := range a.Role(g.Source) {
		if found.Source == g.Source && found.Rule == g.Rule {
			return r
		}
	}
	for r := range a.roles.find(g.Source).stated() { // an aggregated one, whose own statement is attributed elsewhere
		if r.index == g.Rule {
			return r.PolicyRule
		}
	}
	return nil
}

// More objects never allow less, and never take a reason away.
func TestMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before, more := someObjects.Draw(t, "objects"), someObjects.Draw(t, "more")
		after := Objects{
			slices.Concat(before.Roles, more.Roles), slices.Concat(before.ClusterRoles, more.ClusterRoles),
			slices.Concat(before.RoleBindings, more.RoleBindings), slices.Concat(before.ClusterRoleBindings, more.ClusterRoleBindings),
		}
		small, large := alone(before), alone(after)
		for range 10 {
			r := someRequest.Draw(t, "request")
			for _, s := range askers() {
				if len(small.Grants(s, r)) > 0 && len(large.Grants(s, r)) == 0 {
					t.Fatalf("%v asks %+v: no longer allowed by more objects", s, r)
				}
			}
		}
	})
}

// The order of objects shows nowhere, and neither does an object that is there twice.
func TestOrderShowsNowhere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := someObjects.Draw(t, "objects")
		shuffled := Objects{
			rapid.Permutation(slices.Concat(o.Roles, o.Roles)).Draw(t, "roles"), rapid.Permutation(o.ClusterRoles).Draw(t, "clusterRoles"),
			rapid.Permutation(slices.Concat(o.RoleBindings, o.RoleBindings)).Draw(t, "roleBindings"),
			rapid.Permutation(o.ClusterRoleBindings).Draw(t, "clusterRoleBindings"),
		}
		a, b := alone(o), alone(shuffled)
		same := func(what string, x, y any) {
			if diff := cmp.Diff(x, y); diff != "" {
				t.Fatalf("%s differ:\n%s", what, diff)
			}
		}
		same("problems", a.Problems(), b.Problems())
		same("subjects", a.Subjects(), b.Subjects())
		r := someRequest.Draw(t, "request")
		same("holders", a.WhoCan(r), b.WhoCan(r))
		for _, s := range askers() {
			same("grants", a.Grants(s, r), b.Grants(s, r))
			same("places", a.Places(s, r.Verb, r.Group, r.Resource), b.Places(s, r.Verb, r.Group, r.Resource))
			same("rules", rulesIn(a, s, r.Namespace), rulesIn(b, s, r.Namespace))
		}
	})
}

func rulesIn(a *Authorizer, s Subject, namespace string) (lines []string) {
	for g, r := range a.Rules(s, namespace) {
		lines = append(lines, g.String()+" "+r.String())
	}
	return lines
}

// Whoever is allowed is a holder or in a group that is; and a holder's grants are those of asking for it.
func TestWhoCanEqualsAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := alone(someObjects.Draw(t, "objects"))
		r := someRequest.Draw(t, "request")
		holders := map[Subject][]Grant{}
		for _, h := range a.WhoCan(r) {
			holders[h.Subject] = h.Grants
		}
		for _, s := range slices.Concat(askers(), a.Subjects()) {
			var want []Grant
			for _, id := range s.Identities() {
				want = append(want, holders[id]...)
			}
			got := a.Grants(s, r)
			slices.SortStableFunc(want, func(g, h Grant) int { return clusterFirst(g) - clusterFirst(h) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%v asks %+v (-who can +grants):\n%s", s, r, diff)
			}
		}
		for s := range holders {
			if !slices.Contains(a.Subjects(), s) {
				t.Fatalf("%v is a holder that nobody bound", s)
			}
		}
	})
}

func clusterFirst(g Grant) int {
	if g.Binding.Namespace == "" {
		return 0
	}
	return 1
}

// A request is allowed exactly if one of the places has its namespace and its name.
func TestPlacesEqualAllowed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := alone(someObjects.Draw(t, "objects"))
		r := someRequest.Draw(t, "request")
		if r.NonResourceURL != "" {
			return
		}
		resource := r.Resource
		if r.Subresource != "" {
			resource += "/" + r.Subresource
		}
		for _, s := range askers() {
			covers := func(p Place) bool {
				return (p.Everywhere || (p.Namespace == r.Namespace)) && (p.Names == nil || slices.Contains(p.Names, r.Name))
			}
			places := a.Places(s, r.Verb, r.Group, resource)
			if _, ok := a.Allowed(s, r); ok != slices.ContainsFunc(places, covers) {
				t.Fatalf("%v asks %+v: allowed %t, and places %+v", s, r, ok, places)
			}
		}
	})
}

// What the wanted rules allow, the covering ones allow.
func TestCoversMeansAllows(t *testing.T) {
	rules := rapid.SliceOfN(someRule, 0, 4)
	rapid.Check(t, func(t *rapid.T) {
		owner, wanted := rules.Draw(t, "owner"), rules.Draw(t, "wanted")
		covered, missing := Covers(owner, wanted)
		if covered != (len(missing) == 0) {
			t.Fatalf("covered %t with %v missing", covered, missing)
		}
		if !covered {
			owner = append(slices.Clone(owner), missing...)
		}
		for range 10 {
			q := someRequest.Draw(t, "request").question()
			allowed := func(r rbacv1.PolicyRule) bool { return q.allowedBy(&r) }
			if slices.ContainsFunc(wanted, allowed) && !slices.ContainsFunc(owner, allowed) {
				t.Fatalf("%+v is allowed by %v and not by %v", q, wanted, owner)
			}
		}
	})
}
