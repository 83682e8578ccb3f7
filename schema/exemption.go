package schema

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Exemption is what a policy lets through although it refuses such: somebody
// makes something, in some namespaces, for a while.
type Exemption struct {
	Name     string
	Position problem.Position
	// Policy is one of liftable.
	Policy string
	// Users and Groups are who; both empty: whoever it is, but External Secrets
	// Operator itself.
	Users, Groups []string
	Namespaces    []string
	// Names are of service accounts, or of the objects that are made.
	Names  []string
	Reason string
	End    string // the first moment after its last day, as 2027-04-01T00:00:00Z

	path string
}

// MaxExemptions bounds them: the API server takes 64 conditions in a policy, and
// what needs many is no exemption.
const MaxExemptions = 16

// maxExemptionName bounds a name, which an annotation's key ends in.
const maxExemptionName = 40

// maxExempted bounds each list of an exemption.
const maxExempted = 16

// liftable are the policies that may be lifted, and whether somebody has to be
// named: who makes a pod is some controller, and who applies an ExternalSecret
// is Flux. All look at what is made: the API server notes the time in that, and
// so knows when an exemption is over.
var liftable = map[string]bool{"minter": true, "pod": false, "token-secret": true, "store": true, "reference": false}

// unliftable says why the others may not be, and what to do instead.
var unliftable = map[string][2]string{
	"mint":      {"it is about External Secrets Operator alone, which is exempt from nothing", "add the audience to a provider, or raise admission.maxTokenSeconds"},
	"role":      {"all other policies rest on what it keeps", onlyWriters},
	"account":   {"all other policies rest on what it keeps", onlyWriters},
	"namespace": {"all other policies rest on what it keeps", onlyWriters},
	"exec":      {"nothing tells it the time, so it would not end; and who is in the operator's pod has all tenants' tokens", onlyWriters},
}

const onlyWriters = "name who has to in admission.writers, or break glass for an hour: docs/admission.md"

// exemptions reads what is to be let through.
func (r *platformReader) exemptions(n *node, p *Platform) []Exemption {
	var all []Exemption
	entries := n.keys()
	if len(entries) > MaxExemptions {
		r.report(n, problem.AdmissionExemption, "admission.exemptions",
			"there are "+strconv.Itoa(len(entries))+" exemptions, and "+strconv.Itoa(MaxExemptions)+" are the most", "change what the policies ask for instead: providers, keyPrefixes, or writers")
		return nil
	}
	for i := range entries {
		e := &entries[i]
		if e.bad || e.value.bad {
			continue
		}
		if one, fine := r.exemption(e, p); fine {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b Exemption) int { return strings.Compare(a.Name, b.Name) })
	return all
}

func (r *platformReader) exemption(e *entry, p *Platform) (one Exemption, fine bool) {
	at, n := join("admission.exemptions", e.key), e.value
	one = Exemption{
		Name: e.key, Position: r.doc.position(keyNode(e)), path: join2(r.path, at),
		Policy: n.get("policy").str(), Users: sorted(n.get("users")), Groups: sorted(n.get("groups")),
		Namespaces: sorted(n.get("namespaces")), Names: sorted(n.get("names")), Reason: strings.TrimSpace(n.get("reason").str()),
	}
	fine = true
	refuse := func(n *node, path, message, hint string) {
		fine = false
		if n != nil && !n.bad {
			r.report(n, problem.AdmissionExemption, join2(at, path), message, hint)
		}
	}
	if len(e.key) > maxExemptionName {
		refuse(keyNode(e), "", "the name has "+strconv.Itoa(len(e.key))+" characters, and is part of another one", "take one of up to "+strconv.Itoa(maxExemptionName))
	}
	if p.Admission.Engine == NoAdmission {
		refuse(keyNode(e), "", "there is no policy to lift: admission.engine is none", "remove it")
	}
	if len(one.Reason) < 10 {
		refuse(n.get("reason"), "reason", "this is blank, and no reason", "say why, for whoever reads verify's report")
	}
	day, err := time.Parse(time.DateOnly, n.get("until").str())
	if err != nil {
		refuse(n.get("until"), "until", problem.Quote(n.get("until").str())+" is no day of any year", "write the last day, as 2027-03-31")
	}
	one.End = day.AddDate(0, 0, 1).Format(time.RFC3339)
	needsWho, may := liftable[one.Policy]
	if why, never := unliftable[one.Policy]; never {
		refuse(n.get("policy"), "policy", "policy "+one.Policy+" is lifted for nobody: "+why[0], why[1])
	}
	if may && needsWho && len(one.Users)+len(one.Groups) == 0 {
		refuse(keyNode(e), "", "policy "+one.Policy+" is lifted for somebody, and nobody is named", "name users, or groups")
	}
	for _, field := range []string{"users", "groups", "namespaces", "names"} {
		list := n.get(field)
		if size := len(list.list()); list != nil && (size == 0 || size > maxExempted) {
			refuse(list, field, "there are "+strconv.Itoa(size)+" here", "list 1 to "+strconv.Itoa(maxExempted))
		}
	}
	exempted(n, p, refuse)
	return one, fine
}

// exempted looks at who and where: nothing that stands for many, nor External
// Secrets Operator.
func exempted(n *node, p *Platform, refuse func(n *node, path, message, hint string)) {
	for _, field := range []string{"users", "groups"} {
		for _, item := range n.get(field).list() {
			switch name := item.text; {
			case strings.Contains(name, "*"):
				refuse(item, field, "names are compared exactly, and "+problem.Quote(name)+" is nobody's", "write each name out")
			case field == "groups" && strings.HasPrefix(name, "system:"):
				refuse(item, field, "Kubernetes itself puts people or service accounts into "+problem.Quote(name), "name users, or a group of your identity provider")
			case name == "system:anonymous":
				refuse(item, field, "that is whoever has not logged in", "name somebody")
			case slices.ContainsFunc(p.ESO.ServiceAccounts(), func(a string) bool { return name == "system:serviceaccount:"+p.ESO.Namespace+":"+a }):
				refuse(item, field, problem.Quote(name)+" is External Secrets Operator, which the fence is around", "name who else it is for")
			}
		}
	}
	for _, item := range n.get("namespaces").list() {
		if item.text == p.ESO.Namespace {
			refuse(item, "namespaces", "what is in "+problem.Quote(item.text)+", External Secrets Operator's own, is for all tenants", "name tenants' namespaces")
		}
	}
}

func sorted(n *node) []string {
	all := n.strs()
	slices.Sort(all)
	return slices.Compact(all)
}

// exemptions: each is for namespaces that are there. A name that is written
// wrong would lift nothing today, and something once there is such a tenant.
func (x *cross) exemptions(c *Cluster) {
	if len(c.Platform.Admission.Exemptions) == 0 {
		return
	}
	there := map[string]bool{}
	for _, t := range c.all() {
		for _, ns := range t.Namespaces {
			there[ns.Name] = true
		}
	}
	for i := range c.Platform.Admission.Exemptions {
		e := &c.Platform.Admission.Exemptions[i]
		for _, name := range e.Namespaces {
			if !there[name] {
				x.dec.report(problem.Problem{
					Rule: problem.AdmissionExemption, Position: e.Position, Path: join2(e.path, "namespaces"),
					Message: "namespace " + problem.Quote(name) + " is no tenant's on this cluster", Hint: "name a tenant's namespace, or take the exemption out with the tenant",
				})
			}
		}
	}
}
