package audit

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

var (
	operator = Account{"external-secrets", "external-secrets"}
	fenced   = Account{"web", "vault-access-sa"}
	start0   = time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)
)

// expected is a cluster with one fence.
func expected() *Input {
	return &Input{
		ESO: []Account{operator, {"external-secrets", "external-secrets-webhook"}}, Specified: true,
		Fences:  []Fence{{Account: fenced, Audiences: []string{"vault"}, At: problem.Position{File: "tenants/web.yaml", Line: 7, Column: 9}}},
		Writers: []string{flux},
	}
}

const flux = accountPrefix + "flux-system:kustomize-controller"

// at is a generator at a time after the start.
func at(after time.Duration) *generator {
	g := newGenerator(1, 0)
	g.at = start0.Add(after)
	return g
}

// minted is a request for a token, which was granted.
func minted(user string, of Account, audiences string) logged {
	return logged{
		level: "Request", verb: "create", user: user, groups: `"g"`, agent: "agent", resource: "serviceaccounts", subresource: "token",
		namespace: of.Namespace, name: of.Name, code: 201, reason: `RBAC: allowed by RoleBinding \"b/web\" of Role \"b\"`,
		request: `{"kind":"TokenRequest","spec":{"audiences":` + audiences + `,"expirationSeconds":600}}`,
	}
}

func changed(e logged, change func(*logged)) logged {
	change(&e)
	return e
}

// text writes events a second apart.
func text(events ...logged) string {
	var b strings.Builder
	for i, e := range events {
		b.WriteString(at(time.Duration(i) * time.Second).line(e))
	}
	return b.String()
}

func source(name, text string) Source {
	return Source{Name: name, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }}
}

