package fn

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	yamlv3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/kustomize/kyaml/fn/framework"
	"sigs.k8s.io/kustomize/kyaml/kio"

	"github.com/eso-tenant/eso-tenant/schema"
)

// fuzzPlatform lets tenants state all that a Platform can let them state.
const fuzzPlatform = `
apiVersion: eso-tenant.dev/v1alpha1
kind: Platform
metadata: {name: eu-1}
spec:
  externalSecrets: {version: v2.9.0, features: [genericTargets, generators]}
  enforcement: enforce
  providers:
    vault: {audiences: [vault], vault: {server: "https://vault.example.com", auth: {kubernetes: {}}}}
    aws-eu: {aws: {service: SecretsManager, region: eu-west-1}}
    one-directory: {azurekv: {vaultUrl: "https://acme.vault.azure.net"}}
    gcp: {gcpsm: {projectID: acme, auth: {workloadIdentity: {clusterProjectID: acme, clusterLocation: europe-west1, clusterName: eu-1}}}}
    hub: {audiences: [hub], kubernetes: {server: {url: "https://hub.example.com"}, remoteNamespace: shared}}
    local: {sameCluster: true, secrets: [ca, "{tenant}-{namespace}"], kubernetes: {remoteNamespace: platform-shared}}
  tenantPolicy:
    identities: {vault: [.*], aws-eu: [.*], one-directory: [.*], gcp: [.*], hub: [.*], local: [.*]}
    podSecurity: privileged
    memberKinds: [Group, User, ServiceAccount]
    labels: [cost-centre]
    annotations: [example.com/owner]
    overrides: [quota, limits, network]
  namespaceDefaults: {podSecurity: restricted, network: {defaultDeny: true}}
`

// FuzzBuildRender reads anything as tenants beside a Platform. What is accepted is rendered to objects, and the fence
// holds, whatever the tenants say.
func FuzzBuildRender(f *testing.F) {
	for _, in := range goldenCases(f) {
		for _, src := range goldenInputs(f, filepath.Join(goldenDir, in)) {
			f.Add(tenantsOnly(string(src.Data)))
		}
	}
	f.Add([]byte("apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: t}\nspec: {namespaces: {t: {quota: {pods: 1.5Gi}, stores: {local: {provider: local, identity: {remoteNamespace: t}}}}}}\n"))
	f.Add([]byte("apiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: t}\nspec: {members: [{kind: ServiceAccount, name: external-secrets, namespace: external-secrets, role: edit}], namespaces: {t: {}}}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		rendering, _ := Build([]schema.Source{
			{File: "platform.yaml", Data: []byte(fuzzPlatform)}, {File: "tenants.yaml", Data: data},
		})
		if rendering == nil || len(rendering.Clusters()) != 1 {
			return // refused, or with a Platform of its own, which may open the fence as it likes
		}
		members, owned := claimsOf(rendering)
		fence, err := newFence(streamOf(t, rendering, Selection{}), owned)
		if err != nil {
			t.Fatal(err)
		}
		for _, problem := range fence.check(true, members) {
			t.Error(problem)
		}
	})
}

// tenantsOnly keeps of a stream what is no Platform.
func tenantsOnly(stream string) []byte {
	var kept []string
	for document := range strings.SplitSeq(stream, "---\n") {
		if !strings.Contains(document, "\nkind: Platform\n") {
			kept = append(kept, document)
		}
	}
	return []byte(strings.Join(kept, "---\n"))
}

// claimsOf is who claims what, as read. A subject that two tenants name is nobody's to tell apart.
func claimsOf(r *Rendering) (members, owned map[string]string) {
	members, owned = map[string]string{}, map[string]string{}
	for _, cluster := range r.clusters {
		for _, tenant := range cluster.Tenants {
			for _, namespace := range tenant.Namespaces {
				owned[namespace.Name] = tenant.Name
			}
			for _, m := range tenant.Members {
				subject := m.Kind + " " + m.Namespace + "/" + m.Name
				if other, named := members[subject]; named && other != tenant.Name {
					members[subject] = anyTenant
					continue
				}
				members[subject] = tenant.Name
			}
		}
	}
	return members, owned
}

// FuzzRun reads anything as a ResourceList. What comes out is one, and carries an error if and only if there was one.
func FuzzRun(f *testing.F) {
	for _, in := range goldenCases(f) {
		for _, src := range goldenInputs(f, filepath.Join(goldenDir, in)) {
			f.Add(src.Data)
			f.Add(asResourceList(f, string(src.Data)))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var out bytes.Buffer
		problems, err := Run(bytes.NewReader(data), &out)
		if err != nil {
			if out.Len() > 0 {
				t.Fatalf("an error (%v) and output", err)
			}
			return
		}
		if out.Len() == 0 {
			return // there was nothing
		}
		var answer struct {
			Kind    string
			Items   []yamlv3.Node // as they came: not all that is YAML is JSON
			Results []struct{ Severity framework.Severity }
		}
		if err := yamlv3.Unmarshal(out.Bytes(), &answer); err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
		failed := false
		for _, result := range answer.Results {
			failed = failed || result.Severity == framework.Error
		}
		if failed != (problems.Errors() > 0) || len(answer.Results) != len(problems.Sorted()) {
			t.Errorf("problems %v, results %v", problems, answer.Results)
		}
	})
}

// asResourceList wraps the documents of a stream; those that are no YAML stay out.
func asResourceList(f *testing.F, stream string) []byte {
	f.Helper()
	nodes, err := (&kio.ByteReader{Reader: strings.NewReader(stream), OmitReaderAnnotations: true}).Read()
	if err != nil {
		return []byte(stream)
	}
	var list bytes.Buffer
	err = kio.ByteWriter{Writer: &list, WrappingAPIVersion: kio.ResourceListAPIVersion, WrappingKind: kio.ResourceListKind}.Write(nodes)
	if err != nil {
		f.Fatal(err)
	}
	return list.Bytes()
}
