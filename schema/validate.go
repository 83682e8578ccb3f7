package schema

import (
	_ "embed"

	"cuelang.org/go/cue"
	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/cuecontext"
	"cuelang.org/go/cue/token"
)

// CUE is the schema's own text.
//
//go:embed schema.cue
var CUE string

// renewAfter is how many values are checked in one CUE context. A context
// keeps all that it ever built alive, so memory would grow with the tenants;
// compiling the schema anew costs what about five tenants cost.
const renewAfter = 250

// validator checks values against the definitions of the schema. Not for
// concurrent use, as cue.Value is not.
type validator struct {
	ctx  *cue.Context
	root cue.Value
	defs map[string]cue.Value
	used int
	// memory is of what was accepted before.
	memory *Memory
}

// check tells whether CUE accepts n as the definition at path, which must be
// there. Values with a problem of their own are left out.
func (v *validator) check(path string, n *node) bool {
	key := keyOf(path, n)
	if v.memory.knows(key) {
		return true
	}
	def := v.definition(path)
	ok := def.Unify(v.ctx.BuildExpr(expr(n))).Validate(cue.Concrete(true), cue.Final()) == nil
	if ok {
		v.memory.keep(key)
	}
	return ok
}

// definition looks a definition such as #Tenant or #Providers.vault up.
func (v *validator) definition(path string) cue.Value {
	if v.ctx == nil || v.used >= renewAfter {
		v.ctx = cuecontext.New()
		v.root = v.ctx.CompileString(CUE, cue.Filename("schema.cue"))
		v.defs = map[string]cue.Value{}
		v.used = 0
	}
	v.used++
	def, ok := v.defs[path]
	if !ok {
		def = v.root.LookupPath(cue.ParsePath(path))
		v.defs[path] = def
	}
	return def
}

// expr is the node as a CUE expression. It carries no positions: where a
// mistake is, diagnose finds by walking the nodes.
func expr(n *node) ast.Expr {
	switch n.kind {
	case mapNode:
		fields := make([]any, 0, len(n.entries))
		for i := range n.entries {
			fields = append(fields, &ast.Field{Label: ast.NewString(n.entries[i].key), Value: expr(n.entries[i].value)})
		}
		return ast.NewStruct(fields...)
	case listNode:
		items := make([]ast.Expr, len(n.items))
		for i, item := range n.items {
			items[i] = expr(item)
		}
		return ast.NewList(items...)
	case boolNode:
		return ast.NewBool(n.text == "true")
	case intNode:
		return number(token.INT, n.text)
	case floatNode:
		return number(token.FLOAT, n.text)
	case stringNode:
		return ast.NewString(n.text)
	default:
		return ast.NewNull()
	}
}

func number(kind token.Token, text string) ast.Expr {
	if text != "" && text[0] == '-' {
		return &ast.UnaryExpr{Op: token.SUB, X: ast.NewLit(kind, text[1:])}
	}
	return ast.NewLit(kind, text)
}
