package verify

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Network is what is meant to hold for the network of ESO's pods: nothing else
// opens it.
type Network struct {
	Namespace string
	Pods      []map[string]string // the labels of ESO's pods
	Policies  []string            // the names of the policies that are meant to be there
}

const podNamespaceLabel = "io.kubernetes.pod.namespace" // Cilium's, of every endpoint

// networks reports what takes ESO's pods out of their network policies: others
// that select them, since policies add up, and the node's own network, where
// none holds.
func networks(w *world) problem.List {
	n := w.in.Network
	if n == nil {
		return nil
	}
	var found problem.List
	for i := range w.in.Objects {
		o := &w.in.Objects[i]
		if o.Namespace != n.Namespace || slices.Contains(n.Policies, o.Name) || !n.selected(o) {
			continue
		}
		if opened := opens(o); len(opened) > 0 {
			found = append(found, problem.Problem{
				Rule: problem.NetworkWidened, Position: o.At,
				Message: o.Kind + " " + o.Namespace + "/" + o.Name + " opens " + strings.Join(opened, " and ") + " of External Secrets Operator's pods, beside what the Platform says",
				Hint:    "network policies add up: remove it, or say in the Platform's network what it is for",
			})
		}
	}
	for _, subject := range w.eso {
		for _, o := range w.running[Account{subject.Namespace, subject.Name}] {
			if on, _ := inventory.Get(podSpec(o), "hostNetwork").(bool); on {
				found = append(found, problem.Problem{
					Rule: problem.NetworkWidened, Position: o.At,
					Message: o.Kind + " " + o.Namespace + "/" + o.Name + " runs in its node's network, where no network policy holds",
					Hint:    "leave the chart's hostNetwork false",
				})
			}
		}
	}
	return found
}

// rulesOf are the parts of a network policy that select pods; none of other kinds.
func rulesOf(o *inventory.Object) []any {
	switch o.Group() + "/" + o.Kind {
	case "networking.k8s.io/NetworkPolicy":
		return []any{o.Get("spec")}
	case "cilium.io/CiliumNetworkPolicy":
		return append(o.List("specs"), o.Get("spec"))
	default:
		return nil
	}
}

// selected tells whether a policy selects one of ESO's pods. A selector that
// cannot be read is taken for one that does.
func (n *Network) selected(o *inventory.Object) bool {
	return slices.ContainsFunc(rulesOf(o), func(spec any) bool {
		for _, field := range []string{"podSelector", "endpointSelector"} {
			if chosen := inventory.Get(spec, field); chosen != nil && n.chosen(chosen) {
				return true
			}
		}
		return o.Kind == "NetworkPolicy" && inventory.Get(spec, "podSelector") == nil // as the API server reads it
	})
}

func (n *Network) chosen(by any) bool {
	matchLabels, _ := inventory.Get(by, "matchLabels").(map[string]any)
	selector := metav1.LabelSelector{MatchLabels: map[string]string{}}
	for key, value := range textMap(matchLabels) {
		selector.MatchLabels[plainKey(key)] = value
	}
	for _, expression := range inventory.List(by, "matchExpressions") {
		selector.MatchExpressions = append(selector.MatchExpressions, metav1.LabelSelectorRequirement{
			Key: plainKey(inventory.Text(expression, "key")), Operator: metav1.LabelSelectorOperator(inventory.Text(expression, "operator")), Values: inventory.Texts(expression, "values"),
		})
	}
	s, err := metav1.LabelSelectorAsSelector(&selector)
	return err != nil || slices.ContainsFunc(n.Pods, func(pod map[string]string) bool {
		all := labels.Set{podNamespaceLabel: n.Namespace}
		return s.Matches(labels.Merge(all, pod))
	})
}

// plainKey is a label's key without the source that Cilium may put before it.
func plainKey(key string) string {
	return strings.TrimPrefix(strings.TrimPrefix(key, "k8s:"), "any:")
}

// opens says which directions a policy allows anything in. A rule of Cilium's
// with nothing in it allows nothing.
func opens(o *inventory.Object) []string {
	var opened []string
	for _, direction := range []string{"ingress", "egress"} {
		allows := slices.ContainsFunc(rulesOf(o), func(spec any) bool {
			return slices.ContainsFunc(inventory.List(spec, direction), func(rule any) bool {
				fields, _ := rule.(map[string]any)
				return len(fields) > 0 || o.Kind == "NetworkPolicy"
			})
		})
		if allows {
			opened = append(opened, direction)
		}
	}
	return opened
}
