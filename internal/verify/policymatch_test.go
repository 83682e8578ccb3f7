package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// admissionWorld is a fence of one tenant with a member who may edit, as text.
func admissionWorld(t *testing.T) (string, verify.Input) {
	t.Helper()
	sources := append(example(t, "quickstart"), schema.Source{File: "team.yaml", Data: []byte(
		"apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: team}\nspec:\n  members: [{kind: Group, name: team, role: edit}]\n" +
			"  namespaces: {team: {stores: {vault: {provider: vault}}}}\n")})
	text, in := renderedText(t, sources...)
	return text, in
}

// rulesOf lists the rules of the errors, each once.
func rulesOf(problems problem.List) []string {
	var rules []string
	for _, p := range problems {
		if p.IsError() {
			rules = append(rules, string(p.Rule))
		}
	}
	slices.Sort(rules)
	return slices.Compact(rules)
}

// TestPoliciesClose: with the policies that are rendered, nothing is open.
func TestPoliciesClose(t *testing.T) {
	text, in := admissionWorld(t)
	in.Objects = objects(t, "rendered.yaml", text)
	report := verify.Check(in)
	if rules := rulesOf(report.Problems); len(rules) > 0 || report.Verdicts[verify.Mint] != verify.Proven {
		t.Fatalf("open: %q\n%v", rules, report.Problems)
	}
	var closed []string
	for _, c := range report.Closed {
		closed = append(closed, string(c.Rule)+" by "+strings.TrimPrefix(c.Policy.Name, "eso-tenant-external-secrets-"))
	}
	for _, want := range []string{"mint-token-secret by token-secret", "mint-any by minter", "mint-pod by pod"} {
		if !slices.Contains(closed, want) {
			t.Errorf("not said: %s; closed are %q", want, closed)
		}
	}
}

// TestPoliciesAsTheClusterHasThem: the API server fills defaults in, and a dump
// has them.
func TestPoliciesAsTheClusterHasThem(t *testing.T) {
	text, in := admissionWorld(t)
	text = strings.ReplaceAll(text, "    matchPolicy: Equivalent\n", "    matchPolicy: Equivalent\n    namespaceSelector: {}\n    objectSelector: {}\n")
	text = strings.ReplaceAll(text, "      resources:\n      - secrets\n", "      resources:\n      - secrets\n      scope: '*'\n")
	in.Objects = objects(t, "dump.yaml", text)
	if rules := rulesOf(verify.Check(in).Problems); len(rules) > 0 {
		t.Errorf("open: %q", rules)
	}
}

// TestPoliciesThatDoNotFire: a policy counts only if it is one that is known to
// the letter, is about all of ESO's accounts, and is bound to refuse everywhere.
func TestPoliciesThatDoNotFire(t *testing.T) {
	text, in := admissionWorld(t)
	const tokenSecret, minter = "mint-token-secret", "foreign-mint"
	for name, test := range map[string]struct {
		old, replacement string
		opens            string
	}{
		"it warns only":             {"  - Deny\n", "  - Warn\n", minter},
		"no binding":                {"kind: ValidatingAdmissionPolicyBinding", "kind: SomethingElse", minter},
		"failure lets through":      {"failurePolicy: Fail", "failurePolicy: Ignore", minter},
		"another policy is bound":   {"policyName: eso-tenant-external-secrets-token-secret", "policyName: eso-tenant-external-secrets-pod", tokenSecret},
		"not everywhere":            {"  policyName: eso-tenant-external-secrets-token-secret\n", "  policyName: eso-tenant-external-secrets-token-secret\n  matchResources: {namespaceSelector: {matchLabels: {a: b}}}\n", tokenSecret},
		"with parameters":           {"  policyName: eso-tenant-external-secrets-token-secret\n", "  policyName: eso-tenant-external-secrets-token-secret\n  paramRef: {name: x}\n", tokenSecret},
		"an exception":              {"  - expression: has(object.type)", "  - expression: request.userInfo.username != 'bob' && has(object.type)", tokenSecret},
		"creating only":             {"      - CREATE\n      - UPDATE\n", "      - CREATE\n", tokenSecret},
		"a validation less":         {" || !variables.fenced\n", " || true\n", minter},
		"the other validation less": {"  - expression: '!variables.own'\n", "  - expression: 'true'\n", minter},
		"another ESO":               {"'system:serviceaccount:external-secrets:external-secrets'", "'system:serviceaccount:elsewhere:external-secrets'", tokenSecret},
		"another's grants":          {"authorizer.serviceAccount('external-secrets', 'external-secrets')", "authorizer.serviceAccount('elsewhere', 'external-secrets')", minter},
		"one of ESO's is left out":  {", ''system:serviceaccount:external-secrets:external-secrets-webhook''", "", tokenSecret},
		"a variable means the rest": {"object.metadata.?annotations[?'kubernetes.io/service-account.name'].orValue('')\n    name: account", "'' \n    name: account", tokenSecret},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.ReplaceAll(text, test.old, test.replacement)
			if changed == text {
				t.Fatalf("%q is not there", test.old)
			}
			in.Objects = objects(t, "rendered.yaml", changed)
			if rules := rulesOf(verify.Check(in).Problems); !slices.Contains(rules, test.opens) {
				t.Errorf("%q is not among %q", test.opens, rules)
			}
		})
	}
}

