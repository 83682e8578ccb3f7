package schema

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Field is what the schema says of one field.
type Field struct {
	Path     string  // such as tenant.spec.namespaces.<name>.stores
	Type     string  // in words
	Required bool    // a document without it is refused
	Doc      string  // the schema's own comment, on one line
	Fields   []Field // what it holds, one level deep: their Fields are left out
}

// Describe says what the schema knows of the field at path, which begins with a
// kind of document in any case: platform, tenant, tenantset, and so on. Names
// in maps, and the places in lists, may be left out or written as anything:
// tenant.spec.namespaces.stores, tenant.spec.namespaces.<name>.stores and
// tenant.spec.namespaces.web-prod.stores are the same field. What a store's
// identity takes is found below the name of the method as well, such as
// …identity.vault-kubernetes.role.
//
// The error says which part of path is not known, and what is near to it.
func Describe(path string) (Field, error) { return newShaper().describe(path) }

func (r *shaper) describe(path string) (Field, error) {
	parts := pathPart.FindAllString(path, -1)
	kind := ""
	if len(parts) > 0 {
		kind = strings.ToLower(parts[0])
	}
	for _, known := range documentKinds {
		if strings.EqualFold(known, kind) {
			root := site{path: kind, shape: r.definition(known)}
			found, err := root.find(parts[1:])
			if miss := (*missError)(nil); errors.As(err, &miss) {
				return Field{}, miss.near(root)
			}
			return found.describe(), err
		}
	}
	kinds := documentNames()
	if near := Nearest(kind, kinds); near != "" {
		return Field{}, errors.New("there is no kind " + problem.Quote(kind) + "; did you mean " + near + "?")
	}
	return Field{}, errors.New("there is no kind " + problem.Quote(kind) + "; a path begins with " + oneOf(kinds))
}

// documentNames are the kinds of document as paths begin with them.
func documentNames() []string {
	names := make([]string, len(documentKinds))
	for i, kind := range documentKinds {
		names[i] = strings.ToLower(kind)
	}
	return names
}

// pathPart is one step of a path: a name in quotes, one that is left open, a
// place in a list, or a key.
var pathPart = regexp.MustCompile(`"[^"]*"|<[^>]*>|\[[^\]]*\]|[^.\["<]+`)

// site is a value in a document of the schema.
type site struct {
	path     string
	required bool
	shape    *shape
}

func (p site) in(f shapeField) site {
	return site{path: join(p.path, f.name), required: f.required, shape: f.shape}
}

// entry is what a map from names holds under a name, or a list at a place.
func (p site) entry() site {
	suffix := ".<name>"
	if p.shape.form == listForm {
		suffix = "[]"
	}
	return site{path: p.path + suffix, shape: p.shape.value}
}

// held lists the fields that stand below p, with the name of a map or the place
// in a list between them and p.
func (p site) held() []site {
	var held []site
	switch p.shape.form {
	case namesForm, listForm:
		return p.entry().held()
	case eitherForm:
		for _, choice := range p.shape.choice {
			held = append(held, site{path: p.path, shape: choice}.held()...)
		}
	case recordForm:
		fields := p.shape.fields
		if len(p.shape.methods) > 0 {
			fields = p.shape.methods
		}
		for _, f := range fields {
			held = append(held, p.in(f))
		}
	default: // a scalar holds nothing
	}
	return held
}

func (p site) describe() Field {
	if p.shape == nil {
		return Field{}
	}
	described := p.brief()
	for _, inner := range p.held() {
		described.Fields = append(described.Fields, inner.brief())
	}
	return described
}

func (p site) brief() Field {
	return Field{Path: p.path, Type: p.shape.inWords(), Required: p.required, Doc: p.shape.comment()}
}

// find follows the parts of a path from p.
func (p site) find(parts []string) (site, error) {
	if len(parts) == 0 {
		return p, nil
	}
	switch p.shape.form {
	case namesForm:
		return p.findName(parts)
	case listForm:
		if strings.HasPrefix(parts[0], "[") {
			parts = parts[1:]
		}
		return p.entry().find(parts)
	case eitherForm:
		for _, choice := range p.shape.choice {
			if choice.form == recordForm {
				return site{path: p.path, required: p.required, shape: choice}.find(parts)
			}
		}
	case recordForm:
		for _, fields := range [][]shapeField{p.shape.fields, p.shape.methods} {
			if f := findField(fields, strings.Trim(parts[0], `"`)); f != nil {
				return p.in(*f).find(parts[1:])
			}
		}
	default: // nothing stands below a scalar
	}
	return site{}, &missError{p, parts[0]}
}

