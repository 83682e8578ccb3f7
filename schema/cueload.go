package schema

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/ast/astutil"
	"cuelang.org/go/cue/build"
	cueerrors "cuelang.org/go/cue/errors"
	"cuelang.org/go/cue/literal"
	"cuelang.org/go/cue/parser"
	"cuelang.org/go/cue/scanner"
	"cuelang.org/go/cue/token"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// ImportPath is how CUE names this schema. It is embedded: no registry, no
// file and no network stands behind it.
const ImportPath = "github.com/eso-tenant/eso-tenant/schema"

// parse reads one file's syntax; nil where there is a problem with it.
func (c *cueSources) parse(src Source) *ast.File {
	if len(src.Data) > maxCUEBytes {
		c.report(problem.SourceTooLarge, at(src.File, 1, 1), fmt.Sprintf("this CUE file has more than %d MiB", maxCUEBytes>>20), "split it, or write data as YAML")
		return nil
	}
	if i, what := badText(src.Data); what != "" {
		c.report(problem.YAMLEncoding, placeOf(src.File, src.Data, i), what, "save it as UTF-8 without control characters")
		return nil
	}
	if pos, deep := nestedTooDeep(src); deep {
		c.report(problem.YAMLTooDeep, c.place(pos), fmt.Sprintf("more than %d brackets, operators and labels are inside one another here", maxCUENested), "give parts of it a name")
		return nil
	}
	syntax, err := parser.ParseFile(src.File, src.Data, parser.ParseComments)
	if err != nil {
		// The first: those behind it are what the parser made of it.
		first := cueerrors.Errors(err)[0]
		c.report(problem.CUESyntax, insideText(src, first.Position()), "this is not CUE: "+sayCUE(first), "")
		return nil
	}
	return syntax
}

// insideText is a parser's place, which for what is missing at the end can be
// behind it.
func insideText(src Source, pos token.Pos) problem.Position {
	if !pos.IsValid() {
		return at(src.File, 1, 1)
	}
	return placeOf(src.File, src.Data, min(pos.Offset(), len(bytes.TrimRight(src.Data, "\r\n"))))
}

// nestedTooDeep finds where a text is nested so deep that a recursive parser
// would run out of stack, which ends the process.
func nestedTooDeep(src Source) (token.Pos, bool) {
	var s scanner.Scanner
	file := token.NewFile(src.File, -1, len(src.Data))
	s.Init(file, src.Data, func(token.Pos, string, []any) {}, 0)
	depth := 0
	var open []int
	for {
		pos, tok, _ := s.Scan()
		switch {
		case tok == token.EOF:
			return token.NoPos, false
		case tok == token.LBRACE || tok == token.LBRACK || tok == token.LPAREN || tok == token.INTERPOLATION:
			open = append(open, depth)
			depth++
		case (tok == token.RBRACE || tok == token.RBRACK || tok == token.RPAREN) && len(open) > 0:
			depth = open[len(open)-1] + 1 // what stands behind it applies to it
			open = open[:len(open)-1]
		case tok == token.COMMA:
			depth = 0
			if len(open) > 0 {
				depth = open[len(open)-1] + 1
			}
		case tok == token.COLON || tok.IsOperator() || tok.IsKeyword():
			depth++
		}
		if depth > maxCUENested {
			return pos, true
		}
	}
}

// module reads the module's path from cue.mod/module.cue.
func (c *cueSources) module(src Source) {
	syntax := c.parse(src)
	if syntax == nil {
		return
	}
	for _, decl := range syntax.Decls {
		field, ok := decl.(*ast.Field)
		if !ok {
			continue
		}
		if name, _, err := ast.LabelName(field.Label); err != nil || name != "module" {
			continue
		}
		if lit, ok := field.Value.(*ast.BasicLit); ok {
			if text, err := literal.Unquote(lit.Value); err == nil {
				module, _, _ := strings.Cut(text, "@")
				c.keepModule(src, module)
			}
		}
	}
}

