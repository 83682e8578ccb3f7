package audit

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// PolicyText is an audit Policy that logs what is judged here, and nothing else.
const PolicyText = policyHead + tokenRule + secretRule + changeRule + `
  # Nothing else is logged. Add rules of your own below, a catch-all last: the
  # first rule that matches a request decides. A policy cannot ask for requests
  # that act as somebody else, so a catch-all at level Metadata shows these best.
`

const policyHead = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
`

// Our rules. Each is a text, so that it comes with its comment.
const (
	tokenRule = `  # Who was given tokens of which service account, for what and how long. Never
  # at level RequestResponse: that writes the tokens themselves into the log.
  - level: Request
    omitStages: [RequestReceived]
    verbs: [create]
    resources:
      - group: ""
        resources: [serviceaccounts/token]
`
	secretRule = `  # Who wrote Secrets. Never above level Metadata: that writes what is in them
  # into the log.
  - level: Metadata
    omitStages: [RequestReceived]
    verbs: [create, update, patch, delete, deletecollection]
    resources:
      - group: ""
        resources: [secrets]
`
	secretReadRule = `  # Secrets never above level Metadata: that writes what is in them into the log.
  - level: Metadata
    omitStages: [RequestReceived]
    resources:
      - group: ""
        resources: [secrets]
`
	reviewRule = `  # Reviews of tokens never above level Metadata: that writes the tokens that are
  # reviewed into the log.
  - level: Metadata
    omitStages: [RequestReceived]
    resources:
      - group: authentication.k8s.io
        resources: [tokenreviews]
`
	changeRule = `  # Who changed what fences are made of.
  - level: Metadata
    omitStages: [RequestReceived]
    verbs: [create, update, patch, delete, deletecollection]
    resources:
      - group: ""
        resources: [serviceaccounts]
      - group: rbac.authorization.k8s.io
        resources: [roles, rolebindings, clusterroles, clusterrolebindings]
      - group: admissionregistration.k8s.io
        resources: [validatingadmissionpolicies, validatingadmissionpolicybindings]
