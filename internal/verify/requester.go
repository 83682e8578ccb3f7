package verify

import (
	"fmt"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// proof is what everybody can come by, each cause told once.
type proof struct {
	minted, foreign, fenced problem.List
}

// minted reports what ESO can come by beyond its fences.
func minted(w *world) problem.List { return w.prove().minted }

// closedToOthers reports who else can come by a fenced account's token, or can
// be ESO: whoever has rights there, and does not have the cluster anyway.
func closedToOthers(w *world) problem.List { return w.prove().foreign }

// prove looks at ESO, then at everybody else, then at what fenced accounts
// hold. What a binding gives to several is told of the first.
func (w *world) prove() *proof {
	if w.proof != nil {
		return w.proof
	}
	w.proof = &proof{}
	var found []*finding
	p := &prover{world: w, requester: w.eso, isESO: true}
	told := map[boundTo]bool{} // of groups that ESO is in
	if len(w.eso) > 0 {
		p.run()
		found = p.findings()
		for _, f := range found {
			if g := f.moves[0].via[0]; g.Grant.Subject.Kind == rbac.KindGroup && p.isRequester(g.owner.subject) {
				told[boundTo{binding: g.Grant.Binding, subject: g.Grant.Subject}] = true
			}
		}
	}
	reported := w.reportOthers(told)
	for known := range told {
		reported[known.binding] = true
	}
	w.reportFenced(reported)
	for _, f := range found {
		g := f.moves[0].via[0]
		if p.isRequester(g.owner.subject) || !reported[g.Grant.Binding] {
			w.proof.minted = append(w.proof.minted, p.problemOf(f))
		}
	}
	return w.proof
}

// problemOf is a finding about ESO in words.
func (p *prover) problemOf(f *finding) problem.Problem {
	m := f.moves[0]
	message := "External Secrets Operator " + f.outcome()
	lines := because(p.steps(m))
	if ways := waysOf(f.beside, f.rule); ways != "" {
		lines = append(lines, "the same rule lets it "+ways+", too")
	}
	if f.onward != nil {
		message += "; by way of them, " + targets(f.onward.to)
		for _, next := range f.path {
			for _, line := range because(p.steps(next)) {
				if !slices.Contains(lines, line) {
					lines = append(lines, line)
				}
			}
		}
	}
	found := problem.Problem{Rule: f.rule, Position: p.changeAt(m.via[0].hold), Message: message, Because: lines, Hint: hints[f.rule]}
	if f.rule == problem.StoreWritable {
		found.Severity = problem.Warning // a taken-over ESO gets no token by it that it does not have
		found.Hint = "take update and patch on stores away: External Secrets Operator needs them for PushSecrets only"
	}
	return found
}

// outcome says what a finding about ESO comes to: whose tokens, or else where.
func (f *finding) outcome() string {
	var to []node
	var via []reason
	for _, m := range f.moves {
		to, via = append(to, m.to...), append(via, m.via[0])
	}
	switch {
	case f.rule == problem.MintImpersonate && slices.Contains(to, everythingIn("")):
		return "can act as anybody"
	case len(to) > 0:
		return outcomes[f.rule] + " " + targets(to)
	case f.rule == problem.MintBind, f.rule == problem.MintEscalate:
		return "can " + ways[f.rule] + " " + where(via) + ", though only with rights that it has itself"
	case f.rule == problem.MintAttest, f.rule == problem.StoreWritable:
		return outcomes[f.rule] + " " + where(via)
	default:
		return outcomes[f.rule]
	}
}

// outcomes say what a way comes to for ESO; what follows is whose.
var outcomes = map[problem.Rule]string{
	problem.MintAny:            "may mint tokens of",
	problem.MintTokenSecret:    "can have tokens written into Secrets of its own, of",
	problem.MintLegacySecret:   "can read a token without end of",
	problem.MintBootstrapToken: "can make a token with which a node joins",
	problem.MintPod:            "can run pods, and so have tokens of",
	problem.MintExec:           "can get into pods, and so have tokens of",
	problem.MintImpersonate:    "can act as",
	problem.MintBind:           "can write bindings, and so have",
	problem.MintEscalate:       "can write roles, and so have",
	problem.MintCSR:            "can approve certificates of any user, and so have",
	problem.MintNodeProxy:      "can get into any node's pods, and so have tokens of",
	problem.MintAttest:         "can ask for tokens that attest what it says",
	problem.AdmissionWritable:  "can change admission policies and webhooks",
	problem.NamespaceWritable:  "can label namespaces so that they count as others",
	problem.CRDWritable:        "can point its own kinds at another webhook",
	problem.StoreWritable:      "can write stores",
}

// ways are what a rule lets somebody do besides.
var ways = map[problem.Rule]string{
	problem.MintAny: "mint tokens", problem.MintTokenSecret: "have tokens written into Secrets", problem.MintLegacySecret: "read tokens in Secrets",
	problem.MintBootstrapToken: "make bootstrap tokens of nodes", problem.MintPod: "run pods", problem.MintExec: "get into pods",
	problem.MintImpersonate: "act as others", problem.MintBind: "write bindings", problem.MintEscalate: "write roles", problem.MintCSR: "approve certificates",
	problem.MintNodeProxy: "get into pods through kubelets", problem.MintAttest: "attest tokens", problem.AdmissionWritable: "change admission policies",
	problem.NamespaceWritable: "label namespaces", problem.CRDWritable: "change CustomResourceDefinitions", problem.StoreWritable: "write stores",
}

func waysOf(moves []*move, but problem.Rule) string {
	var all []string
	for _, m := range moves {
		if m.rule != but && !slices.Contains(all, ways[m.rule]) {
			all = append(all, ways[m.rule])
		}
	}
	return list(all)
}

// list joins words as a sentence does.
func list(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " and " + words[n-1]
	}
	return strings.Join(words, "")
}

