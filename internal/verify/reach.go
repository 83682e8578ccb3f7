package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// node is something that a requester can act as: a subject, any service
// account of a namespace, or whoever may do all there. An empty namespace is
// the whole cluster.
type node struct {
	kind      nodeKind
	subject   rbac.Subject
	namespace string
}

type nodeKind uint8

const (
	subjectNode  nodeKind = iota
	accountsNode          // any service account in the namespace
	adminNode             // everything in the namespace
)

func subject(s rbac.Subject) node        { return node{kind: subjectNode, subject: s} }
func accountsIn(namespace string) node   { return node{kind: accountsNode, namespace: namespace} }
func everythingIn(namespace string) node { return node{kind: adminNode, namespace: namespace} }

// whole tells whether it is the cluster.
func (n node) whole() bool { return n.kind != subjectNode && n.namespace == "" }

func (n node) String() string {
	where := "namespace " + n.namespace
	if n.namespace == "" {
		where = "every namespace"
	}
	switch n.kind {
	case accountsNode:
		return "any service account in " + where
	case adminNode:
		if n.namespace == "" {
			return "everything in the cluster"
		}
		return "everything in " + where
	default:
		return n.subject.String()
	}
}

// step is one step on the way to a token.
type step struct {
	text string
	at   problem.Position
}

// reason is a rule that somebody holds, and what of it is used.
type reason struct {
	*hold
	allows string
}

// move is a way on: what it takes, all of it together, and what it leads to.
type move struct {
	rule    problem.Rule
	via     []reason // the first is what somebody has to change
	to      []node
	also    []step // what it takes besides rules
	meant   bool   // it is what the fence is for
	noToken bool   // it acts as somebody, without a token to show elsewhere
	enters  bool   // it gets into a pod as it is
}

// detector looks for one kind of move in all that is held.
type detector func(p *prover) []move

// prover finds what one requester can come by. What it holds is one pool, since
// who has two service accounts creates with one and reads with the other.
type prover struct {
	*world
	requester []rbac.Subject
	isESO     bool
	reached   map[node]*visit
	order     []rbac.Subject // reached and bound to something, the nearest first
	collected int
	pool      [abilityCount][]*hold
	roots     []move  // after run, those that take only what the requester has itself
	moves     []move  // after run, all that there are
	derived   []*move // those that take more than the requester is meant to have
}

// visit is how a node was reached.
type visit struct {
	by   *move // nil: it is the requester
	root bool  // the requester, or what it is meant to have
}

// run goes on from the requester until nothing new is reached. Each round is
// one step further, so the first way to a node is a shortest one.
func (p *prover) run() {
	p.reached = map[node]*visit{}
	for _, s := range p.requester {
		p.enter(s, nil, true)
	}
	// First what the requester is meant to have: a move that takes two rights is
	// then found with its own, also where others hold one of them, too.
	for more := true; more; {
		p.collect()
		p.moves = p.detect()
		more = p.advance(true)
	}
	p.roots = p.moves
	for p.advance(false) {
		p.collect()
		p.moves = p.detect()
	}
}

// enter notes a subject, and the groups that it is in, if anything is bound to them.
func (p *prover) enter(s rbac.Subject, by *move, root bool) bool {
	entered := false
	for _, id := range s.Identities() {
		n := subject(id)
		if p.reached[n] != nil || !p.isBound[id] {
			continue
		}
		p.reached[n] = &visit{by: by, root: root}
		p.order = append(p.order, id)
		entered = true
	}
	return entered
}

// collect adds what the subjects hold that were reached since.
func (p *prover) collect() {
	for ; p.collected < len(p.order); p.collected++ {
		holds := p.holdsOf(p.order[p.collected])
		for i := range holds {
			for a := range abilityCount {
				if holds[i].can(a) {
					p.pool[a] = append(p.pool[a], &holds[i])
				}
			}
		}
	}
}

func (p *prover) detect() []move {
	var all []move
	for _, find := range detectors {
		all = append(all, find(p)...)
	}
	return all
}

// detectors are all kinds of moves, the plainest first: of several that one
// rule gives, the first is the one that is reported.
var detectors = []detector{
	mintDirectly, mintByTokenSecret, mintByChangedSecret, mintFromLegacySecret, mintByBootstrapToken,
	mintByPod, mintByExec, mintByImpersonation, mintByBinding, mintByRole, mintByCSR, mintByNode, mintAttested,
	writeAdmission, writeNamespaces, writeCRDs, writeStores,
}

