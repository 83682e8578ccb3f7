package verify

import (
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// reportOthers reports what all but ESO can come by, and returns the bindings
// that it is because of. What was told of is left out.
func (w *world) reportOthers(told map[boundTo]bool) map[rbac.Ref]bool {
	reported := map[rbac.Ref]bool{}
	through := &detours{world: w, index: map[rbac.Ref]*detour{}}
	writers := &writers{world: w, index: map[writes]*writer{}}
	for _, s := range w.auth.Subjects() {
		if !w.concerns(s) {
			continue
		}
		p := &prover{world: w, requester: []rbac.Subject{s}}
		p.run()
		for _, f := range p.findings() {
			g := f.moves[0].via[0]
			if g.own || g.Grant.Subject != s || told[boundTo{binding: g.Grant.Binding, subject: s}] {
				continue // Kubernetes gives it, or it is told of ESO, which is in the group
			}
			if found, is := p.foreign(s, f); is {
				w.proof.foreign = append(w.proof.foreign, found)
				reported[g.Grant.Binding] = true
			} else {
				writers.note(p, s, f)
			}
			through.note(p, s, f)
		}
	}
	w.proof.foreign = slices.Concat(w.proof.foreign, through.problems(), writers.problems())
	return reported
}

// concerns tells whether somebody has rights where it matters, and is not ESO,
// nor has the cluster anyway. A fenced account's rights are told of itself.
func (w *world) concerns(s rbac.Subject) bool {
	if slices.Contains(w.eso, s) || w.fenced[Account{s.Namespace, s.Name}] != nil && s.Kind == rbac.KindServiceAccount || w.trusted(s) {
		return false
	}
	return slices.ContainsFunc(w.holdsOf(s), func(h hold) bool {
		return !h.own && (h.Everywhere || w.tenanted[h.Namespace] || w.isOperators(h.Namespace) || h.can(changeStores) || h.can(changeNamespaces))
	})
}

func (w *world) isOperators(namespace string) bool {
	return slices.ContainsFunc(w.eso, func(s rbac.Subject) bool { return s.Namespace == namespace })
}

// trusted tells who has the whole cluster, so that nothing keeps a fence from
// them: system:masters, the control plane's service accounts, and whoever is
// bound to all there is. What Kubernetes gives to its own is left out binding
// by binding, not by name: a group that everybody is in is never trusted.
func (w *world) trusted(s rbac.Subject) bool {
	switch {
	case everybody(s):
		return false
	case s == rbac.Group(rbac.Masters), s.Kind == rbac.KindServiceAccount && s.Namespace == controlPlane, slices.Contains(w.in.Writers, s):
		return true
	}
	for grant, rule := range w.auth.Rules(s, "") {
		if grant.Subject == s && oneOf(rule.Verbs, nil) && oneOf(rule.APIGroups, nil) && oneOf(rule.Resources, nil) && len(rule.ResourceNames) == 0 {
			return true
		}
	}
	return false
}

// everybody tells whether a subject is a group that Kubernetes puts people and
// service accounts in by itself, or nobody in particular.
func everybody(s rbac.Subject) bool {
	if s.Kind == rbac.KindUser {
		return s.Name == "system:anonymous"
	}
	return s.Kind == rbac.KindGroup && (s.Name == rbac.Authenticated || s.Name == rbac.Unauthenticated || strings.HasPrefix(s.Name, rbac.AllAccounts))
}

// spoils are what a finding gives somebody of what is fenced.
type spoils struct {
	fences    []*Fence
	operators []rbac.Subject
	first     *move // the plainest way
	others    []*move
}

// foreign is what somebody else can come by with what one finding is about.
func (p *prover) foreign(s rbac.Subject, f *finding) (problem.Problem, bool) {
	got := p.spoilsOf(f)
	if got.first == nil {
		return p.mintsForAll(s, f)
	}
	m := got.first
	found := problem.Problem{Rule: p.foreignRule(got), Position: p.place(m.via[0].Grant.Binding, -1), Because: because(p.steps(m))}
	found.Message = s.String() + " " + got.takes(found.Rule)
	found.Hint = foreignHints[found.Rule]
	if ways := waysOf(got.others, m.rule); ways != "" {
		found.Because = append(found.Because, "the same lets it "+ways+", too")
	}
	if lines := p.unfencing(got); lines != nil {
		found.Because, found.Hint = append(found.Because, lines...), "name in the Platform's admission.writers who delivers the fence, so that nobody else takes it away; or "+takeAway
	}
	if m.rule != problem.MintAny && m.via[0].Everywhere && p.runsElsewhere(s) {
		found.Severity = problem.Warning // an operator of the whole cluster has much by its nature
	}
	return found, true
}

// mintsForAll is for somebody whom admission keeps from the tokens of fenced
// accounts and of ESO's, and who may mint for all others of the cluster: there is
// one among them that may take admission away. What was installed into the
// cluster has that by its nature, as Flux's controllers do.
func (p *prover) mintsForAll(s rbac.Subject, f *finding) (problem.Problem, bool) {
	m := f.moves[0]
	if m.rule != problem.MintAny || !anyWhole(m.to) || p.keptFromOwn(m) == nil || p.runsElsewhere(s) {
		return problem.Problem{}, false
	}
	return problem.Problem{
		Rule: problem.ForeignReach, Position: p.place(m.via[0].Grant.Binding, -1), Because: because(p.steps(m)),
		Message: s.String() + " may mint tokens of any service account in every namespace but those that admission keeps, also of those that have everything in the cluster",
		Hint:    "bind it to a role that is without serviceaccounts/token, or has it in some namespaces only",
	}, true
}

// runsElsewhere tells whether somebody is a service account outside of tenants'
// namespaces and ESO's: something that was installed into the cluster.
func (w *world) runsElsewhere(s rbac.Subject) bool {
	return s.Kind == rbac.KindServiceAccount && !w.tenanted[s.Namespace] && !w.isOperators(s.Namespace)
}

// spoilsOf looks through all that a finding is about, the plainest first.
func (p *prover) spoilsOf(f *finding) spoils {
	var got spoils
	for _, m := range slices.Concat(f.moves, f.beside) {
		fences, operators := p.fencesOf(m), p.operatorsOf(m)
		if len(fences)+len(operators) == 0 {
			continue
		}
		if got.first == nil {
			got.first = m
		} else {
			got.others = append(got.others, m)
		}
		got.fences, got.operators = append(got.fences, fences...), append(got.operators, operators...)
	}
	return got
}

// fencesOf are the fenced accounts whose tokens a move gives. To act as one is
// worth nothing: it has no rights, and shows no token to anybody.
func (p *prover) fencesOf(m *move) []*Fence {
	if m.noToken {
		return nil
	}
	var all []*Fence
	for _, to := range m.to {
		all = append(all, p.fencesAt(to, m.rule)...)
	}
	if len(all) == 0 || fenceClosings[m.rule] == notClosed {
		return all
	}
	policy := p.policies.closes(fenceClosings[m.rule], p.eso)
	if policy == nil {
		return all
	}
	open := slices.DeleteFunc(all, func(f *Fence) bool { return p.unfences(f, m) == nil })
	if len(open) == 0 {
		p.close(m.rule, policy)
	}
	return open
}

// fenceClosings are the decisions of admission that keep others from fenced accounts.
var fenceClosings = map[problem.Rule]closing{
	problem.MintAny: closingForeignMint, problem.MintTokenSecret: closingTokenSecret, problem.MintPod: closingPod,
}

func (w *world) fencesAt(n node, rule problem.Rule) []*Fence {
	if n.kind == subjectNode {
		if f := w.fenced[Account{n.subject.Namespace, n.subject.Name}]; f != nil && n.subject.Kind == rbac.KindServiceAccount {
			return []*Fence{f}
		}
		return nil
	}
	var all []*Fence
	for _, f := range w.fencesIn(n.namespace) {
		// To get into a pod takes one that runs as the account.
		if rule != problem.MintExec && rule != problem.MintNodeProxy || len(w.running[f.Account]) > 0 {
			all = append(all, f)
		}
	}
	return all
}

// fencesIn are the fences of a namespace; "" is all.
func (w *world) fencesIn(namespace string) []*Fence {
	from, to := 0, len(w.fences)
	if namespace != "" {
		from, _ = slices.BinarySearchFunc(w.fences, namespace, func(f Fence, ns string) int { return strings.Compare(f.Namespace, ns) })
		for to = from; to < len(w.fences) && w.fences[to].Namespace == namespace; {
			to++
		}
	}
	all := make([]*Fence, 0, to-from)
	for i := from; i < to; i++ {
		all = append(all, &w.fences[i])
	}
	return all
}

// operatorsOf are ESO's accounts that a move leads to, and admission does not
// keep.
func (p *prover) operatorsOf(m *move) []rbac.Subject {
	if p.keptOut(m) {
		return nil
	}
	var all []rbac.Subject
	for _, s := range p.eso {
		if slices.ContainsFunc(m.to, func(n node) bool {
			return n.whole() || n.kind == subjectNode && n.subject == s || n.kind != subjectNode && n.namespace == s.Namespace
		}) {
			all = append(all, s)
		}
	}
	if policy := p.keptFromOwn(m); len(all) > 0 && policy != nil {
		p.close(m.rule, policy)
		return nil
	}
	return all
}

// foreignRule is what to call it.
func (p *prover) foreignRule(got spoils) problem.Rule {
	m := got.first
	switch {
	case len(got.operators) > 0 && (len(got.fences) == 0 || !anyWhole(m.to)):
		return problem.OperatorOpen
	case m.rule != problem.MintAny:
		return m.rule
	case len(got.fences) > 0 && p.fenceRole(m.via[0].Grant.Role, got.fences[0]):
		return problem.ForeignSubject
	default:
		return problem.ForeignMint
	}
}

// fenceRole tells whether a Role is for the tokens of the one account only.
func (w *world) fenceRole(ref rbac.Ref, f *Fence) bool {
	if rules := w.auth.Role(ref); rules != nil {
		for _, rule := range rules {
			if slices.Equal(rule.Resources, []string{"serviceaccounts/token"}) && slices.Contains(rule.ResourceNames, f.Name) {
				return true
			}
		}
	}
	return false
}

// takes says what somebody gets.
func (got spoils) takes(rule problem.Rule) string {
	switch rule {
	case problem.OperatorOpen:
		return foreignOutcomes[got.first.rule] + " External Secrets Operator (" + some(texts(got.operators)) + ")"
	case problem.ForeignSubject:
		return "is bound to the Role that is External Secrets Operator's alone, and may mint tokens of " + fencedNames(got.fences)
	default:
		return foreignOutcomes[got.first.rule] + " " + fencedNames(got.fences)
	}
}

func texts(subjects []rbac.Subject) []string {
	var all []string
	for _, s := range subjects {
		if text := s.String(); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

func fencedNames(fences []*Fence) string {
	var names []string
	seen := map[*Fence]bool{}
	for _, f := range fences {
		if !seen[f] {
			seen[f] = true
			names = append(names, f.String())
		}
	}
	if len(names) == 1 {
		return "fenced service account " + names[0]
	}
	return "fenced service accounts " + some(names)
}

// foreignOutcomes say what a way comes to for others; what follows is whose.
var foreignOutcomes = map[problem.Rule]string{
	problem.MintAny:          "may mint tokens of",
	problem.MintTokenSecret:  "can have tokens written into Secrets, of",
	problem.MintLegacySecret: "can read a token without end of",
	problem.MintPod:          "can run pods as",
	problem.MintExec:         "can get into pods that run as",
	problem.MintImpersonate:  "can act as",
	problem.MintBind:         "can write bindings, and so have tokens of",
	problem.MintEscalate:     "can write roles, and so have tokens of",
	problem.MintCSR:          "can approve certificates of any user, and so have tokens of",
	problem.MintNodeProxy:    "can get into any node's pods, and so have tokens of",
}

const takeAway = "take the binding away; or bind a role that is without it, as view is"

// foreignHints say what to do about a finding about others.
var foreignHints = map[problem.Rule]string{
	problem.ForeignMint:      "an admission policy has to keep others from fenced accounts; or bind a role without serviceaccounts/token, as view is",
	problem.ForeignSubject:   "take the subject out of the binding",
	problem.OperatorOpen:     "take the right away, and keep others out of its namespace: whoever can be External Secrets Operator has what it has",
	problem.StoreWritable:    "let only those write stores who deliver them; ESO's chart gives it to edit and admin unless rbac.aggregateToEdit and rbac.aggregateToAdmin are false",
	problem.MintTokenSecret:  "an admission policy has to refuse token Secrets of fenced accounts; or " + takeAway,
	problem.MintPod:          "an admission policy has to refuse pods that run as fenced accounts; or " + takeAway,
	problem.MintLegacySecret: takeAway, problem.MintExec: takeAway, problem.MintImpersonate: takeAway, problem.MintBind: takeAway,
	problem.MintEscalate: takeAway, problem.MintCSR: takeAway, problem.MintNodeProxy: takeAway,
	problem.NamespaceWritable: "take update and patch on namespaces away; or list namespaces by name where they are chosen by labels",
	problem.ForeignReach:      "take the right away; or move what needs the cluster into a namespace that nobody else has rights in",
}

// detours are ways to the whole cluster through a service account of a
// tenant's namespace that has it: whoever can be that account has it, too.
type detours struct {
	*world
	index map[rbac.Ref]*detour
	order []*detour
}

type detour struct {
	change  rbac.Ref // the binding to change
	account rbac.Subject
	who     []string
	lines   []string
}

// note keeps a finding that leads on to somebody trusted. Those who are not are
// reported for themselves.
func (d *detours) note(p *prover, s rbac.Subject, f *finding) {
	if f.onward == nil || !anyWhole(f.onward.to) {
		return
	}
	last := f.onward.via[0]
	if !d.trusted(last.owner.subject) || d.trusted(s) || d.runsElsewhere(s) {
		return
	}
	change := last.Grant.Binding
	if last.own {
		change = f.moves[0].via[0].Grant.Binding // Kubernetes' own is not to be changed
	}
	known := d.index[change]
	if known == nil {
		known = &detour{change: change, account: last.Grant.Subject, lines: because(p.steps(f.onward))}
		d.index[change] = known
		d.order = append(d.order, known)
	}
	if who := s.String(); len(known.who) == 0 || known.who[len(known.who)-1] != who { // they come one after the other
		known.who = append(known.who, who)
	}
}

func (d *detours) problems() problem.List {
	var all problem.List
	for _, way := range d.order {
		all = append(all, problem.Problem{
			Rule: problem.ForeignReach, Position: d.place(way.change, -1),
			Message: some(way.who) + " can be " + way.account.String() + ", and so have everything in the cluster, fenced service accounts too",
			Because: way.lines, Hint: foreignHints[problem.ForeignReach],
		})
	}
	return all
}

// writers are who may write what the fence depends on, by the rule that lets
// them: a role that is aggregated into edit is one cause for all who have edit.
type writers struct {
	*world
	index map[writes]*writer
	order []*writer
}

type writes struct {
	rule problem.Rule
	by   cause
}

type writer struct {
	rule  problem.Rule
	via   []reason
	who   []string
	lines []string
	spare bool // all are operators of the whole cluster
}

// writable say what the rules are about that are broken by being able to write.
var writable = map[problem.Rule][2]string{
	problem.StoreWritable:     {"can write stores or generators", ", with which External Secrets Operator logs in with its own token, or a tenant's, wherever they say"},
	problem.NamespaceWritable: {"can label namespaces", ", so that stores which choose by labels take them for others"},
}

// note keeps a finding with which somebody writes such.
func (l *writers) note(p *prover, s rbac.Subject, f *finding) {
	for _, m := range slices.Concat(f.moves, f.beside) {
		if _, is := writable[m.rule]; !is {
			continue
		}
		if m.rule == problem.StoreWritable {
			if policy := p.storesClosed(m.via[0].hold); policy != nil {
				p.close(m.rule, policy)
				continue
			}
		}
		key := writes{m.rule, causeOf(m.via[0])}
		key.by.subject, key.by.everywhere = rbac.Subject{}, false
		known := l.index[key]
		if known == nil {
			known = &writer{rule: m.rule, lines: because(p.steps(m)), spare: true}
			l.index[key] = known
			l.order = append(l.order, known)
		}
		known.via = append(known.via, m.via[0])
		known.spare = known.spare && m.rule == problem.NamespaceWritable && p.runsElsewhere(s)
		if who := s.String(); len(known.who) == 0 || known.who[len(known.who)-1] != who { // they come one after the other
			known.who = append(known.who, who)
		}
	}
}

func (l *writers) problems() problem.List {
	var all problem.List
	for _, w := range l.order {
		found := problem.Problem{
			Rule: w.rule, Position: l.changeAt(w.via[0].hold), Because: w.lines, Hint: foreignHints[w.rule],
			Message: some(w.who) + " " + writable[w.rule][0] + " " + where(w.via) + writable[w.rule][1],
		}
		if w.spare {
			found.Severity = problem.Warning
		}
		all = append(all, found)
	}
	return all
}