func read(t *testing.T, in *Input, logs ...string) *Report {
	t.Helper()
	var sources []Source
	for i, log := range logs {
		sources = append(sources, source(fmt.Sprintf("%d.log", i), log))
	}
	report, err := Read(t.Context(), sources, in)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func lines(l problem.List) string {
	var b strings.Builder
	for _, p := range l.Sorted() {
		b.WriteString(p.Line() + "\n")
	}
	return b.String()
}

// Each event gives just the problem that it should, at its place. All have a
// fine event before them.
func TestFindings(t *testing.T) {
	fine := minted(operator.Username(), fenced, `["vault"]`)
	secret := logged{verb: "create", user: "alice", groups: `"g"`, agent: "kubectl", resource: "secrets", namespace: "web", name: "s", code: 201}
	role := logged{verb: "patch", user: "alice", groups: `"g"`, agent: "kubectl", resource: "roles", group: "rbac.authorization.k8s.io", namespace: "web", name: "eso-tenant-token-vault-access-sa"}
	elsewhere := Account{"kube-system", "default"}
	tests := map[string]struct {
		event logged
		want  string // "" for none
	}{
		"as meant":                 {fine, ""},
		"the webhook's account":    {minted(accountPrefix+"external-secrets:external-secrets-webhook", fenced, `["vault"]`), ""},
		"a node, for a pod":        {minted("system:node:n1", elsewhere, `null`), ""},
		"somebody, for themselves": {minted("alice", elsewhere, `null`), ""},
		"read of a Role":           {changed(role, func(e *logged) { e.verb = "get" }), ""},
		"a Role of others":         {changed(role, func(e *logged) { e.name = "admin" }), ""},
		"a dry run of a change":    {changed(role, func(e *logged) { e.uri = "/apis/x?dryRun=All&fieldManager=k" }), ""},
		"a delivery":               {changed(role, func(e *logged) { e.user = flux }), ""},
		"an end of a namespace": {changed(role, func(e *logged) {
			e.user, e.verb = accountPrefix+"kube-system:namespace-controller", "deletecollection"
		}), ""},
		"a plain Secret":           {secret, ""},
		"an account of others":     {changed(role, func(e *logged) { e.resource, e.group, e.name = "serviceaccounts", "", "default" }), ""},
		"a refusal of no interest": {changed(minted("alice", elsewhere, `null`), func(e *logged) { e.code, e.request = 403, "" }), ""},

		"somebody else":           {minted("alice", fenced, `["vault"]`), `1.log:2:1: "alice" was given tokens of fenced service account "web/vault-access-sa": once, at 2026-11-01T10:00:01Z [audit-requester]`},
		"somebody else, dry run":  {changed(minted("alice", fenced, `["vault"]`), func(e *logged) { e.uri = "/x?dryRun=All" }), "[audit-requester]"},
		"no code":                 {changed(minted("alice", fenced, `["vault"]`), func(e *logged) { e.code = -1 }), "[audit-requester]"},
		"a pod as the account":    {minted("system:node:n1", fenced, `null`), `warning: a node was given tokens of fenced`},
		"outside the fence":       {minted(operator.Username(), elsewhere, `["vault"]`), `which is no tenant's fenced one: once, at 2026-11-01T10:00:01Z [audit-outside]`},
		"another audience":        {minted(operator.Username(), fenced, `["vault","aws"]`), `for audience "aws", which is none of "vault": once, at 2026-11-01T10:00:01Z [audit-audience]`},
		"no audience":             {minted(operator.Username(), fenced, `[]`), `for audience "(API server)"`},
		"refused to the operator": {changed(minted(operator.Username(), elsewhere, `null`), func(e *logged) { e.code, e.request = 403, "" }), `warning: "system:serviceaccount:external-secrets:external-secrets" was refused tokens of service account "kube-system/default"`},
		"refused by a policy":     {changed(minted(operator.Username(), fenced, `["x"]`), func(e *logged) { e.code = 422 }), "[audit-refused]"},
		"refused to somebody":     {changed(minted("alice", fenced, `null`), func(e *logged) { e.code, e.request = 403, "" }), `warning: "alice" was refused tokens`},
		"without its body":        {changed(fine, func(e *logged) { e.level, e.request = "Metadata", "" }), "1.log:2:1: this log does not say which audiences tokens were asked for"},
		"a token in the log":      {changed(fine, func(e *logged) { e.level, e.response = "RequestResponse", `{"status":{"token":"ey.SECRET.x"}}` }), "1.log:2:1: this log holds tokens of service accounts"},
		"a written Secret":        {changed(secret, func(e *logged) { e.request = `{"kind":"Secret","data":{"a":"SECRET"}}` }), "this log holds the content of Secrets"},
		"a read Secret": {changed(secret, func(e *logged) {
			e.level, e.verb, e.response = "RequestResponse", "get", `{"kind":"Secret","data":{"a":"SECRET"}}`
		}), "[audit-log-secret]"},
		"a list of Secrets": {changed(secret, func(e *logged) {
			e.level, e.verb, e.response = "RequestResponse", "list", `{"items":[{"data":null},{"data":{"a":"SECRET"}}]}`
		}), "[audit-log-secret]"},
		"a reviewed token": {logged{verb: "create", level: "Request", user: "alice", groups: `"g"`, agent: "v", resource: "tokenreviews", group: "authentication.k8s.io", request: `{"spec":{"token":"SECRET"}}`}, "this log holds tokens that were reviewed"},
		"a token Secret, filled in": {changed(secret, func(e *logged) {
			e.verb, e.user, e.agent = "update", controllers, "kube-controller-manager/v1/x/tokens-controller"
		}), `Kubernetes wrote a token without end into Secret "web/s"`},
		"a token Secret, by type": {changed(secret, func(e *logged) {
			e.request = `{"type":"kubernetes.io/service-account-token","metadata":{"annotations":{"kubernetes.io/service-account.name":"x"}}}`
		}), `of service account "x": once`},
		"a token Secret, warned of": {changed(secret, func(e *logged) {
			e.annotations = `,"validation.policy.admission.k8s.io/validation_failure":"[{\"policy\":\"eso-tenant-external-secrets-token-secret\"}]"`
		}), "only warned of"},
		"a legacy token, used":   {logged{verb: "get", user: fenced.Username(), groups: `"g"`, agent: "curl", resource: "pods", annotations: `,"authentication.k8s.io/legacy-token-manual-secret":"s"`}, "was used, which stands in a Secret"},
		"acting as the operator": {logged{verb: "list", user: "alice", as: operator.Username(), groups: `"g"`, agent: "kubectl", resource: "pods"}, `"alice" acted as "system:serviceaccount:external-secrets:external-secrets"`},
		"acting as a fenced one": {logged{verb: "get", user: "alice", as: fenced.Username(), groups: `"g"`, agent: "kubectl", uri: "/healthz"}, "[audit-impersonation]"},
		"asking what it may":     {logged{verb: "create", user: "alice", as: fenced.Username(), groups: `"g"`, agent: "kubectl", resource: "selfsubjectaccessreviews"}, "warning: \"alice\" acted as"},
		"a changed Role":         {role, `"alice" did "patch" Role "web/eso-tenant-token-vault-access-sa", which is the fence's`},
		"a changed account":      {changed(role, func(e *logged) { e.resource, e.group, e.name = "serviceaccounts", "", fenced.Name }), "[audit-fence-changed]"},
		"all Roles deleted":      {changed(role, func(e *logged) { e.verb, e.name = "deletecollection", "" }), `each Role of namespace "web"`},
		"a refused change":       {changed(role, func(e *logged) { e.code = 403 }), `warning: "alice" was refused to patch Role`},
		"a policy of admission": {changed(role, func(e *logged) {
			e.verb, e.resource, e.group, e.namespace, e.name = "delete", "validatingadmissionpolicybindings", "admissionregistration.k8s.io", "", "eso-tenant-x-mint"
		}), "[audit-fence-changed]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			report := read(t, expected(), "", text(fine, test.event))
			var found problem.List
			for _, p := range report.Problems {
				if p.Rule != problem.AuditLogIncomplete { // the empty log
					found = append(found, p)
				}
			}
			got := lines(found)
			if test.want == "" && got != "" || !strings.Contains(got, test.want) || strings.Count(got, "\n") > 1 {
				t.Errorf("got %s\nwant %s", got, test.want)
			}
			if all := fmt.Sprintf("%+v", report); strings.Contains(all, "SECRET") {
				t.Errorf("the report has what is secret: %s", all)
			}
		})
	}
}

