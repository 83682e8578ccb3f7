package generators

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// The parties of the tables.
var (
	controllerPod  = esoPod("external-secrets", "external-secrets", "10.244.0.10")
	webhook        = esoPod("external-secrets-webhook", "external-secrets", "10.244.0.11")
	certController = esoPod("external-secrets-cert-controller", "external-secrets", "10.244.0.12")
	otherRelease   = esoPod("external-secrets", "second", "10.244.0.13")
	otherWebhook   = esoPod("external-secrets-webhook", "second", "10.244.0.15")
	otherCerts     = esoPod("external-secrets-cert-controller", "second", "10.244.0.16")
	renamed        = esoPod("something-else", "external-secrets", "10.244.0.14")

	apiServer    = party{address: "192.0.2.10", entities: []string{"kube-apiserver", "remote-node"}}
	someNode     = party{address: "192.0.2.20", entities: []string{"remote-node"}}
	ownNode      = party{address: "169.254.20.10", entities: []string{"host"}}
	serviceVIP   = party{address: "10.96.0.1"}
	vaultPod     = party{namespace: "vault", labels: map[string]string{"app": "vault"}, address: "10.244.1.1"}
	vaultAgent   = party{namespace: "vault", labels: map[string]string{"app": "agent"}, address: "10.244.1.2"}
	vaultImpost  = party{namespace: "web", labels: map[string]string{"app": "vault"}, address: "10.244.1.3"}
	coreDNS      = party{namespace: "kube-system", labels: map[string]string{"k8s-app": "kube-dns"}, address: "10.244.2.1"}
	kubeSystem   = party{namespace: "kube-system", labels: map[string]string{"k8s-app": "metrics-server"}, address: "10.244.2.2"}
	dnsImpost    = party{namespace: "web", labels: map[string]string{"k8s-app": "kube-dns"}, address: "10.244.2.3"}
	prometheus   = party{namespace: "monitoring", labels: map[string]string{"app": "prometheus"}, address: "10.244.3.1"}
	grafana      = party{namespace: "monitoring", labels: map[string]string{"app": "grafana"}, address: "10.244.3.2"}
	promImpost   = party{namespace: "web", labels: map[string]string{"app": "prometheus"}, address: "10.244.3.3"}
	tenant       = party{namespace: "web", labels: map[string]string{"app": "web"}, address: "10.244.4.1"}
	tenantV6     = party{namespace: "web", labels: map[string]string{"app": "web"}, address: "fd00:10::1"}
	vaultIP      = party{address: "198.51.100.1"}
	vaultNext    = party{address: "198.51.100.2"}
	vaultName    = party{address: "203.0.113.7", host: "vault.example.com"}
	vaultNear    = party{address: "203.0.113.8", host: "vault.example.org"}
	hub          = party{address: "203.0.113.200", host: "hub.example.com"}
	amazon       = party{address: "52.94.0.1", host: "secretsmanager.eu-west-1.amazonaws.com"}
	amazonSTS    = party{address: "52.94.0.2", host: "sts.eu-west-1.amazonaws.com"}
	amazonGlobal = party{address: "52.94.0.3", host: "sts.amazonaws.com"}
	amazonOther  = party{address: "52.94.0.4", host: "s3.eu-west-1.amazonaws.com"}
	somebody     = party{address: "8.8.8.8", host: "example.net"}
	somebodyV6   = party{address: "2600::1", host: "example.net"}
)

func esoPod(name, release, address string) party {
	return party{
		namespace: "external-secrets", address: address,
		labels: map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/instance": release, "pod-template-hash": "x"},
	}
}

// row is a connection and whether it is to pass.
type row struct {
	what     string
	from, to party
	port     int
	protocol corev1.Protocol
	pass     bool
}

const (
	tcp = corev1.ProtocolTCP
	udp = corev1.ProtocolUDP
)

