package rbac

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	esoSubject = rbacv1.Subject{Kind: "ServiceAccount", Namespace: "eso", Name: "eso"}
	eso        = ServiceAccount("eso", "eso")
)

// world builds objects, a line each.
type world struct{ Objects }

func (w *world) clusterRole(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	c := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{}}, Rules: rules}
	w.ClusterRoles = append(w.ClusterRoles, c)
	return c
}

// union makes a ClusterRole of those that have a label.
func (w *world) union(name, label string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	c := w.clusterRole(name, rules...)
	c.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{label: "true"}}}}
	return c
}

func (w *world) role(namespace, name string, rules ...rbacv1.PolicyRule) {
	w.Roles = append(w.Roles, &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: rules})
}

func roleRef(kind, name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
}

func (w *world) bind(namespace, name, kind, role string, subjects ...rbacv1.Subject) *rbacv1.RoleBinding {
	b := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, RoleRef: roleRef(kind, role), Subjects: subjects}
	w.RoleBindings = append(w.RoleBindings, b)
	return b
}

func (w *world) bindAll(name, kind, role string, subjects ...rbacv1.Subject) {
	b := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: roleRef(kind, role), Subjects: subjects}
	w.ClusterRoleBindings = append(w.ClusterRoleBindings, b)
}

func label(c *rbacv1.ClusterRole, name string) { c.Labels[name] = "true" }

func lines[T interface{ String() string }](all []T) (text []string) {
	for _, one := range all {
		text = append(text, one.String())
	}
	return text
}

