package adopt

import (
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
)

// FuzzMake reads whatever somebody takes for a dump. What is made of it is a
// specification without mistakes, or nothing, and then it is said why.
func FuzzMake(f *testing.F) {
	f.Add(with(vaultStore("web", "vault", "web", "sa"), account("web", "sa")))
	f.Add(with(one("ClusterSecretStore", `vault: {server: "https://v.example.com", auth: {jwt: {role: r, kubernetesServiceAccountToken: {serviceAccountRef: {name: sa, namespace: external-secrets}}}}}`), usesCluster))
	f.Add(with(one("SecretStore", `future: {a: [{serviceAccountRef: {name: sa}}], b: 1.5, c: null}`)))
	f.Fuzz(func(t *testing.T, text string) {
		set, problems := inventory.Read(slices.Values([]inventory.Source{{File: "dump", Reader: strings.NewReader(text)}}), Kinds)
		if len(problems) > 0 {
			return
		}
		r, refused := Make(Input{Objects: set.Objects})
		if r == nil {
			if refused.Errors() == 0 {
				t.Error("nothing was made, and nothing is wrong")
			}
			return
		}
		rendered(t, r)
		_ = r.Plan()
	})
}
