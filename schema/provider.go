package schema

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// MaxAudiences is how many audiences a token may have. Admission looks at each
// in an expression of its own, since one can afford two questions to the
// authorizer only. Source: Kubernetes v1.37.2, k8s.io/apiserver
// pkg/cel/library/cost.go:91 and pkg/apis/cel/config.go:22.
const MaxAudiences = 4

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
	provider := &Provider{
		Name:        e.key,
		SameCluster: e.value.get("sameCluster").isTrue(),
		Secrets:     e.value.get("secrets").strs(),
		Audiences:   e.value.get("audiences").strs(),
	}
	if kind == customKind {
		content = r.custom(provider, content, join(at, kind))
	} else {
		content = r.known(provider, kind, content, join(at, kind), p)
	}
	if content == nil {
		return nil
	}
	provider.Spec, _ = plainValue(content).(map[string]any)
	r.audiences(provider, e.value, p.apiAudiences)
	r.sameCluster(provider, e.value)
	r.plaintext(content, join(at, kind))
	return provider
}

// known reads a provider of a kind that the schema has. It returns the
// provider's content, or nil where no store could be made from it.
func (r *platformReader) known(provider *Provider, kind string, content *node, at string, p *Platform) *node {
	fine := r.ownIdentity(kind, content, at)
	if content.kind == mapNode {
		r.dec.validate(r.doc, "#Providers."+kind, join2(r.path, at), content)
	}
	method, ok := r.method(kind, content, at)
	if !ok || !fine {
		return nil
	}
	provider.Method = method
	r.since(method, content, at, p.ESO)
	r.lifetime(provider, content, at, p.Admission)
	return content
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

// methodsOf lists the ways in which a provider kind exchanges a token.
func methodsOf(kind string) []eso.Method {
	return slices.DeleteFunc(slices.Clone(eso.Methods()), func(m eso.Method) bool { return m.Provider != kind })
}

// ownIdentity refuses logins other than with a token of the tenant's own
// service account, and what the generator fills in.
func (r *platformReader) ownIdentity(kind string, content *node, at string) bool {
	fine := true
	refuse := func(path string, rule problem.Rule, message, hint string) {
		n := content.at(path)
		if n == nil || n.bad {
			return
		}
		fine = false
		content.markAt(path)
		r.report(n, rule, join2(at, path), message, hint)
	}
	for _, m := range methodsOf(kind) {
		for _, path := range m.Refused {
			refuse(path, problem.ProviderOwnIdentity, "this logs in with a stored credential, or as External Secrets Operator itself", "remove it; stores log in with a token of the tenant's own service account")
		}
	}
	for _, m := range methodsOf(kind) {
		for _, path := range filledIn(m) {
			refuse(path, problem.FieldUnknown, "this is filled in for each store", "remove it; a store states its serviceAccount and identity")
		}
	}
	return fine
}

// filledIn lists the fields of a method that are the generator's to write.
func filledIn(m eso.Method) []string {
	paths := append([]string{m.Reference}, slices.Sorted(maps.Keys(m.Fixed))...)
	for _, field := range m.Identity {
		if field.Path != "" && !field.Override {
			paths = append(paths, field.Path)
		}
	}
	return paths
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

// method finds how the token is exchanged: the one method whose selector the
// provider states.
func (r *platformReader) method(kind string, content *node, at string) (eso.Method, bool) {
	var stated []eso.Method
	var names, all []string
	parent := ""
	for _, m := range methodsOf(kind) {
		in, name := cutLast(m.Selector)
		parent, all = in, append(all, name)
		if m.Selector == "" || content.at(m.Selector) != nil {
			stated, names = append(stated, m), append(names, name)
		}
	}
	login := content.at(parent)
	switch {
	case len(stated) == 1:
		return stated[0], true
	case login == nil || anyBad(login): // the schema has reported it
	case len(stated) == 0:
		r.report(login, problem.ProviderOwnIdentity, join2(at, parent), "no way of exchanging the tenant's token is stated; External Secrets Operator would use its own identity", "state one of "+strings.Join(all, ", "))
	default:
		r.report(login, problem.ProviderAuth, join2(at, parent), strings.Join(names, " and ")+" are both stated", "keep one of them")
	}
	return eso.Method{}, false
}

// since reports what the release in use does not have yet. Its API would drop
// the field without a word, and with it what the field is for.
func (r *platformReader) since(method eso.Method, content *node, at string, op ESO) {
	if op.Release == nil {
		return
	}
	if !op.Release.Has(method.Since) {
		r.report(content, problem.ReleaseTooOld, at, "External Secrets Operator "+op.Release.App+" has no "+method.ID, "it came with "+method.Since)
	}
	for field, since := range eso.FieldsSince(method.Provider) {
		path, value, _ := strings.Cut(field, "=")
		n := content.at(path)
		if n == nil || op.Release.Has(since) || value != "" && n.str() != value {
			continue
		}
		r.report(n, problem.ReleaseTooOld, join2(at, path), "External Secrets Operator "+op.Release.App+" has no "+field, "it came with "+since)
	}
}

// MaxReferenceDepth is how many fields may lead from a provider to the map with
// its reference to a service account: the store policy looks that deep.
const MaxReferenceDepth = 4

// customKind is the key of a provider that the schema does not know.
const customKind = "custom"

// custom reads a provider that the schema does not know: ESO's spec.provider
// as it is, and where in it the reference to the service account goes.
func (r *platformReader) custom(provider *Provider, n *node, at string) *node {
	r.dec.validate(r.doc, "#Custom", join2(r.path, at), n)
	inner, reference := n.get("provider"), n.get("serviceAccountRef")
	if anyBad(n) || reference == nil || inner == nil {
		return nil
	}
	if len(inner.entries) != 1 {
		r.report(inner, problem.ProviderKind, at+".provider", fmt.Sprintf("this states %d providers", len(inner.entries)), "state one, as in a SecretStore's spec.provider")
		return nil
	}
	kind, content := inner.entries[0].key, inner.entries[0].value
	if slices.Contains(providerKinds, kind) {
		r.report(keyNode(&inner.entries[0]), problem.ProviderKind, at+".provider", problem.Quote(kind)+" is known", "write it as "+kind+": beside audiences, so that it is checked")
		return nil
	}
	if eso.HasNoReference(kind) {
		r.report(keyNode(&inner.entries[0]), problem.ProviderOwnIdentity, at+".provider", problem.Quote(kind)+" logs in with a stored credential, or as External Secrets Operator itself", "no token of a tenant's service account can be used with it, so there is nothing to fence: write such a store by hand")
		return nil
	}
	path, found := strings.CutPrefix(reference.text, kind+".")
	parent, _ := cutLast(path)
	if !found || content.kind != mapNode || parent != "" && (content.at(parent) == nil || content.at(parent).kind != mapNode) {
		r.report(reference, problem.ProviderAuth, at+".serviceAccountRef", problem.Quote(reference.text)+" is no place in the provider", "write the path of ESO's field, beginning with "+kind+"; the map that it is in has to be there")
		return nil
	}
	if strings.Count(path, ".") > MaxReferenceDepth {
		r.report(reference, problem.ProviderAuth, at+".serviceAccountRef", problem.Quote(reference.text)+" is deeper than admission policies look", "at most "+strconv.Itoa(MaxReferenceDepth)+" fields lead to the reference")
		return nil
	}
	if content.at(path) != nil {
		r.report(content.at(path), problem.FieldUnknown, join2(at, "provider."+reference.text), "this is filled in for each store", "remove it")
		return nil
	}
	provider.Method = eso.Method{ID: customKind, Provider: kind, Reference: path}
	return content
}

// cutLast cuts the last key off a path.
func cutLast(path string) (parent, key string) {
	if i := strings.LastIndexByte(path, '.'); i >= 0 {
		return path[:i], path[i+1:]
	}
	return "", path
}

// audiences holds the Platform to what keeps tokens apart: an audience is
// stated, and it is never the API server's.
func (r *platformReader) audiences(provider *Provider, n *node, apiServers []string) {
	at := join(join("providers", provider.Name), "audiences")
	list := n.get("audiences")
	switch {
	case list != nil && (list.bad || len(list.items) != len(provider.Audiences)):
		return
	case len(provider.Audiences) > 0 || provider.SameCluster:
	case len(provider.Method.Asks) > 0:
		provider.Audiences = provider.fill(provider.Method.Asks)
	case len(provider.Method.Adds) > 0:
	default:
		r.report(n, problem.AudienceMissing, at, "a token for this provider has no audience of its own, and would be valid at the API server", "add audiences, such as ["+provider.Method.Provider+"], and ask for the same one on the other side")
	}
	if provider.SameCluster && len(provider.Audiences) == 0 {
		provider.Audiences = slices.Clone(apiServers)
	}
	for _, item := range list.list() {
		if !provider.SameCluster && slices.Contains(apiServers, item.text) {
			r.report(item, problem.AudienceAPIServer, at, "audience "+problem.Quote(item.text)+" is the API server's own; whoever is given such a token can use it there", "state an audience of the provider's own")
		}
	}
	if all := provider.tokenAudiences(provider.Method.Adds, "namespace", "store"); len(all) > MaxAudiences {
		r.report(n, problem.AudienceTooMany, at, fmt.Sprintf("a token would have %d audiences: %s; at most %d can be checked", len(all), problem.QuoteAll(all), MaxAudiences), "remove some, or split the provider in two")
	}
}

// TokenAudiences is every audience that a store's token carries: those that it
// is asked for with, and those that ESO adds.
func (s *Store) TokenAudiences(namespace string) []string {
	adds := s.Provider.Method.Adds
	if s.ClusterWide {
		adds = s.Provider.Method.AddsClusterWide
	}
	return s.Provider.tokenAudiences(adds, namespace, s.Name)
}

func (p *Provider) tokenAudiences(adds []string, namespace, store string) []string {
	all := p.ReferenceAudiences()
	fill := strings.NewReplacer("{namespace}", namespace, "{store}", store)
	for _, audience := range p.fill(adds) {
		all = append(all, fill.Replace(audience))
	}
	return all
}

// ReferenceAudiences is what a store's reference asks for beyond what ESO adds
// by itself.
func (p *Provider) ReferenceAudiences() []string {
	var asked []string
	added := p.fill(p.Method.Adds)
	for _, audience := range p.Audiences {
		if !slices.Contains(added, audience) && !slices.Contains(asked, audience) {
			asked = append(asked, audience)
		}
	}
	return asked
}

// fill replaces {a.path} in the audiences by that field of the provider.
func (p *Provider) fill(audiences []string) []string {
	filled := make([]string, len(audiences))
	for i, audience := range audiences {
		filled[i] = providerField.ReplaceAllStringFunc(audience, func(placeholder string) string {
			value, _ := Lookup(p.Spec, strings.Trim(placeholder, "{}")).(string)
			return value
		})
	}
	return filled
}

var providerField = regexp.MustCompile(`\{[A-Za-z]+(\.[A-Za-z]+)+\}`)

// Lookup follows a path of keys joined by dots in a Provider's Spec; nil where
// there is nothing.
func Lookup(spec map[string]any, path string) any {
	var value any = spec
	for key := range strings.SplitSeq(path, ".") {
		inner, _ := value.(map[string]any)
		value = inner[key]
	}
	return value
}

// sameCluster: a store that reads this same cluster names its Secrets.
func (r *platformReader) sameCluster(provider *Provider, n *node) {
	at := join("providers", provider.Name)
	switch stated := n.get("sameCluster"); {
	case provider.SameCluster && provider.Method.ID != "kubernetes":
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
	for _, path := range []string{"server", "server.url", "url", "akeylessGWApiURL", "apiUrl"} {
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
