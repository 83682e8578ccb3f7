package adopt

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// tokenEvent is an event of a token request.
func tokenEvent(user, namespace, name string) string {
	quoted, _ := json.Marshal(name) // a text
	return fmt.Sprintf(`{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","stage":"ResponseComplete","verb":"create","user":{"username":%q},"objectRef":{"resource":"serviceaccounts","subresource":"token","namespace":%q,"name":%s,"apiVersion":"v1"},"responseStatus":{"code":201}}`+"\n", user, namespace, quoted)
}

const own = "system:serviceaccount:external-secrets:external-secrets"

func TestAuditLog(t *testing.T) {
	fine := tokenEvent(own, "web", "sa")
	odd := tokenEvent(own, "kube-system", "deployment-controller")
	tests := map[string]struct {
		log      string
		minted   string
		problems string
	}{
		"explained":             {fine + fine, "web/sa 2 true", ""},
		"nothing uses it":       {fine + odd + odd, "kube-system/deployment-controller 2 false, web/sa 1 true", "audit.log:2:1: warning: External Secrets Operator was given 2 tokens of service account kube-system/deployment-controller"},
		"used from everywhere":  {tokenEvent(own, "any", "referent"), "any/referent 1 true", ""},
		"somebody else's":       {tokenEvent("system:node:a", "kube-system", "x") + fine, "web/sa 1 true", ""},
		"refused":               {strings.Replace(odd, "201", "403", 1) + fine, "web/sa 1 true", ""},
		"another stage":         {strings.Replace(odd, "ResponseComplete", "RequestReceived", 1) + fine, "web/sa 1 true", ""},
		"another verb":          {strings.Replace(odd, `"create"`, `"get"`, 1) + fine, "web/sa 1 true", ""},
		"another resource":      {strings.Replace(odd, `"serviceaccounts"`, `"pods"`, 1) + fine, "web/sa 1 true", ""},
		"cut short":             {fine + odd[:100], "web/sa 1 true", "audit.log:2:1: warning: 1 line of this audit log cannot be read"},
		"empty lines":           {"\n" + fine + "\r\n", "web/sa 1 true", ""},
		"no line end":           {strings.TrimSpace(odd), "kube-system/deployment-controller 1 false", "deployment-controller"},
		"a line without end":    {fine + `{"a":"` + strings.Repeat("x", maxEvent) + "\"}\n" + fine, "web/sa 2 true", "audit.log:2:1: warning: 1 line of"},
		"something else":        {"I am a log\nof another kind\n", "", "audit.log: this has no event of audit.k8s.io in it"},
		"nothing":               {"", "", "audit.log: this has no event"},
		"a field of no type":    {strings.Replace(odd, `"user":{`, `"user":[],"x":{`, 1) + fine, "web/sa 1 true", "1 line of"},
		"a name that is a text": {tokenEvent(own, "a", "b\x1b[31m"), "a/b\x1b[31m 1 false", `a/b\x1b[31m`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := auditedCluster(t)
			problems := lines(r.ReadAuditLog("audit.log", strings.NewReader(test.log)))
			var minted []string
			for _, m := range r.Minted {
				minted = append(minted, fmt.Sprintf("%s %d %t", m.Account, m.Count, m.Explained))
			}
			if got := strings.Join(minted, ", "); got != test.minted {
				t.Errorf("got %q, want %q", got, test.minted)
			}
			if !strings.Contains(problems, test.problems) || (test.problems == "") != (problems == "") {
				t.Errorf("got %q, want %q", problems, test.problems)
			}
		})
	}
}

func auditedCluster(t *testing.T) *Result {
	t.Helper()
	r, _ := made(t, Input{Objects: read(t, with(vaultStore("web", "vault", "web", "sa"), account("web", "sa"),
		one("ClusterSecretStore", `vault: {server: "https://v.example.com", auth: {kubernetes: {role: r, serviceAccountRef: {name: referent}}}}`)))})
	return r
}

func TestAuditLogGzipped(t *testing.T) {
	var zipped bytes.Buffer
	w := gzip.NewWriter(&zipped)
	if _, err := w.Write([]byte(tokenEvent(own, "kube-system", "x"))); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	whole := zipped.Bytes()
	r := auditedCluster(t)
	if got := lines(r.ReadAuditLog("a.log.gz", bytes.NewReader(whole))); !strings.Contains(got, "kube-system/x") {
		t.Errorf("got %q", got)
	}
	for name, data := range map[string][]byte{"cut short": whole[:len(whole)-9], "no gzip": []byte("plain"), "empty": nil} {
		r := auditedCluster(t)
		if problems := r.ReadAuditLog("a.log.gz", bytes.NewReader(data)); problems.Errors() != 1 || len(r.Minted) > 0 {
			t.Errorf("%s: got %q, %v", name, lines(problems), r.Minted)
		}
	}
}
