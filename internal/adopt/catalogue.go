package adopt

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators"
)

// entry is one entry of the Platform's catalogue, and the stores that name it.
type entry struct {
	name      string
	content   map[string]any
	audiences []string
	stores    []*store
}

// findEntries puts stores that differ in their own part only under one entry.
func (m *maker) findEntries() {
	byKey := map[string]*entry{}
	for _, s := range m.adopted() {
		key := s.key()
		if byKey[key] == nil {
			byKey[key] = &entry{content: s.content, audiences: s.asked()}
			m.entries = append(m.entries, byKey[key])
		}
		s.entry = byKey[key]
		byKey[key].stores = append(byKey[key].stores, s)
	}
	for _, e := range m.entries {
		e.overrides()
	}
	nameEntries(m.entries)
}

// key is equal for stores of one entry. What can be overridden is left out of
// it, but for whether it is there at all.
func (s *store) key() string {
	content, _ := clone(s.content).(map[string]any)
	for path := range s.override {
		set(content, path, true)
	}
	data, err := json.Marshal([]any{s.kind, s.method.ID, s.method.Reference, content, s.asked(), s.secrets})
	if err != nil {
		return s.name() // not of JSON's values, which is not to be
	}
	return string(data)
}

// asked are the audiences to state: those of the reference beyond what ESO
// adds, or, where there would be none, the name of the provider's kind.
func (s *store) asked() []string {
	adds := s.adds()
	asked := slices.DeleteFunc(slices.Clone(s.audiences), func(a string) bool { return slices.Contains(adds, a) })
	if len(asked) == 0 && len(adds) == 0 && len(s.method.Asks) == 0 && len(s.secrets) == 0 {
		asked = []string{strings.ToLower(s.kind)}
	}
	slices.Sort(asked)
	return slices.Compact(asked)
}

// adds are the audiences that ESO adds by itself.
func (s *store) adds() []string {
	adds := s.method.Adds
	if s.clusterWide {
		adds = s.method.AddsClusterWide
	}
	all := make([]string, len(adds))
	for i, audience := range adds {
		audience = strings.NewReplacer("{namespace}", s.object.Namespace, "{store}", s.object.Name).Replace(audience)
		if before, rest, found := strings.Cut(audience, "{"); found {
			path, after, _ := strings.Cut(rest, "}")
			value, _ := lookup(s.content, path).(string)
			audience = before + value + after
		}
		all[i] = audience
	}
	return all
}

// overrides lets the entry state what most of its stores have, and the others
// state theirs.
func (e *entry) overrides() {
	for _, field := range e.stores[0].method.Identity {
		counts := map[string]int{}
		for _, s := range e.stores {
			if value := s.override[field.Path]; value != "" {
				counts[value]++
			}
		}
		usual := slices.SortedFunc(maps.Keys(counts), func(a, b string) int { return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b)) })
		if len(usual) == 0 {
			continue
		}
		set(e.content, field.Path, usual[0])
		for _, s := range e.stores {
			if s.override[field.Path] != usual[0] {
				s.identity[field.Name] = s.override[field.Path]
			}
		}
	}
}

// set puts a value at a path of keys joined by dots; the maps on the way are
// there.
func set(content map[string]any, path string, value any) {
	around := content
	if parent := parentOf(path); parent != "" {
		around, _ = lookup(content, parent).(map[string]any)
	}
	if around != nil {
		around[path[strings.LastIndexByte(path, '.')+1:]] = value
	}
}

// byMethod stands among them for the way of exchanging the token.
const byMethod = ""

// telling are the fields by which providers of a kind are told apart, the most
// telling first.
var telling = map[string][]string{
	"vault": {"server", "namespace", byMethod, "auth.kubernetes.mountPath", "auth.jwt.path", "path"}, "aws": {"region", "service", "prefix", "role"},
	"azurekv": {"vaultUrl"}, "gcpsm": {"projectID", "location"}, "kubernetes": {"server.url", "remoteNamespace"},
	"crd": {"resource.kind", "server.url"}, "akeyless": {"akeylessGWApiURL"}, "conjur": {"url", "auth.jwt.serviceID"},
	"oracle": {"region", "compartment"}, "doppler": {"project", "config"}, "pulumi": {"organization", "project", "environment"},
}

// nameEntries calls an entry after its kind; where there are several of it, also
// after what they differ in.
func nameEntries(entries []*entry) {
	words := map[*entry][]string{}
	for _, e := range entries {
		words[e] = e.words()
	}
	taken := map[string]bool{}
	for _, e := range entries {
		others := slices.DeleteFunc(slices.Clone(entries), func(o *entry) bool { return o == e || words[o][0] != words[e][0] })
		e.name = shortest(words[e], others, words)
		for base, n := e.name, 2; taken[e.name]; n++ {
			e.name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[e.name] = true
	}
}

// shortest is as many of the words as tell an entry from the others.
func shortest(own []string, others []*entry, words map[*entry][]string) string {
	name := []string{own[0]}
	for i := 1; i < len(own); i++ {
		if !slices.ContainsFunc(others, func(o *entry) bool { return joined(words[o], i) == joined(own, i) }) {
			break
		}
		if differs := slices.ContainsFunc(others, func(o *entry) bool { return i >= len(words[o]) || words[o][i] != own[i] }); differs && own[i] != "" {
			name = append(name, own[i])
		}
	}
	text := strings.Join(name, "-")
	return strings.Trim(text[:min(len(text), 50)], "-")
}

func joined(words []string, n int) string { return strings.Join(words[:min(n, len(words))], "\x00") }

// words are the parts of an entry's name, its kind first.
func (e *entry) words() []string {
	kind := generators.Slug(e.stores[0].kind)
	words := []string{cmp.Or(kind, "provider")}
	for _, path := range append(slices.Clone(telling[e.stores[0].kind]), byMethod) {
		words = append(words, strings.TrimPrefix(generators.Slug(e.word(path)), kind+"-"))
	}
	if audiences := generators.Slug(strings.Join(e.audiences, "-")); audiences != kind {
		words = append(words, audiences)
	}
	return words
}

func (e *entry) word(path string) string {
	first := e.stores[0]
	switch {
	case path == byMethod:
		return first.method.ID
	case path == "server.url" && len(first.secrets) > 0:
		return "this-cluster"
	}
	value, _ := lookup(e.content, path).(string)
	if u, err := url.Parse(value); err == nil && u.Host != "" {
		return u.Hostname()
	}
	return value
}
