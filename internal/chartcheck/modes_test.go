package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// releases are names of the Helm release: the chart adds its own name to one that does not have it.
var releases = []string{"external-secrets", "eso"}

var mint = eso.Atom{Resource: "serviceaccounts/token", Verb: "create"}

// TestModes renders each chart as each mode has it installed, for every set of features, and holds what ESO's service
// account then may do to what generators/eso says.
func TestModes(t *testing.T) {
	for _, c := range charts(t) {
		t.Run(c.Metadata.Version, func(t *testing.T) {
			t.Parallel()
			r := mustLookup(t, c.Chart)
			for i, features := range subsets(eso.Features()) {
				o := eso.Options{Trims: eso.Trims(), Features: features}
				release := releases[i%len(releases)]
				t.Logf("%s, features %v", release, features)
				checkReplace(t, c.Chart, r, release, o)
				checkHelmValues(t, c.Chart, r, release, o)
			}
			for _, release := range releases {
				checkNone(t, c.Chart, r, release)
			}
		})
	}
}

// checkReplace: the chart binds nothing at all, so that ESO has what our own roles grant and no more.
func checkReplace(t *testing.T, c *chart.Chart, r *eso.Release, release string, o eso.Options) {
	t.Helper()
	files := mustRender(t, c, release, r.ChartValues(o))
	for _, object := range mustObjects(t, files) {
		if strings.HasSuffix(object.Kind, "Role") || strings.HasSuffix(object.Kind, "RoleBinding") {
			t.Errorf("replace: the chart still makes %s %s", object.Kind, object.Metadata.Name)
		}
	}
	checkReconcilers(t, r, files[deploymentTemplate], func(f eso.Feature) bool { return r.Runs(f, o) })
}

// checkHelmValues: the chart binds its own role, trimmed by values and by patches.
func checkHelmValues(t *testing.T, c *chart.Chart, r *eso.Release, release string, o eso.Options) {
	t.Helper()
	files := mustRender(t, c, release, r.HelmValues(o))
	before := mustObjects(t, files)
	after := before
	postRenderers := r.PostRenderers(release, o)
	if len(postRenderers) > 0 {
		checkHeld(t, "helmValues without post-renderers", before, release, r.HelmRules(eso.Options{Features: o.Features}), r.LeaderElection)
		var err error
		if after, err = postRender(t, files, postRenderers); err != nil {
			t.Fatal(err)
		}
		if len(after) != len(before) {
			t.Errorf("the post-renderers make %d objects of %d", len(after), len(before))
		}
	}
	checkHeld(t, "helmValues", after, release, r.HelmRules(o), r.LeaderElection)
	for _, object := range after {
		if rightsOf(object.Rules)[mint] {
			t.Errorf("helmValues: %s %s has the right to mint", object.Kind, object.Metadata.Name)
		}
		if value := "rbac.aggregateToEdit"; r.HasValue(value) && object.Metadata.Labels[aggregation+"edit"] != "" {
			t.Errorf("helmValues: %s %s is aggregated to edit, in spite of %s", object.Kind, object.Metadata.Name, value)
		}
	}
	values := r.HelmValues(o)
	checkReconcilers(t, r, files[deploymentTemplate], func(f eso.Feature) bool {
		on, ok := values[r.Switches[f].Value].(bool)
		return ok && on || r.Runs(f, o)
	})
}

// checkNone: the chart is as upstream has it.
func checkNone(t *testing.T, c *chart.Chart, r *eso.Release, release string) {
	t.Helper()
	checkHeld(t, "none", mustObjects(t, mustRender(t, c, release, nil)), release, r.Untrimmed(eso.Options{}), r.LeaderElection)
}

// checkHeld compares what the objects let ESO's service account do, cluster-wide and in its own namespace.
func checkHeld(t *testing.T, what string, all []object, release string, cluster, own []rbacv1.PolicyRule) {
	t.Helper()
	account := strings.TrimSuffix(eso.ControllerRoleName(release), "-controller")
	if diff := cmp.Diff(rightsOf(cluster), rightsOf(held(t, all, account, ""))); diff != "" {
		t.Errorf("%s: ESO's rights in the cluster (-said +rendered):\n%s", what, diff)
	}
	if diff := cmp.Diff(own, held(t, all, account, namespace)); diff != "" {
		t.Errorf("%s: ESO's rights in its namespace (-said +rendered):\n%s", what, diff)
	}
}

