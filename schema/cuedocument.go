package schema

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/build"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/format"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/token"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// maxCollection is how deep documents may stand in maps and lists of a package.
const maxCollection = 8

// documents evaluates a folder's package and returns the documents in it. They
// are evaluated against a schema that only knows its own names, and held to
// the real one like documents of YAML are: its problems are then said in the
// same words, all of them, at the place of what is wrong.
func (c *cueSources) documents(folder *cueFolder) []*document {
	if c.stopped {
		return nil
	}
	instance, ok := c.load(folder, openSchema, withoutRules)
	if !ok {
		return nil
	}
	reader := &cueReader{folder: folder, place: c.place, places: placesOf(folder)}
	var failure error
	if err := within(c.dec.cue, func() { failure = reader.read(instance) }); err != nil {
		c.tooLong(err, "the documents of package "+problem.Quote(folder.pkg), folder.files[0].pos)
		return nil
	}
	if failure != nil {
		c.reportErrors(problem.CUEValue, failure, folder.files[0].pos, "")
		return nil
	}
	for _, p := range reader.problems {
		c.dec.unread = true
		c.dec.report(p)
	}
	if len(reader.problems) > 0 {
		return nil
	}
	docs := make([]*document, len(reader.found))
	for i, found := range reader.found {
		docs[i] = &document{file: found.pos.File, tree: found.pos.File, others: reader.files, root: found.root}
	}
	return docs
}

// cueDocument is a document in a package.
type cueDocument struct {
	value cue.Value
	at    []string
	pos   problem.Position
	root  *node
}

// cueReader turns CUE's values into our own. It works beside the decoder, in
// time of its own, and touches nothing of it.
type cueReader struct {
	folder   *cueFolder
	place    func(token.Pos) problem.Position
	places   map[string]token.Pos
	problems problem.List
	found    []*cueDocument
	files    []string
	nodes    int
}

func (r *cueReader) read(instance *build.Instance) error {
	root := cuecontext.New().BuildInstance(instance)
	if err := root.Err(); err != nil {
		return validate(root)
	}
	r.collection(root, nil, r.folder.files[0].pos, 0)
	if len(r.problems) > 0 {
		return nil
	}
	if err := validate(root); err != nil {
		return err
	}
	for _, doc := range r.found {
		doc.root = r.value(doc.value, doc.at, doc.pos)
	}
	return nil
}

func validate(v cue.Value) error { return v.Validate(cue.Concrete(true), cue.Final()) }

// collection looks for documents in a value.
func (r *cueReader) collection(v cue.Value, at []string, outer problem.Position, depth int) {
	pos := r.position(v, at, outer)
	switch {
	case depth > 0 && isDocument(v):
		r.found = append(r.found, &cueDocument{value: v, at: slices.Clone(at), pos: pos})
	case depth > 0 && !holdsDocuments(v, depth):
		r.report(pos, at, "there is no document here")
	default:
		for label, value := range children(v) {
			r.collection(value, append(at, label), pos, depth+1)
		}
	}
}

// holdsDocuments tells whether v is a collection, if only an empty one.
func holdsDocuments(v cue.Value, depth int) bool {
	kind := v.IncompleteKind() // of what could be anything, both
	empty := kind == cue.StructKind || kind == cue.ListKind
	for _, value := range children(v) {
		if isDocument(value) || depth < maxCollection && holdsDocuments(value, depth+1) {
			return true
		}
		empty = false
	}
	return empty
}

// children yields the fields of a map and the items of a list.
func children(v cue.Value) func(yield func(string, cue.Value) bool) {
	return func(yield func(string, cue.Value) bool) {
		if v.IncompleteKind() == cue.ListKind {
			for items, i := elements(v), 0; items.Next(); i++ {
				if !yield(strconv.Itoa(i), items.Value()) {
					return
				}
			}
			return
		}
		fields, err := v.Fields()
		for err == nil && fields.Next() {
			if !yield(fields.Selector().Unquoted(), fields.Value()) {
				return
			}
		}
	}
}

