package eso

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type object = map[string]any

func TestEndpoints(t *testing.T) {
	https := func(hosts ...string) []Endpoint {
		var all []Endpoint
		for _, host := range hosts {
			all = append(all, Endpoint{host, 443})
		}
		return all
	}
	server := object{"server": "https://vault.example.com:8200"}
	vault := func(more object) object {
		spec := object{"server": server["server"]}
		maps.Copy(spec, more)
		return spec
	}
	cases := []struct {
		method string
		spec   object
		want   []Endpoint
	}{
		{"vault-kubernetes", server, []Endpoint{{"vault.example.com", 8200}}},
		{"vault-jwt", object{"server": "http://[2001:db8::1]/x"}, []Endpoint{{"2001:db8::1", 80}}},
		{"vault-jwt", object{"server": "https://Vault.Example.com."}, https("vault.example.com")},
		{"vault-iam", server, append([]Endpoint{{"vault.example.com", 8200}}, https("sts.us-east-1.amazonaws.com", "sts.amazonaws.com")...)},
		{"vault-iam", vault(object{"auth": object{"iam": object{"region": "eu-west-1"}}}), append([]Endpoint{{"vault.example.com", 8200}}, https("sts.eu-west-1.amazonaws.com", "sts.amazonaws.com")...)},
		{"vault-gcp", server, append([]Endpoint{{"vault.example.com", 8200}}, https("securetoken.googleapis.com", "iamcredentials.googleapis.com")...)},
		{"vault-kubernetes", object{"server": "vault.example.com"}, nil},
		{"vault-kubernetes", object{"server": "https://vault.example.com:99999"}, nil},
		{"vault-kubernetes", object{"server": "https://vault.example.com:0"}, nil},
		{"vault-kubernetes", object{}, nil},
		{"aws", object{"service": "SecretsManager", "region": "eu-west-1"}, https("sts.eu-west-1.amazonaws.com", "secretsmanager.eu-west-1.amazonaws.com", "sts.amazonaws.com")},
		{"aws", object{"service": "ParameterStore", "region": "cn-north-1"}, https("sts.cn-north-1.amazonaws.com.cn", "ssm.cn-north-1.amazonaws.com.cn")},
		{"aws", object{"service": "CertificateManager", "region": "us-gov-west-1"}, https("sts.us-gov-west-1.amazonaws.com", "acm.us-gov-west-1.amazonaws.com")},
		{"aws", object{"service": "SecretsManager", "region": "us-iso-east-1"}, nil},
		{"aws", object{"service": "SecretsManager", "region": "eusc-de-east-1"}, nil},
		{"aws", object{"service": "SecretsManager"}, nil},
		{"aws", object{"service": "Another", "region": "eu-west-1"}, nil},
		{"azurekv", object{"vaultUrl": "https://acme.vault.azure.net/"}, https("acme.vault.azure.net", "login.microsoftonline.com")},
		{"azurekv", object{"vaultUrl": "https://acme.vault.azure.cn", "environmentType": "ChinaCloud"}, https("acme.vault.azure.cn", "login.chinacloudapi.cn")},
		{"azurekv", object{"vaultUrl": "https://acme.vault.local", "environmentType": "AzureStackCloud"}, nil},
		{"gcpsm-workloadidentity", object{}, https("secretmanager.googleapis.com", "securetoken.googleapis.com", "iamcredentials.googleapis.com")},
		{"gcpsm-workloadidentity", object{"location": "europe-west1"}, https("secretmanager.europe-west1.rep.googleapis.com", "securetoken.googleapis.com", "iamcredentials.googleapis.com")},
		{"gcpsm-workloadidentityfederation", object{}, https("secretmanager.googleapis.com", "sts.googleapis.com", "iamcredentials.googleapis.com")},
		{"kubernetes", object{"server": object{"url": "https://hub.example.com:6443"}}, []Endpoint{{"hub.example.com", 6443}}},
		{"crd", object{"server": object{"url": "https://hub.example.com"}}, https("hub.example.com")},
		{"akeyless-kubernetes", object{"akeylessGWApiURL": "https://gw.example.com/api"}, https("gw.example.com")},
		{"akeyless-azure", object{"akeylessGWApiURL": "https://gw.example.com"}, https("gw.example.com", "login.microsoftonline.com")},
		{"conjur-jwt", object{"url": "https://conjur.example.com"}, https("conjur.example.com")},
		{"oracle-workload", object{"region": "eu-frankfurt-1"}, nil},
		{"doppler-oidc", object{}, https("api.doppler.com")},
		{"pulumi-oidc", object{}, https("api.pulumi.com")},
		{"pulumi-oidc", object{"apiUrl": "https://pulumi.example.com/api"}, https("pulumi.example.com")},
		{"custom", object{}, nil},
	}
	seen := map[string]bool{}
	for _, c := range cases {
		seen[c.method] = true
		got, known := Method{ID: c.method}.Endpoints(c.spec)
		if known != (c.want != nil) || !known && got != nil {
			t.Errorf("%s of %v: known: %t", c.method, c.spec, known)
		}
		if diff := cmp.Diff(c.want, got); known && diff != "" {
			t.Errorf("%s of %v (-want +got):\n%s", c.method, c.spec, diff)
		}
	}
	for _, m := range Methods() {
		if !seen[m.ID] {
			t.Errorf("no case says what %s connects to", m.ID)
		}
	}
}

// The labels and ports of all releases are the same, which is why they are stated once.
func TestWorkloads(t *testing.T) {
	all := Workloads()
	all[0].Part = "changed"
	if diff := cmp.Diff([]Workload{
		{Part: "controller", Name: "external-secrets", Providers: true, MetricsPort: 8080},
		{Part: "webhook", Name: "external-secrets-webhook", MetricsPort: 8080, WebhookPort: 10250},
		{Part: "cert-controller", Name: "external-secrets-cert-controller", MetricsPort: 8080},
	}, Workloads()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
