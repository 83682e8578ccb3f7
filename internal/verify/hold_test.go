package verify

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

var (
	someVerbs     = []string{"*", "create", "get", "list", "update", "patch", "bind", "escalate", "impersonate", "approve", "impersonate:serviceaccount", "impersonate-on:serviceaccount:get"}
	someGroups    = []string{"*", "", "apps", rbacGroup, "certificates.k8s.io", authenticationGroup, storeGroup, constraintGroup}
	someResources = []string{
		"*", "*/token", "*/exec", "serviceaccounts/token", "serviceaccounts", "secrets", "pods", "pods/exec", "deployments", "roles", "clusterroles", "rolebindings",
		"clusterrolebindings", "users", "groups", "nodes/proxy", "certificatesigningrequests/approval", "signers", "secretstores",
	}
)

func drawRule(t *rapid.T) rbacv1.PolicyRule {
	some := func(what string, of []string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(of), 1, 2).Draw(t, what)
	}
	rule := rbacv1.PolicyRule{Verbs: some("verbs", someVerbs), APIGroups: some("groups", someGroups), Resources: some("resources", someResources)}
	if rapid.IntRange(0, 4).Draw(t, "named") == 0 {
		rule.ResourceNames = []string{"fenced"}
	}
	return rule
}

// TestAbilities: what a rule lets somebody do is what RBAC's evaluator says.
func TestAbilities(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := drawRule(t)
		who := rbac.User("somebody")
		auth := rbac.New(rbac.Objects{
			ClusterRoles: []*rbacv1.ClusterRole{{ObjectMeta: metav1.ObjectMeta{Name: "r"}, Rules: []rbacv1.PolicyRule{rule}}},
			ClusterRoleBindings: []*rbacv1.ClusterRoleBinding{{
				ObjectMeta: metav1.ObjectMeta{Name: "b"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"},
				Subjects: []rbacv1.Subject{{Kind: "User", Name: "somebody"}},
			}},
		}, rbac.Options{})
		_, all := abilitiesOf(&rule)
		for a := range abilityCount {
			if halves[a] != nil {
				continue // it is about verbs of which there are endlessly many
			}
			want := slices.ContainsFunc(needs[a], func(n need) bool { return n.grantedTo(auth, who) })
			if got := all&(1<<a) != 0; got != want {
				t.Fatalf("%+v: ability %d is %t, RBAC says %t", rule, a, got, want)
			}
		}
	})
}

func (n need) grantedTo(auth *rbac.Authorizer, who rbac.Subject) bool {
	resources := n.resources
	if resources == nil {
		resources = slices.DeleteFunc(slices.Clone(someResources), func(r string) bool { return r == "*" || strings.Contains(r, "/") })
	}
	for _, verb := range n.verbs {
		for _, resource := range resources {
			if len(auth.Places(who, verb, n.group, resource)) > 0 {
				return true
			}
		}
	}
	return false
}

// bound is a role and its binding: to whom, and where; everywhere if "".
type bound struct {
	rule      rbacv1.PolicyRule
	namespace string
	to        rbacv1.Subject
}

var people = []rbacv1.Subject{
	{Kind: "ServiceAccount", Namespace: "eso", Name: "eso"},
	{Kind: "ServiceAccount", Namespace: "a", Name: "fenced"},
	{Kind: "ServiceAccount", Namespace: "a", Name: "other"},
	{Kind: "ServiceAccount", Namespace: "b", Name: "other"},
	{Kind: "Group", Name: "devs"},
	{Kind: "Group", Name: "system:serviceaccounts:a"},
	{Kind: "Group", Name: "system:authenticated"},
}

func drawBound(t *rapid.T) bound {
	return bound{drawRule(t), rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "namespace"), rapid.SampledFrom(people).Draw(t, "to")}
}

