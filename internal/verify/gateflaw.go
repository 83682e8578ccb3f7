package verify

import (
	"fmt"
	"slices"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// gatekeeper reports what keeps Gatekeeper from refusing what it is there to
// refuse, and what rests on a part of it that was not seen. The ways that are
// open because of it are problems of their own.
func gatekeeper(w *world) problem.List {
	w.policies.look()
	var found problem.List
	for _, f := range w.policies.flaws {
		if w.in.Observing {
			break // nothing is to be refused
		}
		found = append(found, problem.Problem{Rule: problem.GatekeeperInactive, Position: f.at.At, Message: f.message, Hint: f.hint})
	}
	found = append(found, w.exempt()...)
	if assumed := w.policies.assumed; len(assumed) > 0 {
		slices.SortFunc(assumed, compareObjects)
		p := problem.Problem{
			Rule: problem.GatekeeperUnseen, Position: assumed[0].At,
			Message: "whether Gatekeeper is asked is not known: " + w.policies.unseen + " is not among the objects",
			Hint:    "add what Gatekeeper's chart renders with the values in the ConfigMap gatekeeper-values; or ask the cluster, by --live",
		}
		slices.Sort(w.policies.resting)
		p.Because = slices.Compact(w.policies.resting)
		found = append(found, p)
	}
	return found
}

// exempt reports namespaces with something to protect that Gatekeeper does not look at.
func (w *world) exempt() problem.List {
	told := map[*gate]bool{}
	var found problem.List
	for i := range w.policies.counted {
		for _, g := range w.policies.counted[i].gates {
			if told[g] {
				continue
			}
			told[g] = true
			var names []string
			for _, s := range w.eso {
				names = append(names, s.Namespace)
			}
			for namespace := range w.tenanted {
				names = append(names, namespace)
			}
			names = slices.DeleteFunc(names, g.looksAt)
			slices.Sort(names)
			if names = slices.Compact(names); len(names) == 0 {
				continue
			}
			at := w.policies.counted[i].object.At
			if g.object != nil {
				at = g.object.At
			}
			found = append(found, problem.Problem{
				Rule: problem.GatekeeperInactive, Position: at, Message: "Gatekeeper does not look at what is " + inNamespaces(names),
				Hint: "take them out of its Config's excludedNamespaces, and of what exempts them by their labels, such as " + ignoreLabel,
			})
		}
	}
	return found
}

// flawOf says why a webhook does not have a policy decide.
func (g *gate) flawOf(r *recognized) flaw {
	name := templateKind + " " + r.object.Name
	switch {
	case r.rego && g.noRego:
		return flaw{r.object, "Gatekeeper does not take " + name + ": it is started with --enable-referential-rules=false, or without a built-in function of its engine", "start Gatekeeper with referential rules, and disable http.send alone"}
	case !r.rego && g.noCEL:
		return flaw{r.object, "Gatekeeper does not take " + name + ": it is started with --enable-k8s-native-validation=false", "install Gatekeeper's chart with enableK8sNativeValidation: true"}
	default:
		return flaw{
			g.object, fmt.Sprintf("Gatekeeper is not asked about %s, so %s refuses none", g.missing(r), name),
			"install Gatekeeper's chart with the values in the ConfigMap gatekeeper-values",
		}
	}
}