// findName follows a path into a map from names, with or without the name. A
// word that is a field's is the field where that leads anywhere.
func (p site) findName(parts []string) (site, error) {
	entry, first := p.entry(), parts[0]
	if slices.ContainsFunc(entry.held(), func(f site) bool { return lastKey(f.path) == first }) {
		if found, err := entry.find(parts); err == nil {
			return found, nil
		}
	}
	if len(parts) == 1 && first[0] != '<' && Nearest(first, entry.keys()) != "" {
		return site{}, &missError{entry, first} // more likely a slip than a name
	}
	return entry.find(parts[1:])
}

func (p site) keys() []string {
	var keys []string
	for _, f := range p.held() {
		keys = append(keys, lastKey(f.path))
	}
	return keys
}

func lastKey(path string) string {
	_, key := cutLast(path)
	return key
}

// missError says that a place has no such field.
type missError struct {
	at   site
	part string
}

func (m *missError) Error() string {
	return fmt.Sprintf("%s has no field %s", m.at.path, problem.Quote(m.part))
}

// near adds to the error what may have been meant: a field of the same place, or
// one called so elsewhere in the document.
func (m *missError) near(root site) error {
	keys := m.at.keys()
	if near := Nearest(m.part, keys); near != "" {
		return fmt.Errorf("%w; did you mean %s?", m, join(m.at.path, near))
	}
	if elsewhere := root.called(m.part); len(elsewhere) > 0 {
		return fmt.Errorf("%w; did you mean %s?", m, oneOf(elsewhere))
	}
	if len(keys) == 0 {
		return fmt.Errorf("%w; it is %s", m, m.at.shape.inWords())
	}
	return fmt.Errorf("%w; fields there are %s", m, strings.Join(keys, ", "))
}

// mostElsewhere is how many places are worth naming for a field that stands
// somewhere else.
const mostElsewhere = 3

// called finds the fields in p by their last key, those that stand higher first.
func (p site) called(key string) []string {
	var found []string
	for level := []site{p}; len(level) > 0 && len(found) < mostElsewhere; {
		var next []site
		for _, f := range level {
			if lastKey(f.path) == key && len(found) < mostElsewhere {
				found = append(found, f.path)
			}
			next = append(next, f.held()...)
		}
		level = next
	}
	return found
}

// inWords is the type of a value as a user would call it.
func (s *shape) inWords() string {
	switch {
	case s.want != "":
		return s.want
	case len(s.words) > 0:
		return oneOf(quoted(s.words))
	}
	switch s.form {
	case recordForm:
		return "a map"
	case namesForm:
		return "a map from names to " + s.value.inPlural()
	case listForm:
		return "a list of " + s.value.inPlural()
	case textForm:
		return "a text"
	case boolForm:
		return "true or false"
	case wholeForm:
		return "a whole number"
	case numberForm:
		return "a number"
	case eitherForm:
		var all []string
		for _, choice := range s.choice {
			all = append(all, choice.inWords())
		}
		return strings.Join(all, ", or ")
	default:
		return "anything"
	}
}

// inPlural is the type of several values.
func (s *shape) inPlural() string {
	switch {
	case s.want != "" && s.form == textForm:
		return "texts, each " + s.want
	case s.want != "":
		return "values, each " + s.want
	case len(s.words) > 0:
		return s.inWords()
	}
	switch s.form {
	case recordForm:
		return "maps"
	case namesForm:
		return "maps from names to " + s.value.inPlural()
	case listForm:
		return "lists of " + s.value.inPlural()
	case textForm:
		return "texts"
	default:
		return "values, each " + s.inWords()
	}
}

func quoted(words []string) []string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = problem.Quote(word)
	}
	return all
}

// oneOf joins words as in: a, b or c.
func oneOf(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