// metadataServices are those of the clouds; AWS's for roles and its second one for pods are beside it.
func metadataServices() []party {
	var all []party
	for _, address := range []string{"169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "168.63.129.16", "100.100.100.200", "169.254.170.2", "169.254.170.23", "fd00:ec2::23", "fe80::1"} {
		all = append(all, party{address: address})
	}
	return all
}

// always is what holds whatever a Platform says.
func always() []row {
	all := []row{
		{"another tenant", controllerPod, tenant, 443, tcp, false},
		{"another tenant by IPv6", controllerPod, tenantV6, 443, tcp, false},
		{"another tenant's web server", controllerPod, tenant, 80, tcp, false},
		{"another release", controllerPod, otherRelease, 8080, tcp, false},
		{"another release's webhook port", controllerPod, otherRelease, 10250, tcp, false},
		{"the webhook, by the controller", controllerPod, webhook, 10250, tcp, false},
		{"a Service's address", controllerPod, serviceVIP, 443, tcp, false},
		{"a node's kubelet", controllerPod, someNode, 10250, tcp, false},
		{"SMTP", controllerPod, somebody, 25, tcp, false},
		{"QUIC", controllerPod, somebody, 443, udp, false},
		{"a DNS server outside", controllerPod, somebody, 53, udp, false},
		{"a tenant asks the controller", tenant, controllerPod, 8080, tcp, false},
		{"a tenant asks the webhook", tenant, webhook, 8080, tcp, false},
		{"a tenant asks the cert-controller", tenant, certController, 8080, tcp, false},
		{"health, by a tenant", tenant, controllerPod, 8082, tcp, false},
		{"health of the webhook, by a tenant", tenant, webhook, 8081, tcp, false},
		{"another release is no affair of ours", otherRelease, somebody, 80, tcp, true},
		{"nor is its webhook", otherWebhook, somebody, 80, tcp, true},
		{"nor is its cert-controller", otherCerts, somebody, 80, tcp, true},
		{"nor is what somebody else calls by the release's name", renamed, somebody, 80, tcp, true},
		{"another release is reached as before", tenant, otherRelease, 80, tcp, true},
	}
	for _, pod := range []party{controllerPod, webhook, certController} {
		what := pod.labels["app.kubernetes.io/name"]
		all = append(
			all,
			row{what + " to the API server", pod, apiServer, 6443, tcp, true},
			row{what + " to the API server's other ports", pod, apiServer, 2379, tcp, false},
			row{what + " to the API server by UDP", pod, apiServer, 6443, udp, false},
			row{what + " to an address near the API server", pod, party{address: "192.0.2.11"}, 6443, tcp, false},
		)
		for _, metadata := range metadataServices() {
			all = append(all, row{what + " to " + metadata.address, pod, metadata, 80, tcp, false}, row{what + " to " + metadata.address + " by HTTPS", pod, metadata, 443, tcp, false})
		}
	}
	for _, pod := range []party{webhook, certController} {
		what := pod.labels["app.kubernetes.io/name"]
		all = append(all,
			row{what + " to the internet", pod, somebody, 443, tcp, false}, row{what + " to Vault", pod, vaultIP, 8200, tcp, false},
			row{what + " to Vault's pods", pod, vaultPod, 8200, tcp, false}, row{what + " to Vault by name", pod, vaultName, 8200, tcp, false},
		)
	}
	return all
}

// dnsRows are for the controller; the other two ask only if they are to.
func dnsRows(others bool) []row {
	var all []row
	for _, protocol := range []corev1.Protocol{udp, tcp} {
		all = append(
			all,
			row{"DNS", controllerPod, coreDNS, 53, protocol, true},
			row{"DNS of the webhook", webhook, coreDNS, 53, protocol, others},
			row{"DNS of the cert-controller", certController, coreDNS, 53, protocol, others},
		)
		for _, pod := range []party{controllerPod, webhook, certController} {
			all = append(
				all,
				row{"another port of the DNS", pod, coreDNS, 9153, protocol, false},
				row{"what is beside the DNS", pod, kubeSystem, 53, protocol, false},
				row{"what calls itself DNS", pod, dnsImpost, 53, protocol, false},
			)
		}
	}
	return all
}

