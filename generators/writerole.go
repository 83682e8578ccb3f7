package generators

import (
	"slices"

	"github.com/eso-tenant/eso-tenant/generators/eso"
)

// storeless are the features with which ESO writes Secrets in a namespace that
// has no store of its own.
var storeless = []eso.Feature{eso.FeatureClusterSecretStores, eso.FeatureClusterExternalSecrets, eso.FeatureGenerators}

// writeRole hands ESO the writes that were taken out of its ClusterRole, where
// it has something to write.
func writeRole(in input) []Object {
	rules := in.trimmed.NamespaceRole
	writes := len(in.namespace.Stores) > 0 || slices.ContainsFunc(storeless, func(f eso.Feature) bool {
		return slices.Contains(in.platform.ESO.Options.Features, f)
	})
	if len(rules) == 0 || !writes {
		return nil
	}
	return boundRole(
		in.object(kindRole, nameWrites), in.object(kindRoleBinding, nameWrites), fileNamespace(in.namespace.Name),
		rules, esoSubject(in.platform),
	)
}
