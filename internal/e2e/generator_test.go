package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// generator is a workspace that a TenantGenerator expands, from a Git repository of its own name, in Flux's namespace.
type generator struct {
	*workspace
	controller *bed.Controller
	name       string
	head       string                     // the last commit
	source     *unstructured.Unstructured // the GitRepository
	self       *unstructured.Unstructured // the TenantGenerator
}

// newGenerator writes the Platform's file. `write` writes tenants; they are committed, and then the two objects are made.
// `spec` are lines of the TenantGenerator's, in flow style, behind its source.
func newGenerator(t *testing.T, b *bed.Bed, c *bed.Controller, name, spec string, write func(*generator)) *generator {
	t.Helper()
	folder, err := os.MkdirTemp(b.Folder, name+"-") //nolint:usetesting // it outlives a subtest
	if err != nil {
		t.Fatal(err)
	}
	g := &generator{
		workspace:  &workspace{Bed: b, folder: folder, namespace: bed.FluxNamespace, applier: "eso-tenant-applier"},
		controller: c, name: name,
	}
	g.lines = "tenantPolicy: {overrides: [prune], namespaces: ['{tenant}(-.*)?']}"
	g.writePlatform(t)
	write(g)
	g.furnish(t)
	commit := g.Git.Commit(t, name, g.folder, "first")
	g.source = g.ApplyYAML(t, fmt.Sprintf(`
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: %s, namespace: %s}
spec: {interval: 1h, url: %s/%[1]s.git, ref: {branch: main}}
`, name, g.namespace, g.Git.URL))[0]
	g.self = g.ApplyYAML(t, fmt.Sprintf(`
apiVersion: flux.eso-tenant.dev/v1alpha1
kind: TenantGenerator
metadata: {name: %[1]s, namespace: %[2]s}
spec: {sourceRef: {kind: GitRepository, name: %[1]s}, interval: 1h, %[3]s}
`, name, g.namespace, spec))[0]
	g.publishes(t, commit)
	return g
}

// simple writes a tenant with a namespace of its name and one store; `more` is further of its spec, in flow style.
func (g *generator) simple(t *testing.T, name string, more ...string) {
	t.Helper()
	g.tenant(t, name, "{"+strings.Join(append(more, "namespaces: {"+name+": {stores: {vault: {provider: vault}}}}"), ", ")+"}")
}

// member is what a tenant says of one more member.
func member(name string) string { return "members: [{kind: Group, name: " + name + ", role: view}]" }

// revise makes what is in the work tree the repository's next commit, and has source-controller fetch it.
func (g *generator) revise(t *testing.T, message string) (commit string) {
	t.Helper()
	commit = g.Git.Commit(t, g.name, g.folder, message)
	g.head = commit
	g.Reconcile(t, bed.Objects{g.source})
	return commit
}

// publishes waits until a commit, or what else a revision ends with, is published.
func (g *generator) publishes(t *testing.T, revision string) {
	t.Helper()
	g.Eventually(t, func(ctx context.Context) error {
		got, err := g.Get(ctx, g.self)
		if err != nil {
			return err
		}
		published, _, _ := unstructured.NestedString(got.Object, "status", "publishedSourceRevision")
		conditions, _, _ := unstructured.NestedSlice(got.Object, "status", "conditions")
		state, err := status.Compute(got)
		if err == nil && (!strings.HasSuffix(published, revision) || state.Status != status.CurrentStatus) {
			err = fmt.Errorf("%s has published %q, not %s: %v", g.name, published, revision, conditions)
		}
		return err
	})
}

// refuses waits until a commit was handled and refused for a reason, with texts in what is said; and checks that Flux's
// tools take it neither for done nor for failed for ever.
func (g *generator) refuses(t *testing.T, commit, reason string, texts ...string) {
	t.Helper()
	g.WaitSays(t, g.self, "Ready", "False", commit)
	_, got, message := g.Condition(t, g.self, "Ready")
	for _, text := range texts {
		if !strings.Contains(message, text) {
			t.Errorf("%s says %q, and not %q", g.name, message, text)
		}
	}
	if got != reason {
		t.Errorf("%s is refused for %s, want %s", g.name, got, reason)
	}
	g.kstatus(t, g.self, status.InProgressStatus)
}

// kstatus checks what `flux` and `kubectl wait` make of an object.
func (g *generator) kstatus(t *testing.T, object *unstructured.Unstructured, want status.Status) {
	t.Helper()
	got, err := g.Get(t.Context(), object)
	if err != nil {
		t.Fatal(err)
	}
	state, err := status.Compute(got)
	if err != nil || state.Status != want {
		t.Errorf("kstatus of %s %s is %v (%v), want %s", got.GetKind(), got.GetName(), state, err, want)
	}
}

// externalArtifacts are those of the TenantGenerator, by name.
func (g *generator) externalArtifacts(ctx context.Context) (map[string]*unstructured.Unstructured, error) {
	resource, err := g.Resource(object("source.toolkit.fluxcd.io/v1", "ExternalArtifact", g.namespace, "").GroupVersionKind(), g.namespace)
	if err != nil {
		return nil, err
	}
	list, err := resource.List(ctx, metav1.ListOptions{LabelSelector: "flux.eso-tenant.dev/generator=" + g.name})
	if err != nil {
		return nil, err
	}
	byName := map[string]*unstructured.Unstructured{}
	for i := range list.Items {
		byName[list.Items[i].GetName()] = &list.Items[i]
	}
	return byName, nil
}

// artifact is what an ExternalArtifact names.
type artifact struct{ Path, URL, Revision, Digest, origin string }

func artifactOf(o *unstructured.Unstructured) artifact {
	text := func(path ...string) string {
		value, _, _ := unstructured.NestedString(o.Object, append([]string{"status", "artifact"}, path...)...)
		return value
	}
	return artifact{text("path"), text("url"), text("revision"), text("digest"), text("metadata", "org.opencontainers.image.revision")}
}

// artifacts are what the TenantGenerator has published, by name.
func (g *generator) artifacts(t *testing.T) map[string]artifact {
	t.Helper()
	all, err := g.externalArtifacts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]artifact{}
	for name, one := range all {
		named[name] = artifactOf(one)
	}
	return named
}

// writes are the versions of the ExternalArtifacts: each write makes another.
func (g *generator) writes(t *testing.T) map[string]string {
	t.Helper()
	all, err := g.externalArtifacts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for name, one := range all {
		versions[name] = one.GetResourceVersion()
	}
	return versions
}

// sample is an object of a file of deploy/samples, as a user applies it.
func sample(t *testing.T, name string) bed.Objects {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "..", "deploy", "samples", name))
	if err != nil {
		t.Fatal(err)
	}
	objects, err := bed.Parse(string(content))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// applied waits until Flux has applied what is published: each part by a Kustomization, and secrets are synced.
func (g *generator) applied(t *testing.T) {
	t.Helper()
	for name, one := range g.artifacts(t) {
		switch tenant, isTenant := strings.CutPrefix(name, g.name+"."); {
		case isTenant:
			g.settled(t, "eso-tenant-"+tenant, one.Revision)
		case name == g.name+"-platform":
			g.settled(t, "eso-tenant-platform", one.Revision)
		default:
			g.settled(t, g.name, one.Revision)
		}
	}
	g.synced(t)
}