// keepModule keeps the import path of the folder that a module begins in, or,
// of a module that begins above what was named, of the folder that was.
func (c *cueSources) keepModule(src Source, module string) {
	if src.Module.Folder != "" {
		c.modules[slashed(src.Module.Folder)] = path.Join(module, src.Module.Path)
		return
	}
	c.modules[path.Dir(path.Dir(slashed(src.File)))] = module
}

// loader builds instances of one evaluation.
type loader struct {
	sources  *cueSources
	folder   *cueFolder // the Platform's
	schema   func() *ast.File
	filter   func(*ast.File) // of the folder's own files
	context  *build.Context
	built    map[string]*build.Instance
	pending  []string // folders being loaded, for cycles
	problems bool
}

// load builds a folder's package with schema standing for this schema, and
// filter applied to the syntax of its files. ok is false where something of it
// could not be resolved, which is then reported.
func (c *cueSources) load(folder *cueFolder, schema func() *ast.File, filter func(*ast.File)) (instance *build.Instance, ok bool) {
	l := &loader{sources: c, folder: folder, schema: schema, filter: filter, built: map[string]*build.Instance{}}
	l.context = build.NewContext(build.Loader(l.resolve))
	instance = l.folderInstance(folder, "", token.NoPos)
	return instance, instance != nil && !l.problems
}

// resolve is called for each import. nil leaves it to CUE's own packages.
func (l *loader) resolve(pos token.Pos, importPath string) *build.Instance {
	importPath, _, _ = strings.Cut(importPath, ":")
	if instance, ok := l.built[importPath]; ok {
		return instance
	}
	first, _, _ := strings.Cut(importPath, "/")
	switch {
	case importPath == ImportPath:
		return l.schemaInstance()
	case first == "tool":
		l.report(pos, "package "+problem.Quote(importPath)+" is not read", "it is for commands of the cue tool; a specification depends on its files only")
		return nil
	case !strings.Contains(first, "."):
		return nil
	}
	dir, ok := l.localFolder(importPath)
	if !ok {
		l.report(pos, "there is no package "+problem.Quote(importPath)+" here", "imports are CUE's own packages, "+ImportPath+", and folders below the Platform's, by the module in cue.mod/module.cue")
		return nil
	}
	return l.folderInstance(l.sources.folders[dir], importPath, pos)
}

// localFolder is the folder that an import of this module's means: the
// Platform's own or one below it.
func (l *loader) localFolder(importPath string) (string, bool) {
	own := l.folder.dir
	for root := own; ; root = path.Dir(root) {
		if module, ok := l.sources.modules[root]; ok {
			inside, ok := strings.CutPrefix(importPath, module+"/")
			dir := path.Join(root, inside)
			folder := l.sources.folders[dir]
			below := dir == own || own == "." || strings.HasPrefix(dir, own+"/")
			return dir, ok && below && folder != nil && !folder.tenants
		}
		if parent := path.Dir(root); parent == root || path.Base(root) == ".." {
			return "", false
		}
	}
}

func (l *loader) schemaInstance() *build.Instance {
	instance := l.context.NewInstance("schema", l.resolve)
	instance.ImportPath = ImportPath
	if err := errors.Join(instance.AddSyntax(l.schema()), instance.Complete()); err != nil {
		panic(err) // it is embedded
	}
	l.built[ImportPath] = instance
	return instance
}

// folderInstance builds the package of a folder.
func (l *loader) folderInstance(folder *cueFolder, importPath string, pos token.Pos) *build.Instance {
	for i, dir := range l.pending {
		if dir == folder.dir {
			l.report(pos, "this import goes in a circle: "+strings.Join(append(l.pending[i:], dir), " → "), "put what both need into a folder of its own")
			return nil
		}
	}
	folder.used = true
	if folder.broken {
		l.problems = true
		return nil
	}
	l.pending = append(l.pending, folder.dir)
	defer func() { l.pending = l.pending[:len(l.pending)-1] }()
	instance := l.context.NewInstance(folder.dir, l.resolve)
	instance.ImportPath = importPath
	for _, syntax := range l.syntax(folder) {
		if err := instance.AddSyntax(syntax); err != nil {
			l.problems = true
			l.sources.reportErrors(problem.CUEImport, err, folder.files[0].pos, "")
			return nil
		}
	}
	err := instance.Complete()
	if l.problems {
		return nil
	}
	if err != nil {
		l.problems = true
		l.sources.reportErrors(problem.CUEImport, err, folder.files[0].pos, "")
		return nil
	}
	l.built[importPath] = instance
	return instance
}

