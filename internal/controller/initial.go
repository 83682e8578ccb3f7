package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
)

// Initial says when this process has handled, once each, all TenantGenerators
// that were there when it began to lead. Before that, artifacts may be missing
// from a storage that was lost, so it is not ready to serve them.
type Initial struct {
	Client client.Client

	mu      sync.Mutex
	begun   bool
	handled map[types.NamespacedName]bool
	waiting map[types.NamespacedName]bool
}

// NeedLeaderElection tells the manager to wait: only a leader reconciles.
func (*Initial) NeedLeaderElection() bool { return true }

// Start finds out what is to be waited for.
func (i *Initial) Start(ctx context.Context) error {
	list := &v1alpha1.TenantGeneratorList{}
	if err := i.Client.List(ctx, list); err != nil {
		return fmt.Errorf("listing TenantGenerators: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.begun, i.waiting = true, map[types.NamespacedName]bool{}
	for n := range list.Items {
		if key := client.ObjectKeyFromObject(&list.Items[n]); !i.handled[key] {
			i.waiting[key] = true
		}
	}
	return nil
}

func (i *Initial) done(key types.NamespacedName) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.begun {
		if i.handled == nil {
			i.handled = map[types.NamespacedName]bool{}
		}
		i.handled[key] = true
	}
	delete(i.waiting, key)
}

// Check is a readiness probe.
func (i *Initial) Check(*http.Request) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case !i.begun:
		return errors.New("this replica does not lead")
	case len(i.waiting) > 0:
		return fmt.Errorf("%d TenantGenerators are still to be handled for the first time", len(i.waiting))
	default:
		return nil
	}
}
