package controller

import (
	"context"
	"fmt"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
)

// Collector removes files of the storage that no ExternalArtifact names any
// more, once they have been out of use for a while: a kustomize-controller may
// be about to fetch one that it has just read the address of.
type Collector struct {
	Reconciler *Reconciler
	Retention  time.Duration
	Every      time.Duration
}

// NeedLeaderElection tells the manager to wait: only a leader's storage is in use.
func (*Collector) NeedLeaderElection() bool { return true }

// Start collects until ctx ends.
func (c *Collector) Start(ctx context.Context) error {
	ticker := time.NewTicker(c.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if err := c.collect(ctx, time.Now()); err != nil {
				ctrl.LoggerFrom(ctx).Error(err, "collecting garbage")
			}
		}
	}
}

// collect collects once. While something is published it does nothing: what is
// stored and not yet named would look like garbage.
func (c *Collector) collect(ctx context.Context, now time.Time) error {
	r := c.Reconciler
	if !r.publishing.TryLock() {
		return nil
	}
	defer r.publishing.Unlock()
	list := &sourcev1.ExternalArtifactList{}
	if err := r.Client.List(ctx, list, client.HasLabels{v1alpha1.LabelGenerator}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing artifacts: %w", err)
	}
	live := make(map[string]bool, len(list.Items))
	for i := range list.Items {
		if artifact := list.Items[i].Status.Artifact; artifact != nil {
			live[artifact.Path] = true
		}
	}
	removed, err := r.Storage.Collect(live, now.Add(-c.Retention))
	garbageCollected.Add(float64(removed))
	return err
}
