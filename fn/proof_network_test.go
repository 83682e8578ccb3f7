package fn

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// A proof is told which network policies are meant, if the Platform asks for any.
func TestExpectedNetwork(t *testing.T) {
	const platform = "apiVersion: eso-tenant.dev/v1alpha1\nkind: Platform\nmetadata: {name: eu-1}\nspec:\n" +
		"  externalSecrets: {version: v2.9.0, release: blue, namespace: secrets}\n  enforcement: enforce\n  providers: {}\n"
	pods := func(name string) map[string]string {
		return map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "blue"}
	}
	for network, want := range map[string]*verify.Network{
		"": nil,
		"  network: {flavour: Cilium, apiServer: {ports: [6443]}}\n": {
			Namespace: "secrets",
			Pods:      []map[string]string{pods("external-secrets"), pods("external-secrets-webhook"), pods("external-secrets-cert-controller")},
			Policies:  []string{"eso-tenant-blue-network-controller", "eso-tenant-blue-network-webhook", "eso-tenant-blue-network-cert-controller"},
		},
	} {
		rendering, problems := Build([]schema.Source{{File: "platform.yaml", Data: []byte(platform + network)}})
		if problems.Errors() > 0 {
			t.Fatal(problems)
		}
		in, err := rendering.Expectation()
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, in.Network); diff != "" {
			t.Errorf("%q (-want +got):\n%s", strings.TrimSpace(network), diff)
		}
	}
}
