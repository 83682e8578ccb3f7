// Package rbactest makes random worlds of roles and bindings, with questions about them, for tests that hold our evaluator
// to Kubernetes' own. The same seed makes the same world.
package rbactest

import (
	"math/rand/v2"
	"strconv"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// Question is a request by somebody.
type Question struct {
	Subject rbac.Subject
	Request rbac.Request
}

// World is a random world.
type World struct {
	rbac.Objects
	// Namespaces are those of its Roles and RoleBindings.
	Namespaces []string
	Questions  []Question

	name   string
	random *rand.Rand
	taken  bool // as an API server takes it
}

// New makes a world that an API server takes, and that many worlds of other names can stand beside: all names begin with
// its own, and only rights to what there is not are given to others than its own subjects.
func New(seed uint64, name string, questions int) *World {
	return newWorld(seed, name, questions, true)
}

// NewMalformed makes a world with what no API server takes as well. No ClusterRole in it is aggregated: that is the
// work of a controller.
func NewMalformed(seed uint64, questions int) *World { return newWorld(seed, "w", questions, false) }

func newWorld(seed uint64, name string, questions int, taken bool) *World {
	w := &World{
		name: name, taken: taken, Namespaces: []string{name + "-red", name + "-blue"},
		random: rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // it has to be the same for the same seed
	}
	for _, namespace := range w.Namespaces {
		for _, role := range []string{"one", "two"} {
			w.Roles = append(w.Roles, &rbacv1.Role{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-" + role}, Rules: w.rules(false),
			})
		}
		for i := range 2 + w.random.IntN(4) {
			w.RoleBindings = append(w.RoleBindings, &rbacv1.RoleBinding{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: w.numbered(i)},
				RoleRef:    w.roleRef("Role", "Role", "ClusterRole"),
				Subjects:   w.subjects(append(w.own(), everybody...)),
			})
		}
	}
	for _, role := range []string{"one", "two", "three", "four"} {
		w.ClusterRoles = append(w.ClusterRoles, w.clusterRole(name+"-"+role))
	}
	for i := range 1 + w.random.IntN(3) {
		w.ClusterRoleBindings = append(w.ClusterRoleBindings, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: w.numbered(i)},
			RoleRef:    w.roleRef("ClusterRole"),
			Subjects:   w.subjects(w.own()),
		})
	}
	w.forEverybody()
	for range questions {
		w.Questions = append(w.Questions, Question{pick(w, w.askers()), w.request()})
	}
	return w
}

// The words are few, so that things meet.
var (
	verbs     = []string{"get", "create", "list", "impersonate", "impersonate:serviceaccount", "*"}
	groups    = []string{"", "apps", "*"}
	resources = []string{
		"secrets", "serviceaccounts", "serviceaccounts/token", "*/token", "serviceaccounts/*", "*", "*/*", "pods/exec", "tokens/token",
	}
	names = []string{"a", "b", "*", ""}
	paths = []string{"/metrics", "/healthz", "/healthz/*", "*", "/health**", "/*"}
)

// everybody are subjects that others than a world's own are among.
var everybody = []rbacv1.Subject{
	{Kind: "Group", APIGroup: rbacv1.GroupName, Name: rbac.Authenticated},
	{Kind: "Group", APIGroup: rbacv1.GroupName, Name: rbac.Unauthenticated},
	{Kind: "Group", APIGroup: rbacv1.GroupName, Name: rbac.AllAccounts},
	{Kind: "User", APIGroup: rbacv1.GroupName, Name: "system:anonymous"},
}

func pick[T any](w *World, from []T) T { return from[w.random.IntN(len(from))] }

func (w *World) some(from []string, least, most int) []string {
	var all []string
	for range least + w.random.IntN(most-least+1) {
		all = append(all, pick(w, from))
	}
	return all
}

func (w *World) numbered(i int) string { return w.name + "-" + strconv.Itoa(i) }

func (w *World) rules(clusterWide bool) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for range 1 + w.random.IntN(3) {
		rule := rbacv1.PolicyRule{Verbs: w.some(verbs, 1, 3)}
		if clusterWide && w.random.IntN(5) == 0 {
			rule.NonResourceURLs = w.some(paths, 1, 2)
		} else {
			rule.APIGroups, rule.Resources = w.some(groups, 1, 2), w.some(resources, 1, 3)
			if w.random.IntN(2) == 0 {
				rule.ResourceNames = w.some(names, 0, 3)
			}
		}
		rules = append(rules, rule)
	}
	return rules
}

