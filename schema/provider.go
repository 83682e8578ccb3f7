package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// maxAudiences is what the mint policy can check: one validation for each
// index of a token's audience list.
const maxAudiences = 4

// providerKinds are the keys of #Provider that are a kind.
var providerKinds = []string{
	"akeyless", "aws", "azurekv", "conjur", "crd", "custom", "doppler", "gcpsm", "kubernetes", "oracle", "pulumi", "vault",
}

// catalogue reads the Platform's providers. A provider with a problem of its
// own is kept by name, so that stores that name it are not reported as well.
func (r *platformReader) catalogue(n *node, p *Platform) map[string]*Provider {
	providers := map[string]*Provider{}
	for _, e := range n.keys() {
		p.catalogue[e.key] = e.value
		if provider := r.provider(e, p); provider != nil {
			providers[e.key] = provider
		}
	}
	return providers
}

func (r *platformReader) provider(e entry, p *Platform) *Provider {
	at := join("providers", e.key)
	kind := r.providerKind(e, at)
	if kind == "" {
		return nil
	}
	content := e.value.get(kind)
	at = join(at, kind)
	if !r.dec.validator.has("#Providers." + kind) {
		r.notYetField(content, at)
		return nil
	}
	fine := r.ownIdentity(kind, content, at)
	if content.kind == mapNode {
		r.dec.validate(r.doc, "#Providers."+kind, join2(r.path, at), content)
	}
	if !fine {
		return nil
	}
	provider := &Provider{
		Name:        e.key,
		Kind:        ProviderKind(kind),
		SameCluster: e.value.get("sameCluster").isTrue(),
		Secrets:     e.value.get("secrets").strs(),
		Audiences:   e.value.get("audiences").strs(),
	}
	if !r.auth(provider, content, at) {
		return nil
	}
	r.audiences(provider, e.value, p.apiAudiences)
	r.sameCluster(provider, e.value)
	r.plaintext(content, at)
	provider.Spec, _ = plainValue(content).(map[string]any)
	return provider
}

// providerKind finds the one kind that a provider states.
func (r *platformReader) providerKind(e entry, at string) string {
	var stated []string
	for _, field := range e.value.keys() {
		if slices.Contains(providerKinds, field.key) {
			stated = append(stated, field.key)
		}
	}
	slices.Sort(stated)
	switch {
	case len(stated) == 1:
		return stated[0]
	case e.value.bad || anyBad(e.value):
		return ""
	case len(stated) == 0:
		r.report(e.value, problem.ProviderKind, at, "this provider states no kind", "state one of "+strings.Join(providerKinds, ", "))
	default:
		r.report(e.value, problem.ProviderKind, at, "this provider states "+strings.Join(stated, " and "), "give each a name of its own")
	}
	return ""
}

// ownIdentities are ways of logging in that use ESO's own identity, or a
// credential that lies in a Secret, instead of the tenant's service account.
// By kind: the paths in ESO's spec.provider.<kind>.
// Source: ESO v2.9.0, the auth code of each provider.
var ownIdentities = map[string][]string{
	"vault": {
		"auth.tokenSecretRef", "auth.appRole", "auth.ldap", "auth.cert", "auth.userPass",
		"auth.kubernetes.secretRef", "auth.jwt.secretRef",
	},
	"aws":        {"auth.secretRef"},
	"azurekv":    {"authSecretRef", "identityId"},
	"gcpsm":      {"auth.secretRef"},
	"kubernetes": {"authRef", "auth.cert", "auth.token"},
}

// references are where ESO has the service account, which the generator fills in.
var references = map[string][]string{
	"vault": {
		"auth.kubernetes.serviceAccountRef", "auth.kubernetes.role", "auth.jwt.role",
		"auth.jwt.kubernetesServiceAccountToken.serviceAccountRef", "auth.jwt.kubernetesServiceAccountToken.audiences",
	},
	"aws":        {"auth"},
	"azurekv":    {"serviceAccountRef", "authType"},
	"gcpsm":      {"auth.workloadIdentity.serviceAccountRef"},
	"kubernetes": {"auth"},
}

