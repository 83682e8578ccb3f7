package offboard

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/schema"
)

const head = "apiVersion: eso-tenant.dev/v1alpha1\n"

// decoded is a specification of one cluster: flux is the Platform's, and what
// follows stands below the tenant's namespaces.
func decoded(t testing.TB, platform, namespaces string) []*schema.Cluster {
	t.Helper()
	text := head + `kind: Platform
metadata: {name: eu-1}
spec:
  externalSecrets: {version: v2.9.0, features: [pushSecrets, clusterSecretStores]}
  enforcement: enforce
  tenantPolicy: {overrides: [manage, prune]}
  providers:
    vault:
      audiences: [vault]
      vault: {server: "https://vault.example.com", path: kv, version: v2, auth: {kubernetes: {mountPath: k8s}}}
` + platform + "---\n" + head + "kind: Tenant\nmetadata: {name: web}\nspec:\n  namespaces:\n" + namespaces
	spec, problems, _ := schema.Decode([]schema.Source{{File: "in.yaml", Data: []byte(text)}})
	if problems.Errors() > 0 {
		t.Fatalf("%v\n%s", problems, text)
	}
	return spec.Clusters
}

const (
	someNamespaces = "    web-prod: {stores: {vault: {provider: vault}}}\n    web-data: {prune: true}\n    web-old: {manage: false, stores: {vault: {provider: vault}}}\n"
	withArtifacts  = "  flux: {oci: {url: oci://registry.example.com/fleet}}\n"
)

// titles are the steps, in order.
func titles(p Plan) []string {
	var all []string
	for _, s := range p.Clusters[0].Steps {
		all = append(all, s.Title)
	}
	return all
}

func commands(p Plan) string {
	var all []string
	for _, c := range p.Clusters {
		for _, s := range c.Steps {
			all = append(all, s.Commands...)
		}
	}
	return strings.Join(all, "\n")
}

// The operator keeps its rights until it has cleaned up, and outside is last
// but for the Namespaces.
func TestRemoval(t *testing.T) {
	plan := New(decoded(t, withArtifacts, someNamespaces), Request{Tenant: "web"})
	want := []string{
		"Stop whatever delivers the tenant's own manifests",
		"Remove ExternalSecrets and PushSecrets",
		"Take it out of the specifications, then check, deliver and commit as usual",
		"Wait until it is gone",
		"Take away what is granted outside",
		"Remove the artifact, with the registry's own tool",
		"Keep the Namespaces",
	}
	if diff := cmp.Diff(want, titles(plan)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	text := plan.Text()
	for _, part := range []string{
		"kubectl delete pushsecrets --all -n web-prod", "kubectl delete externalsecrets --all -n web-prod",
		"kubectl wait kustomization/eso-tenant-web -n flux-system --for=delete",
		"Namespace web-prod stays, with all that is in it but ours",
		"Namespace web-data has prune: true: Flux DELETES it",
		"Namespace web-old is not ours (manage: false)",
		"oci://registry.example.com/fleet/eu-1/tenants/web has its manifests",
		`system:serviceaccount:web-prod:vault-access-sa as role "web-prod-vault"; its last token is good for up to 3600 seconds (admission.maxTokenSeconds)`,
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the plan does not say %q:\n%s", part, text)
		}
	}
}

// Without Flux, each kind is deleted by the tenant's label, stores first; in
// observe mode nothing bounds a token.
func TestRemovalWithoutFlux(t *testing.T) {
	clusters := decoded(t, "  admission: {engine: none}\n", "    web-prod: {stores: {vault: {provider: vault}}}\n")
	plan := New(clusters, Request{Tenant: "web"})
	var kinds []string
	for line := range strings.Lines(commands(plan)) {
		if kind, ours := strings.CutPrefix(line, "kubectl delete "); ours && strings.Contains(line, " -l app.kubernetes.io/managed-by=eso-tenant,eso-tenant.dev/tenant=web") {
			kind, _, _ = strings.Cut(kind, " ")
			kinds = append(kinds, kind)
		}
	}
	if want := []string{"secretstore", "rolebinding", "role", "serviceaccount"}; !slices.Equal(kinds, want) {
		t.Errorf("%q, not %q", kinds, want)
	}
	if !strings.Contains(plan.Text(), "600 seconds, or what the provider states; no policy bounds it") {
		t.Errorf("nothing is said of tokens that no policy bounds:\n%s", plan.Text())
	}
}

// One namespace leaves the tenant where it is.
func TestOneNamespace(t *testing.T) {
	plan := New(decoded(t, withArtifacts, someNamespaces), Request{Tenant: "web", Namespace: "web-prod"})
	text := plan.Text()
	if strings.Contains(text, "retired") || strings.Contains(text, "web-data") || strings.Contains(text, "the artifact") || !strings.Contains(text, "remove namespace web-prod") || !strings.Contains(text, "flux reconcile kustomization eso-tenant-web -n flux-system") {
		t.Error(text)
	}
}