// TestPoliciesOfOtherSettings: whatever a Platform says of ESO, its policies count.
func TestPoliciesOfOtherSettings(t *testing.T) {
	for i, settings := range []string{"release: eso", "namespace: secrets-system", "serviceAccount: robot", "release: a, namespace: b, serviceAccount: c"} {
		platform := fmt.Sprintf("apiVersion: eso-tenant.dev/v1alpha1\nkind: Platform\nmetadata: {name: p%d}\nspec:\n  externalSecrets: {version: 2.9.0, %s}\n  enforcement: enforce\n"+
			"  admission: {maxTokenSeconds: 7200}\n  providers: {vault: {audiences: [vault], vault: {server: \"https://v.example.com\", auth: {kubernetes: {}}}}}\n", i, settings)
		tenant := "apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: t}\nspec: {namespaces: {t: {stores: {vault: {provider: vault}}}}}\n"
		text, in := renderedText(t, schema.Source{File: "p.yaml", Data: []byte(platform + "---\n" + tenant)})
		in.Objects = objects(t, "rendered.yaml", text)
		if rules := rulesOf(verify.Check(in).Problems); len(rules) > 0 {
			t.Errorf("%s: open %q", settings, rules)
		}
	}
}

// TestGrantsBeyondTheFence: the policies ask for virtual grants, so a grant of those without bound opens them.
func TestGrantsBeyondTheFence(t *testing.T) {
	text, in := admissionWorld(t)
	planted := `---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: planted}
rules:
- {apiGroups: [""], resources: ["serviceaccounts/token"], verbs: [create]}
- {apiGroups: [eso-tenant.dev], resources: [mintgrants], verbs: [use], resourceNames: ["default=https://kubernetes.default.svc"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: planted}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: planted}
subjects: [{kind: ServiceAccount, namespace: external-secrets, name: external-secrets}]
`
	in.Objects = objects(t, "rendered.yaml", text+planted)
	if rules := rulesOf(verify.Check(in).Problems); !slices.Contains(rules, string(problem.MintAny)) {
		t.Errorf("mint-any is not among %q", rules)
	}
	// Without the grants, the right to mint is one that the policy refuses.
	in.Objects = objects(t, "rendered.yaml", text+strings.Replace(planted, "resources: [mintgrants]", "resources: [nothing]", 1))
	if rules := rulesOf(verify.Check(in).Problems); slices.Contains(rules, string(problem.MintAny)) {
		t.Errorf("mint-any is among %q, though the policy refuses it", rules)
	}
}

