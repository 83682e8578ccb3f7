package generators

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// catalogued is a provider of the Platform's as the store policy compares a
// store with it: what a store says of it beyond the tenant's own part, level by
// level along the way to the reference.
type catalogued struct {
	kind      string   // the key under spec.provider
	shared    bool     // for a ClusterSecretStore, where references state a namespace
	at        []string // the fields that lead to the map with the reference
	reference string   // the field with the reference
	audiences []string // that the reference asks for
	levels    []level
}

// level is one map on the way to the reference.
type level struct {
	at    []string
	open  []string       // the tenant's fields, and the next level's
	fixed map[string]any // what the Platform says
	may   map[string]any // what ESO's CRD fills in where nobody says anything
}

// catalogue are the providers that stores may name. Those of shared stores are
// there a second time.
func catalogue(p *schema.Platform) []catalogued {
	var all []catalogued
	for _, name := range slices.Sorted(maps.Keys(p.Providers)) {
		all = append(all, entry(p.Providers[name], ""))
	}
	shared := map[string]*schema.Provider{}
	for _, s := range p.SharedStores {
		shared[s.Provider.Name] = s.Provider
	}
	for _, name := range slices.Sorted(maps.Keys(shared)) {
		all = append(all, entry(shared[name], p.ESO.Namespace))
	}
	return all
}

// entry makes a provider's entry from a store that is rendered for it, so that
// what is rendered passes.
func entry(from *schema.Provider, namespace string) catalogued {
	method := from.Method
	spec := provider(&schema.Store{Provider: from}, namespace)
	path := strings.Split(method.Reference, ".")
	last := len(path) - 1
	e := catalogued{
		kind: method.Provider, shared: namespace != "", at: path[:last], reference: path[last],
		audiences: from.ReferenceAudiences(),
	}
	defaults := eso.StoreDefaults(method.Provider)
	for depth := range path {
		e.levels = append(e.levels, levelOf(method, spec, path[:depth], path[depth], defaults))
	}
	return e
}

// levelOf is the map at a path of a rendered provider, less the field that leads
// on and those that are the tenant's.
func levelOf(method eso.Method, spec map[string]any, at []string, onward string, defaults map[string]any) level {
	l := level{at: at, open: []string{onward}, fixed: map[string]any{}, may: map[string]any{}}
	prefix := strings.Join(at, ".")
	if prefix != "" {
		prefix += "."
	}
	for _, field := range method.Identity {
		if key, here := strings.CutPrefix(field.Path, prefix); here && key != "" && !strings.Contains(key, ".") {
			l.open = append(l.open, key)
		}
	}
	var value any = spec
	if len(at) > 0 {
		value = schema.Lookup(spec, strings.Join(at, "."))
	}
	fields, _ := value.(map[string]any)
	for key, value := range fields {
		if !slices.Contains(l.open, key) {
			l.fixed[key] = filledIn(value, prefix+key, defaults)
		}
	}
	for path, value := range defaults {
		key, here := strings.CutPrefix(path, prefix)
		if _, stated := l.fixed[key]; here && !stated && !strings.Contains(key, ".") && !slices.Contains(l.open, key) {
			l.may[key] = value
		}
	}
	return l
}

// filledIn is a value with the defaults that ESO's CRD fills in deeper down.
func filledIn(value any, path string, defaults map[string]any) any {
	fields, ok := value.(map[string]any)
	if !ok {
		return value
	}
	fields = maps.Clone(fields)
	for at, filled := range defaults {
		if key, here := strings.CutPrefix(at, path+"."); here && !strings.Contains(key, ".") && fields[key] == nil {
			fields[key] = filled
		}
	}
	return fields
}

// catalogueVariables has each entry as a variable, since an expression is not to
// be longer than 100,000 characters, and certificates are long
// (cel-go v0.28, parser/options.go).
func catalogueVariables(p *schema.Platform) []admissionv1.Variable {
	var all []admissionv1.Variable
	var names []string
	for i, e := range catalogue(p) {
		name := fmt.Sprintf("provider%d", i)
		all = append(all, admissionv1.Variable{Name: name, Expression: e.literal()})
		names = append(names, "variables."+name)
	}
	return append(all, admissionv1.Variable{Name: "catalogue", Expression: "[" + strings.Join(names, ", ") + "]"})
}

// literal writes an entry in CEL.
func (e catalogued) literal() string { return literal(e.value()) }

// value is an entry as the engines have it.
func (e catalogued) value() map[string]any {
	var levels []any
	for _, l := range e.levels {
		levels = append(levels, map[string]any{"at": texts(l.at), "open": texts(l.open), "fixed": l.fixed, "may": l.may})
	}
	return map[string]any{
		"kind": e.kind, "shared": e.shared, "at": texts(e.at), "reference": e.reference, "audiences": texts(e.audiences), "levels": levels,
	}
}

func texts(list []string) []any {
	all := make([]any, len(list))
	for i, s := range list {
		all[i] = s
	}
	return all
}

// literal writes a value in CEL. The API server wants the values of a map, and
// the items of a list, to be of one type, so they are all dyn.
func literal(value any) string {
	switch value := value.(type) {
	case map[string]any:
		fields := make([]string, 0, len(value))
		for _, key := range slices.Sorted(maps.Keys(value)) {
			fields = append(fields, quote(key)+": dyn("+literal(value[key])+")")
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case []any:
		items := make([]string, len(value))
		for i, item := range value {
			items[i] = "dyn(" + literal(item) + ")"
		}
		return "[" + strings.Join(items, ", ") + "]"
	case string:
		return quote(value)
	default: // a number or a boolean, which CEL writes as JSON does
		written, err := json.Marshal(value)
		if err != nil || value == nil {
			return "null"
		}
		return string(written)
	}
}
