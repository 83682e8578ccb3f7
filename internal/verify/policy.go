package verify

import (
	"cmp"
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
	keepers gatekeepers
	gates   func(*gatekeepers) ([]*gate, []flaw, string)
	counted []recognized
	looked  bool
	held    map[closing][]*recognized
	flaws   []flaw              // what keeps Gatekeeper from refusing
	unseen  string              // what of Gatekeeper is not among the objects; "" is nothing
	resting []string            // the ways that are closed only if it is there
	certain bool                // what was not seen closes nothing: there is no verdict to say so
	assumed []*inventory.Object // templates that close something if Gatekeeper is asked, which was not seen
	rests   func(closing) bool  // tells whether what a decision rests on holds
	servers []string            // that stores may name; nil: not known
}

func (ps *policies) take(o *inventory.Object) {
	if !ps.keepers.take(o) {
		ps.objects = append(ps.objects, o)
	}
}

// closes returns the policy that takes a decision about what is in a namespace
// ("": wherever it may be), for all of ESO's accounts, and can fire; nil where
// there is none.
func (ps *policies) closes(c closing, eso []rbac.Subject, namespace string) *inventory.Object {
	r, gate := ps.find(c, eso, namespace, rbac.Subject{})
	return ps.counts(r, gate)
}

// counts notes what rests on something that was not seen.
func (ps *policies) counts(r *recognized, gate *gate) *inventory.Object {
	if r == nil {
		return nil
	}
	if gate != nil && gate.object == nil && !slices.Contains(ps.assumed, r.object) {
		ps.assumed = append(ps.assumed, r.object)
	}
	return r.object
}

// find is the same with the webhook that has it decide, for a decision from
// which writers are left out: it closes nothing for them.
func (ps *policies) find(c closing, eso []rbac.Subject, namespace string, s rbac.Subject) (*recognized, *gate) {
	if c == notClosed {
		return nil, nil
	}
	for _, r := range ps.holding(c, eso) {
		if slices.Contains(r.writers, s.Username()) {
			continue
		}
		if !r.gated {
			return r, nil
		}
		for _, gate := range r.gates {
			if gate.looksAt(namespace) && (gate.object != nil || !ps.certain) {
				return r, gate
			}
		}
	}
	return nil, nil
}

// holding are the policies that take a decision for all of ESO's accounts,
// wherever and about whom.
func (ps *policies) holding(c closing, eso []rbac.Subject) []*recognized {
	all, done := ps.held[c]
	if done {
		return all
	}
	ps.look()
	for i := range ps.counted {
		if r := &ps.counted[i]; slices.Contains(r.closings, c) && (c != closingOperatorMint || r.keepsOwn(eso)) && r.aboutESO(eso) && r.serves(ps.servers) && ps.rests(c) {
			all = append(all, r)
		}
	}
	if ps.held == nil {
		ps.held = map[closing][]*recognized{}
	}
	ps.held[c] = all
	return all
}

// look recognizes what is there, when first asked. The API server's own policies
// come first: they rest on nothing else.
func (ps *policies) look() {
	if ps.looked {
		return
	}
	ps.looked, ps.counted = true, recognize(ps.objects)
	if len(ps.keepers.templates) == 0 {
		return
	}
	found, flaws := ps.keepers.recognize()
	if len(found) == 0 {
		ps.flaws = flaws
		return
	}
	gates, open, unseen := ps.gates(&ps.keepers)
	ps.flaws, ps.unseen = slices.Concat(open, flaws), unseen
	missing := ps.keepers.unsynced()
	for i := range found {
		r := &found[i]
		if r.rego && len(missing) > 0 {
			ps.flaws = append(ps.flaws, flaw{
				r.object, templateKind + " " + r.object.Name + " does not know what is fenced: no SyncSet has Gatekeeper keep " + list(missing),
				"add the SyncSet that is rendered beside it",
			})
			continue
		}
		r.gated = true
		for _, gate := range gates {
			if gate.covers(r) {
				r.gates = append(r.gates, gate)
			} else {
				ps.flaws = append(ps.flaws, gate.flawOf(r))
			}
		}
		ps.counted = append(ps.counted, *r)
	}
}

// closes is policies.closes for what the requester does, or who of it does it:
// nil too where it can pass Gatekeeper by.
func (p *prover) closes(c closing, namespace string, s rbac.Subject) *inventory.Object {
	r, gate := p.policies.find(c, p.eso, namespace, s)
	if gate != nil && p.slips(gate, namespace) {
		return nil
	}
	return p.policies.counts(r, gate)
}

// closesAll is the same for several namespaces.
func (p *prover) closesAll(c closing, namespaces []string) (policy *inventory.Object) {
	for _, namespace := range namespaces {
		if policy = p.closes(c, namespace, rbac.Subject{}); policy == nil {
			return nil
		}
	}
	return policy
}

// places are the namespaces that a move is made in; "" is any.
func (m *move) places() []string {
	var all []string
	for _, n := range m.to {
		if n.kind != subjectNode || n.subject.Kind == rbac.KindServiceAccount {
			all = append(all, cmp.Or(n.namespace, n.subject.Namespace))
		}
	}
	switch {
	case m.rule == problem.MintBootstrapToken:
		return []string{controlPlane}
	case len(all) == 0:
		return []string{m.via[0].Namespace}
	default:
		return all
	}
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
	if slices.Contains(w.policies.assumed, policy) {
		w.policies.resting = append(w.policies.resting, string(rule)+" is closed by "+policy.Kind+" "+policy.Name+" only if it is asked")
		return
	}
	w.closed = append(w.closed, Closed{Rule: rule, Policy: *policy})
}
