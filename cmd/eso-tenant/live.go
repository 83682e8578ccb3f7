package main

import (
	"context"
	"errors"
	"iter"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/kubectl"
)

// liveResources are what a proof over a cluster looks at. Secrets are not among
// them: of these, names and types of token Secrets are asked for alone.
var liveResources = []string{
	"namespaces", "serviceaccounts", "pods", "replicationcontrollers",
	"roles.rbac.authorization.k8s.io", "clusterroles.rbac.authorization.k8s.io",
	"rolebindings.rbac.authorization.k8s.io", "clusterrolebindings.rbac.authorization.k8s.io",
	"deployments.apps", "daemonsets.apps", "statefulsets.apps", "jobs.batch", "cronjobs.batch",
	"networkpolicies.networking.k8s.io", "ciliumnetworkpolicies.cilium.io",
	"secretstores.external-secrets.io", "clustersecretstores.external-secrets.io",
	"externalsecrets.external-secrets.io", "clusterexternalsecrets.external-secrets.io",
	"pushsecrets.external-secrets.io", "clusterpushsecrets.external-secrets.io",
	"validatingadmissionpolicies.admissionregistration.k8s.io", "validatingadmissionpolicybindings.admissionregistration.k8s.io",
	"validatingwebhookconfigurations.admissionregistration.k8s.io",
}

// tokenSecrets prints token Secrets without what is in them, as documents.
const tokenSecrets = `{range .items[*]}{"{\"apiVersion\":\"v1\",\"kind\":\"Secret\",\"type\":\"kubernetes.io/service-account-token\",\"metadata\":{\"namespace\":\""}{.metadata.namespace}` +
	`{"\",\"name\":\""}{.metadata.name}{"\",\"annotations\":{\"kubernetes.io/service-account.name\":\""}{.metadata.annotations.kubernetes\.io/service-account\.name}{"\"}}}\n"}{end}`

// live reads the objects of a cluster. The error says that it could not be
// asked, and then what was read is not all.
func live(ctx context.Context, kubeContext string, keep func(group, kind string) bool) (*inventory.Set, error) {
	client := kubectl.Client{Context: kubeContext}
	resources, err := client.Serves(ctx, liveResources)
	if err != nil {
		return nil, asked(err)
	}
	var failures []error
	sources := func(yield func(inventory.Source) bool) {
		for _, args := range [][]string{
			{"get", strings.Join(resources, ","), "--all-namespaces", "--output=json", "--chunk-size=500"},
			{"get", "secrets", "--all-namespaces", "--field-selector=type=kubernetes.io/service-account-token", "--output=jsonpath=" + tokenSecrets},
		} {
			out, err := client.Stream(ctx, args...)
			if err != nil {
				failures = append(failures, err)
				return
			}
			more := yield(inventory.Source{File: "cluster", Reader: out})
			failures = append(failures, out.Close())
			if !more {
				return
			}
		}
	}
	set, problems := inventory.Read(iter.Seq[inventory.Source](sources), keep)
	for _, p := range problems {
		if p.Rule == "source-empty" {
			continue // there are no token Secrets
		}
		failures = append(failures, errors.New(p.Line()))
	}
	return set, asked(errors.Join(failures...))
}

func asked(err error) error {
	switch {
	case errors.Is(err, kubectl.ErrMissing):
		return errors.New("the cluster was not asked: there is no kubectl on the PATH")
	default:
		return err
	}
}
