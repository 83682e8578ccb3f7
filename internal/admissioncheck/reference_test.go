package admissioncheck

const (
	byFeature  = "this kind is not used here"
	byStore    = "a store of this kind is not used here"
	byMaker    = "is not used here; use a store"
	byManifest = "External Secrets Operator writes Secrets here"
	byPrefix   = "begin with the tenant's own prefix"
)

const (
	externalSecret = "external-secrets.io/v1/ExternalSecret"
	pushSecret     = "external-secrets.io/v1alpha1/PushSecret"

	asks = `{spec: {secretStoreRef: {name: vault, kind: SecretStore}, data: [{secretKey: a, remoteRef: {key: web/a}}, {secretKey: b, remoteRef: {key: team-web-b}}],
  dataFrom: [{extract: {key: web/c}}, {find: {path: web/, name: {regexp: x}}}, {sourceRef: {generatorRef: {kind: Password, name: p}}}, {extract: {key: web/d}, sourceRef: {storeRef: {name: s, kind: ClusterSecretStore}}}]}}`

	pushes = `{spec: {secretStoreRefs: [{name: vault, kind: SecretStore}], selector: {secret: {name: s}}, data: [{match: {secretKey: a, remoteRef: {remoteKey: web/a}}}], dataTo: [{remoteKey: web/b, storeRef: {name: vault}}]}}`
)

