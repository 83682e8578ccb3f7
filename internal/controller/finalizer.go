package controller

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
)

// finalize deletes what a TenantGenerator published, and lets it go only when
// nothing of it is left. Its files are collected later.
func (r *Reconciler) finalize(ctx context.Context, g *v1alpha1.TenantGenerator) error {
	if !controllerutil.ContainsFinalizer(g, v1alpha1.Finalizer) {
		return nil
	}
	existing, err := r.existing(ctx, g)
	if err != nil {
		return err
	}
	for name, object := range existing {
		if a := artifactOf(object); a != nil {
			if err := r.Storage.Touch(a.Path, time.Now()); err != nil {
				return err
			}
		}
		if err := client.IgnoreNotFound(r.Client.Delete(ctx, object, client.Preconditions{UID: &object.UID})); err != nil {
			return fmt.Errorf("deleting %s: %w", name, err)
		}
	}
	before := g.DeepCopy()
	controllerutil.RemoveFinalizer(g, v1alpha1.Finalizer)
	if err := client.IgnoreNotFound(r.Client.Patch(ctx, g, client.MergeFrom(before), client.FieldOwner(fieldManager))); err != nil {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	r.forget(g.UID)
	forgetMetrics(g.Namespace, g.Name)
	return nil
}
