package eso

import (
	"errors"
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/semver"
	rbacv1 "k8s.io/api/rbac/v1"
)

func TestVersionsAscend(t *testing.T) {
	versions := Versions()
	files, err := fs.Glob(releases, "releases/*")
	if err != nil || len(files) != len(versions) {
		t.Fatalf("%d files in releases/, %d versions, error %v", len(files), len(versions), err)
	}
	for i, v := range versions {
		if !semver.IsValid("v" + v) {
			t.Errorf("%s is not a version", v)
		}
		if i > 0 && compare(versions[i-1], v) >= 0 {
			t.Errorf("%s comes after %s", v, versions[i-1])
		}
	}
	if first, last := versions[0], versions[len(versions)-1]; first != "0.9.0" || len(versions) < 72 || compare(last, "2.9.0") < 0 {
		t.Errorf("%d versions from %s to %s", len(versions), first, last)
	}
}

func TestLookup(t *testing.T) {
	for _, tc := range []struct{ version, want, nearest string }{
		{version: "2.9.0", want: "2.9.0"},
		{version: "v2.9.0", want: "2.9.0"},
		{version: "v0.9.15-2", want: "0.9.15-2"},
		{version: "2.10.0", nearest: Versions()[len(Versions())-1]},
		{version: "v1.3.0", nearest: "1.2.1"}, // an app release without a chart
		{version: "0.9.15", nearest: "0.9.15-2"},
		{version: "0.1.0", nearest: "0.9.0"},
		{version: "latest"},
		{version: ""},
		{version: "../nevertrim"},
		{version: "vv2.9.0"},
	} {
		r, err := Lookup(tc.version)
		if tc.want != "" {
			if err != nil || r.Chart != tc.want {
				t.Errorf("Lookup(%q) = %v, %v; want chart %s", tc.version, r, err, tc.want)
			}
			continue
		}
		var unknown *UnknownVersionError
		if !errors.As(err, &unknown) || unknown.Nearest != tc.nearest || unknown.Version != tc.version {
			t.Errorf("Lookup(%q): %v; want nearest %q", tc.version, err, tc.nearest)
		}
	}
}

// TestHeaders also holds the data to the shape that trim.go relies on: no wildcards, names or URLs in the
// controller's rules, one API group per rule.
func TestHeaders(t *testing.T) {
	hash, commit := regexp.MustCompile(`^[0-9a-f]{64}$`), regexp.MustCompile(`^[0-9a-f]{40}$`)
	for _, v := range Versions() {
		r := mustLookup(t, v)
		p := r.Provenance
		for what, ok := range map[string]bool{
			"chart":                    r.Chart == v,
			"app":                      r.App == "v"+v,
			"source.tag":               p.Tag == "helm-chart-"+v,
			"source.commit":            commit.MatchString(p.Commit),
			"source.repository":        p.Repository == "external-secrets/external-secrets",
			"source.role.sha256":       hash.MatchString(p.Role.SHA256),
			"source.role.path":         strings.HasSuffix(p.Role.Path, "/templates/rbac.yaml"),
			"source.certController":    hash.MatchString(p.CertController.SHA256) && strings.HasSuffix(p.CertController.Path, "/templates/cert-controller-rbac.yaml"),
			"leaderElection":           len(r.LeaderElection) > 0,
			"view":                     r.View.Labels["rbac.authorization.k8s.io/aggregate-to-view"] == "true" && len(r.View.Rules) > 0,
			"edit":                     r.Edit.Labels["rbac.authorization.k8s.io/aggregate-to-edit"] == "true" && len(r.Edit.Rules) > 0,
			"values":                   slices.IsSorted(r.Values) && r.HasValue("rbac.create") && r.HasValue("webhook.certManager.enabled"),
			"switches are values":      switchesAreValues(r),
			"toggles are values":       togglesAreValues(r),
			"controller rules":         len(r.Controller) > 0 && !slices.ContainsFunc(r.Controller, odd),
			"view is read-only":        readOnly(r.View.Rules),
			"no secrets in view, edit": !mentions(r.View.Rules, "secrets") && !mentions(r.Edit.Rules, "secrets"),
		} {
			if !ok {
				t.Errorf("releases/%s.json: wrong %s", v, what)
			}
		}
	}
}

func odd(r rbacv1.PolicyRule) bool {
	return len(r.APIGroups) != 1 || len(r.Resources) == 0 || len(r.Verbs) == 0 || len(r.ResourceNames) > 0 || len(r.NonResourceURLs) > 0 ||
		slices.ContainsFunc(slices.Concat(r.APIGroups, r.Resources, r.Verbs), func(s string) bool { return strings.Contains(s, "*") })
}

func switchesAreValues(r *Release) bool {
	for f, s := range r.Switches {
		if !slices.Contains(Features(), f) || !r.HasValue(s.Value) || !strings.HasPrefix(s.Flag, "--") {
			return false
		}
	}
	return true
}

func togglesAreValues(r *Release) bool {
	for value, toggle := range r.Toggles {
		if !r.HasValue(value) || slices.ContainsFunc(slices.Concat(toggle.Adds, toggle.Removes), odd) {
			return false
		}
		for _, a := range atoms(toggle.Removes) {
			if !allows(r.Controller, a) {
				return false
			}
		}
	}
	return true
}

func readOnly(rules []rbacv1.PolicyRule) bool {
	return !slices.ContainsFunc(atoms(rules), func(a Atom) bool {
		return !slices.Contains([]string{"get", "list", "watch"}, a.Verb)
	})
}

func mentions(rules []rbacv1.PolicyRule, resource string) bool {
	return slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, resource) })
}

func TestStoreAPIVersion(t *testing.T) {
	for version, want := range map[string]string{
		"0.9.0": "external-secrets.io/v1beta1", "0.15.1": "external-secrets.io/v1beta1",
		"0.16.0": "external-secrets.io/v1", "0.17.0": "external-secrets.io/v1", "2.9.0": "external-secrets.io/v1",
	} {
		if got := mustLookup(t, version).StoreAPIVersion(); got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
}

func TestSupports(t *testing.T) {
	for f, since := range map[Feature]string{
		FeatureClusterSecretStores: "0.9.0", FeatureClusterExternalSecrets: "0.9.0", FeaturePushSecrets: "0.9.0",
		FeatureClusterPushSecrets: "0.15.0", FeatureGenerators: "0.9.0", FeatureGenericTargets: "1.0.0",
	} {
		for _, v := range Versions() {
			if got, want := mustLookup(t, v).Supports(f), compare(v, since) >= 0; got != want {
				t.Errorf("%s supports %s: %v, want %v", v, f, got, want)
			}
		}
	}
	if mustLookup(t, "2.9.0").Supports("") {
		t.Error("the zero feature is supported")
	}
}

func mustLookup(t testing.TB, version string) *Release {
	t.Helper()
	r, err := Lookup(version)
	if err != nil {
		t.Fatal(err)
	}
	return r
}
