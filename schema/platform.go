package schema

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Defaults of a Platform.
const (
	defaultRelease       = "external-secrets" // ESO's documented Helm release and namespace
	defaultFluxNamespace = "flux-system"
	defaultFluxTag       = "latest" // source-controller's own
	defaultFluxLook      = "5m"
)

// FluxInterval is how often Flux reconciles if the Platform does not say.
const FluxInterval = "1h"

// defaultAPIAudiences are what kubeadm gives the API server, with and without
// the cluster's domain.
var defaultAPIAudiences = []string{"https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local"}

// platformReader reads one Platform and reports on it.
type platformReader struct {
	dec  *decoder
	doc  *document
	path string // of spec
}

func (r *platformReader) report(n *node, rule problem.Rule, path, message, hint string) {
	r.dec.report(problem.Problem{Rule: rule, Position: r.doc.position(n), Path: join2(r.path, path), Message: message, Hint: hint})
}

func (dec *decoder) readPlatform(doc *document, name, spec *node, path string) *Platform {
	r := &platformReader{dec: dec, doc: doc, path: path}
	p := &Platform{
		Name:         name.str(),
		Position:     doc.position(name),
		Kubernetes:   spec.at("cluster.kubernetes").str(),
		Enforcement:  Enforcement(spec.get("enforcement").str()),
		apiAudiences: apiAudiences(spec.get("cluster")),
		retired:      spec.get("retired").strs(),
		doc:          doc,
		spec:         spec,
		path:         path,
		catalogue:    map[string]*node{},
	}
	p.Flux = r.flux(spec.get("flux"))
	p.Admission = r.admission(spec.get("admission"), spec.get("cluster"))
	p.ESO = r.eso(spec.get("externalSecrets"), p.Enforcement)
	r.writers(spec.at("admission.writers"), p)
	p.Admission.Exemptions = r.exemptions(spec.at("admission.exemptions"), p)
	p.Providers = r.catalogue(spec.get("providers"), p)
	p.Network = r.network(spec.get("network"), p)
	p.policy = r.policy(spec.get("tenantPolicy"), p)
	p.KeyPrefixes = r.keyPrefixes(spec.at("tenantPolicy.keyPrefixes"), p)
	p.defaults = r.defaults(spec.get("namespaceDefaults"))
	return p
}

// notYetField reports what the schema takes and this version does not act on.
func (r *platformReader) notYetField(n *node, path string) {
	r.report(n, problem.NotYet, path, "this is part of the specification, but not acted on by this version yet", "remove it; nothing that it asks for would be generated")
}

func apiAudiences(cluster *node) []string {
	stated := cluster.get("apiAudiences").strs()
	if len(stated) == 0 {
		stated = slices.Clone(defaultAPIAudiences)
	}
	// An API server without --api-audiences takes its issuer as its audience.
	if issuer := cluster.get("issuer").str(); issuer != "" && !slices.Contains(stated, issuer) {
		stated = append(stated, issuer)
	}
	return stated
}

func (r *platformReader) eso(n *node, enforcement Enforcement) ESO {
	op := ESO{
		Namespace:   cmp.Or(n.get("namespace").str(), defaultRelease),
		HelmRelease: cmp.Or(n.get("release").str(), defaultRelease),
		RBAC:        RBACMode(cmp.Or(n.get("rbac").str(), string(Replace))),
	}
	op.ServiceAccount = cmp.Or(n.get("serviceAccount").str(), eso.FullName(op.HelmRelease))
	op.Release = r.release(n.get("version"), "externalSecrets.version")
	op.UpgradeTo = r.release(n.get("upgradeTo"), "externalSecrets.upgradeTo")
	if op.Release == nil {
		return op
	}
	op.StoreAPIVersion = op.Release.StoreAPIVersion()
	op.Options = r.options(n, op, enforcement)
	r.advisories(n.get("version"), op)
	if op.UpgradeTo != nil {
		both, ok := eso.StoreAPIVersionFor(op.Release, op.UpgradeTo)
		if !ok {
			r.report(n.get("upgradeTo"), problem.UpgradeTooFar, "externalSecrets.upgradeTo", "no version of SecretStore is served by both "+op.Release.App+" and "+op.UpgradeTo.App, "upgrade to 0.16.2 first, which serves v1beta1 and v1")
		}
		op.StoreAPIVersion = both
	}
	return op
}