// advance takes all moves that are open, or just those that are meant, and tells
// whether one led on.
func (p *prover) advance(meant bool) bool {
	further := false
	for i := range p.moves {
		m := &p.moves[i]
		if p.closedBy(m) != nil || meant && !m.meant {
			continue
		}
		root := m.meant && p.fromRoot(m)
		for _, to := range m.to {
			further = p.reach(to, m, root) || further
		}
	}
	return further
}

// reach notes a node, and of many service accounts those that are bound to
// something: only they lead further. The whole cluster leads nowhere further.
func (p *prover) reach(n node, by *move, root bool) bool {
	if p.reached[everythingIn("")] != nil || p.reached[accountsIn("")] != nil {
		return false
	}
	if n.kind == subjectNode {
		return p.enter(n.subject, by, root)
	}
	if p.reached[n] != nil {
		return false
	}
	p.reached[n] = &visit{by: by, root: root}
	if n.namespace == "" {
		return true
	}
	for _, s := range p.boundIn[n.namespace] {
		p.enter(s, by, root)
	}
	return true
}

// fromRoot tells whether a move needs nothing but what the requester is meant to have.
func (p *prover) fromRoot(m *move) bool {
	return !slices.ContainsFunc(m.via, func(r reason) bool { return !p.reached[r.owner].root })
}

// closedBy is the admission policy that keeps External Secrets Operator from a
// move; nil where it is open. Who acts as somebody else is not kept from it.
func (p *prover) closedBy(m *move) *inventory.Object {
	if !p.isESO || closings[m.rule] == notClosed || m.meant {
		return nil
	}
	for _, r := range m.via {
		if !p.isRequester(r.owner.subject) {
			return nil
		}
	}
	if m.rule == problem.StoreWritable {
		return p.storesClosed(m.via[0].hold)
	}
	return p.closesAll(closings[m.rule], m.places())
}

// isRequester tells whether a subject is the requester, or a group that it is in.
func (p *prover) isRequester(s rbac.Subject) bool {
	return slices.ContainsFunc(p.requester, func(r rbac.Subject) bool { return slices.Contains(r.Identities(), s) })
}

// closings are the decisions of admission that keep External Secrets Operator from a way.
var closings = map[problem.Rule]closing{
	problem.MintAny: closingMint, problem.MintAttest: closingMint,
	problem.MintTokenSecret: closingTokenSecret, problem.MintBootstrapToken: closingTokenSecret, problem.StoreWritable: closingStores,
}

