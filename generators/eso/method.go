package eso

import (
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// Method is one way in which a provider of ESO exchanges a service account's token for access. Paths are dotted and
// below spec.provider.<Provider>.
type Method struct {
	ID        string // such as vault-kubernetes
	Provider  string // the key under spec.provider
	Selector  string // the field whose presence chooses the method; "" for a provider's only one
	Reference string // where ESO has the reference to the service account
	// Adds are the audiences that ESO asks for by itself. {namespace}, {store} and {a.path} (a field of the provider)
	// are placeholders.
	Adds []string
	// AddsField is the field that says otherwise, if there is one. Nothing here states it.
	AddsField string
	// AddsClusterWide are the same for a ClusterSecretStore; see Methods.
	AddsClusterWide []string
	// Asks are the audiences to ask for where a Platform states none. With neither Adds nor Asks, it has to state some.
	Asks     []string
	Identity []IdentityField
	Fixed    map[string]string // fields with the one value that makes ESO use the method
	Defaults map[string]string // fields of ESO's API with a default that its CRD fills in
	// Refused are fields that log in with a stored credential or as ESO itself.
	Refused []string
	// Seconds is the life of the tokens that ESO asks for; where it states none, the API server's default. SecondsField is
	// the field that says otherwise, if there is one.
	Seconds      int
	SecondsField string
	Since        string // the first chart release with it; "" for all on record
	Evidence     string // in ESO's source at v2.9.0
}

// IdentityField is a part of a store's identity, which is the tenant's to state.
type IdentityField struct {
	Name       string
	Path       string // where it goes in the provider, or
	Annotation string // on the service account
	Principal  bool   // it names what the other side knows the tenant as
	Override   bool   // the Platform may state it as well; the tenant's holds
}

// Annotations on a service account that ESO, and the clouds' own webhooks, read.
const (
	AnnotationRoleARN  = "eks.amazonaws.com/role-arn"
	AnnotationClientID = "azure.workload.identity/client-id"
	AnnotationTenantID = "azure.workload.identity/tenant-id"
	AnnotationGSA      = "iam.gke.io/gcp-service-account"
)

const (
	awsAudience   = "sts.amazonaws.com"
	azureAudience = "api://AzureADTokenExchange"
)

var vaultRefused = []string{"auth.tokenSecretRef", "auth.appRole", "auth.ldap", "auth.cert", "auth.userPass"}

// methods are all that ask for a token of a service account by TokenRequest. Providers that are not among them log in
// with a credential from a Secret, or with ESO's own token.
var methods = []Method{
	{
		ID: "vault-kubernetes", Provider: "vault", Selector: "auth.kubernetes", Reference: "auth.kubernetes.serviceAccountRef",
		Identity: []IdentityField{{Name: "role", Path: "auth.kubernetes.role", Principal: true}, {Name: "path", Path: "path", Override: true}},
		Defaults: map[string]string{"auth.kubernetes.mountPath": "kubernetes"},
		Refused:  append([]string{"auth.kubernetes.secretRef"}, vaultRefused...),
		Seconds:  600,
		Evidence: "providers/v1/vault/auth.go:135-166, providers/v1/vault/auth_kubernetes.go:74-96",
	},
	{
		// audiences of kubernetesServiceAccountToken are deprecated; without them, vault is always added.
		ID: "vault-jwt", Provider: "vault", Selector: "auth.jwt", Reference: "auth.jwt.kubernetesServiceAccountToken.serviceAccountRef",
		Adds: []string{"vault"}, AddsField: "auth.jwt.kubernetesServiceAccountToken.audiences",
		Identity: []IdentityField{{Name: "role", Path: "auth.jwt.role", Principal: true}, {Name: "path", Path: "path", Override: true}},
		Defaults: map[string]string{"auth.jwt.path": "jwt"},
		Refused:  append([]string{"auth.jwt.secretRef"}, vaultRefused...),
		Seconds:  600, SecondsField: "auth.jwt.kubernetesServiceAccountToken.expirationSeconds",
		Evidence: "providers/v1/vault/auth_jwt.go:53-70",
	},
	{
		ID: "vault-iam", Provider: "vault", Selector: "auth.iam", Reference: "auth.iam.jwt.serviceAccountRef",
		Adds: []string{awsAudience},
		Identity: []IdentityField{
			{Name: "role", Path: "auth.iam.vaultRole", Principal: true},
			{Name: "path", Path: "path", Override: true},
			{Name: "roleARN", Annotation: AnnotationRoleARN, Principal: true},
		},
		Refused:  append([]string{"auth.iam.secretRef"}, vaultRefused...),
		Seconds:  3600,
		Evidence: "providers/v1/vault/iamauth/iamauth.go:146-204",
	},
	{
		ID: "vault-gcp", Provider: "vault", Selector: "auth.gcp", Reference: "auth.gcp.workloadIdentity.serviceAccountRef",
		Adds: []string{"{auth.gcp.workloadIdentity.clusterProjectID}.svc.id.goog"},
		Identity: []IdentityField{
			{Name: "role", Path: "auth.gcp.role", Principal: true},
			{Name: "path", Path: "path", Override: true},
			{Name: "serviceAccount", Annotation: AnnotationGSA, Principal: true},
		},
		Refused: append([]string{"auth.gcp.secretRef", "auth.gcp.serviceAccountRef"}, vaultRefused...),
		Seconds: 900,
		Since:   "1.1.0", Evidence: "providers/v1/vault/auth_gcp.go:140-166",
	},
	{
		ID: "aws", Provider: "aws", Reference: "auth.jwt.serviceAccountRef",
		Adds:     []string{awsAudience},
		Identity: []IdentityField{{Name: "roleARN", Annotation: AnnotationRoleARN, Principal: true}},
		Refused:  []string{"auth.secretRef"},
		Seconds:  3600,
		Evidence: "providers/v1/aws/auth/auth.go:256-301, providers/v1/aws/auth/token_fetcher.go:43-54",
	},
	{
		ID: "azurekv", Provider: "azurekv", Reference: "serviceAccountRef",
		Adds: []string{azureAudience},
		Identity: []IdentityField{
			{Name: "clientID", Annotation: AnnotationClientID, Principal: true}, {Name: "tenantID", Annotation: AnnotationTenantID},
		},
		Fixed:    map[string]string{"authType": "WorkloadIdentity"},
		Refused:  []string{"authSecretRef", "identityId"},
		Seconds:  3600,
		Evidence: "providers/v1/azure/keyvault/keyvault.go:1088-1225",
	},
	{
		ID: "gcpsm-workloadidentity", Provider: "gcpsm", Selector: "auth.workloadIdentity", Reference: "auth.workloadIdentity.serviceAccountRef",
		Adds:     []string{"{auth.workloadIdentity.clusterProjectID}.svc.id.goog"},
		Identity: []IdentityField{{Name: "serviceAccount", Annotation: AnnotationGSA, Principal: true}},
		Refused:  []string{"auth.secretRef"},
		Seconds:  900,
		Evidence: "providers/v1/gcp/secretmanager/workload_identity.go:138-232,265-279",
	},
	{
		// The pool's provider takes tokens for its own resource name; ESO sends audience to Google's STS only.
		ID: "gcpsm-workloadidentityfederation", Provider: "gcpsm", Selector: "auth.workloadIdentityFederation",
		Reference: "auth.workloadIdentityFederation.serviceAccountRef",
		Asks:      []string{"https:{auth.workloadIdentityFederation.audience}"},
		Identity:  []IdentityField{{Name: "serviceAccount", Annotation: AnnotationGSA, Principal: true}},
		Refused: []string{
			"auth.secretRef", "auth.workloadIdentityFederation.credConfig", "auth.workloadIdentityFederation.awsSecurityCredentials",
			"auth.workloadIdentityFederation.externalTokenEndpoint",
		},
		Seconds: 900,
		Since:   "0.20.1", Evidence: "providers/v1/gcp/secretmanager/workload_identity_federation.go:186-213,333-352,454-480",
	},
	{
		ID: "kubernetes", Provider: "kubernetes", Reference: "auth.serviceAccount",
		Identity: []IdentityField{{Name: "remoteNamespace", Path: "remoteNamespace", Principal: true, Override: true}},
		Refused:  []string{"authRef", "auth.cert", "auth.token"},
		Seconds:  3600,
		Evidence: "runtime/esutils/k8s_rest_config.go:167-182",
	},
	{
		ID: "crd", Provider: "crd", Reference: "auth.serviceAccount",
		Refused: []string{"authRef", "auth.cert", "auth.token"},
		Seconds: 3600,
		Since:   "2.8.0", Evidence: "providers/v1/crd/provider.go:128",
	},
	{
		ID: "akeyless-kubernetes", Provider: "akeyless", Selector: "authSecretRef.kubernetesAuth",
		Reference: "authSecretRef.kubernetesAuth.serviceAccountRef",
		Identity:  []IdentityField{{Name: "accessID", Path: "authSecretRef.kubernetesAuth.accessID", Principal: true}},
		Refused:   []string{"authSecretRef.kubernetesAuth.secretRef"},
		Seconds:   600,
		Evidence:  "providers/v1/akeyless/akeyless_api.go:410-498",
	},
	{
		ID: "akeyless-azure", Provider: "akeyless", Selector: "authSecretRef.secretRef", Reference: "authSecretRef.serviceAccountRef",
		Adds: []string{azureAudience},
		Identity: []IdentityField{
			{Name: "clientID", Annotation: AnnotationClientID, Principal: true}, {Name: "tenantID", Annotation: AnnotationTenantID},
		},
		Seconds: 600,
		Since:   "2.8.0", Evidence: "providers/v1/akeyless/azure_cloud_id.go:61-105",
	},
	{
		ID: "conjur-jwt", Provider: "conjur", Selector: "auth.jwt", Reference: "auth.jwt.serviceAccountRef",
		Identity: []IdentityField{{Name: "hostID", Path: "auth.jwt.hostId", Principal: true}},
		Refused:  []string{"auth.apikey", "auth.cert", "auth.jwt.secretRef"},
		Seconds:  600,
		Since:    "0.9.6", Evidence: "providers/v1/conjur/auth_jwt.go:34-86",
	},
	{
		ID: "oracle-workload", Provider: "oracle", Reference: "serviceAccountRef",
		Adds:    []string{"api"},
		Fixed:   map[string]string{"principalType": "Workload"},
		Refused: []string{"auth"},
		Seconds: 3600,
		Since:   "0.9.9", Evidence: "providers/v1/oracle/serviceaccount.go:41-69, providers/v1/oracle/oracle.go:622-678",
	},
	{
		ID: "doppler-oidc", Provider: "doppler", Selector: "auth.oidcConfig", Reference: "auth.oidcConfig.serviceAccountRef",
		Adds: []string{"secretStore:{namespace}:{store}"}, AddsClusterWide: []string{"clusterSecretStore:{store}"}, Asks: []string{"https://api.doppler.com"},
		Identity: []IdentityField{
			{Name: "identity", Path: "auth.oidcConfig.identity", Principal: true}, {Name: "project", Path: "project", Override: true}, {Name: "config", Path: "config", Override: true},
		},
		Refused: []string{"auth.secretRef"},
		Seconds: 600, SecondsField: "auth.oidcConfig.expirationSeconds",
		Since: "1.2.0", Evidence: "providers/v1/doppler/auth_oidc.go:53-80, runtime/oidc/token_manager.go:144-194",
	},
	{
		ID: "pulumi-oidc", Provider: "pulumi", Selector: "auth.oidcConfig", Reference: "auth.oidcConfig.serviceAccountRef",
		Asks:     []string{"https://api.pulumi.com"},
		Identity: []IdentityField{{Name: "project", Path: "project", Override: true}, {Name: "environment", Path: "environment", Override: true}},
		Refused:  []string{"accessToken", "auth.accessToken"},
		Seconds:  600, SecondsField: "auth.oidcConfig.expirationSeconds",
		Since: "2.5.0", Evidence: "providers/v1/pulumi/auth_oidc.go:60-87",
	},
}

// Methods returns all methods, by provider. AddsClusterWide is filled in where it is not stated: it is Adds.
func Methods() []Method {
	all := slices.Clone(methods)
	for i := range all {
		if all[i].AddsClusterWide == nil {
			all[i].AddsClusterWide = all[i].Adds
		}
	}
	return all
}

// others are the keys of spec.provider that log in with a credential from a Secret or with ESO's own token, and have no
// reference to a service account. Source: apis/externalsecrets/v1 at v2.9.0, where none of these has a
// ServiceAccountSelector; infisical and ibm read a token file of ESO's pod.
var others = []string{
	"barbican", "beyondtrust", "beyondtrustworkloadcredentials", "bitwardensecretsmanager", "chef", "cloudrusm", "delinea",
	"dvls", "fake", "fortanix", "github", "gitlab", "ibm", "infisical", "keepersecurity", "nebiusmysterybox", "ngrok",
	"onboardbase", "onepassword", "onepasswordSDK", "openBao", "ovh", "passbolt", "passworddepot", "previder", "scaleway",
	"secretserver", "senhasegura", "volcengine", "webhook", "yandexcertificatemanager", "yandexlockbox",
}

// HasNoReference reports whether a provider, by its key under spec.provider, is known to have no reference to a service
// account, so that no token of a tenant's could be used with it.
func HasNoReference(provider string) bool { return slices.Contains(others, provider) }

// fieldsSince are optional fields of providers that came after the oldest release on record, by provider and path, with
// the first chart release whose API has them. A CRD without the field drops it without a word.
// Source: the provider's type in apis/externalsecrets at each release's tag.
var fieldsSince = map[string]string{
	"vault.tls": "0.9.12", "vault.auth.namespace": "0.9.14", "vault.headers": "0.10.0", "vault.checkAndSet": "0.20.1",
	"aws.secretsManager": "0.9.10", "aws.prefix": "0.10.0",
	"azurekv.useAzureSDK": "0.20.1", "gcpsm.location": "0.9.20",
	"akeyless.ignoreCache": "2.8.0", "conjur.caProvider": "0.9.6", "conjur.auth.jwt.hostId": "0.9.14",
	"oracle.compartment": "0.9.9", "oracle.encryptionKey": "0.9.9", "pulumi.project": "0.10.4",
	"aws.service=CertificateManager": "2.8.0",
}

// FieldsSince returns the fields of a provider that not every release has: path (or path=value) → first chart release.
func FieldsSince(provider string) map[string]string {
	fields := map[string]string{}
	for field, since := range fieldsSince {
		if path, ok := strings.CutPrefix(field, provider+"."); ok {
			fields[path] = since
		}
	}
	return fields
}

// Has reports whether the release is not older than the chart version; "" is older than all.
func (r *Release) Has(since string) bool {
	return since == "" || semver.Compare("v"+r.Chart, "v"+since) >= 0
}
