package schema

import (
	"cmp"
	"errors"
	"maps"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Patterns that hold where a tenantPolicy states none.
const (
	defaultNamespacePattern = "{tenant}(-.*)?"
	defaultVaultPattern     = "{namespace}(-.*)?"
)

// tenantPolicy is what tenants of a Platform may claim.
type tenantPolicy struct {
	namespaces  []string
	identities  map[string][]string
	podSecurity string
	memberKinds []string
	labels      []string
	annotations []string
	overrides   []string
}

func (r *platformReader) policy(n *node, platform *Platform) tenantPolicy {
	p := tenantPolicy{
		namespaces:  r.patterns(n.get("namespaces"), "tenantPolicy.namespaces"),
		identities:  map[string][]string{},
		podSecurity: cmp.Or(n.get("podSecurity").str(), strictest),
		memberKinds: n.get("memberKinds").strs(),
		labels:      r.allowedKeys(n, "labels"),
		annotations: r.allowedKeys(n, "annotations"),
		overrides:   n.get("overrides").strs(),
	}
	if n.get("namespaces") == nil {
		p.namespaces = []string{defaultNamespacePattern}
	}
	if n.get("memberKinds") == nil {
		p.memberKinds = []string{"Group"}
	}
	for name, provider := range platform.Providers {
		if provider.Method.Provider == "vault" {
			p.identities[name] = []string{defaultVaultPattern}
		}
	}
	for _, e := range n.get("identities").keys() {
		at := join("tenantPolicy.identities", e.key)
		p.identities[e.key] = r.patterns(e.value, at)
		if _, known := platform.catalogue[e.key]; !known {
			r.report(&node{line: e.line, col: e.col}, problem.ProviderUnknown, at, problem.Quote(e.key)+" is no provider of this Platform", platform.providerHint(e.key))
		}
	}
	return p
}

// keyPrefixes reads what keys begin with. Policies alone hold tenants to it.
func (r *platformReader) keyPrefixes(n *node, p *Platform) []string {
	const at = "tenantPolicy.keyPrefixes"
	for _, item := range n.list() {
		if rest := templates.Replace(item.text); !item.bad && strings.ContainsAny(rest, "{}") {
			r.report(item, problem.FieldValue, at, problem.Quote(item.text)+" has a placeholder that is not known", "placeholders are {tenant} and {namespace}")
		}
	}
	if n != nil && p.Admission.Engine == NoAdmission {
		r.report(n, problem.NotYet, at, "nothing acts on this without admission policies", "remove it, or admission.engine: none")
	}
	return n.strs()
}

func (r *platformReader) allowedKeys(n *node, field string) []string {
	for _, item := range n.get(field).list() {
		if why := protectedKey(item.text); why != "" && !item.bad {
			r.report(item, problem.PolicyLabelProtected, "tenantPolicy."+field, "key "+problem.Quote(item.text)+" is "+why+"; no tenant may set it", "set it in namespaceDefaults")
		}
	}
	return n.get(field).strs()
}

// protectedDomains are the domains of label and annotation keys that policy
// engines, admission, meshes and controllers act on. A tenant that sets one
// could step out of its fence.
var protectedDomains = []string{
	"kubernetes.io", "k8s.io", group, "external-secrets.io", "fluxcd.io", "gatekeeper.sh", "kyverno.io", "cilium.io",
	"istio.io", "linkerd.io", "openshift.io", "projectcapsule.dev", "clastix.io", "kubewarden.io", "cert-manager.io", "hnc.x-k8s.io",
}

// protectedKey says what a key is that no tenant may set, or "".
func protectedKey(key string) string {
	domain, name, found := strings.Cut(key, "/")
	if !found {
		if key == "istio-injection" || key == "control-plane" {
			return "read by policy engines"
		}
		return ""
	}
	if domain == "app.kubernetes.io" && name != "managed-by" {
		return ""
	}
	for _, protected := range protectedDomains {
		if domain == protected || strings.HasSuffix(domain, "."+protected) {
			return "read by policy engines and controllers"
		}
	}
	return ""
}

// patterns reads patterns and reports those that are no regular expression.
// What one of these would have allowed is not known, so that no claim is
// reported for it; nothing is rendered anyway.
func (r *platformReader) patterns(n *node, at string) []string {
	var all []string
	for _, item := range n.list() {
		pattern := item.text
		if _, err := compilePattern(pattern, "t", "n"); err != nil && !item.bad {
			r.report(item, problem.PatternInvalid, at, problem.Quote(pattern)+" is no regular expression: "+reason(err), "write it in RE2 syntax; it is anchored at both ends")
			item.bad = true
		}
		if item.bad {
			pattern = ".*"
		}
		all = append(all, pattern)
	}
	return all
}

// reason is what is wrong with a regular expression, without the expression,
// which is not quite the user's.
func reason(err error) string {
	if wrong := (*syntax.Error)(nil); errors.As(err, &wrong) {
		return wrong.Code.String()
	}
	return err.Error()
}

// compilePattern fills the placeholders in and anchors the pattern.
func compilePattern(pattern, tenant, namespace string) (*regexp.Regexp, error) {
	filled := strings.NewReplacer("{tenant}", regexp.QuoteMeta(tenant), "{namespace}", regexp.QuoteMeta(namespace)).Replace(pattern)
	return regexp.Compile("^(?:" + filled + ")$")
}

// matches tells whether a claim matches one of the patterns.
func matches(patterns []string, claim, tenant, namespace string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		switch pattern { // the defaults, without a regular expression for each tenant
		case defaultNamespacePattern:
			return claim == tenant || strings.HasPrefix(claim, tenant+"-")
		case defaultVaultPattern:
			return claim == namespace || strings.HasPrefix(claim, namespace+"-")
		}
		compiled, err := compilePattern(pattern, tenant, namespace)
		return err == nil && compiled.MatchString(claim)
	})
}

// levels are the Pod Security levels, weakest first.
var levels = []string{"privileged", "baseline", strictest}

// weaker tells whether level a allows more than level b.
func weaker(a, b string) bool {
	return slices.Index(levels, a) < slices.Index(levels, b)
}

// providerHint names the provider that was probably meant, or all there are.
func (p *Platform) providerHint(name string) string {
	names := slices.Sorted(maps.Keys(p.catalogue))
	if near := Nearest(name, names); near != "" {
		return "did you mean " + problem.Quote(near) + "?"
	}
	if len(names) == 0 {
		return "the Platform has no providers"
	}
	return "Platform " + p.Name + " has " + problem.QuoteAll(names)
}
