package schema

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// NetworkFlavour is the kind of policy that is made. The zero value is not
// valid.
type NetworkFlavour string

// The flavours.
const (
	PlainNetworkPolicy  NetworkFlavour = "NetworkPolicy" // Kubernetes' own
	CiliumNetworkPolicy NetworkFlavour = "Cilium"
)

// Network is what ESO's pods may reach, and who may reach them. Lists of peers
// and ports that are there are never empty: to a policy, none would be all.
type Network struct {
	Flavour   NetworkFlavour
	APIServer NetworkPeer // with Cilium, only its ports
	DNS       NetworkDNS
	Providers []NetworkPeer // by provider
	Internet  []NetworkRange
	Metadata  bool // the cloud's metadata service
	Metrics   *NetworkMetrics
	Webhook   NetworkWebhook
}

// NetworkPeer is somebody who is reached: at addresses, by name, or as pods.
type NetworkPeer struct {
	Provider string // "" for the API server
	CIDRs    []string
	Hosts    []string // with Cilium only
	Pods     *NetworkPods
	Ports    []int32
}

// NetworkPods are the pods of a namespace with these labels; of none, all.
type NetworkPods struct {
	Namespace string
	Labels    map[string]string
}

// NetworkDNS is the cluster's DNS.
type NetworkDNS struct {
	Stated    bool // or the default
	Pods      NetworkPods
	Ports     []int32
	NodeLocal []string // CIDRs; nil: there is none
	AllPods   bool     // ESO's webhook and cert-controller ask as well
}

// NetworkRange is all addresses of a family but some.
type NetworkRange struct {
	CIDR   string
	Except []string
}

// NetworkMetrics is who may read metrics.
type NetworkMetrics struct {
	From []NetworkPods
	Port int32 // 0: the chart's default
}

// NetworkWebhook is who may call the webhook.
type NetworkWebhook struct {
	CIDRs []string
	Any   bool
	Port  int32 // 0: the chart's default
}

// Defaults of a cluster's DNS, as kubeadm and most others have it.
const (
	defaultDNSNamespace = "kube-system"
	defaultDNSLabel     = "k8s-app"
	defaultDNSValue     = "kube-dns"
	defaultDNSPort      = 53
)

// networkReader reads the network of one Platform.
type networkReader struct {
	*platformReader
	platform *Platform
	n        *node
	network  *Network
	pods     []netip.Prefix
	services []netip.Prefix
}

// network reads what ESO's pods may reach; nil where nothing is said.
func (r *platformReader) network(n *node, p *Platform) *Network {
	if n == nil || n.kind != mapNode || n.get("flavour") == nil || n.get("flavour").bad {
		return nil // the schema has reported what is wrong
	}
	w := &networkReader{platformReader: r, platform: p, n: n, network: &Network{Flavour: NetworkFlavour(n.get("flavour").str())}}
	w.pods, w.services = w.own("podCIDRs"), w.own("serviceCIDRs")
	w.apiServer(n.get("apiServer"))
	w.dns(n.get("dns"))
	w.internet()
	w.providers(n.get("providers"))
	w.metadata(n.get("metadataService"))
	w.metrics(n.get("metrics"))
	w.webhook(n.get("webhook"))
	return w.network
}

// own reads the cluster's own addresses, which are never all there are.
func (w *networkReader) own(field string) []netip.Prefix {
	n, at := w.n.get(field), join("network", field)
	for _, item := range n.list() {
		if prefix, err := netip.ParsePrefix(item.text); err == nil && !item.bad && prefix.Bits() == 0 {
			w.invalid(item, at, problem.Quote(item.text)+" is all addresses", "state the cluster's")
		}
	}
	return w.cidrs(n, at)
}

func (w *networkReader) cilium() bool { return w.network.Flavour == CiliumNetworkPolicy }

func (w *networkReader) missing(n *node, at, message, hint string) {
	if !anyBad(n) {
		w.report(n, problem.NetworkMissing, at, message, hint)
	}
}

// apiServer: a Service's address is translated before most network plugins look
// at their policies, so that a policy has to name the endpoints.
func (w *networkReader) apiServer(n *node) {
	const at = "network.apiServer"
	w.network.APIServer = NetworkPeer{
		CIDRs: prefixTexts(w.reached(n.get("cidrs"), at+".cidrs")),
		Ports: w.ports(n.get("ports"), at+".ports"),
	}
	w.outside(n.get("cidrs"), at+".cidrs", w.services, "is the Service's address, which is translated before a policy is asked", "state the endpoints' addresses: kubectl get endpointslices --namespace default kubernetes")
	switch cidrs := n.get("cidrs"); {
	case n == nil: // the schema has reported it
	case w.cilium() && cidrs != nil:
		w.report(cidrs, problem.NetworkUnsupported, at+".cidrs", "Cilium knows the API server as an entity, which no address stands for", "remove cidrs")
	case !w.cilium() && len(cidrs.list()) == 0:
		w.missing(n, at, "a NetworkPolicy knows the API server by the addresses of its endpoints, and none are stated", "add cidrs: [ADDRESS/32, …] as kubectl get endpointslices --namespace default kubernetes shows them")
	}
}

