package eso

import "slices"

// Workload is one of ESO's Deployments, as the chart makes it.
type Workload struct {
	Part string // controller, webhook or cert-controller
	// Name is the value of app.kubernetes.io/name on its pods; app.kubernetes.io/instance is the Helm release.
	Name        string
	Providers   bool // it connects to providers
	MetricsPort int
	WebhookPort int // where the API server calls; 0: nowhere
}

// The labels by which the chart's Deployments select their pods. Only both together are one release's.
const (
	LabelName     = "app.kubernetes.io/name"
	LabelInstance = "app.kubernetes.io/instance"
)

// workloads are the same in every release on record: the selector labels of templates/_helpers.tpl do not differ between
// charts 0.9.0 and 2.9.0, nor do the default ports in their values.yaml (metrics.listen.port, and prometheus.service.port
// before it; webhook.port; read in the values of all 72 charts). Health ports are left out: only the kubelet asks there, and
// a network policy never keeps a node from its own pods.
var workloads = []Workload{
	{Part: "controller", Name: "external-secrets", Providers: true, MetricsPort: 8080},
	{Part: "webhook", Name: "external-secrets-webhook", MetricsPort: 8080, WebhookPort: 10250},
	{Part: "cert-controller", Name: "external-secrets-cert-controller", MetricsPort: 8080},
}

// Workloads returns ESO's Deployments. One that the chart's values leave out has no pods.
func Workloads() []Workload { return slices.Clone(workloads) }