// release looks a stated version up; nil where there is none, or none known.
func (r *platformReader) release(version *node, path string) *eso.Release {
	if version == nil || version.bad {
		return nil
	}
	release, err := eso.Lookup(version.text)
	if err == nil {
		return release
	}
	hint := "known are " + eso.Versions()[0] + " to " + eso.Versions()[len(eso.Versions())-1]
	if unknown := (*eso.UnknownVersionError)(nil); errors.As(err, &unknown) && unknown.Nearest != "" {
		hint = "the nearest release known is " + unknown.Nearest
	}
	r.report(version, problem.ESOVersionUnknown, path, "the roles of External Secrets Operator "+problem.Quote(version.text)+" are not known", hint)
	return nil
}

// advisories warns of what is known to be wrong with the release in use.
func (r *platformReader) advisories(version *node, op ESO) {
	for _, a := range op.Release.Advisories() {
		if a.Feature != "" && !op.Release.Runs(a.Feature, op.Options) {
			continue
		}
		r.dec.report(problem.Problem{
			Rule: problem.ESOAdvisory, Position: r.doc.position(version), Path: join2(r.path, "externalSecrets.version"),
			Message: "External Secrets Operator " + op.Release.App + " has " + a.ID + " (" + a.CVE + "): " + a.Title,
			Because: []string{stopped(a, op)}, Hint: "it is mended in " + a.Fixed,
		})
	}
}

// stopped says what of the fence stops a weakness, as far as it is in force here.
func stopped(a eso.Advisory, op ESO) string {
	switch {
	case a.StoppedBy == eso.StoppedByNothing:
		return "nothing of the fence stops it"
	case a.Trim != "" && !slices.Contains(op.Options.Trims, a.Trim):
		return "the " + string(a.Trim) + " trim would stop it in part, and is not in force here"
	case a.Trim == "" && (op.RBAC == None || len(op.Options.Trims) == 0):
		return "the values that would stop it are not made here: " + a.StoppedBy
	default:
		return "it is stopped by " + a.StoppedBy
	}
}

func (r *platformReader) options(n *node, op ESO, enforcement Enforcement) eso.Options {
	release := op.Release
	var options eso.Options
	for _, feature := range n.get("features").list() {
		if feature.bad {
			continue
		}
		f := eso.Feature(feature.text)
		if !release.Supports(f) && (op.UpgradeTo == nil || !op.UpgradeTo.Supports(f)) {
			r.report(feature, problem.FeatureUnsupported, "externalSecrets.features", "External Secrets Operator "+release.App+" has no "+feature.text, "remove it, or upgrade")
			continue
		}
		options.Features = append(options.Features, f)
	}
	if enforcement == Observe {
		return options
	}
	options.Trims = r.trims(n.get("trim"), op.RBAC)
	return options
}

// possible are the trims that each mode can do: only a role of our own can be
// without the rights that tenants' Roles hand back.
var possible = map[RBACMode][]eso.Trim{
	Replace: eso.Trims(), HelmValues: {eso.TrimTokens}, None: {eso.TrimTokens},
}

// trims reads what is to be trimmed; by default, all that is possible.
func (r *platformReader) trims(n *node, mode RBACMode) []eso.Trim {
	if n == nil {
		return possible[mode]
	}
	var trims []eso.Trim
	for _, item := range n.list() {
		trim := eso.Trim(item.text)
		if !item.bad && !slices.Contains(possible[mode], trim) && len(possible[mode]) > 0 {
			r.report(item, problem.TrimUnsupported, "externalSecrets.trim", "rbac mode "+problem.Quote(string(mode))+" cannot trim "+item.text, "it takes rbac: replace")
		}
		trims = append(trims, trim)
	}
	if !slices.Contains(trims, eso.TrimTokens) && !anyBad(n) {
		r.report(n, problem.TrimUnsupported, "externalSecrets.trim", "without tokens there is no fence", "add tokens, or write enforcement: observe")
	}
	return trims
}

// reserved says why a namespace is no tenant's, or "" where it may be one's.
func (p *Platform) reserved(namespace string) string {
	fluxNamespace := defaultFluxNamespace
	if p.Flux != nil {
		fluxNamespace = p.Flux.Namespace
	}
	switch {
	case namespace == p.ESO.Namespace:
		return "External Secrets Operator's own"
	case namespace == fluxNamespace || namespace == defaultFluxNamespace:
		return "Flux's own"
	case namespace == "default" || strings.HasPrefix(namespace, "kube-"):
		return "the cluster's own"
	default:
		return ""
	}
}
