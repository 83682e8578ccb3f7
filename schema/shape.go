package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
)

// form is what a value looks like.
type form int

const (
	anyForm    form = iota // whatever stands there
	recordForm             // a map with fields of its own
	namesForm              // a map from names that somebody chose
	listForm
	textForm
	boolForm
	wholeForm
	numberForm
	eitherForm // one of several forms
)

// shape is what the schema says of one value, in the terms that explain, JSON
// Schema and OpenAPI have in common. It is a tree, since no definition of ours
// holds itself.
type shape struct {
	form       form
	definition string // the definition that this is, without its #; or ""
	about      string // the definition's comment
	doc        string // the field's own comment
	want       string // in words, what a pattern or a range asks for

	fields  []shapeField // of a record, by name
	methods []shapeField // of a store's identity: the record that each method has
	kinds   []string     // of a provider: the fields of which exactly one is stated
	open    bool         // a record in which anything else may stand, too
	key     *shape       // of names: what they look like
	value   *shape       // of names and lists: what they hold
	choice  []*shape     // of either
	merge   string       // of a list: the field by which patches find an item

	words    []string // of a text: the only ones
	pattern  string   // of a text: a regular expression that matches
	refused  string   // of a text: a regular expression that does not match
	nonEmpty bool     // of a text
	low      *int64   // of a number: the least
	high     *int64   // of a number: the greatest
}

type shapeField struct {
	name     string
	required bool
	shape    *shape
}

// comment is what says most of this place: the field's own, before
// that of the definition.
func (s *shape) comment() string { return cmp.Or(s.doc, s.about) }

// field finds a field by its name, or nil.
func (s *shape) field(name string) *shapeField { return findField(s.fields, name) }

func findField(fields []shapeField, name string) *shapeField {
	if i := slices.IndexFunc(fields, func(f shapeField) bool { return f.name == name }); i >= 0 {
		return &fields[i]
	}
	return nil
}

// documentKinds are the kinds of document, each a definition.
var documentKinds = []string{"Platform", "Tenant", kindTenantSet, KindTransformer, KindValidator}

// shaper reads the shapes from the schema. Only what schema.cue makes use of is
// understood; the rest of CUE panics, which a test that reads everything sees.
type shaper struct {
	root cue.Value
	read map[string]shape // definitions
}

func newShaper() *shaper {
	return &shaper{root: cuecontext.New().CompileString(CUE, cue.Filename("schema.cue")), read: map[string]shape{}}
}

// definition is the shape of a definition such as Tenant or Providers.vault, for
// the caller to add to what is said of the place.
func (r *shaper) definition(name string) *shape {
	s, known := r.read[name]
	if !known {
		v := r.root.LookupPath(cue.ParsePath("#" + name))
		s = *r.shape(v)
		s.definition, s.about = name, paragraph(v.Doc())
		if name == "Provider" {
			r.providers(&s)
		}
		r.read[name] = s
	}
	return &s
}

// providers fills in the content of each kind of provider, which the schema
// keeps apart, so that one kind is checked and not all of them.
func (r *shaper) providers(s *shape) {
	for i := range s.fields {
		f := &s.fields[i]
		if !slices.Contains(providerKinds, f.name) {
			continue
		}
		content := "Providers." + f.name
		if f.name == customKind {
			content = "Custom"
		}
		doc := f.shape.doc
		f.shape = r.definition(content)
		f.shape.doc = doc
	}
	s.kinds = providerKinds
}

// identityDefinition is called so in no schema: it is made of #Identities.
const identityDefinition = "Identity"

// identity is what a store is to the other side: what any of the methods takes,
// since which one it is depends on the Platform's catalogue.
func (r *shaper) identity(doc string) *shape {
	all := r.definition("Identities")
	s := &shape{form: recordForm, definition: identityDefinition, doc: doc, methods: all.fields}
	for _, method := range s.methods {
		for _, f := range method.shape.fields {
			known := s.field(f.name)
			if known == nil {
				about := *f.shape
				s.fields = append(s.fields, shapeField{name: f.name, shape: &about})
				continue
			}
			known.shape.doc = addSentence(known.shape.doc, f.shape.doc)
		}
	}
	slices.SortFunc(s.fields, byName)
	return s
}

func addSentence(text, sentence string) string {
	if strings.Contains(text, strings.TrimSuffix(sentence, ".")) {
		return text
	}
	return strings.TrimSpace(text + " " + sentence)
}

func byName(a, b shapeField) int { return strings.Compare(a.name, b.name) }

func (r *shaper) shape(v cue.Value) *shape {
	if name := referred(v); name != "" {
		return r.definition(name)
	}
	if v.IncompleteKind() == cue.StructKind {
		return r.structure(v)
	}
	s := &shape{want: wantOf(v)}
	r.constrain(s, v)
	return s
}

// referred is the definition that a value is, and nothing else.
func referred(v cue.Value) string {
	if root, path := v.ReferencePath(); root.Exists() && len(path.Selectors()) > 0 {
		return strings.TrimPrefix(path.String(), "#")
	}
	op, args := v.Expr()
	if op != cue.AndOp {
		return ""
	}
	// {...} & #SetPlatform is #SetPlatform.
	args = slices.DeleteFunc(args, isOpen)
	if len(args) != 1 {
		return ""
	}
	return referred(args[0])
}

// isOpen tells whether a struct is {...}.
func isOpen(v cue.Value) bool {
	return v.IncompleteKind() == cue.StructKind && v.Allows(cue.AnyString) && len(allFields(v)) == 0
}

