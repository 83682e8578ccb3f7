package eso

import "strings"

// storeDefaults are the values that ESO's CRDs fill into a provider where a store states none, by provider and path: those
// of all releases on record, in every version of the API. Defaults of ways to log in that no method uses are left out.
// Source: config/crds/bases/external-secrets.io_secretstores.yaml at v0.9.0, v0.16.2 and v2.9.0.
var storeDefaults = map[string]any{
	"aws.sessionTagsPolicy":                     "None",
	"azurekv.authType":                          "ServicePrincipal",
	"azurekv.environmentType":                   "PublicCloud",
	"azurekv.useAzureSDK":                       false,
	"crd.server.url":                            "kubernetes.default",
	"doppler.auth.oidcConfig.expirationSeconds": 600,
	"gcpsm.secretVersionSelectionPolicy":        "LatestOrFail",
	"kubernetes.remoteNamespace":                "default",
	"kubernetes.server.url":                     "kubernetes.default",
	"pulumi.apiUrl":                             "https://api.pulumi.com/api/esc",
	"pulumi.auth.oidcConfig.expirationSeconds":  600,
	"vault.auth.gcp.path":                       "gcp",
	"vault.auth.jwt.path":                       "jwt",
	"vault.auth.kubernetes.mountPath":           "kubernetes",
	"vault.version":                             "v2",
}

// StoreDefaults returns what ESO's CRD fills into a provider: path → value.
func StoreDefaults(provider string) map[string]any {
	defaults := map[string]any{}
	for field, value := range storeDefaults {
		if path, ok := strings.CutPrefix(field, provider+"."); ok {
			defaults[path] = value
		}
	}
	return defaults
}