// referenceDecisions are about what asks for secrets, and what pushes them.
func referenceDecisions() []decision {
	return []decision{
		{"keys of the tenant's", makes(member, externalSecret, "web/x", asks), ""},
		{"as v1beta1", makes(member, "external-secrets.io/v1beta1/ExternalSecret", "web/x", asks), ""},
		{"as v1alpha1", makes(member, "external-secrets.io/v1alpha1/ExternalSecret", "web/x", `{spec: {secretStoreRef: {name: vault}, dataFrom: [{key: web/a}]}}`), ""},
		{"no data", makes(member, externalSecret, "web/x", `{spec: {secretStoreRef: {name: vault}}}`), ""},
		{"a template", makes(member, externalSecret, "web/x", but(asks, "spec: {", "spec: {target: {template: {type: Opaque}}, ")), ""},
		{"keys of nobody's", makes(member, externalSecret, "somebody/x", but(asks, "web/a", "else/a")), ""},
		{"another tenant's key", makes(member, externalSecret, "web/x", but(asks, "web/a", "shop/a")), byPrefix},
		{"another tenant's key, last", makes(member, externalSecret, "web/x", but(asks, "team-web-b", "team-shop-b")), byPrefix},
		{"a key that only ends so", makes(member, externalSecret, "web/x", but(asks, "web/a", "a/web/")), byPrefix},
		{"a key that only begins so", makes(member, externalSecret, "web/x", but(asks, "web/a", "web-other/a")), byPrefix},
		{"a key that leads out", makes(member, externalSecret, "web/x", but(asks, "web/a", "web/../shop/a")), byPrefix},
		{"another tenant's key as a whole", makes(member, externalSecret, "web/x", but(asks, "web/c", "shop/c")), byPrefix},
		{"another tenant's keys by a pattern", makes(member, externalSecret, "web/x", but(asks, "path: web/", "path: shop/")), byPrefix},
		{"anybody's keys by a pattern", makes(member, externalSecret, "web/x", but(asks, "path: web/, ", "")), byPrefix},
		{"anybody's keys by labels", makes(member, externalSecret, "web/x", but(asks, "path: web/, name: {regexp: x}", "tags: {a: b}")), byPrefix},
		{"another tenant's key as v1alpha1", makes(member, "external-secrets.io/v1alpha1/ExternalSecret", "web/x", `{spec: {secretStoreRef: {name: vault}, dataFrom: [{key: shop/a}]}}`), byPrefix},
		{"another tenant's key, from a store of its own", makes(member, externalSecret, "web/x", but(asks, "web/d", "shop/d")), byPrefix},
		{"another tenant's key, an administrator", makes(administrator, externalSecret, "web/x", but(asks, "web/a", "shop/a")), byPrefix},
		{"E7 another tenant's key, ESO", makes(controller, externalSecret, "web/x", but(asks, "web/a", "shop/a")), byPrefix},
		{"keys where the namespace is not ours", makes(member, externalSecret, "shop/x", `{spec: {secretStoreRef: {name: vault}, data: [{remoteRef: {key: team-shop-a}}]}}`), ""},
		{"another's, where the namespace is not ours", makes(member, externalSecret, "shop/x", `{spec: {secretStoreRef: {name: vault}, data: [{remoteRef: {key: team-web-a}}]}}`), byPrefix},
		{"the tenant's, where nobody says which", makes(member, externalSecret, "shop/x", `{spec: {secretStoreRef: {name: vault}, data: [{remoteRef: {key: /a}}]}}`), byPrefix},
		{"nobody's, where nobody says which", makes(member, externalSecret, "shop/x", `{spec: {secretStoreRef: {name: vault}, data: [{remoteRef: {key: nothing/a}}]}}`), byPrefix},
		{"in ESO's namespace", makes(member, externalSecret, "eso/x", asks), byPrefix},
		{"another's key in a change", changes(member, externalSecret, "web/x", asks, but(asks, "web/a", "shop/a")), byPrefix},
		{"ESO's finalizer off what would be refused", changes(controller, externalSecret, "web/x", `{metadata: {finalizers: [x]}, spec: {data: [{remoteRef: {key: shop/a}}]}}`, `{spec: {data: [{remoteRef: {key: shop/a}}]}}`), ""},
		{"the status of what would be refused", at("status", changes(controller, externalSecret, "web/x", `{spec: {data: [{remoteRef: {key: shop/a}}]}}`, `{spec: {data: [{remoteRef: {key: shop/a}}]}, status: {}}`)), ""},

		{"a store of another kind", makes(member, externalSecret, "web/x", but(asks, "kind: SecretStore", "kind: Other")), byStore},
		{"a source of another kind", makes(member, externalSecret, "web/x", but(asks, "kind: ClusterSecretStore", "kind: Other")), byStore},
		{"a source of another kind, for one key", makes(member, externalSecret, "web/x", but(asks, "{secretKey: a, ", "{secretKey: a, sourceRef: {storeRef: {name: x, kind: Other}}, ")), byStore},
		{"keys of a shared store", makes(member, externalSecret, "web/x", but(asks, "kind: SecretStore", "kind: ClusterSecretStore")), ""},
		{"T4 a webhook that was there before", makes(member, externalSecret, "web/x", but(asks, "kind: Password", "kind: Webhook")), byMaker},
		{"T4 a webhook for one key", makes(member, externalSecret, "web/x", but(asks, "{secretKey: a, ", "{secretKey: a, sourceRef: {generatorRef: {kind: Webhook, name: x}}, ")), byMaker},
		{"a generator of no kind", makes(member, externalSecret, "web/x", but(asks, "kind: Password, ", "")), byMaker},
		{"a UUID's", makes(member, externalSecret, "web/x", but(asks, "kind: Password", "kind: UUID")), ""},
		{"a fake's", makes(member, externalSecret, "web/x", but(asks, "kind: Password", "kind: Fake")), ""},
		{"an SSH key's", makes(member, externalSecret, "web/x", but(asks, "kind: Password", "kind: SSHKey")), ""},
		{"an MFA code's", makes(member, externalSecret, "web/x", but(asks, "kind: Password", "kind: MFA")), ""},
		{"a cluster's generator's", makes(member, externalSecret, "web/x", but(asks, "kind: Password", "kind: ClusterGenerator")), ""},
		{"Vault's", makes(member, externalSecret, "web/x", but(asks, "kind: Password", "kind: VaultDynamicSecret")), ""},
		{"E8 a RoleBinding", makes(member, externalSecret, "web/x", but(asks, "spec: {", "spec: {target: {manifest: {apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding}}, ")), byManifest},

		{"a push", makes(member, pushSecret, "web/x", pushes), ""},
		{"T18 a push to another tenant's key", makes(member, pushSecret, "web/x", but(pushes, "web/a", "shop/a")), byPrefix},
		{"T18 a push of all to another tenant's key", makes(member, pushSecret, "web/x", but(pushes, "web/b", "shop/b")), byPrefix},
		{"T18 a push of all to keys of any name", makes(member, pushSecret, "web/x", but(pushes, "remoteKey: web/b, ", "")), byPrefix},
		{"T18 a push to a store of another kind", makes(member, pushSecret, "web/x", but(pushes, "kind: SecretStore", "kind: Other")), byStore},
		{"T18 a push of all to a store of another kind", makes(member, pushSecret, "web/x", but(pushes, "storeRef: {name: vault", "storeRef: {name: vault, kind: Other")), byStore},
		{"T18 a push of a webhook's", makes(member, pushSecret, "web/x", but(pushes, "secret: {name: s}", "generatorRef: {kind: Webhook, name: s}")), byMaker},
		{"a push to nobody's key, elsewhere", makes(member, pushSecret, "somebody/x", but(pushes, "web/a", "shop/a")), ""},
		{"E7 a ClusterPushSecret", makes(administrator, "external-secrets.io/v1alpha1/ClusterPushSecret", "/x", `{spec: {}}`), byFeature},
		{"E7 a ClusterExternalSecret", makes(administrator, "external-secrets.io/v1/ClusterExternalSecret", "/x", `{spec: {}}`), byFeature},
	}
}
