package generators

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/eso-tenant/eso-tenant/schema"
)

// networkPolicies makes the default deny, and the way to the cluster's DNS.
func networkPolicies(in input) []Object {
	if !in.namespace.DefaultDeny {
		return nil
	}
	objects := []Object{networkPolicy(in, nameDefaultDeny, networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
	})}
	if in.namespace.AllowDNS {
		objects = append(objects, networkPolicy(in, nameAllowDNS, networkingv1.NetworkPolicySpec{
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeEgress},
			Egress:      in.dnsEgress(),
		}))
	}
	return objects
}

func networkPolicy(in input, name string, spec networkingv1.NetworkPolicySpec) Object {
	meta := in.object(kindNetworkPolicy, name)
	return Object{Meta: meta, File: fileNamespace(in.namespace.Name), Body: &networkingv1.NetworkPolicy{
		TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(), Spec: spec,
	}}
}

// networkPolicy makes the policy of one of ESO's Deployments.
func (x *Expander) networkPolicy(w wall) Object {
	meta := x.object(kindNetworkPolicy, x.platform.ESO.Namespace, nameNetwork(w.workload.Part))
	spec := networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: x.podLabels(w.workload)},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
	}
	for _, g := range w.ingress {
		spec.Ingress = append(spec.Ingress, networkingv1.NetworkPolicyIngressRule{From: g.peers(), Ports: g.policyPorts()})
	}
	for _, g := range w.egress {
		spec.Egress = append(spec.Egress, networkingv1.NetworkPolicyEgressRule{To: g.peers(), Ports: g.policyPorts()})
	}
	return Object{Meta: meta, File: fileNetwork, Body: &networkingv1.NetworkPolicy{
		TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(), Spec: spec,
	}}
}

// peers are none only for anybody, which is what none means.
func (g gate) peers() []networkingv1.NetworkPolicyPeer {
	var peers []networkingv1.NetworkPolicyPeer
	for _, cidr := range g.cidrs {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: cidr}})
	}
	for _, r := range g.ranges {
		peers = append(peers, networkingv1.NetworkPolicyPeer{IPBlock: &networkingv1.IPBlock{CIDR: r.CIDR, Except: r.Except}})
	}
	for _, pods := range g.pods {
		peer := networkingv1.NetworkPolicyPeer{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelNamespaceName: pods.Namespace}},
		}
		if len(pods.Labels) > 0 {
			peer.PodSelector = &metav1.LabelSelector{MatchLabels: pods.Labels}
		}
		peers = append(peers, peer)
	}
	return peers
}

func (g gate) policyPorts() []networkingv1.NetworkPolicyPort {
	var ports []networkingv1.NetworkPolicyPort
	for _, protocol := range g.protocols() {
		for _, number := range g.ports {
			port := intstr.FromInt32(number)
			ports = append(ports, networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &port})
		}
	}
	return ports
}

func (g gate) protocols() []corev1.Protocol {
	if g.udp {
		return []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP}
	}
	return []corev1.Protocol{corev1.ProtocolTCP}
}

// dnsEgress lets a tenant's pods reach the cluster's DNS: the one that the
// Platform states, or else port 53 in kube-system, whichever pods answer there:
// CoreDNS, kube-dns and NodeLocal DNSCache have no label in common.
func (in input) dnsEgress() []networkingv1.NetworkPolicyEgressRule {
	all := []gate{{pods: []schema.NetworkPods{{Namespace: metav1.NamespaceSystem}}, ports: []int32{portDNS}, udp: true}}
	if n := in.platform.Network; n != nil && n.DNS.Stated {
		all = []gate{
			{pods: []schema.NetworkPods{n.DNS.Pods}, ports: n.DNS.Ports, udp: true},
			{cidrs: n.DNS.NodeLocal, ports: []int32{portDNS}, udp: true},
		}
	}
	var rules []networkingv1.NetworkPolicyEgressRule
	for _, g := range gates(all...) {
		rules = append(rules, networkingv1.NetworkPolicyEgressRule{To: g.peers(), Ports: g.policyPorts()})
	}
	return rules
}
