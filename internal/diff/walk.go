package diff

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
)

// walk goes through two forms of an object and notes where they differ.
type walk struct {
	group  string // of the object's API
	live   bool   // the second form is a cluster's
	fields []Field
	more   int
}

// keyed says what a value is called: by its key, and by the name of the list's
// element that it is in.
type keyed struct{ key, element string }

const rbacGroup = "rbac.authorization.k8s.io"

func (w *walk) note(path, before, after string) {
	if len(w.fields) >= maxFields {
		w.more++
		return
	}
	w.fields = append(w.fields, Field{path, before, after})
}

// values compares two values; nil is one that is not there. Of what is there on
// one side only, each part has a line of its own.
func (w *walk) values(path string, called keyed, before, after any) {
	oldMap, wasMap := before.(map[string]any)
	newMap, isMap := after.(map[string]any)
	oldMap, newMap = withoutNil(oldMap), withoutNil(newMap)
	oldList, wasList := before.([]any)
	newList, isList := after.([]any)
	switch {
	case before == nil && w.filledIn(path) || same(before, after):
	case len(oldMap)+len(newMap) > 0 && (wasMap || before == nil) && (isMap || after == nil):
		w.maps(path, called, oldMap, newMap)
	case len(oldList)+len(newList) > 0 && (wasList || before == nil) && (isList || after == nil):
		w.lists(path, called, oldList, newList)
	case (wasMap || wasList) && len(oldMap)+len(oldList) > 0, (isMap || isList) && len(newMap)+len(newList) > 0:
		// Something else altogether than it was.
		w.values(path, called, before, nil)
		w.values(path, called, nil, after)
	default:
		w.leaf(path, called, before, after)
	}
}

// leaf notes two values that have no parts.
func (w *walk) leaf(path string, called keyed, before, after any) {
	w.note(path, shown(called, before), shown(called, after))
}

func (w *walk) maps(path string, called keyed, before, after map[string]any) {
	keys := map[string]bool{}
	for key := range before {
		keys[key] = true
	}
	for key := range after {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		inner := keyed{key: key, element: called.element}
		w.values(join(path, key), inner, before[key], after[key])
	}
}

// join appends a key to a path.
func join(path, key string) string {
	plain := key != "" && !strings.ContainsFunc(key, func(r rune) bool {
		return r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	switch {
	case !plain:
		return path + "[" + quote(key) + "]"
	case path == "":
		return key
	default:
		return path + "." + key
	}
}

// filledIn tells whether a field that only a cluster has is no difference:
// defaults, and what controllers note. What RBAC gives is never one of these.
func (w *walk) filledIn(path string) bool {
	return w.live && (w.group != rbacGroup || strings.HasPrefix(path, "metadata.annotations"))
}

// lists compares lists. The order of RBAC's rules and subjects has no meaning,
// and elements with names are compared by these.
func (w *walk) lists(path string, called keyed, before, after []any) {
	switch {
	case w.group == rbacGroup && path == "rules":
		w.sets(path, before, after, ruleText, long)
	case w.group == rbacGroup && path == "subjects":
		w.sets(path, before, after, subjectText, long)
	case allTexts(before) && allTexts(after):
		w.sets(path, before, after, plainText, func(v any) string { return shown(called, v) })
	default:
		oldNames, newNames := names(before), names(after)
		if oldNames == nil || newNames == nil {
			w.byPlace(path, called, before, after)
			return
		}
		w.byName(path, before, after, oldNames, newNames)
	}
}

func plainText(v any) string {
	text, _ := v.(string)
	return text
}

func allTexts(list []any) bool {
	return !slices.ContainsFunc(list, func(v any) bool { _, is := v.(string); return !is })
}

// sets notes what is in one list only, as often as it is there more often. That
// the order differs is noted where nothing else does: of a command's arguments
// it has a meaning.
func (w *walk) sets(path string, before, after []any, key, show func(any) string) {
	count := map[string]int{}
	for _, v := range before {
		count[key(v)]++
	}
	different := false
	for _, v := range after {
		if count[key(v)]--; count[key(v)] < 0 {
			w.note(path+"[]", "", show(v))
			different = true
		}
	}
	for _, v := range slices.Backward(before) {
		if count[key(v)] > 0 {
			count[key(v)]--
			w.note(path+"[]", show(v), "")
			different = true
		}
	}
	if !different && w.group != rbacGroup {
		w.note(path, "in the order "+inOrder(before, show), "in the order "+inOrder(after, show))
	}
}

func inOrder(list []any, show func(any) string) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = show(v)
	}
	return cut(strings.Join(texts, ", "))
}

// names are the names of a list's elements, nil where one has none or two have
// the same.
func names(list []any) []string {
	all := make([]string, 0, len(list))
	seen := map[string]bool{}
	for _, v := range list {
		name := inventory.Text(v, "name")
		if name == "" || seen[name] {
			return nil
		}
		seen[name] = true
		all = append(all, name)
	}
	return all
}

func (w *walk) byName(path string, before, after []any, oldNames, newNames []string) {
	var kept []string
	for i, name := range oldNames {
		var now any
		if j := slices.Index(newNames, name); j >= 0 {
			now = after[j]
			kept = append(kept, name)
		}
		w.values(path+"["+quote(name)+"]", keyed{element: name}, before[i], now)
	}
	for j, name := range newNames {
		if !slices.Contains(oldNames, name) {
			w.values(path+"["+quote(name)+"]", keyed{element: name}, nil, after[j])
		}
	}
	order := slices.DeleteFunc(slices.Clone(newNames), func(name string) bool { return !slices.Contains(oldNames, name) })
	if !slices.Equal(kept, order) {
		w.note(path, "in the order "+cut(strings.Join(kept, ", ")), "in the order "+cut(strings.Join(order, ", ")))
	}
}

// byPlace compares elements by where they stand, once those that both lists
// begin and end with are left out.
func (w *walk) byPlace(path string, called keyed, before, after []any) {
	start := 0
	for start < len(before) && start < len(after) && same(before[start], after[start]) {
		start++
	}
	end := 0
	for end < len(before)-start && end < len(after)-start && same(before[len(before)-1-end], after[len(after)-1-end]) {
		end++
	}
	before, after = before[start:len(before)-end], after[start:len(after)-end]
	for i := range max(len(before), len(after)) {
		var was, is any
		if i < len(before) {
			was = element(before[i])
		}
		if i < len(after) {
			is = element(after[i])
		}
		w.values(path+"["+strconv.Itoa(start+i)+"]", called, was, is)
	}
}

// null is an element of a list that is nothing: it is there nevertheless.
type null struct{}

func (null) String() string { return "null" }

func element(v any) any {
	if v == nil {
		return null{}
	}
	return v
}

// same tells whether two values are equal, numbers whatever their type.
func same(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(withoutNil(a), withoutNil(b), same)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, same)
	default:
		if x, ok := number(a); ok {
			y, ok := number(b)
			return ok && x == y
		}
		switch b.(type) {
		case map[string]any, []any:
			return false
		}
		return a == b
	}
}

// withoutNil is a map without the keys that stand for nothing.
func withoutNil(m map[string]any) map[string]any {
	for _, v := range m {
		if v == nil {
			m = maps.Clone(m)
			maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
			return m
		}
	}
	return m
}

func number(v any) (float64, bool) {
	switch v := v.(type) {
	case float64:
		return v, true
	case int:
		return float64(v), true
	case int64:
		return float64(v), true
	default:
		return 0, false
	}
}
