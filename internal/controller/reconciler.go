// Package controller is eso-tenant inside of Flux: it expands the tenants in
// Flux sources, and publishes the result as ExternalArtifacts. It applies
// nothing, executes nothing, and reads no Secret.
package controller

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/jitter"
	"github.com/fluxcd/pkg/runtime/patch"
	"k8s.io/apimachinery/pkg/types"
	kuberecorder "k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
	"github.com/eso-tenant/eso-tenant/internal/expand"
	"github.com/eso-tenant/eso-tenant/schema"
)

// Reconciler brings what is published in line with what sources hold.
type Reconciler struct {
	Client  client.Client
	Writer  Writer
	Events  kuberecorder.EventRecorder
	Storage *Storage
	Fetcher *Fetcher
	Version string // of the renderer
	// ServiceAccountName is what generated Kustomizations run as, where the
	// Platform names none.
	ServiceAccountName   string
	NoCrossNamespaceRefs bool
	// RequeueDependency is how long to wait for a source that is not ready.
	RequeueDependency time.Duration
	// Timeout is for one reconciliation.
	Timeout time.Duration
	// MaxCUEBytes bounds the process's memory while CUE is evaluated.
	MaxCUEBytes uint64
	// Workers is how many artifacts are written at a time.
	Workers int
	// Initial is told of each first reconciliation; may be nil.
	Initial *Initial
	// End ends this process in good order: an evaluation that cannot be stopped
	// is running in it.
	End func(reason string)

	// publishing is held for reading while artifacts are stored and not yet
	// named by an ExternalArtifact, so that nothing collects them.
	publishing sync.RWMutex
	// rendering is held while a source is expanded: one at a time, as each may
	// take most of the memory that there is.
	rendering sync.Mutex

	mu    sync.Mutex
	known map[types.UID]*known
	ends  map[types.UID]string // why the process has to end
}

// known is what this process knows of a TenantGenerator that it has published.
type known struct {
	input     string // digest
	published map[string]published
	verified  time.Time // when the files themselves were last looked at
	memory    *schema.Memory
}

// ownedConditions are those that this controller sets.
var ownedConditions = []string{meta.ReadyCondition, meta.ReconcilingCondition, meta.StalledCondition}

// fieldManager is the name that changes to objects carry.
const fieldManager = "eso-tenant-controller"

// Reconcile handles one TenantGenerator.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (result ctrl.Result, err error) {
	defer r.Initial.done(request.NamespacedName)
	g := &v1alpha1.TenantGenerator{}
	if err := r.Client.Get(ctx, request.NamespacedName, g); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !g.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.finalize(ctx, g)
	}
	if !controllerutil.ContainsFinalizer(g, v1alpha1.Finalizer) {
		before := g.DeepCopy()
		controllerutil.AddFinalizer(g, v1alpha1.Finalizer)
		if err := r.Client.Patch(ctx, g, client.MergeFrom(before), client.FieldOwner(fieldManager)); err != nil {
			return ctrl.Result{}, fmt.Errorf("adding the finalizer: %w", err)
		}
	}
	if g.Spec.Suspend {
		return ctrl.Result{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, r.Timeout)
	defer cancel()
	patcher := patch.NewSerialPatcher(g, r.Client)
	requested := requestedAt(g) != g.Status.LastHandledReconcileAt
	g.Status.LastHandledReconcileAt = requestedAt(g)
	defer func() {
		// Also when time is up: what went wrong is to be seen.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		err = errors.Join(err, r.patch(ctx, patcher, g))
		if reason := r.end(g.UID); reason != "" {
			r.End(reason)
		}
	}()
	return r.reconcile(ctx, patcher, g, requested)
}

func (r *Reconciler) reconcile(ctx context.Context, patcher *patch.SerialPatcher, g *v1alpha1.TenantGenerator, requested bool) (ctrl.Result, error) {
	artifact, err := r.artifact(ctx, g)
	if err != nil {
		return r.sourceFailed(g, err)
	}
	input, err := r.inputDigest(g, artifact)
	if err != nil {
		return ctrl.Result{}, err
	}
	if !requested && r.settled(ctx, g, input) {
		return r.later(g), nil
	}
	progressing(g, "expanding revision "+artifact.Revision)
	if err := r.patch(ctx, patcher, g); err != nil {
		return ctrl.Result{}, err
	}
	started := time.Now()
	result, err := r.renew(ctx, g, artifact, input)
	renderSeconds.WithLabelValues(g.Namespace, g.Name).Observe(time.Since(started).Seconds())
	return result, err
}

