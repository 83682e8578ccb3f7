package eso

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPostRenderers(t *testing.T) {
	tokens := Options{Trims: []Trim{TrimTokens}}
	want := []any{map[string]any{"kustomize": map[string]any{"patches": []any{
		map[string]any{"patch": "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: external-secrets-controller\n"},
		map[string]any{
			"target": map[string]any{"group": "rbac.authorization.k8s.io", "version": "v1", "kind": "ClusterRole", "name": "external-secrets-controller"},
			"patch": "- op: test\n  path: /rules/7\n  value: {apiGroups: [\"\"], resources: [serviceaccounts/token], verbs: [create]}\n" +
				"- op: remove\n  path: /rules/7\n",
		},
	}}}}
	if diff := cmp.Diff(want, mustLookup(t, "0.20.4").PostRenderers("external-secrets", tokens)); diff != "" {
		t.Error(diff)
	}
	for _, tc := range []struct {
		version string
		options Options
		want    bool
	}{
		{"0.9.0", tokens, true}, {"2.4.1", tokens, true}, {"2.5.0", tokens, false}, {"2.4.1", Options{}, false},
	} {
		if got := mustLookup(t, tc.version).PostRenderers("x", tc.options) != nil; got != tc.want {
			t.Errorf("%s %v: post-renderers %v, want %v", tc.version, tc.options, got, tc.want)
		}
	}
}

// Which rules stand before the one that goes depends on the features. Rendered: templates/rbac.yaml at each tag.
func TestPatchedRule(t *testing.T) {
	for _, tc := range []struct {
		version  string
		features []Feature
		want     string
	}{
		{"0.9.0", nil, "/rules/6"},
		{"0.20.4", nil, "/rules/7"},
		{"0.20.4", []Feature{FeatureClusterExternalSecrets}, "/rules/8"},
		{"2.4.1", []Feature{FeatureGenericTargets}, "/rules/8"},
		{"2.4.1", []Feature{FeatureGenericTargets, FeatureClusterExternalSecrets}, "/rules/9"},
	} {
		patch := lastPatch(mustLookup(t, tc.version).PostRenderers("x", Options{Trims: Trims(), Features: tc.features}))
		if strings.Count(patch, tc.want+"\n") != 2 {
			t.Errorf("%s, features %v: not %s in\n%s", tc.version, tc.features, tc.want, patch)
		}
	}
}

func TestControllerRoleName(t *testing.T) {
	long := strings.Repeat("a", 70)
	for release, want := range map[string]string{
		"external-secrets":       "external-secrets-controller",
		"my-external-secrets-eu": "my-external-secrets-eu-controller",
		"eso":                    "eso-external-secrets-controller",
		long:                     long[:63] + "-controller",
		long[:62]:                long[:62] + "-controller", // cut off behind the hyphen
	} {
		if got := ControllerRoleName(release); got != want {
			t.Errorf("%s: %s, want %s", release, got, want)
		}
	}
}