// steps are a move, with the way to it.
func (p *prover) steps(m *move) []step {
	var all []step
	add := func(steps ...step) {
		for _, s := range steps {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	for _, r := range m.via {
		if v := p.reached[r.owner]; v.by != nil {
			add(p.steps(v.by)...)
		}
		add(p.why(r.Grant, r.allows)...)
	}
	add(m.also...)
	return all
}

// why is a grant as two steps: the binding, and the rule with what it allows.
func (w *world) why(g rbac.Grant, what string) []step {
	role := g.Role.String()
	if g.Source != g.Role {
		role += " with " + g.Source.String()
	}
	from := ""
	if g.Bootstrap {
		from = " (Kubernetes' own)"
	}
	return []step{
		{g.Binding.String() + " gives " + role + from + " to " + g.Subject.String(), w.place(g.Binding, -1)},
		{g.Source.String() + " allows to " + what, w.place(g.Source, g.Rule)},
	}
}

// finding is what somebody has to change: a rule, or the binding of a role that
// is Kubernetes' own, with all moves that it gives.
type finding struct {
	rule   problem.Rule
	moves  []*move // of this rule
	beside []*move // of other rules: what is left if only this way is closed
	onward *move   // the gravest that it leads to by way of others
	path   []*move // to onward
}

// cause tells findings apart. A thousand tenants with a Role of one name each
// are one, and not a thousand.
type cause struct {
	everywhere bool
	kind, name string
	rule       int
	subject    rbac.Subject
}

func causeOf(r reason) cause {
	c := cause{everywhere: r.Everywhere, kind: r.Grant.Source.Kind, name: r.Grant.Source.Name, rule: r.Grant.Rule, subject: r.Grant.Subject}
	if r.ownRole {
		c.kind, c.name, c.rule = r.Grant.Binding.Kind, r.Grant.Binding.Name, -1 // it is the binding that can be changed
	}
	return c
}

// findings are the moves from what the requester has itself, by their causes.
func (p *prover) findings() []*finding {
	var all []*finding
	index := map[cause]*finding{}
	for i := range p.moves {
		if m := &p.moves[i]; !p.fromRoot(m) {
			p.derived = append(p.derived, m)
		}
	}
	for i := range p.roots {
		m := &p.roots[i]
		if m.meant {
			continue
		}
		if policy := p.closedBy(m); policy != nil {
			p.close(m.rule, policy)
			continue
		}
		key := causeOf(m.via[0])
		f := index[key]
		if f == nil {
			f = &finding{rule: m.rule}
			index[key] = f
			all = append(all, f)
		}
		if f.rule == m.rule {
			f.moves = append(f.moves, m)
		} else {
			f.beside = append(f.beside, m)
		}
	}
	if len(p.derived) > 0 {
		for _, f := range all {
			p.follow(f)
		}
	}
	return all
}

// follow looks for the gravest that a finding leads to by way of others.
func (p *prover) follow(f *finding) {
	got := map[node]*move{}
	for _, m := range slices.Concat(f.moves, f.beside) {
		p.gainAll(got, m)
	}
	if got[everythingIn("")] != nil || got[accountsIn("")] != nil {
		return
	}
	for more := true; more; {
		more = false
		for _, m := range p.derived {
			if p.within(got, m) && p.gainAll(got, m) {
				more = true
				if f.onward == nil || anyWhole(m.to) && !anyWhole(f.onward.to) {
					f.onward = m
				}
			}
		}
	}
	if f.onward != nil {
		f.path = p.pathTo(got, f)
	}
}

// gainAll notes what a move leads to, and tells whether some of it is new.
func (p *prover) gainAll(got map[node]*move, m *move) bool {
	anew := false
	for _, to := range m.to {
		anew = p.gain(got, to, m) || anew
	}
	return anew
}

func anyWhole(to []node) bool { return slices.ContainsFunc(to, node.whole) }

// gain notes what a move leads to, and those of it that lead further.
func (p *prover) gain(got map[node]*move, to node, by *move) bool {
	if got[to] != nil || p.reached[to] != nil && p.reached[to].root {
		return false
	}
	got[to] = by
	if to.kind == subjectNode {
		for _, id := range to.subject.Identities() {
			if got[subject(id)] == nil {
				got[subject(id)] = by
			}
		}
		return p.isBound[to.subject]
	}
	for _, s := range p.boundIn[to.namespace] {
		if got[subject(s)] == nil {
			got[subject(s)] = by
		}
	}
	return true
}

// within tells whether a move takes only what the finding leads to, or what the
// requester has anyway.
func (p *prover) within(got map[node]*move, m *move) bool {
	return !slices.ContainsFunc(m.via, func(r reason) bool { return got[r.owner] == nil && !p.reached[r.owner].root })
}

// pathTo are the moves from a finding to what it leads to.
func (p *prover) pathTo(got map[node]*move, f *finding) []*move {
	var path []*move
	for m := f.onward; m != nil && !slices.Contains(f.moves, m) && !slices.Contains(f.beside, m) && !slices.Contains(path, m); {
		path = append(path, m)
		next := m.via[0].owner
		for _, r := range m.via {
			if !p.reached[r.owner].root {
				next = r.owner
			}
		}
		m = got[next]
	}
	slices.Reverse(path)
	return path
}

// where says in which namespaces something holds.
func where(holds []reason) string {
	var namespaces []string
	for _, h := range holds {
		if h.Everywhere {
			return "in every namespace"
		}
		namespaces = append(namespaces, h.Namespace)
	}
	slices.Sort(namespaces)
	return inNamespaces(slices.Compact(namespaces))
}

func inNamespaces(namespaces []string) string {
	switch n := len(namespaces); {
	case n == 1:
		return "in namespace " + namespaces[0]
	case n > maxNamed:
		return fmt.Sprintf("in %d namespaces, such as %s", n, strings.Join(namespaces[:maxNamed], ", "))
	default:
		return "in namespaces " + strings.Join(namespaces, ", ")
	}
}

// maxNamed is how many of many are named.
const maxNamed = 3

// because are the steps as a problem carries them, each with its place.
func because(steps []step) []string {
	lines := make([]string, len(steps))
	for i, s := range steps {
		lines[i] = s.text + " (" + s.at.String() + ")"
	}
	return lines
}

// changeAt is the place of what somebody has to change: the rule, or the
// binding where the role is Kubernetes' own.
func (w *world) changeAt(h *hold) problem.Position {
	if h.ownRole {
		return w.place(h.Grant.Binding, -1)
	}
	return w.place(h.Grant.Source, h.Grant.Rule)
}