func metricsRows() []row {
	var all []row
	for _, pod := range []party{controllerPod, webhook, certController} {
		what := pod.labels["app.kubernetes.io/name"]
		all = append(
			all,
			row{"metrics of " + what, prometheus, pod, 8080, tcp, true},
			row{"metrics of " + what + " by UDP", prometheus, pod, 8080, udp, false},
			row{"another port of " + what, prometheus, pod, 8082, tcp, false},
			row{"metrics of " + what + " for others there", grafana, pod, 8080, tcp, false},
			row{"metrics of " + what + " for others called so", promImpost, pod, 8080, tcp, false},
		)
	}
	return all
}

// scenario is a Platform's network, and what is to pass. Beside are policies of others, which only the last rows are
// judged with.
type scenario struct {
	name               string
	providers, network string
	rows               []row
	beside             policies
	besideRows         []row
}

const (
	vaultByIP   = `{audiences: [v], vault: {server: "https://198.51.100.1:8200", auth: {kubernetes: {}}}}`
	vaultInside = `{audiences: [v], vault: {server: "https://vault.vault.svc:443", auth: {kubernetes: {}}}}`
	vaultByName = `{audiences: [v], vault: {server: "https://vault.example.com:8200", auth: {kubernetes: {}}}}`
	awsProvider = `{aws: {service: SecretsManager, region: eu-west-1}}`
	hubProvider = `{audiences: [h], kubernetes: {server: {url: "https://hub.example.com:6443"}, remoteNamespace: shared}}`
	odd         = `{audiences: [o], custom: {provider: {odd: {url: x}}, serviceAccountRef: odd.ref}}`
	here        = `{sameCluster: true, secrets: [x], kubernetes: {remoteNamespace: shared}}`
)