func wantLines[T interface{ String() string }](t *testing.T, got []T, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, lines(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBindingsReach(t *testing.T) {
	var w world
	w.clusterRole("mint", ruleOn("create", "serviceaccounts/token"), pathRule("get", "/metrics"))
	w.role("web", "read", ruleOn("get", "secrets"))
	w.bind("web", "p", "ClusterRole", "mint", esoSubject)
	w.bind("web", "q", "Role", "read", rbacv1.Subject{Kind: "Group", Name: "system:serviceaccounts:eso"})
	w.bind("shop", "q", "Role", "read", esoSubject)
	w.bindAll("r", "ClusterRole", "mint", rbacv1.Subject{Kind: "User", Name: "ann"})
	w.bindAll("s", "Role", "read", esoSubject)
	a := New(w.Objects, Options{})
	tests := map[string]struct {
		subject Subject
		request Request
		want    bool
	}{
		"a ClusterRole in the binding's namespace": {eso, Request{Verb: "create", Resource: "serviceaccounts/token", Namespace: "web", Name: "x"}, true},
		"and in no other":                          {eso, Request{Verb: "create", Resource: "serviceaccounts/token", Namespace: "shop", Name: "x"}, false},
		"nor in the whole cluster":                 {eso, Request{Verb: "create", Resource: "serviceaccounts/token", Name: "x"}, false},
		"no path by a RoleBinding":                 {eso, Request{Verb: "get", NonResourceURL: "/metrics", Namespace: "web"}, false},
		"a path by a ClusterRoleBinding":           {User("ann"), Request{Verb: "get", NonResourceURL: "/metrics"}, true},
		"a ClusterRoleBinding, anywhere":           {User("ann"), Request{Verb: "create", Resource: "serviceaccounts/token", Namespace: "new", Name: "x"}, true},
		"by the group of a namespace":              {eso, Request{Verb: "get", Resource: "secrets", Namespace: "web"}, true},
		"for another account in it":                {ServiceAccount("eso", "webhook"), Request{Verb: "get", Resource: "secrets", Namespace: "web"}, true},
		"for none of another namespace":            {ServiceAccount("web", "eso"), Request{Verb: "get", Resource: "secrets", Namespace: "web"}, false},
		"a Role of another namespace":              {eso, Request{Verb: "get", Resource: "secrets", Namespace: "shop"}, false},
		"a Role in a whole-cluster binding":        {eso, Request{Verb: "get", Resource: "secrets"}, false},
		"the user name of a service account":       {User("system:serviceaccount:eso:eso"), Request{Verb: "create", Resource: "serviceaccounts/token", Namespace: "web", Name: "x"}, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g, got := a.Allowed(test.subject, test.request)
			if got != test.want {
				t.Errorf("allowed %t (%v), want %t", got, g, test.want)
			}
		})
	}
	wantLines(t, a.Problems(),
		`ClusterRoleBinding s: is for the whole cluster and names a Role, "read"; it has no effect`,
		"RoleBinding shop/q: names Role shop/read, which is not there")
}

func TestGrantsNameEachWay(t *testing.T) {
	var w world
	w.clusterRole("mint", ruleOn("get", "pods"), ruleOn("create", "*"), ruleOn("create", "*/token"))
	w.bind("web", "p", "ClusterRole", "mint", esoSubject, rbacv1.Subject{Kind: "Group", Name: "system:authenticated"}, esoSubject)
	w.bindAll("r", "ClusterRole", "mint", rbacv1.Subject{Kind: "Group", Name: "system:serviceaccounts"})
	a := New(w.Objects, Options{})
	mint := Request{Verb: "create", Resource: "serviceaccounts/token", Namespace: "web", Name: "x"}
	wantLines(t, a.Grants(eso, mint),
		"ClusterRoleBinding r gives group system:serviceaccounts ClusterRole mint, rule 1",
		"ClusterRoleBinding r gives group system:serviceaccounts ClusterRole mint, rule 2",
		"RoleBinding web/p gives system:serviceaccount:eso:eso ClusterRole mint, rule 1",
		"RoleBinding web/p gives system:serviceaccount:eso:eso ClusterRole mint, rule 2",
		"RoleBinding web/p gives group system:authenticated ClusterRole mint, rule 1",
		"RoleBinding web/p gives group system:authenticated ClusterRole mint, rule 2")
	var who []Subject
	for _, h := range a.WhoCan(mint) {
		who = append(who, h.Subject)
		if len(h.Grants) != 2 {
			t.Errorf("%v: %v", h.Subject, h.Grants)
		}
	}
	wantLines(t, who, "group system:authenticated", "group system:serviceaccounts", "system:serviceaccount:eso:eso")
	if got := len(rulesIn(a, eso, "")); got != 3 {
		t.Errorf("%d rules in the whole cluster, want 3", got)
	}
	if got := len(rulesIn(a, eso, "web")); got != 9 {
		t.Errorf("%d rules in the namespace, want 9", got)
	}
}

func TestPlaces(t *testing.T) {
	var w world
	w.role("web", "tokens", ruleOn("create", "serviceaccounts/token", "vault", "aws"))
	w.role("shop", "tokens", ruleOn("create", "*/token"), ruleOn("create", "secrets"))
	w.clusterRole("named", ruleOn("create", "serviceaccounts/token", "shared"))
	w.bind("web", "tokens", "Role", "tokens", esoSubject)
	w.bind("shop", "tokens", "Role", "tokens", esoSubject)
	w.bindAll("named", "ClusterRole", "named", esoSubject)
	got := New(w.Objects, Options{}).Places(eso, "create", "", "serviceaccounts/token")
	for i := range got {
		got[i].Grant = Grant{}
	}
	want := []Place{{Everywhere: true, Names: []string{"shared"}}, {Namespace: "shop"}, {Namespace: "web", Names: []string{"vault", "aws"}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAggregation(t *testing.T) {
	read := Request{Verb: "get", Resource: "secrets", Namespace: "web"}
	secrets, pods := ruleOn("get", "secrets"), ruleOn("get", "pods")
	tests := map[string]struct {
		build func(*world)
		want  []string
	}{
		"from files: nothing stated": {func(w *world) {
			w.union("team", "to-team")
			label(w.clusterRole("extra", pods, secrets), "to-team")
		}, []string{"RoleBinding web/p gives system:serviceaccount:eso:eso ClusterRole team with ClusterRole extra, rule 1"}},
		"from a cluster: the union stated": {func(w *world) {
			w.union("team", "to-team", secrets, pods)
			label(w.clusterRole("extra", pods, secrets), "to-team")
		}, []string{"RoleBinding web/p gives system:serviceaccount:eso:eso ClusterRole team with ClusterRole extra, rule 1"}},
		"the source is not here": {func(w *world) {
			w.union("team", "to-team", pods, secrets)
		}, []string{"RoleBinding web/p gives system:serviceaccount:eso:eso ClusterRole team, rule 1"}},
		"two sources": {func(w *world) {
			w.union("team", "to-team")
			label(w.clusterRole("b", secrets), "to-team")
			label(w.clusterRole("a", secrets), "to-team")
		}, []string{
			"RoleBinding web/p gives system:serviceaccount:eso:eso ClusterRole team with ClusterRole a, rule 0",
			"RoleBinding web/p gives system:serviceaccount:eso:eso ClusterRole team with ClusterRole b, rule 0",
		}},
		"by way of another": {func(w *world) {
			w.union("team", "to-team")
			label(w.union("middle", "to-middle", secrets), "to-team")
			label(w.clusterRole("extra", secrets), "to-middle")
		}, []string{"RoleBinding web/p gives system:serviceaccount:eso:eso ClusterRole team with ClusterRole extra, rule 0"}},
		"a cycle": {func(w *world) {
			label(w.union("team", "to-team"), "to-middle")
			label(w.union("middle", "to-middle"), "to-team")
			label(w.clusterRole("extra", secrets), "to-middle")
		}, []string{"RoleBinding web/p gives system:serviceaccount:eso:eso ClusterRole team with ClusterRole extra, rule 0"}},
		"itself": {func(w *world) {
			label(w.union("team", "to-team", secrets), "to-team")
		}, []string{"RoleBinding web/p gives system:serviceaccount:eso:eso ClusterRole team, rule 0"}},
		"another value of the label": {func(w *world) {
			w.union("team", "to-team")
			w.clusterRole("extra", secrets).Labels["to-team"] = "false"
		}, nil},
		"selectors of nothing": {func(w *world) {
			w.clusterRole("team").AggregationRule = &rbacv1.AggregationRule{}
			label(w.clusterRole("extra", secrets), "to-team")
		}, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var w world
			test.build(&w)
			w.bind("web", "p", "ClusterRole", "team", esoSubject)
			wantLines(t, New(w.Objects, Options{}).Grants(eso, read), test.want...)
		})
	}
}

// A selector of everything selects Kubernetes' own roles too, cluster-admin among them; so does one of their label.
func TestAggregationOfKubernetesOwn(t *testing.T) {
	for name, selector := range map[string]metav1.LabelSelector{
		"everything":  {},
		"all of them": {MatchLabels: map[string]string{"kubernetes.io/bootstrapping": "rbac-defaults"}},
	} {
		t.Run(name, func(t *testing.T) {
			var w world
			w.clusterRole("team").AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{selector}}
			w.bind("web", "p", "ClusterRole", "team", esoSubject)
			g, ok := New(w.Objects, Options{}).Allowed(eso, Request{Verb: "escalate", Group: "example.com", Resource: "x", Namespace: "web"})
			if want := (Ref{clusterRole, "", "cluster-admin"}); !ok || g.Source != want || !g.Bootstrap {
				t.Errorf("allowed %t by %v, want %v", ok, g, want)
			}
		})
	}
}

func TestProblems(t *testing.T) {
	secrets := ruleOn("get", "secrets")
	tests := map[string]struct {
		build func(*world)
		want  []string
	}{
		"none": {func(w *world) {
			w.clusterRole("x", secrets)
			w.bind("web", "p", "ClusterRole", "x", esoSubject)
			w.bind("web", "p", "ClusterRole", "x", esoSubject)
			w.bind("web", "q", "ClusterRole", "edit", esoSubject)
			w.union("u", "rbac.authorization.k8s.io/aggregate-to-view")
		}, nil},
		"no role": {func(w *world) {
			w.bindAll("p", "ClusterRole", "x", esoSubject)
		}, []string{"role-missing ClusterRoleBinding p: names ClusterRole x, which is not there"}},
		"another kind": {func(w *world) {
			w.bind("web", "p", "role", "x", esoSubject)
		}, []string{`role-invalid RoleBinding web/p: names a "role"; it can name a Role or a ClusterRole`}},
		"another group": {func(w *world) {
			w.clusterRole("x", secrets)
			w.bind("web", "p", "ClusterRole", "x", esoSubject).RoleRef.APIGroup = "example.com"
		}, []string{`role-invalid RoleBinding web/p: names a role of the API group "example.com"; roles are of rbac.authorization.k8s.io`}},
		"subjects": {func(w *world) {
			w.clusterRole("x", secrets)
			w.bindAll("p", "ClusterRole", "x", rbacv1.Subject{Kind: "ServiceAccount", Name: "a"}, rbacv1.Subject{Kind: "Pod", Name: "a"},
				rbacv1.Subject{Kind: "User", APIGroup: rbacv1.GroupName}, rbacv1.Subject{Kind: "Group", APIGroup: "x", Name: "a"})
			w.bind("web", "p", "ClusterRole", "x", rbacv1.Subject{Kind: "ServiceAccount", Name: "a"})
		}, []string{
			`subject-invalid ClusterRoleBinding p: subject 0, ServiceAccount "a": it has no namespace, so it binds nobody`,
			`subject-invalid ClusterRoleBinding p: subject 1, Pod "a": it can be a User, a Group or a ServiceAccount`,
			`subject-invalid ClusterRoleBinding p: subject 2, User "": it has no name`,
			`subject-invalid ClusterRoleBinding p: subject 3, Group "a": it is of the API group "x", and has to be of "rbac.authorization.k8s.io"`,
			`subject-invalid RoleBinding web/p: subject 0, ServiceAccount "a": it has no namespace; the binding's is meant`,
		}},
		"a union of nothing": {func(w *world) {
			w.union("x", "to-x")
			w.union("stated", "to-x", secrets)
		}, []string{"aggregation-empty ClusterRole x: is the union of other ClusterRoles, and none of them is here, so what it gives is not known"}},
		"a union of itself": {func(w *world) {
			label(w.union("x", "to-x"), "to-x")
		}, []string{"aggregation-empty ClusterRole x: is the union of other ClusterRoles, and none of them is here, so what it gives is not known"}},
		"a bad selector": {func(w *world) {
			w.clusterRole("x", secrets).AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
				{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "a", Operator: "Near"}}},
			}}
		}, []string{`aggregation-invalid ClusterRole x: has a selector that cannot be read: "Near" is not a valid label selector operator`}},
		"a cycle": {func(w *world) {
			label(w.union("x", "to-x"), "to-y")
			label(w.union("y", "to-y"), "to-x")
		}, []string{
			"aggregation-cycle ClusterRole x: is aggregated into ClusterRole y and the other way round (2 ClusterRoles in all), so each has the rules of all",
		}},
		"a cycle that uses what another has": {func(w *world) {
			label(w.union("a", "to-a", secrets), "to-b")
			label(w.union("b", "to-b"), "to-c")
			label(w.union("c", "to-c"), "to-b")
		}, []string{
			"aggregation-cycle ClusterRole b: is aggregated into ClusterRole c and the other way round (2 ClusterRoles in all), so each has the rules of all",
		}},
		"a cycle with one of Kubernetes' own": {func(w *world) {
			label(w.union("x", "rbac.authorization.k8s.io/aggregate-to-admin"), "rbac.authorization.k8s.io/aggregate-to-edit")
		}, []string{
			"aggregation-cycle ClusterRole edit: is aggregated into ClusterRole x and the other way round (2 ClusterRoles in all), so each has the rules of all",
		}},
		"two of one name": {func(w *world) {
			w.clusterRole("x", secrets)
			w.clusterRole("x")
			w.bind("web", "p", "ClusterRole", "x", esoSubject)
			w.bind("web", "p", "ClusterRole", "x")
		}, []string{
			"ambiguous ClusterRole x: there are several of this name that differ; the rights of all count",
			"ambiguous RoleBinding web/p: there are several of this name that differ; the rights of all count",
		}},
		"no namespace": {func(w *world) {
			w.role("", "x", secrets)
			w.bind("", "p", "ClusterRole", "edit", esoSubject)
		}, []string{
			"namespace-missing Role x: has no namespace, so where it would be is not known; it is left out",
			"namespace-missing RoleBinding p: has no namespace, so where it would be is not known; it is left out",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var w world
			test.build(&w)
			var got []string
			for _, p := range New(w.Objects, Options{}).Problems() {
				got = append(got, string(p.Flaw)+" "+p.String())
			}
			slices.Sort(test.want)
			slices.Sort(got)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Roles that select each other by the thousand end with a word, and not with a cluster's worth of memory.
func TestAggregationIsBounded(t *testing.T) {
	var w world
	for i := range 2000 {
		c := w.clusterRole(fmt.Sprintf("x%d", i), ruleOn("get", "pods"))
		c.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{}}}
		w.bindAll(c.Name, "ClusterRole", c.Name, esoSubject)
	}
	a := New(w.Objects, Options{})
	flaws := map[Flaw]int{}
	for _, p := range a.Problems() {
		flaws[p.Flaw]++
	}
	if flaws[AggregationTooLarge] < 1000 {
		t.Errorf("problems: %v", flaws)
	}
	if got := len(a.Grants(eso, Request{Verb: "get", Resource: "pods"})); got < 2000 {
		t.Errorf("%d grants of what the 2000 roles state", got)
	}
}

