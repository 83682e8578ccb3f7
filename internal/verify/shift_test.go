package verify_test

import (
	"flag"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

const rbacVersion = "rbac.authorization.k8s.io/v1"

// grants is a small language for worlds, a line a grant:
//
//	SUBJECT NAMESPACE|* ClusterRole NAME          a binding to one of Kubernetes' own
//	SUBJECT NAMESPACE|* VERBS GROUP RESOURCES [NAMES]   a role of its own and its binding
//
// A SUBJECT is eso, g:NAME, u:NAME or NAMESPACE/NAME.
func grants(lines ...string) []inventory.Object {
	var all []inventory.Object
	for i, line := range lines {
		words := strings.Fields(line)
		name, namespace := "r"+string(rune('a'+i)), words[1]
		role, binding := "Role", "RoleBinding"
		if namespace == "*" {
			role, binding, namespace = "ClusterRole", "ClusterRoleBinding", ""
		}
		ref := map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": role, "name": name}
		if words[2] == "ClusterRole" {
			ref["kind"], ref["name"] = "ClusterRole", words[3]
		} else {
			rule := map[string]any{"verbs": wordList(words[2]), "apiGroups": []any{strings.ReplaceAll(words[3], "core", "")}, "resources": wordList(words[4])}
			if len(words) > 5 {
				rule["resourceNames"] = wordList(words[5])
			}
			all = append(all, rbacObject(role, namespace, name, map[string]any{"rules": []any{rule}}))
		}
		all = append(all, rbacObject(binding, namespace, name, map[string]any{"roleRef": ref, "subjects": []any{subjectOf(words[0])}}))
	}
	return all
}

func wordList(words string) []any {
	var all []any
	for word := range strings.SplitSeq(words, ",") {
		all = append(all, word)
	}
	return all
}

func subjectOf(word string) map[string]any {
	kind, name, found := strings.Cut(word, ":")
	switch {
	case word == "eso":
		return map[string]any{"kind": "ServiceAccount", "namespace": "external-secrets", "name": "external-secrets"}
	case found && kind == "g":
		return map[string]any{"kind": "Group", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
	case found:
		return map[string]any{"kind": "User", "name": name, "apiGroup": "rbac.authorization.k8s.io"}
	default:
		namespace, account, _ := strings.Cut(word, "/")
		return map[string]any{"kind": "ServiceAccount", "namespace": namespace, "name": account}
	}
}

func rbacObject(kind, namespace, name string, fields map[string]any) inventory.Object {
	fields["apiVersion"], fields["kind"] = rbacVersion, kind
	fields["metadata"] = map[string]any{"name": name, "namespace": namespace}
	return inventory.Object{
		APIVersion: rbacVersion, Kind: kind, Namespace: namespace, Name: name, Fields: fields,
		At: problem.Position{Subject: kind + "/" + namespace + "/" + name},
	}
}

// labelled says whose a namespace is.
func labelled(namespace, tenant string) inventory.Object {
	return inventory.Object{APIVersion: "v1", Kind: "Namespace", Name: namespace, Fields: map[string]any{
		"metadata": map[string]any{"name": namespace, "labels": map[string]any{"eso-tenant.dev/tenant": tenant}},
	}}
}

func worldOf(objects []inventory.Object) verify.Input {
	return verify.Input{
		Objects: append(objects, labelled("web", "w"), labelled("pay", "p")),
		ESO:     []rbac.Subject{rbac.ServiceAccount("external-secrets", "external-secrets")}, Specified: true,
		Fences: []verify.Fence{{Account: verify.Account{Namespace: "web", Name: "vault"}, Tenant: "w"}},
	}
}

// said is a shift as lines.
func said(s verify.Shift) []string {
	var all []string
	add := func(mark string, rights []verify.Right) {
		for _, sentence := range verify.Sentences(rights) {
			all = append(all, mark+sentence.Tenant+": "+sentence.Who+" "+sentence.Does)
		}
	}
	add("+", s.Gained)
	add("-", s.Lost)
	return all
}

func TestCompareRights(t *testing.T) {
	tests := map[string]struct {
		before, after []string
		want          []string
		grows         bool
	}{
		"nothing": {[]string{"eso web create core serviceaccounts/token vault"}, []string{"eso web create core serviceaccounts/token vault"}, nil, false},
		"a mint": {
			nil,
			[]string{"eso web create core serviceaccounts/token vault"},
			[]string{"+w: ESO mint tokens of web/vault"},
			true,
		},
		"a mint with its grants": {
			nil,
			[]string{"eso web create core serviceaccounts/token vault", "eso web use eso-tenant.dev mintgrants vault=a,vault=b", "eso web use eso-tenant.dev fencedserviceaccounts vault"},
			[]string{"+w: ESO mint tokens of web/vault for a, b"},
			true,
		},
		"an audience": {
			[]string{"eso web use eso-tenant.dev mintgrants vault=a"},
			[]string{"eso web use eso-tenant.dev mintgrants vault=a,vault=b"},
			[]string{"+w: ESO have tokens of web/vault for the audience b"},
			true,
		},
		"fenced is no power": {
			nil,
			[]string{"eso web use eso-tenant.dev fencedserviceaccounts vault"},
			[]string{"+w: ESO count web/vault among the fenced service accounts"},
			false,
		},
		"no longer fenced is": {
			[]string{"eso web create core serviceaccounts/token vault", "eso web use eso-tenant.dev fencedserviceaccounts vault"},
			[]string{"eso web create core serviceaccounts/token vault"},
			[]string{"-w: ESO count web/vault among the fenced service accounts"},
			true,
		},
		"gone with its fence": {
			[]string{"eso web create core serviceaccounts/token vault", "eso web use eso-tenant.dev fencedserviceaccounts vault"},
			nil,
			[]string{"-w: ESO mint tokens of web/vault"},
			false,
		},
		"a name less": {
			[]string{"eso web create core serviceaccounts/token vault"},
			[]string{"eso web create core serviceaccounts/token"},
			[]string{"+w: ESO mint tokens of any service account in namespace web"},
			true,
		},
		"everywhere": {
			[]string{"eso web create,update,patch,delete core secrets"},
			[]string{"eso * create,update,patch,delete core secrets"},
			[]string{"+: ESO write Secrets in every namespace"},
			true,
		},
		"the other way round": {
			[]string{"eso * create,update,patch,delete core secrets"},
			[]string{"eso web create,update,patch,delete core secrets"},
			[]string{"-: ESO write Secrets in every namespace"},
			false,
		},
		"a wildcard": {
			[]string{"u:x web get core pods"},
			[]string{"u:x web * * *"},
			[]string{
				"+w: user x mint tokens of any service account in namespace web",
				"+w: user x write Secrets in namespace web",
				"+w: user x read Secrets in namespace web",
				"+w: user x do everything to everything in namespace web",
			},
			true,
		},
		"written otherwise": {
			[]string{"u:x web get,list core pods,services"}, []string{"u:x web get core services", "u:x web get core pods", "u:x web list core pods,services"}, nil, false,
		},
		"by a group that they are in": {
			[]string{"g:system:serviceaccounts:web web get core pods"},
			[]string{"g:system:serviceaccounts:web web get core pods", "web/a web get core pods"},
			nil, false,
		},
		"edit": {
			nil,
			[]string{"g:devs web ClusterRole edit"},
			[]string{
				"+w: group devs mint tokens of any service account in namespace web", "+w: group devs write Secrets in namespace web",
				"+w: group devs read Secrets in namespace web", "+w: group devs edit in namespace web",
			},
			true,
		},
		"view in place of edit": {
			[]string{"g:devs web ClusterRole edit"},
			[]string{"g:devs web ClusterRole view"},
			[]string{
				"-w: group devs mint tokens of any service account in namespace web", "-w: group devs write Secrets in namespace web",
				"-w: group devs read Secrets in namespace web", "-w: group devs edit in namespace web",
			},
			false,
		},
		"nobody's namespace": {
			nil,
			[]string{"a/b other get core secrets x"},
			[]string{"+: service account a/b read Secrets x in namespace other (get)"},
			true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			shift := verify.Compare(worldOf(grants(test.before...)), worldOf(grants(test.after...)))
			if d := cmp.Diff(test.want, said(shift)); d != "" {
				t.Error(d)
			}
			shift.Appeared = nil // rights alone
			if shift.Grows() != test.grows {
				t.Errorf("grows is %t", shift.Grows())
			}
		})
	}
}

// What somebody aggregates into view, all who have view have: one line, and not
// one for each namespace. The gravest is said of each of them nevertheless.
func TestCompareAggregated(t *testing.T) {
	world := func(resource string) []inventory.Object {
		objects := grants("g:a web ClusterRole view", "g:b pay ClusterRole view")
		role := rbacObject("ClusterRole", "", "more", map[string]any{
			"rules": []any{map[string]any{"verbs": []any{"get"}, "apiGroups": []any{""}, "resources": []any{resource}}},
		})
		metadata, _ := role.Fields["metadata"].(map[string]any)
		metadata["labels"] = map[string]any{"rbac.authorization.k8s.io/aggregate-to-view": "true"}
		return append(objects, role)
	}
	got := said(verify.Compare(worldOf(world("pods")), worldOf(world("nodes"))))
	if d := cmp.Diff([]string{"+: whoever is view get nodes there"}, got); d != "" {
		t.Error(d)
	}
	got = said(verify.Compare(worldOf(world("pods")), worldOf(world("secrets"))))
	want := []string{
		"+: whoever is view read Secrets there (get)",
		"+p: group b read Secrets in namespace pay (get)",
		"+w: group a read Secrets in namespace web (get)",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestCompareFindings(t *testing.T) {
	fence := []string{"eso web create core serviceaccounts/token vault"}
	wide := append(slices.Clone(fence), "eso * create core pods/exec")
	shift := verify.Compare(worldOf(grants(fence...)), worldOf(grants(wide...)))
	if len(shift.Appeared) != 1 || shift.Appeared[0].Rule != problem.MintExec || len(shift.Gone) > 0 || !shift.Grows() {
		t.Errorf("a way into pods: appeared %v, gone %v", shift.Appeared, shift.Gone)
	}
	if back := verify.Compare(worldOf(grants(wide...)), worldOf(grants(fence...))); len(back.Gone) != 1 || back.Grows() {
		t.Errorf("and taken away: gone %v, grows %t", back.Gone, back.Grows())
	}
	foreign := append(slices.Clone(fence), "g:devs web create core serviceaccounts/token vault")
	shift = verify.Compare(worldOf(grants(fence...)), worldOf(grants(foreign...)))
	if !slices.ContainsFunc(shift.Appeared, func(f verify.Finding) bool { return f.Rule == problem.ForeignSubject || f.Rule == problem.ForeignMint }) {
		t.Errorf("somebody else mints: appeared %v", shift.Appeared)
	}
	// One namespace more of the same is a right gained, and the same finding.
	one := append(slices.Clone(fence), "eso pay create,get core secrets")
	two := append(slices.Clone(one), "eso web create,get core secrets")
	shift = verify.Compare(worldOf(grants(one...)), worldOf(grants(two...)))
	if len(shift.Appeared)+len(shift.Gone) > 0 || len(shift.Gained) == 0 {
		t.Errorf("appeared %v, gone %v, gained %v", shift.Appeared, shift.Gone, said(shift))
	}
}

// grant draws a line of grants.
var grant = rapid.Custom(func(t *rapid.T) string {
	words := []string{
		rapid.SampledFrom([]string{"eso", "g:devs", "g:system:serviceaccounts:web", "u:x", "web/a"}).Draw(t, "subject"),
		rapid.SampledFrom([]string{"web", "pay", "*"}).Draw(t, "namespace"),
	}
	if rapid.Bool().Draw(t, "own") {
		return strings.Join(append(words, "ClusterRole", rapid.SampledFrom([]string{"view", "edit", "cluster-admin"}).Draw(t, "role")), " ")
	}
	words = append(words,
		rapid.SampledFrom([]string{"get", "create", "get,list", "*"}).Draw(t, "verbs"),
		rapid.SampledFrom([]string{"core", "*", "eso-tenant.dev"}).Draw(t, "group"),
		rapid.SampledFrom([]string{"secrets", "serviceaccounts/token", "*", "*/token", "pods,secrets"}).Draw(t, "resources"),
	)
	if rapid.Bool().Draw(t, "named") {
		words = append(words, rapid.SampledFrom([]string{"vault", "vault,x"}).Draw(t, "names"))
	}
	return strings.Join(words, " ")
})

// Equal worlds have no difference, the way back is the mirror, and who is only
// given something loses nothing.
func TestPropCompare(t *testing.T) {
	fewer(t)
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOfN(grant, 0, 4).Draw(t, "before")
		b := rapid.SliceOfN(grant, 0, 4).Draw(t, "after")
		if same := verify.Compare(worldOf(grants(a...)), worldOf(grants(a...))); !same.Empty() || same.Grows() {
			t.Errorf("from a world to itself: %v", said(same))
		}
		there, back := verify.Compare(worldOf(grants(a...)), worldOf(grants(b...))), verify.Compare(worldOf(grants(b...)), worldOf(grants(a...)))
		if d := cmp.Diff(said(there), said(verify.Shift{Gained: back.Lost, Lost: back.Gained})); d != "" {
			t.Error(d)
		}
		if len(there.Appeared) != len(back.Gone) || len(there.Gone) != len(back.Appeared) {
			t.Errorf("there appear %v, and back are gone %v", there.Appeared, back.Gone)
		}
		if more := verify.Compare(worldOf(grants(a...)), worldOf(grants(slices.Concat(a, b)...))); len(more.Lost) > 0 {
			t.Errorf("with more, this is lost: %v", said(verify.Shift{Lost: more.Lost}))
		}
	})
}

// A rule with more in it than anybody would write is kept whole. Taken apart, it
// would need more memory than there is.
func TestCompareHugeRule(t *testing.T) {
	many := func(n int) string {
		var words []string
		for i := range n {
			words = append(words, "w"+strconv.Itoa(i))
		}
		return strings.Join(words, ",")
	}
	huge := "u:x web *," + many(2000) + " core secrets," + many(2000) + " " + many(20_000)
	small := "u:x web get core secrets w1"
	if got := said(verify.Compare(worldOf(grants(small)), worldOf(grants(huge)))); len(got) == 0 || len(got) > 10 || strings.HasPrefix(got[0], "-") {
		t.Errorf("gained: %.1000q", got)
	}
	if got := said(verify.Compare(worldOf(grants(huge)), worldOf(grants(huge+",more")))); len(got) == 0 {
		t.Error("one name more is not told")
	}
	if got := said(verify.Compare(worldOf(grants(huge)), worldOf(grants(huge)))); len(got) > 0 {
		t.Errorf("the same: %.1000q", got)
	}
}

// fewer makes rapid try less often: each comparison reads Kubernetes' own roles
// anew, which takes longer than all else here.
func fewer(t *testing.T) {
	t.Helper()
	checks := flag.Lookup("rapid.checks")
	if checks.Value.String() != checks.DefValue {
		return // somebody asked for more
	}
	if err := checks.Value.Set("20"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = checks.Value.Set(checks.DefValue) })
}

