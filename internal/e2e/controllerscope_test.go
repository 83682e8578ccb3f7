package e2e

import (
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// elsewhere is a TenantGenerator in a namespace of its own, of a source in Flux's.
const elsewhere = `
apiVersion: flux.eso-tenant.dev/v1alpha1
kind: TenantGenerator
metadata: {name: abroad, namespace: team}
spec: {sourceRef: {kind: GitRepository, name: tenants, namespace: flux-system}}
`

// onlyItsNamespace shows that the controller of one namespace takes no source from another, and handles nothing there; and
// that the component all-namespaces makes that all, unless a flag forbids it.
func onlyItsNamespace(t *testing.T, g *generator) {
	t.Helper()
	first := g.controller.First
	g.ApplyYAML(t, "{apiVersion: v1, kind: Namespace, metadata: {name: team}}")
	abroad := g.ApplyYAML(t, elsewhere)[0]
	foreign := g.ApplyYAML(t, strings.NewReplacer("abroad", "foreign", "namespace: flux-system", "namespace: team", "namespace: team", "namespace: flux-system").Replace(elsewhere))[0]
	first.Restart(t)
	g.WaitSays(t, foreign, "Stalled", "True", "AccessDenied")
	g.WaitSays(t, foreign, "Ready", "False", "across namespaces")
	g.kstatus(t, foreign, status.FailedStatus)
	if found, _, _ := g.Condition(t, abroad, "Ready"); found != "" {
		t.Errorf("one of another namespace is handled: Ready=%s", found)
	}
	g.Delete(t, bed.Objects{foreign})
	first.Stop()

	g.controller.Install(t, "all-namespaces")
	first.Restart(t)
	g.WaitReady(t, bed.Objects{abroad})
	there := &generator{workspace: &workspace{Bed: g.Bed, namespace: "team"}, name: "abroad"}
	if got := there.artifacts(t); len(got) != len(g.artifacts(t)) || !strings.Contains(got["abroad-platform"].URL, "/externalartifact/team/abroad-platform/") {
		t.Errorf("published are %v", got)
	}
	first.Stop()
	first.Restart(t, "--no-cross-namespace-refs")
	g.Reconcile(t, bed.Objects{abroad})
	g.WaitSays(t, abroad, "Stalled", "True", "AccessDenied")
	g.Delete(t, bed.Objects{abroad})
	first.Stop()
}

// shards shows that each of two shards handles the TenantGenerators of its label, with a lease, an address and a storage of
// its own, and that Flux fetches from both.
func shards(t *testing.T, g *generator) {
	t.Helper()
	g.controller.Install(t, "samples/shard")
	rest := g.controller.First
	rest.Restart(t)
	shard := g.controller.Replica(t, "shard1", "eso-tenant-controller-shard1")
	g.Eventually(t, rest.Ready)
	g.Eventually(t, shard.Ready)
	labelled := g.ApplyYAML(t, `
apiVersion: flux.eso-tenant.dev/v1alpha1
kind: TenantGenerator
metadata: {name: labelled, namespace: flux-system, labels: {sharding.fluxcd.io/key: shard1}}
spec: {sourceRef: {kind: GitRepository, name: tenants}}
`)
	g.WaitReady(t, labelled)
	of := map[string]*bed.Replica{"labelled": shard, "tenants": rest}
	before := g.artifacts(t)
	g.simple(t, "ctl-a", member("sharded"))
	g.publishes(t, g.revise(t, "for both"))
	if got := changed(before, g.artifacts(t)); len(got) != 1 {
		t.Errorf("%q changed", got)
	}
	for name, owner := range of {
		one := &generator{workspace: g.workspace, controller: g.controller, name: name, self: object("flux.eso-tenant.dev/v1alpha1", "TenantGenerator", "flux-system", name)}
		one.publishes(t, g.head)
		for artifact, is := range one.artifacts(t) {
			if code, _, err := g.controller.Fetch(t.Context(), is.URL); code != 200 {
				t.Errorf("%s answers %d (%v) for %s", is.URL, code, err, artifact)
			}
			for other, replica := range of {
				if code, _, err := replica.Fetch(t.Context(), is.Path); (code == 200) != (replica == owner) {
					t.Errorf("who has %s answers %d (%v) for %s", other, code, err, artifact)
				}
			}
		}
	}
	g.applied(t)
	g.Delete(t, labelled)
	shard.Stop()
}
