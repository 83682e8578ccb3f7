package generators

import (
	"slices"
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// CiliumNetworkPolicy is Cilium's kind, as far as it is generated.
type CiliumNetworkPolicy struct {
	metav1.TypeMeta `json:",inline"`
	ObjectMeta      metav1.ObjectMeta `json:"metadata"`
	Spec            CiliumRule        `json:"spec"`
}

// CiliumRule selects endpoints of its own namespace. A direction without a rule
// is not denied, so each has one, if need be one that allows nothing.
type CiliumRule struct {
	EndpointSelector CiliumSelector  `json:"endpointSelector"`
	Ingress          []CiliumIngress `json:"ingress"`
	Egress           []CiliumEgress  `json:"egress"`
	EgressDeny       []CiliumEgress  `json:"egressDeny,omitempty"`
}

// CiliumSelector selects endpoints by labels. In a peer, one that does not name
// a namespace selects in the policy's own.
type CiliumSelector struct {
	MatchLabels map[string]string `json:"matchLabels"`
}

// CiliumIngress has one kind of peer; one with ports and without a peer is for
// everybody, and one with nothing in it for nobody.
type CiliumIngress struct {
	FromEndpoints []CiliumSelector `json:"fromEndpoints,omitempty"`
	FromEntities  []string         `json:"fromEntities,omitempty"`
	FromCIDR      []string         `json:"fromCIDR,omitempty"`
	ToPorts       []CiliumPorts    `json:"toPorts,omitempty"`
}

// CiliumEgress has one kind of peer: Cilium takes toFQDNs beside no other.
type CiliumEgress struct {
	ToEndpoints []CiliumSelector `json:"toEndpoints,omitempty"`
	ToEntities  []string         `json:"toEntities,omitempty"`
	ToCIDR      []string         `json:"toCIDR,omitempty"`
	ToCIDRSet   []CiliumCIDR     `json:"toCIDRSet,omitempty"`
	ToFQDNs     []CiliumFQDN     `json:"toFQDNs,omitempty"`
	ToPorts     []CiliumPorts    `json:"toPorts,omitempty"`
}

// CiliumCIDR is a range of addresses with others taken out.
type CiliumCIDR struct {
	CIDR   string   `json:"cidr"`
	Except []string `json:"except,omitempty"`
}

// CiliumFQDN is one host name.
type CiliumFQDN struct {
	MatchName string `json:"matchName"`
}

// CiliumPorts are ports, and what may be said on them.
type CiliumPorts struct {
	Ports []CiliumPort `json:"ports"`
	Rules *CiliumRules `json:"rules,omitempty"`
}

// CiliumPort is a port, as text.
type CiliumPort struct {
	Port     string `json:"port"`
	Protocol string `json:"protocol"`
}

// CiliumRules are what Cilium's proxy looks at.
type CiliumRules struct {
	DNS []CiliumDNS `json:"dns"`
}

// CiliumDNS is what may be asked.
type CiliumDNS struct {
	MatchPattern string `json:"matchPattern"`
}

// Cilium's entities: the API server wherever it runs, this node, and the others.
const (
	entityAPIServer  = "kube-apiserver"
	entityHost       = "host"
	entityRemoteNode = "remote-node"
)

// labelCiliumNamespace is how Cilium knows an endpoint's namespace.
const labelCiliumNamespace = "k8s:io.kubernetes.pod.namespace"

// ciliumPolicy makes the policy of one of ESO's Deployments. Metadata services
// are denied by name as well: in Cilium a denial wins over whatever another
// policy allows.
func (x *Expander) ciliumPolicy(w wall) Object {
	meta := x.object(kindCiliumPolicy, x.platform.ESO.Namespace, nameNetwork(w.workload.Part))
	rule := CiliumRule{EndpointSelector: CiliumSelector{MatchLabels: x.podLabels(w.workload)}}
	for _, g := range w.ingress {
		rule.Ingress = append(rule.Ingress, g.ciliumIngress()...)
	}
	for _, g := range w.egress {
		rule.Egress = append(rule.Egress, g.ciliumEgress()...)
	}
	if len(rule.Ingress) == 0 {
		rule.Ingress = []CiliumIngress{{}}
	}
	if !x.platform.Network.Metadata || !w.workload.Providers {
		rule.EgressDeny = []CiliumEgress{{ToCIDR: schema.MetadataCIDRs()}}
	}
	return Object{Meta: meta, File: fileNetwork, Body: &CiliumNetworkPolicy{
		TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(), Spec: rule,
	}}
}

func (g gate) ciliumIngress() []CiliumIngress {
	var rules []CiliumIngress
	ports := g.ciliumPorts()
	if len(g.pods) > 0 {
		rules = append(rules, CiliumIngress{FromEndpoints: selectors(g.pods), ToPorts: ports})
	}
	if len(g.entities) > 0 {
		rules = append(rules, CiliumIngress{FromEntities: g.entities, ToPorts: ports})
	}
	if len(g.cidrs) > 0 {
		rules = append(rules, CiliumIngress{FromCIDR: g.cidrs, ToPorts: ports})
	}
	if g.anybody {
		rules = append(rules, CiliumIngress{ToPorts: ports})
	}
	return rules
}

func (g gate) ciliumEgress() []CiliumEgress {
	ports := g.ciliumPorts()
	var rules []CiliumEgress
	for _, rule := range []CiliumEgress{
		{ToEndpoints: selectors(g.pods)}, {ToEntities: g.entities}, {ToCIDR: g.cidrs}, {ToCIDRSet: cidrSet(g.ranges)}, {ToFQDNs: fqdns(g.hosts)},
	} {
		if peers := len(rule.ToEndpoints) + len(rule.ToEntities) + len(rule.ToCIDR) + len(rule.ToCIDRSet) + len(rule.ToFQDNs); peers > 0 {
			rule.ToPorts = ports
			rules = append(rules, rule)
		}
	}
	return rules
}

func selectors(pods []schema.NetworkPods) []CiliumSelector {
	var all []CiliumSelector
	for _, p := range pods {
		labels := map[string]string{labelCiliumNamespace: p.Namespace}
		for key, value := range p.Labels {
			labels["k8s:"+key] = value
		}
		all = append(all, CiliumSelector{MatchLabels: labels})
	}
	return all
}

func cidrSet(ranges []schema.NetworkRange) []CiliumCIDR {
	var all []CiliumCIDR
	for _, r := range ranges {
		all = append(all, CiliumCIDR{CIDR: r.CIDR, Except: slices.Clone(r.Except)})
	}
	return all
}

func fqdns(hosts []string) []CiliumFQDN {
	var all []CiliumFQDN
	for _, host := range hosts {
		all = append(all, CiliumFQDN{MatchName: host})
	}
	return all
}

// ciliumPorts lets any name be asked for where DNS is: Cilium learns addresses
// from the answers, and a resolver tries its search domains first, whose names
// cannot be told beforehand.
func (g gate) ciliumPorts() []CiliumPorts {
	ports := CiliumPorts{}
	for _, number := range g.ports {
		protocol := "TCP"
		if g.udp {
			protocol = "ANY"
		}
		ports.Ports = append(ports.Ports, CiliumPort{Port: strconv.Itoa(int(number)), Protocol: protocol})
	}
	if g.dns {
		ports.Rules = &CiliumRules{DNS: []CiliumDNS{{MatchPattern: "*"}}}
	}
	return []CiliumPorts{ports}
}
