package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// eso-tenant-controller as deploy/ installs it, between Flux's own controllers, on one bed.
func TestController(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{})
	b.StartFlux(t)
	c := b.StartController(t)
	var main *generator
	t.Run("runs", func(t *testing.T) {
		for name, test := range map[string]func(*testing.T, *bed.Bed, *bed.Controller) *generator{
			"tenants": delivered, "suspended": suspended, "deletions": tooManyDeletions,
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if g := test(t, b, c); name == "tenants" {
					main = g
				}
			})
		}
	})
	if t.Failed() {
		return // what comes next stands on it
	}
	for _, step := range []struct {
		name string
		do   func(*testing.T, *generator)
	}{
		{"policies", hostileWrites},
		{"killed", killed},
		{"storage", storageLost},
		{"leader", theOtherTakesOver},
		{"scope", onlyItsNamespace},
		{"shards", shards},
	} {
		t.Run(step.name, func(t *testing.T) { step.do(t, main) })
	}
	nothingForbidden(t, b)
}

// nothingForbidden shows that the rights of deploy/ suffice.
func nothingForbidden(t *testing.T, b *bed.Bed) {
	t.Helper()
	content, err := os.ReadFile(b.Logs() + "/controller.log")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(content)) {
		if strings.Contains(line, "forbidden") {
			t.Error(line)
		}
	}
}

// delivered is what a tenant's life looks like: it is committed, published, applied, and its secrets sync; it changes, is
// broken, mended, comes from a registry, and goes.
func delivered(t *testing.T, b *bed.Bed, c *bed.Controller) *generator {
	t.Helper()
	g := newGenerator(t, b, c, "tenants", "maxDeletions: 10", func(g *generator) { g.fourTenants(t, "ctl") })
	g.Apply(t, sample(t, "kustomization-flux.yaml"))
	g.waitKustomizations(t, "ctl-a", "ctl-b", "ctl-c", "ctl-d")
	g.applied(t)
	g.kstatus(t, g.self, status.CurrentStatus)
	want := []string{"tenants-flux", "tenants-platform", "tenants.ctl-a", "tenants.ctl-b", "tenants.ctl-c", "tenants.ctl-d"}
	if got := slices.Sorted(maps.Keys(g.artifacts(t))); !slices.Equal(got, want) {
		t.Errorf("published are %q", got)
	}

	oneTenantIsRevised(t, g)
	brokenIsNotPublished(t, g)
	fromARegistry(t, g)
	tenantsGo(t, g)
	generatorGoes(t, g)
	return g
}

// oneTenantIsRevised shows that a change of one tenant is one new revision, and that one Kustomization reconciles, and the
// platform's with it.
func oneTenantIsRevised(t *testing.T, g *generator) {
	t.Helper()
	before, applied, counted, told := g.artifacts(t), g.revisions(t), g.reconciliations(t), len(g.controller.EventsOf(g.self))
	g.simple(t, "ctl-a", member("ctl-operators"))
	commit := g.revise(t, "one more member")
	g.publishes(t, commit)
	g.applied(t)
	after := g.artifacts(t)
	if got := changed(before, after); !slices.Equal(got, []string{"tenants.ctl-a"}) {
		t.Errorf("a change of one tenant changed the artifacts %q", got)
	}
	if origin := after["tenants.ctl-a"].origin; origin != "main@sha1:"+commit {
		t.Errorf("the artifact says that it comes from %q", origin)
	}
	if got := changed(applied, g.revisions(t)); !slices.Equal(got, []string{"eso-tenant-ctl-a"}) {
		t.Errorf("there are new revisions of %q", got)
	}
	g.Eventually(t, func(context.Context) error {
		if now := g.reconciliations(t); now["eso-tenant-platform"] == counted["eso-tenant-platform"] {
			return errors.New("the platform has not reconciled with it")
		}
		return nil
	})
	now := g.reconciliations(t)
	if got := changed(counted, now); !slices.Equal(got, []string{"eso-tenant-ctl-a", "eso-tenant-platform"}) {
		t.Errorf("%q reconciled", got)
	}
	for _, name := range changed(counted, now) {
		if n := now[name] - counted[name]; n != 1 {
			t.Errorf("%s reconciled %d times", name, n)
		}
	}
	// What changes nothing is published without a write, and nobody is told.
	g.Eventually(t, func(context.Context) error {
		if n := len(g.controller.EventsOf(g.self)) - told; n != 1 {
			return fmt.Errorf("%d events", n)
		}
		return nil
	})
	versions := g.writes(t)
	g.write(t, "tenants/README.md", "Nothing to expand.\n")
	g.publishes(t, g.revise(t, "a README"))
	g.Reconcile(t, bed.Objects{g.self}) // by requestedAt
	if got := changed(versions, g.writes(t)); len(got) > 0 {
		t.Errorf("%q were written for nothing", got)
	}
	if n := len(g.controller.EventsOf(g.self)) - told; n != 1 {
		t.Errorf("%d events", n)
	}
}