// A shared store that names the namespaces has to be looked at, too.
func TestSharedStore(t *testing.T) {
	shared := "  sharedStores: {common: {provider: vault, tenants: [web]}}\n"
	plan := New(decoded(t, shared, someNamespaces), Request{Tenant: "web"})
	if !strings.Contains(plan.Text(), "take web-data, web-old, web-prod out of shared store common") {
		t.Error(plan.Text())
	}
}

// Who gets the objects applies them before who had them may remove any.
func TestMove(t *testing.T) {
	clusters := decoded(t, withArtifacts, someNamespaces)
	whole, part := New(clusters, Request{Tenant: "web", To: "shop"}), New(clusters, Request{Tenant: "web", To: "shop", Namespace: "web-prod"})
	before := []string{"Suspend the old tenant's Kustomization", "Move it in the specifications, then check, deliver and commit as usual", "Wait until the new tenant's Kustomization has applied"}
	if got, want := titles(whole), append(slices.Clone(before), "Remove what nobody took over"); !slices.Equal(got, want) {
		t.Errorf("all: %q", got)
	}
	if got, want := titles(part), append(slices.Clone(before), "Resume the old tenant's Kustomization"); !slices.Equal(got, want) {
		t.Errorf("one: %q", got)
	}
	for _, want := range []string{"flux suspend kustomization eso-tenant-web -n flux-system", "kubectl wait kustomization/eso-tenant-shop", "-l kustomize.toolkit.fluxcd.io/name=eso-tenant-shop", "flux resume kustomization eso-tenant-web"} {
		if !strings.Contains(commands(part), want) {
			t.Errorf("no %s in\n%s", want, commands(part))
		}
	}
	if strings.Contains(commands(part), "kubectl delete") || strings.Contains(commands(whole), "externalsecrets") {
		t.Errorf("a move removes:\n%s\n%s", commands(part), commands(whole))
	}
	if !strings.Contains(whole.Text(), "Namespace web-data has prune: true") {
		t.Errorf("no warning of a Namespace that could be deleted:\n%s", whole.Text())
	}
	without := New(decoded(t, "", someNamespaces), Request{Tenant: "web", To: "shop"})
	if got := commands(without); !strings.Contains(got, "eso-tenant render --cluster eu-1 --tenant shop | kubectl apply") || strings.Contains(got, "flux ") {
		t.Error(got)
	}
}

// Whatever is asked for, a Namespace is deleted only if that is asked for, and
// then at the end; every command names a namespace; and the three ways to write
// a plan say the same.
func TestPlanLaws(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var namespaces strings.Builder
		names := []string{"web", "web-a", "web-b"}[:rapid.IntRange(1, 3).Draw(rt, "namespaces")]
		for _, name := range names {
			stores := rapid.SampledFrom([]string{"{}", "{vault: {provider: vault}}"}).Draw(rt, "stores")
			fmt.Fprintf(&namespaces, "    %s: {manage: %t, prune: %t, stores: %s}\n", name, rapid.Bool().Draw(rt, "manage"), rapid.Bool().Draw(rt, "prune"), stores)
		}
		flux := rapid.SampledFrom([]string{"", withArtifacts, "  flux: {sourceRef: {kind: GitRepository, name: x}}\n"}).Draw(rt, "flux")
		request := Request{
			Tenant: "web", Namespace: rapid.SampledFrom(append([]string{""}, names...)).Draw(rt, "namespace"),
			To: rapid.SampledFrom([]string{"", "shop"}).Draw(rt, "to"), DeleteNamespaces: rapid.Bool().Draw(rt, "delete"),
		}
		if request.To != "" {
			request.DeleteNamespaces = false
		}
		plan := New(decoded(t, flux, namespaces.String()), request)
		if len(plan.Clusters) != 1 {
			rt.Fatalf("%d clusters", len(plan.Clusters))
		}
		steps := plan.Clusters[0].Steps
		for i, s := range steps {
			for _, command := range s.Commands {
				deletes := strings.HasPrefix(command, "kubectl delete namespace ")
				if deletes && (!request.DeleteNamespaces || i != len(steps)-1) {
					rt.Fatalf("step %d: %s", i+1, command)
				}
				if strings.HasPrefix(command, "kubectl ") && !deletes && !strings.HasPrefix(command, "kubectl wait namespace/") && !strings.Contains(command, " -n ") {
					rt.Fatalf("in no namespace: %s", command)
				}
			}
		}
		text, markdown := plan.Text(), plan.Markdown()
		data, err := json.Marshal(plan)
		if err != nil {
			rt.Fatal(err)
		}
		var again Plan
		if err := json.Unmarshal(data, &again); err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(plan, again); diff != "" {
			rt.Fatal(diff)
		}
		for line := range strings.Lines(commands(plan)) {
			if line = strings.TrimSpace(line); !strings.Contains(text, "$ "+line) || !strings.Contains(markdown, "\n"+line+"\n") {
				rt.Fatalf("%s is missing", line)
			}
		}
	})
}
