package eso

import (
	"encoding/json"
	"testing"
)

func TestValues(t *testing.T) {
	stores := Options{Trims: Trims(), Features: []Feature{FeatureClusterSecretStores}}
	for _, tc := range []struct {
		version string
		options Options
		values  func(*Release, Options) map[string]any
		want    string
	}{
		{"0.9.0", stores, (*Release).ChartValues, `{"certController":{"create":false},"processClusterExternalSecret":false,"processClusterStore":true,"rbac":{"create":false},"webhook":{"certManager":{"enabled":true}}}`},
		{"2.9.0", stores, (*Release).ChartValues, `{"certController":{"create":false},"genericTargets":{"enabled":false},"processClusterExternalSecret":false,"processClusterPushSecret":false,"processClusterStore":true,"processPushSecret":false,"rbac":{"create":false},"webhook":{"certManager":{"enabled":true}}}`},
		{"2.9.0", Options{Features: []Feature{FeatureClusterPushSecrets, FeatureGenericTargets}}, (*Release).ChartValues, `{"certController":{"create":false},"genericTargets":{"enabled":true},"processClusterExternalSecret":false,"processClusterPushSecret":true,"processClusterStore":false,"processPushSecret":true,"rbac":{"create":false},"webhook":{"certManager":{"enabled":true}}}`},
		// The chart would take away reads of clustersecretstores along with the reconciler.
		{"2.9.0", Options{Trims: Trims()}, (*Release).HelmValues, `{"certController":{"create":false},"genericTargets":{"enabled":false},"processClusterExternalSecret":false,"processClusterPushSecret":false,"processClusterStore":true,"processPushSecret":false,"rbac":{"aggregateToAdmin":false,"aggregateToEdit":false,"serviceAccountTokenCreate":false},"webhook":{"certManager":{"enabled":true}}}`},
		{"0.15.0", Options{Trims: Trims()}, (*Release).HelmValues, `{"certController":{"create":false},"processClusterExternalSecret":false,"processClusterPushSecret":false,"processClusterStore":false,"processPushSecret":false,"webhook":{"certManager":{"enabled":true}}}`},
	} {
		got, err := json.Marshal(tc.values(mustLookup(t, tc.version), tc.options))
		if err != nil || string(got) != tc.want {
			t.Errorf("%s %v: %v\n got %s\nwant %s", tc.version, tc.options, err, got, tc.want)
		}
	}
}

// TestHelmValuesKeepWhatESONeeds applies the toggles that the values pull and looks for what never may go.
func TestHelmValuesKeepWhatESONeeds(t *testing.T) {
	never := readFacts(t, neverTrimJSON)
	for _, v := range Versions() {
		r := mustLookup(t, v)
		for _, features := range subsets(Features()) {
			values := r.HelmValues(Options{Trims: Trims(), Features: features})
			for path, toggle := range r.Toggles {
				if values[path] != toggle.SetTo { // top-level values only: the reconcilers'
					continue
				}
				for _, a := range atoms(toggle.Removes) {
					if neverTrimmed(never, r, a) {
						t.Errorf("%s, features %v: %s takes away %s", v, features, path, text(a))
					}
				}
			}
		}
	}
}