func (r *platformReader) ownIdentity(kind string, content *node, at string) bool {
	fine := true
	for _, path := range ownIdentities[kind] {
		if n := content.at(path); n != nil {
			fine = false
			content.markAt(path)
			r.report(n, problem.ProviderOwnIdentity, join2(at, path), "this logs in with a stored credential, or as External Secrets Operator itself", "remove it; stores log in with a token of the tenant's own service account")
		}
	}
	for _, path := range references[kind] {
		if n := content.at(path); n != nil && fine {
			fine = false
			content.markAt(path)
			r.report(n, problem.FieldUnknown, join2(at, path), "this is filled in for each store", "remove it; a store states its serviceAccount and identity")
		}
	}
	return fine
}

// at follows a path of keys joined by dots.
func (n *node) at(path string) *node {
	for key := range strings.SplitSeq(path, ".") {
		n = n.get(key)
	}
	return n
}

// markAt marks the entries along a path as having a problem, so that the schema
// does not report them a second time.
func (n *node) markAt(path string) {
	for key := range strings.SplitSeq(path, ".") {
		e := n.entry(key)
		e.bad = true
		n = e.value
	}
}

// auth finds how the token is exchanged, and the audiences that ESO adds by
// itself. Source of the audiences: ESO v2.9.0, each provider's auth code.
func (r *platformReader) auth(provider *Provider, content *node, at string) bool {
	switch provider.Kind {
	case Vault:
		return r.vaultAuth(provider, content.get("auth"), join(at, "auth"))
	case AWS:
		provider.Default = []string{"sts.amazonaws.com"}
		if service := content.get("service"); service.str() == "CertificateManager" {
			r.notYetField(service, join(at, "service"))
			return false
		}
	case AzureKV:
		provider.Default = []string{"api://AzureADTokenExchange"}
	case GCPSM:
		return r.gcpAuth(provider, content.get("auth"), join(at, "auth"))
	case Kubernetes:
	}
	return true
}

func (r *platformReader) vaultAuth(provider *Provider, auth *node, at string) bool {
	stated := statedOf(auth, "kubernetes", "jwt", "iam", "gcp")
	if !r.oneAuth(auth, stated, "kubernetes, jwt, iam or gcp", at) {
		return false
	}
	if stated[0] == "iam" || stated[0] == "gcp" {
		r.notYetField(auth.get(stated[0]), join(at, stated[0]))
		return false
	}
	provider.Auth = Auth(stated[0])
	if provider.Auth == AuthJWT {
		// ESO appends this to whatever the reference asks for.
		provider.Default = []string{"vault"}
	}
	return true
}

func (r *platformReader) gcpAuth(provider *Provider, auth *node, at string) bool {
	stated := statedOf(auth, "workloadIdentity", "workloadIdentityFederation")
	if !r.oneAuth(auth, stated, "workloadIdentity or workloadIdentityFederation", at) {
		return false
	}
	if stated[0] == "workloadIdentityFederation" {
		r.notYetField(auth.get(stated[0]), join(at, stated[0]))
		return false
	}
	provider.Default = []string{auth.get(stated[0]).get("clusterProjectID").str() + ".svc.id.goog"}
	return true
}

func statedOf(n *node, keys ...string) []string {
	return slices.DeleteFunc(keys, func(key string) bool { return n.entry(key) == nil })
}

func (r *platformReader) oneAuth(auth *node, stated []string, allowed, at string) bool {
	switch {
	case len(stated) == 1:
		return true
	case auth == nil || auth.bad || anyBad(auth): // reported by the schema
	case len(stated) == 0:
		r.report(auth, problem.ProviderOwnIdentity, at, "no way of exchanging the tenant's token is stated; External Secrets Operator would use its own identity", "state one of "+allowed)
	default:
		r.report(auth, problem.ProviderAuth, at, strings.Join(stated, " and ")+" are both stated", "keep one of them")
	}
	return false
}

