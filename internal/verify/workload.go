package verify

import (
	"slices"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
)

// workloadKind is a kind that is a pod or makes pods, and where the pod's spec is.
type workloadKind struct {
	group, kind, resource string
	spec                  []string
}

// workloadKinds are Kubernetes' own, and those of controllers that run pods in
// the namespace of what they are told to run. To write one is to run a pod as
// any service account there. Each controller's API documentation names the field.
var workloadKinds = []workloadKind{
	{"", "Pod", "pods", []string{"spec"}},
	{"", "ReplicationController", "replicationcontrollers", templated},
	{"apps", "Deployment", "deployments", templated},
	{"apps", "DaemonSet", "daemonsets", templated},
	{"apps", "StatefulSet", "statefulsets", templated},
	{"apps", "ReplicaSet", "replicasets", templated},
	{"batch", "Job", "jobs", templated},
	{"batch", "CronJob", "cronjobs", []string{"spec", "jobTemplate", "spec", "template", "spec"}},

	{"argoproj.io", "Rollout", "rollouts", templated},
	{"argoproj.io", "Workflow", "workflows", []string{"spec"}},
	{"argoproj.io", "CronWorkflow", "cronworkflows", []string{"spec", "workflowSpec"}},
	{"apps.kruise.io", "CloneSet", "clonesets", templated},
	{"apps.kruise.io", "DaemonSet", "daemonsets", templated},
	{"apps.kruise.io", "StatefulSet", "statefulsets", templated},
	{"apps.kruise.io", "BroadcastJob", "broadcastjobs", templated},
	{"serving.knative.dev", "Service", "services", templated},
	{"serving.knative.dev", "Configuration", "configurations", templated},
	{"tekton.dev", "TaskRun", "taskruns", []string{"spec"}},
	{"tekton.dev", "PipelineRun", "pipelineruns", []string{"spec", "taskRunTemplate"}},
	{"keda.sh", "ScaledJob", "scaledjobs", []string{"spec", "jobTargetRef", "template", "spec"}},
}

var templated = []string{"spec", "template", "spec"}

// podSpec is the part of an object that says what its pods run as; nil where it
// is no workload.
func podSpec(o *inventory.Object) map[string]any {
	group := o.Group()
	i := slices.IndexFunc(workloadKinds, func(k workloadKind) bool { return k.kind == o.Kind && k.group == group })
	if i < 0 {
		return nil
	}
	return o.Map(workloadKinds[i].spec...)
}

// isWorkload tells whether objects of a kind are read for what they run as.
func isWorkload(group, kind string) bool {
	return slices.ContainsFunc(workloadKinds, func(k workloadKind) bool { return k.group == group && k.kind == kind })
}

// needsOfWorkloads are one need for each group of workloads: to do one of the
// verbs to one of its kinds. Pods themselves are left out where they are changed:
// what runs as whom is fixed in them.
func needsOfWorkloads(verbs []string, pods bool) []need {
	var all []need
	for _, k := range workloadKinds {
		if k.kind == "Pod" && !pods {
			continue
		}
		at := slices.IndexFunc(all, func(n need) bool { return n.group == k.group })
		if at < 0 {
			at = len(all)
			all = append(all, need{group: k.group, verbs: verbs})
		}
		all[at].resources = append(all[at].resources, k.resource)
	}
	return all
}

// accountOf is the service account that a pod's spec names.
func accountOf(spec map[string]any) string {
	if name := inventory.Text(spec, "serviceAccountName"); name != "" {
		return name
	}
	if name := inventory.Text(spec, "serviceAccount"); name != "" {
		return name // its old name, which the API server still takes
	}
	return "default"
}