// Acting as the operator is two findings: that it was done, and what was got.
func TestImpersonatedMint(t *testing.T) {
	e := minted("alice", fenced, `["vault"]`)
	e.as = operator.Username()
	got := lines(read(t, expected(), text(e)).Problems)
	for _, want := range []string{"[audit-impersonation]", `"alice", acting as "system:serviceaccount:external-secrets:external-secrets", was given tokens`} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
}

// While the Platform observes, what RBAC would not stop yet is a warning.
func TestObserving(t *testing.T) {
	in := expected()
	in.Observing = true
	report := read(t, in, text(minted(operator.Username(), Account{"a", "b"}, `["vault"]`), minted(operator.Username(), fenced, `["x"]`)))
	if len(report.Problems) != 2 || report.Problems.Errors() != 0 {
		t.Error(lines(report.Problems))
	}
}

func TestUnused(t *testing.T) {
	const day = 24 * time.Hour
	used := minted(operator.Username(), fenced, `["vault"]`)
	other := minted("system:node:n1", Account{"a", "b"}, `null`)
	tests := map[string]struct {
		log  string
		want string
		note bool
	}{
		"never":              {at(0).line(other) + at(31*day).line(other), "tenants/web.yaml:7:9: warning: the operator was given no token of fenced service account \"web/vault-access-sa\" in the 31 days that the events span", false},
		"long ago":           {at(0).line(used) + at(31*day).line(other), "was last given a token of fenced service account \"web/vault-access-sa\" at 2026-11-01T10:00:00Z, 31 days before", false},
		"of late":            {at(0).line(other) + at(31*day).line(used), "", false},
		"by others only":     {at(0).line(other) + at(31*day).line(minted("system:node:n1", fenced, `null`)), "was given no token", false},
		"too short":          {at(0).line(other) + at(29*day).line(other), "", true},
		"of no event's body": {at(0).line(logged{verb: "get", uri: "/healthz"}) + at(31*day).line(other), "was given no token", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			in := expected()
			in.UnusedAfter = 30 * day
			report := read(t, in, test.log)
			var got problem.List
			for _, p := range report.Problems {
				if p.Rule == problem.AuditUnused {
					got = append(got, p)
				}
			}
			if (test.want == "") != (len(got) == 0) || !strings.Contains(lines(got), test.want) || (len(report.Notes) > 0) != test.note {
				t.Errorf("got %snotes %q", lines(got), report.Notes)
			}
		})
	}
}

