package verify

import (
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// The ways from rights to tokens. Each is a detector of its own, so that each
// is closed, and tested, by itself.

// mintDirectly asks the TokenRequest API. ESO's token of a fenced account
// is what the fence is for; that account's own rights then count as ESO's,
// unless an admission policy keeps the token away from the API server.
func mintDirectly(p *prover) []move {
	var moves []move
	for _, h := range p.pool[mintTokens] {
		if h.Names == nil {
			moves = append(moves, move{rule: problem.MintAny, via: []reason{{h, "create serviceaccounts/token"}}, to: []node{accountsIn(h.Namespace)}})
			continue
		}
		for _, account := range p.accountsCalled(h) {
			moves = append(moves, p.mintNamed(h, account))
		}
	}
	return moves
}

func (p *prover) mintNamed(h *hold, account Account) move {
	m := move{rule: problem.MintAny, via: []reason{{h, "create serviceaccounts/token of " + account.Name}}, to: []node{subject(account.subject())}}
	m.meant = p.isESO && p.fenced[account] != nil && !h.Everywhere
	if m.meant && p.policies.closes(closingAudience, p.eso, account.Namespace) != nil {
		m.to = nil // its token is not taken by the API server
	}
	return m
}

// accountsCalled are the service accounts that a rule with names is for: those
// names in its namespace, or wherever there is one of the name.
func (p *prover) accountsCalled(h *hold) []Account {
	var all []Account
	for _, name := range h.Names {
		if !h.Everywhere {
			all = append(all, Account{h.Namespace, name})
			continue
		}
		all = append(all, p.called[name]...)
	}
	return all
}

// mintByTokenSecret makes a Secret of the type that Kubernetes fills with a
// token, and reads it.
func mintByTokenSecret(p *prover) []move {
	var moves []move
	patch, read := byNamespace(p.pool[patchSecrets]), byNamespace(p.pool[lookAtSecrets])
	for _, h := range p.pool[createSecrets] {
		for _, namespace := range read.places(h) {
			if via := makesAndReads(h, patch.in(namespace), read.in(namespace)); via != nil {
				moves = append(moves, move{rule: problem.MintTokenSecret, via: via, to: []node{accountsIn(namespace)}})
			}
		}
	}
	return moves
}

// holdsIn are holds by namespace; "" has those that hold everywhere.
type holdsIn map[string][]*hold

func byNamespace(holds []*hold) holdsIn {
	in := holdsIn{}
	for _, h := range holds {
		in[h.Namespace] = append(in[h.Namespace], h)
	}
	return in
}

// in are the holds that hold in a namespace; "" is all of them.
func (in holdsIn) in(namespace string) []*hold {
	if namespace == "" {
		return in[""]
	}
	return slices.Concat(in[""], in[namespace])
}

// meeting are the holds that hold where another one does.
func (in holdsIn) meeting(h *hold) []*hold {
	if !h.Everywhere || len(in[""]) > 0 {
		return in.in(h.Namespace)
	}
	var all []*hold
	for _, namespace := range sortedKeys(in) {
		all = append(all, in[namespace]...)
	}
	return all
}

// places are the namespaces in which a hold and some of the others hold; just
// "" where both do everywhere.
func (in holdsIn) places(h *hold) []string {
	if !h.Everywhere || len(in[""]) > 0 {
		return []string{h.Namespace}
	}
	return sortedKeys(in)
}

// makesAndReads are the rules by which a Secret of some name is made and read
// in a namespace. A rule with names allows to create by a server-side apply
// only, which is a patch that may create.
func makesAndReads(create *hold, patch, read []*hold) []reason {
	const allows = "create secrets, also of type " + tokenSecretType
	if create.Names == nil {
		if len(read) == 0 {
			return nil
		}
		return []reason{{create, allows}, {read[0], "read secrets"}}
	}
	for _, name := range create.Names {
		is := func(h *hold) bool { return h.named(name) }
		if by, reader := slices.IndexFunc(patch, is), slices.IndexFunc(read, is); by >= 0 && reader >= 0 {
			return []reason{{create, allows}, {patch[by], "patch secret " + name + ", and so to make it by a server-side apply"}, {read[reader], "read secrets"}}
		}
	}
	return nil
}

// mintByChangedSecret makes a Secret that holds one account's token hold
// another's: with other annotations and no token, Kubernetes fills it anew
// (k8s.io/kubernetes v1.37.2, pkg/controller/serviceaccount/tokens_controller.go).
func mintByChangedSecret(p *prover) []move {
	if len(p.tokens) == 0 {
		return nil
	}
	var moves []move
	change, read := byNamespace(p.pool[changeSecrets]), byNamespace(p.pool[lookAtSecrets])
	told := map[string]bool{} // namespaces: one such Secret is enough for all accounts there
	for _, token := range p.tokens {
		namespace := token.object.Namespace
		is := func(h *hold) bool { return h.named(token.object.Name) }
		changers, readers := change.in(namespace), read.in(namespace)
		if by, reader := slices.IndexFunc(changers, is), slices.IndexFunc(readers, is); !told[namespace] && by >= 0 && reader >= 0 {
			told[namespace] = true
			moves = append(moves, move{
				rule: problem.MintTokenSecret, to: []node{accountsIn(namespace)},
				via:  []reason{{changers[by], "change secrets, also whose token they hold"}, {readers[reader], "read secrets"}},
				also: []step{{"Secret " + namespace + "/" + token.object.Name + " is one that Kubernetes fills with a token", token.object.At}},
			})
		}
	}
	return moves
}

// mintFromLegacySecret reads a token that is already in a Secret.
func mintFromLegacySecret(p *prover) []move {
	if len(p.tokens) == 0 {
		return nil
	}
	var moves []move
	read := byNamespace(p.pool[lookAtSecrets])
	for _, token := range p.tokens {
		for _, h := range read.in(token.object.Namespace) {
			if h.named(token.object.Name) {
				moves = append(moves, move{
					rule: problem.MintLegacySecret, via: []reason{{h, "read secrets"}}, to: []node{subject(token.account.subject())},
					also:  []step{{"Secret " + token.object.Namespace + "/" + token.object.Name + " holds a token of service account " + token.account.Name, token.object.At}},
					meant: p.fenced[token.account] != nil, // its Secret is a finding by itself
				})
				break
			}
		}
	}
	return moves
}

// mintByBootstrapToken makes a token with which a node joins.
func mintByBootstrapToken(p *prover) []move {
	var moves []move
	for _, h := range p.pool[createSecrets] {
		if h.Names == nil && h.in(controlPlane) {
			moves = append(moves, move{rule: problem.MintBootstrapToken, via: []reason{{h, "create secrets in kube-system, also of type bootstrap.kubernetes.io/token"}}})
		}
	}
	return moves
}

// mintByPod runs a pod as any service account of the namespace.
func mintByPod(p *prover) []move {
	var moves []move
	for _, h := range p.pool[runPods] {
		if h.Names == nil { // no name is in the request that creates
			moves = append(moves, toAccounts(problem.MintPod, h, "run pods, as any service account there"))
		}
	}
	for _, h := range p.pool[changeWorkloads] {
		moves = append(moves, toAccounts(problem.MintPod, h, "change workloads, also the service account that they run as"))
	}
	return moves
}

func toAccounts(rule problem.Rule, h *hold, allows string) move {
	return move{rule: rule, via: []reason{{h, allows}}, to: []node{accountsIn(h.Namespace)}}
}

func toCluster(rule problem.Rule, allows string, holds ...*hold) move {
	m := move{rule: rule, to: []node{everythingIn("")}}
	for _, h := range holds {
		m.via = append(m.via, reason{h, allows})
	}
	return m
}

func nowhere(rule problem.Rule, h *hold, allows string) move {
	return move{rule: rule, via: []reason{{h, allows}}}
}

// mintByExec gets into a pod that runs already, and reads its token.
func mintByExec(p *prover) []move {
	var moves []move
	const allows = "get into pods, which hold tokens of their service accounts"
	for _, h := range p.pool[enterPods] {
		m := toAccounts(problem.MintExec, h, allows)
		m.enters = true
		moves = append(moves, m)
	}
	for _, h := range p.pool[changePods] {
		moves = append(moves, toAccounts(problem.MintExec, h, allows))
	}
	return moves
}

// mintByImpersonation acts as somebody else. The constrained verbs are
// good for nothing without their other half on what is asked for.
func mintByImpersonation(p *prover) []move {
	moves := slices.Concat(
		actAs(p, p.pool[actAsAccounts], p.pool[actAsUsers], p.pool[actAsGroups]),
		together(actAs(p, p.pool[actAsAccountsBounded], nil, nil), p.pool[onAsAccounts]),
		together(actAs(p, nil, p.pool[actAsUsersBounded], p.pool[actAsGroupsBounded]), p.pool[onAsUsers]),
	)
	var nodes []move
	for _, h := range p.pool[actAsNodesBounded] {
		nodes = append(nodes, toAccounts(problem.MintImpersonate, h, "act as nodes, which mint for the pods that run there"))
	}
	moves = append(moves, together(nodes, p.pool[onAsNodes])...)
	for i := range moves {
		moves[i].noToken = true
	}
	return moves
}

// together adds the other half of a constrained impersonation.
func together(moves []move, halves []*hold) []move {
	if len(halves) == 0 {
		return nil
	}
	for i := range moves {
		moves[i].via = append(moves[i].via, reason{halves[0], "ask for something while doing so"})
	}
	return moves
}

// actAs are the moves of one mode of impersonation. A group can be taken only
// together with a user or a service account.
func actAs(p *prover, accounts, users, groups []*hold) []move {
	var moves []move
	for _, h := range accounts {
		moves = append(moves, move{rule: problem.MintImpersonate, via: []reason{{h, "act as service accounts" + named(h.Names)}}, to: p.accountNodes(h)})
	}
	for _, h := range users {
		moves = append(moves, move{rule: problem.MintImpersonate, via: []reason{{h, "act as users" + named(h.Names)}}, to: namedOrAll(h, rbac.User)})
	}
	someone := slices.Concat(users, accounts)
	if len(someone) == 0 {
		return moves
	}
	for _, h := range groups {
		via := []reason{{h, "act as members of groups" + named(h.Names)}, {someone[0], "act as somebody to be in them"}}
		moves = append(moves, move{rule: problem.MintImpersonate, via: via, to: namedOrAll(h, rbac.Group)})
	}
	return moves
}

func named(names []string) string {
	if names == nil {
		return ""
	}
	return " called " + strings.Join(names, ", ")
}

// accountNodes are the service accounts that a rule is for.
func (p *prover) accountNodes(h *hold) []node {
	if h.Names == nil {
		return []node{accountsIn(h.Namespace)}
	}
	var all []node
	for _, account := range p.accountsCalled(h) {
		all = append(all, subject(account.subject()))
	}
	return all
}

// namedOrAll are the users or groups that a rule is for. Any user is the
// cluster: one of them is Kubernetes' own.
func namedOrAll(h *hold, kind func(string) rbac.Subject) []node {
	if h.Names == nil {
		return []node{everythingIn("")}
	}
	var all []node
	for _, name := range h.Names {
		if s := kind(name); s == rbac.Group(rbac.Masters) {
			all = append(all, everythingIn(""))
		} else if s.Kind != rbac.KindServiceAccount { // those are another resource
			all = append(all, subject(s))
		}
	}
	return all
}

// mintByBinding binds somebody to a role.
func mintByBinding(p *prover) []move {
	const allows = "write bindings"
	var moves []move
	lifts := byNamespace(p.pool[liftBinding])
	for _, h := range slices.Concat(p.pool[writeBindings], p.pool[writeClusterBindings]) {
		m := nowhere(problem.MintBind, h, allows)
		for _, lift := range lifts.meeting(h) {
			if p.bindsToPower(lift) {
				m = lifted(m, h, lift, "bind roles without having their rights")
			}
		}
		if p.isESO || m.to != nil {
			moves = append(moves, m)
		}
	}
	return moves
}

// mintByRole writes roles.
func mintByRole(p *prover) []move {
	const allows = "write roles"
	var moves []move
	lifts := byNamespace(p.pool[liftEscalation])
	for _, h := range slices.Concat(p.pool[writeRoles], p.pool[writeClusterRoles]) {
		m := nowhere(problem.MintEscalate, h, allows)
		for _, lift := range lifts.meeting(h) {
			m = lifted(m, h, lift, "write rights into roles without having them")
		}
		if p.isESO || m.to != nil {
			moves = append(moves, m)
		}
	}
	return moves
}

// lifted adds what can be come by where the verb that lifts Kubernetes' own
// check of escalation is held, too; otherwise one gives on only what one has.
func lifted(m move, h, lift *hold, allows string) move {
	var to node
	switch {
	case h.Everywhere || h.Namespace == lift.Namespace:
		to = everythingIn(lift.Namespace)
	case lift.Everywhere:
		to = everythingIn(h.Namespace)
	default:
		return m // in another namespace
	}
	if !slices.Contains(m.to, to) {
		m.to = append(m.to, to)
		m.via = append(m.via, reason{lift, allows})
	}
	return m
}

// bindsToPower tells whether a role that may be bound leads to anything.
func (p *prover) bindsToPower(lift *hold) bool {
	if lift.Names == nil {
		return true
	}
	for _, name := range lift.Names {
		for _, ref := range []rbac.Ref{{Kind: "ClusterRole", Name: name}, {Kind: "Role", Namespace: lift.Namespace, Name: name}} {
			rules := p.auth.Role(ref)
			if rules == nil {
				continue
			}
			for _, rule := range rules {
				if p.abilities(rule, true)&^harmless != 0 {
					return true
				}
			}
		}
	}
	return false
}

// harmless are abilities that give nothing by themselves.
const harmless = 1<<lookAtSecrets | 1<<patchSecrets | 1<<changeSecrets | 1<<onAsAccounts | 1<<onAsUsers | 1<<onAsNodes | 1<<changePushSecrets | 1<<removeFences

// mintByCSR approves a client certificate. It takes the approval of the
// request and of the signer; who signs needs the cluster's key besides, which no
// right gives (k8s.io/kubernetes v1.37.2, plugin/pkg/admission/certificates).
func mintByCSR(p *prover) []move {
	var moves []move
	for _, h := range p.pool[approveRequests] {
		for _, signer := range p.pool[approveForSigner] {
			if slices.ContainsFunc(clientSigners, signer.named) {
				m := toCluster(problem.MintCSR, "approve requests for certificates", h)
				m.via = append(m.via, reason{signer, "approve client certificates, for any user"})
				moves = append(moves, m)
				break
			}
		}
	}
	return moves
}

// clientSigners are those whose certificates the API server takes, and what they are approved by.
var clientSigners = []string{"kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/*"}

// mintByNode goes through a node's kubelet into its pods.
func mintByNode(p *prover) []move {
	var moves []move
	for _, h := range p.pool[reachKubelets] {
		moves = append(moves, toAccounts(problem.MintNodeProxy, h, "talk to nodes' kubelets, which run commands in any pod"))
	}
	return moves
}

// mintAttested asks for tokens with attestations of one's choice.
func mintAttested(p *prover) []move {
	var moves []move
	for _, h := range p.pool[attestTokens] {
		moves = append(moves, nowhere(problem.MintAttest, h, "attest tokens of service accounts"))
	}
	return moves
}

// The ways round that lead to no token by themselves are External Secrets
// Operator's only: of others, nobody can tell whose business they are.

func onlyESO(p *prover, a ability, rule problem.Rule, allows string) []move {
	var moves []move
	if p.isESO {
		for _, h := range p.pool[a] {
			moves = append(moves, nowhere(rule, h, allows))
		}
	}
	return moves
}

// writeAdmission takes the policies away that close the rest.
func writeAdmission(p *prover) []move {
	return onlyESO(p, changeAdmission, problem.AdmissionWritable, "write admission policies or webhooks")
}

// writeNamespaces labels a namespace so that it counts as another. It
// matters where a store chooses namespaces by their labels: the policies that
// count refuse for fenced accounts whatever a namespace is labelled.
func writeNamespaces(p *prover) []move {
	if !p.selectsByLabel {
		return nil
	}
	var moves []move
	for _, h := range p.pool[changeNamespaces] {
		moves = append(moves, nowhere(problem.NamespaceWritable, h, "write namespaces, and with them what stores choose by"))
	}
	return moves
}

// writeCRDs points ESO's own kinds at another webhook.
func writeCRDs(p *prover) []move {
	return onlyESO(p, changeCRDs, problem.CRDWritable, "write CustomResourceDefinitions, and with them who converts ESO's objects")
}

// writeStores has ESO log in with its own token at a server of one's choice. ESO
// itself needs no store for that. It writes them to put its finalizer there, but
// only where it pushes Secrets.
func writeStores(p *prover) []move {
	var moves []move
	if p.isESO && len(p.pool[changePushSecrets]) > 0 {
		return nil
	}
	for _, h := range p.pool[changeStores] {
		moves = append(moves, nowhere(problem.StoreWritable, h, "write stores or generators"))
	}
	return moves
}