func scenarios() []scenario {
	reached := []row{
		{"Vault by address", controllerPod, vaultIP, 8200, tcp, true},
		{"its neighbour", controllerPod, vaultNext, 8200, tcp, false},
		{"Vault's other port", controllerPod, vaultIP, 8201, tcp, false},
		{"Vault by UDP", controllerPod, vaultIP, 8200, udp, false},
		{"Vault's pods by UDP", controllerPod, vaultPod, 8200, udp, false},
		{"Vault's pods", controllerPod, vaultPod, 8200, tcp, true},
		{"Vault's Service port, which is not the pods'", controllerPod, vaultPod, 443, tcp, false},
		{"what is beside them", controllerPod, vaultAgent, 8200, tcp, false},
		{"what calls itself so elsewhere", controllerPod, vaultImpost, 8200, tcp, false},
	}
	webhookFrom := []row{
		{"the API server to the webhook", apiServer, webhook, 10250, tcp, true},
		{"the API server to the webhook by UDP", apiServer, webhook, 10250, udp, false},
		{"the API server to its other ports", apiServer, webhook, 8080, tcp, false},
		{"the API server to the controller", apiServer, controllerPod, 8080, tcp, false},
		{"a tenant to the webhook", tenant, webhook, 10250, tcp, false},
		{"what reads metrics to the webhook", prometheus, webhook, 10250, tcp, false},
		{"the internet to the webhook", somebody, webhook, 10250, tcp, false},
	}
	return []scenario{
		{
			name:      "plain",
			providers: "ip: " + vaultByIP + ", inside: " + vaultInside + ", name: " + vaultByName + ", here: " + here,
			network: `{flavour: NetworkPolicy, apiServer: {cidrs: [192.0.2.10/32], ports: [6443]}, dns: {nodeLocal: [169.254.20.10/32]},
				providers: {inside: {pods: {labels: {app: vault}}, ports: [8200]}, name: {cidrs: [203.0.113.7/32, 203.0.113.9/32]}},
				metrics: {namespaces: [monitoring], podLabels: {app: prometheus}}, webhook: {cidrs: [192.0.2.10/32]}}`,
			rows: slices.Concat(always(), dnsRows(false), metricsRows(), reached, webhookFrom, []row{
				{"Vault by name", controllerPod, vaultName, 8200, tcp, true},
				{"Vault by name, another port", controllerPod, vaultName, 443, tcp, false},
				{"its second address", controllerPod, party{address: "203.0.113.9"}, 8200, tcp, true},
				{"its neighbour by name", controllerPod, vaultNear, 8200, tcp, false},
				{"the cache on the node", controllerPod, ownNode, 53, udp, true},
				{"the cache on the node by TCP", controllerPod, ownNode, 53, tcp, true},
				{"the node's other ports", controllerPod, ownNode, 9253, tcp, false},
				{"the node's other ports by UDP", controllerPod, ownNode, 9253, udp, false},
				{"the cache on the node, by the webhook", webhook, ownNode, 53, udp, false},
				{"the internet", controllerPod, somebody, 443, tcp, false},
				{"a node to the webhook", someNode, webhook, 10250, tcp, false},
			}),
		},
		{
			name:      "plain, with the internet, both families, and DNS for all",
			providers: "aws: " + awsProvider + ", ip: " + vaultByIP,
			network: `{flavour: NetworkPolicy, apiServer: {cidrs: [192.0.2.10/32], ports: [6443]}, internet: true,
				podCIDRs: [10.244.0.0/16, "fd00:10::/56"], serviceCIDRs: [10.96.0.0/12, "fd00:20::/112"], webhook: {any: true}, dns: {allPods: true},
				metrics: {namespaces: [monitoring], podLabels: {app: prometheus}}}`,
			rows: slices.Concat(always(), dnsRows(true), metricsRows(), []row{
				{"AWS", controllerPod, amazon, 443, tcp, true},
				{"everybody else by IPv6", controllerPod, somebodyV6, 443, tcp, true},
				{"everybody else by IPv6, another port", controllerPod, somebodyV6, 80, tcp, false},
				{"Vault by address", controllerPod, vaultIP, 8200, tcp, true},
				{"Vault's neighbour", controllerPod, vaultNext, 8200, tcp, false},
				{"Vault's other port", controllerPod, vaultIP, 8201, tcp, false},
				{"Vault's pods", controllerPod, vaultPod, 443, tcp, false},
				{"a Service's address by IPv6", controllerPod, party{address: "fd00:20::1"}, 443, tcp, false},
				{"everybody to the webhook", tenant, webhook, 10250, tcp, true},
				{"everybody to the webhook by UDP", tenant, webhook, 10250, udp, false},
				{"the API server to the webhook", apiServer, webhook, 10250, tcp, true},
			}),
		},
		{
			name:      "plain, without IPv6's own addresses",
			providers: "aws: " + awsProvider,
			network: `{flavour: NetworkPolicy, apiServer: {cidrs: [192.0.2.10/32], ports: [6443]}, internet: true,
				podCIDRs: [10.244.0.0/16, "fd00:10::/56"], serviceCIDRs: [10.96.0.0/12], webhook: {any: true}}`,
			rows: slices.Concat(always(), dnsRows(false), []row{
				{"AWS", controllerPod, amazon, 443, tcp, true},
				{"IPv6", controllerPod, somebodyV6, 443, tcp, false},
				{"everybody to the webhook", tenant, webhook, 10250, tcp, true},
				{"everybody to the webhook by UDP", tenant, webhook, 10250, udp, false},
				{"metrics", prometheus, controllerPod, 8080, tcp, false},
			}),
		},
		{
			name:      "Cilium",
			providers: "ip: " + vaultByIP + ", inside: " + vaultInside + ", name: " + vaultByName + ", aws: " + awsProvider + ", hub: " + hubProvider,
			network: `{flavour: Cilium, apiServer: {ports: [6443]}, dns: {nodeLocal: [169.254.20.10/32]},
				providers: {inside: {pods: {labels: {app: vault}}, ports: [8200]}, hub: {hosts: [hub.example.com], cidrs: [203.0.113.100/32]}},
				metrics: {namespaces: [monitoring], podLabels: {app: prometheus}}, webhook: {cidrs: [198.51.100.77/32]}}`,
			rows: slices.Concat(always(), dnsRows(false), metricsRows(), reached, webhookFrom, []row{
				{"Vault by name", controllerPod, vaultName, 8200, tcp, true},
				{"Vault by name, another port", controllerPod, vaultName, 443, tcp, false},
				{"its neighbour by name", controllerPod, vaultNear, 8200, tcp, false},
				{"AWS", controllerPod, amazon, 443, tcp, true},
				{"AWS by HTTP", controllerPod, amazon, 80, tcp, false},
				{"AWS by UDP", controllerPod, amazon, 443, udp, false},
				{"Vault by name by UDP", controllerPod, vaultName, 8200, udp, false},
				{"the hub by UDP", controllerPod, hub, 6443, udp, false},
				{"the hub's other address by UDP", controllerPod, party{address: "203.0.113.100"}, 6443, udp, false},
				{"the stated address to the webhook by UDP", party{address: "198.51.100.77"}, webhook, 10250, udp, false},
				{"AWS's STS", controllerPod, amazonSTS, 443, tcp, true},
				{"AWS's global STS", controllerPod, amazonGlobal, 443, tcp, true},
				{"AWS's storage", controllerPod, amazonOther, 443, tcp, false},
				{"the hub", controllerPod, hub, 6443, tcp, true},
				{"the hub's other address", controllerPod, party{address: "203.0.113.100"}, 6443, tcp, true},
				{"the hub's other port", controllerPod, party{address: "203.0.113.100"}, 443, tcp, false},
				{"the hub's other port by name", controllerPod, hub, 443, tcp, false},
				{"the cache on the node", controllerPod, ownNode, 53, udp, true},
				{"the cache on the node by TCP", controllerPod, ownNode, 53, tcp, true},
				{"the node's other ports", controllerPod, ownNode, 9253, tcp, false},
				{"the node's other ports by UDP", controllerPod, ownNode, 9253, udp, false},
				{"the internet", controllerPod, somebody, 443, tcp, false},
				{"a node to the webhook", someNode, webhook, 10250, tcp, true},
				{"the stated address to the webhook", party{address: "198.51.100.77"}, webhook, 10250, tcp, true},
				{"the stated address to its other ports", party{address: "198.51.100.77"}, webhook, 8080, tcp, false},
				{"a node to the webhook's other ports", someNode, webhook, 8081, tcp, false},
				// Where pods are behind one node's address.
				{"an API server without a node", party{address: "192.0.2.11", entities: []string{"kube-apiserver"}}, webhook, 10250, tcp, true},
			}),
			beside:     worldOpen(),
			besideRows: besideRows(controllerPod, webhook, certController),
		},
		{
			name:      "Cilium, with the internet, a metadata service and nobody who reads metrics",
			providers: "odd: " + odd,
			network: `{flavour: Cilium, apiServer: {ports: [6443]}, internet: true, metadataService: true, webhook: {any: true}, providers: {odd: {hosts: [odd.example.com], ports: [8443]}},
				podCIDRs: [10.244.0.0/16], serviceCIDRs: [10.96.0.0/12]}`,
			rows: slices.Concat(withoutMetadata(always()), dnsRows(false), []row{
				{"the internet", controllerPod, somebody, 443, tcp, true},
				{"IPv6", controllerPod, somebodyV6, 443, tcp, false},
				{"the metadata service", controllerPod, party{address: "169.254.169.254"}, 80, tcp, true},
				{"AWS's by IPv6", controllerPod, party{address: "fd00:ec2::254"}, 80, tcp, true},
				{"AWS's roles for tasks", controllerPod, party{address: "169.254.170.2"}, 80, tcp, true},
				{"AWS's roles for pods", controllerPod, party{address: "169.254.170.23"}, 80, tcp, true},
				{"AWS's roles for pods by IPv6", controllerPod, party{address: "fd00:ec2::23"}, 80, tcp, true},
				{"Google's by IPv6", controllerPod, party{address: "fd20:ce::254"}, 80, tcp, true},
				{"Azure's agent", controllerPod, party{address: "168.63.129.16"}, 80, tcp, true},
				{"Alibaba's", controllerPod, party{address: "100.100.100.200"}, 80, tcp, true},
				{"the metadata service by UDP", controllerPod, party{address: "169.254.169.254"}, 80, udp, false},
				{"the odd one", controllerPod, party{address: "203.0.113.50", host: "odd.example.com"}, 8443, tcp, true},
				{"the odd one by UDP", controllerPod, party{address: "203.0.113.50", host: "odd.example.com"}, 8443, udp, false},
				{"the odd one's other port", controllerPod, party{address: "203.0.113.50", host: "odd.example.com"}, 22, tcp, false},
				{"its neighbour", controllerPod, party{address: "203.0.113.51", host: "even.example.com"}, 8443, tcp, false},
				{"the metadata service by HTTPS", controllerPod, party{address: "169.254.169.254"}, 443, tcp, false},
				{"Azure's agent by HTTPS", controllerPod, party{address: "168.63.129.16"}, 443, tcp, false},
				{"Alibaba's by HTTPS", controllerPod, party{address: "100.100.100.200"}, 443, tcp, false},
				{"roles beside the metadata service", controllerPod, party{address: "169.254.170.2"}, 443, tcp, false},
				{"an address of a pod that is gone", controllerPod, party{address: "10.244.9.9"}, 443, tcp, false},
				{"the metadata service, by the webhook", webhook, party{address: "169.254.169.254"}, 80, tcp, false},
				{"everybody to the webhook", tenant, webhook, 10250, tcp, true},
				{"the internet to the webhook", somebody, webhook, 10250, tcp, true},
				{"everybody to the webhook by UDP", tenant, webhook, 10250, udp, false},
				{"metrics", prometheus, controllerPod, 8080, tcp, false},
				{"metrics of the cert-controller", prometheus, certController, 8080, tcp, false},
			}),
			beside:     worldOpen(),
			besideRows: besideRows(webhook, certController),
		},
	}
}