// Somebody who cannot be is bound to nothing.
func TestNobodyIsNoSubject(t *testing.T) {
	var w world
	w.clusterRole("x", ruleOn("get", "secrets"))
	w.bindAll("p", "ClusterRole", "x", rbacv1.Subject{Kind: "Pod", Name: "a"}, rbacv1.Subject{Kind: "ServiceAccount", Name: "a"})
	a := New(w.Objects, Options{})
	if who, bound := a.WhoCan(Request{Verb: "get", Resource: "secrets"}), a.Subjects(); len(who) > 0 || len(bound) > 0 {
		t.Errorf("%v hold something, and bound are %v", who, bound)
	}
}

// What somebody who may bind a role could give, whether anybody is bound to it or not.
func TestRoleWithoutABinding(t *testing.T) {
	var w world
	w.role("web", "x", ruleOn("get", "pods"), ruleOn("get", "secrets"))
	a := New(w.Objects, Options{})
	count := func(ref Ref) (n int) {
		for range a.Role(ref) {
			n++
		}
		return n
	}
	if got := count(Ref{plainRole, "web", "x"}); got != 2 {
		t.Errorf("Role x has %d rules, want 2", got)
	}
	if got := count(Ref{clusterRole, "", "admin"}); got < 20 {
		t.Errorf("ClusterRole admin has %d rules, and is the union of many", got)
	}
	if a.Role(Ref{plainRole, "shop", "x"}) != nil {
		t.Error("a Role of another namespace has rules")
	}
}

func TestStringsName(t *testing.T) {
	g := Grant{Binding: Ref{roleBinding, "web", "p"}, Subject: eso, Role: Ref{clusterRole, "", "edit"}, Source: Ref{clusterRole, "", "system:aggregate-to-edit"}, Rule: 3}
	const want = "RoleBinding web/p gives system:serviceaccount:eso:eso ClusterRole edit with ClusterRole system:aggregate-to-edit, rule 3"
	if g.String() != want {
		t.Errorf("got %q, want %q", g.String(), want)
	}
	for _, ref := range []Ref{g.Binding, g.Role} {
		if parseRef(ref.String()) != ref || strings.Count(ref.String(), " ") != 1 {
			t.Errorf("%#v is not read back from %q", ref, ref)
		}
	}
}
