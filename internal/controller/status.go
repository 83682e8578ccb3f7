package controller

import (
	"context"
	"errors"
	"fmt"
	"strings"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1beta1"
	"github.com/fluxcd/pkg/apis/meta"
	"github.com/fluxcd/pkg/runtime/conditions"
	"github.com/fluxcd/pkg/runtime/patch"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	kerrors "k8s.io/apimachinery/pkg/util/errors"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// patch writes the status. Every condition carries the generation that it is of.
func (*Reconciler) patch(ctx context.Context, patcher *patch.SerialPatcher, g *v1alpha1.TenantGenerator) error {
	err := patcher.Patch(ctx, g, patch.WithOwnedConditions{Conditions: ownedConditions}, patch.WithFieldOwner(fieldManager))
	// An object that is deleted meanwhile has no status.
	if err = kerrors.FilterOut(err, func(err error) bool { return client.IgnoreNotFound(err) == nil }); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// progressing says that work is under way.
func progressing(g *v1alpha1.TenantGenerator, message string) {
	conditions.Delete(g, meta.StalledCondition)
	conditions.MarkReconciling(g, meta.ProgressingReason, "%s", message)
	conditions.MarkUnknown(g, meta.ReadyCondition, meta.ProgressingReason, "%s", message)
}

// succeeded says that all is published.
func (r *Reconciler) succeeded(g *v1alpha1.TenantGenerator, artifact *meta.Artifact, input string, count int, changes string) {
	observed(g, artifact, input)
	g.Status.PublishedSourceRevision = artifact.Revision
	g.Status.Tenants = int32(count) //nolint:gosec // a source holds fewer documents
	conditions.Delete(g, meta.ReconcilingCondition)
	message := fmt.Sprintf("published %s of revision %s", problem.Plural(count, "tenant"), artifact.Revision)
	conditions.MarkTrue(g, meta.ReadyCondition, meta.SucceededReason, "%s", message)
	renders.WithLabelValues(g.Namespace, g.Name, "published").Inc()
	tenants.WithLabelValues(g.Namespace, g.Name).Set(float64(count))
	if changes != "" {
		r.event(g, artifact.Revision, corev1.EventTypeNormal, meta.SucceededReason, message+": "+changes)
	}
}

// refused says that the source's revision is not published, and why. To try it
// again would not help, so nothing does before something changes.
func (r *Reconciler) refused(g *v1alpha1.TenantGenerator, artifact *meta.Artifact, input, reason, message string) ctrl.Result {
	observed(g, artifact, input)
	conditions.Delete(g, meta.ReconcilingCondition)
	if last := g.Status.PublishedSourceRevision; last != "" {
		message = fmt.Sprintf("revision %s is not published; what revision %s holds stays\n%s", artifact.Revision, last, message)
	} else {
		message = fmt.Sprintf("revision %s is not published\n%s", artifact.Revision, message)
	}
	conditions.MarkFalse(g, meta.ReadyCondition, reason, "%s", message)
	renders.WithLabelValues(g.Namespace, g.Name, "refused").Inc()
	r.event(g, artifact.Revision, corev1.EventTypeWarning, reason, message)
	return r.later(g)
}

// refused tells whether what was handled last was refused.
func refused(g *v1alpha1.TenantGenerator) bool {
	return conditions.HasAnyReason(g, meta.ReadyCondition, v1alpha1.ReasonValidationFailed, v1alpha1.ReasonDeletionsRefused)
}

// retried says that something could not be done, and is tried again, later and later.
func (r *Reconciler) retried(g *v1alpha1.TenantGenerator, reason string, err error) (ctrl.Result, error) {
	conditions.MarkReconciling(g, meta.ProgressingWithRetryReason, "%s", problem.Clean(err.Error()))
	conditions.MarkFalse(g, meta.ReadyCondition, reason, "%s", problem.Clean(err.Error()))
	renders.WithLabelValues(g.Namespace, g.Name, "failed").Inc()
	r.event(g, "", corev1.EventTypeWarning, reason, err.Error())
	return ctrl.Result{}, err
}

// sourceFailed says that there is no artifact to expand.
func (r *Reconciler) sourceFailed(g *v1alpha1.TenantGenerator, err error) (ctrl.Result, error) {
	if terminal := (*terminalError)(nil); errors.As(err, &terminal) {
		conditions.Delete(g, meta.ReconcilingCondition)
		if conditions.GetMessage(g, meta.StalledCondition) != terminal.message {
			r.event(g, "", corev1.EventTypeWarning, terminal.reason, terminal.message)
		}
		conditions.MarkStalled(g, terminal.reason, "%s", terminal.message)
		conditions.MarkFalse(g, meta.ReadyCondition, terminal.reason, "%s", terminal.message)
		g.Status.ObservedGeneration = g.Generation
		return ctrl.Result{}, nil
	}
	if !errors.Is(err, errNotReady) {
		return r.retried(g, v1alpha1.ReasonSourceNotReady, err)
	}
	conditions.Delete(g, meta.StalledCondition)
	conditions.MarkReconciling(g, meta.ProgressingWithRetryReason, "%s", err)
	conditions.MarkFalse(g, meta.ReadyCondition, v1alpha1.ReasonSourceNotReady, "%s", err)
	g.Status.ObservedGeneration = g.Generation
	return ctrl.Result{RequeueAfter: r.RequeueDependency}, nil
}

func observed(g *v1alpha1.TenantGenerator, artifact *meta.Artifact, input string) {
	g.Status.ObservedGeneration = g.Generation
	g.Status.ObservedSourceRevision = artifact.Revision
	g.Status.ObservedInputDigest = input
}

// maxTold is how many problems a condition tells of: its message is bounded, and
// whoever wants all runs `eso-tenant vet`.
const maxTold = 10

// tell writes problems, the first ones in full.
func tell(found problem.List) string {
	wrong := found.AtLeast(problem.Error).Sorted()
	lines := []string{problem.Plural(len(wrong), "problem") + ":"}
	for i, p := range wrong {
		if i == maxTold {
			lines = append(lines, fmt.Sprintf("and %d more; `eso-tenant vet` shows all", len(wrong)-maxTold))
			break
		}
		lines = append(lines, p.Line())
	}
	return strings.Join(lines, "\n")
}

func (*Reconciler) countProblems(g *v1alpha1.TenantGenerator, found problem.List) {
	wrong := found.Errors()
	problems.WithLabelValues(g.Namespace, g.Name, string(problem.Error)).Set(float64(wrong))
	problems.WithLabelValues(g.Namespace, g.Name, string(problem.Warning)).Set(float64(len(found) - wrong))
}

// event tells people, and notification-controller.
func (r *Reconciler) event(g *v1alpha1.TenantGenerator, revision, kind, reason, message string) {
	annotations := map[string]string{}
	if revision != "" {
		annotations[v1alpha1.GroupVersion.Group+"/"+eventv1.MetaRevisionKey] = revision
	}
	r.Events.AnnotatedEventf(g, annotations, kind, reason, "%s", message)
}

// markEnd notes that the process has to end once the status is written.
func (r *Reconciler) markEnd(uid types.UID, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ends == nil {
		r.ends = map[types.UID]string{}
	}
	r.ends[uid] = reason
}

func (r *Reconciler) end(uid types.UID) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ends[uid]
}
