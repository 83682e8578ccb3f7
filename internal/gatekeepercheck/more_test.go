package gatekeepercheck

import (
	"encoding/json"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
)

// more are rows of the table with a text of the request replaced: what Rego can
// have wrong and CEL has not.
func more(t testing.TB, table []row) []row {
	t.Helper()
	const (
		member     = `"username":"alice"`
		collector  = `"username":"system:serviceaccount:kube-system:generic-garbage-collector"`
		controller = `"username":"system:serviceaccount:eso:blue-external-secrets"`
	)
	var all []row
	for _, m := range []struct{ of, old, with, policy, says string }{
		{"a member, for an account of their own", `"audiences":["vault"]`, `"audiences":[]`, "", ""},
		{"T4 a webhook", member, controller, "store", "a generator that logs in"},
		{"T4 a webhook", `"operation"`, `"subResource":"status","operation"`, "", ""},
		{"E17 no audience", `"operation"`, `"subResource":"status","operation"`, "", ""},
		{"E7 a ClusterExternalSecret", `"operation"`, `"subResource":"status","operation"`, "", ""},
		{"another label", member, collector, "account", "a store uses this service account"},
	} {
		all = append(all, replaced(t, table, m.of, m.old, m.with, m.policy, m.says))
	}
	return all
}

// replaced is the row of that name, with another request and verdict.
func replaced(t testing.TB, table []row, name, old, with, policy, says string) row {
	t.Helper()
	for _, r := range table {
		if r.Name != name {
			continue
		}
		text, err := json.Marshal(r.Request)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), old) {
			t.Fatalf("%s: no %s in %s", name, old, text)
		}
		r = row{Name: name + ", but " + with, Request: &admissionv1.AdmissionRequest{}, Policy: policy, Says: says}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(string(text), old, with)), r.Request); err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Fatalf("no row is called %q", name)
	return row{}
}