// settled tells whether there is nothing to do: the same input was handled, and
// what came of it is still there. What was refused is not looked at again
// before something changes, not even after a restart.
func (r *Reconciler) settled(ctx context.Context, g *v1alpha1.TenantGenerator, input string) bool {
	if g.Status.ObservedInputDigest != input || g.Status.ObservedGeneration != g.Generation {
		return false
	}
	if refused(g) {
		return true
	}
	return conditions.IsReady(g) && r.intact(ctx, g, input)
}

// renew fetches the source, expands it, and publishes what changed.
func (r *Reconciler) renew(ctx context.Context, g *v1alpha1.TenantGenerator, artifact *meta.Artifact, input string) (ctrl.Result, error) {
	r.rendering.Lock()
	defer r.rendering.Unlock()
	files, err := r.Fetcher.Fetch(ctx, artifact)
	if wrong := (*ArtifactError)(nil); errors.As(err, &wrong) {
		return r.refused(g, artifact, input, v1alpha1.ReasonValidationFailed, wrong.message), nil
	}
	if err != nil {
		return r.retried(g, meta.ArtifactFailedReason, err)
	}
	k := r.knows(g.UID)
	expansion := expand.Do(expand.Request{Files: files, Path: g.Spec.Path, Cluster: g.Spec.Cluster, Delivery: r.delivery(g), Memory: k.memory})
	r.countProblems(g, expansion.Problems)
	if expansion.Overran() {
		r.markEnd(g.UID, "an evaluation of CUE in the source of "+g.Namespace+"/"+g.Name+" was given up, and cannot be stopped")
	}
	if expansion.Problems.Errors() > 0 {
		return r.refused(g, artifact, input, v1alpha1.ReasonValidationFailed, tell(expansion.Problems)), nil
	}
	existing, err := r.existing(ctx, g)
	if err != nil {
		return r.retried(g, v1alpha1.ReasonPublishFailed, err)
	}
	if complaint := tooManyDeletions(g, existing, expansion); complaint != "" {
		return r.refused(g, artifact, input, v1alpha1.ReasonDeletionsRefused, complaint), nil
	}
	publication := &publication{Reconciler: r, generator: g, source: artifact, existing: existing, before: k.published, published: map[string]published{}}
	if k.verified.IsZero() || time.Since(k.verified) >= interval(g)/2 {
		publication.before, k.verified = nil, time.Now()
	}
	if err := publication.run(ctx, expansion); err != nil {
		return r.retried(g, v1alpha1.ReasonPublishFailed, err)
	}
	k.input, k.published = input, publication.published
	r.succeeded(g, artifact, input, len(expansion.Tenants), publication.changes())
	return r.later(g), nil
}

// delivery is how the expander names what is published.
func (r *Reconciler) delivery(g *v1alpha1.TenantGenerator) fn.Delivery {
	return fn.Delivery{
		Namespace: g.Namespace, Artifact: func(u fn.Unit) string { return artifactName(g, u) },
		ServiceAccountName: r.ServiceAccountName, Labels: commonLabels(g), Annotations: commonAnnotations(g),
	}
}

func (r *Reconciler) knows(uid types.UID) *known {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[types.UID]*known{}
	}
	k := r.known[uid]
	if k == nil {
		k = &known{memory: &schema.Memory{MaxCUEBytes: r.MaxCUEBytes}}
		r.known[uid] = k
	}
	return k
}

func (r *Reconciler) forget(uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.known, uid)
}

// later is when to look again if nothing happens.
func (*Reconciler) later(g *v1alpha1.TenantGenerator) ctrl.Result {
	return jitter.JitteredRequeueInterval(ctrl.Result{RequeueAfter: interval(g)})
}

// minInterval keeps a mistake in spec.interval from keeping the controller busy.
const minInterval = 10 * time.Second

func interval(g *v1alpha1.TenantGenerator) time.Duration {
	if g.Spec.Interval.Duration == 0 {
		return time.Hour
	}
	return max(g.Spec.Interval.Duration, minInterval)
}

func requestedAt(g *v1alpha1.TenantGenerator) string {
	value, _ := meta.ReconcileAnnotationValue(g.Annotations)
	return value
}
