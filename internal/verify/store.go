package verify

import (
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// store is a SecretStore, a ClusterSecretStore, or a generator that logs in.
type store struct {
	object      *inventory.Object
	clusterWide bool
	provider    string // the kind of its provider, or the generator's kind
	spec        any    // the provider's part
	path        string // of spec
	references  []reference
}

func (s *store) String() string { return s.object.Kind + " " + s.object.FullName() }

// reference is where a store names the service account whose token it uses.
type reference struct {
	account   Account
	audiences []string
	path      string // in the object
	where     string // in the provider, such as vault.auth.kubernetes.serviceAccountRef
}

// referenceFields are what ESO calls such a reference: the first with most
// providers, the other with kubernetes and crd (apis/externalsecrets/v1 of ESO 2.9.0).
var referenceFields = []string{"serviceAccountRef", "serviceAccount"}

// ownAccount are references with which ESO mints nothing and logs in as itself.
var ownAccount = []string{"vault.auth.gcp.serviceAccountRef"}

func readStore(o *inventory.Object) store {
	s := store{object: o, clusterWide: o.Kind == "ClusterSecretStore"}
	provider := o.Map("spec", "provider")
	for _, kind := range sortedKeys(provider) {
		s.provider, s.spec, s.path = kind, provider[kind], "spec.provider."+kind
		s.findReferences(s.spec, s.path, kind)
	}
	return s
}

// readGenerator reads a generator, which may log in as a store does.
func readGenerator(o *inventory.Object) store {
	s := store{object: o, provider: o.Kind, spec: o.Get("spec"), path: "spec"}
	if o.Kind == "ClusterGenerator" { // whoever uses it does so in their own namespace, with their own service account
		s.provider, s.clusterWide = o.Text("spec", "kind"), true
		for _, key := range sortedKeys(o.Map("spec", "generator")) {
			s.spec, s.path = o.Get("spec", "generator", key), "spec.generator."+key
		}
		return s
	}
	s.findReferences(s.spec, s.path, o.Kind)
	return s
}

// findReferences looks for references wherever they are.
func (s *store) findReferences(value any, path, where string) {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range sortedKeys(value) {
			name := inventory.Text(value[key], "name")
			at := where + "." + key
			switch {
			case slices.Contains(ownAccount, at):
			case slices.Contains(referenceFields, key) && name != "":
				for _, namespace := range s.namespacesOf(inventory.Text(value[key], "namespace")) {
					s.references = append(s.references, reference{Account{namespace, name}, inventory.Texts(value[key], "audiences"), path + "." + key, at})
				}
			default:
				s.findReferences(value[key], path+"."+key, at)
			}
		}
	case []any:
		for _, item := range value {
			s.findReferences(item, path, where)
		}
	}
}