// renderedText is what specifications become, and what is then expected.
func renderedText(t testing.TB, sources ...schema.Source) (string, verify.Input) {
	t.Helper()
	r, problems := fn.Build(sources)
	if problems.Errors() > 0 {
		t.Fatal(problems)
	}
	in, err := r.Expectation()
	if err != nil {
		t.Fatal(err)
	}
	var stream strings.Builder
	if err := r.WriteStream(t.Context(), &stream); err != nil {
		t.Fatal(err)
	}
	return stream.String(), in
}

// mintRights lets somebody mint for ESO's own service account, as an object of its namespace or in the whole cluster.
func mintRights(subject, namespace string, names ...string) string {
	role, binding, place := "Role", "RoleBinding", ", namespace: "+namespace
	if namespace == "" {
		role, binding, place = "ClusterRole", "ClusterRoleBinding", ""
	}
	only := ""
	if len(names) > 0 {
		only = ", resourceNames: [" + strings.Join(names, ", ") + "]"
	}
	return "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: " + role + "\nmetadata: {name: minter" + place + "}\n" +
		"rules:\n- {apiGroups: [\"\"], resources: [serviceaccounts/token], verbs: [create]" + only + "}\n" +
		"---\napiVersion: rbac.authorization.k8s.io/v1\nkind: " + binding + "\nmetadata: {name: minter" + place + "}\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: " + role + ", name: minter}\nsubjects: [" + subject + "]\n"
}

// TestOwnAccounts: nobody mints for ESO's own service accounts if the policy that refuses it names all of them, and can fire.
func TestOwnAccounts(t *testing.T) {
	const (
		operator = "operator-namespace-open"
		reach    = "foreign-reach"
		flux     = "{kind: ServiceAccount, name: source-controller, namespace: flux-system}"
		people   = "{kind: Group, apiGroup: rbac.authorization.k8s.io, name: ops}"
		nodes    = `{kind: Group, apiGroup: rbac.authorization.k8s.io, name: "system:nodes"}`
		tenants  = "{kind: ServiceAccount, name: ci, namespace: secure-ns}"
		neighbor = "{kind: ServiceAccount, name: helper, namespace: external-secrets}"
		own      = "external-secrets"
		policy   = "eso-tenant-external-secrets-minter"
	)
	text, in := renderedText(t, example(t, "quickstart")...)
	unbound := strings.ReplaceAll(text, "policyName: "+policy+"\n", "policyName: nothing\n")
	for name, test := range map[string]struct {
		text, add string
		old, new  string // in the policies
		opens     []string
	}{
		"Flux":                               {add: mintRights(flux, "")},
		"Flux, unbound":                      {text: unbound, add: mintRights(flux, ""), opens: []string{"foreign-mint"}},
		"in ESO's namespace":                 {add: mintRights(people, own)},
		"in ESO's namespace, unbound":        {text: unbound, add: mintRights(people, own), opens: []string{operator}},
		"by name":                            {add: mintRights(people, own, own, "external-secrets-webhook")},
		"by name, unbound":                   {text: unbound, add: mintRights(people, own, own), opens: []string{operator}},
		"by name everywhere":                 {add: mintRights(flux, "", own)},
		"by name everywhere, unbound":        {text: unbound, add: mintRights(flux, "", own), opens: []string{operator}},
		"people, for the cluster":            {add: mintRights(people, ""), opens: []string{reach}},
		"a tenant's, for the cluster":        {add: mintRights(tenants, ""), opens: []string{reach}},
		"ESO's neighbor, for the cluster":    {add: mintRights(neighbor, ""), opens: []string{reach}},
		"ESO's neighbor, for the namespace":  {add: mintRights(neighbor, own)},
		"nodes, without the node authorizer": {add: mintRights(nodes, own), opens: []string{operator}},
		"it only warns":                      {add: mintRights(people, own), old: "policyName: " + policy + "\n  validationActions:\n  - Deny\n", new: "policyName: " + policy + "\n  validationActions:\n  - Warn\n", opens: []string{operator}},
		"somebody is left out": {
			add: mintRights(people, own), old: "  - expression: '!(has(request.userInfo.groups) && ''system:nodes''",
			new: "  - expression: request.userInfo.username != 'bob'\n  - expression: '!(has(request.userInfo.groups) && ''system:nodes''", opens: []string{operator},
		},
		"any node's request": {add: mintRights(people, own), old: " && object.spec.boundObjectRef.kind == ''Pod''", new: "", opens: []string{operator}},
		"in another namespace": {
			add: mintRights(people, own), old: "+ request.name in [''system:serviceaccount:external-secrets:external-secrets''", new: "+ request.name in [''system:serviceaccount:elsewhere:external-secrets''", opens: []string{operator},
		},
		"the webhook is left out": {
			add: mintRights(people, own), old: ", ''system:serviceaccount:external-secrets:external-secrets-webhook'']'\n    name: own", new: "]'\n    name: own", opens: []string{operator},
		},
		"token Secrets all the same": {add: strings.Replace(mintRights(people, own), "{apiGroups: [\"\"], resources: [serviceaccounts/token], verbs: [create]}", "{apiGroups: [\"\"], resources: [serviceaccounts/token, secrets], verbs: [create, get]}", 1), opens: []string{operator}},
	} {
		t.Run(name, func(t *testing.T) {
			changed := text
			if test.text != "" {
				changed = test.text
			}
			if test.old != "" && strings.Count(changed, test.old) != 1 {
				t.Fatalf("%q is there %d times", test.old, strings.Count(changed, test.old))
			}
			in.Objects = objects(t, "rendered.yaml", strings.Replace(changed, test.old, test.new, 1)+test.add)
			report := verify.Check(in)
			rules := rulesOf(slices.DeleteFunc(report.Problems, func(p problem.Problem) bool {
				return p.Rule == problem.ForeignMint && len(test.opens) == 1 && test.opens[0] != "foreign-mint"
			}))
			if !slices.Equal(rules, test.opens) {
				t.Errorf("open: %q, want %q\n%s", rules, test.opens, report.Problems)
			}
			says := slices.ContainsFunc(report.Closed, func(c verify.Closed) bool { return c.Rule == problem.MintAny && c.Policy.Name == policy })
			if says != (test.text == "" && test.old == "" && !strings.Contains(test.add, "system:nodes")) {
				t.Errorf("closed are %v", report.Closed)
			}
		})
	}
}

