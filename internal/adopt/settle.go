package adopt

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// places say what the lines of the files are about.
type places map[string][]place

type place struct {
	line, column int
	about        any
}

// find notes the lines of a file's fields. The document is what it was made of.
func (p places) find(file string, data []byte, document fields) error {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return fmt.Errorf("reading %s again: %w", file, err)
	}
	p.walk(file, root.Content[0], document)
	return nil
}

func (p places) walk(file string, node *yaml.Node, f fields) {
	for i := range f {
		key, value := node.Content[2*i], node.Content[2*i+1]
		p[file] = append(p[file], place{key.Line, key.Column, f[i].about})
		if inner, ok := f[i].value.(fields); ok && len(inner) > 0 && !isOne(f[i].about) {
			p.walk(file, value, inner)
		}
	}
}

// isOne tells whether all below it is about the same.
func isOne(about any) bool {
	switch about.(type) {
	case *store, *entry:
		return true
	default:
		return false
	}
}

// about is what the line of a problem is about; nil where it is nothing that
// could be left out.
func (p places) about(at problem.Position) any {
	var found any
	for _, place := range p[at.File] {
		if place.line > at.Line {
			break
		}
		found = place.about
	}
	return found
}

// settle writes the specification and has it read, until there is nothing wrong
// with it, and what it renders are the stores that are there. What keeps it
// from that is left out. Where it does not settle, the problems are what is
// wrong with the rest.
func (m *maker) settle() (settled bool, refused problem.List) {
	for {
		m.prune()
		if err := m.write(); err != nil {
			return false, problem.List{{Rule: problem.SchemaOther, Position: m.anywhere(), Message: err.Error()}}
		}
		rendering, problems := fn.Build(m.sources())
		if rendering == nil {
			if !m.blame(problems) {
				return false, problems
			}
			continue
		}
		same, err := m.compare(rendering)
		if err != nil {
			return false, problem.List{{Rule: problem.SchemaOther, Position: m.anywhere(), Message: err.Error()}}
		}
		if same {
			return true, nil
		}
	}
}

func (m *maker) sources() []schema.Source {
	var sources []schema.Source
	for _, f := range m.files {
		sources = append(sources, schema.Source{File: f.Name, Data: f.Data, Tree: f.Name})
	}
	return sources
}

// blame leaves out what problems are about, and tells whether there was
// something.
func (m *maker) blame(problems problem.List) bool {
	progress := false
	sharing := sharing{at: m.places.stores(), alike: m.alike(), now: map[*store]bool{}}
	for _, p := range problems {
		if !p.IsError() || p.Rule == problem.TooManyProblems { // that one is about no line
			continue
		}
		about := m.places.about(p.Position)
		if p.Rule == problem.IdentityShared && sharing.solve(p) {
			progress = true
			continue
		}
		for _, s := range m.storesOf(about) {
			if s.left == nil {
				s.leave(p.Rule, "a specification cannot say it: "+p.Message, p.Hint)
				progress = true
			}
		}
	}
	return progress
}

func (m *maker) storesOf(about any) []*store {
	switch about := about.(type) {
	case *store:
		return []*store{about}
	case *entry:
		return about.stores
	case namespaceName:
		return slices.DeleteFunc(m.adopted(), func(s *store) bool {
			return s.object.Namespace != string(about) && !slices.Contains(s.users, string(about))
		})
	default:
		return nil
	}
}

// stores are the places at which stores begin.
func (p places) stores() map[string]*store {
	found := map[string]*store{}
	for file, all := range p {
		for _, place := range all {
			if s, ok := place.about.(*store); ok {
				found[problem.Position{File: file, Line: place.line, Column: place.column}.String()] = s
			}
		}
	}
	return found
}

// alike are stores that differ in nothing but where they are.
func (m *maker) alike() map[string][]*store {
	all := map[string][]*store{}
	for _, s := range m.adopted() {
		all[s.external()] = append(all[s.external()], s)
	}
	return all
}

