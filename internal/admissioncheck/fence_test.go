package admissioncheck

const (
	byWriters = "this is part of the fence around External Secrets Operator"
	byRole    = "this binds to a role of the fence"
	byUse     = "a store uses this service account"
	byKeys    = "labels and annotations of eso-tenant.dev say whose a namespace is"
	byPods    = "nobody gets into the pods of External Secrets Operator"
)

const (
	role            = "rbac.authorization.k8s.io/v1/Role"
	roleBinding     = "rbac.authorization.k8s.io/v1/RoleBinding"
	clusterRole     = "rbac.authorization.k8s.io/v1/ClusterRole"
	clusterBinding  = "rbac.authorization.k8s.io/v1/ClusterRoleBinding"
	serviceAccounts = "v1/ServiceAccount"
	namespaces      = "v1/Namespace"

	tokenRole = "web/eso-tenant-token-vault-access-sa"
	rules     = `{rules: [{apiGroups: [""], resources: [configmaps], verbs: [get]}]}`
	noRules   = `{rules: []}`
	toFence   = `{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: eso-tenant-token-vault-access-sa}, subjects: [{kind: User, name: alice}]}`
	toESO     = `{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: eso-tenant-blue-controller}, subjects: [{kind: User, name: alice}]}`
	toView    = `{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: eso-tenant-blue-view}, subjects: [{kind: User, name: alice}]}`
	toEdit    = `{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}, subjects: [{kind: User, name: alice}]}`

	fencedSA = "web/vault-access-sa"
	delivers = `{metadata: {labels: {a: b}, annotations: {eks.amazonaws.com/role-arn: web}}, automountServiceAccountToken: false}`
	label    = `{metadata: {labels: {eso-tenant.dev/tenant: web, a: b}}}`
)

