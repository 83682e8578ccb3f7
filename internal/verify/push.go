package verify

import (
	"strconv"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// pushes reports PushSecrets that send more away than the Secrets they name
// (ESO 2.9.0, apis/externalsecrets/v1alpha1 and pkg/controllers/pushsecret).
func pushes(w *world) problem.List {
	var found problem.List
	for _, o := range w.pushes {
		switch o.Kind {
		case "PushSecret":
			found = append(found, w.pushed(o, "spec", o.Namespace)...)
		case "ClusterPushSecret":
			found = append(found, openPush(o)...)
			found = append(found, w.pushed(o, "spec.pushSecretSpec", "")...)
		}
	}
	return found
}

// pushed reports what one PushSecret sends by more than a name. Those that a
// ClusterPushSecret makes are in many namespaces.
func (w *world) pushed(o *inventory.Object, path, namespace string) problem.List {
	spec := below(o.Fields, path)
	secret := inventory.Get(spec, "selector", "secret")
	if inventory.Get(secret, "selector") != nil {
		return problem.List{{
			Rule: problem.PushOpen, Severity: problem.Warning, Position: o.At, Path: path + ".selector.secret.selector",
			Message: o.Kind + " " + o.FullName() + " pushes whatever Secrets have its labels, those with tokens too",
			Hint:    "name the Secret with selector.secret.name",
		}}
	}
	name := inventory.Text(secret, "name")
	for _, token := range w.tokens {
		if name != "" && token.object.Name == name && (namespace == "" || token.object.Namespace == namespace) {
			return problem.List{{
				Rule: problem.PushOpen, Position: o.At, Path: path + ".selector.secret.name",
				Message: o.Kind + " " + o.FullName() + " pushes Secret " + token.object.Namespace + "/" + name + ", a token of service account " + token.account.String() + " without end",
				Because: []string{"Secret " + token.object.Namespace + "/" + name + " holds it (" + token.object.At.String() + ")"},
				Hint:    "delete both; whoever reads the store has the service account",
			}}
		}
	}
	return nil
}

// openPush reports a ClusterPushSecret for namespaces that nobody listed: it
// sends away what is in them, also of tenants who ask for nothing.
func openPush(o *inventory.Object) problem.List {
	for i, selector := range o.List("spec", "namespaceSelectors") {
		if !chooses(selector) {
			return problem.List{{
				Rule: problem.PushOpen, Position: o.At, Path: "spec.namespaceSelectors[" + strconv.Itoa(i) + "]",
				Message: "ClusterPushSecret " + o.Name + " is open: a namespaceSelector that asks for no label is every namespace, or all but some",
				Hint:    "choose namespaces by a label that only the platform team sets",
			}}
		}
	}
	return nil
}