// brokenIsNotPublished shows that one wrong specification keeps everything as it was, and says where it is wrong.
func brokenIsNotPublished(t *testing.T, g *generator) {
	t.Helper()
	versions, there := g.writes(t), g.tenants(t)
	g.simple(t, "ctl-a", member("ctl-later"))
	g.tenant(t, "ctl-c", "{namespaces: {ctl-c: {storse: {jwt: {provider: vault-jwt}}}}}")
	commit := g.revise(t, "broken")
	g.refuses(t, commit, "ValidationFailed", "tenants/ctl-c.yaml:4:", "storse", "stays")
	told := len(g.controller.EventsOf(g.self))
	g.Reconcile(t, bed.Objects{g.self}) // asked again, it says the same
	g.refuses(t, commit, "ValidationFailed", "tenants/ctl-c.yaml:4:")
	if got := changed(versions, g.writes(t)); len(got) > 0 {
		t.Errorf("%q were written", got)
	}
	g.there(t, there...)
	g.Eventually(t, func(context.Context) error {
		events := g.controller.EventsOf(g.self)
		if last := events[len(events)-1]; len(events) < told || last.Severity != "error" || last.Reason != "ValidationFailed" {
			return fmt.Errorf("the last event is %+v", last)
		}
		return nil
	})
	// The other way round: mended, both changes come through.
	g.tenant(t, "ctl-c", "{namespaces: {ctl-c: {stores: {jwt: {provider: vault-jwt}}}}}")
	g.publishes(t, g.revise(t, "mended"))
	if got := changed(versions, g.writes(t)); !slices.Equal(got, []string{"tenants.ctl-a", "tenants.ctl-c"}) {
		t.Errorf("%q were written", got)
	}
	g.applied(t)
}

// fromARegistry shows that the same content from another kind of source changes nothing, and another content does.
func fromARegistry(t *testing.T, g *generator) {
	t.Helper()
	before, versions := g.artifacts(t), g.writes(t)
	digest := g.Registry.Push(t, "specifications", "latest", g.folder)
	repository := g.ApplyYAML(t, fmt.Sprintf(`
apiVersion: source.toolkit.fluxcd.io/v1
kind: OCIRepository
metadata: {name: tenants, namespace: %s}
spec: {interval: 1h, url: "oci://%s/specifications", insecure: true, ref: {tag: latest}}
`, g.namespace, g.Registry.Host))
	g.switchSource(t, "OCIRepository")
	g.publishes(t, digest)
	if got := changed(versions, g.writes(t)); len(got) > 0 {
		t.Errorf("another source with the same content wrote %q", got)
	}
	g.simple(t, "ctl-a", member("ctl-pushed"))
	digest = g.Registry.Push(t, "specifications", "latest", g.folder)
	g.Reconcile(t, repository)
	g.publishes(t, digest)
	if got := changed(before, g.artifacts(t)); !slices.Equal(got, []string{"tenants.ctl-a"}) {
		t.Errorf("a push of one tenant changed %q", got)
	}
	g.applied(t)
	commit := g.revise(t, "as pushed") // first: else what Git had before would be published in between
	g.switchSource(t, "GitRepository")
	g.publishes(t, commit)
	g.Delete(t, repository)
}

func (g *generator) switchSource(t *testing.T, kind string) {
	t.Helper()
	if err := g.PatchAs(t.Context(), g.self, "kubectl", `{"spec": {"sourceRef": {"kind": "`+kind+`"}}}`); err != nil {
		t.Fatal(err)
	}
}

// tenantsGo shows what Flux prunes of a tenant whose file goes, and what it does not.
func tenantsGo(t *testing.T, g *generator) {
	t.Helper()
	before, data := g.rendered(t), g.data(t, "ctl-b")
	g.data(t, "ctl-d")
	g.remove(t, "ctl-b")
	g.remove(t, "ctl-d")
	g.publishes(t, g.revise(t, "without b and d"))
	for _, tenant := range []string{"ctl-b", "ctl-d"} {
		g.gone(t, g.kustomization("eso-tenant-"+tenant), object("source.toolkit.fluxcd.io/v1", "ExternalArtifact", g.namespace, "tenants."+tenant))
	}
	g.gone(t, before.InNamespace("ctl-b").Not("Namespace")...)
	g.there(t, data, object("v1", "Namespace", "", "ctl-b"))
	g.gone(t, object("v1", "Namespace", "", "ctl-d")) // which it may delete
	g.there(t, before.InNamespace("ctl-a")...)
	g.applied(t)
}

