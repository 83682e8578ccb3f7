package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// lentWorld is a fence of one tenant, with exemptions from its policies, and roles of people beside it.
func lentWorld(t *testing.T, engine, exemptions string) (string, verify.Input) {
	t.Helper()
	return renderedText(t, schema.Source{File: "platform.yaml", Data: []byte(`apiVersion: eso-tenant.dev/v1alpha1
kind: Platform
metadata: {name: eu-1}
spec:
  externalSecrets: {version: 2.9.0}
  enforcement: enforce
  tenantPolicy: {memberKinds: [User, Group, ServiceAccount]}
  providers: {vault: {audiences: [vault], vault: {server: "https://vault.example.com", auth: {kubernetes: {}}}}}
  admission:
    engine: ` + engine + `
    exemptions:
      debug: {` + exemptions + `, namespaces: [web], reason: logins fail and nobody knows why}
---
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: web}
spec:
  members:
    - {kind: User, name: jane, role: edit}
    - {kind: User, name: joe, role: edit}
    - {kind: Group, name: devs, role: edit}
    - {kind: ServiceAccount, name: ci, namespace: ci, role: edit}
  namespaces: {web: {stores: {vault: {provider: vault}, other: {provider: vault}}}}
`)})
}

// TestExemptions: what is exempt is open for whom it may be for, and said with its reason; nothing else is.
func TestExemptions(t *testing.T) {
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	const runs = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: app, namespace: web}\nspec: {template: {spec: {serviceAccountName: vault-access-sa}}}\n"
	const writes = "---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: stores, namespace: web}\nrules: [{apiGroups: [external-secrets.io], resources: [secretstores], verbs: [create]}]\n" +
		"---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: stores, namespace: web}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: stores}\n" +
		"subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: joe}, {kind: ServiceAccount, name: ci, namespace: ci}]\n"
	for name, tc := range map[string]struct {
		exemption, add string
		today          string
		edit           func(text string) string
		forget         bool // the specification states none
		unspecified    bool
		verdict        verify.Verdict
		// want are rule, severity, and a text of each problem, but what is said without exemptions.
		want []string
	}{
		"a user's": {
			exemption: `policy: minter, users: [jane], names: [vault-access-sa], until: "2027-03-31"`, verdict: verify.Accepted,
			want: []string{
				"exemption-open warning platform.yaml:12:7 lets user jane through in web, for vault-access-sa, before 2027-04-01: logins fail and nobody knows why",
				"foreign-mint warning user jane may mint tokens of fenced service account web/vault-access-sa",
				"foreign-mint warning group devs may mint tokens of fenced service account web/vault-access-sa", // jane may be in it
			},
		},
		"a service account's": {
			exemption: `policy: minter, users: ["system:serviceaccount:ci:ci"], names: [vault-access-sa], until: "2027-03-31"`, verdict: verify.Accepted,
			want: []string{"exemption-open warning through", "foreign-mint warning system:serviceaccount:ci:ci may mint"},
		},
		"another service account's": {
			exemption: `policy: minter, users: ["system:serviceaccount:ci:other"], names: [vault-access-sa], until: "2027-03-31"`, verdict: verify.Accepted,
			want: []string{"exemption-open warning through"},
		},
		"a group's": {
			exemption: `policy: minter, groups: [ops], names: [vault-access-sa, other-access-sa], until: "2027-03-31"`, verdict: verify.Accepted,
			want: []string{"exemption-open warning group ops", "foreign-mint warning user jane may mint", "foreign-mint warning user joe may mint", "foreign-mint warning group devs may mint"},
		},
		"nobody's of a name": {
			exemption: `policy: minter, users: [jane], names: [nothing], until: "2027-03-31"`, verdict: verify.Accepted, want: []string{"exemption-open warning jane"},
		},
		"near its end": {
			exemption: `policy: minter, users: [jane], names: [nothing], until: "2027-03-31"`, today: "2027-03-20", verdict: verify.Accepted, want: []string{"exemption-open warning which is near"},
		},
		"far from it": {
			exemption: `policy: minter, users: [jane], names: [nothing], until: "2027-03-31"`, today: "2026-03-01", verdict: verify.Breached, want: []string{"exemption-open error jane"},
		},
		"on the last day": {
			exemption: `policy: minter, users: [jane], names: [vault-access-sa], until: "2027-03-31"`, today: "2027-03-31", verdict: verify.Accepted,
			want: []string{"exemption-open warning jane", "foreign-mint warning user jane may mint", "foreign-mint warning group devs may mint"},
		},
		"over": {
			exemption: `policy: minter, users: [jane], names: [vault-access-sa], until: "2027-03-31"`, today: "2027-04-01", verdict: verify.Proven,
			want: []string{"exemption-over warning platform.yaml:12:7 is over since 2027-04-01"},
		},
		"one that the specification does not have": {
			exemption: `policy: minter, users: [jane], names: [vault-access-sa], until: "2027-03-31"`, forget: true, verdict: verify.Breached,
			want: []string{"exemption-unknown error nobody says why", "foreign-mint error user jane may mint", "foreign-mint error group devs may mint"},
		},
		"one that somebody changed": {
			exemption: `policy: minter, users: [jane], names: [vault-access-sa], until: "2027-03-31"`, verdict: verify.Breached,
			edit: func(text string) string { return strings.ReplaceAll(text, "[''jane'']", "[''jane'', ''joe'']") },
			want: []string{"exemption-unknown error user jane and user joe", "foreign-mint error user jane may mint", "foreign-mint error user joe may mint", "foreign-mint error group devs may mint"},
		},
		"one for External Secrets Operator": {
			exemption: `policy: token-secret, users: [jane], names: [default], until: "2027-03-31"`, verdict: verify.Breached,
			edit: func(text string) string {
				return strings.ReplaceAll(text, "[''jane'']", "[''system:serviceaccount:external-secrets:external-secrets'']")
			},
			want: []string{
				"exemption-unknown error", "mint-token-secret error External Secrets Operator", // the policy is none of those that count
				"mint-token-secret error user jane can", "mint-token-secret error user joe can", "mint-token-secret error group devs can", "mint-token-secret error system:serviceaccount:ci:ci can",
			},
		},
		"one without an end": {
			exemption: `policy: minter, users: [jane], names: [vault-access-sa], until: "2027-03-31"`, verdict: verify.Breached,
			edit: func(text string) string {
				return strings.ReplaceAll(text, " && has(object.metadata.creationTimestamp) && type(object.metadata.creationTimestamp) == string && timestamp(object.metadata.creationTimestamp) < timestamp(''2027-04-01T00:00:00Z'')", "")
			},
			want: []string{"foreign-mint error user jane may mint", "foreign-mint error user joe may mint", "foreign-mint error group devs may mint", "foreign-mint error system:serviceaccount:ci:ci may mint"},
		},
		"by its annotation": {
			exemption: `policy: minter, users: [jane], names: [vault-access-sa], until: "2027-03-31"`, unspecified: true, verdict: verify.Accepted,
			want: []string{"exemption-open warning rendered.yaml:", "foreign-mint warning user jane may mint", "foreign-mint warning group devs may mint"},
		},
		"pods": {
			exemption: `policy: pod, names: [vault-access-sa], until: "2027-03-31"`, add: runs, verdict: verify.Accepted,
			want: []string{
				"exemption-open warning anybody", "mint-pod warning user jane can run", "mint-pod warning user joe can run", "mint-pod warning group devs can run", "mint-pod warning system:serviceaccount:ci:ci can run",
				"fenced-pod warning Deployment web/app",
			},
		},
		"other pods": {
			exemption: `policy: pod, names: [other-access-sa], until: "2027-03-31"`, add: runs, verdict: verify.Breached,
			want: []string{"exemption-open warning anybody", "mint-pod error user jane can run", "mint-pod error user joe can run", "mint-pod error group devs can run", "mint-pod error system:serviceaccount:ci:ci can run"},
		},
		"token Secrets": {
			exemption: `policy: token-secret, users: ["system:serviceaccount:ci:ci"], names: [vault-access-sa], until: "2027-03-31"`, verdict: verify.Accepted,
			want: []string{"exemption-open warning through", "mint-token-secret warning system:serviceaccount:ci:ci"},
		},
		"stores": {
			exemption: `policy: store, users: ["system:serviceaccount:ci:ci"], names: [odd], until: "2027-03-31"`, add: writes, verdict: verify.Accepted,
			want: []string{"exemption-open warning through", "store-writable warning system:serviceaccount:ci:ci"},
		},
		"keys": {
			exemption: `policy: reference, names: [odd], until: "2027-03-31"`, verdict: verify.Accepted, want: []string{"exemption-open warning anybody"},
		},
	} {
		tried := func(t *testing.T, engine, beside string) {
			t.Helper()
			text, in := lentWorld(t, engine, tc.exemption)
			if tc.edit != nil {
				if edited := tc.edit(text); edited != text {
					text = edited
				} else {
					t.Fatal("nothing was edited")
				}
			}
			in.Objects = objects(t, "rendered.yaml", text+tc.add+beside)
			if tc.today != "" {
				in.Clock = fn.ClockAt(day(tc.today))
			}
			if tc.forget {
				in.Exemptions = nil
			}
			if tc.unspecified {
				in.Specified, in.Exemptions = false, nil
			}
			report := verify.Check(in)
			if got := report.Verdicts[verify.Mint]; got != tc.verdict {
				t.Errorf("%s, want %s", got, tc.verdict)
			}
			left := slices.DeleteFunc(slices.Clone(report.Problems), func(p problem.Problem) bool {
				return p.Rule == problem.ReadSecrets || p.Rule == problem.StoreUnfenced
			})
			for _, want := range tc.want {
				if at := slices.IndexFunc(left, func(p problem.Problem) bool { return fits(p, want) }); at < 0 {
					t.Errorf("not said: %s", want)
				} else {
					left = slices.Delete(left, at, at+1)
				}
			}
			for _, p := range left {
				t.Errorf("said as well: %s %s %s %q", p.Rule, p.SeverityOf(), p.Message, p.Because)
			}
		}
		t.Run(name, func(t *testing.T) { tried(t, "ValidatingAdmissionPolicy", "") })
		if tc.edit == nil { // the edits are of CEL
			t.Run(name+", by Gatekeeper", func(t *testing.T) { tried(t, "Gatekeeper", installed(t)) })
		}
	}
}

