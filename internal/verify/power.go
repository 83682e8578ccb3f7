package verify

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// RightKind says what a right is about.
type RightKind string

// The kinds of rights, the gravest first.
const (
	MintRight  RightKind = "mint"  // tokens of service accounts
	WriteRight RightKind = "write" // Secrets
	ReadRight  RightKind = "read"  // Secrets
	RoleRight  RightKind = "role"  // one of Kubernetes' own roles, known by its name
	OtherRight RightKind = "other" // anything else that a rule allows
)

var rightKinds = []RightKind{MintRight, WriteRight, ReadRight, RoleRight, OtherRight}

// Right is one thing that somebody may do in one place: a single verb on a
// single resource. It is comparable.
type Right struct {
	Kind RightKind
	Who  rbac.Subject // as bound: a group stands for its members
	ESO  bool         // Who is External Secrets Operator's controller
	Verb string       // "*" is any
	// Group and Resource are the API's, such as "serviceaccounts/token"; with a
	// RoleRight, Resource is the role's name. A path, such as /metrics, is a
	// Resource too.
	Group, Resource string
	Name            string // of the one object; "" is any
	Namespace       string // "" is the whole cluster
	Tenant          string // whose the namespace is; "" where nobody says
	Meant           bool   // it is what the fence is for
}

// Operator guesses which service accounts are External Secrets Operator's, where
// nobody says: those of its Deployments, or else the one that is bound to most
// fences.
func Operator(in Input) []rbac.Subject {
	w := newWorld(in)
	if len(w.eso) > 0 {
		return w.eso
	}
	var found []rbac.Subject
	most := 0
	for _, s := range w.auth.Subjects() {
		if n := len(w.auth.Places(s, virtualVerb, virtualGroup, fencedAccounts)); n > most && s.Kind == rbac.KindServiceAccount {
			found, most = []rbac.Subject{s}, n
		}
	}
	return found
}

// Rights returns what everybody may do, sorted, each right once. Rights that
// follow from wider ones are listed beside them where they are about tokens or
// Secrets, so that nobody has to know that "*" means these too.
func Rights(in Input) []Right {
	r := newRights(newWorld(in))
	seen := map[Right]bool{}
	var all []Right
	for right := range r.all {
		if !seen[right] {
			seen[right] = true
			all = append(all, r.described(right))
		}
	}
	slices.SortFunc(all, compareRights)
	return all
}

func compareRights(a, b Right) int {
	return cmp.Or(
		cmp.Compare(a.Tenant, b.Tenant),
		cmp.Compare(slices.Index(rightKinds, a.Kind), slices.Index(rightKinds, b.Kind)),
		cmp.Compare(a.Who.String(), b.Who.String()),
		cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Resource, b.Resource),
		cmp.Compare(a.Name, b.Name), cmp.Compare(a.Verb, b.Verb),
	)
}

// rights finds all rights of a world.
type rights struct {
	*world
	tenants map[string]string // by namespace
	own     map[string][]rbacv1.PolicyRule
	extra   map[rbac.Ref]map[int]bool
	large   map[string]*rbacv1.PolicyRule // rules too large to be taken apart, by what stands for them
}

func newRights(w *world) *rights {
	return &rights{world: w, tenants: w.tenants(), own: ownRoles(w.in.Minor), extra: map[rbac.Ref]map[int]bool{}, large: map[string]*rbacv1.PolicyRule{}}
}

// all yields what everybody may do, some of it more than once, not described.
func (r *rights) all(yield func(Right) bool) {
	for _, s := range r.auth.Subjects() {
		namespaces := append([]string{"", "kube-public", "kube-system"}, r.bound[s]...) // the API server binds in these two
		slices.Sort(namespaces)
		for _, namespace := range slices.Compact(namespaces) {
			for grant, rule := range r.auth.Rules(s, namespace) {
				if grant.Subject == s && grant.Binding.Namespace == namespace && !r.take(grant, rule, yield) {
					return
				}
			}
		}
	}
}

// described is a right with what else is known of it.
func (r *rights) described(right Right) Right {
	right.ESO = len(r.eso) > 0 && right.Who == r.eso[0]
	right.Tenant = r.tenants[right.Namespace]
	right.Meant = right.ESO && r.meant(right)
	return right
}

