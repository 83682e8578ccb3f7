package generators

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// The API groups of ESO, and the generator that has a store's provider in it.
const (
	storeGroup     = "external-secrets.io"
	generatorGroup = "generators.external-secrets.io"
	vaultGenerator = "VaultDynamicSecret"
)

// offline are the generators that log in nowhere and call nobody. Any other
// kind, also one to come, is refused.
// Source: external-secrets v2.9.0, apis/generators/v1alpha1.
var offline = []string{"Fake", "MFA", "Password", "SSHKey", "UUID"}

// offlineSpecs are where a ClusterGenerator has them.
// Source: external-secrets v2.9.0, apis/generators/v1alpha1/types_cluster.go.
var offlineSpecs = []string{"fakeSpec", "mfaSpec", "passwordSpec", "sshKeySpec", "uuidSpec"}

// storePolicy keeps stores to what the Platform's catalogue says, but for the
// tenant's own part, and to fenced service accounts: whoever may write a store
// otherwise has ESO log in where he likes, as whom he likes. It looks at
// tenants' namespaces, at ESO's own, and at what is in no namespace.
//
// Everybody is bound, since it is ESO that acts on a store; a writer is let off
// the one question whether the account is fenced already, which gives ESO no
// token: it mints by its own grants (mintPolicy). An update that
// leaves the spec as it is passes: ESO takes its finalizer off, and a store that
// is refused today was there yesterday.
func storePolicy(p *schema.Platform) policy {
	return policy{
		what: "store",
		rules: []admissionv1.NamedRuleWithOperations{
			on("CREATE UPDATE", storeGroup, "*", "secretstores clustersecretstores"),
			on("CREATE UPDATE", generatorGroup, "*", "*"),
		},
		conditions:  []admissionv1.MatchCondition{changed},
		variables:   storeVariables(p),
		validations: storeValidations(p),
	}
}

// changed leaves out updates that leave the spec as it is.
var changed = admissionv1.MatchCondition{Name: "changed", Expression: "request.operation == 'CREATE' || object.spec != oldObject.spec"}

// boundVariables are those by which a policy knows whether it is about a
// namespace: a tenant's, ESO's own, or none.
func boundVariables(p *schema.Platform) []admissionv1.Variable {
	return []admissionv1.Variable{
		{Name: "within", Expression: "request.?namespace.orValue('')"}, // what is in none has no field for it
		{Name: "tenants", Expression: controller(p) + virtual(tenantNamespaces, "variables.within")},
		// A Namespace that is not ours has no label. ESO then holds a grant of its name.
		{Name: "bound", Expression: "variables.within in ['', " + quote(p.ESO.Namespace) + "] || namespaceObject.metadata.?labels[?" + quote(LabelTenant) + "].hasValue() || " +
			byName("variables.tenants", "variables.within")},
	}
}

func storeVariables(p *schema.Platform) []admissionv1.Variable {
	own := quote(p.ESO.Namespace)
	return slices.Concat(
		boundVariables(p),
		[]admissionv1.Variable{
			{Name: "shared", Expression: "request.kind.kind == 'ClusterSecretStore'"},
			{Name: "logsin", Expression: "variables.bound && (request.kind.group == " + quote(storeGroup) + " || request.kind.kind == " + quote(vaultGenerator) + ")"},
			{Name: "provider", Expression: "request.kind.group == " + quote(storeGroup) + " ? object.spec.provider : {'vault': object.spec.provider}"},
		},
		catalogueVariables(p),
		[]admissionv1.Variable{
			{Name: "entries", Expression: "variables.catalogue.filter(e, e.shared == variables.shared && size(variables.provider) == 1 && e.kind in variables.provider && " +
				"e.levels.all(l, [" + below("l.at") + ".orValue({})].all(m, " +
				"m.all(k, k in l.open || (k in l.fixed ? m[k] == l.fixed[k] : k in l.may && m[k] == l.may[k])) && l.fixed.all(k, k in m))))"},
			{Name: "references", Expression: "variables.entries.map(e, " + below("e.at") + "[?e.reference].orValue({}))"},
			{Name: "reference", Expression: "variables.references[?0].orValue({})"},
			{Name: "audiences", Expression: "variables.reference.?audiences.orValue([])"},
			{Name: "account", Expression: "variables.reference.?name.orValue('')"},
			{Name: "home", Expression: "variables.shared ? " + own + " : variables.within"},
		},
		fencedIn(p, "variables.home", "variables.account"),
	)
}

// below follows a list of fields, given as an expression, in the provider of the
// entry e.
func below(path string) string {
	content := "variables.provider[e.kind]"
	steps := "optional.of(" + content + ")"
	for depth := 1; depth <= schema.MaxReferenceDepth; depth++ {
		var fields strings.Builder
		for i := range depth {
			fmt.Fprintf(&fields, "[?%s[%d]]", path, i)
		}
		steps = fmt.Sprintf("size(%s) == %d ? %s%s : %s", path, depth, content, fields.String(), steps)
	}
	return "(" + steps + ")"
}

func storeValidations(p *schema.Platform) []admissionv1.Validation {
	catalogued := forbid("!variables.logsin || size(variables.entries) > 0",
		"this store's provider is none that the Platform has: the server, how it logs in, and all but the tenant's own part are as in the Platform's providers. Name one there, or have the platform team add it")
	return []admissionv1.Validation{
		forbid("!variables.bound || variables.logsin || "+
			"request.kind.kind in "+list(offline...)+" || "+
			"request.kind.kind == 'GeneratorState' && request.userInfo.username == "+quote(userName(p.ESO.Namespace, p.ESO.ServiceAccount))+" || "+
			"request.kind.kind == 'ClusterGenerator' && object.spec.kind in "+list(offline...)+" && object.spec.generator.all(k, k in "+list(offlineSpecs...)+")",
			"a generator that logs in somewhere, or calls somebody, is not made here; use a store, or have the platform team deliver the secret"),
		catalogued,
		// Flux asks for all objects of a tenant, as dry runs, before it applies the
		// first: the Role by which the account is fenced is not there by then. When it
		// applies them, the Role has just been made, and the API server's authorizer may
		// not know it yet: who delivers it does not wait. An account is named all the same.
		forbid("!variables.logsin || variables.fenced || variables.account != '' && (request.dryRun || request.userInfo.username in "+list(p.Admission.Writers...)+")",
			"a store names, with serviceAccountRef, a service account that the tenant's file declares for a store of this namespace; declare it there"),
		forbid("!variables.logsin || variables.reference.?namespace.orValue('') == (variables.shared ? "+quote(p.ESO.Namespace)+" : '')",
			"a SecretStore's serviceAccountRef names no namespace, and a ClusterSecretStore's that of External Secrets Operator"),
		forbid("!variables.logsin || variables.entries.exists(e, e.audiences.all(a, a in variables.audiences) && variables.audiences.all(a, a in e.audiences))",
			"the audiences in serviceAccountRef are not those of the Platform's provider"),
		forbid("!variables.shared || size(object.spec.?conditions.orValue([])) > 0 && object.spec.conditions.all(c, size(c) == 1 && size(c.?namespaces.orValue([])) > 0)",
			"a ClusterSecretStore has conditions, and each lists namespaces by name; else namespaces that nobody thought of may use it"),
	}
}