// worldOpen is somebody else's policy, which opens the world to all pods there.
func worldOpen() policies {
	return policies{cilium: []*CiliumNetworkPolicy{{
		ObjectMeta: metav1.ObjectMeta{Namespace: "external-secrets"},
		Spec:       CiliumRule{Egress: []CiliumEgress{{ToCIDR: []string{"0.0.0.0/0", "::/0"}}}},
	}}}
}

// besideRows: what Cilium denies stays denied, whatever somebody else opens; all else is then open, which is what a
// check of all policies has to find.
func besideRows(pods ...party) []row {
	var all []row
	for _, pod := range pods {
		for _, address := range []string{"169.254.169.254", "fd00:ec2::254", "169.254.170.2", "169.254.170.23", "fd00:ec2::23", "fd20:ce::254", "168.63.129.16", "100.100.100.200"} {
			all = append(all, row{"denied " + address, pod, party{address: address}, 80, tcp, false})
		}
		all = append(all, row{"opened by somebody else", pod, somebody, 80, tcp, true})
	}
	return all
}

// withoutMetadata leaves out the rows about the clouds' metadata services.
func withoutMetadata(rows []row) []row {
	return slices.DeleteFunc(rows, func(r row) bool {
		return slices.ContainsFunc(metadataServices(), func(p party) bool { return p.address == r.to.address })
	})
}

