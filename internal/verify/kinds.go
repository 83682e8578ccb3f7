package verify

import "slices"

// Kinds tells which objects the prover looks at.
func Kinds(group, kind string) bool {
	switch group {
	case "rbac.authorization.k8s.io", "external-secrets.io", "generators.external-secrets.io", "admissionregistration.k8s.io",
		templateGroup, constraintGroup, configGroup, syncGroup:
		return true
	case "":
		return isWorkload(group, kind) || slices.Contains([]string{"ServiceAccount", "Secret", "Namespace"}, kind)
	case "networking.k8s.io":
		return kind == "NetworkPolicy"
	case "cilium.io":
		return kind == "CiliumNetworkPolicy"
	default:
		return isWorkload(group, kind)
	}
}

// Resources are what to ask a cluster for, as resource.group, to have all objects
// of those kinds; * is all that the group has. Secrets are not among them: the prover needs the names of token
// Secrets and nothing else of any. Nor are the objects that others of them make.
func Resources() []string {
	all := []string{
		"namespaces", "serviceaccounts",
		"roles." + rbacGroup, "clusterroles." + rbacGroup, "rolebindings." + rbacGroup, "clusterrolebindings." + rbacGroup,
		"validatingadmissionpolicies.admissionregistration.k8s.io", "validatingadmissionpolicybindings.admissionregistration.k8s.io",
		"validatingwebhookconfigurations.admissionregistration.k8s.io",
		"constrainttemplates." + templateGroup, "*." + constraintGroup, "configs." + configGroup, "syncsets." + syncGroup,
		"networkpolicies.networking.k8s.io", "ciliumnetworkpolicies.cilium.io",
	}
	for _, resource := range []string{"secretstores", "clustersecretstores", "externalsecrets", "clusterexternalsecrets", "pushsecrets", "clusterpushsecrets"} {
		all = append(all, resource+"."+storeGroup)
	}
	for _, resource := range slices.Concat(loggingIn, []string{"clustergenerators"}) {
		all = append(all, resource+"."+generatorGroup)
	}
	for _, k := range workloadKinds {
		switch {
		case k.kind == "ReplicaSet": // a Deployment's
		case k.group == "":
			all = append(all, k.resource)
		default:
			all = append(all, k.resource+"."+k.group)
		}
	}
	return all
}