// may tells whether a line of grants gives what is asked, by a reading of RBAC's
// rules of its own.
func may(line, who, namespace, verb, group, resource, name string) bool {
	words := strings.Fields(line)
	has := func(list, one string) bool {
		return slices.Contains(strings.Split(list, ","), one) || slices.Contains(strings.Split(list, ","), "*")
	}
	in := words[0] == who || words[0] == "g:system:serviceaccounts:web" && who == "web/a"
	return in && (words[1] == "*" || words[1] == namespace) && has(words[2], verb) && has(words[3], group) &&
		(has(words[4], resource) || words[4] == "*/token" && strings.HasSuffix(resource, "/token")) &&
		(len(words) < 6 || slices.Contains(strings.Split(words[5], ","), name))
}

// Whoever may ask the API server for something new has gained something; and
// whoever has gained something in a namespace may ask for something new there.
func TestPropCompareMissesNothing(t *testing.T) {
	fewer(t)
	requests := [][]string{
		{"web", "create", "core", "serviceaccounts/token", "vault"},
		{"pay", "create", "core", "serviceaccounts/token", "y"},
		{"pay", "get", "core", "secrets", "y"},
		{"web", "delete", "core", "secrets", "vault"},
		{"web", "get", "core", "pods", "x"},
		{"web", "create", "eso-tenant.dev", "mintgrants", "x"},
		{"pay", "list", "apps", "deployments", "vault"},
	}
	ruled := grant.Filter(func(line string) bool { return !strings.Contains(line, "ClusterRole") })
	rapid.Check(t, func(t *rapid.T) {
		before := rapid.SliceOfN(ruled, 0, 4).Draw(t, "before")
		after := rapid.SliceOfN(ruled, 0, 4).Draw(t, "after")
		shift := verify.Compare(worldOf(grants(before...)), worldOf(grants(after...)))
		for who, subjects := range map[string][]rbac.Subject{
			"eso": {rbac.ServiceAccount("external-secrets", "external-secrets")}, "g:devs": {rbac.Group("devs")},
			"u:x": {rbac.User("x")}, "web/a": {rbac.ServiceAccount("web", "a"), rbac.Group("system:serviceaccounts:web")},
		} {
			for _, r := range requests {
				allows := func(line string) bool { return may(line, who, r[0], r[1], r[2], r[3], r[4]) }
				now := slices.ContainsFunc(after, allows) && !slices.ContainsFunc(before, allows)
				said := slices.ContainsFunc(shift.Gained, func(g verify.Right) bool { return slices.Contains(subjects, g.Who) })
				if now && !said {
					t.Errorf("%s may now %v, and nothing is said of it", who, r)
				}
			}
		}
	})
}
