package eso

import (
	"net/url"
	"strconv"
	"strings"
)

// Endpoint is a server that ESO connects to for a provider.
type Endpoint struct {
	Host string // a name or an address, without brackets
	Port int
}

const portHTTPS = 443

// Endpoints returns what ESO connects to for a provider of this method, whose content is spec (spec.provider.<Provider>),
// beyond the API server of its own cluster. It returns false where that is not known: then it has to be stated. What
// environment variables of ESO change (AWS_STS_ENDPOINT and the like) is not seen here.
func (m Method) Endpoints(spec map[string]any) ([]Endpoint, bool) {
	ask, known := dialled[m.ID]
	if !known {
		return nil, false
	}
	return ask(content(spec))
}

// content is a provider's content.
type content map[string]any

// text follows a path of keys joined by dots; "" where there is no text.
func (c content) text(path string) string {
	var value any = map[string]any(c)
	for key := range strings.SplitSeq(path, ".") {
		inner, _ := value.(map[string]any)
		value = inner[key]
	}
	text, _ := value.(string)
	return text
}

// dialled says for each method which servers are connected to. Names of the clouds' servers are those of their SDKs.
var dialled = map[string]func(content) ([]Endpoint, bool){
	// Source: ESO v2.9.0, providers/v1/vault/auth_kubernetes.go, auth_jwt.go: Vault is asked, and nobody else.
	"vault-kubernetes": fromURL("server"),
	"vault-jwt":        fromURL("server"),
	// Source: providers/v1/vault/auth_iam.go:41,162 for the region.
	"vault-iam": func(c content) ([]Endpoint, bool) {
		region := c.text("auth.iam.region")
		if region == "" {
			region = "us-east-1"
		}
		return together(c, fromURL("server"), func(content) ([]Endpoint, bool) { return aws(region, "sts") })
	},
	// Source: providers/v1/vault/auth_gcp.go:140-166; the token is exchanged as for Secret Manager.
	"vault-gcp": func(c content) ([]Endpoint, bool) {
		return together(c, fromURL("server"), named("securetoken.googleapis.com", "iamcredentials.googleapis.com"))
	},
	// Source: providers/v1/aws/auth/auth.go:319-360, and the SDK's own endpoints.
	"aws": func(c content) ([]Endpoint, bool) {
		service := map[string]string{"SecretsManager": "secretsmanager", "ParameterStore": "ssm", "CertificateManager": "acm"}[c.text("service")]
		if service == "" {
			return nil, false
		}
		return aws(c.text("region"), "sts", service)
	},
	// Source: providers/v1/azure/keyvault/keyvault.go:1384-1400.
	"azurekv": func(c content) ([]Endpoint, bool) {
		login, known := azureLogins[c.text("environmentType")]
		if !known {
			return nil, false
		}
		return together(c, fromURL("vaultUrl"), named(login))
	},
	// Source: providers/v1/gcp/secretmanager/workload_identity.go:163-302, provider.go:155. The schema has the cluster
	// stated in full, so that ESO does not ask the metadata service for it.
	"gcpsm-workloadidentity": func(c content) ([]Endpoint, bool) {
		return together(c, named(secretManager(c), "securetoken.googleapis.com", "iamcredentials.googleapis.com"))
	},
	// Source: providers/v1/gcp/secretmanager/workload_identity_federation.go:134, workload_identity.go:80.
	"gcpsm-workloadidentityfederation": func(c content) ([]Endpoint, bool) {
		return together(c, named(secretManager(c), "sts.googleapis.com", "iamcredentials.googleapis.com"))
	},
	"kubernetes": fromURL("server.url"),
	"crd":        fromURL("server.url"),
	// Source: providers/v1/akeyless/akeyless_api.go:410-498.
	"akeyless-kubernetes": fromURL("akeylessGWApiURL"),
	// Source: providers/v1/akeyless/azure_cloud_id.go:61-160. Another cloud than the public one is chosen by ESO's
	// environment.
	"akeyless-azure": func(c content) ([]Endpoint, bool) {
		return together(c, fromURL("akeylessGWApiURL"), named(azureLogins[""]))
	},
	"conjur-jwt": fromURL("url"),
	// Source: providers/v1/doppler/auth_oidc.go:55.
	"doppler-oidc": named("api.doppler.com"),
	// Source: providers/v1/pulumi/auth_oidc.go:66.
	"pulumi-oidc": func(c content) ([]Endpoint, bool) {
		if c.text("apiUrl") == "" {
			return named("api.pulumi.com")(c)
		}
		return fromURL("apiUrl")(c)
	},
	// Oracle's tokens are exchanged at a port of the cluster's own control plane, which no field names.
}

