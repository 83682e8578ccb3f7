package generators

import (
	"slices"
	"testing"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// platformOn is an enforcing Platform as schema.Decode resolves it.
func platformOn(t testing.TB, version string, options eso.Options) *schema.Platform {
	t.Helper()
	release, err := eso.Lookup(version)
	if err != nil {
		t.Fatal(err)
	}
	return &schema.Platform{
		Name: "eu-1", Enforcement: schema.Enforce,
		ESO: schema.ESO{
			Release: release, RBAC: schema.Replace, StoreAPIVersion: release.StoreAPIVersion(), Namespace: "external-secrets", ServiceAccount: "external-secrets", HelmRelease: "external-secrets",
			Options: options,
		},
	}
}

// method is the one with the id, which has to be there.
func method(id string) eso.Method {
	i := slices.IndexFunc(eso.Methods(), func(m eso.Method) bool { return m.ID == id })
	return eso.Methods()[i]
}

// someTenant has a namespace with the stores of one provider each, two of which share a service account.
func someTenant() *schema.Tenant {
	vault := &schema.Provider{
		Name: "vault", Method: method("vault-kubernetes"), Audiences: []string{"vault"},
		Spec: map[string]any{"server": "https://vault.example.com", "auth": map[string]any{"kubernetes": map[string]any{}}},
	}
	aws := &schema.Provider{
		Name: "aws", Method: method("aws"),
		Spec: map[string]any{"service": "SecretsManager", "region": "eu-west-1"},
	}
	local := &schema.Provider{
		Name: "local", Method: method("kubernetes"), SameCluster: true, Audiences: []string{"https://kubernetes.default.svc"},
		Secrets: []string{"{tenant}-ca"}, Spec: map[string]any{"remoteNamespace": "shared"},
	}
	return &schema.Tenant{
		Name:    "payments",
		Members: []schema.Member{{Kind: "Group", Name: "devs", Role: "view"}},
		Namespaces: []*schema.Namespace{{
			Name: "payments-prod", Managed: true, DefaultDeny: true, AllowDNS: true,
			Quota:  map[string]string{"pods": "50"},
			Limits: []schema.Limit{{Type: "Container", Default: map[string]string{"memory": "512Mi"}}},
			Stores: []*schema.Store{
				{Name: "aws", Provider: aws, ServiceAccount: "aws-access-sa", Identity: schema.Identity{"roleARN": "arn:aws:iam::123456789012:role/payments"}},
				{Name: "local", Provider: local, ServiceAccount: "vault-access-sa"},
				{Name: "vault", Provider: vault, ServiceAccount: "vault-access-sa", Identity: schema.Identity{"role": "payments"}},
			},
		}},
	}
}