// fits tells whether a problem has the rule, the severity, and the texts that follow.
func fits(p problem.Problem, want string) bool {
	rule, rest, _ := strings.Cut(want, " ")
	severity, text, _ := strings.Cut(rest, " ")
	if string(p.Rule) != rule || string(p.SeverityOf()) != severity {
		return false
	}
	if strings.Contains(text, ".yaml:") {
		var at string
		at, text, _ = strings.Cut(text, " ")
		if !strings.HasPrefix(p.Position.String(), at) {
			return false
		}
	}
	return strings.Contains(fmt.Sprint(p.Message, " ", p.Because), text)
}

// TestExemptionsOfWhoMints: who is exempt is among those who come by a token.
func TestExemptionsOfWhoMints(t *testing.T) {
	text, in := lentWorld(t, "ValidatingAdmissionPolicy", `policy: minter, users: ["system:serviceaccount:ci:ci"], names: [vault-access-sa], until: "2027-03-31"`)
	in.Objects = objects(t, "rendered.yaml", text)
	refused := func(account string) map[string]bool {
		all := map[string]bool{}
		for _, a := range verify.WhoMints(in, verify.Account{Namespace: "web", Name: account}).Direct {
			all[a.Subject.String()] = slices.ContainsFunc(a.Why, func(line string) bool { return strings.Contains(line, "refuses the request") })
		}
		return all
	}
	if got := refused("vault-access-sa"); got["system:serviceaccount:ci:ci"] || !got["user jane"] {
		t.Errorf("refused: %v", got)
	}
	if got := refused("other-access-sa"); !got["system:serviceaccount:ci:ci"] {
		t.Errorf("refused: %v", got)
	}
}
