package admissioncheck

import (
	kubernetes "github.com/eso-tenant/eso-tenant/internal/rbac"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/user"
)

// clusterDecisions are what controllers of a plain cluster may do outside of tenants' namespaces and ESO's: all of it, and all
// that they do to pods and service accounts that are not the fence's inside them.
func clusterDecisions(actors []user.Info) []decision {
	var all []decision
	for _, who := range actors {
		for what, q := range map[string]request{
			"a pod":                    pod(who, "kube-system", "coredns"),
			"a tenant's pod":           pod(who, "web", "default"),
			"a token":                  mint(who, "kube-system", "coredns", audiences("https://kubernetes.default.svc"), seconds(86400)),
			"a token Secret":           secret(who, "kube-system", tokenType, "default"),
			"a bootstrap token":        secret(who, "kube-system", bootstrapType, ""),
			"a service account":        makes(who, serviceAccounts, "kube-system/vault-access-sa", `{}`),
			"its change":               changes(who, serviceAccounts, "kube-system/vault-access-sa", `{}`, `{secrets: [{name: x}]}`),
			"its end":                  deletes(who, serviceAccounts, "kube-system/vault-access-sa", `{}`),
			"a tenant's default":       changes(who, serviceAccounts, "web/default", `{}`, `{secrets: [{name: x}]}`),
			"a Role":                   makes(who, role, "kube-system/x", rules),
			"a binding":                makes(who, roleBinding, "kube-system/x", toEdit),
			"a ClusterRole":            changes(who, clusterRole, "/edit", rules, noRules),
			"a Namespace":              changes(who, namespaces, "/kube-system", `{}`, `{metadata: {labels: {a: b}}}`),
			"the end of a Namespace":   at("finalize", changes(who, namespaces, "/web", label, label)),
			"a way into a pod":         enters(who, "kube-system", "exec"),
			"a store in kube-system":   makes(who, secretStore, "kube-system/x", `{spec: {provider: {fake: {data: []}}}}`),
			"a webhook in kube-system": makes(who, generators1+"Webhook", "kube-system/x", `{spec: {url: x}}`),
		} {
			all = append(all, decision{who.GetName() + ": " + what, q, ""})
		}
	}
	return all
}

// actors are all that Kubernetes itself gives rights to: the service accounts of its controllers, and its users.
func actors() []user.Info {
	own, _ := kubernetes.Bootstrap("")
	subjects := map[string]user.Info{}
	add := func(list []rbacv1.Subject) {
		for _, s := range list {
			switch s.Kind {
			case rbacv1.ServiceAccountKind:
				subjects[s.Namespace+"/"+s.Name] = account(s.Namespace, s.Name)
			case rbacv1.UserKind:
				subjects[s.Name] = person(s.Name)
			}
		}
	}
	for _, b := range own.ClusterRoleBindings {
		add(b.Subjects)
	}
	for _, b := range own.RoleBindings {
		add(b.Subjects)
	}
	var all []user.Info
	for _, who := range subjects {
		all = append(all, who)
	}
	return append(all, kubelet, administrator, managers)
}
