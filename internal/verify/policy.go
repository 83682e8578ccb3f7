package verify

import (
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// closing is a decision of admission that closes a way.
type closing uint8

const (
	notClosed           closing = iota
	closingMint                 // ESO mints for fenced accounts only
	closingAudience             // … and only with the audiences declared
	closingTokenSecret          // nobody makes token Secrets of fenced accounts, and ESO none at all
	closingForeignMint          // nobody else mints for fenced accounts
	closingOperatorMint         // nobody but a kubelet mints for ESO's own accounts
	closingPod                  // no pod runs as a fenced account
	closingStores               // in tenants' namespaces, stores are as the catalogue has them
	closingRoles                // the Roles by which an account is known as fenced stay
	closingAccounts             // fenced accounts stay as they are
	closingNamespaces           // what says that a Namespace is a tenant's stays
	closingExec                 // nobody gets into ESO's pods
)

// policies are the admission policies among the objects.
type policies struct {
	objects []*inventory.Object
	counted []recognized
	looked  bool
	rests   func(closing) bool // tells whether what a decision rests on holds
	servers []string           // that stores may name; nil: not known
}

func (ps *policies) take(o *inventory.Object) { ps.objects = append(ps.objects, o) }

// closes returns the policy that takes a decision, for all of ESO's accounts,
// and can fire; nil where there is none.
func (ps *policies) closes(c closing, eso []rbac.Subject) *inventory.Object {
	return ps.closesFor(c, eso, rbac.Subject{})
}

// closesFor is the same for a decision from which writers are left out: it
// closes nothing for them.
func (ps *policies) closesFor(c closing, eso []rbac.Subject, s rbac.Subject) *inventory.Object {
	if c == notClosed {
		return nil
	}
	if !ps.looked {
		ps.counted, ps.looked = recognize(ps.objects), true
	}
	for i := range ps.counted {
		r := &ps.counted[i]
		if slices.Contains(r.closings, c) && (c != closingOperatorMint || r.keepsOwn(eso)) && r.aboutESO(eso) && !slices.Contains(r.writers, s.Username()) && r.serves(ps.servers) && ps.rests(c) {
			return r.object
		}
	}
	return nil
}

// The policies ask the authorizer for grants of resources that nothing serves:
// what may be minted, and what is fenced.
const (
	virtualGroup = "eso-tenant.dev"
	virtualVerb  = "use"
)

// resting tells, once for each decision, whether the virtual grants that it
// rests on say what they should.
func (w *world) resting() func(closing) bool {
	known := map[closing]bool{}
	return func(c closing) bool {
		holds, looked := known[c]
		if !looked {
			holds = w.rests(c)
			known[c] = holds
		}
		return holds
	}
}

func (w *world) rests(c closing) bool {
	switch c {
	case closingMint, closingAudience:
		return !slices.ContainsFunc(w.eso, func(s rbac.Subject) bool {
			return slices.ContainsFunc(w.auth.Places(s, virtualVerb, virtualGroup, "mintgrants"), w.beyondFences)
		})
	case closingForeignMint, closingPod:
		return !slices.ContainsFunc(w.fences, w.notSaidFenced)
	default:
		return true
	}
}

// beyondFences tells whether a grant of mintgrants is for more than the fenced
// accounts of its namespace, or for audiences that they do not have.
func (w *world) beyondFences(place rbac.Place) bool {
	if place.Everywhere || place.Names == nil {
		return true
	}
	return slices.ContainsFunc(place.Names, func(name string) bool {
		account, audience, found := strings.Cut(name, "=")
		f := w.fenced[Account{place.Namespace, account}]
		return !found || f == nil || len(f.Audiences) > 0 && !slices.Contains(f.Audiences, audience)
	})
}

// notSaidFenced tells whether the policies do not know an account as fenced: it
// has no grant by name, or ESO has all there are, which counts as none.
func (w *world) notSaidFenced(f Fence) bool {
	request := rbac.Request{Verb: virtualVerb, Group: virtualGroup, Resource: "fencedserviceaccounts", Namespace: f.Namespace, Name: f.Name}
	_, named := w.auth.Allowed(w.eso[0], request)
	request.Name = ""
	_, all := w.auth.Allowed(w.eso[0], request)
	return !named || all
}

// close notes a bypass that a policy closes.
func (w *world) close(rule problem.Rule, policy *inventory.Object) {
	for _, c := range w.closed {
		if c.Rule == rule && c.Policy.Name == policy.Name {
			return
		}
	}
	w.closed = append(w.closed, Closed{Rule: rule, Policy: *policy})
}
