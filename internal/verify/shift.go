package verify

import (
	"regexp"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// Shift is how power differs between two inputs.
type Shift struct {
	Gained, Lost   []Right   // sorted
	Appeared, Gone []Finding // in the problems' order
}

// Finding is a problem of the proof's, with the tenant that it is about, if it
// is about one.
type Finding struct {
	problem.Problem
	Tenant string
	// Weaker says that more is open with it than without. The others say that
	// something does not work.
	Weaker bool
}

// Grows tells whether somebody may do what they could not do before: a right is
// gained, a finding tells of something open, or admission policies lose a
// service account out of sight that tokens can still be had of.
func (s Shift) Grows() bool {
	return slices.ContainsFunc(s.Gained, func(r Right) bool { return !r.isFenced() }) ||
		slices.ContainsFunc(s.Appeared, func(f Finding) bool { return f.Weaker }) ||
		slices.ContainsFunc(s.Lost, func(r Right) bool { return r.isFenced() && !slices.ContainsFunc(s.Lost, r.sameAccount) })
}

// isFenced tells whether a right says only that an account is fenced: whoever
// holds it may do nothing by it, and others may do less.
func (r Right) isFenced() bool { return r.Group == virtualGroup && r.Resource == fencedAccounts }

// sameAccount tells whether another right is to mint for the account that this
// one names.
func (r Right) sameAccount(mint Right) bool {
	account, _, _ := strings.Cut(r.Name, "=")
	return mint.Kind == MintRight && mint.Who == r.Who && mint.Namespace == r.Namespace && mint.Name == account
}

// The resources of virtual grants.
const (
	mintGrants     = "mintgrants"
	fencedAccounts = "fencedserviceaccounts"
)

// Empty tells whether there is no difference.
func (s Shift) Empty() bool {
	return len(s.Gained)+len(s.Lost)+len(s.Appeared)+len(s.Gone) == 0
}

// Compare returns what changes from one input to another. A right that is
// there already by a wider one, or by a group that its holder is in, is not
// gained; and none is lost that is still there in that way.
func Compare(before, after Input) Shift {
	problemsBefore, problemsAfter := Check(before).Problems, Check(after).Problems
	a, b := newRights(newWorld(before)), newRights(newWorld(after))
	var s Shift
	s.Gained, s.Lost = shifted(a, b)
	s.Appeared, s.Gone = b.without(problemsAfter, problemsBefore), a.without(problemsBefore, problemsAfter)
	return s
}

// shifted compares rights. Of the two worlds' only one's are held.
func shifted(a, b *rights) (gained, lost []Right) {
	before := map[Right]bool{} // whether it is there still
	for right := range a.all {
		before[right] = false
	}
	now := map[Right]bool{}
	for right := range b.all {
		if _, both := before[right]; both {
			before[right] = true
		} else if !now[right] {
			now[right] = true
			if !a.holds(right, b.rules(right)) {
				gained = append(gained, b.described(right))
			}
		}
	}
	for right, still := range before {
		if !still && !b.holds(right, a.rules(right)) {
			lost = append(lost, a.described(right))
		}
	}
	slices.SortFunc(gained, compareRights)
	slices.SortFunc(lost, compareRights)
	return gained, lost
}

// holds tells whether somebody has a right by whatever rules they have.
func (r *rights) holds(right Right, wanted []rbacv1.PolicyRule) bool {
	rules := r.auth.Rules(right.Who, right.Namespace)
	if right.Who.Kind == holdersKind {
		if rules = r.auth.Role(rbac.Ref{Kind: clusterRole, Name: right.Who.Name}); rules == nil {
			return false
		}
	}
	var held []rbacv1.PolicyRule
	for _, rule := range rules {
		held = append(held, *rule)
	}
	return covers(held, wanted)
}

// without are the problems that others do not say as well, by what they say and
// not by where: a line added above a role is no change of power.
func (r *rights) without(these, those problem.List) []Finding {
	known := map[string]bool{}
	for _, p := range those {
		known[gist(p)] = true
	}
	var all []Finding
	var at places
	for _, p := range these {
		if known[gist(p)] {
			continue
		}
		if at == nil {
			at = r.places()
		}
		all = append(all, Finding{Problem: p, Tenant: at.tenant(p.Position, r.tenants), Weaker: !slices.Contains(broken, p.Rule)})
	}
	return all
}

// gist is what a problem says, without the places and accounts that it counts
// up: that a right holds in one namespace more is a right gained, and that it
// holds in one less is no new problem.
func gist(p problem.Problem) string {
	return string(p.Rule) + " " + counted.ReplaceAllString(p.Path+" "+p.Message, " …")
}

var counted = regexp.MustCompile(` in (?:[0-9]+ )?namespaces?,?(?: such as)? [^ ,]+(?:(?:,| and) [^ ,]+)*` +
	`| fenced service accounts? [^ ,]+(?:(?:,| and) [^ ,]+)*`)

// places finds the object that a position is in.
type places map[problem.Position][]*inventory.Object

// whole is a position without its line: the file, or the object.
func whole(p problem.Position) problem.Position {
	return problem.Position{File: p.File, Subject: p.Subject}
}

func (r *rights) places() places {
	at := places{}
	for i := range r.in.Objects {
		o := &r.in.Objects[i]
		at[whole(o.At)] = append(at[whole(o.At)], o)
	}
	for _, objects := range at {
		slices.SortStableFunc(objects, func(a, b *inventory.Object) int { return a.At.Line - b.At.Line })
	}
	return at
}

// tenant is whose the object at a position is.
func (at places) tenant(p problem.Position, tenants map[string]string) string {
	objects := at[whole(p)]
	next, exact := slices.BinarySearchFunc(objects, p.Line, func(o *inventory.Object, line int) int { return o.At.Line - line })
	if !exact {
		next--
	}
	if next < 0 || next >= len(objects) {
		return ""
	}
	if tenant := inventory.Text(objects[next].Fields, "metadata", "labels", tenantLabel); tenant != "" {
		return tenant
	}
	return tenants[objects[next].Namespace]
}

// Sentence is rights in words: those of one holder that differ in verbs only.
type Sentence struct {
	Tenant, Who string
	Kind        RightKind
	Does        string // what follows "may": "mint tokens of web-prod/vault-access-sa"
	Rights      []Right
}

// Sentences puts rights into words, in the rights' order.
func Sentences(rights []Right) []Sentence {
	var all []Sentence
	index := map[Right]int{}
	for _, r := range rights {
		key := r
		key.ESO, key.Tenant, key.Meant, key.Verb = false, "", false, ""
		mint, minted := index[r.mint()]
		i, known := index[key]
		switch {
		case minted:
			i = mint // it is about the same tokens
		case !known:
			i = len(all)
			index[key] = i
			all = append(all, Sentence{Tenant: r.Tenant, Who: r.who(), Kind: r.Kind})
		}
		all[i].Rights = append(all[i].Rights, r)
	}
	for i := range all {
		all[i].Does = does(all[i].Rights)
	}
	return all
}

// mint is, of a virtual right, the one to mint for the account that it names.
func (r Right) mint() Right {
	if r.Group != virtualGroup {
		return Right{}
	}
	account, _, _ := strings.Cut(r.Name, "=")
	return Right{Kind: MintRight, Who: r.Who, Resource: tokens, Name: account, Namespace: r.Namespace}
}

func (r Right) who() string {
	if r.ESO {
		return "ESO"
	}
	switch r.Who.Kind {
	case rbac.KindServiceAccount:
		return "service account " + r.Who.Namespace + "/" + r.Who.Name
	case holdersKind:
		return "whoever is " + r.Who.Name
	case rbac.KindGroup, rbac.KindUser:
	}
	return r.Who.String()
}

func does(rights []Right) string {
	first := rights[0]
	var verbs []string
	for _, r := range rights {
		verbs = append(verbs, r.Verb)
	}
	list := strings.Join(verbs, ", ")
	switch first.Kind {
	case MintRight:
		return "mint tokens of " + first.account() + audiences(rights)
	case WriteRight:
		if len(verbs) >= len(changing)-1 { // deletecollection or not
			return "write " + first.what("Secrets")
		}
		return "write " + first.what("Secrets") + " (" + list + ")"
	case ReadRight:
		if len(verbs) == len(reading) {
			return "read " + first.what("Secrets")
		}
		return "read " + first.what("Secrets") + " (" + list + ")"
	case RoleRight:
		return first.Resource + " " + first.place()
	case OtherRight:
	}
	if text := first.virtual(); text != "" {
		return text
	}
	return anything(list, "do everything to") + " " + first.what(first.things())
}

// virtual puts rights into words that no API serves.
func (r Right) virtual() string {
	if r.Group != virtualGroup || r.Verb != virtualVerb || r.Namespace == "" {
		return ""
	}
	account, audience, _ := strings.Cut(r.Name, "=")
	switch r.Resource {
	case mintGrants:
		return "have tokens of " + r.Namespace + "/" + account + " for the audience " + audience
	case fencedAccounts:
		return "count " + r.Namespace + "/" + account + " among the fenced service accounts"
	default:
		return ""
	}
}

// audiences are those of the tokens that rights are for.
func audiences(rights []Right) string {
	var all []string
	for _, r := range rights {
		if _, audience, found := strings.Cut(r.Name, "="); found && r.Resource == mintGrants {
			all = append(all, audience)
		}
	}
	if len(all) == 0 {
		return ""
	}
	return " for " + strings.Join(all, ", ")
}

func anything(text, instead string) string {
	if text == "*" {
		return instead
	}
	return text
}

func (r Right) things() string {
	switch {
	case r.Group == "" || strings.HasPrefix(r.Resource, "/"):
		return anything(r.Resource, "everything of the core API")
	case r.Group == "*":
		return anything(r.Resource, "everything")
	default:
		return anything(r.Resource, "everything of") + dot(r.Resource) + r.Group
	}
}

func dot(resource string) string {
	if resource == "*" {
		return " "
	}
	return "."
}

// account is whose tokens a MintRight is for.
func (r Right) account() string {
	switch {
	case r.Name != "" && r.Namespace != "":
		return r.Namespace + "/" + r.Name
	case r.Name != "":
		return "every service account called " + r.Name
	default:
		return "any service account " + r.place()
	}
}

func (r Right) what(things string) string {
	if r.Name != "" {
		things += " " + r.Name
	}
	if strings.HasPrefix(r.Resource, "/") {
		return things
	}
	return things + " " + r.place()
}

func (r Right) place() string {
	switch {
	case r.Who.Kind == holdersKind:
		return "there"
	case r.Namespace == "":
		return "in every namespace"
	}
	return "in namespace " + r.Namespace
}