func (s scenario) platform(t *testing.T) *schema.Platform {
	t.Helper()
	text := "apiVersion: eso-tenant.dev/v1alpha1\nkind: Platform\nmetadata: {name: eu-1}\nspec: {externalSecrets: {version: 2.9.0}, enforcement: enforce,\n" +
		"  providers: {" + s.providers + "},\n  network: " + s.network + "}\n"
	spec, problems, _ := schema.Decode([]schema.Source{{File: "platform.yaml", Data: []byte(text)}})
	for _, p := range problems {
		t.Fatal(p.Line())
	}
	return spec.Clusters[0].Platform
}

// bodies are the policies as they are written: as JSON.
func (s scenario) bodies(t *testing.T) []map[string]any {
	t.Helper()
	var bodies []map[string]any
	for _, o := range network(New(s.platform(t))) {
		text, err := json.Marshal(o.Body)
		if err != nil {
			t.Fatal(err)
		}
		var body map[string]any
		if err := json.Unmarshal(text, &body); err != nil {
			t.Fatal(err)
		}
		bodies = append(bodies, body)
	}
	return bodies
}

func read(t *testing.T, bodies []map[string]any) policies {
	t.Helper()
	var all policies
	for _, body := range bodies {
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		if body["kind"] == "NetworkPolicy" {
			all.plain = append(all.plain, parse[networkingv1.NetworkPolicy](t, text))
		} else {
			all.cilium = append(all.cilium, parse[CiliumNetworkPolicy](t, text))
		}
	}
	return all
}

