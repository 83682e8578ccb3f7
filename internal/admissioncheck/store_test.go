package admissioncheck

import (
	"slices"
	"strings"
)

const (
	byCatalogue  = "this store's provider is none that the Platform has"
	byReference  = "a store names, with serviceAccountRef, a service account"
	byPlace      = "serviceAccountRef names no namespace"
	byAsked      = "the audiences in serviceAccountRef"
	byConditions = "a ClusterSecretStore has conditions"
	byGenerator  = "a generator that logs in somewhere"
)

const (
	secretStore = "external-secrets.io/v1/SecretStore"
	sharedStore = "external-secrets.io/v1/ClusterSecretStore"
	generators1 = "generators.external-secrets.io/v1alpha1/"
)

// vault is a store as it is rendered, with what ESO's CRD fills in.
const vault = `{spec: {provider: {vault: {server: "https://vault.example.com", version: v2, path: kv, auth: {kubernetes: {mountPath: kubernetes, role: web-vault,
  serviceAccountRef: {name: vault-access-sa, audiences: [vault]}}}}}}}`

const jwt = `{spec: {provider: {vault: {server: "https://vault.example.com", auth: {jwt: {path: jwt, role: r, kubernetesServiceAccountToken: {serviceAccountRef: {name: vault-access-sa}}}}}}}}`

const aws = `{spec: {provider: {aws: {service: SecretsManager, region: eu-west-1, auth: {jwt: {serviceAccountRef: {name: vault-access-sa}}}}}}}`

const federated = `{spec: {provider: {gcpsm: {projectID: acme, secretVersionSelectionPolicy: LatestOrFail, auth: {workloadIdentityFederation: {
  audience: //iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k, serviceAccountRef: {name: vault-access-sa,
  audiences: ["https://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k"]}}}}}}}`

const azure = `{spec: {provider: {azurekv: {authType: WorkloadIdentity, vaultUrl: "https://acme.vault.azure.net", tenantId: 5e5f1f3e-0000-4000-8000-000000000000,
  environmentType: PublicCloud, useAzureSDK: false, serviceAccountRef: {name: vault-access-sa}}}}}`

const here = `{spec: {provider: {kubernetes: {remoteNamespace: shared, server: {url: "https://kubernetes.default.svc", caProvider: {type: ConfigMap, name: kube-root-ca.crt, key: ca.crt}},
  auth: {serviceAccount: {name: here-access-sa, audiences: ["https://kubernetes.default.svc", "https://kubernetes.default.svc.cluster.local"]}}}}}}`

const deep = `{spec: {provider: {deep: {a: {b: {c: {d: {own: platform, reference: {name: vault-access-sa, audiences: [deep]}}}, own: platform}}}}}}`

const everyone = `{spec: {conditions: [{namespaces: [web]}], provider: {vault: {server: "https://vault.example.com", auth: {kubernetes: {mountPath: kubernetes, role: r,
  serviceAccountRef: {name: everyone-access-sa, namespace: eso, audiences: [vault]}}}}}}}`

const dynamic = `{spec: {path: /db/creds/x, provider: {server: "https://vault.example.com", auth: {kubernetes: {mountPath: kubernetes, role: web-vault,
  serviceAccountRef: {name: vault-access-sa, audiences: [vault]}}}}}}`

// but is a text with one thing in it changed.
func but(text, old, replacement string) string {
	changed := strings.Replace(text, old, replacement, 1)
	if changed == text {
		panic("there is no " + old)
	}
	return changed
}

const (
	audiencesIn = ", audiences: [vault]"
	referenceIn = "serviceAccountRef: {name: vault-access-sa, audiences: [vault]}"
)