// namespacesOf are where a reference's service account is. ESO ignores another
// namespace in a SecretStore; a ClusterSecretStore without one uses the account
// of that name in whichever namespace uses the store.
func (s *store) namespacesOf(stated string) []string {
	switch {
	case !s.clusterWide:
		return []string{s.object.Namespace}
	case stated != "":
		return []string{stated}
	}
	var all []string
	for _, c := range s.object.List("spec", "conditions") {
		all = append(all, inventory.Texts(c, "namespaces")...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// login is a way to log in that falls back to ESO's own identity where none of
// the fields is there (ESO 2.9.0; files are in generators/eso/method.go and the
// project's list of providers).
type login struct {
	at   string   // the field that chooses it; "" is the provider itself
	with []string // any of them, below
}

var logins = map[string][]login{
	"vault": {
		{"auth.kubernetes", []string{"serviceAccountRef", "secretRef"}},
		{"auth.iam", []string{"serviceAccountRef", "secretRef"}},
		{"auth.gcp", []string{"workloadIdentity", "secretRef"}},
	},
	"akeyless":  {{"", []string{"serviceAccountRef", "secretRef"}}},
	"aws":       {{"", []string{"serviceAccountRef", "secretRef"}}},
	"gcpsm":     {{"", []string{"serviceAccountRef", "secretRef", "credConfig", "awsSecurityCredentials"}}},
	"azurekv":   {{"", []string{"serviceAccountRef", "authSecretRef"}}},
	"oracle":    {{"", []string{"serviceAccountRef", "auth"}}},
	"ibm":       {{"auth.containerAuth", nil}},
	"infisical": {{"auth.kubernetesAuthCredentials", nil}, {"auth.awsAuthCredentials", nil}, {"auth.gcpIdTokenAuthCredentials", nil}, {"auth.azureAuthCredentials", nil}},

	"ECRAuthorizationToken": {{"", []string{"serviceAccountRef", "secretRef"}}},
	"STSSessionToken":       {{"", []string{"serviceAccountRef", "secretRef"}}},
	"GCRAccessToken":        {{"", []string{"serviceAccountRef", "secretRef"}}},
	"ACRAccessToken":        {{"", []string{"serviceAccountRef", "secretRef"}}},
	"VaultDynamicSecret": {
		{"provider.auth.kubernetes", []string{"serviceAccountRef", "secretRef"}},
		{"provider.auth.iam", []string{"serviceAccountRef", "secretRef"}},
		{"provider.auth.gcp", []string{"workloadIdentity", "secretRef"}},
	},
}

// unsafe are fields with which whoever writes the store, or a Secret that it
// names, decides what ESO runs, reads or calls; "" is the whole provider.
var unsafe = map[string]map[string]string{
	"kubernetes": {"authRef": "follow a kubeconfig, which may name a program to run or a file of its own to send"},
	"crd":        {"authRef": "follow a kubeconfig, which may name a program to run or a file of its own to send"},
	"gcpsm":      {"auth.workloadIdentityFederation.credConfig": "follow a configuration that may name a file of its own to send"},
	"webhook":    {"": "call whatever address it says, also in networks that only the operator reaches"},
	"Webhook":    {"": "call whatever address it says, also in networks that only the operator reaches"},
}

// stores reports stores that hand out more than a fenced account's token.
func stores(w *world) problem.List {
	var found problem.List
	for i := range w.stores {
		s := &w.stores[i]
		found = append(found, ownIdentityOf(s)...)
		found = append(found, unsafeIn(s)...)
		found = append(found, openConditions(s)...)
		found = append(found, w.lent(s)...)
	}
	for _, subject := range w.eso {
		found = append(found, w.strongIdentity(Account{subject.Namespace, subject.Name})...)
	}
	return slices.Concat(found, w.sharedIdentities(), w.others(), w.versions(), w.switches())
}

// ownIdentityOf reports a store with which ESO uses its own identity.
func ownIdentityOf(s *store) problem.List {
	for _, l := range logins[s.provider] {
		chosen := below(s.spec, l.at)
		if chosen == nil || hasField(chosen, l.with) {
			continue
		}
		return problem.List{{
			Rule: problem.StoreOwnIdentity, Position: s.object.At, Path: strings.TrimSuffix(s.path+"."+l.at, "."),
			Message: s.String() + " names no service account, so External Secrets Operator logs in as itself",
			Because: []string{"whoever runs the server that the store names receives its own token, or uses its identity in the cloud"},
			Hint:    "refer to a fenced service account with serviceAccountRef",
		}}
	}
	return nil
}

// below follows a dotted path.
func below(value any, path string) any {
	if path == "" {
		return value
	}
	return inventory.Get(value, strings.Split(path, ".")...)
}

// unsafeIn reports a store that has ESO do what the store's writer says.
func unsafeIn(s *store) problem.List {
	var found problem.List
	fields := unsafe[s.provider]
	for _, field := range sortedKeys(fields) {
		if below(s.spec, field) == nil {
			continue
		}
		p := problem.Problem{
			Rule: problem.StoreUnsafe, Position: s.object.At, Path: strings.TrimSuffix(s.path+"."+field, "."),
			Message: s.String() + " has External Secrets Operator " + fields[field],
			Hint:    "use a provider with a fixed server and serviceAccountRef",
		}
		if s.clusterWide {
			p.Severity = problem.Warning // it is the platform team's
		}
		found = append(found, p)
	}
	return found
}

// adds are the references for which ESO asks for audiences of its own (ESO
// 2.9.0): without any, the API server fills in its own.
var adds = []string{
	"vault.auth.jwt.", "vault.auth.iam.", "vault.auth.gcp.", "aws.", "azurekv.", "gcpsm.auth.workloadIdentity.", "akeyless.authSecretRef.serviceAccountRef",
	"oracle.", "doppler.", "pulumi.", "ACRAccessToken.", "ECRAuthorizationToken.", "STSSessionToken.", "GCRAccessToken.",
	"VaultDynamicSecret.provider.auth.jwt.", "VaultDynamicSecret.provider.auth.iam.", "VaultDynamicSecret.provider.auth.gcp.",
}

// apiServers are the API server's audiences where nobody chose others.
var apiServers = []string{"https://kubernetes.default.svc.cluster.local", "https://kubernetes.default.svc", "kubernetes.default.svc"}

// audiencesOf reports a token that is good for the API server, or for
// somebody whom its tenant does not declare. Where a policy refuses such
// tokens, it reports a store that does not work.
func (w *world) audiencesOf(s *store, ref reference) problem.List {
	report := func(message, hint string) problem.List {
		p := problem.Problem{Rule: problem.StoreAudience, Position: s.object.At, Path: ref.path + ".audiences", Message: s.String() + " " + message, Hint: hint}
		if policy := w.policies.closes(closingAudience, w.eso, ref.account.Namespace); policy != nil { // nobody gets such a token, and the store does not work
			w.close(problem.StoreAudience, policy)
			p.Rule, p.Message = problem.StoreCannotMint, p.Message+"; "+policy.Kind+" "+policy.Name+" refuses them"
		}
		return problem.List{p}
	}
	if len(ref.audiences) == 0 {
		if slices.ContainsFunc(adds, func(prefix string) bool { return strings.HasPrefix(ref.where, prefix) }) {
			return nil
		}
		return report("asks for tokens of "+ref.account.String()+" without an audience, so they are good for the API server", "state the audience of whoever takes the token")
	}
	if f := w.fenced[ref.account]; w.in.Specified && f != nil && len(f.Audiences) > 0 {
		for _, audience := range ref.audiences {
			if !slices.Contains(f.Audiences, audience) {
				return report("asks for tokens of "+ref.account.String()+" for "+problem.Quote(audience)+"; declared are "+problem.QuoteAll(f.Audiences), "render the store anew, or declare the audience with its provider")
			}
		}
		return nil
	}
	for _, audience := range ref.audiences {
		if slices.Contains(apiServers, audience) && !sameCluster(s) {
			return report("asks for tokens of "+ref.account.String()+" for "+problem.Quote(audience)+", which is the API server", "state the audience of whoever takes the token")
		}
	}
	return nil
}

// sameCluster tells whether a store reads this same cluster, the one that takes
// the API server's tokens.
func sameCluster(s *store) bool {
	url := inventory.Text(s.spec, "server", "url")
	return (s.provider == "kubernetes" || s.provider == "crd") && (url == "" || strings.HasPrefix(url, "https://kubernetes.default"))
}

// hasField tells whether one of the fields is anywhere in a value.
func hasField(value any, fields []string) bool {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if slices.Contains(fields, key) || hasField(inner, fields) {
				return true
			}
		}
	case []any:
		return slices.ContainsFunc(value, func(item any) bool { return hasField(item, fields) })
	}
	return false
}

// openConditions reports a ClusterSecretStore that more namespaces may use than
// it names ( ESO 2.9.0, pkg/controllers/secretstore/client_manager.go).
func openConditions(s *store) problem.List {
	if s.object.Kind != "ClusterSecretStore" {
		return nil
	}
	conditions := s.object.List("spec", "conditions")
	reason := ""
	if len(conditions) == 0 {
		reason = "it has no conditions, so every namespace may use it"
	}
	for _, c := range conditions {
		selector := inventory.Get(c, "namespaceSelector")
		switch {
		case selector != nil && !chooses(selector):
			reason = "a namespaceSelector that asks for no label is every namespace, or all but some"
		case slices.ContainsFunc(inventory.Texts(c, "namespaceRegexes"), unbounded):
			reason = "a namespaceRegex that is not anchored, or has a wildcard, matches namespaces to come"
		}
	}
	if reason == "" {
		return nil
	}
	return problem.List{{
		Rule: problem.SharedStoreOpen, Position: s.object.At, Path: "spec.conditions",
		Message: s.String() + " is open: " + reason, Hint: "list the namespaces that may use it in conditions.namespaces",
	}}
}

// chooses tells whether a selector asks for a label to be there.
func chooses(selector any) bool {
	labels, _ := inventory.Get(selector, "matchLabels").(map[string]any)
	return len(labels) > 0 || slices.ContainsFunc(inventory.List(selector, "matchExpressions"), func(e any) bool {
		return slices.Contains([]string{"In", "Exists"}, inventory.Text(e, "operator"))
	})
}

// selects tells whether a store is for namespaces with some label.
func (s *store) selects() bool {
	return s.object.Kind == "ClusterSecretStore" && slices.ContainsFunc(s.object.List("spec", "conditions"), func(c any) bool {
		return selecting(inventory.Get(c, "namespaceSelector"))
	})
}

// unbounded tells whether a pattern matches more names than it spells out.
func unbounded(pattern string) bool {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return false // ESO cannot read it either, and it matches nothing
	}
	re = re.Simplify()
	last := len(re.Sub) - 1
	return re.Op != syntax.OpConcat || re.Sub[0].Op != syntax.OpBeginText || re.Sub[last].Op != syntax.OpEndText || repeats(re)
}