// rules are what a right stands for.
func (r *rights) rules(right Right) []rbacv1.PolicyRule {
	if right.Kind == RoleRight {
		return r.own[right.Resource]
	}
	if rule := r.large[right.Resource]; rule != nil {
		return []rbacv1.PolicyRule{*rule}
	}
	return []rbacv1.PolicyRule{single{right.Verb, right.Group, right.Resource, right.Name}.rule()}
}

// ownRoles are Kubernetes' own ClusterRoles, with what they aggregate.
func ownRoles(minor string) map[string][]rbacv1.PolicyRule {
	objects, _ := rbac.Bootstrap(minor)
	auth := rbac.New(objects, rbac.Options{Minor: minor})
	own := map[string][]rbacv1.PolicyRule{}
	for _, role := range objects.ClusterRoles {
		rules := auth.Role(rbac.Ref{Kind: clusterRole, Name: role.Name})
		if rules == nil {
			continue
		}
		for _, rule := range rules {
			own[role.Name] = append(own[role.Name], *rule)
		}
	}
	return own
}

// tenants says whose each namespace is: the label of its Namespace, or else of
// anything in it that External Secrets Operator's fence is made of.
func (w *world) tenants() map[string]string {
	tenants := map[string]string{}
	for i := range w.in.Objects {
		o := &w.in.Objects[i]
		tenant := inventory.Text(o.Fields, "metadata", "labels", tenantLabel)
		switch {
		case tenant == "":
		case o.Kind == "Namespace" && o.Group() == "":
			tenants[o.Name] = tenant
		case o.Namespace != "" && tenants[o.Namespace] == "":
			tenants[o.Namespace] = tenant
		}
	}
	for _, f := range w.fences {
		if f.Tenant != "" {
			tenants[f.Namespace] = f.Tenant
		}
	}
	return tenants
}

const tenantLabel = "eso-tenant.dev/tenant"

// take yields what one rule gives.
func (r *rights) take(grant rbac.Grant, rule *rbacv1.PolicyRule, yield func(Right) bool) bool {
	base := Right{Kind: OtherRight, Who: grant.Subject, Namespace: grant.Binding.Namespace}
	if !secretsAndTokens(base, rule, yield) {
		return false
	}
	if grant.Role.Kind == clusterRole && r.own[grant.Role.Name] != nil {
		is := base
		is.Kind, is.Verb, is.Resource = RoleRight, "is", grant.Role.Name
		if !yield(is) || r.isOwn(grant, rule) {
			return true
		}
		// What others aggregate into it, all who have it have: said once.
		base = Right{Kind: OtherRight, Who: holders(grant.Role.Name)}
	}
	if tooMany(rule) {
		sum := sha256.Sum256([]byte(rule.String()))
		base.Verb, base.Resource = "do", fmt.Sprintf("what a rule of %d verbs and %d resources says (%x)", len(rule.Verbs), len(rule.Resources), sum[:8])
		r.large[base.Resource] = rule
		return yield(base)
	}
	for _, single := range singles(rule) {
		right := base
		right.Verb, right.Group, right.Resource, right.Name = single.verb, single.group, single.resource, single.name
		right.Kind = kindOf(single)
		if !yield(right) {
			return false
		}
	}
	return true
}

// isOwn tells whether a rule is what Kubernetes' own role of this name has. A
// cluster may hold the role with more than that, and keeps what was added.
func (r *rights) isOwn(grant rbac.Grant, rule *rbacv1.PolicyRule) bool {
	if grant.Bootstrap {
		return true
	}
	known, seen := r.extra[grant.Source][grant.Rule]
	if seen {
		return known
	}
	covered := covers(r.own[grant.Role.Name], []rbacv1.PolicyRule{*rule})
	if r.extra[grant.Source] == nil {
		r.extra[grant.Source] = map[int]bool{}
	}
	r.extra[grant.Source][grant.Rule] = covered
	return covered
}

// covers tells whether an owner's rules allow all that is wanted. A wanted rule
// that is too large to be taken apart is taken for one that nobody has.
func covers(owner, wanted []rbacv1.PolicyRule) bool {
	for i := range wanted {
		if tooMany(&wanted[i]) {
			return false
		}
	}
	covered, _ := rbac.Covers(owner, wanted)
	return covered && len(owner) > 0
}

// holders stands for all who are bound to one of Kubernetes' own roles.
func holders(role string) rbac.Subject { return rbac.Subject{Kind: holdersKind, Name: role} }

const holdersKind rbac.Kind = "holders"

