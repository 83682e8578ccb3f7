package verify

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// Exemption is what a policy lets through although it refuses such: it is made,
// by somebody, in some namespaces, before a moment.
type Exemption struct {
	Name   string
	Policy string // such as minter
	// Users and Groups are who; both empty: everybody.
	Users, Groups []string
	Namespaces    []string
	// Names are of the accounts that a token, pod or Secret is for, or of stores.
	Names  []string
	End    string // the first moment after it, as 2027-04-01T00:00:00Z
	Reason string
	At     problem.Position

	not    []string          // who it is never for
	object *inventory.Object // the policy
}

// exempting is a condition by which a policy lets something through: who and
// where, and when it ends. Anything else that stands in a policy makes it none
// of those that count.
//
// An exemption ends by the time on what is made, which the API server writes
// there before it asks.
const exempting = `^!\(request\.operation == 'CREATE' && request\.\?namespace\.orValue\(''\) in (LIST) && (NAME) in (LIST) && ` +
	`(?:!\(request\.userInfo\.username in (LIST)\)|` +
	`\((?:request\.userInfo\.username in (LIST))?(?: \|\| )?(?:has\(request\.userInfo\.groups\) && request\.userInfo\.groups\.exists\(g, g in (LIST)\))?\)) && ` +
	`has\(object\.metadata\.creationTimestamp\) && type\(object\.metadata\.creationTimestamp\) == string && ` +
	`timestamp\(object\.metadata\.creationTimestamp\) < timestamp\('([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)'\)\)$`

// exemptedNames are what the names of an exemption are compared with, by policy.
var exemptedNames = map[string]string{
	"minter":       "request.name",
	"pod":          "object.spec.?serviceAccountName.orValue('')",
	"token-secret": "object.metadata.?annotations[?'kubernetes.io/service-account.name'].orValue('')",
	"store":        "object.metadata.?name.orValue('')",
	"reference":    "object.metadata.?name.orValue('')",
}

// exemptedPaths are the same in what Gatekeeper is sent.
var exemptedPaths = map[string][]any{
	"minter":       {"name"},
	"pod":          {"object", "spec", "serviceAccountName"},
	"token-secret": {"object", "metadata", "annotations", "kubernetes.io/service-account.name"},
	"store":        {"object", "metadata", "name"},
	"reference":    {"object", "metadata", "name"},
}