// syntax parses a folder's files anew, and filters the Platform's own.
func (l *loader) syntax(folder *cueFolder) []*ast.File {
	var files []*ast.File
	for _, f := range folder.files {
		syntax, err := parser.ParseFile(f.name, f.data, parser.ParseComments)
		if err != nil {
			panic(err) // it was parsed before
		}
		if folder == l.folder {
			l.filter(syntax)
		}
		files = append(files, syntax)
	}
	if folder == l.folder {
		_ = astutil.SanitizeFiles(files) // drops imports that nothing uses any more; what else is wrong the evaluator says
	}
	return files
}

func (l *loader) report(pos token.Pos, message, hint string) {
	if l.problems {
		return
	}
	l.problems = true
	l.sources.dec.unread = true
	l.sources.report(problem.CUEImport, l.sources.place(pos), message, hint)
}

// reportErrors reports what CUE says, each mistake once, at a place in the
// user's files; fallback is for an error that has none.
func (c *cueSources) reportErrors(rule problem.Rule, err error, fallback problem.Position, prefix string) {
	c.dec.unread = true
	seen := map[string]bool{}
	for _, e := range cueerrors.Errors(err) {
		where := strings.Join(e.Path(), ".")
		if where != "" && seen[where] {
			continue // the alternatives of a disjunction, each with an error
		}
		seen[where] = true
		pos, because := fallback, []string(nil)
		for i, p := range c.places(e) {
			if i == 0 {
				pos = p
				continue
			}
			because = append(because, "the other value is at "+p.String())
		}
		if len(because) > 1 {
			because = because[:1]
		}
		c.dec.report(problem.Problem{Rule: rule, Position: pos, Path: cuePath(e.Path()), Message: prefix + sayCUE(e), Because: because})
	}
}

// places lists where an error has positions in the user's files.
func (c *cueSources) places(e cueerrors.Error) []problem.Position {
	var found []problem.Position
	for _, p := range append([]token.Pos{e.Position()}, cueerrors.Positions(e)...) {
		if !p.IsValid() || p.Filename() == embeddedName {
			continue
		}
		place := c.place(p)
		if len(found) == 0 || found[len(found)-1] != place {
			found = append(found, place)
		}
	}
	return found
}

// maxCUEMessage bounds what is repeated of the evaluator's words.
const maxCUEMessage = 300

// sayCUE is an error in CUE's words, unless they could repeat a credential.
func sayCUE(e cueerrors.Error) string {
	format, args := e.Msg()
	text := fmt.Sprintf(format, args...)
	if mayHoldSecret(e.Path(), text) {
		return "CUE refuses what stands here"
	}
	if len(text) > maxCUEMessage {
		text = strings.ToValidUTF8(text[:maxCUEMessage], "") + "…"
	}
	return text
}

// mayHoldSecret is about the values in a message, as node.secret is about a value.
func mayHoldSecret(at []string, text string) bool {
	for _, label := range at {
		if secretField(strings.Trim(label, `"`)) {
			return true
		}
	}
	_, url, found := strings.Cut(text, "://")
	return found && strings.ContainsAny(url, "?#@") || bytes.Contains([]byte(text), []byte("-----BEGIN"))
}

// cuePath writes a path of CUE's as ours are written.
func cuePath(labels []string) string {
	text := ""
	for _, label := range labels {
		if _, err := strconv.Atoi(label); err == nil {
			text += "[" + label + "]"
			continue
		}
		if unquoted, err := literal.Unquote(label); err == nil {
			label = unquoted
		}
		text = join(text, label)
	}
	return text
}