// generatorGoes shows that what was applied outlives the TenantGenerator, and that its Kustomizations find it again.
func generatorGoes(t *testing.T, g *generator) {
	t.Helper()
	there, before := g.tenants(t), g.artifacts(t)
	g.Delete(t, bed.Objects{g.self})
	if left := g.artifacts(t); len(left) > 0 {
		t.Errorf("it left %q", slices.Sorted(maps.Keys(left)))
	}
	orphan := bed.Objects{g.kustomization("eso-tenant-ctl-a")}
	g.Reconcile(t, orphan)
	g.WaitSays(t, orphan[0], "Ready", "False", "not found")
	g.there(t, there...)
	g.self = g.ApplyYAML(t, `
apiVersion: flux.eso-tenant.dev/v1alpha1
kind: TenantGenerator
metadata: {name: tenants, namespace: flux-system}
spec: {sourceRef: {kind: GitRepository, name: tenants}}
`)[0]
	g.WaitReady(t, bed.Objects{g.self})
	for name, now := range g.artifacts(t) {
		if now.Digest != before[name].Digest || now.Revision != before[name].Revision {
			t.Errorf("%s is %+v, was %+v", name, now, before[name])
		}
	}
	g.waitKustomizations(t, "ctl-a", "ctl-c")
}

// suspended shows that a TenantGenerator that is suspended does nothing but end, beside one of the same source that works.
func suspended(t *testing.T, b *bed.Bed, c *bed.Controller) *generator {
	t.Helper()
	g := newGenerator(t, b, c, "awake", "maxDeletions: 0", func(g *generator) { g.simple(t, "sleeper") })
	asleep := &generator{workspace: g.workspace, controller: c, name: "asleep", source: g.source}
	asleep.self = g.ApplyYAML(t, `
apiVersion: flux.eso-tenant.dev/v1alpha1
kind: TenantGenerator
metadata: {name: asleep, namespace: flux-system}
spec: {sourceRef: {kind: GitRepository, name: awake}}
`)[0]
	g.WaitReady(t, bed.Objects{asleep.self})
	suspend := func(to string) {
		t.Helper()
		if err := g.PatchAs(t.Context(), asleep.self, "flux", `{"spec": {"suspend": `+to+`}}`); err != nil {
			t.Fatal(err)
		}
	}
	suspend("true")
	versions, before := asleep.writes(t), g.artifacts(t)
	g.simple(t, "sleeper", member("sleepers"))
	commit := g.revise(t, "one more member")
	g.publishes(t, commit)
	if got := changed(before, g.artifacts(t)); !slices.Equal(got, []string{"awake.sleeper"}) {
		t.Errorf("%q changed", got)
	}
	if got := changed(versions, asleep.writes(t)); len(got) > 0 {
		t.Errorf("suspended, it wrote %q", got)
	}
	// The other way round: resumed, it catches up. And it ends while it is suspended.
	suspend("false")
	asleep.publishes(t, commit)
	suspend("true")
	g.Delete(t, bed.Objects{asleep.self})
	if left := asleep.artifacts(t); len(left) > 0 {
		t.Errorf("it left %q", slices.Sorted(maps.Keys(left)))
	}
	if len(g.artifacts(t)) != 3 {
		t.Errorf("the other's are %q", slices.Sorted(maps.Keys(g.artifacts(t))))
	}
	g.Delete(t, bed.Objects{g.self, g.source})
	return g
}

// tooManyDeletions shows that more tenants than are allowed do not vanish, and do once they are allowed.
func tooManyDeletions(t *testing.T, b *bed.Bed, c *bed.Controller) *generator {
	t.Helper()
	g := newGenerator(t, b, c, "few", "maxDeletions: 1", func(g *generator) {
		for _, name := range []string{"few-a", "few-b", "few-c"} {
			g.simple(t, name)
		}
	})
	versions := g.writes(t)
	g.remove(t, "few-a")
	g.remove(t, "few-b")
	commit := g.revise(t, "without a and b")
	g.refuses(t, commit, "DeletionsRefused", "2 tenants would vanish", "maxDeletions allows 1", "few-a", "few-b")
	if got := changed(versions, g.writes(t)); len(got) > 0 {
		t.Errorf("%q were written", got)
	}
	if err := g.PatchAs(t.Context(), g.self, "kubectl", `{"spec": {"maxDeletions": 2}}`); err != nil {
		t.Fatal(err)
	}
	g.publishes(t, commit)
	if got := slices.Sorted(maps.Keys(g.artifacts(t))); !slices.Equal(got, []string{"few-flux", "few-platform", "few.few-c"}) {
		t.Errorf("published are %q", got)
	}
	g.Delete(t, bed.Objects{g.self, g.source})
	return g
}