// clusterRole states rules, or is the union of others.
func (w *World) clusterRole(name string) *rbacv1.ClusterRole {
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: w.rules(true)}
	if w.random.IntN(2) == 0 {
		role.Labels = map[string]string{w.name: pick(w, []string{"x", "y"})}
	}
	if w.taken && w.random.IntN(3) == 0 {
		role.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{w.selector()}}
		role.Rules = nil // the controller would put others in their place
	}
	return role
}

func (w *World) selector() metav1.LabelSelector {
	switch w.random.IntN(4) {
	case 0:
		return metav1.LabelSelector{MatchLabels: map[string]string{w.name: "x"}}
	case 1:
		return metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: w.name, Operator: metav1.LabelSelectorOpIn, Values: []string{"y", "z"}},
		}}
	case 2:
		return metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
			{Key: w.name, Operator: metav1.LabelSelectorOpExists},
			{Key: w.name, Operator: metav1.LabelSelectorOpNotIn, Values: []string{"x"}},
		}}
	default:
		return metav1.LabelSelector{MatchLabels: map[string]string{w.name: "none"}}
	}
}

// roleRef is of one of some kinds; a role may not be there.
func (w *World) roleRef(kinds ...string) rbacv1.RoleRef {
	ref := rbacv1.RoleRef{
		APIGroup: rbacv1.GroupName, Kind: pick(w, kinds),
		Name: w.name + "-" + pick(w, []string{"one", "two", "one", "two", "three", "four", "nobody"}),
	}
	if !w.taken && w.random.IntN(6) == 0 {
		ref.APIGroup = pick(w, []string{"", "example.com"})
	}
	if !w.taken && w.random.IntN(8) == 0 {
		ref.Kind = pick(w, []string{"role", "Role", ""})
	}
	return ref
}

// own are the subjects of this world alone.
func (w *World) own() []rbacv1.Subject {
	red, blue := w.Namespaces[0], w.Namespaces[1]
	own := []rbacv1.Subject{
		{Kind: "ServiceAccount", Namespace: red, Name: "a"},
		{Kind: "ServiceAccount", Namespace: blue, Name: "a"},
		{Kind: "User", APIGroup: rbacv1.GroupName, Name: "system:serviceaccount:" + red + ":a"},
		{Kind: "User", APIGroup: rbacv1.GroupName, Name: "system:serviceaccount:" + red},
		{Kind: "User", APIGroup: rbacv1.GroupName, Name: w.name + "-ann"},
		{Kind: "Group", APIGroup: rbacv1.GroupName, Name: "system:serviceaccounts:" + red},
		{Kind: "Group", APIGroup: rbacv1.GroupName, Name: w.name + "-ops"},
	}
	if !w.taken {
		own = append(own,
			rbacv1.Subject{Kind: "ServiceAccount", Name: "a"},
			rbacv1.Subject{Kind: "ServiceAccount", Namespace: red, Name: "a:b"},
			rbacv1.Subject{Kind: "ServiceAccount", Namespace: red + ":a", Name: "b"},
			rbacv1.Subject{Kind: "User", Name: w.name + "-ann", APIGroup: "example.com"},
			rbacv1.Subject{Kind: "group", Name: w.name + "-ops"},
			rbacv1.Subject{Kind: "Group", Namespace: red, Name: w.name + "-ops"},
		)
	}
	return own
}

func (w *World) subjects(from []rbacv1.Subject) []rbacv1.Subject {
	var all []rbacv1.Subject
	for range 1 + w.random.IntN(3) {
		all = append(all, pick(w, from))
	}
	return all
}

// forEverybody gives a right to what there is not in the whole cluster.
func (w *World) forEverybody() {
	w.ClusterRoles = append(w.ClusterRoles, &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: w.name + "-everybody"},
		Rules: []rbacv1.PolicyRule{
			{Verbs: w.some(verbs, 1, 2), APIGroups: []string{w.apiGroup()}, Resources: w.some(resources, 1, 3), ResourceNames: w.some(names, 0, 2)},
			{Verbs: w.some(verbs, 1, 2), NonResourceURLs: []string{"/" + w.name + pick(w, []string{"", "/", "/*", "*"})}},
		},
	})
	w.ClusterRoleBindings = append(w.ClusterRoleBindings, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: w.name + "-everybody"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: w.name + "-everybody"},
		Subjects:   w.subjects(everybody),
	})
}

// apiGroup is one that nothing serves.
func (w *World) apiGroup() string { return w.name + ".example.com" }