// objectsOf are what a cluster would hold for them.
func objectsOf(all []bound) []inventory.Object {
	var objects []inventory.Object
	for i, b := range all {
		name := fmt.Sprintf("r%d", i)
		role, binding := "ClusterRole", "ClusterRoleBinding"
		if b.namespace != "" {
			role, binding = "Role", "RoleBinding"
		}
		anys := func(texts []string) []any {
			var list []any
			for _, text := range texts {
				list = append(list, text)
			}
			return list
		}
		rule := map[string]any{"verbs": anys(b.rule.Verbs), "apiGroups": anys(b.rule.APIGroups), "resources": anys(b.rule.Resources), "resourceNames": anys(b.rule.ResourceNames)}
		to := map[string]any{"kind": b.to.Kind, "name": b.to.Name, "namespace": b.to.Namespace}
		object := func(kind string, fields map[string]any) {
			o := inventory.Object{APIVersion: rbacGroup + "/v1", Kind: kind, Namespace: b.namespace, Name: name, Fields: fields}
			o.At.Subject = kind + "/" + name
			objects = append(objects, o)
		}
		object(role, map[string]any{"rules": []any{rule}})
		object(binding, map[string]any{"roleRef": map[string]any{"apiGroup": rbacGroup, "kind": role, "name": name}, "subjects": []any{to}})
	}
	return objects
}

func inputOf(all []bound) Input {
	return Input{
		Objects: objectsOf(all), ESO: []rbac.Subject{rbac.ServiceAccount("eso", "eso")}, Specified: true,
		Fences: []Fence{{Account: Account{"a", "fenced"}}},
	}
}

// TestReachIsMonotone: a right more never takes anything away from what
// somebody can come by. What is reached may be covered by something larger.
func TestReachIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		some := rapid.SliceOfN(rapid.Custom(drawBound), 1, 6).Draw(t, "some")
		more := append(slices.Clone(some), drawBound(t))
		for _, requester := range []rbac.Subject{rbac.ServiceAccount("eso", "eso"), rbac.Group("devs")} {
			before, after := proverOf(inputOf(some), requester), proverOf(inputOf(more), requester)
			for n := range before.reached {
				if !after.has(n) {
					t.Fatalf("%s no longer reaches %s", requester, n)
				}
			}
			if len(before.findings()) > 0 && len(after.findings()) == 0 {
				t.Fatalf("nothing is found any more of %s", requester)
			}
		}
	})
}

func proverOf(in Input, requester rbac.Subject) *prover {
	w := newWorld(in)
	p := &prover{world: w, requester: []rbac.Subject{requester}, isESO: slices.Contains(w.eso, requester)}
	p.run()
	return p
}

// has tells whether a node, or something larger, is reached.
func (p *prover) has(n node) bool {
	home := n.namespace
	if n.kind == subjectNode {
		home = n.subject.Namespace
	}
	for _, larger := range []node{n, everythingIn(""), accountsIn(""), everythingIn(home), accountsIn(home)} {
		if p.reached[larger] != nil {
			return true
		}
	}
	return false
}

// TestOrderFree: the report does not depend on the order of what is read.
func TestOrderFree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := inputOf(rapid.SliceOfN(rapid.Custom(drawBound), 1, 8).Draw(t, "bound"))
		want := Check(in)
		in.Objects = rapid.Permutation(in.Objects).Draw(t, "shuffled")
		got := Check(in)
		if diff := cmp.Diff(want.Problems, got.Problems); diff != "" {
			t.Fatalf("(-in order +shuffled):\n%s", diff)
		}
	})
}

// TestStepsExist: every step of a path is a role or a binding that is there.
func TestStepsExist(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(inputOf(rapid.SliceOfN(rapid.Custom(drawBound), 1, 8).Draw(t, "bound")))
		for _, requester := range []rbac.Subject{rbac.ServiceAccount("eso", "eso"), rbac.Group("devs")} {
			p := &prover{world: w, requester: []rbac.Subject{requester}, isESO: slices.Contains(w.eso, requester)}
			p.run()
			for _, f := range p.findings() {
				for _, m := range slices.Concat(f.moves, f.beside, f.path) {
					p.checkSteps(t, m)
				}
			}
		}
	})
}

func (p *prover) checkSteps(t *rapid.T, m *move) {
	for _, r := range m.via {
		grant := r.Grant
		if !grant.Bootstrap && (p.places[grant.Binding] == nil || p.places[grant.Source] == nil) {
			t.Fatalf("%s: %s is not there", m.rule, grant)
		}
		if grant.Bootstrap && p.kubernetes.Role(grant.Source) == nil {
			t.Fatalf("%s: %s is not Kubernetes' own", m.rule, grant)
		}
		if p.reached[r.owner] == nil {
			t.Fatalf("%s: %s was not reached", m.rule, r.owner)
		}
	}
}