func parse[T any](t *testing.T, text []byte) *T {
	t.Helper()
	body := new(T)
	if err := json.Unmarshal(text, body); err != nil {
		t.Fatal(err)
	}
	return body
}

// wrong lists the rows that are not as they should be.
func (s scenario) wrong(t *testing.T, p policies) []string {
	t.Helper()
	var wrong []string
	judge := func(rows []row, p policies) {
		for _, r := range rows {
			if got := p.passes(t, connection{r.from, r.to, r.port, r.protocol}); got != r.pass {
				wrong = append(wrong, fmt.Sprintf("%s (%s:%d/%s): passes: %t", r.what, r.to.address, r.port, r.protocol, got))
			}
		}
	}
	judge(s.rows, p)
	judge(s.besideRows, p.with(s.beside))
	return wrong
}

// TestNetwork: which connections pass.
func TestNetwork(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			for _, wrong := range s.wrong(t, read(t, s.bodies(t))) {
				t.Error(wrong)
			}
		})
	}
}

// TestNetworkMutants: whatever is taken out of a policy, a row of the table fails.
func TestNetworkMutants(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			bodies := s.bodies(t)
			mutants := 0
			for i, body := range bodies {
				removals(body["spec"], func(any) {}, "spec", func(path string) {
					mutants++
					if len(s.wrong(t, read(t, bodies))) == 0 {
						t.Errorf("%v: without %s, no row fails", nameOf(body), path)
					}
				})
				without := slices.Delete(slices.Clone(bodies), i, i+1)
				if len(s.wrong(t, read(t, without))) == 0 {
					t.Errorf("without %v, no row fails", nameOf(body))
				}
			}
			if mutants < 50 {
				t.Errorf("%d mutants", mutants)
			}
			if wrong := s.wrong(t, read(t, bodies)); len(wrong) > 0 {
				t.Errorf("the policies were changed: %v", wrong)
			}
		})
	}
}

func nameOf(body map[string]any) any {
	metadata, _ := body["metadata"].(map[string]any)
	return metadata["name"]
}

// removals takes out each field and each item below value in turn, has what is left judged, and puts it back. set puts
// another value in value's place. Only a protocol that says what holds without it is left.
func removals(value any, set func(any), path string, judge func(path string)) {
	switch v := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			inner, at := v[key], path+"."+key
			removals(inner, func(other any) { v[key] = other }, at, judge)
			_, number := v["port"].(float64) // in Kubernetes' own policies; Cilium's have texts
			if key == "protocol" && inner == map[bool]string{true: "TCP", false: "ANY"}[number] {
				continue
			}
			delete(v, key)
			judge(at)
			v[key] = inner
		}
	case []any:
		for i := range v {
			at := fmt.Sprintf("%s[%d]", path, i)
			removals(v[i], func(other any) { v[i] = other }, at, judge)
			set(slices.Delete(slices.Clone(v), i, i+1))
			judge(at)
			set(v)
		}
	}
}

