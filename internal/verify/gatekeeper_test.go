package verify_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// installed is what Gatekeeper's chart makes, with the values that are rendered for it.
func installed(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("testdata/gatekeeper.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return "---\n" + string(text)
}

// constrainedWorld is fenceWorld with Gatekeeper for an engine.
func constrainedWorld(t testing.TB) (string, verify.Input) {
	t.Helper()
	return fenceWorldBy(t, "Gatekeeper")
}

// ruleSays are the messages of one rule.
func ruleSays(report *verify.Report, rule problem.Rule) string {
	var all []string
	for _, p := range report.Problems {
		if p.Rule == rule {
			all = append(all, p.Message+"\n"+strings.Join(p.Because, "\n"))
		}
	}
	return strings.Join(all, "\n")
}

// TestConstraintsClose: with Gatekeeper as its chart installs it, nothing is open, and it is said what closes it.
func TestConstraintsClose(t *testing.T) {
	text, in := constrainedWorld(t)
	in.Objects = objects(t, "rendered.yaml", text+installed(t))
	report := verify.Check(in)
	if rules := rulesOf(report.Problems); len(rules) > 0 || report.Verdicts[verify.Mint] != verify.Proven {
		t.Fatalf("open: %q\n%v", rules, report.Problems)
	}
	var closed []string
	for _, c := range report.Closed {
		closed = append(closed, string(c.Rule)+" by "+c.Policy.Kind+" "+strings.TrimPrefix(c.Policy.Name, "eso-tenant-external-secrets-"))
	}
	for _, want := range []string{"mint-token-secret by ConstraintTemplate token-secret", "mint-any by ConstraintTemplate minter", "mint-pod by ConstraintTemplate pod", "store-writable by ConstraintTemplate store"} {
		if !slices.Contains(closed, want) {
			t.Errorf("not said: %s; closed are %q", want, closed)
		}
	}
	if inactive := ruleSays(report, problem.GatekeeperInactive); inactive != "" {
		t.Error(inactive)
	}
}

// TestConstraintsUnseen: a rendered folder alone neither proves nor refutes what rests on Gatekeeper.
func TestConstraintsUnseen(t *testing.T) {
	text, in := constrainedWorld(t)
	deployment, webhooks, _ := strings.Cut(strings.TrimPrefix(installed(t), "---\n"), "\n---\n")
	for name, test := range map[string]struct{ add, unseen string }{
		"nothing of Gatekeeper":       {"", "its ValidatingWebhookConfiguration is not among the objects"},
		"its Deployment alone":        {"---\n" + deployment, "its ValidatingWebhookConfiguration is not among the objects"},
		"its webhook alone":           {"---\n" + webhooks, "its Deployment in namespace gatekeeper-system is not among the objects"},
		"a webhook outside":           {"---\n" + deployment + "\n---\n" + strings.ReplaceAll(webhooks, "    service:\n      name: gatekeeper-webhook-service\n", "    url: https://example.com/v1/admit\n    nothing:\n"), "its ValidatingWebhookConfiguration is not"},
		"the Deployment is elsewhere": {"---\n" + strings.Replace(deployment, "namespace: gatekeeper-system", "namespace: elsewhere", 1) + "\n---\n" + webhooks, "its Deployment in namespace gatekeeper-system"},
		"the Deployment is another's": {"---\n" + strings.ReplaceAll(deployment, "gatekeeper.sh/operation: webhook", "gatekeeper.sh/operation: audit") + "\n---\n" + webhooks, "its Deployment in namespace gatekeeper-system"},
		"somebody else's webhook too": {"---\n" + strings.ReplaceAll(webhooks, "/v1/admit", "/other"), "its ValidatingWebhookConfiguration is not"},
	} {
		t.Run(name, func(t *testing.T) {
			in.Objects = objects(t, "rendered.yaml", text+test.add)
			report := verify.Check(in)
			if rules := rulesOf(report.Problems); !slices.Equal(rules, []string{string(problem.GatekeeperUnseen)}) || report.Verdicts[verify.Mint] != verify.NotProven {
				t.Errorf("%s: %q\n%v", report.Verdicts[verify.Mint], rules, report.Problems)
			}
			unseen := ruleSays(report, problem.GatekeeperUnseen)
			for _, want := range []string{test.unseen, "mint-any is closed by ConstraintTemplate eso-tenant-external-secrets-minter only if it is asked"} {
				if !strings.Contains(unseen, want) {
					t.Errorf("not said: %s\n%s", want, unseen)
				}
			}
			if len(report.Closed) > 0 {
				t.Errorf("said to be closed: %v", report.Closed)
			}
		})
	}
}

// TestConstraintsOpen: each part that is missing, or is otherwise, opens just the ways that it closed, and is named.
func TestConstraintsOpen(t *testing.T) {
	text, input := constrainedWorld(t)
	gatekeeper := installed(t)
	const (
		mints, pods, secrets, stores, open = "foreign-mint", "mint-pod", "mint-token-secret", "store-writable", "operator-namespace-open"
		prefix                             = "eso-tenant-external-secrets-"
	)
	all := []string{mints, open, secrets, stores}
	constraint := func(policy string) string { return "kind: " + prefix + policy + "\nmetadata:" }
	action := func(policy, action string) [2]string {
		head := "kind: " + prefix + policy + "\nmetadata:\n  labels:\n    app.kubernetes.io/managed-by: eso-tenant\n    eso-tenant.dev/tenant: platform\n  name: " + prefix + policy + "\nspec:\n  enforcementAction: "
		return [2]string{head + "deny\n", head + action + "\n"}
	}
	config := func(text string) string {
		return "---\napiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: config, namespace: gatekeeper-system}\nspec: " + text + "\n"
	}
	spaces := func(resource string) string {
		return strings.Replace(namespaceRights, "resources: [namespaces]", "resources: ["+resource+"]", 1)
	}
	for name, test := range map[string]struct {
		changes [][2]string
		add     string
		opens   []string
		says    string
	}{
		// The templates and the Constraints.
		"nothing is changed":                  {},
		"another Rego":                        {[][2]string{{"  not kubelet\n", "  not kubelet\n          not input.review.name == \"x\"\n"}}, "", []string{mints}, "minter is not as eso-tenant makes it"},
		"another library":                     {[][2]string{{`one_of(list, _) if "*" in list`, `one_of(_, _) if false`}}, "", []string{mints, secrets, stores}, "is not as eso-tenant makes it"},
		"another CEL":                         {[][2]string{{"expression: request.namespace != 'external-secrets'", "expression: 'true'"}}, "", []string{open}, "exec is not as eso-tenant makes it"},
		"CEL for fewer requests":              {[][2]string{{"request.operation in [''CONNECT'']", "request.operation in [''CREATE'']"}}, "", []string{open}, ""},
		"CEL that fails open":                 {[][2]string{{"failurePolicy: Fail\n        generateVAP", "failurePolicy: Ignore\n        generateVAP"}}, "", []string{mints, open}, ""},
		"CEL that is left to another":         {[][2]string{{"generateVAP: false", "generateVAP: true"}}, "", []string{mints, open}, ""},
		"parameters are pruned":               {[][2]string{{"          x-kubernetes-preserve-unknown-fields: true\n", ""}}, "", all, ""},
		"no Constraint":                       {[][2]string{{constraint("exec"), "kind: other\nmetadata:"}}, "", []string{open}, "no Constraint of ConstraintTemplate " + prefix + "exec is there"},
		"a Constraint warns":                  {[][2]string{action("exec", "warn")}, "", []string{open}, "its enforcementAction is not deny"},
		"a Constraint is for audit":           {[][2]string{action("store", "dryrun")}, "", []string{stores}, "its enforcementAction is not deny"},
		"a Constraint has scopes":             {[][2]string{action("store", "scoped\n  scopedEnforcementActions: [{action: deny, enforcementPoints: [{name: audit.gatekeeper.sh}]}]")}, "", []string{stores}, "single enforcement points"},
		"scopes beside deny":                  {[][2]string{action("store", "deny\n  scopedEnforcementActions: [{action: deny, enforcementPoints: [{name: audit.gatekeeper.sh}]}]")}, "", []string{stores}, "single enforcement points"},
		"a Constraint leaves a namespace out": {[][2]string{{"  match:\n    kinds:\n    - apiGroups:\n      - \"\"\n      kinds:\n      - Secret\n", "  match:\n    excludedNamespaces: [team]\n    kinds:\n    - apiGroups:\n      - \"\"\n      kinds:\n      - Secret\n"}}, "", []string{secrets}, "excludedNamespaces"},
		"a Constraint goes by labels":         {[][2]string{{"  match:\n    kinds:\n    - apiGroups:\n      - \"\"\n      kinds:\n      - Secret\n", "  match:\n    labelSelector: {matchLabels: {a: b}}\n    kinds:\n    - apiGroups:\n      - \"\"\n      kinds:\n      - Secret\n"}}, "", []string{secrets}, "labelSelector"},
		"a Constraint for other kinds":        {[][2]string{{"      - Secret\n", "      - ConfigMap\n"}}, "", []string{secrets}, "does not match Secret"},
		"a Constraint with scope *":           {[][2]string{{"  match:\n    kinds:\n", "  match:\n    scope: '*'\n    source: All\n    excludedNamespaces: []\n    labelSelector: {}\n    kinds:\n"}}, "", nil, ""},
		"parameters of another ESO":           {[][2]string{{"    controller: system:serviceaccount:external-secrets:external-secrets\n", "    controller: system:serviceaccount:external-secrets:other\n"}}, "", []string{mints, secrets, stores}, ""},
		"parameters for fewer rules":          {[][2]string{{"    - group: \"\"\n      operations:\n      - CREATE\n      - UPDATE\n      resources:\n      - secrets\n", "    - group: \"\"\n      operations:\n      - CREATE\n      resources:\n      - secrets\n"}}, "", []string{secrets}, "has parameters that no Platform gives it"},
		"parameters with another label":       {[][2]string{{"    label: eso-tenant.dev/tenant\n", "    label: team\n"}}, "", []string{mints, secrets, stores}, ""},
		"a parameter more":                    {[][2]string{{"    label: eso-tenant.dev/tenant\n", "    label: eso-tenant.dev/tenant\n    more: true\n"}}, "", []string{mints, secrets, stores}, ""},
		"a server in the Constraint":          {[][2]string{{"server: https://vault.example.com", "server: https://evil.example.com"}}, "", []string{stores}, ""},
		"the server is the tenant's":          {[][2]string{{"        open:\n        - auth\n", "        open:\n        - auth\n        - server\n"}}, "", []string{stores}, ""},
		"Gatekeeper has not taken it":         {[][2]string{{constraint("exec"), "status: {byPod: [{errors: [{message: bad}]}]}\n" + constraint("exec")}}, "", []string{open}, "is not taken by Gatekeeper"},
		"no SyncSet":                          {[][2]string{{"kind: SyncSet\n", "kind: Other\n"}}, "", []string{mints, secrets, stores}, "no SyncSet has Gatekeeper keep ClusterRole, ClusterRoleBinding, Role and RoleBinding"},
		"a SyncSet without bindings":          {[][2]string{{"    kind: RoleBinding\n    version: v1\n", "    kind: ConfigMap\n    version: v1\n"}}, "", []string{mints, secrets, stores}, "no SyncSet has Gatekeeper keep RoleBinding"},
		"a Config in place of the SyncSet":    {[][2]string{{"kind: SyncSet\n", "kind: Other\n"}}, config("{sync: {syncOnly: [{group: rbac.authorization.k8s.io, version: v1, kind: Role}, {group: rbac.authorization.k8s.io, version: v1, kind: RoleBinding}, {group: rbac.authorization.k8s.io, version: v1, kind: ClusterRole}, {group: rbac.authorization.k8s.io, version: v1, kind: ClusterRoleBinding}]}}"), nil, ""},

		"tokens for others":                 {[][2]string{action("minter", "warn")}, "", []string{mints}, ""},
		"pods of others":                    {[][2]string{action("pod", "warn")}, "", []string{pods}, ""},
		"token Secrets":                     {[][2]string{action("token-secret", "warn")}, "", []string{secrets}, ""},
		"Roles are anybody's":               {[][2]string{action("role", "warn")}, "", []string{mints}, ""},
		"labels are anybody's":              {[][2]string{action("namespace", "warn")}, namespaceRights, []string{stores}, ""},
		"the label cannot be taken off":     {nil, namespaceRights, nil, ""},
		"ESO mints in one namespace":        {nil, in("apps", operator, rule("create", token)), nil, ""},
		"ESO mints, and nothing refuses it": {[][2]string{action("mint", "warn")}, in("apps", operator, rule("create", token)), []string{"mint-any"}, ""},
		"ESO mints for Gatekeeper":          {nil, in("gatekeeper-system", operator, rule("create", token)), []string{"mint-any"}, ""},
		"ESO mints wherever it likes":       {nil, everywhere(operator, rule("create", token)), []string{"mint-any"}, ""},
		"ESO changes Constraints":           {nil, everywhere(operator, ruleOf("constraints.gatekeeper.sh", "delete", "eso-tenant-external-secrets-mint")), []string{"admission-writable"}, ""},
		"ESO changes templates":             {nil, everywhere(operator, ruleOf("templates.gatekeeper.sh", "patch", "constrainttemplates")), []string{"admission-writable"}, ""},
		"ESO reads templates":               {nil, everywhere(operator, ruleOf("templates.gatekeeper.sh", "get", "constrainttemplates")), nil, ""},

		// Gatekeeper's webhook.
		"the webhook lets pass":             {[][2]string{{"failurePolicy: Fail\n  matchConditions:\n  - expression: request.resource.group != 'coordination.k8s.io'\n    name: not-leases\n  matchPolicy: Exact\n  name: validation", "failurePolicy: Ignore\n  matchPolicy: Exact\n  name: validation"}}, "", []string{mints, secrets, stores, open}, "its failurePolicy is not Fail"},
		"no failure policy is Fail":         {[][2]string{{"  failurePolicy: Fail\n  matchConditions:\n  - expression: request.resource.group != 'coordination.k8s.io'\n    name: not-leases\n  matchPolicy: Exact\n  name: validation", "  name: validation"}}, "", nil, ""},
		"a short timeout":                   {[][2]string{{"timeoutSeconds: 3", "timeoutSeconds: 1"}}, "", nil, ""},
		"equivalent versions":               {[][2]string{{"matchPolicy: Exact", "matchPolicy: Equivalent"}}, "", nil, ""},
		"tokens are not asked about":        {[][2]string{{"    - serviceaccounts/token\n", ""}}, "", []string{mints}, "not asked about CREATE of serviceaccounts/token"},
		"all subresources":                  {[][2]string{{"    - serviceaccounts/token\n", "    - '*/token'\n"}}, "", nil, ""},
		"exec is not asked about":           {[][2]string{{"    - pods/exec\n", ""}}, "", []string{open}, "CONNECT of pods/exec"},
		"debugging is not asked about":      {[][2]string{{"    - pods/ephemeralcontainers\n", ""}}, "", []string{open}, "UPDATE of pods/ephemeralcontainers"},
		"connections are not asked about":   {[][2]string{{"    - CONNECT\n", ""}}, "", []string{open}, "CONNECT of pods/exec"},
		"deletion is not asked about":       {[][2]string{{"    - UPDATE\n    - DELETE\n", "    - UPDATE\n"}}, "", []string{mints}, "DELETE of roles.rbac.authorization.k8s.io"},
		"all is asked about":                {[][2]string{{"    - CONNECT\n", "    - '*'\n"}, {"    - serviceaccounts/token\n", "    - '*/*'\n"}}, "", nil, ""},
		"one group is asked about":          {[][2]string{{"  - apiGroups:\n    - '*'\n", "  - apiGroups:\n    - ''\n"}}, "", []string{mints, stores}, "CREATE of secretstores.external-secrets.io"},
		"one version is asked about":        {[][2]string{{"  - apiGroups:\n    - '*'\n    apiVersions:\n    - '*'\n", "  - apiGroups:\n    - '*'\n    apiVersions:\n    - v1\n"}}, "", []string{mints, stores}, "CREATE of secretstores"},
		"what is namespaced is asked about": {[][2]string{{"    scope: '*'\n  sideEffects", "    scope: Namespaced\n  sideEffects"}}, "", []string{mints, secrets, stores, open}, ""},
		"objects are chosen by labels":      {[][2]string{{"  objectSelector: {}\n", "  objectSelector: {matchExpressions: [{key: skip, operator: DoesNotExist}]}\n"}}, "", []string{mints, secrets, stores, open}, "its objectSelector"},
		"requests are chosen":               {[][2]string{{"    name: not-leases\n", "    name: not-leases\n  - {name: a, expression: 'request.userInfo.username != \"bob\"'}\n"}}, "", []string{mints, secrets, stores, open}, "its matchConditions"},
		"namespaces are chosen":             {[][2]string{{"    - key: kubernetes.io/metadata.name\n      operator: NotIn\n      values:\n      - gatekeeper-system\n  objectSelector", "    - key: kubernetes.io/metadata.name\n      operator: NotIn\n      values: [team]\n  objectSelector"}}, "", []string{mints, secrets, stores}, "does not look at what is in namespace team"},
		"only some namespaces":              {[][2]string{{"      operator: DoesNotExist\n", "      operator: Exists\n"}}, "", []string{mints, secrets, stores, open}, "does not look at what is in namespace"},
		"ESO's namespace is exempt":         {[][2]string{{"      - gatekeeper-system\n", "      - external-secrets\n"}}, "", []string{open}, "does not look at what is in namespace external-secrets"},
		"a selector that is none":           {[][2]string{{"      operator: DoesNotExist\n", "      operator: Perhaps\n"}}, "", []string{mints, secrets, stores, open}, ""},
		"another namespace is exempt":       {[][2]string{{"      - gatekeeper-system\n", "      - gatekeeper-system\n      - elsewhere\n"}}, "", nil, ""},

		// What exempts a namespace.
		"a Config exempts a namespace":       {nil, config("{match: [{excludedNamespaces: [team], processes: [webhook]}]}"), []string{mints, secrets, stores}, "does not look at what is in namespace team"},
		"a Config exempts by a pattern":      {nil, config("{match: [{excludedNamespaces: ['te*'], processes: ['*']}]}"), []string{mints, secrets, stores}, "namespace team"},
		"a Config keeps the grants away":     {nil, config("{match: [{excludedNamespaces: ['*eam'], processes: [sync]}]}"), []string{mints, secrets, stores}, "namespace team"},
		"a Config exempts all":               {nil, config("{match: [{excludedNamespaces: ['*'], processes: [webhook]}]}"), []string{mints, secrets, stores, open}, ""},
		"a Config exempts from audits":       {nil, config("{match: [{excludedNamespaces: [team], processes: [audit, mutation-webhook]}]}"), nil, ""},
		"a Config exempts another namespace": {nil, config("{match: [{excludedNamespaces: [teams, kube-*], processes: ['*']}]}"), nil, ""},
		"a namespace has the label":          {[][2]string{{"    eso-tenant.dev/tenant: team\n    pod-security", "    admission.gatekeeper.sh/ignore: x\n    eso-tenant.dev/tenant: team\n    pod-security"}}, "", []string{mints, secrets, stores}, "does not look at"},
		"members may not set the label":      {nil, spaces("namespaces"), nil, ""},
		"members may, through its status":    {nil, spaces("namespaces, namespaces/status"), []string{mints, stores}, ""},
		"members may, when it is finalized":  {nil, spaces("namespaces/finalize"), []string{mints, stores}, ""},
		"nobody keeps the label off":         {[][2]string{{"/v1/admitlabel", "/other"}}, spaces("namespaces"), []string{mints, stores}, ""},
		"the label is kept off sometimes":    {[][2]string{{"failurePolicy: Fail\n  matchPolicy: Exact\n  name: check", "failurePolicy: Ignore\n  matchPolicy: Exact\n  name: check"}}, spaces("namespaces"), []string{mints, stores}, ""},
		"the namespace may have the label":   {[][2]string{{"        - --exempt-namespace=gatekeeper-system\n", "        - --exempt-namespace=gatekeeper-system\n        - --exempt-namespace-prefix=te\n"}}, spaces("namespaces"), []string{mints, stores}, ""},
		"another label exempts":              {[][2]string{{"    - key: kubernetes.io/metadata.name\n      operator: NotIn\n      values:\n      - gatekeeper-system\n  objectSelector", "    - key: skip\n      operator: NotIn\n      values: [x]\n  objectSelector"}}, spaces("namespaces"), []string{mints, stores}, ""},

		"members can be Gatekeeper": {nil, in("gatekeeper-system", group("team"), only("gatekeeper-admin", rule("impersonate", "serviceaccounts"))) + strings.ReplaceAll(bindEverywhere(account("gatekeeper-system", "gatekeeper-admin"), "view"), "name: planted", "name: gatekeeper"), []string{mints, stores}, ""},

		// What Gatekeeper is started with.
		"no engine for CEL":     {[][2]string{{"--enable-k8s-native-validation=true", "--enable-k8s-native-validation=false"}}, "", []string{mints, open}, "--enable-k8s-native-validation=false"},
		"no referential rules":  {[][2]string{{"        - --operation=webhook\n", "        - --operation=webhook\n        - --enable-referential-rules=false\n"}}, "", []string{mints, secrets, stores}, "--enable-referential-rules=false"},
		"a function less":       {[][2]string{{"{http.send}", "sprintf"}}, "", []string{mints, secrets, stores}, "a built-in function"},
		"it answers no webhook": {[][2]string{{"        - --operation=webhook\n", ""}}, "", []string{mints, secrets, stores, open}, "no --operation=webhook"},
		"it does all there is":  {[][2]string{{"        - --operation=webhook\n", ""}, {"        - --operation=mutation-webhook\n", ""}}, "", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := text, gatekeeper
			for _, c := range test.changes { // of Gatekeeper's, or else of ours
				switch {
				case strings.Contains(theirs, c[0]):
					theirs = strings.ReplaceAll(theirs, c[0], c[1])
				case strings.Contains(ours, c[0]):
					ours = strings.ReplaceAll(ours, c[0], c[1])
				default:
					t.Fatalf("%q is not there", c[0])
				}
			}
			input.Objects = objects(t, "rendered.yaml", ours+theirs+test.add)
			report := verify.Check(input)
			slices.Sort(test.opens)
			if rules := rulesOf(report.Problems); !slices.Equal(rules, test.opens) {
				t.Errorf("open: %q, want %q", rules, test.opens)
			}
			inactive := ruleSays(report, problem.GatekeeperInactive)
			if !strings.Contains(inactive, test.says) || test.opens == nil && inactive != "" {
				t.Errorf("%q is not said, but\n%s", test.says, inactive)
			}
		})
	}
}

// TestWhoMintsUnseen: nobody is said to be refused by what was not seen to be asked.
func TestWhoMintsUnseen(t *testing.T) {
	text, in := constrainedWorld(t)
	for theirs, want := range map[string]bool{"": false, installed(t): true} {
		in.Objects = objects(t, "rendered.yaml", text+theirs)
		refused := false
		for _, who := range verify.WhoMints(in, verify.Account{Namespace: "team", Name: "vault-access-sa"}).Direct {
			refused = refused || who.Subject == rbac.Group("team") && strings.Contains(strings.Join(who.Why, "\n"), "refuses the request")
		}
		if refused != want {
			t.Errorf("with Gatekeeper %t: refused is %t", want, refused)
		}
	}
}
