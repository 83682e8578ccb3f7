package schema

import (
	"slices"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// APIVersion of the kinds that Decode reads.
const APIVersion = group + "/v1alpha1"

// group is the API group of the specification.
const group = "eso-tenant.dev"

// PlatformTenant is the tenant label's value on the platform's own objects; no
// tenant may have it as its name.
const PlatformTenant = "platform"

// Spec is what the sources say, resolved: defaults are filled in, names are
// looked up, and everything that could be wrong with it was reported. A Spec
// is complete only if Decode returned no error-level problem.
type Spec struct {
	Clusters []*Cluster // by name
}

// Cluster is a Platform with the tenants that live on it, each with just the
// namespaces that live there.
type Cluster struct {
	Platform *Platform
	Tenants  []*Tenant // by name
}

// Platform is one External Secrets Operator (ESO) in one cluster.
type Platform struct {
	Name        string
	Position    problem.Position
	Kubernetes  string // the cluster's version as major.minor; "" is not stated
	Enforcement Enforcement
	ESO         ESO
	Admission   Admission
	Network     *Network // nil: no policies for ESO's pods
	Providers   map[string]*Provider
	Flux        *Flux // nil: no Flux objects
	// Own are the platform team's own namespaces that use ESO, as a tenant called
	// PlatformTenant; nil if there are none.
	Own          *Tenant
	SharedStores []*SharedStore // by name
	// KeyPrefixes are what the keys that tenants ask for begin with, one of them,
	// with {tenant} and {namespace}; none: any key.
	KeyPrefixes []string

	apiAudiences []string
	policy       tenantPolicy
	defaults     settings
	retired      []string
	doc          *document
	spec         *node
	path         string           // of spec in its document
	catalogue    map[string]*node // providers as written, those with problems too
}

// Enforcement says whether the fence is closed. The zero value is not valid.
type Enforcement string

// The states of enforcement.
const (
	Observe Enforcement = "observe" // ESO's role stays as upstream has it; policies warn
	Enforce Enforcement = "enforce" // ESO's role is trimmed; policies refuse
)

// RBACMode says who makes ESO's own ClusterRole. The zero value is not valid.
type RBACMode string

// The modes.
const (
	Replace    RBACMode = "replace"    // we do, and the chart makes none
	HelmValues RBACMode = "helmValues" // the chart does, trimmed by its values
	None       RBACMode = "none"       // somebody else does
)

// ESO is the operator's installation.
type ESO struct {
	Release        *eso.Release
	UpgradeTo      *eso.Release // nil: no upgrade under way
	RBAC           RBACMode
	Namespace      string
	ServiceAccount string
	HelmRelease    string
	// StoreAPIVersion is the API version of SecretStores.
	StoreAPIVersion string
	Options         eso.Options // what is trimmed, and which features are in use
}

// ServiceAccounts are all that ESO's parts run as in its namespace, sorted: the
// controller, and the webhook and the cert-controller, by the names that the
// chart's values give them and by those that follow the release's.
// Source: external-secrets v0.20.4, chart templates/_helpers.tpl:153-170.
func (e ESO) ServiceAccounts() []string {
	names := []string{e.ServiceAccount}
	for _, prefix := range []string{defaultRelease, e.HelmRelease} {
		names = append(names, prefix+"-webhook", prefix+"-cert-controller")
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Refuses tells whether the policies of admission are made and refuse, rather
// than warn.
func (p *Platform) Refuses() bool {
	return p.Enforcement == Enforce && p.Admission.Engine == ValidatingAdmissionPolicy
}

// Provider is an entry of the Platform's catalogue.
type Provider struct {
	Name        string
	Method      eso.Method     // how the token is exchanged
	Spec        map[string]any // ESO's spec.provider.<Method.Provider> as written
	Audiences   []string       // that a token is asked for with, beyond those that ESO adds
	SameCluster bool
	Secrets     []string // with SameCluster: what may be read, with {tenant} and {namespace}
}

// Flux says how Flux Kustomizations find the rendered folder: in one source, or
// each in an artifact of its own.
type Flux struct {
	SourceKind, SourceName, SourceNamespace string
	OCI                                     *FluxOCI // instead of a source
	Path                                    string   // of the folder in the source; "" for its root
	Namespace                               string
	Interval                                string
	ServiceAccountName                      string // "" for kustomize-controller's own
}

// FluxOCI says where push puts artifacts, and how Flux comes by them.
type FluxOCI struct {
	URL, Tag, Interval string // oci://HOST/REPOSITORY; artifacts are below it
	Provider           string // "" for source-controller's default
	SecretName         string // "" for none
	CertSecretName     string // "" for none
	Insecure           bool
	Verify             *FluxVerify // nil: any artifact will do
}

// FluxVerify says whose signature an artifact must have.
type FluxVerify struct {
	Provider, SecretName string
	Identities           []FluxIdentity
}

// FluxIdentity is who may have signed without a key, as regular expressions.
type FluxIdentity struct {
	Issuer, Subject string
}

// Tenant is a team as it lives on one cluster.
type Tenant struct {
	Name       string
	Position   problem.Position
	Members    []Member
	Namespaces []*Namespace // by name
}

// Member is a subject that gets a ClusterRole in each of its tenant's namespaces.
type Member struct {
	Kind      string // Group, User or ServiceAccount
	Name      string
	Namespace string // of a ServiceAccount
	Role      string

	position problem.Position
	path     string
}

// Namespace is one of a tenant's namespaces.
type Namespace struct {
	Name        string
	Position    problem.Position
	Managed     bool // the Namespace object is ours
	Prune       bool // Flux may delete it
	Labels      map[string]string
	Annotations map[string]string
	PodSecurity PodSecurity
	Quota       map[string]string // nil: no ResourceQuota
	Limits      []Limit           // nil: no LimitRange
	DefaultDeny bool
	AllowDNS    bool
	Stores      []*Store // by name
}

// PodSecurity is a level for each of Pod Security's modes; empty for none.
type PodSecurity struct {
	Enforce, Warn, Audit string
}

// Limit is an item of a LimitRange, with quantities as written.
type Limit struct {
	Type                                                    string
	Default, DefaultRequest, Max, Min, MaxLimitRequestRatio map[string]string
}

// Store is a SecretStore and the identity behind it.
type Store struct {
	Name           string
	Position       problem.Position
	Provider       *Provider
	ServiceAccount string
	Identity       Identity
	Shared         bool // another tenant's store may have the same external identity
	ClusterWide    bool // a ClusterSecretStore

	path     string // of the store in its document
	refused  bool   // its identity is outside the policy
	identity *node
}

// Identity is the tenant's part of a store: what stands in its method's
// eso.IdentityField of each name.
type Identity map[string]string
