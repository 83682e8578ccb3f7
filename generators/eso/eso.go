// Package eso holds ESO's own roles per chart release, as data with provenance, and works out what can be
// trimmed from them.
//
// One file of releases/ is one chart release: the rules that the chart renders with its default values, and
// the header says from which commit and file. nevertrim.json lists what no trim may take, uses.json which
// feature needs what; both with the reason and the place in ESO's source. Trim filters upstream's rules atom
// by atom (group, resource, verb), so that a trimmed role can only be a part of upstream's. advisories.json
// lists the published weaknesses of ESO itself.
//
// Nothing here does I/O; a file is parsed when its release is asked for.
package eso

import (
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
)

// Trim names rights that are taken out of ESO's ClusterRole. The zero value trims nothing.
type Trim string

// The trims. What TrimSecretWrites and TrimConfigMaps take comes back in Trimmed.NamespaceRole.
const (
	TrimTokens       Trim = "tokens"
	TrimSecretWrites Trim = "secretWrites"
	TrimConfigMaps   Trim = "configMaps"
)

// Trims returns every trim.
func Trims() []Trim {
	return []Trim{TrimTokens, TrimSecretWrites, TrimConfigMaps}
}

// Feature names an optional part of ESO. The zero value is no feature.
type Feature string

// The features. FeatureClusterPushSecrets includes FeaturePushSecrets: a ClusterPushSecret only makes
// PushSecrets, and without their reconciler nothing is pushed.
const (
	FeatureClusterSecretStores    Feature = "clusterSecretStores"
	FeatureClusterExternalSecrets Feature = "clusterExternalSecrets"
	FeaturePushSecrets            Feature = "pushSecrets"
	FeatureClusterPushSecrets     Feature = "clusterPushSecrets"
	FeatureGenerators             Feature = "generators"
	FeatureGenericTargets         Feature = "genericTargets"
)

// Features returns every feature, whether or not a release has it.
func Features() []Feature {
	return []Feature{
		FeatureClusterSecretStores, FeatureClusterExternalSecrets, FeaturePushSecrets,
		FeatureClusterPushSecrets, FeatureGenerators, FeatureGenericTargets,
	}
}

const (
	storeV1      = "external-secrets.io/v1"
	storeV1Beta1 = "external-secrets.io/v1beta1"
)

// Release is one release of ESO's Helm chart. Each Lookup returns one of its own, so a caller may change it.
type Release struct {
	Chart          string              `json:"chart"` // "2.9.0"
	App            string              `json:"app"`   // "v2.9.0"
	Provenance     Provenance          `json:"source"`
	Controller     []rbacv1.PolicyRule `json:"controller"`     // the controller's ClusterRole
	LeaderElection []rbacv1.PolicyRule `json:"leaderElection"` // the Role in ESO's own namespace
	View           Role                `json:"view"`
	Edit           Role                `json:"edit"`
	Values         []string            `json:"values"` // the chart values of interest that this release knows, as dotted paths
	Switches       map[Feature]Switch  `json:"switches"`
	Toggles        map[string]Toggle   `json:"toggles"` // by chart value

	never, uses []Fact // those that hold for this release
}

// Provenance says from which files of which commit a release's rules were rendered.
type Provenance struct {
	Repository     string `json:"repository"`
	Tag            string `json:"tag"`
	Commit         string `json:"commit"`
	Role           File   `json:"role"`
	CertController File   `json:"certController"`
}

// File is a file of upstream's repository.
type File struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// Role is a ClusterRole that the chart makes for people, with the labels that aggregate it.
type Role struct {
	Labels map[string]string   `json:"labels"`
	Rules  []rbacv1.PolicyRule `json:"rules"`
}

// Switch is the chart value of a feature and the controller flag that it sets.
type Switch struct {
	Value string `json:"value"`
	Flag  string `json:"flag"`
}

// Toggle says what setting a chart value does to the rules of Controller.
type Toggle struct {
	SetTo   bool                `json:"setTo"`
	Adds    []rbacv1.PolicyRule `json:"adds,omitempty"`
	Removes []rbacv1.PolicyRule `json:"removes,omitempty"`
}

// Supports reports whether this release has the feature at all.
func (r *Release) Supports(f Feature) bool {
	if f == FeaturePushSecrets || f == FeatureGenerators { // 0.9.0 had both, though the chart had no value for either
		return true
	}
	_, ok := r.Switches[f]
	return ok
}

// HasValue reports whether this release's chart knows the value, given as a dotted path; only for values
// that bear on roles, reconcilers and the webhook's certificate.
func (r *Release) HasValue(path string) bool {
	return slices.Contains(r.Values, path)
}

// StoreAPIVersion returns the newest apiVersion in which this release serves SecretStores, which it also stores.
func (r *Release) StoreAPIVersion() string {
	return r.storeAPIVersions()[0]
}

// StoreAPIVersionFor returns the newest apiVersion in which both releases serve SecretStores; false if there is none.
func StoreAPIVersionFor(a, b *Release) (string, bool) {
	for _, version := range a.storeAPIVersions() {
		if slices.Contains(b.storeAPIVersions(), version) {
			return version, true
		}
	}
	return "", false
}

// storeAPIVersions returns what the release serves, the newest first.
func (r *Release) storeAPIVersions() []string {
	switch {
	case r.before("0.16.0"):
		return []string{storeV1Beta1}
	case r.before("0.17.0"):
		return []string{storeV1, storeV1Beta1}
	}
	return []string{storeV1}
}

// Runs reports whether the release runs the feature's code under these options. A reconciler that the chart
// cannot switch off (PushSecrets before 0.9.2) always runs.
func (r *Release) Runs(f Feature, o Options) bool {
	if slices.Contains(o.Features, f) {
		return r.Supports(f)
	}
	if f != FeaturePushSecrets {
		return false
	}
	_, canSwitch := r.Switches[f]
	return !canSwitch || r.Runs(FeatureClusterPushSecrets, o)
}
