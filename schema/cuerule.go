package schema

import (
	"path"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/token"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// The platform team's own rules are the field rules of the package beside a
// Platform:
//
//	rules: "cost-centre": tenant: spec: namespaces: [string]: labels: "cost-centre"!: =~"^[0-9]{4}$" //error: …
//
// A rule has what every Tenant on the Platforms of that folder is unified with,
// what every Platform there is, or both. It only ever refuses: what it adds
// goes nowhere. Rules are evaluated one by one, so that one hides no problem of
// another, and the one that does not end is known by name.

// rulesField is the top-level field of a package that holds its rules.
const rulesField = "rules"

// cueRule is one rule, as it is written.
type cueRule struct {
	name string
	pos  problem.Position
}

// subject is what a rule is unified with: a Tenant or a Platform.
type subject struct {
	kind, name string
	root       *node
	doc        *document
	path       string // of its spec, in its document
}

// rules holds what stands on a folder's Platforms to the folder's rules.
func (c *cueSources) rules(folder *cueFolder) {
	named := c.ruleNames(folder)
	subjects := c.subjects(folder)
	for _, rule := range named {
		if !c.stopped {
			c.rule(folder, rule, subjects)
		}
	}
}

// ruleNames lists a folder's rules, in the order of their names.
func (c *cueSources) ruleNames(folder *cueFolder) []cueRule {
	var found []cueRule
	for _, f := range folder.files {
		if f.syntax == nil {
			continue
		}
		for decl := range ruleDecls(f.syntax) {
			field, ok := decl.(*ast.Field)
			name := ""
			if ok {
				name, _, _ = ast.LabelName(field.Label)
			}
			pos := c.place(decl.Pos())
			switch {
			case name == "":
				c.dec.unread = true
				c.report(problem.CUEValue, pos, "a rule is written out, with its name", `write rules: "name": tenant: …`)
			case !slices.ContainsFunc(found, func(r cueRule) bool { return r.name == name }):
				found = append(found, cueRule{name: name, pos: pos})
			}
		}
	}
	slices.SortFunc(found, func(a, b cueRule) int { return strings.Compare(a.name, b.name) })
	return found
}

// ruleDecls yields what stands in the rules fields of a file.
func ruleDecls(file *ast.File) func(yield func(ast.Decl) bool) {
	return func(yield func(ast.Decl) bool) {
		for _, decl := range file.Decls {
			field, ok := decl.(*ast.Field)
			if !ok || !isRules(field) {
				continue
			}
			lit, ok := field.Value.(*ast.StructLit)
			if !ok {
				yield(&ast.EmbedDecl{Expr: field.Value}) // to be refused
				return
			}
			for _, elt := range lit.Elts {
				if _, comment := elt.(*ast.CommentGroup); !comment && !yield(elt) {
					return
				}
			}
		}
	}
}

func isRules(field *ast.Field) bool {
	name, _, err := ast.LabelName(field.Label)
	return err == nil && name == rulesField
}

// withoutRules takes the rules out of a file, for its documents.
func withoutRules(file *ast.File) {
	keepDecls(file, func(decl ast.Decl) bool {
		field, ok := decl.(*ast.Field)
		return !ok || !isRules(field)
	})
}

// onlyRule takes all out of a file but one rule and what it may refer to:
// definitions, hidden fields and let clauses.
func onlyRule(name string) func(*ast.File) {
	return func(file *ast.File) {
		keepDecls(file, func(decl ast.Decl) bool {
			field, ok := decl.(*ast.Field)
			if !ok {
				_, embedded := decl.(*ast.EmbedDecl)
				_, comprehension := decl.(*ast.Comprehension)
				return !embedded && !comprehension
			}
			if !isRules(field) {
				label, _, err := ast.LabelName(field.Label)
				return err == nil && (strings.HasPrefix(label, "_") || strings.HasPrefix(label, "#"))
			}
			lit, ok := field.Value.(*ast.StructLit)
			if !ok {
				return false
			}
			lit.Elts = slices.DeleteFunc(lit.Elts, func(elt ast.Decl) bool {
				other, ok := elt.(*ast.Field)
				if !ok {
					return false
				}
				label, _, _ := ast.LabelName(other.Label)
				return label != name
			})
			return true
		})
	}
}

func keepDecls(file *ast.File, keep func(ast.Decl) bool) {
	file.Decls = slices.DeleteFunc(file.Decls, func(decl ast.Decl) bool { return !keep(decl) })
}

// subjects lists the Platforms of a folder and the tenants on them, but for
// those with a problem already: what a rule said of them would be noise.
func (c *cueSources) subjects(folder *cueFolder) []subject {
	var found []subject
	var names []string
	for _, p := range c.dec.platforms {
		if p.doc.file == "" || path.Dir(slashed(p.doc.file)) != folder.dir {
			continue
		}
		names = append(names, p.Name)
		if !anyBad(p.spec) {
			found = append(found, newSubject(kindPlatform, p.Name, p.spec, p.doc, p.path))
		}
	}
	for _, t := range c.dec.tenants {
		if !anyBad(t.spec) && slices.ContainsFunc(t.on, func(name string) bool { return slices.Contains(names, name) }) {
			found = append(found, newSubject(kindTenant, t.name, t.spec, t.doc, t.path))
		}
	}
	return found
}

// newSubject is an object as a rule sees it: what its file says, whichever
// kind of document it stands in.
func newSubject(kind, name string, spec *node, doc *document, at string) subject {
	s := subject{kind: kind, name: name, doc: doc, path: at, root: doc.root}
	if doc.root.get("kind").str() != kind { // part of a TenantSet
		text := func(s string) *node {
			return &node{kind: stringNode, text: s, line: spec.line, col: spec.col, file: spec.file}
		}
		field := func(key string, value *node) entry {
			return entry{key: key, value: value, line: spec.line, col: spec.col, file: spec.file}
		}
		metadata := &node{kind: mapNode, line: spec.line, col: spec.col, file: spec.file, entries: []entry{field("name", text(name))}}
		s.root = &node{kind: mapNode, line: spec.line, col: spec.col, file: spec.file, entries: []entry{
			field("apiVersion", text(APIVersion)), field("kind", text(kind)), field("metadata", metadata), field("spec", spec),
		}}
	}
	return s
}

// refusal is what a rule says of one subject.
type refusal struct {
	subject *subject
	err     cueerrors.Error
}

// rule evaluates one rule against all subjects.
func (c *cueSources) rule(folder *cueFolder, rule cueRule, subjects []subject) {
	var refusals []refusal
	var broken error
	var working atomic.Pointer[subject]
	for start := 0; start == 0 || start < len(subjects); start += renewAfter {
		some := subjects[start:min(start+renewAfter, len(subjects))]
		instance, ok := c.load(folder, realSchema, onlyRule(rule.name))
		if !ok {
			return
		}
		evaluation := &ruleEvaluation{rule: rule, working: &working}
		if err := within(c.dec.cue, func() { evaluation.run(cuecontext.New(), instance, some) }); err != nil {
			what := "rule " + problem.Quote(rule.name)
			if s := working.Load(); s != nil {
				what += ", on " + s.kind + " " + problem.Quote(s.name)
			}
			c.tooLong(err, what, rule.pos)
			return
		}
		refusals, broken = append(refusals, evaluation.refusals...), evaluation.broken
		if broken != nil {
			break
		}
		for _, p := range evaluation.problems {
			c.dec.unread = true
			c.dec.report(p)
		}
	}
	if broken != nil {
		c.reportErrors(problem.CUEValue, broken, rule.pos, "rule "+problem.Quote(rule.name)+": ")
		return
	}
	said := errorComments(folder)
	for _, r := range refusals {
		c.refused(rule, r, said)
	}
}

// ruleEvaluation runs beside the decoder and touches nothing of it.
type ruleEvaluation struct {
	rule     cueRule
	working  *atomic.Pointer[subject]
	broken   error
	problems problem.List
	refusals []refusal
}

func (e *ruleEvaluation) run(ctx *cue.Context, instance *build.Instance, subjects []subject) {
	root := ctx.BuildInstance(instance)
	if e.broken = root.Err(); e.broken != nil {
		return
	}
	parts := map[string]cue.Value{}
	for name, part := range children(root.LookupPath(cue.MakePath(cue.Str(rulesField), cue.Str(e.rule.name)))) {
		if ours := name == "tenant" || name == "platform"; !ours || part.IncompleteKind() != cue.StructKind {
			e.report(name, "a rule has a struct tenant, or platform, or both; "+problem.Quote(name)+" is none")
			continue
		}
		parts[name] = part
	}
	if len(parts) == 0 && len(e.problems) == 0 {
		e.report("", "this rule asks for nothing")
	}
	for i := range subjects {
		s := &subjects[i]
		part, ok := parts[strings.ToLower(s.kind)]
		if !ok {
			continue
		}
		e.working.Store(s)
		e.refusals = append(e.refusals, refusalsOf(ctx, part, s)...)
	}
}

func (e *ruleEvaluation) report(field, message string) {
	e.problems = append(e.problems, problem.Problem{
		Rule: problem.CUEValue, Position: e.rule.pos, Path: join2(cuePath([]string{rulesField, e.rule.name}), field),
		Message: message, Hint: "write what it asks of a Tenant below tenant:, as a Tenant has it",
	})
}

// maxRounds is how often a subject is looked at again for what a refusal hid.
const maxRounds = 8

// refusalsOf unifies a subject with a rule. CUE says that a field is missing
// only where nothing else is wrong, so what is refused is taken out and the
// rest looked at again.
func refusalsOf(ctx *cue.Context, part cue.Value, s *subject) []refusal {
	var found []refusal
	seen := map[string]bool{}
	root := s.root
	for range maxRounds {
		unified := part.Unify(ctx.BuildExpr(expr(root)))
		more := false
		for _, refused := range cueerrors.Errors(unified.Validate(cue.Concrete(true), cue.Final())) {
			labels := ruleLabels(refused)
			if seen[placeKey(labels)] {
				continue // the alternatives of a disjunction, or what was taken out and is missed now
			}
			seen[placeKey(labels)] = true
			found = append(found, refusal{subject: s, err: refused})
			pruned, ok := root.without(labels)
			root, more = pruned, more || ok
		}
		if !more {
			break
		}
	}
	return found
}

// ruleLabels is the path of a refusal in what the rule was unified with.
func ruleLabels(err cueerrors.Error) []string {
	labels := cueLabels(err.Path())
	if len(labels) >= 3 && labels[0] == rulesField {
		return labels[3:]
	}
	return labels
}

// without copies n less what is at a path; false where nothing is.
func (n *node) without(labels []string) (*node, bool) {
	if len(labels) == 0 || n.kind != mapNode || n.entry(labels[0]) == nil {
		return n, false
	}
	copied := *n
	copied.entries = slices.Clone(n.entries)
	if len(labels) == 1 {
		copied.entries = slices.DeleteFunc(copied.entries, func(e entry) bool { return e.key == labels[0] })
		return &copied, true
	}
	e := copied.entry(labels[0])
	value, ok := e.value.without(labels[1:])
	e.value = value
	return &copied, ok
}

// refused reports what a rule refuses, at the place in the tenant's file, with
// the one in the rule's.
func (c *cueSources) refused(rule cueRule, r refusal, said *commentIndex) {
	labels := ruleLabels(r.err)
	n, known := r.subject.root.deepest(labels)
	places := c.places(r.err)
	message := "rule " + problem.Quote(rule.name)
	if text := said.of(places); text != "" {
		message += ": " + text
	} else {
		message += " refuses this"
		if !hasSecret(n) {
			message += ": " + sayCUE(r.err)
		}
	}
	asked := rule.pos
	if len(places) > 0 {
		asked = places[0]
	}
	c.dec.report(problem.Problem{
		Rule: problem.PlatformRule, Position: r.subject.doc.position(n), Path: r.subject.fieldPath(labels, known),
		Message: message, Because: []string{"asked for at " + asked.String()},
	})
}

// fieldPath writes a path in a subject as one in its document.
func (s *subject) fieldPath(labels []string, known int) string {
	named := labels
	if i := slices.IndexFunc(labels, func(l string) bool { return strings.HasPrefix(l, "_") || strings.HasPrefix(l, "#") }); i >= known {
		named = labels[:i] // what the rule has for itself is no field
	}
	if len(named) > 0 && named[0] == "spec" {
		return strings.TrimPrefix(join2(s.path, cuePath(named[1:])), ".")
	}
	if s.root != s.doc.root {
		return s.path
	}
	return cuePath(named)
}

// deepest is the node at a path, or else the last one on the way, and how many
// labels lead to it. A key that is there counts with its own place.
func (n *node) deepest(labels []string) (*node, int) {
	for i, label := range labels {
		next := n.get(label)
		if n.kind == listNode {
			if index, err := strconv.Atoi(label); err == nil && index >= 0 && index < len(n.items) {
				next = n.items[index]
			}
		}
		if next == nil {
			return n, i
		}
		n = next
	}
	return n, len(labels)
}

// hasSecret tells whether n holds what is not to be repeated.
func hasSecret(n *node) bool {
	return n.secret || slices.ContainsFunc(n.items, hasSecret) ||
		slices.ContainsFunc(n.entries, func(e entry) bool { return hasSecret(e.value) })
}

// cueLabels unquotes the labels of a path.
func cueLabels(labels []string) []string {
	plain := make([]string, len(labels))
	for i, label := range labels {
		plain[i] = label
		if text, err := literal.Unquote(label); err == nil {
			plain[i] = text
		}
	}
	return plain
}

// commentIndex finds the //error: comment that speaks for a place.
type commentIndex struct {
	lines  map[string]map[int]string // file → line → text, for one at the end of a line
	fields []commentedField
}

// commentedField is a field with an //error: comment above it.
type commentedField struct {
	file        string
	first, last int
	text        string
}

const errorComment = "//error:"

// errorComments indexes the comments of a folder's files.
func errorComments(folder *cueFolder) *commentIndex {
	index := &commentIndex{lines: map[string]map[int]string{}}
	for _, f := range folder.files {
		index.lines[f.name] = map[int]string{}
		ast.Walk(f.syntax, func(n ast.Node) bool {
			for _, group := range ast.Comments(n) {
				index.add(f.name, n, group)
			}
			return true
		}, nil)
	}
	return index
}

func (x *commentIndex) add(file string, n ast.Node, group *ast.CommentGroup) {
	for _, comment := range group.List {
		text, ok := strings.CutPrefix(comment.Text, errorComment)
		if !ok {
			continue
		}
		text = strings.TrimSpace(text)
		if line := comment.Pos().Line(); !group.Doc {
			x.lines[file][line] = text
			continue
		}
		x.fields = append(x.fields, commentedField{file: file, first: n.Pos().Line(), last: lastLine(n), text: text})
	}
}

func lastLine(n ast.Node) int {
	if end := n.End(); end.IsValid() && end != token.NoPos {
		return end.Line()
	}
	return n.Pos().Line()
}

// of is the text for the first of the places that has one: on its line, or
// above the smallest field around it.
func (x *commentIndex) of(places []problem.Position) string {
	for _, p := range places {
		if text := x.lines[p.File][p.Line]; text != "" {
			return text
		}
		best := commentedField{}
		for _, f := range x.fields {
			inside := f.file == p.File && f.first <= p.Line && p.Line <= f.last
			if inside && (best.text == "" || f.last-f.first < best.last-best.first) {
				best = f
			}
		}
		if best.text != "" {
			return best.text
		}
	}
	return ""
}