func repeats(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return true
	default:
		return slices.ContainsFunc(re.Sub, repeats)
	}
}

// lent reports a ClusterSecretStore with which other tenants use one tenant's
// service account. ESO's own namespace is where shared accounts belong.
func (w *world) lent(s *store) problem.List {
	if s.object.Kind != "ClusterSecretStore" {
		return nil
	}
	var found problem.List
	for _, ref := range s.references {
		f := w.fenced[ref.account]
		if f == nil || w.isOperators(ref.account.Namespace) {
			continue
		}
		for _, c := range s.object.List("spec", "conditions") {
			for _, namespace := range inventory.Texts(c, "namespaces") {
				if namespace != f.Namespace && !w.sameTenant(namespace, f) {
					return append(found, problem.Problem{
						Rule: problem.SharedStoreOpen, Position: s.object.At, Path: ref.path,
						Message: s.String() + " lets namespace " + namespace + " use service account " + f.String() + ", which is another tenant's",
						Hint:    "give the store a service account in External Secrets Operator's namespace, or take the namespace away",
					})
				}
			}
		}
	}
	return found
}

// sameTenant tells whether a namespace is of a fence's tenant.
func (w *world) sameTenant(namespace string, f *Fence) bool {
	tenant := w.tenantIn(namespace)
	return tenant != "" && tenant == w.tenantIn(f.Namespace)
}