// meant tells whether a right is one that External Secrets Operator is given by
// the fence.
func (w *world) meant(r Right) bool {
	switch r.Kind {
	case MintRight:
		return r.Name != "" && w.fenced[Account{r.Namespace, r.Name}] != nil
	case WriteRight, ReadRight:
		return w.tenanted[r.Namespace]
	case RoleRight, OtherRight:
	}
	return false
}

// single is one verb on one resource, and one name where the rule has names.
type single struct{ verb, group, resource, name string }

func (s single) rule() rbacv1.PolicyRule {
	rule := rbacv1.PolicyRule{Verbs: []string{s.verb}}
	if strings.HasPrefix(s.resource, "/") {
		rule.NonResourceURLs = []string{s.resource}
		return rule
	}
	rule.APIGroups, rule.Resources = []string{s.group}, []string{s.resource}
	if s.name != "" {
		rule.ResourceNames = []string{s.name}
	}
	return rule
}

// kindOf tells tokens and Secrets from the rest.
func kindOf(s single) RightKind {
	for _, about := range aboutSecrets {
		if s.group == "" && s.resource == about.resource && slices.Contains(about.verbs, s.verb) {
			return about.kind
		}
	}
	return OtherRight
}

const clusterRole = "ClusterRole"

const tokens = "serviceaccounts/token"

var changing = []string{"create", "delete", "deletecollection", "patch", "update"}

// maxSingles is how many single rights a rule is taken apart into. Rules of
// External Secrets Operator have some hundred; one with more is kept whole.
const maxSingles = 4096

func tooMany(rule *rbacv1.PolicyRule) bool {
	n := len(rule.Verbs)
	for _, of := range []int{max(len(rule.APIGroups), 1), len(rule.Resources) + len(rule.NonResourceURLs), max(len(rule.ResourceNames), 1)} {
		if n *= of; n > maxSingles {
			return true
		}
	}
	return false
}

// singles takes a rule apart.
func singles(rule *rbacv1.PolicyRule) []single {
	if tooMany(rule) {
		return nil
	}
	var all []single
	for _, verb := range rule.Verbs {
		for _, url := range rule.NonResourceURLs {
			all = append(all, single{verb: verb, resource: url})
		}
		for _, group := range rule.APIGroups {
			all = append(all, ofResources(rule, verb, group)...)
		}
	}
	return all
}

func ofResources(rule *rbacv1.PolicyRule, verb, group string) []single {
	var all []single
	for _, resource := range rule.Resources {
		for _, name := range namesOf(rule) {
			all = append(all, single{verb, group, resource, name})
		}
	}
	return all
}

// namesOf are a rule's names, "" for any. So many that nobody wrote them stand
// together, and differ where one does.
func namesOf(rule *rbacv1.PolicyRule) []string {
	switch n := len(rule.ResourceNames); {
	case n == 0:
		return []string{""}
	case n > maxSingles:
		sum := sha256.Sum256([]byte(strings.Join(rule.ResourceNames, "\x00")))
		return []string{fmt.Sprintf("(%d names, %x)", n, sum[:8])}
	default:
		return rule.ResourceNames
	}
}

// secretsAndTokens yields what a rule says of tokens and Secrets, also where it
// says so by a wildcard.
func secretsAndTokens(base Right, rule *rbacv1.PolicyRule, yield func(Right) bool) bool {
	for _, about := range aboutSecrets {
		for _, verb := range about.verbs {
			if !allows(rule, verb, about.resource) {
				continue
			}
			for _, name := range namesOf(rule) {
				right := base
				right.Kind, right.Verb, right.Resource, right.Name = about.kind, verb, about.resource, name
				if !yield(right) {
					return false
				}
			}
		}
	}
	return true
}

// aboutSecrets are the rights that everything here is about.
var aboutSecrets = []struct {
	kind     RightKind
	resource string
	verbs    []string
}{
	{MintRight, tokens, []string{"create"}},
	{WriteRight, "secrets", changing},
	{ReadRight, "secrets", reading},
}

// allows tells whether a rule is for a verb on a resource of the core group.
func allows(rule *rbacv1.PolicyRule, verb, resource string) bool {
	_, sub, isSub := strings.Cut(resource, "/")
	has := func(list []string, one string) bool { return slices.Contains(list, one) || slices.Contains(list, "*") }
	return has(rule.Verbs, verb) && has(rule.APIGroups, "") &&
		(has(rule.Resources, resource) || isSub && slices.Contains(rule.Resources, "*/"+sub))
}
