package schema

import (
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// diagnosis finds what CUE refuses in a value, one problem for each mistake.
//
// CUE's own errors cannot be shown as they are: a missing field is reported
// only where no other error is, an unknown field hides behind a bad sibling, a
// wrong word in an enumeration gives an error for each word it could have
// been, and the positions are the schema's. So CUE decides whether a value is
// right, and where it is not, diagnosis walks value and schema together and
// asks CUE about each leaf on its own.
type diagnosis struct {
	dec  *decoder
	doc  *document
	v    *validator
	used int // problems found
}

// validate checks n against the definition at def, reports each mistake, and
// marks the nodes that have one. prefix is the path of n in its document.
func (dec *decoder) validate(doc *document, def, prefix string, n *node) {
	if size := countNodes(n); size > maxObjectNodes && def != "#TenantSetEnvelope" {
		n.bad = true
		dec.report(problem.Problem{
			Rule: problem.SourceTooLarge, Position: doc.position(n), Path: prefix,
			Message: fmt.Sprintf("this has %d values; at most %d are read", size, maxObjectNodes),
			Hint:    "split it into several tenants",
		})
		return
	}
	if dec.validator.check(def, n) {
		return
	}
	d := &diagnosis{dec: dec, doc: doc, v: &dec.validator}
	marked := anyBad(n)
	d.walk(dec.validator.definition(def), prefix, n)
	if d.used == 0 && !marked {
		// The walk knows less than CUE: say that something is wrong rather than nothing.
		d.report(n, problem.SchemaOther, prefix, "this does not satisfy "+strings.TrimPrefix(def, "#"), "compare it with the examples")
	}
}

// countNodes counts n and all that is in it.
func countNodes(n *node) int {
	count := 1
	for _, item := range n.items {
		count += countNodes(item)
	}
	for _, e := range n.entries {
		count += countNodes(e.value)
	}
	return count
}

// anyBad tells whether a problem was already reported inside n.
func anyBad(n *node) bool {
	return n.bad ||
		slices.ContainsFunc(n.items, anyBad) ||
		slices.ContainsFunc(n.entries, func(e entry) bool { return e.bad || anyBad(e.value) })
}

func (d *diagnosis) report(n *node, rule problem.Rule, path, message, hint string) {
	d.used++
	n.bad = true
	d.dec.report(problem.Problem{Rule: rule, Position: d.doc.position(n), Path: path, Message: message, Hint: hint})
}

func (d *diagnosis) walk(schema cue.Value, path string, n *node) {
	if d.dec.dropped > 0 || n.bad && n.kind != mapNode {
		return // there are more problems than are shown, or this one was reported
	}
	if schema.IncompleteKind() == cue.TopKind {
		return // anything goes here; what it is for is checked elsewhere
	}
	schema = branch(schema, n)
	if !kindFits(schema, n) {
		d.wrongKind(schema, path, n)
		return
	}
	switch n.kind {
	case mapNode:
		d.walkMap(schema, path, n)
	case listNode:
		element := schema.LookupPath(cue.MakePath(cue.AnyIndex))
		for i, item := range n.items {
			d.walk(element, fmt.Sprintf("%s[%d]", path, i), item)
		}
	default:
		d.leaf(schema, path, n)
	}
}

// branch picks the map among the alternatives of a disjunction where n is a
// map, since a map can only have meant that.
func branch(schema cue.Value, n *node) cue.Value {
	op, args := schema.Expr()
	if op != cue.OrOp || n.kind != mapNode {
		return schema
	}
	for _, arg := range args {
		if arg.IncompleteKind() == cue.StructKind {
			return arg
		}
	}
	return schema
}

var kinds = map[nodeKind]cue.Kind{
	nullNode: cue.NullKind, boolNode: cue.BoolKind, intNode: cue.IntKind, floatNode: cue.FloatKind,
	stringNode: cue.StringKind, mapNode: cue.StructKind, listNode: cue.ListKind,
}

func kindFits(schema cue.Value, n *node) bool {
	return schema.IncompleteKind()&kinds[n.kind] != 0
}

func (d *diagnosis) wrongKind(schema cue.Value, path string, n *node) {
	want := kindText(schema.IncompleteKind())
	hint := ""
	if text := wanted(schema); text != "" {
		hint = "write " + text
	}
	found := n.kind.String()
	switch n.kind {
	case nullNode:
		found = "no value"
		hint = "write one, or remove the field; an empty map is {}"
	case boolNode, intNode, floatNode:
		if !n.secret {
			found += " (" + problem.Clean(n.text) + ")"
		}
		if schema.IncompleteKind()&cue.StringKind != 0 {
			hint = "write it in quotes"
		}
	default: // a text, a map or a list says it all
	}
	d.report(n, problem.FieldType, path, "there is "+found+" here; it takes "+want, hint)
}

func kindText(k cue.Kind) string {
	switch {
	case k&cue.StructKind != 0:
		return "a map"
	case k&cue.ListKind != 0:
		return "a list"
	case k&cue.StringKind != 0:
		return "a text"
	case k&cue.NumberKind != 0:
		return "a number"
	case k&cue.BoolKind != 0:
		return "true or false"
	default:
		return "nothing"
	}
}

func (d *diagnosis) walkMap(schema cue.Value, path string, n *node) {
	named := hasFields(schema)
	for i := range n.entries {
		e := &n.entries[i]
		at := join(path, e.key)
		if !schema.Allows(cue.Str(e.key)) {
			if e.bad {
				continue // reported already
			}
			d.notAllowed(schema, named, path, e)
			if !named {
				// The name is wrong; what it names may be wrong as well.
				d.walk(d.child(schema, anyName), at, e.value)
			}
			continue
		}
		d.walk(d.child(schema, e.key), at, e.value)
	}
	for _, field := range fieldNames(schema, true) {
		if n.entry(field) == nil {
			d.missing(schema, path, n, field)
		}
	}
}

// anyName is a name that every map from names takes.
const anyName = "a"

// notAllowed reports a key: an unknown field, or a name of the wrong form in a
// map from names.
func (d *diagnosis) notAllowed(schema cue.Value, named bool, path string, e *entry) {
	e.bad = true
	if !named {
		d.report(keyNode(e), problem.NameInvalid, path, problem.Quote(e.key)+" is no valid name here", nameHint(e.key))
		return
	}
	known := fieldNames(schema, false)
	hint := "fields here are " + strings.Join(known, ", ")
	if near := Nearest(e.key, known); near != "" {
		hint = "did you mean " + near + "?"
	}
	d.report(keyNode(e), problem.FieldUnknown, join(path, e.key), "there is no field "+problem.Quote(e.key), hint)
}

func nameHint(name string) string {
	if strings.ContainsAny(name, "/") {
		return "a label key is an optional DNS subdomain and '/', then at most 63 letters, digits, '-', '_' and '.'"
	}
	return "a name is a DNS label: lower-case letters, digits and '-', at most 63, beginning and ending with a letter or digit"
}

func (d *diagnosis) missing(schema cue.Value, path string, n *node, field string) {
	hint := ""
	child := schema.LookupPath(cue.MakePath(cue.Str(field).Required()))
	if text := wanted(child); text != "" {
		hint = "it is " + text
	} else if words := enumeration(child); len(words) > 0 {
		hint = "it is one of " + problem.QuoteAll(words)
	}
	// The map itself is right but for this, so it is not marked.
	d.used++
	d.dec.report(problem.Problem{
		Rule: problem.FieldMissing, Position: d.doc.position(n), Path: path,
		Message: "field " + problem.Quote(field) + " is required and not there", Hint: hint,
	})
}

// child is the schema of the value under key. Unifying with a struct that has
// the key finds it behind patterns as well as among the fields.
func (d *diagnosis) child(schema cue.Value, key string) cue.Value {
	for _, selector := range []cue.Selector{cue.Str(key).Required(), cue.Str(key).Optional()} {
		if child := schema.LookupPath(cue.MakePath(selector)); child.Exists() {
			return child
		}
	}
	probe := d.v.ctx.CompileString("{}").FillPath(cue.MakePath(cue.Str(key)), d.v.ctx.CompileString("_"))
	return schema.Unify(probe).LookupPath(cue.MakePath(cue.Str(key)))
}

func (d *diagnosis) leaf(schema cue.Value, path string, n *node) {
	if schema.Unify(d.v.ctx.BuildExpr(expr(n))).Validate(cue.Concrete(true), cue.Final()) == nil {
		return
	}
	if words := enumeration(schema); len(words) > 0 {
		hint := ""
		if near := Nearest(n.text, words); near != "" {
			hint = "did you mean " + problem.Quote(near) + "?"
		}
		d.report(n, problem.FieldValue, path, quoteValue(n, "")+" is none of "+problem.QuoteAll(words), hint)
		return
	}
	text := wanted(schema)
	if text == "" {
		text = fmt.Sprint(schema)
	}
	d.report(n, problem.FieldValue, path, quoteValue(n, text)+" is not "+text, "")
}

// quoteValue repeats a value, unless it may hold a credential: a URL with more
// than a path in it, a header, or what somebody pasted where certificates go.
func quoteValue(n *node, wanted string) string {
	switch {
	case n.secret:
		return "this text"
	case (strings.Contains(n.text, "://") || strings.Contains(wanted, "URL")) && strings.ContainsAny(n.text, "?#@"):
		return "this URL"
	default:
		return problem.Quote(n.text)
	}
}

// wanted is the @want text of the first definition among the schema's parts.
func wanted(schema cue.Value) string {
	parts := []cue.Value{schema}
	if op, args := schema.Expr(); op == cue.AndOp || op == cue.OrOp {
		parts = append(parts, args...)
	}
	for _, part := range parts {
		root, path := part.ReferencePath()
		if len(path.Selectors()) > 0 {
			part = root.LookupPath(path)
		}
		attr := part.Attribute("want")
		if text, err := attr.String(0); err == nil && text != "" {
			return text
		}
	}
	return ""
}

// enumeration returns the words of a disjunction of texts, or nil. What else
// than a text could stand there is left out.
func enumeration(schema cue.Value) []string {
	if word, err := schema.String(); err == nil {
		return []string{word}
	}
	if root, path := schema.ReferencePath(); len(path.Selectors()) > 0 {
		schema = root.LookupPath(path)
	}
	op, args := schema.Expr()
	if op != cue.OrOp {
		return nil
	}
	var words []string
	for _, arg := range args {
		words = append(words, enumeration(arg)...)
	}
	return words
}

// hasFields tells whether the schema names fields, as a map from names does not.
func hasFields(schema cue.Value) bool { return len(fieldNames(schema, false)) > 0 }

// fieldNames lists the fields that the schema names, or just the required ones.
func fieldNames(schema cue.Value, required bool) []string {
	fields, err := schema.Fields(cue.Optional(true))
	if err != nil {
		return nil
	}
	var names []string
	for fields.Next() {
		if !required || fields.Selector().ConstraintType() == cue.RequiredConstraint {
			names = append(names, fields.Selector().Unquoted())
		}
	}
	slices.Sort(names)
	return names
}

func join(path, key string) string {
	if strings.ContainsAny(key, ". []") {
		key = problem.Quote(key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
