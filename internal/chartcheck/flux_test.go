package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// fluxManifests are what Flux itself installs: its roles, bindings, service accounts and network policies. Its Deployments
// are in other repositories, and give nobody a right.
func fluxManifests(t *testing.T) string {
	t.Helper()
	folder := filepath.Join(download(t, "github.com/fluxcd/flux2/v2", "v2.7.0", "h1:EW2pNcZUBAN5MCRly5p4agQeGrZXvHTlE5cNAEta4Dk="), "manifests")
	dir := t.TempDir()
	kustomization := "namespace: flux-system\nresources: [rbac, policies, install/namespace.yaml"
	for _, part := range []string{"rbac", "policies", "install", "bases"} {
		if err := os.CopyFS(filepath.Join(dir, part), os.DirFS(filepath.Join(folder, part))); err != nil {
			t.Fatal(err)
		}
	}
	accounts, err := filepath.Glob(filepath.Join(dir, "bases", "*", "account.yaml"))
	if err != nil || len(accounts) < 6 {
		t.Fatal(accounts, err)
	}
	for _, account := range accounts {
		relative, err := filepath.Rel(dir, account)
		if err != nil {
			t.Fatal(err)
		}
		kustomization += ", " + relative
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), []byte(kustomization+"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		t.Fatal(err)
	}
	text, err := built.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestFluxIsNoAlarm: of Flux in the cluster, a proof says nothing. All of its controllers may mint tokens of any service
// account, and so of External Secrets Operator's own, but a policy refuses just these; without the policy, that is told of
// each. Those that have the cluster anyway are not told of.
func TestFluxIsNoAlarm(t *testing.T) {
	rendering, problems := fn.Build([]schema.Source{{File: "spec.yaml", Data: []byte(proofSpec("v2.9.0", "replace"))}})
	if problems.Errors() > 0 {
		t.Fatal(problems)
	}
	in, err := rendering.Expectation()
	if err != nil {
		t.Fatal(err)
	}
	ours, flux := stream(t, rendering), fluxManifests(t)
	in.Objects = manifests(t, ours)
	alone := verify.Check(in).Problems
	in.Objects = manifests(t, ours+"---\n"+flux)
	if n := len(in.Objects) - len(manifests(t, ours)); n < 10 {
		t.Fatalf("of Flux there are %d objects", n)
	}
	report := verify.Check(in)
	if diff := cmp.Diff(alone, report.Problems); diff != "" {
		t.Errorf("with Flux (-without +with):\n%s", diff)
	}
	if !slices.ContainsFunc(report.Closed, func(c verify.Closed) bool {
		return c.Rule == problem.MintAny && strings.HasSuffix(c.Policy.Name, "-minter")
	}) {
		t.Errorf("nothing says that a policy closes it: %v", report.Closed)
	}

	// The other way round: without its binding, the policy counts for nothing.
	in.Objects = slices.DeleteFunc(in.Objects, func(o inventory.Object) bool {
		return o.Kind == "ValidatingAdmissionPolicyBinding" && strings.HasSuffix(o.Name, "-minter")
	})
	told := map[string]bool{}
	for _, p := range verify.Check(in).Problems {
		if len(p.Because) > 1 && strings.Contains(p.Because[0], "ClusterRoleBinding crd-controller") && strings.Contains(p.Because[1], "allows to create serviceaccounts/token") {
			told[p.Message] = true
		}
	}
	if len(told) == 0 {
		t.Error("without the policy's binding, none of Flux's controllers is told of")
	}
}