// azureLogins are where each of Azure's clouds gives tokens. Source: go-autorest autorest/azure/environments.go, and
// azure-sdk-for-go sdk/azcore/cloud.
var azureLogins = map[string]string{
	"":                  "login.microsoftonline.com",
	"PublicCloud":       "login.microsoftonline.com",
	"USGovernmentCloud": "login.microsoftonline.us",
	"ChinaCloud":        "login.chinacloudapi.cn",
	"GermanCloud":       "login.microsoftonline.de",
}

// aws names a region's services. Releases with the first version of the SDK ask the global STS in older regions. Where a
// partition has a domain of its own, it is known for China only.
func aws(region string, services ...string) ([]Endpoint, bool) {
	domain := "amazonaws.com"
	switch {
	case strings.HasPrefix(region, "cn-"):
		domain = "amazonaws.com.cn"
	case region == "" || strings.Contains(region, "-iso") || strings.HasPrefix(region, "eusc-"):
		return nil, false
	}
	var hosts []string
	for _, service := range services {
		hosts = append(hosts, service+"."+region+"."+domain)
	}
	if domain == "amazonaws.com" && !strings.HasPrefix(region, "us-gov-") {
		hosts = append(hosts, "sts."+domain)
	}
	return named(hosts...)(nil)
}

func secretManager(c content) string {
	if location := c.text("location"); location != "" {
		return "secretmanager." + location + ".rep.googleapis.com"
	}
	return "secretmanager.googleapis.com"
}

// together joins what several functions say; it is known only if each knows.
func together(c content, parts ...func(content) ([]Endpoint, bool)) ([]Endpoint, bool) {
	var joined []Endpoint
	for _, part := range parts {
		endpoints, known := part(c)
		if !known {
			return nil, false
		}
		joined = append(joined, endpoints...)
	}
	return joined, true
}

// named are servers by HTTPS.
func named(hosts ...string) func(content) ([]Endpoint, bool) {
	return func(content) ([]Endpoint, bool) {
		endpoints := make([]Endpoint, len(hosts))
		for i, host := range hosts {
			endpoints[i] = Endpoint{Host: host, Port: portHTTPS}
		}
		return endpoints, true
	}
}

// fromURL is the server in a field.
func fromURL(path string) func(content) ([]Endpoint, bool) {
	return func(c content) ([]Endpoint, bool) {
		endpoint, known := urlEndpoint(c.text(path))
		if !known {
			return nil, false
		}
		return []Endpoint{endpoint}, true
	}
}

func urlEndpoint(text string) (Endpoint, bool) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Hostname() == "" {
		return Endpoint{}, false
	}
	endpoint := Endpoint{Host: strings.ToLower(strings.TrimSuffix(parsed.Hostname(), ".")), Port: portHTTPS}
	switch {
	case parsed.Port() != "":
		port, err := strconv.ParseUint(parsed.Port(), 10, 16)
		if err != nil || port == 0 {
			return Endpoint{}, false
		}
		endpoint.Port = int(port)
	case parsed.Scheme == "http":
		endpoint.Port = 80
	}
	return endpoint, true
}
