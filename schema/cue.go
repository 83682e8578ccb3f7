package schema

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/token"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Sources in CUE are a program of the platform team's, so they are read from a
// Platform's own folder only: a tenant who could write one would decide how
// long everybody's run takes, and what stands in other tenants' specifications.
// Such a folder's files are one CUE package. Its top-level fields are documents,
// or maps and lists of them; the field rules holds what the platform team asks
// of tenants and Platforms beyond the schema (see cuerule.go).

// Bounds on CUE. It comes from the platform team, so they are against mistakes
// rather than attacks; what is evaluated cannot be interrupted, only left alone.
const (
	maxCUEBytes  = 4 << 20 // of one file
	maxCUENested = 400     // brackets, operators and labels inside one another
)

// cueBounds are on one evaluation: a folder's documents, or a rule.
type cueBounds struct {
	time   time.Duration
	memory uint64 // of the process, in bytes
}

var maxCUE = cueBounds{time: 30 * time.Second, memory: 1 << 30}

// cueFolder is the CUE package of one folder.
type cueFolder struct {
	dir     string
	files   []*cueFile
	pkg     string
	broken  bool // a file of it could not be read, and is reported
	named   bool // one of its files was named, and not just lies beside one that was
	used    bool
	tenants bool // it is below a folder called tenants
}

// cueFile is one file of a package. Its text is parsed once for each
// evaluation, since evaluating resolves identifiers in the syntax itself.
type cueFile struct {
	name   string
	data   []byte
	syntax *ast.File // for looking at only
	pos    problem.Position
}

// cueSources are the CUE folders of one run.
type cueSources struct {
	dec     *decoder
	folders map[string]*cueFolder
	modules map[string]string // folder → its import path, from a cue.mod/module.cue
	texts   map[string][]byte // of the files, by name
	stopped bool              // an evaluation was left alone: it still takes time and memory
}

// isCUE tells CUE from YAML and JSON.
func isCUE(src Source) bool { return src.Node == nil && path.Ext(src.File) == ".cue" }

// slashed is a file's name with slashes, as CUE's own paths have them.
func slashed(file string) string { return path.Clean(strings.ReplaceAll(file, "\\", "/")) }

// readCUE sorts the CUE among the sources by folder and parses it.
func (dec *decoder) readCUE(sources []Source) *cueSources {
	c := &cueSources{dec: dec, folders: map[string]*cueFolder{}, modules: map[string]string{}, texts: map[string][]byte{}}
	for _, src := range sources {
		if !isCUE(src) {
			continue
		}
		name := slashed(src.File)
		c.texts[src.File] = src.Data
		if base := path.Base(name); path.Base(path.Dir(name)) == "cue.mod" {
			if base == "module.cue" {
				c.module(src)
			}
			continue
		} else if strings.HasPrefix(base, "_") || strings.HasSuffix(base, "_tool.cue") || strings.HasSuffix(base, "_test.cue") {
			continue // as the cue command has it: no part of the package
		}
		c.add(src)
	}
	for _, dir := range c.sorted() {
		c.checkPackage(c.folders[dir])
	}
	return c
}

// sorted lists the folders by name.
func (c *cueSources) sorted() []string {
	dirs := make([]string, 0, len(c.folders))
	for dir := range c.folders {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	return dirs
}

func (c *cueSources) add(src Source) {
	dir := path.Dir(slashed(src.File))
	folder := c.folders[dir]
	if folder == nil {
		folder = &cueFolder{dir: dir, tenants: slices.Contains(strings.Split(path.Dir(src.tree()), "/"), "tenants")}
		c.folders[dir] = folder
	}
	folder.named = folder.named || !src.Beside
	if folder.tenants {
		// What is not read needs no parsing: it may be hostile.
		folder.files = append(folder.files, &cueFile{name: src.File, pos: at(src.File, 1, 1)})
		return
	}
	syntax := c.parse(src)
	if syntax == nil {
		folder.broken = true
		return
	}
	folder.files = append(folder.files, &cueFile{name: src.File, data: src.Data, syntax: syntax, pos: at(src.File, 1, 1)})
}

// checkPackage holds the files of a folder to one package.
func (c *cueSources) checkPackage(folder *cueFolder) {
	for _, f := range folder.files {
		switch {
		case f.syntax == nil:
		case f.syntax.PackageName() == "":
			folder.broken = true
			c.report(problem.CUESyntax, f.pos, "this file has no package clause", "begin it with package and a name, the same in all files of the folder")
		case folder.pkg == "":
			folder.pkg = f.syntax.PackageName()
		case folder.pkg != f.syntax.PackageName():
			folder.broken = true
			c.report(problem.CUESyntax, f.pos,
				"package "+problem.Quote(f.syntax.PackageName())+" stands in a folder of package "+problem.Quote(folder.pkg)+" ("+folder.files[0].pos.String()+")",
				"the files of a folder are one package")
		}
	}
	if folder.broken {
		c.dec.unread = true
	}
}

// platforms lists the folders in which a Platform stands: those where YAML has
// one, and those whose CUE speaks of one.
func (c *cueSources) platforms(dirs map[string]bool) []*cueFolder {
	var found []*cueFolder
	for _, dir := range c.sorted() {
		folder := c.folders[dir]
		if !folder.tenants && (dirs[dir] || slices.ContainsFunc(folder.files, speaksOfPlatform)) {
			folder.used = true
			found = append(found, folder)
		}
	}
	return found
}

// speaksOfPlatform looks for kind: "Platform" and #Platform, without evaluating.
func speaksOfPlatform(f *cueFile) bool {
	found := false
	ast.Walk(f.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.Ident:
			found = found || n.Name == "#Platform" || n.Name == "#TenantSet"
		case *ast.BasicLit:
			found = found || n.Value == `"`+kindPlatform+`"` || n.Value == `"`+kindTenantSet+`"`
		}
		return !found
	}, nil)
	return found
}

// unused reports CUE that was named and is not read.
func (c *cueSources) unused() {
	for _, dir := range c.sorted() {
		folder := c.folders[dir]
		if folder.used || !folder.named || folder.broken || c.dec.unread && !folder.tenants {
			continue // where a Platform may not have been read, the reason is reported already
		}
		message, hint := "no Platform stands in this folder, and none imports it, so this is not read", "move it beside the Platform's file"
		if folder.tenants {
			message, hint = "CUE is not read below a folder called tenants", "write tenants there in YAML; CUE is the platform team's, and stands beside the Platform"
		}
		c.report(problem.CUEOutside, folder.files[0].pos, message, hint)
	}
}

// place is a position of CUE's as ours are: CUE counts bytes, and we characters.
func (c *cueSources) place(p token.Pos) problem.Position {
	column, data := p.Column(), c.texts[p.Filename()]
	if end := p.Offset(); column > 1 && end <= len(data) && end-column+1 >= 0 {
		column = 1 + utf8.RuneCount(data[end-column+1:end])
	}
	return at(p.Filename(), p.Line(), column)
}

func (c *cueSources) report(rule problem.Rule, pos problem.Position, message, hint string) {
	c.dec.report(problem.Problem{Rule: rule, Position: pos, Message: message, Hint: hint})
}

// tooLong reports an evaluation that was left alone.
func (c *cueSources) tooLong(err error, what string, pos problem.Position) {
	c.dec.unread, c.stopped = true, true
	c.report(problem.CUETooLong, pos, fmt.Sprintf("%s: %v", what, err), "look for a comprehension over very many values, or values that grow by doubling")
}