// targets names what moves lead to.
func targets(to []node) string {
	var namespaces, names []string
	seen := map[node]bool{}
	for _, n := range to {
		switch {
		case seen[n]:
		case n.kind == accountsNode && n.namespace != "":
			namespaces = append(namespaces, n.namespace)
		default:
			names = append(names, n.String())
		}
		seen[n] = true
	}
	if len(namespaces) > 0 {
		slices.Sort(namespaces)
		names = append(names, "any service account "+inNamespaces(namespaces))
	}
	return some(names)
}

// some lists a few of many.
func some(names []string) string {
	if rest := len(names) - maxNamed; rest > 1 {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:maxNamed], ", "), rest)
	}
	return list(names)
}

// hints say what to do about a finding about ESO.
var hints = map[problem.Rule]string{
	problem.MintAny:            "take serviceaccounts/token out of that role, and bind External Secrets Operator to Roles with resourceNames only",
	problem.MintTokenSecret:    "an admission policy has to refuse token Secrets; or take create on secrets away there",
	problem.MintLegacySecret:   "delete the Secret, and let what uses it ask for tokens that end",
	problem.MintBootstrapToken: "an admission policy has to refuse bootstrap tokens; or take create on secrets away in kube-system",
	problem.MintPod:            "take the right to run pods away; External Secrets Operator needs none",
	problem.MintExec:           "take the right away; External Secrets Operator needs none on pods",
	problem.MintImpersonate:    "take impersonation away; External Secrets Operator needs none",
	problem.MintBind:           "take the right to write bindings away; External Secrets Operator needs none",
	problem.MintEscalate:       "take the right to write roles away; External Secrets Operator needs none",
	problem.MintCSR:            "take the rights on certificates.k8s.io away; External Secrets Operator needs none",
	problem.MintNodeProxy:      "take nodes/proxy away; External Secrets Operator needs none",
	problem.MintAttest:         "take the verb attest away; External Secrets Operator needs none",
	problem.AdmissionWritable:  "take the rights on admissionregistration.k8s.io, and on Gatekeeper's kinds, away; ESO's chart has its certificate from cert-manager with webhook.certManager.enabled",
	problem.NamespaceWritable:  "take update and patch on namespaces away: External Secrets Operator needs them for ClusterExternalSecrets only",
	problem.CRDWritable:        "install ESO's chart with webhook.certManager.enabled and without its cert-controller",
}