`
)

// The levels, in their order.
var levels = []string{"None", "Metadata", "Request", "RequestResponse"}

// policyRule is a rule of an audit Policy, as far as it decides.
type policyRule struct {
	Level      string   `yaml:"level"`
	Users      []string `yaml:"users"`
	UserGroups []string `yaml:"userGroups"`
	Verbs      []string `yaml:"verbs"`
	Resources  []struct {
		Group         string   `yaml:"group"`
		Resources     []string `yaml:"resources"`
		ResourceNames []string `yaml:"resourceNames"`
	} `yaml:"resources"`
	Namespaces        []string `yaml:"namespaces"`
	NonResourceURLs   []string `yaml:"nonResourceURLs"`
	OmitStages        []string `yaml:"omitStages"`
	OmitManagedFields *bool    `yaml:"omitManagedFields"`

	at problem.Position
}

// Policy is an audit Policy that was read.
type Policy struct {
	file     string
	document *yaml.Node
	sequence *yaml.Node // of rules
	rules    []policyRule
	omits    bool // the answers' stage, for all rules
	omitsAt  problem.Position
}

// maxPolicy bounds a policy, in bytes.
const maxPolicy = 1 << 20

// ParsePolicy reads an audit Policy. What the API server would not take is a
// problem.
func ParsePolicy(file string, from io.Reader) (*Policy, problem.List) {
	data, err := io.ReadAll(io.LimitReader(from, maxPolicy+1))
	switch {
	case err != nil:
		return nil, problem.List{unreadable(file, "this cannot be read: "+cause(err))}
	case len(data) > maxPolicy:
		return nil, problem.List{unreadable(file, "this is larger than an audit policy can be")}
	}
	p := &Policy{file: file, document: &yaml.Node{}}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(p.document); err != nil {
		return nil, p.invalid(nil, "this is no YAML: "+strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, p.invalid(nil, "there is more than one document; the API server reads one")
	}
	if problems := p.read(); len(problems) > 0 {
		return nil, problems
	}
	return p, nil
}

// invalid is a problem at a node, or of the whole file.
func (p *Policy) invalid(at *yaml.Node, message string) problem.List {
	return problem.List{{Rule: problem.AuditPolicyInvalid, Position: p.position(at), Message: message, Hint: "the form of an audit policy: eso-tenant audit policy"}}
}

func (p *Policy) position(n *yaml.Node) problem.Position {
	if n == nil {
		return problem.Position{File: p.file}
	}
	return problem.Position{File: p.file, Line: n.Line, Column: n.Column}
}

func (p *Policy) read() problem.List {
	root := p.document.Content[0]
	if root.Kind != yaml.MappingNode {
		return p.invalid(root, "this is no object")
	}
	var problems problem.List
	var kind, version string
	for i := 0; i+1 < len(root.Content); i += 2 {
		name, value := root.Content[i], root.Content[i+1]
		switch name.Value {
		case "kind":
			kind = value.Value
		case "apiVersion":
			version = value.Value
		case "metadata", "omitManagedFields":
		case "omitStages":
			problems = append(problems, p.readStages(value)...)
		case "rules":
			problems = append(problems, p.readRules(value)...)
		default:
			problems = append(problems, p.invalid(name, "a Policy has no field "+problem.Quote(name.Value))...)
		}
	}
	if kind != "Policy" || version != "audit.k8s.io/v1" {
		problems = append(problems, p.invalid(root, "this is "+problem.Quote(kind)+" of "+problem.Quote(version)+", not a Policy of audit.k8s.io/v1")...)
	}
	if p.sequence == nil && len(problems) == 0 {
		problems = p.invalid(root, "there are no rules; the API server takes no policy without any")
	}
	return problems
}

func (p *Policy) readStages(value *yaml.Node) problem.List {
	var stages []string
	if err := value.Decode(&stages); err != nil {
		return p.invalid(value, "omitStages is no list of stages")
	}
	p.omits, p.omitsAt = slices.Contains(stages, "ResponseComplete"), p.position(value)
	return p.checkStages(value, stages)
}

func (p *Policy) checkStages(at *yaml.Node, stages []string) problem.List {
	known := []string{"RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"}
	for _, stage := range stages {
		if !slices.Contains(known, stage) {
			return p.invalid(at, problem.Quote(stage)+" is no stage; there are "+strings.Join(known, ", "))
		}
	}
	return nil
}

func (p *Policy) readRules(value *yaml.Node) problem.List {
	if value.Kind != yaml.SequenceNode || len(value.Content) == 0 {
		return p.invalid(value, "rules is no list with something in it")
	}
	p.sequence = value
	var problems problem.List
	for _, n := range value.Content {
		r := policyRule{at: p.position(n)}
		problems = append(problems, p.readRule(n, &r)...)
		p.rules = append(p.rules, r)
	}
	return problems
}

func (p *Policy) readRule(n *yaml.Node, r *policyRule) problem.List {
	var one bytes.Buffer
	encoder := yaml.NewEncoder(&one)
	if err := errors.Join(encoder.Encode(n), encoder.Close()); err != nil {
		return p.invalid(n, "this rule cannot be read: "+err.Error())
	}
	decoder := yaml.NewDecoder(&one)
	decoder.KnownFields(true)
	if err := decoder.Decode(r); err != nil {
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		if wrong := (*yaml.TypeError)(nil); errors.As(err, &wrong) && len(wrong.Errors) > 0 {
			_, text, _ = strings.Cut(wrong.Errors[0], ": ")
		}
		text, _, _ = strings.Cut(text, " in type")
		return p.invalid(n, "this is no rule: "+text)
	}
	switch {
	case !slices.Contains(levels, r.Level):
		return p.invalid(n, "level is "+problem.Quote(r.Level)+"; it is one of "+strings.Join(levels, ", "))
	case len(r.NonResourceURLs) > 0 && len(r.Resources)+len(r.Namespaces) > 0:
		return p.invalid(n, "a rule is for resources or for nonResourceURLs, not for both")
	}
	if wrong := r.wrong(); wrong != "" {
		return p.invalid(n, wrong)
	}
	return p.checkStages(n, r.OmitStages)
}

// wrong says what the API server would not take of a rule's resources and URLs
// (k8s.io/apiserver v0.36.3, pkg/apis/audit/validation/validation.go).
func (r *policyRule) wrong() string {
	for _, url := range r.NonResourceURLs {
		if star := strings.IndexByte(url, '*'); url != "*" && (!strings.HasPrefix(url, "/") || star >= 0 && star < len(url)-1) {
			return "nonResourceURLs has " + problem.Quote(url) + "; it is to begin with / and may have one * at its end"
		}
	}
	for _, g := range r.Resources {
		switch {
		case g.Group != "" && g.Group != "*" && strings.ContainsFunc(g.Group, func(c rune) bool {
			return c != '-' && c != '.' && (c < 'a' || c > 'z') && (c < '0' || c > '9')
		}):
			return "group " + problem.Quote(g.Group) + " is no API group, such as rbac.authorization.k8s.io, without a version"
		case len(g.ResourceNames) > 0 && len(g.Resources) == 0:
			return "resourceNames are of resources, which are to be named beside them"
		}
	}
	return ""
}

// logs is the level at which a rule has the answer to a request logged.
func (r *policyRule) logs() string {
	if slices.Contains(r.OmitStages, "ResponseComplete") {
		return "None"
	}
	return r.Level
}

// request is a kind of request that matters.
type request struct{ verb, group, resource, subresource string }

// String is "create serviceaccounts/token".
func (q request) String() string {
	name := q.resource
	if q.subresource != "" {
		name += "/" + q.subresource
	}
	if q.group != "" {
		name += "." + q.group
	}
	return q.verb + " " + name
}

// meets tells whether the rule decides on some of these requests, and on all.
func (r *policyRule) meets(q request) (some, all bool) {
	if len(r.Verbs) > 0 && !slices.Contains(r.Verbs, q.verb) {
		return false, false
	}
	if len(r.Resources)+len(r.Namespaces) == 0 && len(r.NonResourceURLs) > 0 {
		return false, false
	}
	all = len(r.Users) == 0 && (len(r.UserGroups) == 0 || slices.Contains(r.UserGroups, "system:authenticated")) && len(r.Namespaces) == 0
	if len(r.Resources) == 0 {
		return true, all
	}
	named := true
	for _, g := range r.Resources {
		if g.Group != q.group && g.Group != "*" {
			continue
		}
		if len(g.Resources) == 0 || slices.ContainsFunc(g.Resources, q.is) {
			some = true
			named = named && len(g.ResourceNames) > 0
		}
	}
	return some, some && all && !named
}

// is tells whether a rule's name of a resource means this one
// (k8s.io/apiserver v0.36.3, pkg/audit/policy/checker.go).
func (q request) is(name string) bool {
	combined := q.resource
	if q.subresource != "" {
		combined += "/" + q.subresource
	}
	sub, anySub := strings.CutPrefix(name, "*/")
	resource, anyOf := strings.CutSuffix(name, "/*")
	return name == "*" || name == combined || q.subresource != "" && anySub && sub == q.subresource || anyOf && resource == q.resource
}

// needed is what has to be logged, and at which levels.
type needed struct {
	request
	least, most string
	text        string // the rule of ours for it
}

// needs are all requests that matter.
func needs() []needed {
	all := []needed{{request{"create", "", "serviceaccounts", "token"}, "Request", "Request", tokenRule}}
	verbs := []string{"create", "update", "patch", "delete", "deletecollection"}
	for _, verb := range verbs {
		all = append(all, needed{request{verb, "", "secrets", ""}, "Metadata", "Metadata", secretRule})
	}
	for _, verb := range []string{"get", "list", "watch"} {
		all = append(all, needed{request{verb, "", "secrets", ""}, "None", "Metadata", secretReadRule})
	}
	all = append(all, needed{request{"create", "authentication.k8s.io", "tokenreviews", ""}, "None", "Metadata", reviewRule})
	for _, kind := range []struct {
		group     string
		resources []string
	}{
		{"", []string{"serviceaccounts"}},
		{"rbac.authorization.k8s.io", []string{"roles", "rolebindings", "clusterroles", "clusterrolebindings"}},
		{"admissionregistration.k8s.io", []string{"validatingadmissionpolicies", "validatingadmissionpolicybindings"}},
	} {
		for _, resource := range kind.resources {
			for _, verb := range verbs {
				all = append(all, needed{request{verb, kind.group, resource, ""}, "Metadata", "RequestResponse", changeRule})
			}
		}
	}
	return all
}

// fault is a rule that logs requests at a level that is too low, or too high. A
// fault of no rule is that none decides, which means level None.
type fault struct {
	needed
	rule  int // len(rules): none
	level string
}

func (f *fault) tooHigh() bool {
	return slices.Index(levels, f.level) > slices.Index(levels, f.most)
}

// faults are those of a policy: for each request that matters, of all rules that
// decide on some.
func (p *Policy) faults() []fault {
	var all []fault
	for _, need := range needs() {
		decided := false
		for i := range p.rules {
			some, every := p.rules[i].meets(need.request)
			if !some {
				continue
			}
			level := p.rules[i].logs()
			if n := slices.Index(levels, level); n < slices.Index(levels, need.least) || n > slices.Index(levels, need.most) {
				all = append(all, fault{need, i, level})
			}
			if decided = every; every {
				break
			}
		}
		if !decided && need.least != "None" {
			all = append(all, fault{need, len(p.rules), "None"})
		}
	}
	return all
}

// Check says where a policy logs too little to judge by, or too much to keep.
func (p *Policy) Check() problem.List {
	var all problem.List
	if p.omits {
		all = append(all, p.omitted())
	}
	type place struct {
		rule    int
		tooHigh bool
		level   string
		text    string
	}
	requests := map[place][]string{}
	for _, f := range p.faults() {
		k := place{f.rule, f.tooHigh(), f.level, f.text}
		requests[k] = append(requests[k], f.String())
	}
	for k, of := range requests {
		at, says := p.position(p.sequence), "no rule decides on some requests to "+enumerate(of)+", so that these are not logged"
		if k.rule < len(p.rules) {
			at = p.rules[k.rule].at
			says = "this rule logs some requests to " + enumerate(of) + " at level " + k.level
		}
		found := problem.Problem{Rule: problem.AuditPolicyLevel, Position: at, Message: says, Hint: "add what is missing before it: eso-tenant audit policy --merge " + problem.Clean(p.file)}
		if k.tooHigh {
			found.Rule = problem.AuditPolicySecret
			found.Message += ", which writes what is secret into the log"
		}
		all = append(all, found)
	}
	return all.Sorted()
}

func (p *Policy) omitted() problem.Problem {
	return problem.Problem{
		Rule: problem.AuditPolicyLevel, Position: p.omitsAt, Message: "omitStages of the whole policy leaves out ResponseComplete: no request's answer is logged",
		Hint: "leave out RequestReceived only",
	}
}

// enumerate names the first few of several.
func enumerate(texts []string) string {
	const shown = 3
	if len(texts) <= shown+1 {
		return strings.Join(texts, ", ")
	}
	return strings.Join(texts[:shown], ", ") + fmt.Sprintf(" and %d more", len(texts)-shown)
}
