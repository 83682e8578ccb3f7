package verify

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// ability is one thing that a rule may allow and that a way to a token takes.
type ability uint8

const (
	mintTokens ability = iota
	createSecrets
	patchSecrets
	changeSecrets
	lookAtSecrets
	runPods
	changeWorkloads
	enterPods
	actAsAccounts
	actAsUsers
	actAsGroups
	actAsAccountsBounded // the verbs of constrained impersonation, each with its other half
	onAsAccounts
	actAsUsersBounded
	actAsGroupsBounded
	onAsUsers
	actAsNodesBounded
	onAsNodes
	writeBindings
	writeClusterBindings
	liftBinding
	writeRoles
	writeClusterRoles
	liftEscalation
	approveRequests
	approveForSigner
	reachKubelets
	attestTokens
	changeAdmission
	changeNamespaces
	changeNamespaceParts
	changeCRDs
	changeStores
	changePushSecrets
	changePods
	removeFences
	abilityCount
)

// need is what a rule has to allow: one of the verbs on one of the resources.
type need struct {
	group            string
	verbs, resources []string // nil: any of the group
	clusterWide      bool     // these objects are in no namespace: a RoleBinding gives nothing of them
}

var (
	writing   = []string{"create", "update", "patch"}
	replacing = []string{"update", "patch"}
	reading   = []string{"get", "list", "watch"}
)

// needs say what each ability takes; one of several is enough. The verbs and
// groups of impersonation are from k8s.io/apiserver v0.37.2,
// pkg/endpoints/filters/impersonation: users, groups and service accounts are
// of the core group for the verb impersonate, and of authentication.k8s.io for
// the constrained ones, which take a verb impersonate-on:MODE:VERB on the
// request itself as well.
var needs = [abilityCount][]need{
	mintTokens:      {{"", []string{"create"}, []string{"serviceaccounts/token"}, false}},
	createSecrets:   {{"", []string{"create"}, []string{"secrets"}, false}},
	patchSecrets:    {{"", []string{"patch"}, []string{"secrets"}, false}},
	changeSecrets:   {{"", replacing, []string{"secrets"}, false}},
	lookAtSecrets:   {{"", reading, []string{"secrets"}, false}},
	runPods:         needsOfWorkloads([]string{"create"}, true),
	changeWorkloads: needsOfWorkloads(replacing, false),
	enterPods: {
		{"", []string{"create", "get"}, []string{"pods/exec", "pods/attach"}, false},
		{"", replacing, []string{"pods/ephemeralcontainers"}, false},
	},
	changePods:           {{"", replacing, []string{"pods"}, false}}, // an image may be changed in a pod that runs
	removeFences:         {{rbacGroup, []string{"update", "patch", "delete", "deletecollection"}, []string{"roles", "rolebindings"}, false}},
	actAsAccounts:        {{"", []string{"impersonate"}, []string{"serviceaccounts"}, false}},
	actAsUsers:           {{"", []string{"impersonate"}, []string{"users"}, true}},
	actAsGroups:          {{"", []string{"impersonate"}, []string{"groups"}, true}},
	actAsAccountsBounded: {{authenticationGroup, []string{"impersonate:serviceaccount"}, []string{"serviceaccounts"}, false}},
	actAsUsersBounded:    {{authenticationGroup, []string{"impersonate:user-info"}, []string{"users"}, true}},
	actAsGroupsBounded:   {{authenticationGroup, []string{"impersonate:user-info"}, []string{"groups"}, true}},
	actAsNodesBounded:    {{authenticationGroup, []string{"impersonate:arbitrary-node", "impersonate:associated-node"}, []string{"nodes"}, true}},
	writeBindings:        {{rbacGroup, writing, []string{"rolebindings"}, false}},
	writeClusterBindings: {{rbacGroup, writing, []string{"clusterrolebindings"}, true}},
	liftBinding:          {{rbacGroup, []string{"bind"}, []string{"roles", "clusterroles"}, false}},
	writeRoles:           {{rbacGroup, writing, []string{"roles"}, false}},
	writeClusterRoles:    {{rbacGroup, writing, []string{"clusterroles"}, true}},
	liftEscalation:       {{rbacGroup, []string{"escalate"}, []string{"roles", "clusterroles"}, false}},
	approveRequests:      {{"certificates.k8s.io", replacing, []string{"certificatesigningrequests/approval"}, true}},
	approveForSigner:     {{"certificates.k8s.io", []string{"approve"}, []string{"signers"}, true}},
	reachKubelets:        {{"", []string{"create", "get"}, []string{"nodes/proxy"}, true}},
	attestTokens: {
		{"", []string{"attest"}, []string{"serviceaccounts"}, false},
		{authenticationGroup, []string{"attest"}, []string{"serviceaccounts"}, false},
	},
	changeAdmission: {
		{"admissionregistration.k8s.io", []string{"create", "update", "patch", "delete", "deletecollection"}, []string{
			"validatingadmissionpolicies", "validatingadmissionpolicybindings", "mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
			"validatingwebhookconfigurations", "mutatingwebhookconfigurations",
		}, true},
		{templateGroup, changing, []string{"constrainttemplates"}, true},
		{constraintGroup, changing, nil, true},
		{syncGroup, changing, []string{"syncsets"}, true},
		{configGroup, changing, []string{"configs"}, false},
	},
	// A request for a Namespace counts as one in it, so a RoleBinding there gives it.
	changeNamespaces: {{"", replacing, []string{"namespaces"}, false}},
	// These change labels, too, and a webhook for namespaces is not asked.
	changeNamespaceParts: {{"", replacing, []string{"namespaces/status", "namespaces/finalize"}, false}},
	changeCRDs:           {{"apiextensions.k8s.io", replacing, []string{"customresourcedefinitions"}, true}},
	changeStores:         {{storeGroup, writing, []string{"secretstores"}, false}, {storeGroup, writing, []string{"clustersecretstores"}, true}, {generatorGroup, writing, loggingIn, false}},
	changePushSecrets:    {{storeGroup, replacing, []string{"pushsecrets"}, false}},
}

