package main

import (
	"context"
	"fmt"
	"math/rand"
	"time"

	fluxcontroller "github.com/fluxcd/pkg/runtime/controller"
	"github.com/fluxcd/pkg/runtime/events"
	"github.com/fluxcd/pkg/runtime/leaderelection"
	"github.com/fluxcd/pkg/runtime/pprof"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	ctrlcontroller "sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/eso-tenant/eso-tenant/internal/controller"
	"github.com/eso-tenant/eso-tenant/internal/controller/v1alpha1"
)

const name = "eso-tenant-controller"

// newManager wires the controller's parts. end ends the process.
func newManager(ctx context.Context, o *options, end func(reason string)) (ctrl.Manager, error) {
	manager, err := ctrlManager(o)
	if err != nil {
		return nil, err
	}
	if err := o.jitter.SetGlobalJitter(rand.New(rand.NewSource(time.Now().UnixNano()))); err != nil { //nolint:gosec // it spreads load
		return nil, fmt.Errorf("--interval-jitter-percentage: %w", err)
	}
	recorder, err := events.NewRecorder(manager, ctrl.Log, o.eventsAddr, name)
	if err != nil {
		return nil, fmt.Errorf("--events-addr: %w", err)
	}
	storage, err := controller.OpenStorage(o.storagePath, o.storageAdvAddr)
	if err != nil {
		return nil, err
	}
	writer, err := controller.NewWriter(manager.GetConfig(), manager.GetHTTPClient())
	if err != nil {
		return nil, err
	}
	initial := &controller.Initial{Client: manager.GetClient()}
	reconciler := &controller.Reconciler{
		Client: manager.GetClient(), Writer: writer, Events: recorder, Storage: storage,
		Fetcher: controller.NewFetcher(o.limits, o.source, o.fetchTimeout), Version: buildVersion(),
		ServiceAccountName: o.serviceAccountName,
		// Of one namespace, it neither sees nor may read what is in another.
		NoCrossNamespaceRefs: o.acl.NoCrossNamespaceRefs || !o.watch.AllNamespaces,
		RequeueDependency:    o.requeueDependency, MaxCUEBytes: o.maxCUEBytes, Timeout: o.timeout, Workers: o.workers, Initial: initial, End: end,
	}
	setup := ctrlcontroller.Options{MaxConcurrentReconciles: o.concurrent, RateLimiter: fluxcontroller.GetRateLimiter(o.rate)}
	if err := reconciler.SetupWithManager(ctx, manager, setup); err != nil {
		return nil, err
	}
	controller.RegisterMetrics()
	for _, part := range []ctrlRunnable{
		&controller.FileServer{Storage: storage, Address: o.storageAddr},
		&controller.Collector{Reconciler: reconciler, Retention: o.artifactRetention, Every: min(max(o.artifactRetention, time.Second), time.Minute)},
		initial,
	} {
		if err := manager.Add(part); err != nil {
			return nil, fmt.Errorf("adding a part of the controller: %w", err)
		}
	}
	if err := manager.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("adding a probe: %w", err)
	}
	if err := manager.AddReadyzCheck("initial", initial.Check); err != nil {
		return nil, fmt.Errorf("adding a probe: %w", err)
	}
	return manager, nil
}

// ctrlRunnable is what a manager runs.
type ctrlRunnable interface {
	Start(ctx context.Context) error
}

func ctrlManager(o *options) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, sourcev1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering kinds: %w", err)
		}
	}
	rest, err := config.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("finding the cluster: %w", err)
	}
	rest.QPS, rest.Burst = o.qps, o.burst
	selector, err := fluxcontroller.GetWatchSelector(o.watch)
	if err != nil {
		return nil, fmt.Errorf("--watch-label-selector: %w", err)
	}
	leaderID := name + "-leader-election"
	if o.watch.LabelSelector != "" {
		leaderID = leaderelection.GenerateID(leaderID, o.watch.LabelSelector)
	}
	cached := cache.Options{
		// What a shard of the controller sees of its own kind. Sources belong to no shard.
		ByObject:         map[client.Object]cache.ByObject{&v1alpha1.TenantGenerator{}: {Label: selector}},
		DefaultTransform: cache.TransformStripManagedFields(),
	}
	if !o.watch.AllNamespaces {
		cached.DefaultNamespaces = map[string]cache.Config{o.runtimeNamespace: {}}
	}
	manager, err := ctrl.NewManager(rest, ctrl.Options{
		Scheme:                        scheme,
		Cache:                         cached,
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddr, ExtraHandlers: pprof.GetHandlers()},
		HealthProbeBindAddress:        o.healthAddr,
		LeaderElection:                o.leader.Enable,
		LeaderElectionReleaseOnCancel: o.leader.ReleaseOnCancel,
		LeaseDuration:                 &o.leader.LeaseDuration,
		RenewDeadline:                 &o.leader.RenewDeadline,
		RetryPeriod:                   &o.leader.RetryPeriod,
		LeaderElectionID:              leaderID,
		LeaderElectionNamespace:       o.runtimeNamespace,
		Logger:                        ctrl.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("connecting to the cluster: %w", err)
	}
	return manager, nil
}
