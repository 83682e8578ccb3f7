package controller

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
)

// What is measured, beside controller-runtime's own: how often and how long
// sources are expanded, what was wrong with them, and what is published.
var (
	renders = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "eso_tenant_renders_total", Help: "Expansions of a source, by what came of them.",
	}, []string{"namespace", "name", "result"})
	renderSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "eso_tenant_render_duration_seconds", Help: "Time to expand a source and publish what changed.",
		Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	}, []string{"namespace", "name"})
	problems = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "eso_tenant_problems", Help: "Problems in the source's last revision, by severity.",
	}, []string{"namespace", "name", "severity"})
	tenants = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "eso_tenant_tenants", Help: "Tenants that are published.",
	}, []string{"namespace", "name"})
	artifactWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "eso_tenant_artifact_writes_total", Help: "ExternalArtifacts that were written to the cluster, by what was done.",
	}, []string{"namespace", "name", "action"})
	artifactBytesServed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "eso_tenant_artifact_served_bytes_total", Help: "Bytes of the artifacts that were asked for.",
	})
	artifactBytesStored = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "eso_tenant_artifact_stored_bytes_total", Help: "Bytes of the artifacts that were written to the storage.",
	})
	garbageCollected = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "eso_tenant_artifacts_collected_total", Help: "Files that were removed from the storage.",
	})
)

// all are the metrics of this package.
func all() []prometheus.Collector {
	return []prometheus.Collector{renders, renderSeconds, problems, tenants, artifactWrites, artifactBytesServed, artifactBytesStored, garbageCollected}
}

// RegisterMetrics adds the metrics to those that the manager serves.
func RegisterMetrics() { metrics.Registry.MustRegister(all()...) }

// MetricNames are what the metrics are called.
func MetricNames() []string {
	var names []string
	described := make(chan *prometheus.Desc, 100)
	for _, metric := range all() {
		metric.Describe(described)
	}
	close(described)
	for d := range described {
		// A description tells its name in its text only.
		_, name, _ := strings.Cut(d.String(), `fqName: "`)
		name, _, _ = strings.Cut(name, `"`)
		names = append(names, name)
	}
	return names
}

// forgetMetrics removes what is known of an object that is gone.
func forgetMetrics(namespace, name string) {
	labels := prometheus.Labels{"namespace": namespace, "name": name}
	for _, vector := range []interface {
		DeletePartialMatch(labels prometheus.Labels) int
	}{renders, renderSeconds, problems, tenants, artifactWrites} {
		vector.DeletePartialMatch(labels)
	}
}
