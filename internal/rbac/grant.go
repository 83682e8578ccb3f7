package rbac

import (
	"cmp"
	"fmt"
)

// Ref names an object of RBAC; Namespace is empty for those of the whole cluster.
type Ref struct{ Kind, Namespace, Name string }

// String is "RoleBinding web/deploy" or "ClusterRole edit".
func (r Ref) String() string {
	if r.Namespace == "" {
		return r.Kind + " " + r.Name
	}
	return r.Kind + " " + r.Namespace + "/" + r.Name
}

func (r Ref) compare(o Ref) int {
	return cmp.Or(cmp.Compare(r.Kind, o.Kind), cmp.Compare(r.Namespace, o.Namespace), cmp.Compare(r.Name, o.Name))
}

// Grant is why something is allowed: the binding, whom it binds, the role, and the rule.
type Grant struct {
	Binding Ref
	Subject Subject // as bound: it may be a group of the subject that was asked about
	Role    Ref     // what the binding names

	// Source is the role that has the rule: Role itself, or a ClusterRole that is aggregated into it.
	Source Ref
	// Rule is the rule's index in Source; where several objects are called so, in all their rules together.
	Rule int
	// Bootstrap tells that Source is not among the objects, but Kubernetes' own.
	Bootstrap bool
}

// String is a line for people: binding, role, rule.
func (g Grant) String() string {
	via := ""
	if g.Source != g.Role {
		via = " with " + g.Source.String()
	}
	return fmt.Sprintf("%s gives %s %s%s, rule %d", g.Binding, g.Subject, g.Role, via, g.Rule)
}

// Holder is somebody who is bound, and all that allows a request.
type Holder struct {
	Subject Subject
	Grants  []Grant
}

// Place is where a right holds: in one namespace or everywhere, for any name or just some. A right with names allows no
// request without one, as the usual create is (see Request.Name), unless "" is among them.
type Place struct {
	Everywhere bool     // by a ClusterRoleBinding: all namespaces, and objects outside of namespaces
	Namespace  string   // empty with Everywhere
	Names      []string // nil is any name; do not change it
	Grant      Grant
}