const (
	authenticationGroup = "authentication.k8s.io"
	storeGroup          = "external-secrets.io"
	generatorGroup      = "generators.external-secrets.io"
)

var (
	// loggingIn are the generators that log in somewhere, or call what they are told (ESO 2.9.0, apis/generators/v1alpha1).
	loggingIn = []string{
		"acraccesstokens", "ecrauthorizationtokens", "stssessiontokens", "gcraccesstokens", "quayaccesstokens", "cloudsmithaccesstokens",
		"vaultdynamicsecrets", "webhooks",
	}

	// halves are the prefixes of verbs that constrained impersonation takes besides.
	halves = map[ability][]string{
		onAsAccounts: {"impersonate-on:serviceaccount:"}, onAsUsers: {"impersonate-on:user-info:"},
		onAsNodes: {"impersonate-on:arbitrary-node:", "impersonate-on:associated-node:"},
	}
)

// metBy tells whether a rule allows it. The matching is RBAC's own.
func (n need) metBy(rule *rbacv1.PolicyRule) bool {
	if n.resources == nil {
		return oneOf(rule.Verbs, n.verbs) && oneOf(rule.APIGroups, []string{n.group}) && slices.ContainsFunc(rule.Resources, func(r string) bool { return !strings.Contains(r, "/") })
	}
	return oneOf(rule.Verbs, n.verbs) && oneOf(rule.APIGroups, []string{n.group}) && slices.ContainsFunc(n.resources, func(resource string) bool {
		_, subresource, has := strings.Cut(resource, "/")
		return oneOf(rule.Resources, []string{resource}) || has && slices.Contains(rule.Resources, "*/"+subresource)
	})
}

func oneOf(allowed, wanted []string) bool {
	return slices.ContainsFunc(allowed, func(a string) bool { return a == "*" || slices.Contains(wanted, a) })
}

// abilitiesOf are the abilities that a rule gives, as a set of bits: for any
// binding, and for one of the whole cluster.
func abilitiesOf(rule *rbacv1.PolicyRule) (anywhere, clusterWide uint64) {
	for a := range abilityCount {
		for _, n := range needs[a] {
			switch {
			case !n.metBy(rule):
			case n.clusterWide:
				clusterWide |= 1 << a
			default:
				anywhere |= 1 << a
			}
		}
		if prefixes := halves[a]; prefixes != nil && slices.ContainsFunc(rule.Verbs, func(verb string) bool {
			return verb == "*" || slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(verb, prefix) })
		}) {
			anywhere |= 1 << a
		}
	}
	return anywhere, anywhere | clusterWide
}

// hold is a rule that gives abilities to a subject, and where.
type hold struct {
	rbac.Place
	abilities uint64
	ownRole   bool // the role is Kubernetes' own: only the binding can be changed
	own       bool // the binding is, too: Kubernetes itself gives it
	owner     node // who holds it, of those that are reached
}

func (h *hold) can(a ability) bool { return h.abilities&(1<<a) != 0 }

// in tells whether it holds in a namespace; "" is all of them.
func (h *hold) in(namespace string) bool { return h.Everywhere || h.Namespace == namespace }

// names tells whether it is for an object of this name.
func (h *hold) named(name string) bool { return h.Names == nil || slices.Contains(h.Names, name) }

