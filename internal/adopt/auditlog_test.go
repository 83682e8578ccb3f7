package adopt

import (
	"fmt"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/verify"
)

func TestExplain(t *testing.T) {
	mints := func(n int, namespace, name string) Minted {
		return Minted{Account: verify.Account{Namespace: namespace, Name: name}, Count: n}
	}
	for name, test := range map[string]struct {
		log      []Minted
		minted   string
		problems string
		note     string
	}{
		"explained":             {[]Minted{mints(2, "web", "sa")}, "web/sa 2 true", "", "of 1 service account"},
		"nothing uses it":       {[]Minted{mints(1, "web", "sa"), mints(2, "kube-system", "root")}, "kube-system/root 2 false, web/sa 1 true", "audit.log: warning: External Secrets Operator was given 2 tokens of service account kube-system/root", "of 2 service accounts"},
		"used from everywhere":  {[]Minted{mints(1, "any", "referent")}, "any/referent 1 true", "", "of 1"},
		"nothing":               {nil, "", "", "does its policy log create of serviceaccounts/token?"},
		"a name that is a text": {[]Minted{mints(1, "a", "b\x1b[31m")}, "a/b\x1b[31m 1 false", `a/b\x1b[31m`, "of 1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := auditedCluster(t)
			problems := lines(r.Explain("audit.log", test.log))
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
			if note := r.Notes[len(r.Notes)-1]; !strings.Contains(note, test.note) {
				t.Errorf("the note is %q, want %q", note, test.note)
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