// TestTenantNetwork: a tenant's default deny closes both ways, and its pods ask the DNS that the Platform states, if any.
func TestTenantNetwork(t *testing.T) {
	dns := party{namespace: "dns", labels: map[string]string{"app": "coredns"}, address: "10.244.5.1"}
	stated := &schema.Network{DNS: schema.NetworkDNS{
		Stated: true, Pods: schema.NetworkPods{Namespace: "dns", Labels: map[string]string{"app": "coredns"}}, Ports: []int32{5353}, NodeLocal: []string{"169.254.20.10/32"},
	}}
	pod := party{namespace: "web", labels: map[string]string{"app": "web"}, address: "10.244.4.1"}
	for name, c := range map[string]struct {
		network          *schema.Network
		allow            bool
		system, own, dns bool // what is asked: kube-system, the cache on the node, the stated one
	}{
		"closed":              {nil, false, false, false, false},
		"closed, with a DNS":  {stated, false, false, false, false},
		"the usual DNS":       {nil, true, true, false, false},
		"not stated":          {&schema.Network{}, true, true, false, false},
		"the DNS of the spec": {stated, true, false, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			x := New(platformOn(t, "2.9.0", eso.Options{}))
			x.platform.Network = c.network
			in := input{Expander: x, tenant: &schema.Tenant{Name: "web"}, namespace: &schema.Namespace{Name: "web", DefaultDeny: true, AllowDNS: c.allow}}
			var all policies
			for _, o := range networkPolicies(in) {
				policy, ok := o.Body.(*networkingv1.NetworkPolicy)
				if !ok {
					t.Fatalf("%s is a %T", o.Name, o.Body)
				}
				all.plain = append(all.plain, policy)
			}
			rows := []row{
				{"in", controllerPod, pod, 80, tcp, false},
				{"from a neighbour", party{namespace: "web", address: "10.244.4.2"}, pod, 80, tcp, false},
				{"out", pod, somebody, 443, tcp, false},
				{"a DNS outside", pod, somebody, 53, udp, false},
				{"another port of kube-system", pod, kubeSystem, 443, tcp, false},
				{"another port of the DNS", pod, dns, 53, udp, false},
				{"another port of the node", pod, ownNode, 80, tcp, false},
				{"what is beside the DNS", pod, party{namespace: "dns", labels: map[string]string{"app": "x"}, address: "10.244.5.2"}, 5353, udp, false},
			}
			for _, protocol := range []corev1.Protocol{udp, tcp} {
				rows = append(rows, row{"kube-system", pod, coreDNS, 53, protocol, c.system}, row{"the node", pod, ownNode, 53, protocol, c.own}, row{"the DNS", pod, dns, 5353, protocol, c.dns})
			}
			for _, wrong := range (scenario{rows: rows}).wrong(t, all) {
				t.Error(wrong)
			}
		})
	}
}

// The policies of one release have names, and pods, of their own.
func TestNetworkOfRelease(t *testing.T) {
	x := New(scenarios()[0].platform(t))
	x.platform.ESO.HelmRelease, x.platform.ESO.Namespace = "blue", "secrets"
	for i, o := range network(x) {
		part := eso.Workloads()[i]
		if want := "eso-tenant-blue-network-" + part.Part; o.Name != want || o.Namespace != "secrets" || o.File != fileNetwork {
			t.Errorf("%s/%s in %s, want secrets/%s", o.Namespace, o.Name, o.File, want)
		}
		policy, ok := o.Body.(*networkingv1.NetworkPolicy)
		if !ok || policy.Spec.PodSelector.MatchLabels["app.kubernetes.io/instance"] != "blue" || policy.Spec.PodSelector.MatchLabels["app.kubernetes.io/name"] != part.Name {
			t.Errorf("%s selects %v", o.Name, policy.Spec.PodSelector)
		}
	}
}

// Nothing is made where nothing is said.
func TestNetworkNone(t *testing.T) {
	s := scenarios()[0]
	p := s.platform(t)
	p.Network = nil
	if objects := network(New(p)); len(objects) > 0 {
		t.Errorf("%d policies", len(objects))
	}
}