// TestOwnAccountsWhoMints: who asks for ESO's own service account is told that the policy refuses it.
func TestOwnAccountsWhoMints(t *testing.T) {
	text, in := renderedText(t, example(t, "quickstart")...)
	in.Objects = objects(t, "rendered.yaml", text+mintRights("{kind: ServiceAccount, name: source-controller, namespace: flux-system}", ""))
	for account, refused := range map[string]bool{"external-secrets": true, "external-secrets-webhook": true, "default": false} {
		found := false
		for _, answer := range verify.WhoMints(in, verify.Account{Namespace: "external-secrets", Name: account}).Direct {
			if answer.Subject == rbac.ServiceAccount("flux-system", "source-controller") {
				found = true
				if says := strings.Contains(strings.Join(answer.Why, "\n"), "eso-tenant-external-secrets-minter refuses"); says != refused {
					t.Errorf("of %s: %q", account, answer.Why)
				}
			}
		}
		if !found {
			t.Errorf("nobody says that source-controller may mint for %s", account)
		}
	}
}

// TestWhoCanBeESOMints: whoever can run pods as External Secrets Operator comes by its tokens, which no policy refuses it.
func TestWhoCanBeESOMints(t *testing.T) {
	text, in := renderedText(t, example(t, "quickstart")...)
	const runs = `---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: runs, namespace: NS}
rules: [{apiGroups: [""], resources: [pods], verbs: [create]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: runs, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: runs}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: mallory}]
`
	for namespace, comes := range map[string]bool{"external-secrets": true, "secure-ns": false, "elsewhere": false} {
		in.Objects = objects(t, "rendered.yaml", text+strings.ReplaceAll(runs, "NS", namespace))
		round := verify.WhoMints(in, verify.Account{Namespace: "secure-ns", Name: "vault-access-sa"}).Round
		if got := slices.ContainsFunc(round, func(a verify.Answer) bool { return a.Subject == rbac.User("mallory") }); got != comes {
			t.Errorf("who runs pods in %s: comes by the token is %v, want %v", namespace, got, comes)
		}
	}
}

