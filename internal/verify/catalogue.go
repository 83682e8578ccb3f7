package verify

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// The store policy has the Platform's catalogue in it, a variable for each
// provider. They are values and nothing else: what they say is read here, and
// held to what the Platform says.

// entry is one provider that stores may name.
type entry struct {
	servers []string // the addresses in it
}

// tenantsOwn are the fields of providers that a tenant may fill in: who it is to
// the other side, and what is read there. None says where a token goes (ESO
// 2.9.0, apis/externalsecrets/v1).
var tenantsOwn = []string{"path", "role", "vaultRole", "remoteNamespace", "accessID", "hostId", "identity", "project", "config", "environment"}

// withoutProviders takes the catalogue's variables out of a policy's spec. A
// variable that is no provider as it should be stays, and then the policy is
// none that is known.
func withoutProviders(spec map[string]any) (rest map[string]any, providers []entry) {
	variables, ok := spec["variables"].([]any)
	if !ok {
		return spec, nil
	}
	rest = maps.Clone(spec)
	var kept []any
	for _, variable := range variables {
		fields, _ := variable.(map[string]any)
		name, _ := fields["name"].(string)
		expression, _ := fields["expression"].(string)
		if number, is := strings.CutPrefix(name, "provider"); is && number != "" && strings.Trim(number, "0123456789") == "" && len(fields) == 2 {
			if provider, is := readEntry(expression); is {
				providers = append(providers, provider)
				continue
			}
		}
		kept = append(kept, variable)
	}
	rest["variables"] = kept
	return rest, providers
}

// readEntry reads a provider: it has to keep a store to a service account of
// its own, and leave to the tenant only what is the tenant's.
func readEntry(expression string) (entry, bool) {
	value, ok := readLiteral(expression)
	if !ok {
		return entry{}, false
	}
	return entryOf(value)
}

// entryOf is readEntry of a value.
func entryOf(value any) (entry, bool) {
	fields, is := value.(map[string]any)
	if !is || len(fields) != 6 {
		return entry{}, false
	}
	kind, _ := fields["kind"].(string)
	reference, _ := fields["reference"].(string)
	at, fine := textsOf(fields["at"])
	_, audiences := textsOf(fields["audiences"])
	_, shared := fields["shared"].(bool)
	levels, _ := fields["levels"].([]any)
	if !fine || !audiences || !shared || reference == "" || len(levels) != len(at)+1 || logins[kind] != nil && reference != "serviceAccountRef" {
		return entry{}, false
	}
	var e entry
	for i, item := range levels {
		onward := reference
		if i < len(at) {
			onward = at[i]
		}
		if !readLevel(item, at[:i], onward, &e) {
			return entry{}, false
		}
	}
	return e, true
}

func readLevel(value any, at []string, onward string, e *entry) bool {
	fields, _ := value.(map[string]any)
	place, placed := textsOf(fields["at"])
	open, opened := textsOf(fields["open"])
	fixed, isFixed := fields["fixed"].(map[string]any)
	may, isMay := fields["may"].(map[string]any)
	if len(fields) != 4 || !placed || !opened || !isFixed || !isMay || !slices.Equal(place, at) {
		return false
	}
	for _, key := range open {
		if key != onward && !slices.Contains(tenantsOwn, key) {
			return false
		}
	}
	e.addresses(fixed)
	e.addresses(may)
	return true
}

// addresses notes the addresses in a value.
func (e *entry) addresses(value any) {
	switch value := value.(type) {
	case map[string]any:
		for _, inner := range value {
			e.addresses(inner)
		}
	case []any:
		for _, inner := range value {
			e.addresses(inner)
		}
	case string:
		if strings.Contains(value, "://") {
			e.servers = append(e.servers, value)
		}
	}
}

// serves tells whether all that stores may name are servers that are meant.
func (r *recognized) serves(meant []string) bool {
	if meant == nil {
		return true
	}
	for _, e := range r.providers {
		for _, server := range e.servers {
			if !slices.Contains(meant, server) {
				return false
			}
		}
	}
	return true
}

func textsOf(value any) ([]string, bool) {
	items, ok := value.([]any)
	var all []string
	for _, item := range items {
		text, is := item.(string)
		if !is {
			return nil, false
		}
		all = append(all, text)
	}
	return all, ok
}

// readLiteral reads a value in CEL: maps, lists, texts in single quotes, whole
// numbers, true, false and null, each perhaps as dyn(…). It tells whether that is
// all there is.
func readLiteral(text string) (any, bool) {
	l := &literalReader{rest: text}
	value := l.value(0)
	return value, !l.bad && l.rest == ""
}

type literalReader struct {
	rest string
	bad  bool
}

// maxLiteralDepth bounds how deep maps and lists go.
const maxLiteralDepth = 40

func (l *literalReader) take(token string) bool {
	rest, found := strings.CutPrefix(l.rest, token)
	l.rest = rest
	return found
}

func (l *literalReader) expect(token string) {
	if !l.take(token) {
		l.bad = true
	}
}

func (l *literalReader) value(depth int) any {
	switch {
	case depth > maxLiteralDepth || l.bad:
		l.bad = true
		return nil
	case l.take("dyn("):
		value := l.value(depth + 1)
		l.expect(")")
		return value
	case l.take("{"):
		return l.fields(depth)
	case l.take("["):
		return l.items(depth)
	case strings.HasPrefix(l.rest, "'"):
		return l.text()
	case l.take("true"):
		return true
	case l.take("false"):
		return false
	case l.take("null"):
		return nil
	default:
		return l.number()
	}
}

func (l *literalReader) fields(depth int) any {
	fields := map[string]any{}
	for !l.bad && !l.take("}") {
		if len(fields) > 0 {
			l.expect(", ")
		}
		key := l.text()
		l.expect(": ")
		if _, twice := fields[key]; twice {
			l.bad = true
		}
		fields[key] = l.value(depth + 1)
	}
	return fields
}

func (l *literalReader) items(depth int) any {
	items := []any{}
	for !l.bad && !l.take("]") {
		if len(items) > 0 {
			l.expect(", ")
		}
		items = append(items, l.value(depth+1))
	}
	return items
}

func (l *literalReader) text() string {
	var b strings.Builder
	l.expect("'")
	for !l.bad {
		i := strings.IndexAny(l.rest, `'\`)
		if i < 0 {
			l.bad = true
			break
		}
		b.WriteString(l.rest[:i])
		end := l.rest[i] == '\''
		l.rest = l.rest[i+1:]
		if end {
			break
		}
		if l.rest == "" || l.rest[0] != '\'' && l.rest[0] != '\\' {
			l.bad = true
			break
		}
		b.WriteByte(l.rest[0])
		l.rest = l.rest[1:]
	}
	return b.String()
}

func (l *literalReader) number() any {
	end := strings.IndexAny(l.rest, ")]},")
	if end < 0 {
		end = len(l.rest)
	}
	n, err := strconv.ParseInt(l.rest[:end], 10, 64)
	if err != nil {
		l.bad = true
	}
	l.rest = l.rest[end:]
	return n
}