// ports reads a list of ports, sorted and each one once. None would be all.
func (w *networkReader) ports(n *node, at string) []int32 {
	if n != nil && n.kind == listNode && len(n.items) == 0 {
		w.missing(n, at, "no port is stated, and to a network policy none means all", "state the ports")
	}
	var ports []int32
	for _, item := range n.list() {
		if port := portOf(item); port != 0 {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// portOf reads a port; 0 where there is none, or the schema has refused it.
func portOf(n *node) int32 {
	if n == nil || n.bad {
		return 0
	}
	port, err := strconv.ParseUint(n.text, 10, 16)
	if err != nil {
		return 0
	}
	return int32(port)
}

// labels reads pod labels. None would be all pods.
func (w *networkReader) labels(n *node, at string) map[string]string {
	if n != nil && n.kind == mapNode && len(n.entries) == 0 {
		w.report(n, problem.NetworkWide, at, "no label is stated, and to a network policy none means all pods", "state the labels of the pods")
	}
	return textMap(n)
}

func (w *networkReader) dns(n *node) {
	const at = "network.dns"
	dns := NetworkDNS{
		Stated:    n != nil,
		Pods:      NetworkPods{Namespace: cmp.Or(n.get("namespace").str(), defaultDNSNamespace), Labels: w.labels(n.get("podLabels"), at+".podLabels")},
		Ports:     w.ports(n.get("ports"), at+".ports"),
		NodeLocal: prefixTexts(w.reached(n.get("nodeLocal"), at+".nodeLocal")),
		AllPods:   n.get("allPods").isTrue(),
	}
	if len(dns.Pods.Labels) == 0 {
		dns.Pods.Labels = map[string]string{defaultDNSLabel: defaultDNSValue}
	}
	if len(dns.Ports) == 0 {
		dns.Ports = []int32{defaultDNSPort}
	}
	w.network.DNS = dns
}

// linkLocal are addresses that only a node's own processes answer at, among them
// more services of the clouds than metadata: AWS gives out roles at two others.
var linkLocal = map[bool]string{true: "169.254.0.0/16", false: "fe80::/10"}

// internet opens a family of addresses only if it is known which of them are the
// cluster's own.
func (w *networkReader) internet() {
	stated := w.n.get("internet")
	if !stated.isTrue() {
		return
	}
	for _, v4 := range []bool{true, false} {
		pods, services := family(w.pods, v4), family(w.services, v4)
		if len(pods) == 0 || len(services) == 0 {
			continue
		}
		everything := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		if v4 {
			everything = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		}
		except := slices.Concat(pods, services, []string{linkLocal[v4]})
		for _, address := range metadataAddresses {
			if address.Is4() == v4 && !netip.MustParsePrefix(linkLocal[v4]).Contains(address) {
				except = append(except, oneAddress(address))
			}
		}
		slices.Sort(except)
		w.network.Internet = append(w.network.Internet, NetworkRange{CIDR: everything.String(), Except: slices.Compact(except)})
	}
	if len(w.network.Internet) == 0 && !anyBad(w.n.with("providers", emptied)) {
		w.missing(stated, "network.internet", "the internet is what is not the cluster's, and podCIDRs and serviceCIDRs of one family do not say what that is", "state both podCIDRs and serviceCIDRs, of IPv4, IPv6 or both")
	}
}

// metadata: whoever has the metadata service has the node's own identity.
func (w *networkReader) metadata(n *node) {
	w.network.Metadata = n.isTrue()
	if !n.isTrue() {
		return
	}
	for _, provider := range w.platform.Providers {
		if provider.Method.ID == customKind {
			return
		}
	}
	w.report(n, problem.NetworkWide, "network.metadataService", "no provider of this catalogue asks the metadata service, which gives out the node's identity", "remove it; stores log in with a token of the tenant's own service account")
}

func (w *networkReader) metrics(n *node) {
	if n == nil {
		return
	}
	const at = "network.metrics"
	m := &NetworkMetrics{Port: portOf(n.get("port"))}
	labels := w.labels(n.get("podLabels"), at+".podLabels")
	names := n.get("namespaces").strs()
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		m.From = append(m.From, NetworkPods{Namespace: name, Labels: labels})
	}
	if list := n.get("namespaces"); list != nil && len(list.list()) == 0 {
		w.missing(list, at+".namespaces", "no namespace is stated", "state the namespaces of what reads metrics, or remove metrics")
	}
	w.network.Metrics = m
}

func (w *networkReader) webhook(n *node) {
	const at = "network.webhook"
	cidrs := w.cidrs(n.get("cidrs"), at+".cidrs")
	w.network.Webhook = NetworkWebhook{CIDRs: prefixTexts(cidrs), Any: n.get("any").isTrue(), Port: portOf(n.get("port"))}
	switch {
	case n.get("cidrs") != nil && n.get("any").isTrue():
		w.report(n.get("any"), problem.NetworkWide, at+".any", "everybody may call the webhook, whatever cidrs say", "keep one of them")
	case slices.ContainsFunc(cidrs, func(p netip.Prefix) bool { return p.Bits() == 0 }):
		w.report(n.get("cidrs"), problem.NetworkWide, at+".cidrs", "these are all addresses", "write any: true, which says so")
	case !w.cilium() && len(cidrs) == 0 && !n.get("any").isTrue():
		where := n
		if n == nil {
			where = &node{line: w.n.line, col: w.n.col, file: w.n.file}
		}
		w.missing(where, at, "the API server calls External Secrets Operator's webhook, and where from is not stated", "add webhook: {cidrs: [ADDRESS/32, …]} with the control plane's addresses, or webhook: {any: true}")
	}
}
