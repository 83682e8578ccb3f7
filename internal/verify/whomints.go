package verify

import (
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// Minters are those who can come by a token of one service account.
type Minters struct {
	// Direct may ask the TokenRequest API for it.
	Direct []Answer
	// Round can come by it in another way, told by its rule and step by step.
	Round []Answer
	// Kubernetes counts those whom Kubernetes itself gives a way: its own controllers.
	Kubernetes int
	// Not are all others that are bound to something, but members of groups that are among those above.
	Not []Answer
}

// WhoMints returns who can come by a token of a service account, directly or by
// any way round that verify knows. Each is asked by itself, but for External
// Secrets Operator, which is all its accounts.
func WhoMints(in Input, account Account) *Minters {
	w := newWorld(in)
	w.policies.certain = true
	m := &Minters{}
	direct := map[rbac.Subject]bool{}
	request := rbac.Request{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: account.Namespace, Name: account.Name}
	for _, holder := range w.auth.WhoCan(request) {
		direct[holder.Subject] = true
		lines := because(w.why(holder.Grants[0], "create serviceaccounts/token"))
		if policy := w.refusesMint(holder.Subject, account); policy != nil {
			lines = append(lines, refusedBy(policy))
		}
		m.Direct = append(m.Direct, Answer{Subject: holder.Subject, Why: lines})
	}
	ways := w.waysTo(account)
	for _, s := range w.auth.Subjects() {
		way, is := ways[s]
		switch {
		case direct[s]:
		case is && way.own:
			m.Kubernetes++
		case is:
			m.Round = append(m.Round, Answer{Subject: s, Rule: way.rule, Why: way.lines})
		case !slices.ContainsFunc(s.Identities(), func(in rbac.Subject) bool { _, has := ways[in]; return has || direct[in] }):
			m.Not = append(m.Not, Answer{Subject: s})
		default: // as a member of a group that is told of
		}
	}
	return m
}

// refusesMint is the policy that refuses a token request which RBAC allows.
func (w *world) refusesMint(s rbac.Subject, account Account) *inventory.Object {
	fenced := w.fenced[account] != nil
	switch isESO := slices.Contains(w.eso, s); {
	case slices.Contains(w.eso, account.subject()) && w.refusesOwn(s) != nil:
		return w.refusesOwn(s)
	case isESO && !fenced:
		return w.policies.closes(closingMint, w.eso, account.Namespace)
	case !isESO && fenced && w.exempts(closingForeignMint, s, account) == nil:
		return w.policies.closes(closingForeignMint, w.eso, account.Namespace)
	default:
		return nil
	}
}

func refusedBy(policy *inventory.Object) string {
	return policy.Kind + " " + policy.Name + " refuses the request (" + policy.At.String() + ")"
}

// wayTo is how somebody comes by a token.
type wayTo struct {
	rule  problem.Rule
	own   bool // by what Kubernetes itself gives
	lines []string
}

// waysTo are the ways round to an account, by who has them. Who has one as a
// member of a group alone is left to the group.
func (w *world) waysTo(account Account) map[rbac.Subject]wayTo {
	ways := map[rbac.Subject]wayTo{}
	for _, s := range w.near(account.Namespace) {
		p := &prover{world: w, requester: []rbac.Subject{s}}
		if slices.Contains(w.eso, s) {
			p.requester, p.isESO = w.eso, true
		}
		p.run()
		m := p.wayTo(account)
		if m == nil {
			continue
		}
		if grants := p.grantsOf(m); slices.ContainsFunc(grants, func(r reason) bool { return slices.Contains(p.requester, r.Grant.Subject) }) {
			ways[s] = wayTo{rule: m.rule, own: grants[0].own, lines: because(p.steps(m))}
		}
	}
	return ways
}

// grantsOf are the rules that a move takes, and those of the way to it before.
func (p *prover) grantsOf(m *move) []reason {
	var all []reason
	for _, r := range m.via {
		if by := p.reached[r.owner].by; by != nil {
			all = append(all, p.grantsOf(by)...)
		}
		all = append(all, r)
	}
	return all
}

// wayTo is a shortest open way to an account's token; nil where there is none. To
// act as the account gives none; to act as anybody does, by those who may mint.
func (p *prover) wayTo(account Account) *move {
	for _, moves := range [][]move{p.roots, p.moves} {
		for i := range moves {
			m := &moves[i]
			if (!m.noToken || anyWhole(m.to)) && p.leadsTo(m, account) && p.closedBy(m) == nil && !p.keptFrom(m, account) {
				return m
			}
		}
	}
	return nil
}

// leadsTo tells whether a move gives a token of an account. To get into a pod
// takes one that runs as it; who gets into those of the whole cluster finds one
// that may mint.
func (p *prover) leadsTo(m *move, account Account) bool {
	if !anyWhole(m.to) && (m.rule == problem.MintExec || m.rule == problem.MintNodeProxy) && len(p.running[account]) == 0 {
		return false
	}
	return slices.ContainsFunc(m.to, func(n node) bool {
		return n.whole() || n.kind == subjectNode && n.subject == account.subject() || n.kind != subjectNode && n.namespace == account.Namespace
	})
}

// keptFrom tells whether a policy keeps a fenced account, or ESO's own, from a way.
func (p *prover) keptFrom(m *move, account Account) bool {
	if slices.Contains(p.eso, account.subject()) && p.keptFromOwn(m) != nil {
		return true
	}
	if m.rule == problem.MintAny && slices.Contains(p.eso, m.via[0].owner.subject) {
		return false // whoever can be ESO mints as ESO does
	}
	return p.fenced[account] != nil && fenceClosings[m.rule] != notClosed && p.closes(fenceClosings[m.rule], account.Namespace, rbac.Subject{}) != nil &&
		p.exempts(fenceClosings[m.rule], m.via[0].owner.subject, account) == nil
}

// near are those who have rights that lead to tokens where it matters: in a
// namespace, in the whole cluster, or where one of those near runs, since whoever
// can be that service account is as near.
func (w *world) near(namespace string) []rbac.Subject {
	matters := map[string]bool{namespace: true}
	isNear := map[rbac.Subject]bool{}
	everywhere := false
	for more := true; more; {
		more = false
		for _, s := range w.auth.Subjects() {
			if isNear[s] || !slices.ContainsFunc(w.holdsOf(s), func(h hold) bool { return everywhere || h.Everywhere || matters[h.Namespace] }) {
				continue
			}
			isNear[s], more = true, true
			home, group := homeOf(s)
			everywhere = everywhere || group && home == ""
			matters[home] = true
		}
	}
	var all []rbac.Subject
	for _, s := range w.auth.Subjects() {
		if isNear[s] {
			all = append(all, s)
		}
	}
	return all
}

// homeOf is the namespace of a service account, or of a group of such; with a
// group of all there are, "".
func homeOf(s rbac.Subject) (namespace string, group bool) {
	switch {
	case s.Kind == rbac.KindServiceAccount:
		return s.Namespace, false
	case s.Kind == rbac.KindGroup && strings.HasPrefix(s.Name, rbac.AllAccounts+":"):
		return strings.TrimPrefix(s.Name, rbac.AllAccounts+":"), true
	case everybody(s):
		return "", true
	default:
		return "", false
	}
}
