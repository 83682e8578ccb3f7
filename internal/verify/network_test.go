package verify_test

import (
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// TestNetwork: what opens the network of ESO's pods beside the policies that are meant is said, and nothing else is.
func TestNetwork(t *testing.T) {
	const (
		plain  = "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: other, namespace: external-secrets}\nspec: "
		cilium = "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: other, namespace: external-secrets}\n"
		ours   = "{app.kubernetes.io/name: external-secrets-webhook, app.kubernetes.io/instance: external-secrets}"
	)
	text, in := admissionWorld(t)
	in.Network = &verify.Network{Namespace: "external-secrets", Policies: []string{"meant"}}
	for _, name := range []string{"external-secrets", "external-secrets-webhook"} {
		in.Network.Pods = append(in.Network.Pods, map[string]string{"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "external-secrets"})
	}
	run := deployment("external-secrets", "external-secrets", "external-secrets", "external-secrets")
	for name, c := range map[string]struct {
		object string
		says   string // "" where nothing is to be said
	}{
		"all pods, all egress":        {plain + "{podSelector: {}, policyTypes: [Egress], egress: [{}]}", "opens egress of"},
		"no selector":                 {plain + "{egress: [{}]}", "opens egress of"},
		"by labels, both ways":        {plain + "{podSelector: {matchLabels: " + ours + "}, ingress: [{from: [{podSelector: {}}]}], egress: [{ports: [{port: 80}]}]}", "opens ingress and egress of"},
		"by expression":               {plain + "{podSelector: {matchExpressions: [{key: app.kubernetes.io/instance, operator: In, values: [external-secrets]}]}, egress: [{}]}", "opens egress of"},
		"an expression nobody knows":  {plain + "{podSelector: {matchExpressions: [{key: a, operator: Near, values: [b]}]}, egress: [{}]}", "opens egress of"},
		"a default deny":              {plain + "{podSelector: {}, policyTypes: [Ingress, Egress]}", ""},
		"others' pods":                {plain + "{podSelector: {matchLabels: {app: web}}, egress: [{}]}", ""},
		"another release's":           {plain + "{podSelector: {matchLabels: {app.kubernetes.io/instance: second}}, egress: [{}]}", ""},
		"another namespace":           {strings.Replace(plain, "namespace: external-secrets", "namespace: web", 1) + "{podSelector: {}, egress: [{}]}", ""},
		"the one that is meant":       {strings.Replace(plain, "name: other", "name: meant", 1) + "{podSelector: {}, egress: [{}]}", ""},
		"Cilium, all pods":            {cilium + "spec: {endpointSelector: {}, egress: [{toEntities: [world]}]}", "CiliumNetworkPolicy external-secrets/other opens egress of"},
		"Cilium, by a label's source": {cilium + "spec: {endpointSelector: {matchLabels: {'k8s:app.kubernetes.io/name': external-secrets}}, ingress: [{fromEntities: [all]}]}", "opens ingress of"},
		"Cilium, several":             {cilium + "specs: [{endpointSelector: {matchLabels: {app: web}}}, {endpointSelector: {matchLabels: {'any:io.kubernetes.pod.namespace': external-secrets}}, egress: [{toEntities: [world]}]}]", "opens egress of"},
		"Cilium, nothing allowed":     {cilium + "spec: {endpointSelector: {}, ingress: [{}], egress: [{}], egressDeny: [{toEntities: [world]}]}", ""},
		"Cilium, others' pods":        {cilium + "spec: {endpointSelector: {matchLabels: {app: web}}, egress: [{toEntities: [world]}]}", ""},
		"the node's network":          {strings.Replace(run, "serviceAccountName:", "hostNetwork: true, serviceAccountName:", 1), "runs in its node's network"},
		"a network of its own":        {run, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := in
			in.Objects = append(objects(t, "rendered.yaml", text), objects(t, "other.yaml", c.object)...)
			var said []string
			report := verify.Check(in)
			for _, p := range report.Problems {
				if p.Rule == problem.NetworkWidened {
					said = append(said, p.Line())
				}
			}
			if len(said) > 1 || (len(said) == 1) != (c.says != "") || !strings.Contains(strings.Join(said, ""), c.says) {
				t.Errorf("said %q, want %q", said, c.says)
			}
			if in.Network = nil; report.Verdicts[verify.Mint] != verify.Check(in).Verdicts[verify.Mint] {
				t.Error("a network policy changes whose tokens can be come by")
			}
		})
	}
}
