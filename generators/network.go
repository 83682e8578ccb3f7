package generators

import (
	"slices"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// fileNetwork is the file of the policies for ESO's own pods.
const fileNetwork = "network"

// nameNetwork is of the policy for the pods of one of ESO's Deployments.
func nameNetwork(part string) string { return "network-" + part }

// wall is one workload's policy, whatever its flavour: what its pods may reach
// and who may reach them. All else is denied, both ways, also where a list is
// empty.
type wall struct {
	workload        eso.Workload
	egress, ingress []gate
}

// gate is an opening in a wall: to or from any of its peers, on any of its
// ports. One without a peer or without a port opens nothing; in a policy it
// would open everything, so none is ever made.
type gate struct {
	cidrs    []string
	ranges   []schema.NetworkRange
	pods     []schema.NetworkPods
	hosts    []string // Cilium's
	entities []string // Cilium's
	anybody  bool
	ports    []int32
	udp      bool // the ports are UDP's as well as TCP's
	dns      bool // what is asked there is read by Cilium's DNS proxy
}

// nobody tells whether a gate names no peer or no port.
func (g gate) nobody() bool {
	peers := len(g.cidrs) + len(g.ranges) + len(g.pods) + len(g.hosts) + len(g.entities)
	return len(g.ports) == 0 || peers == 0 && !g.anybody
}

func gates(all ...gate) []gate { return slices.DeleteFunc(all, gate.nobody) }

// network makes the policies for ESO's pods, one for each of its Deployments. A
// policy selects by name and release: the name alone is another release's too.
func network(x *Expander) []Object {
	n := x.platform.Network
	if n == nil {
		return nil
	}
	render := x.networkPolicy
	if n.Flavour == schema.CiliumNetworkPolicy {
		render = x.ciliumPolicy
	}
	var objects []Object
	for _, workload := range eso.Workloads() {
		objects = append(objects, render(wallOf(n, workload)))
	}
	return objects
}

// NetworkPolicyNames are the names of the policies for ESO's pods, of whichever
// flavour; none where the Platform asks for none.
func (x *Expander) NetworkPolicyNames() []string {
	var names []string
	for _, o := range network(x) {
		names = append(names, o.Name)
	}
	return names
}

func wallOf(n *schema.Network, workload eso.Workload) wall {
	w := wall{workload: workload, ingress: gates(metricsGate(n, workload), webhookGate(n, workload))}
	egress := []gate{apiServerGate(n)}
	if workload.Providers || n.DNS.AllPods {
		egress = append(egress, dnsGates(n)...)
	}
	if workload.Providers {
		egress = append(egress, providerGates(n)...)
	}
	w.egress = gates(egress...)
	return w
}

func apiServerGate(n *schema.Network) gate {
	g := gate{cidrs: n.APIServer.CIDRs, ports: n.APIServer.Ports}
	if n.Flavour == schema.CiliumNetworkPolicy {
		g.entities = []string{entityAPIServer}
	}
	return g
}

// dnsGates open the cluster's DNS, and the cache on the node where there is one.
// To Cilium that is the node itself, whatever its address.
func dnsGates(n *schema.Network) []gate {
	all := []gate{{pods: []schema.NetworkPods{n.DNS.Pods}, ports: n.DNS.Ports, udp: true, dns: true}}
	if len(n.DNS.NodeLocal) == 0 {
		return all
	}
	cache := gate{cidrs: n.DNS.NodeLocal, ports: []int32{portDNS}, udp: true, dns: true}
	if n.Flavour == schema.CiliumNetworkPolicy {
		cache.cidrs, cache.entities = nil, []string{entityHost}
	}
	return append(all, cache)
}

// Ports that are not stated.
const (
	portDNS      = 53  // of a DNS cache on the node
	portMetadata = 80  // of the clouds' metadata services
	portInternet = 443 // the one that internet opens
)

func providerGates(n *schema.Network) []gate {
	var all []gate
	for _, p := range n.Providers {
		g := gate{cidrs: p.CIDRs, hosts: p.Hosts, ports: p.Ports}
		if p.Pods != nil {
			g.pods = []schema.NetworkPods{*p.Pods}
		}
		all = append(all, g)
	}
	all = append(all, gate{ranges: n.Internet, ports: []int32{portInternet}})
	if n.Metadata {
		all = append(all, gate{cidrs: schema.MetadataCIDRs(), ports: []int32{portMetadata}})
	}
	return all
}

func metricsGate(n *schema.Network, workload eso.Workload) gate {
	if n.Metrics == nil {
		return gate{}
	}
	port := int32(workload.MetricsPort) //nolint:gosec // ports
	if n.Metrics.Port != 0 {
		port = n.Metrics.Port
	}
	return gate{pods: n.Metrics.From, ports: []int32{port}}
}

func webhookGate(n *schema.Network, workload eso.Workload) gate {
	if workload.WebhookPort == 0 {
		return gate{}
	}
	port := int32(workload.WebhookPort) //nolint:gosec // ports
	if n.Webhook.Port != 0 {
		port = n.Webhook.Port
	}
	g := gate{cidrs: n.Webhook.CIDRs, anybody: n.Webhook.Any, ports: []int32{port}}
	if n.Flavour == schema.CiliumNetworkPolicy && !g.anybody {
		g.entities = []string{entityAPIServer, entityRemoteNode}
	}
	return g
}

// podLabels select the pods of one of ESO's Deployments.
func (x *Expander) podLabels(workload eso.Workload) map[string]string {
	return map[string]string{eso.LabelName: workload.Name, eso.LabelInstance: x.platform.ESO.HelmRelease}
}
