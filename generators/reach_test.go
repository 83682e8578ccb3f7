package generators

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// This file judges which connections pass, given network policies: Kubernetes' own in full, and of Cilium's what is
// generated, and what a policy of somebody else may add. Policies are additive: each opens, none closes what another
// opened, but for Cilium's denials.

// party is one end of a connection.
type party struct {
	namespace string            // of a pod; "" for all else
	labels    map[string]string // of a pod
	address   string
	host      string   // the name by which it was found
	entities  []string // what Cilium knows it as
}

func (p party) isPod() bool { return p.namespace != "" }

// connection is an attempt to connect.
type connection struct {
	from, to party
	port     int
	protocol corev1.Protocol
}

// policies are all that there are in a cluster.
type policies struct {
	plain  []*networkingv1.NetworkPolicy
	cilium []*CiliumNetworkPolicy
}

func (p policies) with(others policies) policies {
	return policies{slices.Concat(p.plain, others.plain), slices.Concat(p.cilium, others.cilium)}
}

// passes tells whether both ends let a connection pass.
func (p policies) passes(t *testing.T, c connection) bool {
	t.Helper()
	return p.letsOut(t, c) && p.letsIn(t, c)
}

func (p policies) letsOut(t *testing.T, c connection) bool {
	t.Helper()
	isolated, open := false, false
	for _, policy := range p.plain {
		if !slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeEgress) || !selects(t, policy, c.from) {
			continue
		}
		isolated = true
		for _, rule := range policy.Spec.Egress {
			open = open || portIn(t, rule.Ports, c) && peerIn(t, rule.To, policy.Namespace, c.to)
		}
	}
	for _, policy := range p.cilium {
		if policy.selects(c.from) {
			isolated = isolated || len(policy.Spec.Egress)+len(policy.Spec.EgressDeny) > 0
			if !p.learnsNames(c.from) {
				c.to.host = ""
			}
			open = open || slices.ContainsFunc(policy.Spec.Egress, func(r CiliumEgress) bool { return r.covers(policy, c) })
		}
	}
	for _, policy := range p.cilium {
		if policy.selects(c.from) && slices.ContainsFunc(policy.Spec.EgressDeny, func(r CiliumEgress) bool { return r.covers(policy, c) }) {
			return false
		}
	}
	return open || !isolated
}

// learnsNames tells whether Cilium sees the answers of all DNS servers that a pod may ask; it knows no name otherwise.
func (p policies) learnsNames(pod party) bool {
	seen := 0
	for _, policy := range p.cilium {
		if !policy.selects(pod) {
			continue
		}
		for _, rule := range policy.Spec.Egress {
			for _, ports := range rule.ToPorts {
				asked := slices.ContainsFunc(ports.Ports, func(p CiliumPort) bool { return p.Port == "53" })
				if asked && (ports.Rules == nil || !slices.Contains(ports.Rules.DNS, CiliumDNS{MatchPattern: "*"})) {
					return false
				}
				if asked {
					seen++
				}
			}
		}
	}
	return seen > 0
}

func (p policies) letsIn(t *testing.T, c connection) bool {
	t.Helper()
	isolated, open := false, false
	for _, policy := range p.plain {
		if !slices.Contains(policy.Spec.PolicyTypes, networkingv1.PolicyTypeIngress) || !selects(t, policy, c.to) {
			continue
		}
		isolated = true
		for _, rule := range policy.Spec.Ingress {
			open = open || portIn(t, rule.Ports, c) && peerIn(t, rule.From, policy.Namespace, c.from)
		}
	}
	for _, policy := range p.cilium {
		if policy.selects(c.to) {
			isolated = isolated || len(policy.Spec.Ingress) > 0
			open = open || slices.ContainsFunc(policy.Spec.Ingress, func(r CiliumIngress) bool { return r.covers(policy, c) })
		}
	}
	return open || !isolated
}

func selects(t *testing.T, policy *networkingv1.NetworkPolicy, p party) bool {
	t.Helper()
	return p.namespace == policy.Namespace && p.isPod() && matches(t, &policy.Spec.PodSelector, p.labels)
}

func matches(t *testing.T, selector *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return s.Matches(labels.Set(of))
}

// portIn: no ports are all ports, no protocol is TCP.
func portIn(t *testing.T, ports []networkingv1.NetworkPolicyPort, c connection) bool {
	t.Helper()
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		protocol := corev1.ProtocolTCP
		if p.Protocol != nil {
			protocol = *p.Protocol
		}
		if p.EndPort != nil {
			t.Fatal("a range of ports, which nothing here is to generate")
		}
		return protocol == c.protocol && (p.Port == nil || p.Port.IntValue() == c.port)
	})
}

