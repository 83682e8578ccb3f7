package generators

import (
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// referencePolicy looks at what asks for secrets in tenants' namespaces, or
// pushes them: it is of the kinds that the Platform uses, names stores and
// generators of kinds that are kept by storePolicy, and, where the Platform
// says so, only keys that begin as the tenant's do. What is in no namespace
// makes such objects in namespaces, and they are looked at there.
func referencePolicy(p *schema.Platform) policy {
	return policy{
		what:        "reference",
		rules:       []admissionv1.NamedRuleWithOperations{on("CREATE UPDATE", storeGroup, "*", "externalsecrets clusterexternalsecrets pushsecrets clusterpushsecrets")},
		conditions:  []admissionv1.MatchCondition{changed},
		variables:   slices.Concat(boundVariables(p), referenceVariables(p)),
		validations: referenceValidations(p),
	}
}

func referenceVariables(p *schema.Platform) []admissionv1.Variable {
	variables := []admissionv1.Variable{
		{Name: "used", Expression: "request.kind.kind in " + list(usedKinds(p)...)},
		{Name: "looked", Expression: "variables.bound && variables.used"},
		{Name: "pushes", Expression: "request.kind.kind == 'PushSecret'"},
		{Name: "data", Expression: "object.spec.?data.orValue([])"},
		{Name: "from", Expression: "object.spec.?dataFrom.orValue([])"},
		{Name: "to", Expression: "object.spec.?dataTo.orValue([])"},
		{Name: "sources", Expression: "variables.data.map(d, d.?sourceRef.orValue({})) + variables.from.map(d, d.?sourceRef.orValue({})) + [object.spec.?selector.orValue({})]"},
		{Name: "stores", Expression: "[object.spec.?secretStoreRef.orValue({})] + object.spec.?secretStoreRefs.orValue([]) + " +
			"variables.sources.map(s, s.?storeRef.orValue({})) + variables.to.map(t, t.?storeRef.orValue({}))"},
		{Name: "generators", Expression: "variables.sources.filter(s, 'generatorRef' in s).map(s, s.generatorRef.?kind.orValue(''))"},
	}
	if len(p.KeyPrefixes) == 0 {
		return variables
	}
	return append(
		variables,
		admissionv1.Variable{Name: "tenant", Expression: "namespaceObject.metadata.?labels[?" + quote(LabelTenant) + "].orValue('')"},
		admissionv1.Variable{Name: "prefixes", Expression: prefixes(p.KeyPrefixes)},
		// Where one names a pattern, or labels, in place of a key, the key is empty, and begins with nothing.
		admissionv1.Variable{Name: "keys", Expression: "variables.pushes ? variables.data.map(d, d.match.remoteRef.remoteKey) + variables.to.map(t, t.?remoteKey.orValue('')) : " +
			"variables.data.map(d, d.?remoteRef.?key.orValue('')) + " +
			"variables.from.filter(d, !d.?sourceRef.?generatorRef.hasValue()).map(d, d.?extract.?key.orValue(d.?find.?path.orValue(d.?key.orValue(''))))"},
	)
}

// usedKinds are those of the features in use, and ExternalSecrets.
func usedKinds(p *schema.Platform) []string {
	features := p.ESO.Options.Features
	kinds := []string{"ExternalSecret"}
	if slices.Contains(features, eso.FeatureClusterExternalSecrets) {
		kinds = append(kinds, "ClusterExternalSecret")
	}
	if slices.Contains(features, eso.FeaturePushSecrets) || slices.Contains(features, eso.FeatureClusterPushSecrets) {
		kinds = append(kinds, "PushSecret")
	}
	if slices.Contains(features, eso.FeatureClusterPushSecrets) {
		kinds = append(kinds, "ClusterPushSecret")
	}
	return kinds
}

// prefixes fills in who the tenant is. In a Namespace that is not ours nobody
// says that, and only those that do not ask count.
func prefixes(all []string) string {
	var known, without []string
	for _, prefix := range all {
		text := quote(prefix)
		text = strings.ReplaceAll(text, "{namespace}", "' + request.namespace + '")
		if !strings.Contains(prefix, "{tenant}") {
			without = append(without, text)
		}
		known = append(known, strings.ReplaceAll(text, "{tenant}", "' + variables.tenant + '"))
	}
	return "variables.tenant != '' ? [" + strings.Join(known, ", ") + "] : [" + strings.Join(without, ", ") + "]"
}

// usedStores are the kinds of stores that may be named; none is a SecretStore.
func usedStores(p *schema.Platform) []string {
	stores := []string{"", "SecretStore"}
	if slices.Contains(p.ESO.Options.Features, eso.FeatureClusterSecretStores) {
		stores = append(stores, "ClusterSecretStore")
	}
	return stores
}

// usedGenerators are the kinds of generators that may be named.
func usedGenerators() []string {
	return append(slices.Clone(offline), "ClusterGenerator", vaultGenerator)
}

func referenceValidations(p *schema.Platform) []admissionv1.Validation {
	validations := []admissionv1.Validation{
		forbid("!variables.bound || variables.used", "this kind is not used here; the Platform's externalSecrets.features says what is"),
		forbid("!variables.looked || variables.stores.all(s, s.?kind.orValue('') in "+list(usedStores(p)...)+")", "a store of this kind is not used here; name a SecretStore of this namespace, or have the platform team share a store"),
		forbid("!variables.looked || variables.generators.all(g, g in "+list(usedGenerators()...)+")",
			"a generator that logs in somewhere, or calls somebody, is not used here; use a store, or have the platform team deliver the secret"),
	}
	if !slices.Contains(p.ESO.Options.Features, eso.FeatureGenericTargets) {
		validations = append(validations, forbid("!variables.looked || !object.spec.?target.?manifest.hasValue()", "External Secrets Operator writes Secrets here, and no other kind; take target.manifest out"))
	}
	if len(p.KeyPrefixes) > 0 {
		validations = append(validations, forbid("!variables.looked || variables.keys.all(k, variables.prefixes.exists(p, k.startsWith(p)) && !k.contains('..'))",
			"the keys that are asked for, or pushed, begin with the tenant's own prefix, as the Platform's tenantPolicy.keyPrefixes says"))
	}
	return validations
}