func elements(v cue.Value) cue.Iterator {
	items, _ := v.List()
	return items
}

// isDocument tells documents from collections of them.
func isDocument(v cue.Value) bool {
	return v.LookupPath(cue.ParsePath("apiVersion")).Exists() || v.LookupPath(cue.ParsePath("kind")).Exists()
}

func (r *cueReader) report(pos problem.Position, at []string, message string) {
	r.problems = append(r.problems, problem.Problem{
		Rule: problem.CUEValue, Position: pos, Path: cuePath(at), Message: message,
		Hint: "documents have apiVersion and kind, as " + ImportPath + "'s #Tenant and #Platform have; what only helps to make them is hidden (_name), a definition (#Name) or let",
	})
}

// value converts one value, within the bounds that YAML's values have.
func (r *cueReader) value(v cue.Value, at []string, outer problem.Position) *node {
	pos := r.position(v, at, outer)
	n := &node{line: int32(pos.Line), col: int32(pos.Column), file: r.file(pos.File)} //nolint:gosec // sources are bounded far below 2³¹ lines
	if r.nodes++; r.nodes > maxNodes {
		if r.nodes == maxNodes+1 {
			r.problems = append(r.problems, problem.Problem{Rule: problem.SourceTooLarge, Position: pos, Path: cuePath(at), Message: fmt.Sprintf("this package makes more than %d values", maxNodes)})
		}
		return n
	}
	n.secret = slices.ContainsFunc(at, secretField)
	switch v.Kind() {
	case cue.StructKind:
		n.kind = mapNode
		for key, child := range children(v) {
			below := append(slices.Clone(at), key)
			value := r.value(child, below, pos)
			label := r.label(below, value)
			n.entries = append(n.entries, entry{key: key, line: label.line, col: label.col, file: label.file, value: value})
		}
	case cue.ListKind:
		n.kind = listNode
		for label, child := range children(v) {
			n.items = append(n.items, r.value(child, append(slices.Clone(at), label), pos))
		}
	default:
		r.scalar(n, v, at, pos)
	}
	return n
}

func (r *cueReader) scalar(n *node, v cue.Value, at []string, pos problem.Position) {
	switch v.Kind() {
	case cue.NullKind:
		n.kind = nullNode
	case cue.BoolKind:
		b, _ := v.Bool()
		n.kind, n.text = boolNode, strconv.FormatBool(b)
	case cue.StringKind:
		n.kind = stringNode
		n.text, _ = v.String()
	case cue.IntKind:
		n.kind = intNode
		i, err := v.Int64()
		if err != nil {
			r.report(pos, at, "this number is larger than any field takes")
		}
		n.text = strconv.FormatInt(i, 10)
	case cue.FloatKind, cue.NumberKind:
		n.kind = floatNode
		f, _ := v.Float64()
		if math.Abs(f) > 1e15 {
			r.report(pos, at, "this number is larger than any field takes")
		}
		n.text = strconv.FormatFloat(f, 'f', -1, 64)
	default:
		r.report(pos, at, "there is a "+v.Kind().String()+" here, which no field takes")
	}
	if len(n.text) > maxScalarBytes {
		r.problems = append(r.problems, problem.Problem{
			Rule: problem.SourceTooLarge, Position: pos, Path: cuePath(at), Message: fmt.Sprintf("this text is longer than %d KiB", maxScalarBytes>>10),
		})
	}
}

// position is where a value stands in the package's files: a scalar where it
// is written, a map or a list where its label is. What is made by a
// comprehension or a pattern stands where the nearest thing around it does.
func (r *cueReader) position(v cue.Value, at []string, outer problem.Position) problem.Position {
	written := v.Pos()
	if kind := v.IncompleteKind(); kind == cue.StructKind || kind == cue.ListKind || !written.IsValid() || written.Filename() == embeddedName {
		written = r.places[placeKey(at)]
	}
	if !written.IsValid() {
		return outer
	}
	return r.place(written)
}