// holdsOf are the rules with abilities that are bound to just this subject.
func (w *world) holdsOf(s rbac.Subject) []hold {
	if known, done := w.holds[s]; done {
		return known
	}
	w.readKubernetes()
	var all []hold
	for _, namespace := range w.namespacesOf(s) {
		for grant, rule := range w.auth.Rules(s, namespace) {
			if grant.Subject != s || grant.Binding.Namespace != namespace {
				continue
			}
			if abilities := w.abilities(rule, namespace == ""); abilities != 0 {
				place := rbac.Place{Everywhere: namespace == "", Namespace: namespace, Grant: grant}
				if len(rule.ResourceNames) > 0 {
					place.Names = rule.ResourceNames
				}
				ownRole := w.isOwnRole(grant, rule)
				own := ownRole && w.defaults[boundTo{grant.Binding, grant.Subject, grant.Role}]
				all = append(all, hold{Place: place, abilities: abilities, ownRole: ownRole, own: own, owner: subject(s)})
			}
		}
	}
	w.holds[s] = all
	return all
}

// abilities is abilitiesOf, remembered: ten thousand bindings name one role.
func (w *world) abilities(rule *rbacv1.PolicyRule, everywhere bool) uint64 {
	known, done := w.able[rule]
	if !done {
		known[0], known[1] = abilitiesOf(rule)
		w.able[rule] = known
	}
	if everywhere {
		return known[1]
	}
	return known[0]
}

// namespacesOf are where a binding names the subject; "" is the whole cluster.
// The API server makes bindings in two namespaces.
func (w *world) namespacesOf(s rbac.Subject) []string {
	all := slices.Concat([]string{"", "kube-public", controlPlane}, w.bound[s])
	slices.Sort(all)
	return slices.Compact(all)
}

// controlPlane is Kubernetes' own namespace: whoever has one of its service
// accounts has the cluster.
const controlPlane = "kube-system"

// isOwnRole tells whether a rule is what Kubernetes' own role of that name has.
// A role of its own that was given more is not, in what it was given.
func (w *world) isOwnRole(grant rbac.Grant, rule *rbacv1.PolicyRule) bool {
	if grant.Bootstrap {
		return true
	}
	if w.kubernetes.Role(grant.Role) == nil {
		return false
	}
	known, done := w.ownRule[rule]
	if !done {
		known, _ = rbac.Covers(w.ownRules(grant.Source), []rbacv1.PolicyRule{*rule})
		w.ownRule[rule] = known
	}
	return known
}

// ownRules are what Kubernetes' own role of a name has.
func (w *world) ownRules(role rbac.Ref) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	if own := w.kubernetes.Role(role); own != nil {
		for _, rule := range own {
			rules = append(rules, *rule)
		}
	}
	return rules
}

// boundTo is who is bound to what by which binding.
type boundTo struct {
	binding rbac.Ref
	subject rbac.Subject
	role    rbac.Ref
}

// readKubernetes notes whom the API server binds by itself, when first asked
// for: to read it costs more than many a question.
func (w *world) readKubernetes() {
	if w.kubernetes != nil {
		return
	}
	own, _ := rbac.Bootstrap(w.in.Minor)
	w.kubernetes = rbac.New(own, rbac.Options{Minor: w.in.Minor})
	w.defaults = map[boundTo]bool{}
	for _, b := range own.ClusterRoleBindings {
		w.note(rbac.Ref{Kind: "ClusterRoleBinding", Name: b.Name}, "", b.RoleRef, b.Subjects)
	}
	for _, b := range own.RoleBindings {
		w.note(rbac.Ref{Kind: "RoleBinding", Namespace: b.Namespace, Name: b.Name}, b.Namespace, b.RoleRef, b.Subjects)
	}
}

func (w *world) note(binding rbac.Ref, namespace string, role rbacv1.RoleRef, subjects []rbacv1.Subject) {
	ref := rbac.Ref{Kind: role.Kind, Name: role.Name}
	if role.Kind == "Role" {
		ref.Namespace = namespace
	}
	for i := range subjects {
		w.defaults[boundTo{binding, subjectOf(&subjects[i], namespace), ref}] = true
	}
}

// subjectOf reads a subject as the API server does: a service account without a
// namespace is of the binding's.
func subjectOf(s *rbacv1.Subject, home string) rbac.Subject {
	subject := rbac.Subject{Kind: rbac.Kind(s.Kind), Namespace: s.Namespace, Name: s.Name}
	if subject.Kind == rbac.KindServiceAccount && subject.Namespace == "" {
		subject.Namespace = home
	}
	if subject.Kind != rbac.KindServiceAccount {
		subject.Namespace = ""
	}
	return subject.Canonical()
}