// storeDecisions are about stores and generators.
func storeDecisions() []decision {
	return slices.Concat(clusterGenerators(), []decision{
		// Stores as they are rendered, whoever delivers them.
		{"a store", makes(applier, secretStore, "web/vault", vault), ""},
		{"a member's store", makes(member, secretStore, "web/other", vault), ""},
		{"a store as v1beta1", makes(member, "external-secrets.io/v1beta1/SecretStore", "web/vault", vault), ""},
		{"a store without what the CRD fills in", makes(member, secretStore, "web/vault", but(vault, "version: v2, ", "")), ""},
		{"the tenant's own mount", makes(member, secretStore, "web/vault", but(vault, "path: kv", "path: web")), ""},
		{"the tenant's own role", makes(member, secretStore, "web/vault", but(vault, "role: web-vault", "role: other")), ""},
		{"a store by jwt", makes(member, secretStore, "web/jwt", jwt), ""},
		{"a store of aws", makes(member, secretStore, "web/aws", aws), ""},
		{"a store of gcp", makes(member, secretStore, "web/gcp", federated), ""},
		{"a store of azure", makes(member, secretStore, "web/azure", azure), ""},
		{"a store that logs in deep down", makes(member, secretStore, "web/deep", deep), ""},
		{"a field more deep down", makes(member, secretStore, "web/deep", but(deep, "own: platform, ", "own: platform, other: x, ")), byCatalogue},
		{"another field deep down", makes(member, secretStore, "web/deep", but(deep, "own: platform, ", "own: tenant, ")), byCatalogue},
		{"another field on the way", makes(member, secretStore, "web/deep", but(deep, "own: platform}}}}", "own: tenant}}}}")), byCatalogue},
		{"a field less on the way", makes(member, secretStore, "web/deep", but(deep, ", own: platform}}}}", "}}}}")), byCatalogue},
		{"a store for the twin's audience", makes(member, secretStore, "web/twin", but(vault, "[vault]", "[twin]")), ""},
		{"a store for both audiences", makes(member, secretStore, "web/twin", but(vault, "[vault]", "[vault, twin]")), byAsked},
		{"a store of this cluster", makes(member, secretStore, "shop/here", here), ""},
		{"a shared store is made", makes(applier, sharedStore, "/everyone", everyone), ""},
		{"with a refresh interval", makes(member, secretStore, "web/vault", but(vault, "spec: {", "spec: {refreshInterval: 60, ")), ""},
		{"where a namespace is nobody's", makes(member, secretStore, "somebody/vault", but(vault, "https://vault.example.com", "https://else.example.com")), ""},
		{"of another kind, where a namespace is nobody's", makes(member, secretStore, "somebody/x", `{spec: {provider: {fake: {data: []}}}}`), ""},

		// T1: ESO's own token goes to a server.
		{"T1 vault", makes(member, secretStore, "web/x", but(vault, ",\n  "+referenceIn, "")), byReference},
		{"T1 vault, another server", makes(member, secretStore, "web/x", but(but(vault, ",\n  "+referenceIn, ""), "vault.example", "evil.example")), byCatalogue},
		{"T1 vault, no way to log in", makes(member, secretStore, "web/x", but(vault, "kubernetes: {mountPath: kubernetes, role: web-vault,\n  "+referenceIn+"}", "")), byCatalogue},
		{"T1 aws", makes(member, secretStore, "web/x", but(aws, ", auth: {jwt: {serviceAccountRef: {name: vault-access-sa}}}", "")), byReference},
		{"T1 aws, an empty auth", makes(member, secretStore, "web/x", but(aws, "jwt: {serviceAccountRef: {name: vault-access-sa}}", "")), byReference},
		{"T1 azure", makes(member, secretStore, "web/x", but(azure, ", serviceAccountRef: {name: vault-access-sa}", "")), byReference},
		{"T1 azure, a managed identity", makes(member, secretStore, "web/x", but(azure, "WorkloadIdentity", "ManagedIdentity")), byCatalogue},
		{"T1 akeyless", makes(member, secretStore, "web/x", `{spec: {provider: {akeyless: {akeylessGWApiURL: "https://evil", authSecretRef: {kubernetesAuth: {accessID: p-1}}}}}}`), byCatalogue},
		{"T1 infisical", makes(member, secretStore, "web/x", `{spec: {provider: {infisical: {auth: {kubernetesAuthCredentials: {}}}}}}`), byCatalogue},
		{"T1 ibm", makes(member, secretStore, "web/x", `{spec: {provider: {ibm: {auth: {containerAuth: {profile: p}}}}}}`), byCatalogue},
		{"T1 in ESO's namespace", makes(member, secretStore, "eso/x", but(vault, ",\n  "+referenceIn, "")), byReference},
		{"T1 where the namespace is not ours", makes(member, secretStore, "shop/x", but(vault, ",\n  "+referenceIn, "")), byReference},
		{"T1 where a tenant has no store", makes(member, secretStore, "web-plain/x", vault), byReference},
		{"T1 an administrator", makes(administrator, secretStore, "web/x", but(vault, ",\n  "+referenceIn, "")), byReference},
		{"T1 one who delivers", makes(applier, secretStore, "web/x", but(vault, ",\n  "+referenceIn, "")), byReference},
		{"T1 as v1alpha1", makes(member, "external-secrets.io/v1alpha1/SecretStore", "web/x", but(vault, ",\n  "+referenceIn, "")), byReference},
		{"T1 as v1beta1", makes(member, "external-secrets.io/v1beta1/SecretStore", "web/x", but(vault, ",\n  "+referenceIn, "")), byReference},
		{"T1 in a version to come", makes(member, "external-secrets.io/v2/SecretStore", "web/x", but(vault, ",\n  "+referenceIn, "")), byReference},

		// E6, T2–T4: whoever writes the store decides where ESO goes, and as whom.
		{"another server", makes(member, secretStore, "web/x", but(vault, "vault.example", "evil.example")), byCatalogue},
		{"another kind's server", makes(member, secretStore, "web/x", but(vault, "server: ", "url: ")), byCatalogue},
		{"a Vault namespace", makes(member, secretStore, "web/x", but(vault, "path: kv", "path: kv, namespace: other")), byCatalogue},
		{"a Vault namespace to log in to", makes(member, secretStore, "web/x", but(vault, "auth: {", "auth: {namespace: other, ")), byCatalogue},
		{"another mount to log in to", makes(member, secretStore, "web/x", but(vault, "mountPath: kubernetes", "mountPath: other")), byCatalogue},
		{"another version than the Platform's", makes(member, secretStore, "web/x", but(vault, "version: v2", "version: v1")), byCatalogue},
		{"another certificate", makes(member, secretStore, "web/x", but(vault, "path: kv", "path: kv, caBundle: QUJD")), byCatalogue},
		{"a Secret beside the reference", makes(member, secretStore, "web/x", but(vault, "role: web-vault", "role: web-vault, secretRef: {name: x}")), byCatalogue},
		{"a stored token", makes(member, secretStore, "web/x", but(vault, "kubernetes: {mountPath", "tokenSecretRef: {name: x}, kubernetes: {mountPath")), byCatalogue},
		{"two ways to log in", makes(member, secretStore, "web/x", but(vault, "auth: {", "auth: {jwt: {path: jwt}, ")), byCatalogue},
		{"jwt with audiences of its own", makes(member, secretStore, "web/x", but(jwt, "kubernetesServiceAccountToken: {", "kubernetesServiceAccountToken: {audiences: [x], ")), byCatalogue},
		{"two providers", makes(member, secretStore, "web/x", but(vault, "provider: {", "provider: {fake: {data: []}, ")), byCatalogue},
		{"two providers of the catalogue", makes(member, secretStore, "web/x", but(vault, "provider: {", "provider: {aws: {service: SecretsManager, region: eu-west-1}, ")), byCatalogue},
		{"no provider", makes(member, secretStore, "web/x", `{spec: {provider: {}}}`), byCatalogue},
		{"a provider to come", makes(member, secretStore, "web/x", `{spec: {provider: {tomorrow: {serviceAccountRef: {name: vault-access-sa}}}}}`), byCatalogue},
		{"another region", makes(member, secretStore, "web/x", but(aws, "eu-west-1", "us-east-1")), byCatalogue},
		{"another role to assume", makes(member, secretStore, "web/x", but(aws, "region: ", "role: other, region: ")), byCatalogue},
		{"stored keys of aws", makes(member, secretStore, "web/x", but(aws, "jwt: {serviceAccountRef: {name: vault-access-sa}}", "secretRef: {accessKeyIDSecretRef: {name: x}}")), byCatalogue},
		{"T2 authRef", makes(member, secretStore, "shop/x", but(here, "remoteNamespace: shared", "remoteNamespace: shared, authRef: {name: kubeconfig}")), byCatalogue},
		{"T2 authRef alone", makes(member, secretStore, "shop/x", `{spec: {provider: {kubernetes: {authRef: {name: kubeconfig}}}}}`), byCatalogue},
		{"T2 another API server", makes(member, secretStore, "shop/x", but(here, "https://kubernetes.default.svc", "https://evil.example.com")), byCatalogue},
		{"T2 crd", makes(member, secretStore, "shop/x", `{spec: {provider: {crd: {authRef: {name: kubeconfig}}}}}`), byCatalogue},
		{"T3 credConfig", makes(member, secretStore, "web/x", but(federated, "workloadIdentityFederation: {", "workloadIdentityFederation: {credConfig: {name: c, key: k}, ")), byCatalogue},
		{"T3 credentials of aws", makes(member, secretStore, "web/x", but(federated, "workloadIdentityFederation: {", "workloadIdentityFederation: {awsSecurityCredentials: {region: x}, ")), byCatalogue},
		{"T4 webhook", makes(member, secretStore, "web/x", `{spec: {provider: {webhook: {url: "http://169.254.169.254/"}}}}`), byCatalogue},

		// Whose token it is, and for whom.
		{"a store of another service account", makes(member, secretStore, "web/x", but(vault, "name: vault-access-sa", "name: default")), byReference},
		{"another namespace's service account", makes(member, secretStore, "web/x", but(vault, "name: vault-access-sa", "name: vault-access-sa, namespace: shop")), byPlace},
		{"its own namespace, said", makes(member, secretStore, "web/x", but(vault, "name: vault-access-sa", "name: vault-access-sa, namespace: web")), byPlace},
		{"T17 an audience more", makes(member, secretStore, "web/x", but(vault, "[vault]", "[vault, sts.amazonaws.com]")), byAsked},
		{"another audience", makes(member, secretStore, "web/x", but(vault, "[vault]", "[other]")), byAsked},
		{"E17 no audience", makes(member, secretStore, "web/x", but(vault, audiencesIn, "")), byAsked},
		{"an audience where ESO adds its own", makes(member, secretStore, "web/x", but(aws, "name: vault-access-sa", "name: vault-access-sa, audiences: [vault]")), byAsked},

		// Shared stores.
		{"T5 no conditions", makes(administrator, sharedStore, "/x", but(everyone, "conditions: [{namespaces: [web]}], ", "")), byConditions},
		{"T5 an empty list", makes(administrator, sharedStore, "/x", but(everyone, "[{namespaces: [web]}]", "[]")), byConditions},
		{"T5 no namespaces", makes(administrator, sharedStore, "/x", but(everyone, "[web]", "[]")), byConditions},
		{"T5 a pattern", makes(administrator, sharedStore, "/x", but(everyone, "namespaces: [web]", `namespaceRegexes: [".*"]`)), byConditions},
		{"T5 a selector", makes(administrator, sharedStore, "/x", but(everyone, "namespaces: [web]", "namespaceSelector: {}")), byConditions},
		{"T5 a pattern besides", makes(administrator, sharedStore, "/x", but(everyone, "namespaces: [web]", `namespaces: [web], namespaceRegexes: [".*"]`)), byConditions},
		{"T5 a second condition", makes(administrator, sharedStore, "/x", but(everyone, "[{namespaces: [web]}]", "[{namespaces: [web]}, {}]")), byConditions},
		{"T5 a tenant's service account", makes(administrator, sharedStore, "/x", but(but(everyone, "everyone-access-sa", "vault-access-sa"), "namespace: eso", "namespace: web")), byReference},
		{"a tenant's name in a shared store", makes(administrator, sharedStore, "/x", but(everyone, "everyone-access-sa", "vault-access-sa")), byReference},
		{"no namespace in a shared store", makes(administrator, sharedStore, "/x", but(everyone, ", namespace: eso", "")), byPlace},
		{"a namespace elsewhere", makes(administrator, sharedStore, "/x", but(everyone, "namespace: eso", "namespace: web")), byPlace},
		{"a provider that is not shared", makes(administrator, sharedStore, "/x", `{spec: {conditions: [{namespaces: [web]}], provider: {aws: {service: SecretsManager, region: eu-west-1, auth: {jwt: {serviceAccountRef: {name: everyone-access-sa, namespace: eso}}}}}}}`), byCatalogue},
		{"a shared store's conditions are changed", changes(administrator, sharedStore, "/everyone", everyone, but(everyone, "[{namespaces: [web]}]", "[]")), byConditions},

		// Changes.
		{"E6 ESO points a store elsewhere", changes(controller, secretStore, "web/vault", vault, but(vault, "vault.example", "evil.example")), byCatalogue},
		{"E6 ESO points a shared store elsewhere", changes(controller, sharedStore, "/everyone", everyone, but(everyone, "vault.example", "evil.example")), byCatalogue},
		{"a member points a store elsewhere", changes(member, secretStore, "web/vault", vault, but(vault, "vault.example", "evil.example")), byCatalogue},
		{"ESO's finalizer", changes(controller, secretStore, "web/vault", vault, but(vault, "{spec", "{metadata: {finalizers: [x]}, spec")), ""},
		{"ESO's finalizer off a store that would be refused", changes(controller, secretStore, "web/old", `{metadata: {finalizers: [x]}, spec: {provider: {fake: {}}}}`, `{spec: {provider: {fake: {}}}}`), ""},
		{"a store that would be refused is mended", changes(member, secretStore, "web/old", `{spec: {provider: {fake: {}}}}`, vault), ""},
		{"a store's status", at("status", changes(controller, secretStore, "web/old", `{spec: {provider: {fake: {}}}}`, `{spec: {provider: {fake: {}}}, status: {}}`)), ""},
		{"a store is deleted", deletes(member, secretStore, "web/old", `{spec: {provider: {fake: {}}}}`), ""},

		// What Flux asks before it applies the first object of a tenant, that is before its Role is there.
		{"a dry run of a tenant's first store", dry(makes(member, secretStore, "web/x", but(vault, "vault-access-sa", "to-come"))), ""},
		{"the same, applied", makes(member, secretStore, "web/x", but(vault, "vault-access-sa", "to-come")), byReference},
		{"the same, applied with its Role", makes(applier, secretStore, "web/x", but(vault, "vault-access-sa", "to-come")), ""},
		{"the same, by another who delivers", makes(rescuer, secretStore, "web/x", but(vault, "vault-access-sa", "to-come")), ""},
		{"the same, with ESO's own token", makes(rescuer, secretStore, "web/x", but(vault, ",\n  "+referenceIn, "")), byReference},
		{"a dry run with ESO's own token", dry(makes(member, secretStore, "web/x", but(vault, ",\n  "+referenceIn, ""))), byReference},
		{"a shared store, applied with its Role", makes(applier, sharedStore, "/x", but(everyone, "everyone-access-sa", "to-come")), ""},
		{"who delivers makes a store elsewhere", makes(applier, secretStore, "web/x", but(but(vault, "vault-access-sa", "to-come"), "vault.example", "evil.example")), byCatalogue},
		{"who delivers makes a store for another audience", makes(applier, secretStore, "web/x", but(but(vault, "vault-access-sa", "to-come"), "[vault]", "[\"https://kubernetes.default.svc\"]")), byAsked},
		{"ESO mints for what is not fenced yet", mint(controller, "web", "to-come"), byAudience},
		{"a dry run of a store elsewhere", dry(makes(member, secretStore, "web/x", but(vault, "vault.example", "evil.example"))), byCatalogue},

		// Generators.
		{"a password", makes(member, generators1+"Password", "web/x", `{spec: {length: 20}}`), ""},
		{"a UUID", makes(member, generators1+"UUID", "web/x", `{spec: {}}`), ""},
		{"a fake", makes(member, generators1+"Fake", "web/x", `{spec: {data: {}}}`), ""},
		{"an SSH key", makes(member, generators1+"SSHKey", "web/x", `{spec: {}}`), ""},
		{"an MFA code", makes(member, generators1+"MFA", "web/x", `{spec: {secret: {name: x}}}`), ""},
		{"T4 a webhook", makes(member, generators1+"Webhook", "web/x", `{spec: {url: "http://169.254.169.254/"}}`), byGenerator},
		{"T4 a webhook, where a namespace is nobody's", makes(member, generators1+"Webhook", "somebody/x", `{spec: {url: "http://169.254.169.254/"}}`), ""},
		{"T1 a registry's token", makes(member, generators1+"ECRAuthorizationToken", "web/x", `{spec: {region: eu-west-1}}`), byGenerator},
		{"T1 an ACR token", makes(member, generators1+"ACRAccessToken", "web/x", `{spec: {registry: evil.example.com}}`), byGenerator},
		{"T1 a GCR token", makes(member, generators1+"GCRAccessToken", "shop/x", `{spec: {projectID: x}}`), byGenerator},
		{"T1 an STS token", makes(member, generators1+"STSSessionToken", "web/x", `{spec: {region: x}}`), byGenerator},
		{"T1 a Quay token", makes(member, generators1+"QuayAccessToken", "web/x", `{spec: {url: x}}`), byGenerator},
		{"T1 a GitHub token", makes(member, generators1+"GithubAccessToken", "web/x", `{spec: {url: x}}`), byGenerator},
		{"T4 a webhook elsewhere", changes(member, generators1+"Webhook", "web/x", `{spec: {url: x}}`, `{spec: {url: "http://169.254.169.254/"}}`), byGenerator},
		{"a generator to come", makes(member, generators1+"Tomorrow", "web/x", `{spec: {}}`), byGenerator},
		{"a generator in a version to come", makes(member, "generators.external-secrets.io/v1/Webhook", "web/x", `{spec: {}}`), byGenerator},
		{"Vault's dynamic secret", makes(member, generators1+"VaultDynamicSecret", "web/x", dynamic), ""},
		{"T1 Vault's dynamic secret", makes(member, generators1+"VaultDynamicSecret", "web/x", but(dynamic, ",\n  "+referenceIn, "")), byReference},
		{"Vault's dynamic secret from elsewhere", makes(member, generators1+"VaultDynamicSecret", "web/x", but(dynamic, "vault.example", "evil.example")), byCatalogue},
		{"ESO's state of a generator", makes(controller, generators1+"GeneratorState", "web/x", `{spec: {resource: {}, state: {}}}`), ""},
		{"a member's state of a generator", makes(member, generators1+"GeneratorState", "web/x", `{spec: {resource: {kind: Webhook}, state: {}}}`), byGenerator},
		{"T4 a cluster's webhook", makes(administrator, generators1+"ClusterGenerator", "/x", `{spec: {kind: Webhook, generator: {webhookSpec: {url: x}}}}`), byGenerator},
		{"T4 a cluster's webhook by another name", makes(administrator, generators1+"ClusterGenerator", "/x", `{spec: {kind: Password, generator: {webhookSpec: {url: x}}}}`), byGenerator},
		{"T4 a cluster's webhook beside a password", makes(administrator, generators1+"ClusterGenerator", "/x", `{spec: {kind: Password, generator: {passwordSpec: {}, webhookSpec: {url: x}}}}`), byGenerator},
		{"T4 a cluster's webhook by another spec", makes(administrator, generators1+"ClusterGenerator", "/x", `{spec: {kind: Webhook, generator: {passwordSpec: {}}}}`), byGenerator},
	})
}

// clusterGenerators are those that log in nowhere, each by its kind and its field.
func clusterGenerators() []decision {
	var all []decision
	for kind, field := range map[string]string{"Password": "passwordSpec", "UUID": "uuidSpec", "Fake": "fakeSpec", "SSHKey": "sshKeySpec", "MFA": "mfaSpec"} {
		all = append(all, decision{"a cluster's " + kind, makes(administrator, generators1+"ClusterGenerator", "/x", "{spec: {kind: "+kind+", generator: {"+field+": {}}}}"), ""})
	}
	return all
}
