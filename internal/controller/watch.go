package controller

import (
	"context"
	"fmt"

	"github.com/fluxcd/pkg/runtime/predicates"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
)

// sourceIndex finds TenantGenerators by their source.
const sourceIndex = ".metadata.sourceRef"

// SetupWithManager has the manager run the reconciler: for TenantGenerators,
// for each new revision of a source, and for artifacts that somebody else changed.
func (r *Reconciler) SetupWithManager(ctx context.Context, manager ctrl.Manager, options controller.Options) error {
	if err := manager.GetFieldIndexer().IndexField(ctx, &v1alpha1.TenantGenerator{}, sourceIndex, indexSource); err != nil {
		return fmt.Errorf("indexing sources: %w", err)
	}
	b := ctrl.NewControllerManagedBy(manager).
		For(&v1alpha1.TenantGenerator{}, builder.WithPredicates(predicate.Or(
			predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}, predicates.ReconcileRequestedPredicate{},
		))).
		Owns(&sourcev1.ExternalArtifact{}, builder.WithPredicates(artifactTampered{}))
	for _, kind := range sourceKinds {
		b = b.Watches(newSource(kind), handler.EnqueueRequestsFromMapFunc(r.usersOf(kind)), builder.WithPredicates(newRevision{}))
	}
	if err := b.WithOptions(options).Complete(r); err != nil {
		return fmt.Errorf("setting up the controller: %w", err)
	}
	return nil
}

func indexSource(o client.Object) []string {
	g, ok := o.(*v1alpha1.TenantGenerator)
	if !ok {
		return nil
	}
	return []string{sourceKey(g.Spec.SourceRef.Kind, g.SourceNamespace(), g.Spec.SourceRef.Name)}
}

func sourceKey(kind, namespace, name string) string { return kind + "/" + namespace + "/" + name }

// usersOf finds the TenantGenerators that a source of a kind is the source of.
func (r *Reconciler) usersOf(kind string) handler.MapFunc {
	return func(ctx context.Context, o client.Object) []ctrl.Request {
		list := &v1alpha1.TenantGeneratorList{}
		if err := r.Client.List(ctx, list, client.MatchingFields{sourceIndex: sourceKey(kind, o.GetNamespace(), o.GetName())}); err != nil {
			ctrl.LoggerFrom(ctx).Error(err, "listing the TenantGenerators of a source")
			return nil
		}
		var requests []ctrl.Request
		for i := range list.Items {
			requests = append(requests, ctrl.Request{NamespacedName: types.NamespacedName{Namespace: list.Items[i].Namespace, Name: list.Items[i].Name}})
		}
		return requests
	}
}

// newRevision lets a source through when there is something else to fetch.
type newRevision struct{ predicate.Funcs }

// Create lets through what has an artifact: all sources come by at the start.
func (newRevision) Create(e event.CreateEvent) bool {
	source, ok := e.Object.(artifactSource)
	return ok && source.GetArtifact() != nil && !madeByUs(e.Object)
}

// Update compares artifacts.
func (newRevision) Update(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(artifactSource)
	after, ok2 := e.ObjectNew.(artifactSource)
	if !ok1 || !ok2 || after.GetArtifact() == nil || madeByUs(before) && madeByUs(after) {
		return false
	}
	a, b := before.GetArtifact(), after.GetArtifact()
	return a == nil || a.Revision != b.Revision || a.Digest != b.Digest
}

// madeByUs tells a TenantGenerator's output, which is nobody's source. There are
// as many as tenants, and to look for the users of each costs more than to write it.
func madeByUs(o client.Object) bool {
	external, ok := o.(*sourcev1.ExternalArtifact)
	return ok && external.Spec.SourceRef != nil && external.Spec.SourceRef.Kind == v1alpha1.TenantGeneratorKind
}

// Delete is of no interest: what was published stays.
func (newRevision) Delete(event.DeleteEvent) bool { return false }

// artifactTampered lets an artifact of ours through when it was deleted, or
// changed other than by being published.
type artifactTampered struct{ predicate.Funcs }

// Create is what we do ourselves.
func (artifactTampered) Create(event.CreateEvent) bool { return false }

// Update lets through what differs in anything but its first or next artifact.
func (artifactTampered) Update(e event.UpdateEvent) bool {
	before, ok1 := e.ObjectOld.(*sourcev1.ExternalArtifact)
	after, ok2 := e.ObjectNew.(*sourcev1.ExternalArtifact)
	return ok1 && ok2 && (!equality.Semantic.DeepEqual(before.Labels, after.Labels) || !equality.Semantic.DeepEqual(before.Annotations, after.Annotations) ||
		!equality.Semantic.DeepEqual(before.Spec, after.Spec) || !equality.Semantic.DeepEqual(before.Status, after.Status))
}