// storeRights lets the team's members write stores in their namespace, as ESO's chart does.
const storeRights = `---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: stores, namespace: team}
rules:
- {apiGroups: [external-secrets.io], resources: [secretstores], verbs: [create, update]}
- {apiGroups: [generators.external-secrets.io], resources: [webhooks], verbs: [create]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: stores, namespace: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: stores}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: team}]
`

// namespaceRights lets the team's members change their Namespace.
const namespaceRights = `---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: spaces, namespace: team}
rules:
- {apiGroups: [""], resources: [namespaces], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: spaces, namespace: team}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: spaces}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: team}]
`

// execRights lets somebody into ESO's pods.
const execRights = `---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: debug, namespace: external-secrets}
rules:
- {apiGroups: [""], resources: [pods/exec, pods/attach, pods/portforward], verbs: [create, get]}
- {apiGroups: [""], resources: [pods/ephemeralcontainers], verbs: [patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: debug, namespace: external-secrets}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: debug}
subjects: [{kind: Group, apiGroup: rbac.authorization.k8s.io, name: ops}]
`

// fenceWorld is a fence of one tenant whose members administer their namespace and write stores there, and which somebody
// named delivers.
func fenceWorld(t *testing.T) (string, verify.Input) {
	t.Helper()
	return fenceWorldBy(t, "ValidatingAdmissionPolicy")
}

func fenceWorldBy(t testing.TB, engine string) (string, verify.Input) {
	t.Helper()
	sources := example(t, "quickstart")
	for i := range sources {
		sources[i].Data = []byte(strings.Replace(string(sources[i].Data), "  enforcement: enforce\n", "  enforcement: enforce\n  admission: {engine: "+engine+", writers: [\"system:serviceaccount:flux-system:applier\"]}\n", 1))
	}
	sources = append(sources, schema.Source{File: "team.yaml", Data: []byte(
		"apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: team}\nspec:\n  members: [{kind: Group, name: team, role: admin}]\n" +
			"  namespaces: {team: {stores: {vault: {provider: vault}}}}\n")})
	text, in := renderedText(t, sources...)
	return text + storeRights + execRights, in
}

// TestFencePoliciesClose: with the policies for stores and the fence's own objects, members who administer their namespace
// and write stores there have nothing more.
func TestFencePoliciesClose(t *testing.T) {
	text, in := fenceWorld(t)
	in.Objects = objects(t, "rendered.yaml", text)
	report := verify.Check(in)
	if rules := rulesOf(report.Problems); len(rules) > 0 || report.Verdicts[verify.Mint] != verify.Proven {
		t.Fatalf("open: %q\n%v", rules, report.Problems)
	}
	if !slices.ContainsFunc(report.Closed, func(c verify.Closed) bool {
		return c.Rule == problem.StoreWritable && strings.HasSuffix(c.Policy.Name, "-store")
	}) {
		t.Errorf("nothing says that stores are closed: %v", report.Closed)
	}
	if !slices.Equal(in.Writers, []rbac.Subject{rbac.ServiceAccount("flux-system", "applier")}) {
		t.Errorf("writers are %v", in.Writers)
	}
}