// allFields lists a struct's fields and patterns.
func allFields(v cue.Value) []cue.Selector {
	var all []cue.Selector
	for fields, err := v.Fields(cue.Optional(true), cue.Patterns(true)); err == nil && fields.Next(); {
		all = append(all, fields.Selector())
	}
	return all
}

func (r *shaper) structure(v cue.Value) *shape {
	if isOpen(v) {
		return &shape{form: recordForm, open: true}
	}
	s := &shape{form: recordForm}
	for fields, err := v.Fields(cue.Optional(true), cue.Patterns(true)); err == nil && fields.Next(); {
		selector := fields.Selector()
		if selector.ConstraintType() == cue.PatternConstraint {
			r.names(s, selector.Pattern(), fields.Value())
			continue
		}
		s.fields = append(s.fields, r.member(selector, fields.Value()))
	}
	slices.SortFunc(s.fields, byName)
	return s
}

// isRequired tells whether a document without the field is refused. A kind's
// own apiVersion and kind are values, so that CUE fills them in; a document of
// YAML is known by them.
func isRequired(selector cue.Selector, v cue.Value) bool {
	return selector.ConstraintType() == cue.RequiredConstraint || v.IncompleteKind() == cue.StringKind && v.IsConcrete()
}

func (r *shaper) member(selector cue.Selector, v cue.Value) shapeField {
	f := shapeField{name: selector.Unquoted(), required: isRequired(selector, v)}
	doc := paragraph(v.Doc())
	if f.name == "identity" && isOpen(v) {
		f.shape = r.identity(doc)
		return f
	}
	f.shape = r.shape(v)
	f.shape.doc = doc
	merge := v.Attribute("merge")
	f.shape.merge, _ = merge.String(0) // "" where there is none
	return f
}

// names reads a pattern of names and what they stand for. Of two patterns over
// the same names, each says what the other leaves open.
func (r *shaper) names(s *shape, pattern, v cue.Value) {
	s.form = namesForm
	key, value := r.shape(pattern), r.shape(v)
	if s.key == nil || s.key.pattern == "" {
		s.key = key
	}
	if s.value == nil || s.value.open {
		s.value = value
	}
}

// constrain adds what v asks for, which may be one part of a conjunction.
func (r *shaper) constrain(s *shape, v cue.Value) {
	if root, path := v.ReferencePath(); root.Exists() && len(path.Selectors()) > 0 {
		v = root.LookupPath(path)
		s.want = cmp.Or(s.want, wantOf(v))
	}
	op, args := v.Expr()
	switch op {
	case cue.NoOp:
		r.plain(s, v)
	case cue.AndOp:
		for _, arg := range args {
			r.constrain(s, arg)
		}
	case cue.OrOp:
		r.either(s, args)
	case cue.RegexMatchOp:
		s.form, s.pattern = textForm, text(args[0])
	case cue.NotRegexMatchOp:
		s.form, s.refused = textForm, text(args[0])
	case cue.NotEqualOp:
		if text(args[0]) != "" {
			panic(fmt.Sprintf("%v: only \"\" is understood behind !=", v))
		}
		s.form, s.nonEmpty = textForm, true
	case cue.GreaterThanEqualOp:
		s.low = whole(args[0])
	case cue.LessThanEqualOp:
		s.high = whole(args[0])
	default:
		panic(fmt.Sprintf("%v: %v is not understood", v, op))
	}
}

// plain is a literal or one of CUE's own types.
func (r *shaper) plain(s *shape, v cue.Value) {
	if word, err := v.String(); err == nil {
		s.form, s.words = textForm, append(s.words, word)
		return
	}
	switch kind := v.IncompleteKind(); kind {
	case cue.StringKind:
		s.form = textForm
	case cue.BoolKind:
		s.form = boolForm
	case cue.IntKind:
		s.form = wholeForm
	case cue.FloatKind, cue.NumberKind:
		s.form = numberForm
	case cue.ListKind:
		s.form, s.value = listForm, r.shape(v.LookupPath(cue.MakePath(cue.AnyIndex)))
	case cue.TopKind:
		s.form = anyForm
	default:
		panic(fmt.Sprintf("%v: %v is not understood", v, kind))
	}
}

// either is a choice of words, or of forms.
func (r *shaper) either(s *shape, args []cue.Value) {
	var words []string
	for _, arg := range args {
		choice := r.shape(arg)
		words = append(words, choice.words...)
		s.choice = append(s.choice, choice)
	}
	if slices.ContainsFunc(s.choice, func(c *shape) bool { return c.form != textForm || len(c.words) == 0 }) {
		s.form = eitherForm
		return
	}
	s.form, s.words, s.choice = textForm, words, nil
}

func text(v cue.Value) string {
	text, err := v.String()
	if err != nil {
		panic(err) // the schema has literals there
	}
	return text
}

func whole(v cue.Value) *int64 {
	number, err := v.Int64()
	if err != nil {
		panic(err) // the schema has literals there
	}
	return &number
}

func wantOf(v cue.Value) string {
	attribute := v.Attribute("want")
	text, _ := attribute.String(0) // "" where there is none
	return text
}

// paragraph is a comment on one line.
func paragraph(comments []*ast.CommentGroup) string {
	var words []string
	for _, group := range comments {
		if group.Doc {
			words = append(words, strings.Fields(group.Text())...)
		}
	}
	return strings.Join(words, " ")
}