// moment is how the end of an exemption is written: moments compare as texts.
var moment = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$`)

// constraintExemptions are those among a Constraint's parameters, and whether all
// are as a Platform states them. The Rego exempts no operator.
func constraintExemptions(c *inventory.Object, policy string, operators []string) (all []Exemption, fine bool) {
	parameters := c.Map("spec", "parameters")
	if parameters["exemptions"] == nil && parameters["exempt"] == nil {
		return nil, true
	}
	list, isList := parameters["exemptions"].([]any)
	if path, may := exemptedPaths[policy]; !may || !isList || len(list) == 0 || !equal(parameters["exempt"], path) {
		return nil, false
	}
	for _, item := range list {
		e := Exemption{Name: inventory.Text(item, "name"), Policy: policy, End: inventory.Text(item, "until"), not: operators, object: c}
		if e.Name == "" || !moment.MatchString(e.End) || size(item) != 6 {
			return nil, false
		}
		for key, into := range map[string]*[]string{"users": &e.Users, "groups": &e.Groups, "namespaces": &e.Namespaces, "names": &e.Names} {
			if *into, fine = textsOf(inventory.Get(item, key)); !fine {
				return nil, false
			}
		}
		all = append(all, e)
	}
	return all, true
}

// withoutExemptions takes the exemptions out of a policy's spec.
func withoutExemptions(spec map[string]any, policy string) (map[string]any, []Exemption) {
	name, may := exemptedNames[policy]
	conditions, _ := spec["matchConditions"].([]any)
	if !may || len(conditions) == 0 {
		return spec, nil
	}
	var pattern *regexp.Regexp // most policies have no exemption, and need none
	var exemptions []Exemption
	var kept []any
	for _, condition := range conditions {
		text := inventory.Text(condition, "expression")
		if !strings.HasPrefix(text, "!(request.operation == 'CREATE' && ") {
			kept = append(kept, condition)
			continue
		}
		if pattern == nil {
			pattern = regexp.MustCompile(strings.NewReplacer("LIST", blanks["writers"], "NAME", regexp.QuoteMeta(name)).Replace(exempting))
		}
		found := pattern.FindStringSubmatch(text)
		if found == nil {
			kept = append(kept, condition)
			continue
		}
		exemptions = append(exemptions, Exemption{
			Name: strings.TrimPrefix(inventory.Text(condition, "name"), "exempt-"), Policy: policy, End: found[7],
			Namespaces: literals(found[1]), Names: literals(found[3]), not: literals(found[4]), Users: literals(found[5]), Groups: literals(found[6]),
		})
	}
	if len(exemptions) == 0 {
		return spec, nil
	}
	without := maps.Clone(spec)
	delete(without, "matchConditions")
	if len(kept) > 0 {
		without["matchConditions"] = kept
	}
	return without, exemptions
}

// literals are the texts of a list in CEL.
func literals(list string) []string {
	if list == "" {
		return nil
	}
	value, _ := readLiteral(list)
	all, _ := textsOf(value)
	return all
}

// exempts is the exemption by which a policy does not keep somebody from an
// account; nil where it does. Names of stores are not asked for: who may make one of
// a name may make it as he likes.
func (w *world) exempts(c closing, s rbac.Subject, account Account) *Exemption {
	if slices.Contains(w.eso, s) {
		return nil
	}
	w.policies.look()
	for i := range w.policies.counted {
		r := &w.policies.counted[i]
		if !slices.Contains(r.closings, c) {
			continue
		}
		for j := range r.exemptions {
			e := &r.exemptions[j]
			// Who makes a pod is some controller, whoever asked for it.
			if !w.over(e) && (c == closingPod || e.covers(s)) && slices.Contains(e.Namespaces, account.Namespace) && (c == closingStores || slices.Contains(e.Names, account.Name)) {
				return e
			}
		}
	}
	return nil
}

// letsThrough is the exemption but for which a policy would refuse a move that
// gives a fenced account's token; nil where there is none, or it is open anyway.
func (p *prover) letsThrough(m *move, f *Fence) *Exemption {
	c := fenceClosings[m.rule]
	if m.rule == problem.MintExec || m.rule == problem.MintNodeProxy {
		c = closingPod // there would be no pod to get into
	}
	if c == notClosed || p.closes(c, f.Namespace, rbac.Subject{}) == nil || p.unfences(f, m) != nil {
		return nil
	}
	return p.exempts(c, m.via[0].owner.subject, f.Account)
}

// storesLifted is the exemption but for which a policy would keep stores to the
// catalogue; nil where there is none, or they are not kept anyway.
func (p *prover) storesLifted(m *move) *Exemption {
	h := m.via[0].hold
	if m.rule != problem.StoreWritable || p.keepsStores(h) == nil {
		return nil
	}
	return p.exempts(closingStores, h.owner.subject, Account{Namespace: h.Namespace})
}

// over tells whether an exemption has ended.
func (w *world) over(e *Exemption) bool { return w.in.Clock.Now >= e.End }

// covers tells whether somebody may be exempt. Who is in a group of people, RBAC does
// not say: a user may be in any, and any may have an exempt user in it.
func (e *Exemption) covers(s rbac.Subject) bool {
	if len(e.Users)+len(e.Groups) == 0 || slices.Contains(e.Users, s.Username()) && s.Kind != rbac.KindGroup {
		return true
	}
	ofAccounts := s.Kind == rbac.KindGroup && strings.HasPrefix(s.Name, rbac.AllAccounts)
	switch s.Kind {
	case rbac.KindServiceAccount:
		return false // its groups are Kubernetes' own
	case rbac.KindUser:
		return len(e.Groups) > 0
	default:
		if len(e.Groups) > 0 && !ofAccounts {
			return true
		}
		return slices.ContainsFunc(e.Users, func(name string) bool {
			user := rbac.User(name).Canonical()
			if user.Kind == rbac.KindServiceAccount {
				return slices.Contains(user.Identities(), s)
			}
			return !ofAccounts
		})
	}
}

// stated is the exemption as somebody has accounted for it: with its reason; nil
// where nobody has.
func (w *world) stated(e *Exemption) *Exemption {
	for i := range w.in.Exemptions {
		known := &w.in.Exemptions[i]
		if known.Name == e.Name && known.same(e) {
			return known
		}
	}
	reason := inventory.Text(e.object.Fields, "metadata", "annotations", "eso-tenant.dev/exempt-"+e.Name)
	if w.in.Specified || strings.TrimSpace(reason) == "" {
		return nil
	}
	accounted := *e
	accounted.Reason, accounted.At = reason, e.object.At
	return &accounted
}

func (e *Exemption) same(other *Exemption) bool {
	return e.Policy == other.Policy && e.End == other.End && slices.Equal(e.Users, other.Users) && slices.Equal(e.Groups, other.Groups) &&
		slices.Equal(e.Namespaces, other.Namespaces) && slices.Equal(e.Names, other.Names)
}

// spares tells whether an exemption is for nothing that External Secrets Operator
// asks for. Its groups are Kubernetes' own.
func (e *Exemption) spares(eso rbac.Subject) bool {
	if len(e.Users)+len(e.Groups) == 0 {
		return slices.Contains(e.not, eso.Username())
	}
	return !slices.Contains(e.Users, eso.Username()) && !slices.ContainsFunc(e.Groups, func(g string) bool { return strings.HasPrefix(g, "system:") })
}

// who names whom an exemption is for.
func (e *Exemption) who() string {
	if len(e.Users)+len(e.Groups) == 0 {
		return "anybody"
	}
	var all []string
	for _, name := range e.Users {
		all = append(all, rbac.User(name).Canonical().String())
	}
	for _, name := range e.Groups {
		all = append(all, rbac.Group(name).String())
	}
	return list(all)
}

// through says that something is open by exemptions only, and gives it their
// weight: somebody has accounted for each, or it is a breach like any other.
func (w *world) through(found *problem.Problem, exemptions []*Exemption) {
	accounted := true
	for _, e := range exemptions {
		known := w.stated(e)
		if known == nil {
			accounted = false
			continue
		}
		if line := "exemption " + problem.Quote(e.Name) + " of policy " + e.object.Name + ", for " + e.who() + ", lets it through before " + e.day() + ": " + known.Reason; !slices.Contains(found.Because, line) {
			found.Because = append(found.Because, line)
		}
	}
	if accounted {
		found.Severity, found.Hint = problem.Warning, "take the exemption out of the Platform once its reason is gone"
	}
}

// day is the first day on which an exemption is over.
func (e *Exemption) day() string { return e.End[:len("2027-04-01")] }

// exemptions reports what policies let through all the same.
func exemptions(w *world) problem.List {
	var found problem.List
	for _, o := range w.policies.objects {
		var all []Exemption
		for _, policy := range sortedKeys(exemptedNames) {
			// Several compare the same; one that is called otherwise is any of them.
			if _, these := withoutExemptions(o.Map("spec"), policy); len(all) == 0 || strings.HasSuffix(o.Name, "-"+policy) && len(these) > 0 {
				all = these
			}
		}
		for i := range all {
			all[i].object = o
			found = append(found, w.lift(&all[i]))
		}
	}
	for _, kind := range sortedKeys(w.policies.keepers.constraints) {
		for _, c := range w.policies.keepers.constraints[kind] {
			found = append(found, w.liftedBy(c)...)
		}
	}
	return found
}

// liftedBy reports what a Constraint lets through.
func (w *world) liftedBy(c *inventory.Object) problem.List {
	var all []Exemption
	for _, policy := range sortedKeys(exemptedPaths) {
		// A long name is cut, and says no policy.
		if these, _ := constraintExemptions(c, policy, nil); len(all) == 0 || strings.HasSuffix(c.Name, "-"+policy) && len(these) > 0 {
			all = these
		}
	}
	var found problem.List
	for i := range all {
		found = append(found, w.lift(&all[i]))
	}
	return found
}

func (w *world) lift(e *Exemption) problem.Problem {
	o := e.object
	lets := "policy " + o.Name + " lets " + e.who() + " through in " + list(e.Namespaces) + ", for " + list(e.Names)
	known := w.stated(e)
	switch {
	case w.over(e):
		at := o.At
		if known != nil {
			at = known.At
		}
		return problem.Problem{
			Rule: problem.ExemptionOver, Position: at, Message: "exemption " + problem.Quote(e.Name) + " of policy " + o.Name + " is over since " + e.day(),
			Hint: "take it out of the Platform; the API server refuses again what it was for",
		}
	case known == nil:
		return problem.Problem{
			Rule: problem.ExemptionUnknown, Position: o.At, Message: lets + ", before " + e.day() + ", and nobody says why",
			Hint: "state it among the Platform's admission.exemptions, or take it out of the policy",
		}
	}
	said := problem.Problem{Rule: problem.ExemptionOpen, Position: known.At, Message: lets + ", before " + e.day() + ": " + known.Reason}
	switch clock := w.in.Clock; {
	case clock.Far != "" && e.End > clock.Far:
		said.Severity, said.Hint = problem.Error, "an exemption of more than a year is none; let it end earlier, or change what the policies ask for"
	case e.End <= clock.Soon:
		said.Because = []string{"the API server refuses again what it is for from " + e.day() + " on, which is near"}
	}
	return said
}