func TestRows(t *testing.T) {
	report := read(t, expected(), text(
		minted(operator.Username(), fenced, `["vault"]`), minted(operator.Username(), fenced, `["vault","x"]`),
		changed(minted(operator.Username(), fenced, `null`), func(e *logged) { e.code, e.request, e.reason = 403, "", "" }),
		changed(minted(operator.Username(), fenced, `null`), func(e *logged) { e.code, e.request = 500, "" }),
		minted("system:node:n1", Account{"a", "b"}, `null`), minted("system:node:n2", Account{"a", "b"}, `null`),
		changed(minted("system:node:n2", Account{"a", "b"}, `null`), func(e *logged) { e.stage = "RequestReceived" }),
	))
	if len(report.Rows) != 1 || report.Kubelets != (Kubelets{Given: 2, Nodes: 2, Accounts: 1}) {
		t.Fatalf("%+v %+v", report.Rows, report.Kubelets)
	}
	r := report.Rows[0]
	got := fmt.Sprint(r.Class, r.Fenced, r.Given, r.Refused, r.First.Unix()-start0.Unix(), r.Last.Unix()-start0.Unix(), r.Audiences, r.Shortest, r.Longest, r.Unknown, r.Bindings)
	if want := `esotrue 2 1 0 3 [vault x] 600 600 0 [RBAC: allowed by RoleBinding "b/web" of Role "b"]`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if c := report.Coverage; c.Lines != 7 || c.Events != 7 || c.Decoded != 7 || c.Stages != 1 {
		t.Errorf("%+v", c)
	}
}

// A client may choose its audit ID: events with one are told apart.
func TestChosenAuditID(t *testing.T) {
	hidden := minted("alice", fenced, `["vault"]`)
	shown := minted(operator.Username(), fenced, `["vault"]`)
	hidden.id, shown.id = "same", "same"
	report := read(t, expected(), at(0).line(shown)+at(0).line(hidden))
	if report.Coverage.Duplicates != 0 || !strings.Contains(lines(report.Problems), "[audit-requester]") {
		t.Errorf("%+v\n%s", report.Coverage, lines(report.Problems))
	}
}

func TestNothingOfTokens(t *testing.T) {
	got := lines(read(t, expected(), text(logged{verb: "get", resource: "pods"})).Problems)
	if !strings.Contains(got, "audit log: there is no request for a token in the whole log; every node makes some each hour [audit-log-level]") {
		t.Error(got)
	}
}

// A flood of one rule hides no other's finding, and is said.
func TestFlood(t *testing.T) {
	var log strings.Builder
	for i := range maxFindings + 5 {
		e := minted(operator.Username(), Account{"kube-system", fmt.Sprint("sa-", i)}, `null`)
		e.code, e.request = 403, ""
		log.WriteString(at(time.Duration(i)).line(e))
	}
	report := read(t, expected(), log.String()+text(minted("alice", fenced, `["vault"]`)))
	got := lines(report.Problems)
	if len(report.Problems) != maxFindings+2 || !strings.Contains(got, "[audit-requester]") || !strings.Contains(got, "5 events went uncounted [too-many-problems]") {
		t.Errorf("%d problems", len(report.Problems))
	}
}

// Without specifications, findings are those that need none.
func TestUnspecified(t *testing.T) {
	e := minted("alice", fenced, `["vault"]`)
	if report := read(t, &Input{}, text(e)); len(report.Problems) > 0 || len(report.Rows) != 1 || report.Rows[0].Class != Other {
		t.Errorf("%+v\n%s", report.Rows, lines(report.Problems))
	}
}