// label is the place of a field's label, or of its value where that is all there is.
func (r *cueReader) label(at []string, value *node) *node {
	pos := r.places[placeKey(at)]
	if !pos.IsValid() {
		return value
	}
	place := r.place(pos)
	return &node{line: int32(place.Line), col: int32(place.Column), file: r.file(place.File)} //nolint:gosec // as above
}

// file is a file's number in the documents of this reader.
func (r *cueReader) file(name string) uint16 {
	i := slices.Index(r.files, name)
	if i < 0 {
		i = len(r.files)
		r.files = append(r.files, name)
	}
	return uint16(i + 1) //nolint:gosec // a folder with so many files is refused
}

// placesOf indexes the labels of a folder's files by their path, as far as they
// are written out.
func placesOf(folder *cueFolder) map[string]token.Pos {
	places := map[string]token.Pos{}
	for _, f := range folder.files {
		indexDecls(places, nil, f.syntax.Decls)
	}
	return places
}

func placeKey(at []string) string { return strings.Join(at, "\x00") }

func indexDecls(places map[string]token.Pos, at []string, decls []ast.Decl) {
	for _, decl := range decls {
		switch decl := decl.(type) {
		case *ast.Field:
			name, _, err := ast.LabelName(decl.Label)
			if err != nil {
				continue
			}
			below := append(slices.Clone(at), name)
			if key := placeKey(below); !places[key].IsValid() {
				places[key] = decl.Label.Pos()
			}
			indexExpr(places, below, decl.Value)
		case *ast.EmbedDecl:
			indexExpr(places, at, decl.Expr)
		case *ast.Comprehension:
			indexExpr(places, at, decl.Value)
		}
	}
}

func indexExpr(places map[string]token.Pos, at []string, expr ast.Expr) {
	switch expr := expr.(type) {
	case *ast.StructLit:
		indexDecls(places, at, expr.Elts)
	case *ast.BinaryExpr:
		indexExpr(places, at, expr.X)
		indexExpr(places, at, expr.Y)
	case *ast.ParenExpr:
		indexExpr(places, at, expr.X)
	case *ast.ListLit:
		for i, item := range expr.Elts {
			below := append(slices.Clone(at), strconv.Itoa(i))
			places[placeKey(below)] = item.Pos()
			indexExpr(places, below, item)
		}
	}
}

// embeddedName is what positions call the embedded schema.
const embeddedName = "eso-tenant's schema.cue"

// realSchema is the schema's syntax, as CUE's authors import it.
func realSchema() *ast.File { return mustParse(CUE) }

func mustParse(text string) *ast.File {
	syntax, err := parser.ParseFile(embeddedName, text, parser.ParseComments)
	if err != nil {
		panic(err) // it is embedded
	}
	return syntax
}

// openSchema is the schema without what it asks for: the same names, so that
// what uses them evaluates, and the kinds' own apiVersion and kind.
func openSchema() *ast.File {
	syntax := realSchema()
	for _, decl := range syntax.Decls {
		if field, ok := decl.(*ast.Field); ok {
			field.Value = opened(field.Value)
		}
	}
	// Printed and parsed, since the syntax as changed has references to what is gone.
	text, err := format.Node(syntax)
	if err != nil {
		panic(err) // it is embedded
	}
	return mustParse(string(text))
}

// opened takes from a struct what it asks for. A text's form, such as that of
// a name, stays.
func opened(expr ast.Expr) ast.Expr {
	if and, ok := expr.(*ast.BinaryExpr); ok && and.Op == token.AND {
		return ast.NewBinExpr(token.AND, opened(and.X), opened(and.Y))
	}
	lit, ok := expr.(*ast.StructLit)
	if !ok {
		return expr
	}
	var kept []any
	for _, decl := range lit.Elts {
		field, ok := decl.(*ast.Field)
		if !ok {
			continue
		}
		name, _, _ := ast.LabelName(field.Label)
		if field.Constraint == token.ILLEGAL {
			kept = append(kept, &ast.Field{Label: ast.NewString(name), Value: opened(field.Value)})
		}
	}
	return ast.NewStruct(append(kept, &ast.Ellipsis{})...)
}