// peerIn: no peers are everybody. An address stands for a pod too, as it does in some network plugins.
func peerIn(t *testing.T, peers []networkingv1.NetworkPolicyPeer, own string, p party) bool {
	t.Helper()
	return len(peers) == 0 || slices.ContainsFunc(peers, func(peer networkingv1.NetworkPolicyPeer) bool {
		if peer.IPBlock != nil {
			return inBlock(t, peer.IPBlock.CIDR, peer.IPBlock.Except, p.address)
		}
		if !p.isPod() || peer.NamespaceSelector == nil && p.namespace != own {
			return false
		}
		return (peer.NamespaceSelector == nil || matches(t, peer.NamespaceSelector, map[string]string{labelNamespaceName: p.namespace})) &&
			(peer.PodSelector == nil || matches(t, peer.PodSelector, p.labels))
	})
}

func inBlock(t *testing.T, cidr string, except []string, address string) bool {
	t.Helper()
	return inCIDR(cidr, address) && !slices.ContainsFunc(except, func(e string) bool {
		if outer := netip.MustParsePrefix(cidr); !outer.Overlaps(netip.MustParsePrefix(e)) {
			t.Fatalf("except %s is not in %s, which the API server refuses", e, cidr)
		}
		return inCIDR(e, address)
	})
}

// inCIDR: what is no CIDR, the API server refuses, and it opens nothing.
func inCIDR(cidr, address string) bool {
	prefix, err := netip.ParsePrefix(cidr)
	return err == nil && prefix.Contains(netip.MustParseAddr(address))
}

func (policy *CiliumNetworkPolicy) selects(p party) bool {
	return p.isPod() && p.namespace == policy.ObjectMeta.Namespace && policy.Spec.EndpointSelector.matches(p)
}

// matches: labels of Kubernetes may stand with the prefix of their source.
func (s CiliumSelector) matches(p party) bool {
	for key, want := range s.MatchLabels {
		key = strings.TrimPrefix(key, "k8s:")
		have, there := p.labels[key]
		if key == strings.TrimPrefix(labelCiliumNamespace, "k8s:") {
			have, there = p.namespace, true
		}
		if !there || have != want {
			return false
		}
	}
	return true
}

// inNamespace: a peer's selector that names no namespace means the policy's own.
func (s CiliumSelector) inNamespace(policy *CiliumNetworkPolicy, p party) bool {
	_, named := s.MatchLabels[labelCiliumNamespace]
	return p.isPod() && (named || p.namespace == policy.ObjectMeta.Namespace) && s.matches(p)
}

// covers: no peer at all but with ports means everybody; a rule with nothing in it covers nothing.
func (r CiliumEgress) covers(policy *CiliumNetworkPolicy, c connection) bool {
	peers := len(r.ToEndpoints) + len(r.ToEntities) + len(r.ToCIDR) + len(r.ToCIDRSet) + len(r.ToFQDNs)
	if peers+len(r.ToPorts) == 0 || !ciliumPort(r.ToPorts, c) {
		return false
	}
	world := !c.to.isPod() && len(c.to.entities) == 0 // to Cilium, an address is never a pod's, nor a node's
	return peers == 0 ||
		slices.ContainsFunc(r.ToEndpoints, func(s CiliumSelector) bool { return s.inNamespace(policy, c.to) }) ||
		slices.ContainsFunc(r.ToEntities, c.to.isEntity) ||
		world && slices.ContainsFunc(r.ToCIDR, func(cidr string) bool { return inCIDR(cidr, c.to.address) }) ||
		world && slices.ContainsFunc(r.ToCIDRSet, func(s CiliumCIDR) bool {
			return inCIDR(s.CIDR, c.to.address) && !slices.ContainsFunc(s.Except, func(e string) bool { return inCIDR(e, c.to.address) })
		}) ||
		world && slices.ContainsFunc(r.ToFQDNs, func(f CiliumFQDN) bool { return f.MatchName == c.to.host })
}

func (r CiliumIngress) covers(policy *CiliumNetworkPolicy, c connection) bool {
	peers := len(r.FromEndpoints) + len(r.FromEntities) + len(r.FromCIDR)
	if peers+len(r.ToPorts) == 0 || !ciliumPort(r.ToPorts, c) {
		return false
	}
	world := !c.from.isPod() && len(c.from.entities) == 0
	return peers == 0 ||
		slices.ContainsFunc(r.FromEndpoints, func(s CiliumSelector) bool { return s.inNamespace(policy, c.from) }) ||
		slices.ContainsFunc(r.FromEntities, c.from.isEntity) ||
		world && slices.ContainsFunc(r.FromCIDR, func(cidr string) bool { return inCIDR(cidr, c.from.address) })
}

func (p party) isEntity(name string) bool {
	return slices.Contains(p.entities, name)
}

func ciliumPort(ports []CiliumPorts, c connection) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(group CiliumPorts) bool {
		return len(group.Ports) == 0 || slices.ContainsFunc(group.Ports, func(p CiliumPort) bool {
			return (p.Protocol == "" || p.Protocol == "ANY" || p.Protocol == string(c.protocol)) && (p.Port == "" || p.Port == strconv.Itoa(c.port))
		})
	})
}