// held returns the rules that are bound to a service account: in a namespace, or cluster-wide with "".
func held(t *testing.T, all []object, account, in string) []rbacv1.PolicyRule {
	t.Helper()
	var rules []rbacv1.PolicyRule
	for _, binding := range all {
		bound := slices.ContainsFunc(binding.Subjects, func(s rbacv1.Subject) bool {
			return s.Kind == "ServiceAccount" && s.Name == account && s.Namespace == namespace
		})
		if !bound || binding.Metadata.Namespace != in {
			continue
		}
		role := slices.IndexFunc(all, func(o object) bool {
			return o.Kind == binding.RoleRef.Kind && o.Metadata.Name == binding.RoleRef.Name && (o.Kind == "ClusterRole" || o.Metadata.Namespace == in)
		})
		if role < 0 {
			t.Fatalf("%s %s is to a role that the chart does not make", binding.Kind, binding.Metadata.Name)
		}
		rules = append(rules, all[role].Rules...)
	}
	return rules
}

// checkReconcilers looks at what the controller is started with: a reconciler that is on, but whose rights are gone,
// would block ESO.
func checkReconcilers(t *testing.T, r *eso.Release, deployment string, on func(eso.Feature) bool) {
	t.Helper()
	for feature, s := range r.Switches {
		usual := feature != eso.FeatureGenericTargets
		if said := on(feature); strings.Contains(deployment, s.Flag+"=") != (said != usual) {
			t.Errorf("reconciler of %s: on should be %v, but the flag %s says otherwise", feature, said, s.Flag)
		}
	}
}

// TestPostRenderersFailLoudly: a chart that is not what the patches are for is not passed over in silence.
func TestPostRenderersFailLoudly(t *testing.T) {
	for _, c := range charts(t) {
		t.Run(c.Metadata.Version, func(t *testing.T) {
			t.Parallel()
			checkLoudly(t, c.Chart)
		})
	}
}

func checkLoudly(t *testing.T, c *chart.Chart) {
	t.Helper()
	r, o := mustLookup(t, c), eso.Options{Trims: eso.Trims()}
	if r.PostRenderers("external-secrets", o) == nil {
		return // the chart needs none
	}
	elsewhere := mustLookup(t, c)
	elsewhere.Controller = slices.Insert(elsewhere.Controller, 0, elsewhere.Controller[0])
	for name, tc := range map[string]struct {
		release *eso.Release
		values  map[string]any
		want    string
	}{
		"another name":      {r, map[string]any{"fullnameOverride": "other"}, "no resource matches"},
		"no role":           {r, map[string]any{"rbac": map[string]any{"create": false}}, "no resource matches"},
		"the rule is moved": {elsewhere, elsewhere.HelmValues(o), "test failed"},
	} {
		files := mustRender(t, c, "external-secrets", tc.values)
		_, err := postRender(t, files, tc.release.PostRenderers("external-secrets", o))
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: error %v, want %q", name, err, tc.want)
		}
	}
}

// postRender does to rendered files what Flux's helm-controller does with a HelmRelease's spec.postRenderers.
func postRender(t *testing.T, files map[string]string, postRenderers []any) ([]object, error) {
	t.Helper()
	var stream strings.Builder
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if strings.HasSuffix(name, ".yaml") {
			stream.WriteString("---\n" + files[name] + "\n")
		}
	}
	for _, item := range postRenderers {
		kustomization, ok := item.(map[string]any)["kustomize"].(map[string]any)
		if !ok {
			t.Fatalf("no post-renderer of Flux's: %v", item)
		}
		kustomization["resources"] = []string{"all.yaml"}
		text, err := yaml.Marshal(kustomization)
		if err != nil {
			t.Fatal(err)
		}
		disk := filesys.MakeFsInMemory()
		for name, content := range map[string]string{"kustomization.yaml": string(text), "all.yaml": stream.String()} {
			if err := disk.WriteFile(name, []byte(content)); err != nil {
				t.Fatal(err)
			}
		}
		built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, ".")
		if err != nil {
			return nil, err
		}
		if text, err = built.AsYaml(); err != nil {
			return nil, err
		}
		stream.Reset()
		stream.Write(text)
	}
	return parse(stream.String())
}

func mustRender(t *testing.T, c *chart.Chart, release string, values map[string]any) map[string]string {
	t.Helper()
	files, err := render(c, release, values)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func mustObjects(t *testing.T, files map[string]string) []object {
	t.Helper()
	all, err := objects(files)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func subsets[T any](all []T) [][]T {
	sets := make([][]T, 1<<len(all))
	for bits := range sets {
		for i, x := range all {
			if bits>>i&1 == 1 {
				sets[bits] = append(sets[bits], x)
			}
		}
	}
	return sets
}
