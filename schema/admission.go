package schema

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// AdmissionEngine is what judges requests as they arrive. The zero value is not
// valid.
type AdmissionEngine string

// The engines that policies are made for.
const (
	ValidatingAdmissionPolicy AdmissionEngine = "ValidatingAdmissionPolicy" // the API server itself
	Gatekeeper                AdmissionEngine = "Gatekeeper"                // OPA's webhook
	NoAdmission               AdmissionEngine = "none"                      // no policies
)

// Admission is what is asked of the requests that RBAC lets through.
type Admission struct {
	Engine          AdmissionEngine
	MaxTokenSeconds int // the longest life of a token that ESO may ask for
	// Writers are the users who may change the fence's own objects; none: nothing
	// keeps others from it but RBAC.
	Writers []string
	// Exemptions are what policies let through all the same, by name.
	Exemptions []Exemption
}

// defaultTokenSeconds is what the API server gives a token whose life nobody
// stated, so none of ESO's providers asks for more by itself.
// Source: Kubernetes v1.37.2, pkg/apis/authentication/v1/defaults.go:30.
const defaultTokenSeconds = 3600

// admissionSince is the minor version of Kubernetes that first serves
// ValidatingAdmissionPolicy as v1. All that the policies use of CEL is older:
// the authorizer came with 1.27, and 1.30 checks new policies against what 1.29
// knew. Source: k8s.io/apiserver v0.30.14, pkg/cel/environment/base.go:82.
const admissionSince = 30

// admission reads which policies the Platform asks for.
func (r *platformReader) admission(n, cluster *node) Admission {
	a := Admission{
		Engine:          AdmissionEngine(cmp.Or(n.get("engine").str(), string(ValidatingAdmissionPolicy))),
		MaxTokenSeconds: defaultTokenSeconds,
	}
	if seconds, err := strconv.Atoi(n.get("maxTokenSeconds").str()); err == nil {
		a.MaxTokenSeconds = seconds
	}
	if engine := n.get("engine"); engine != nil && !engine.bad && !slices.Contains([]AdmissionEngine{ValidatingAdmissionPolicy, Gatekeeper, NoAdmission}, a.Engine) {
		r.notYetField(engine, "admission.engine")
	}
	a.Writers = n.get("writers").strs()
	slices.Sort(a.Writers)
	a.Writers = slices.Compact(a.Writers)
	r.admissionSupported(a, cluster.get("kubernetes"))
	return a
}

// writers: who delivers the fence has to be able to, and who is fenced is none
// of them.
func (r *platformReader) writers(n *node, p *Platform) {
	const at = "admission.writers"
	for _, item := range n.list() {
		for _, account := range p.ESO.ServiceAccounts() {
			if item.text == "system:serviceaccount:"+p.ESO.Namespace+":"+account {
				r.report(item, problem.AdmissionWriters, at, problem.Quote(item.text)+" is External Secrets Operator, which the fence is around", "name who applies what is rendered")
			}
		}
	}
	if n == nil || anyBad(n) || p.Flux == nil || p.Flux.ServiceAccountName == "" {
		return
	}
	if applier := "system:serviceaccount:" + p.Flux.Namespace + ":" + p.Flux.ServiceAccountName; !slices.Contains(p.Admission.Writers, applier) {
		r.report(n, problem.AdmissionWriters, at, "Flux applies the fence as "+applier+", which is not among them, and would be refused", "add it")
	}
}

// admissionSupported: a cluster that does not know the policies would refuse
// them, and whoever applies them with the rest would apply nothing.
func (r *platformReader) admissionSupported(a Admission, version *node) {
	minor, err := strconv.Atoi(strings.TrimPrefix(version.str(), "1."))
	if a.Engine != ValidatingAdmissionPolicy || err != nil || minor >= admissionSince {
		return
	}
	r.report(version, problem.AdmissionUnsupported, "cluster.kubernetes",
		"Kubernetes "+version.str()+" does not serve ValidatingAdmissionPolicy as v1", "it came with 1.30; admission: {engine: none} goes without, and then nothing bounds a token's audiences and life")
}

// lifetime: a store whose tokens the policies would refuse would never be ready.
func (r *platformReader) lifetime(provider *Provider, content *node, at string, a Admission) {
	asked, where := provider.Method.Seconds, content
	if field := provider.Method.SecondsField; field != "" && content.at(field) != nil {
		where, at = content.at(field), join2(at, field)
		asked, _ = strconv.Atoi(where.str()) // the schema has reported what is no number
	}
	if a.Engine == NoAdmission || asked <= a.MaxTokenSeconds {
		return
	}
	r.report(where, problem.TokenLifetime, at,
		"External Secrets Operator asks for tokens of "+strconv.Itoa(asked)+" seconds here; admission.maxTokenSeconds is "+strconv.Itoa(a.MaxTokenSeconds),
		"raise maxTokenSeconds, or have the provider ask for less where it can")
}
