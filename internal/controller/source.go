package controller

import (
	"context"
	"errors"
	"fmt"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
)

// errNotReady says that there is no artifact yet. The source is watched, so
// that nothing has to ask again and again.
var errNotReady = errors.New("not ready")

// terminalError says that a TenantGenerator cannot work as it is written.
type terminalError struct {
	reason, message string
}

func (e *terminalError) Error() string { return e.message }

// reasonAccessDenied is Flux's reason for a reference that is not allowed.
const reasonAccessDenied = "AccessDenied"

// artifactSource is what all of Flux's sources are.
type artifactSource interface {
	client.Object
	GetArtifact() *meta.Artifact
}

// newSource makes an empty source of a kind, or nil for another.
func newSource(kind string) artifactSource {
	switch kind {
	case sourcev1.GitRepositoryKind:
		return &sourcev1.GitRepository{}
	case sourcev1.OCIRepositoryKind:
		return &sourcev1.OCIRepository{}
	case sourcev1.BucketKind:
		return &sourcev1.Bucket{}
	case sourcev1.ExternalArtifactKind:
		return &sourcev1.ExternalArtifact{}
	default:
		return nil
	}
}

// sourceKinds are all kinds that newSource makes.
var sourceKinds = []string{sourcev1.GitRepositoryKind, sourcev1.OCIRepositoryKind, sourcev1.BucketKind, sourcev1.ExternalArtifactKind}

// artifact looks the source's artifact up.
func (r *Reconciler) artifact(ctx context.Context, g *v1alpha1.TenantGenerator) (*meta.Artifact, error) {
	ref := g.Spec.SourceRef
	if r.NoCrossNamespaceRefs && g.SourceNamespace() != g.Namespace {
		return nil, &terminalError{reasonAccessDenied, fmt.Sprintf("the source is in namespace %s, and references across namespaces are switched off (--no-cross-namespace-refs, or --watch-all-namespaces=false)", g.SourceNamespace())}
	}
	source := newSource(ref.Kind)
	if source == nil {
		return nil, &terminalError{meta.InvalidPathReason, fmt.Sprintf("there is no kind of source called %q", ref.Kind)}
	}
	key := types.NamespacedName{Namespace: g.SourceNamespace(), Name: ref.Name}
	switch err := r.Client.Get(ctx, key, source); {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("%w: there is no %s %s", errNotReady, ref.Kind, key)
	case err != nil:
		return nil, fmt.Errorf("looking up %s %s: %w", ref.Kind, key, err)
	}
	if madeByUs(source) {
		return nil, &terminalError{reasonAccessDenied, fmt.Sprintf("%s %s is made by a TenantGenerator: its own output cannot be its source", ref.Kind, key)}
	}
	artifact := source.GetArtifact()
	if artifact == nil {
		return nil, fmt.Errorf("%w: %s %s has no artifact yet", errNotReady, ref.Kind, key)
	}
	return artifact, nil
}