// TestFencePoliciesOpen: each change opens just the way that the policy closed.
func TestFencePoliciesOpen(t *testing.T) {
	text, in := fenceWorld(t)
	const mints, stores, operator = "foreign-mint", "store-writable", "operator-namespace-open"
	unbound := func(policy string) [2]string {
		return [2]string{"policyName: eso-tenant-external-secrets-" + policy + "\n", "policyName: nothing\n"}
	}
	writer := [2]string{"[''system:serviceaccount:flux-system:applier'']", "[''system:serviceaccount:flux-system:applier'', ''eve'']"}
	for name, test := range map[string]struct {
		changes [][2]string
		add     string
		opens   []string
	}{
		"roles are anybody's":               {[][2]string{unbound("role")}, "", []string{mints}},
		"roles may be deleted":              {[][2]string{{"      - UPDATE\n      - DELETE\n      resources:\n      - roles\n", "      - UPDATE\n      resources:\n      - roles\n"}}, "", []string{mints}},
		"another prefix":                    {[][2]string{{"!variables.item.metadata.name.startsWith(''eso-tenant-'')", "!variables.item.metadata.name.startsWith(''eso-tenant-token-a'')"}}, "", []string{mints}},
		"stores are anybody's":              {[][2]string{unbound("store")}, "", []string{stores}},
		"a store without a service account": {[][2]string{{"variables.fenced || variables.account != '''' && (", "variables.fenced || ("}}, "", []string{stores}},
		"a server that nobody declared":     {[][2]string{{"dyn(''https://vault.example.com", "dyn(''https://evil.example.com"}}, "", []string{stores}},
		"the server is the tenant's":        {[][2]string{{"''open'': dyn([dyn(''auth'')", "''open'': dyn([dyn(''server''), dyn(''auth'')"}}, "", []string{stores}},
		"no reference":                      {[][2]string{{"''reference'': dyn(''serviceAccountRef'')", "''reference'': dyn(''role'')"}}, "", []string{stores}},
		"a provider that is computed":       {[][2]string{{"''kind'': dyn(''vault'')", "''kind'': dyn(''va'' + ''ult'')"}}, "", []string{stores}},
		"a level less":                      {[][2]string{{"''at'': dyn([dyn(''auth''), dyn(''kubernetes'')]), ''audiences''", "''at'': dyn([dyn(''auth'')]), ''audiences''"}}, "", []string{stores}},
		"stores elsewhere":                  {nil, strings.ReplaceAll(storeRights, "namespace: team", "namespace: elsewhere"), []string{stores}},
		"stores everywhere":                 {nil, strings.NewReplacer(", namespace: team", "", "kind: Role\n", "kind: ClusterRole\n", "kind: Role,", "kind: ClusterRole,", "kind: RoleBinding", "kind: ClusterRoleBinding").Replace(storeRights), []string{stores}},
		"a Namespace without its label":     {[][2]string{{"    eso-tenant.dev/tenant: team\n    pod-security", "    pod-security"}}, "", []string{stores}},
		"the label can be taken off":        {[][2]string{unbound("namespace")}, namespaceRights, []string{stores}},
		"the label cannot be taken off":     {nil, namespaceRights, nil},
		"ESO's pods are open":               {[][2]string{unbound("exec")}, "", []string{operator}},
		"another namespace's pods":          {[][2]string{{"request.namespace != 'external-secrets'", "request.namespace != 'elsewhere'"}}, "", []string{operator}},
		"a writer with a quote":             {[][2]string{{"applier'']", "applier'', ''o\\''brien'']"}}, "", nil},
		"a writer more, who has no rights":  {[][2]string{writer}, "", nil},
		"a writer more, who mints":          {[][2]string{writer}, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: eve, namespace: team}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}\nsubjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: eve}]\n", []string{mints}},
		"the same who is no writer":         {nil, "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: eve, namespace: team}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: admin}\nsubjects: [{kind: User, apiGroup: rbac.authorization.k8s.io, name: eve}]\n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			changed := text
			for _, c := range test.changes {
				before := changed
				if changed = strings.ReplaceAll(changed, c[0], c[1]); changed == before {
					t.Fatalf("%q is not there", c[0])
				}
			}
			in.Objects = objects(t, "rendered.yaml", changed+test.add)
			report := verify.Check(in)
			if rules := rulesOf(report.Problems); !slices.Equal(rules, test.opens) {
				t.Errorf("open: %q, want %q\n%s", rules, test.opens, report.Problems)
			}
		})
	}
}
