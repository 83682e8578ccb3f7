package schema

import (
	"cmp"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strconv"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// internetPort is the one port that internet opens.
const internetPort = 443

// providers resolves how each provider of the catalogue is reached.
func (w *networkReader) providers(stated *node) {
	for _, e := range stated.keys() {
		if _, known := w.platform.catalogue[e.key]; !known {
			w.report(keyNode(&e), problem.ProviderUnknown, join("network.providers", e.key), problem.Quote(e.key)+" is no provider of this Platform", w.platform.providerHint(e.key))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.platform.Providers)) {
		w.provider(w.platform.Providers[name], stated.get(name))
	}
}

// servers are a provider's endpoints, by how a policy can name them.
type servers struct {
	known     bool
	addresses []eso.Endpoint
	names     []eso.Endpoint
	cluster   []eso.Endpoint // names inside this cluster
	namespace string         // of the first of them
}

func (w *networkReader) servers(p *Provider) servers {
	if p.SameCluster || p.Method.Provider == "kubernetes" && Lookup(p.Spec, "server.url") == nil {
		return servers{known: true} // the API server, which is open
	}
	var s servers
	var endpoints []eso.Endpoint
	endpoints, s.known = p.Method.Endpoints(p.Spec)
	for _, endpoint := range endpoints {
		namespace, inside := clusterHost(endpoint.Host, w.platform.ESO.Namespace)
		switch address, err := netip.ParseAddr(endpoint.Host); {
		case err == nil && w.inside(address):
			s.cluster = append(s.cluster, endpoint)
		case err == nil:
			s.addresses = append(s.addresses, endpoint)
		case inside && apiServerURL.MatchString("https://"+endpoint.Host): // the API server
		case inside:
			s.cluster = append(s.cluster, endpoint)
			s.namespace = cmp.Or(s.namespace, namespace)
		default:
			s.names = append(s.names, endpoint)
		}
	}
	return s
}

// inside tells whether an address is known to be a pod's or a Service's.
func (w *networkReader) inside(address netip.Addr) bool {
	return slices.ContainsFunc(slices.Concat(w.pods, w.services), func(p netip.Prefix) bool { return p.Contains(address) })
}

// ports are all ports of a provider, or HTTPS where none is known.
func (s servers) ports() []int32 {
	var ports []int32
	for _, endpoint := range slices.Concat(s.names, s.cluster, s.addresses) {
		ports = append(ports, int32(endpoint.Port)) //nolint:gosec // Endpoints gives ports
	}
	slices.Sort(ports)
	if ports = slices.Compact(ports); len(ports) > 0 {
		return ports
	}
	return []int32{internetPort}
}

// provider resolves one provider. Addresses follow from its own. What is stated
// takes the place of its names: pods of names inside the cluster, addresses and
// hosts of all names.
func (w *networkReader) provider(p *Provider, stated *node) {
	s := w.servers(p)
	at := join("network.providers", p.Name)
	peer := w.stated(p, s, stated, at)
	w.addresses(p, s)
	found := len(peer.CIDRs) > 0 || len(peer.Hosts) > 0
	if peer.Pods != nil && len(s.cluster) == 0 {
		s.names = nil
	}
	if peer.Pods != nil || found {
		s.cluster = nil
		w.network.Providers = append(w.network.Providers, peer)
	}
	if found {
		s.names = nil
	}
	if stated != nil && anyBad(stated) {
		return // that is why it may be missing
	}
	if !s.known && !found && peer.Pods == nil && len(w.network.Internet) == 0 {
		w.unreachable(p, "which servers "+p.Method.ID+" needs does not follow from the provider")
	}
	for _, endpoint := range s.cluster {
		w.unreachable(p, endpoint.Host+" is inside the cluster, where a network policy knows pods")
	}
	w.names(p, s.names)
}

// stated reads what the Platform says of a provider.
func (w *networkReader) stated(p *Provider, s servers, n *node, at string) NetworkPeer {
	peer := NetworkPeer{Provider: p.Name}
	if n == nil {
		return peer
	}
	peer.CIDRs = prefixTexts(w.reached(n.get("cidrs"), at+".cidrs"))
	w.outside(n.get("cidrs"), at+".cidrs", slices.Concat(w.pods, w.services), "overlaps podCIDRs or serviceCIDRs; a policy knows pods by their labels", "state pods: {namespace: …, labels: …}")
	peer.Hosts = w.hosts(n.get("hosts"), at+".hosts")
	if hosts := n.get("hosts"); hosts != nil && w.network.Flavour == PlainNetworkPolicy {
		w.report(hosts, problem.NetworkUnsupported, at+".hosts", "a NetworkPolicy knows no host names", "state cidrs, or flavour: Cilium")
		hosts.bad = true
	}
	peer.Pods = w.statedPods(s, n.get("pods"), at+".pods")
	peer.Ports = w.ports(n.get("ports"), at+".ports")
	if len(peer.Ports) == 0 {
		peer.Ports = s.ports()
	}
	if len(n.get("cidrs").list())+len(n.get("hosts").list()) == 0 && n.get("pods") == nil {
		w.missing(n, at, "this says nobody who is reached", "state cidrs, pods, or hosts with Cilium")
		n.bad = true
	}
	return peer
}

// hosts reads host names, sorted and each one once.
func (w *networkReader) hosts(n *node, at string) []string {
	for _, item := range n.list() {
		if _, err := netip.ParseAddr(item.text); err == nil && !item.bad {
			w.invalid(item, at, problem.Quote(item.text)+" is an address", "state it in cidrs")
		}
		w.metadataName(item, at, item.text)
		if _, inside := clusterHost(item.text, ""); inside && !item.bad {
			w.report(item, problem.NetworkUnsupported, at, problem.Quote(item.text)+" is inside the cluster, where Cilium knows pods by their labels only", "state pods: {namespace: …, labels: …}")
		}
	}
	hosts := n.strs()
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

func (w *networkReader) statedPods(s servers, n *node, at string) *NetworkPods {
	if n == nil || n.kind != mapNode {
		return nil
	}
	pods := &NetworkPods{Namespace: cmp.Or(n.get("namespace").str(), s.namespace), Labels: w.labels(n.get("labels"), at+".labels")}
	if pods.Namespace == "" {
		w.missing(n, at, "the provider's name says no namespace", "state the pods' namespace")
	}
	return pods
}

// addresses opens what a provider's own URL says.
func (w *networkReader) addresses(p *Provider, s servers) {
	for _, endpoint := range s.addresses {
		address, err := netip.ParseAddr(endpoint.Host)
		if err != nil || address.Zone() != "" || address.Is4In6() {
			w.unreachable(p, problem.Quote(endpoint.Host)+" is no address that a network policy takes")
			continue
		}
		if slices.Contains(metadataAddresses, address) {
			w.report(w.platform.catalogue[p.Name], problem.NetworkWide, join("providers", p.Name), address.String()+" is a cloud's metadata service, which gives out the node's identity", "it is no provider's server")
			continue
		}
		w.network.Providers = append(w.network.Providers, NetworkPeer{
			Provider: p.Name, CIDRs: []string{oneAddress(address)}, Ports: []int32{int32(endpoint.Port)}, //nolint:gosec // Endpoints gives ports
		})
	}
}

// names opens host names, which takes Cilium, or the whole internet.
func (w *networkReader) names(p *Provider, names []eso.Endpoint) {
	byPort := map[int32][]string{}
	for _, endpoint := range names {
		port := int32(endpoint.Port) //nolint:gosec // Endpoints gives ports
		switch {
		case w.metadataName(w.platform.catalogue[p.Name], join("providers", p.Name), endpoint.Host):
		case w.cilium() && !hostName.MatchString(endpoint.Host):
			w.unreachable(p, problem.Quote(endpoint.Host)+" is no host name that Cilium takes")
		case w.cilium():
			byPort[port] = append(byPort[port], endpoint.Host)
		case len(w.network.Internet) == 0:
			w.unreachable(p, hostPort(endpoint)+" is a name, and a NetworkPolicy knows addresses")
			return // once is enough, for a provider with many
		case endpoint.Port != internetPort:
			w.unreachable(p, hostPort(endpoint)+" is a name, and internet opens port 443 only")
		}
	}
	for _, port := range slices.Sorted(maps.Keys(byPort)) {
		hosts := slices.Sorted(slices.Values(byPort[port]))
		w.network.Providers = append(w.network.Providers, NetworkPeer{Provider: p.Name, Hosts: slices.Compact(hosts), Ports: []int32{port}})
	}
}

// metadataName reports the name of a metadata service.
func (w *networkReader) metadataName(n *node, at, host string) bool {
	found := slices.Contains(metadataNames, host)
	if found {
		w.report(n, problem.NetworkWide, at, host+" is a cloud's metadata service, which gives out the node's identity", "it is no provider's server")
	}
	return found
}

// hostName is #HostName of the schema, and of a provider's URL.
var hostName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?([.][a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?){1,9}$`)

func hostPort(endpoint eso.Endpoint) string {
	return endpoint.Host + ":" + strconv.Itoa(endpoint.Port)
}

// unreachable reports a provider that no policy would let ESO reach.
func (w *networkReader) unreachable(p *Provider, why string) {
	n := w.platform.catalogue[p.Name]
	hint := "state network.providers." + p.Name + ": cidrs, or pods for one in this cluster; flavour: Cilium knows names, and internet: true opens port 443 of all"
	if w.cilium() {
		hint = "state network.providers." + p.Name + ": hosts, cidrs, or pods for one in this cluster"
	}
	w.missing(n, join("providers", p.Name), "no network policy lets External Secrets Operator reach provider "+problem.Quote(p.Name)+": "+why, hint)
}
