package generators

// Labels and annotations that generated objects carry. Everything has the
// first two.
const (
	LabelManagedBy = "app.kubernetes.io/managed-by"
	LabelTenant    = "eso-tenant.dev/tenant" // schema.PlatformTenant on the Platform's own

	ManagedBy = "eso-tenant"
)

// Pod Security admission's labels.
const (
	labelEnforce = "pod-security.kubernetes.io/enforce"
	labelWarn    = "pod-security.kubernetes.io/warn"
	labelAudit   = "pod-security.kubernetes.io/audit"
)

// labelNamespaceName is set on every Namespace by the API server.
const labelNamespaceName = "kubernetes.io/metadata.name"

// AnnotationExempt begins the annotations of a policy that say why it is lifted
// for somebody; the exemption's name follows.
const AnnotationExempt = "eso-tenant.dev/exempt-"

// annotationPrune keeps Flux from deleting a Namespace, and all that is in it,
// when its tenant goes.
const annotationPrune = "kustomize.toolkit.fluxcd.io/prune"