func fenceDecisions() []decision {
	return []decision{
		// Roles and bindings.
		{"the applier makes a Role", makes(applier, role, tokenRole, rules), ""},
		{"the applier changes a Role", changes(applier, role, tokenRole, rules, noRules), ""},
		{"the applier deletes a Role", deletes(applier, role, tokenRole, rules), ""},
		{"the applier makes a binding", makes(applier, roleBinding, tokenRole, toFence), ""},
		{"who breaks glass", deletes(rescuer, role, tokenRole, rules), ""},
		{"a member makes a Role of the fence", makes(member, role, tokenRole, rules), byWriters},
		{"a member makes one by a generated name", amongMany(makes(member, role, tokenRole, rules)), byWriters},
		{"a member changes a Role of the fence", changes(member, role, tokenRole, rules, noRules), byWriters},
		{"a member deletes a Role of the fence", deletes(member, role, tokenRole, rules), byWriters},
		{"a member deletes all Roles", amongMany(deletes(member, role, tokenRole, rules)), byWriters},
		{"a member deletes the Role with ESO's writes", deletes(member, role, "web/eso-tenant-writes", rules), byWriters},
		{"an administrator deletes a Role of the fence", deletes(administrator, role, tokenRole, rules), byWriters},
		{"ESO changes a Role of the fence", changes(controller, role, tokenRole, rules, noRules), byWriters},
		{"E11 an owner for the collector", changes(member, role, tokenRole, rules, `{metadata: {ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: x, uid: z}]}, rules: []}`), byWriters},
		{"T8 a member changes a binding of the fence", changes(member, roleBinding, tokenRole, toFence, toEdit), byWriters},
		{"a member deletes a binding of the fence", deletes(member, roleBinding, tokenRole, toFence), byWriters},
		{"a member deletes another member's binding", deletes(member, roleBinding, "web/eso-tenant-member-web-devs-0123456789", toEdit), byWriters},
		{"T8 a member binds to a Role of the fence", makes(member, roleBinding, "web/mine", toFence), byRole},
		{"a binding of another name is deleted by a member", deletes(member, roleBinding, "web/mine", toFence), byRole},
		{"T8 a member binds to ESO's ClusterRole", makes(member, roleBinding, "web/mine", toESO), byRole},
		{"E11 somebody binds to ESO's ClusterRole", makes(administrator, clusterBinding, "/mine", toESO), byRole},
		{"ESO's ClusterRole is changed", changes(administrator, clusterRole, "/eso-tenant-blue-controller", rules, noRules), byWriters},
		{"ESO's binding is deleted", deletes(administrator, clusterBinding, "/eso-tenant-blue-controller", toESO), byWriters},
		{"a member binds to the role that reads", makes(member, roleBinding, "web/mine", toView), ""},
		{"a member binds to a ClusterRole of such a name", makes(member, roleBinding, "web/mine", but(toFence, "kind: Role", "kind: ClusterRole")), ""},
		{"a member makes a binding", makes(member, roleBinding, "web/mine", toEdit), ""},
		{"a member makes a Role", makes(member, role, "web/mine", rules), ""},
		{"a member deletes a Role", deletes(member, role, "web/mine", rules), ""},
		{"the namespace controller deletes a Role", deletes(emptier, role, tokenRole, rules), ""},
		{"the namespace controller deletes all Roles", amongMany(deletes(emptier, role, tokenRole, rules)), ""},
		{"the namespace controller deletes a binding", deletes(emptier, roleBinding, tokenRole, toFence), ""},
		{"the garbage collector deletes a Role", deletes(collector, role, tokenRole, rules), ""},
		{"the controller manager deletes a Role", deletes(managers, role, tokenRole, rules), ""},
		{"the namespace controller makes a Role", makes(emptier, role, tokenRole, rules), byWriters},
		{"another controller deletes a Role", deletes(replicaSets, role, tokenRole, rules), byWriters},

		// Service accounts.
		{"the applier makes a service account", makes(applier, serviceAccounts, fencedSA, delivers), ""},
		{"the applier changes its identity", changes(applier, serviceAccounts, fencedSA, delivers, `{}`), ""},
		{"the applier deletes it", deletes(applier, serviceAccounts, fencedSA, delivers), ""},
		{"who breaks glass deletes it", deletes(rescuer, serviceAccounts, fencedSA, delivers), ""},
		{"the controller manager deletes it", deletes(managers, serviceAccounts, fencedSA, delivers), ""},
		{"a Secret to pull with, beside Secrets", changes(member, serviceAccounts, fencedSA, but(delivers, "automount", "secrets: [{name: old}], automount"),
			but(delivers, "automount", "secrets: [{name: old}], imagePullSecrets: [{name: x}], automount")), ""},
		{"T13 a member deletes it", deletes(member, serviceAccounts, fencedSA, delivers), byUse},
		{"T13 a member deletes all", amongMany(deletes(member, serviceAccounts, fencedSA, delivers)), byUse},
		{"T13 a member makes it anew", makes(member, serviceAccounts, fencedSA, delivers), byUse},
		{"T13 by a generated name", amongMany(makes(member, serviceAccounts, fencedSA, delivers)), byUse},
		{"T13 where the namespace is not ours", deletes(member, serviceAccounts, "shop/vault-access-sa", delivers), byUse},
		{"T13 a shared store's", deletes(administrator, serviceAccounts, "eso/everyone-access-sa", delivers), byUse},
		{"T15 another identity", changes(member, serviceAccounts, fencedSA, delivers, but(delivers, "role-arn: web", "role-arn: pay")), byUse},
		{"T15 one identity more", changes(member, serviceAccounts, fencedSA, delivers, but(delivers, "annotations: {", "annotations: {iam.gke.io/gcp-service-account: x, ")), byUse},
		{"its identity is taken", changes(member, serviceAccounts, fencedSA, delivers, but(delivers, "eks.amazonaws.com/role-arn: web", "")), byUse},
		{"one identity of two is taken", changes(member, serviceAccounts, fencedSA, but(delivers, "annotations: {", "annotations: {a: b, "), but(delivers, "eks.amazonaws.com/role-arn: web", "a: b")), byUse},
		{"all annotations are taken", changes(member, serviceAccounts, fencedSA, delivers, but(delivers, ", annotations: {eks.amazonaws.com/role-arn: web}", "")), byUse},
		{"an identity where there was none", changes(member, serviceAccounts, fencedSA, `{}`, `{metadata: {annotations: {eks.amazonaws.com/role-arn: pay}}}`), byUse},
		{"another label", changes(member, serviceAccounts, fencedSA, delivers, but(delivers, "a: b", "a: c")), byUse},
		{"an owner for the collector", changes(member, serviceAccounts, fencedSA, delivers, but(delivers, "metadata: {", "metadata: {ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: x, uid: z}], ")), byUse},
		{"a finalizer", changes(member, serviceAccounts, fencedSA, delivers, but(delivers, "metadata: {", "metadata: {finalizers: [example.com/x], ")), byUse},
		{"a token in pods", changes(member, serviceAccounts, fencedSA, delivers, but(delivers, "false", "true")), byUse},
		{"a Secret to fall back to", changes(member, serviceAccounts, fencedSA, delivers, but(delivers, "automount", "secrets: [{name: old}], automount")), byUse},
		{"ESO changes it", changes(controller, serviceAccounts, fencedSA, delivers, but(delivers, "role-arn: web", "role-arn: pay")), byUse},
		{"a Secret to pull with", changes(member, serviceAccounts, fencedSA, delivers, but(delivers, "automount", "imagePullSecrets: [{name: x}], automount")), ""},
		{"OpenShift adds its Secrets", changes(openshift, serviceAccounts, fencedSA, delivers, but(but(delivers, "automount", "secrets: [{name: x}], imagePullSecrets: [{name: x}], automount"),
			"annotations: {", "annotations: {openshift.io/internal-registry-pull-secret-ref: x, ")), ""},
		{"OpenShift changes its note", changes(openshift, serviceAccounts, fencedSA, but(delivers, "annotations: {", "annotations: {openshift.io/x: a, "), but(delivers, "annotations: {", "annotations: {openshift.io/x: b, ")), ""},
		{"OpenShift takes its note off", changes(openshift, serviceAccounts, fencedSA, but(delivers, "annotations: {", "annotations: {openshift.io/x: a, "), delivers), ""},
		{"OpenShift changes its identity", changes(openshift, serviceAccounts, fencedSA, delivers, but(delivers, "role-arn: web", "role-arn: pay")), byUse},
		{"the token controller takes a Secret off", changes(managers, serviceAccounts, fencedSA, but(delivers, "automount", "secrets: [{name: old}], automount"), delivers), ""},
		{"the token controller with its own account", changes(tokens, serviceAccounts, fencedSA, but(delivers, "automount", "secrets: [{name: old}], automount"), delivers), ""},
		{"the namespace controller deletes it", deletes(emptier, serviceAccounts, fencedSA, delivers), ""},
		{"the garbage collector deletes it", deletes(collector, serviceAccounts, fencedSA, delivers), ""},
		{"a member's own service account", makes(member, serviceAccounts, "web/mine", `{}`), ""},
		{"a member's own is deleted", deletes(member, serviceAccounts, "web/mine", `{}`), ""},
		{"one of that name elsewhere", deletes(member, serviceAccounts, "somebody/vault-access-sa", `{}`), ""},
		{"the cluster's default", makes(account("kube-system", "service-account-controller"), serviceAccounts, "web/default", `{}`), ""},

		// Namespaces.
		{"the applier makes a Namespace", makes(applier, namespaces, "/web", label), ""},
		{"the applier gives it to another", changes(applier, namespaces, "/web", label, but(label, "tenant: web", "tenant: shop")), ""},
		{"E5 ESO gives a Namespace to another", changes(controller, namespaces, "/web", label, but(label, "tenant: web", "tenant: shop")), byKeys},
		{"T6 somebody takes the label off", changes(administrator, namespaces, "/web", label, `{metadata: {labels: {a: b}}}`), byKeys},
		{"somebody takes all labels off", changes(administrator, namespaces, "/web", label, `{}`), byKeys},
		{"somebody adds the label", changes(administrator, namespaces, "/somebody", `{}`, label), byKeys},
		{"somebody makes one with it", makes(administrator, namespaces, "/new", label), byKeys},
		{"somebody makes one by a generated name", amongMany(makes(administrator, namespaces, "/new", label)), byKeys},
		{"an annotation of ours", changes(administrator, namespaces, "/web", label, `{metadata: {labels: {eso-tenant.dev/tenant: web}, annotations: {eso-tenant.dev/x: z}}}`), byKeys},
		{"an annotation of ours is taken", changes(administrator, namespaces, "/web", `{metadata: {annotations: {eso-tenant.dev/x: z}}}`, `{}`), byKeys},
		{"through its status", at("status", changes(administrator, namespaces, "/web", label, `{}`)), byKeys},
		{"through its end", at("finalize", changes(administrator, namespaces, "/web", label, `{}`)), byKeys},
		{"the namespace controller ends it", at("finalize", changes(emptier, namespaces, "/web", but(label, "{metadata", "{spec: {finalizers: [kubernetes]}, metadata"), label)), ""},
		{"the namespace controller says so", at("status", changes(emptier, namespaces, "/web", label, label)), ""},
		{"who breaks glass gives it to another", changes(rescuer, namespaces, "/web", label, but(label, "tenant: web", "tenant: shop")), ""},
		{"an annotation of ours stays", changes(administrator, namespaces, "/web", `{metadata: {annotations: {eso-tenant.dev/x: z, a: b}}}`, `{metadata: {annotations: {eso-tenant.dev/x: z, a: c}}}`), ""},
		{"another annotation goes", changes(administrator, namespaces, "/web", `{metadata: {annotations: {eso-tenant.dev/x: z, a: b}}}`, `{metadata: {annotations: {eso-tenant.dev/x: z}}}`), ""},
		{"another label of a Namespace", changes(administrator, namespaces, "/web", label, but(label, "a: b", "a: c")), ""},
		{"ESO's finalizer on a Namespace", changes(controller, namespaces, "/web", label, but(label, "metadata: {", "metadata: {finalizers: [example.com/x], ")), ""},
		{"a Namespace is deleted", deletes(administrator, namespaces, "/web", label), ""},
		{"somebody makes a Namespace", makes(administrator, namespaces, "/new", `{}`), ""},

		// T23: ESO's pods.
		{"T23 exec", enters(administrator, "eso", "exec"), byPods},
		{"T23 attach", enters(administrator, "eso", "attach"), byPods},
		{"T23 portforward", enters(administrator, "eso", "portforward"), byPods},
		{"T23 a container for debugging", at("ephemeralcontainers", changes(administrator, "v1/Pod", "eso/p", `{}`, `{spec: {ephemeralContainers: [{name: x}]}}`)), byPods},
		{"who breaks glass, exec", enters(rescuer, "eso", "exec"), ""},
		{"the applier, exec", enters(applier, "eso", "exec"), ""},
		{"exec elsewhere", enters(member, "web", "exec"), ""},
		{"exec in kube-system", enters(administrator, "kube-system", "exec"), ""},
		{"a pod's status", at("status", changes(kubelet, "v1/Pod", "eso/p", `{}`, `{}`)), ""},
		{"a pod's logs", at("log", changes(administrator, "v1/Pod", "eso/p", `{}`, `{}`)), ""},
	}
}