// external is what a store is to the other side.
func (s *store) external() string { return fmt.Sprint(s.entry.name, s.identity) }

// sharing lets stores have one external identity that have it today.
type sharing struct {
	at    map[string]*store // by where they begin
	alike map[string][]*store
	now   map[*store]bool // that share from now on
}

// solve does so for the store of a problem, for the other one, whose place the
// message ends with, and for all that are alike. It tells whether that may be
// the end of the problem.
func (s *sharing) solve(p problem.Problem) bool {
	other := strings.TrimSuffix(p.Message[strings.LastIndexByte(p.Message, '(')+1:], ")")
	solved := false
	for _, at := range []string{p.Position.String(), other} {
		one := s.at[at]
		if one != nil && !one.shared {
			for _, o := range s.alike[one.external()] {
				o.shared, s.now[o] = true, true
			}
		}
		solved = solved || s.now[one]
	}
	return solved
}

// compare leaves out stores that would be rendered otherwise than they are.
func (m *maker) compare(rendering *fn.Rendering) (same bool, err error) {
	objects, err := rendering.Objects()
	if err != nil {
		return false, fmt.Errorf("rendering: %w", err)
	}
	rendered := map[objectName]*inventory.Object{}
	for i := range objects {
		o := &objects[i]
		rendered[objectName{o.Group() + "/" + o.Kind, o.Namespace, o.Name}] = o
	}
	same = true
	for _, s := range m.adopted() {
		o := rendered[objectName{esoGroup + "/" + s.object.Kind, s.object.Namespace, s.object.Name}]
		if o == nil {
			s.leave(problem.SchemaOther, "nothing would be rendered for it", "")
			same = false
			continue
		}
		if where := differs(s, o); where != "" {
			s.leave(problem.SchemaOther, "what would be rendered differs from it at "+where, "change the store so that it says what a specification can say, and adopt again")
			same = false
		}
	}
	return same, nil
}

// differs says where the store differs from what is rendered for it; audiences
// may be added.
func differs(s *store, rendered *inventory.Object) string {
	path := "provider." + s.kind + "." + s.method.Reference
	was, _ := clone(s.object.Get("spec")).(map[string]any)
	is, _ := clone(rendered.Get("spec")).(map[string]any)
	before, _ := lookup(was, path).(map[string]any)
	after, _ := lookup(is, path).(map[string]any)
	if before == nil || after == nil {
		return "spec." + path
	}
	now := inventory.Texts(after, "audiences")
	for _, audience := range s.audiences {
		if !slices.Contains(now, audience) && !slices.Contains(s.adds(), audience) {
			return "spec." + path + ".audiences"
		}
	}
	s.added = slices.DeleteFunc(now, func(a string) bool { return slices.Contains(s.audiences, a) })
	delete(before, "audiences")
	delete(after, "audiences")
	if !s.clusterWide {
		delete(before, "namespace") // it can only be its own
	}
	if s.method.ID == "kubernetes" {
		content, _ := lookup(was, "provider.kubernetes").(map[string]any)
		normalize(content)
	}
	if content, _ := lookup(was, "provider."+s.kind).(map[string]any); content != nil {
		dropAdded(content, s.method)
	}
	for field, value := range s.method.Defaults {
		if at := "provider." + s.kind + "." + field; lookup(was, at) == nil {
			set(was, at, value)
		}
	}
	return difference(was["provider"], is["provider"], "spec.provider")
}

// difference is the path at which two values differ first, or "".
func difference(a, b any, path string) string {
	x, isMap := a.(map[string]any)
	y, both := b.(map[string]any)
	if !isMap || !both {
		if reflect.DeepEqual(a, b) {
			return ""
		}
		return path
	}
	keys := slices.Concat(slices.Collect(maps.Keys(x)), slices.Collect(maps.Keys(y)))
	for _, key := range sorted(keys) {
		if where := difference(x[key], y[key], path+"."+key); where != "" {
			return where
		}
	}
	return ""
}