// audiences holds the Platform to what keeps tokens apart: an audience is
// stated, and it is never the API server's.
func (r *platformReader) audiences(provider *Provider, n *node, apiServers []string) {
	at := join(join("providers", provider.Name), "audiences")
	list := n.get("audiences")
	switch {
	case list != nil && (list.bad || len(list.items) != len(provider.Audiences)):
		return
	case len(provider.Audiences) > 0 || provider.SameCluster || provider.Kind == AWS || provider.Kind == AzureKV || provider.Kind == GCPSM:
	default:
		r.report(n, problem.AudienceMissing, at, "a token for this provider has no audience of its own, and would be valid at the API server", "add audiences, such as ["+string(provider.Kind)+"], and ask for the same one on the other side")
	}
	if provider.SameCluster && len(provider.Audiences) == 0 {
		provider.Audiences = slices.Clone(apiServers)
	}
	for _, item := range list.list() {
		if !provider.SameCluster && slices.Contains(apiServers, item.text) {
			r.report(item, problem.AudienceAPIServer, at, "audience "+problem.Quote(item.text)+" is the API server's own; whoever is given such a token can use it there", "state an audience of the provider's own")
		}
	}
	if all := provider.TokenAudiences(); len(all) > maxAudiences {
		r.report(n, problem.AudienceTooMany, at, fmt.Sprintf("a token would have %d audiences: %s; at most %d can be checked", len(all), problem.QuoteAll(all), maxAudiences), "remove some, or split the provider in two")
	}
}

// TokenAudiences is every audience that a token for the provider carries:
// those that the Platform states, and those that ESO adds.
func (p *Provider) TokenAudiences() []string {
	return slices.Concat(p.ReferenceAudiences(), p.Default)
}

// ReferenceAudiences is what the store's reference asks for beyond what ESO
// adds by itself.
func (p *Provider) ReferenceAudiences() []string {
	var asked []string
	for _, audience := range p.Audiences {
		if !slices.Contains(p.Default, audience) && !slices.Contains(asked, audience) {
			asked = append(asked, audience)
		}
	}
	return asked
}

// sameCluster: a store that reads this same cluster names its Secrets.
func (r *platformReader) sameCluster(provider *Provider, n *node) {
	at := join("providers", provider.Name)
	switch stated := n.get("sameCluster"); {
	case provider.SameCluster && provider.Kind != Kubernetes:
		r.report(stated, problem.SameClusterSecrets, join(at, "sameCluster"), "only a kubernetes provider can read this same cluster", "remove it")
	case provider.SameCluster && len(provider.Secrets) == 0 && n.get("secrets") == nil:
		r.report(n, problem.SameClusterSecrets, at, "a provider of this same cluster has no secrets that may be read", "add secrets: [NAME, …]; {tenant} and {namespace} are filled in")
	case provider.SameCluster && !inCluster(n.at("kubernetes.server.url").str()):
		r.report(n.at("kubernetes.server.url"), problem.AudienceAPIServer, join(at, "kubernetes.server.url"), "tokens that the API server takes would go to a server that is not this cluster's", "leave server out, or write https://kubernetes.default.svc")
	case !provider.SameCluster && n.get("secrets") != nil:
		r.report(n.get("secrets"), problem.SameClusterSecrets, join(at, "secrets"), "secrets go with sameCluster only", "add sameCluster: true, or remove them")
	}
	for _, item := range n.get("secrets").list() {
		if rest := templates.Replace(item.text); !item.bad && strings.ContainsAny(rest, "{}") {
			r.report(item, problem.FieldValue, join(at, "secrets"), problem.Quote(item.text)+" has a placeholder that is not known", "placeholders are {tenant} and {namespace}")
		}
	}
}

// inCluster tells whether a URL is the API server's own from inside its cluster.
func inCluster(url string) bool {
	return url == "" || apiServerURL.MatchString(url)
}

var apiServerURL = regexp.MustCompile(`^https://kubernetes\.default(\.svc(\.[a-z0-9.-]+)?)?(:443)?/?$`)

// templates takes the known placeholders away, so that unknown ones stay.
var templates = strings.NewReplacer("{tenant}", "", "{namespace}", "")

func (r *platformReader) plaintext(content *node, at string) {
	for _, path := range []string{"server", "server.url"} {
		if n := content.at(path); n != nil && !n.bad && strings.HasPrefix(n.text, "http://") {
			r.report(n, problem.ProviderPlaintext, join2(at, path), "tokens and secrets go to this server unencrypted", "use https")
		}
	}
}

// plainValue is a node as plain Go values, for a body that is passed on as
// the user wrote it.
func plainValue(n *node) any {
	switch n.kind {
	case mapNode:
		m := make(map[string]any, len(n.entries))
		for _, e := range n.entries {
			m[e.key] = plainValue(e.value)
		}
		return m
	case listNode:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = plainValue(item)
		}
		return list
	case boolNode:
		return n.text == "true"
	case intNode, floatNode:
		return number64(n.text)
	case stringNode:
		return n.text
	default:
		return nil
	}
}
