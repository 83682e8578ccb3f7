package adopt

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/schema"
)

// doc is one document of a specification.
type doc = map[string]any

const anyPlatform = `
apiVersion: eso-tenant.dev/v1alpha1
kind: Platform
metadata: {name: eu-1}
spec:
  externalSecrets: {version: 2.9.0}
  enforcement: enforce
  providers:
    vault: {audiences: [vault, second], vault: {server: "https://vault.example.com", path: kv, version: v2, auth: {kubernetes: {mountPath: k8s}}}}
    vault-2: {audiences: [vault], vault: {server: "https://two.example.com", version: v2, auth: {kubernetes: {mountPath: kubernetes}}}}
    vault-jwt: {vault: {server: "https://vault.example.com", path: kv, auth: {jwt: {path: jwt}}}}
    aws: {audiences: [extra], aws: {service: SecretsManager, region: eu-west-1}}
    azure: {azurekv: {vaultUrl: "https://a.vault.azure.net", tenantId: 5e5f1f3e-0000-4000-8000-000000000000}}
    azure-any: {azurekv: {vaultUrl: "https://b.vault.azure.net"}}
    gcp: {gcpsm: {projectID: acme, auth: {workloadIdentity: {clusterProjectID: acme, clusterLocation: eu, clusterName: prod}}}}
    hub: {audiences: [hub], kubernetes: {server: {url: "https://hub.example.com", caProvider: {type: ConfigMap, name: ca, key: ca.crt}}, remoteNamespace: common}}
    conjur: {audiences: [conjur], conjur: {url: "https://c.example.com", auth: {jwt: {account: a, serviceID: "010"}}}}
    doppler: {doppler: {project: p, config: c, auth: {oidcConfig: {}}}}
    pulumi: {pulumi: {organization: o, project: p, environment: e, auth: {oidcConfig: {organization: o, expirationSeconds: 600}}}}
    crd: {audiences: [hub], crd: {server: {url: "https://hub.example.com"}, resource: {group: example.com, version: v1, kind: Widget}}}
    future: {audiences: [f], custom: {provider: {future: {url: "https://f.example.com", auth: {id: x}}}, serviceAccountRef: future.auth.serviceAccountRef}}
  tenantPolicy:
    identities: {vault: [.*], vault-2: [.*], vault-jwt: [.*], aws: [.*], azure: [.*], azure-any: [.*], gcp: [.*], hub: [.*], conjur: [.*], doppler: [.*]}
    overrides: [manage]
`

// identityOf draws the tenant's part for a provider. Names are from small pools,
// so that identities are shared between tenants too.
func identityOf(t *rapid.T, provider string) doc {
	pick := func(values ...string) string { return rapid.SampledFrom(values).Draw(t, "identity") }
	id := func() string {
		return fmt.Sprintf("%08d-0000-4000-8000-000000000000", rapid.IntRange(1, 4).Draw(t, "id"))
	}
	d := doc{}
	perhaps := func(key, value string) {
		if rapid.Bool().Draw(t, key) {
			d[key] = value
		}
	}
	switch provider {
	case "vault", "vault-jwt":
		perhaps("role", pick("app", "yes", "a b", "x.y", "1e3"))
		perhaps("path", pick("kv", "other", "kv/deep"))
	case "vault-2":
		perhaps("role", pick("app", "role{tenant}"))
	case "aws":
		d["roleARN"] = "arn:aws:iam::123456789012:role/" + pick("one", "web", "web-prod")
	case "azure":
		d["clientID"] = id()
	case "azure-any":
		d["clientID"], d["tenantID"] = id(), id()
	case "gcp":
		perhaps("serviceAccount", pick("first-one", "second-one")+"@acme.iam.gserviceaccount.com")
	case "hub":
		perhaps("remoteNamespace", pick("common", "web-remote"))
	case "conjur":
		d["hostID"] = pick("host/a", "host/web/eso")
	case "doppler":
		d["identity"] = id()
		perhaps("config", pick("c", "d"))
	case "pulumi":
		perhaps("environment", pick("e", "f"))
	}
	return d
}

var anyProvider = []string{"vault", "vault-2", "vault-jwt", "aws", "azure", "azure-any", "gcp", "hub", "conjur", "doppler", "pulumi", "crd", "future"}

func drawTenants(t *rapid.T) []schema.Source {
	sources := []schema.Source{{File: "platform.yaml", Data: []byte(anyPlatform)}}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"web", "payments", "kustomization", "true", "007"}), 1, 4, rapid.ID[string]).Draw(t, "tenants") {
		namespaces := doc{}
		for _, suffix := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"", "-prod", "-dev"}), 1, 3, rapid.ID[string]).Draw(t, "namespaces") {
			stores := doc{}
			for _, store := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"vault", "main", "no", "12"}), 1, 3, rapid.ID[string]).Draw(t, "stores") {
				provider := rapid.SampledFrom(anyProvider).Draw(t, "provider")
				s := doc{"provider": provider, "identity": identityOf(t, provider), "shared": true}
				if rapid.Bool().Draw(t, "own account") {
					s["serviceAccount"] = store + rapid.SampledFrom([]string{"-sa", ""}).Draw(t, "account")
				}
				stores[store] = s
			}
			namespaces[name+suffix] = doc{"stores": stores}
		}
		data, err := json.Marshal(doc{"apiVersion": "eso-tenant.dev/v1alpha1", "kind": "Tenant", "metadata": doc{"name": name}, "spec": doc{"namespaces": namespaces}})
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, schema.Source{File: name + ".json", Data: data})
	}
	return sources
}

// What was rendered from any tenants, and then adopted, renders to the same
// stores.
func TestAdoptedRendersTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sources := drawTenants(t)
		before := built(t, sources...)
		r, problems := made(t, Input{Objects: append(before, read(t, strings.ReplaceAll(base, "0.20.4", "2.9.0"))...), TenantLabel: "eso-tenant.dev/tenant"})
		after := rendered(t, r)
		for i := range before {
			was := &before[i]
			if was.Kind != "SecretStore" {
				continue
			}
			is := named(after, "SecretStore", was.Namespace+"/"+was.Name)
			if is == nil {
				t.Fatalf("%s/%s is lost:\n%s", was.Namespace, was.Name, lines(problems))
			}
			if diff := cmp.Diff(plainSpec(was), plainSpec(is)); diff != "" {
				t.Fatalf("%s/%s: %s\n%s", was.Namespace, was.Name, diff, specification(r))
			}
			if tenant := named(after, "SecretStore", was.Namespace+"/"+was.Name).Text("metadata", "labels", "eso-tenant.dev/tenant"); tenant != was.Text("metadata", "labels", "eso-tenant.dev/tenant") {
				t.Fatalf("%s/%s is of tenant %s", was.Namespace, was.Name, tenant)
			}
			sa := was.Namespace + "/" + selectors(was.Get("spec", "provider")).account
			if diff := cmp.Diff(named(before, "ServiceAccount", sa).Get("metadata", "annotations"), named(after, "ServiceAccount", sa).Get("metadata", "annotations")); diff != "" {
				t.Fatalf("ServiceAccount %s: %s", sa, diff)
			}
		}
	})
}

// plainSpec is a store's spec with the order of audiences out of the way.
func plainSpec(o *inventory.Object) any {
	s := selectors(o.Get("spec", "provider"))
	return []any{s.rest, s.account, sorted(s.audiences)}
}
