package generators

import (
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
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
			Egress:      []networkingv1.NetworkPolicyEgressRule{dnsEgress()},
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

// dnsEgress lets pods reach port 53 in kube-system, whichever pods answer there:
// CoreDNS, kube-dns and NodeLocal DNSCache have no label in common.
func dnsEgress() networkingv1.NetworkPolicyEgressRule {
	port := intstr.FromInt32(53)
	ports := []networkingv1.NetworkPolicyPort{}
	for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
		ports = append(ports, networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &port})
	}
	return networkingv1.NetworkPolicyEgressRule{
		Ports: ports,
		To: []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{labelNamespaceName: metav1.NamespaceSystem}},
		}},
	}
}
