package adopt

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/schema"
)

// tenant is a tenant to be, or with no name, what the Platform has for itself.
type tenant struct {
	name       string
	namespaces map[string][]*store // also those that only use a shared store
}

// findTenants gives each namespace with a store, or that uses a shared one, its
// tenant.
func (m *maker) findTenants() {
	owners := m.owners()
	byName := map[string]*tenant{}
	add := func(namespace string, stores ...*store) {
		name := owners[namespace]
		if byName[name] == nil {
			byName[name] = &tenant{name: name, namespaces: map[string][]*store{}}
			m.tenants = append(m.tenants, byName[name])
		}
		byName[name].namespaces[namespace] = append(byName[name].namespaces[namespace], stores...)
	}
	for _, s := range m.adopted() {
		if !s.clusterWide {
			add(s.object.Namespace, s)
			continue
		}
		for _, namespace := range s.users {
			add(namespace)
		}
	}
	slices.SortFunc(m.tenants, func(a, b *tenant) int { return cmp.Compare(a.name, b.name) })
}

// owners are the names of tenants by namespace; "" is the Platform itself.
func (m *maker) owners() map[string]string {
	owners, labelled := map[string]string{}, map[string]bool{}
	var rest []string
	for _, namespace := range m.inUse() {
		switch value := m.labelOf(namespace); {
		case reserved(namespace):
			owners[namespace] = ""
		case value != "":
			owners[namespace] = value
			labelled[value] = true
		default:
			rest = append(rest, namespace)
		}
	}
	for _, namespace := range rest {
		name := namespace
		// A namespace that nobody labelled is not the tenant's of that name.
		for name == schema.PlatformTenant || labelled[name] {
			name = name[:min(len(name), 50)] + "-namespace"
		}
		owners[namespace] = name
	}
	return owners
}

// inUse are the namespaces that tenants are made of.
func (m *maker) inUse() []string {
	var all []string
	for _, s := range m.adopted() {
		if s.clusterWide {
			all = append(all, s.users...)
		} else {
			all = append(all, s.object.Namespace)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var dnsLabel = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)

// labelOf is the tenant that a Namespace's label names, if that can be one.
func (m *maker) labelOf(namespace string) string {
	o := m.named[objectName{"/Namespace", "", namespace}]
	if m.in.TenantLabel == "" || o == nil {
		return ""
	}
	value := label(o, m.in.TenantLabel)
	if len(value) > 63 || !dnsLabel.MatchString(value) || value == schema.PlatformTenant {
		return ""
	}
	return value
}

// reserved are the cluster's own namespaces, and Flux's, which are no tenant's.
func reserved(namespace string) bool {
	return namespace == "default" || namespace == "flux-system" || strings.HasPrefix(namespace, "kube-")
}

// unlabelled are namespaces that --tenant-label does not say the tenant of.
func (m *maker) unlabelled() []string {
	if m.in.TenantLabel == "" {
		return nil
	}
	return slices.DeleteFunc(m.inUse(), func(namespace string) bool { return reserved(namespace) || m.labelOf(namespace) != "" })
}

// having are the tenants of all stores.
func (m *maker) having() map[*store]string {
	found := map[*store]string{}
	for _, s := range m.adopted() {
		found[s] = schema.PlatformTenant // as shared stores are
	}
	for _, t := range m.tenants {
		for _, stores := range t.namespaces {
			for _, s := range stores {
				found[s] = cmp.Or(t.name, schema.PlatformTenant)
			}
		}
	}
	return found
}

// prune takes stores out that are left out, and what is empty then.
func (m *maker) prune() {
	isLeft := func(s *store) bool { return s.left != nil }
	for _, t := range m.tenants {
		for namespace, stores := range t.namespaces {
			t.namespaces[namespace] = slices.DeleteFunc(stores, isLeft)
			if len(t.namespaces[namespace]) == 0 && !m.usesShared(namespace) {
				delete(t.namespaces, namespace)
			}
		}
	}
	m.tenants = slices.DeleteFunc(m.tenants, func(t *tenant) bool { return len(t.namespaces) == 0 })
	for _, e := range m.entries {
		e.stores = slices.DeleteFunc(e.stores, isLeft)
	}
	m.entries = slices.DeleteFunc(m.entries, func(e *entry) bool { return len(e.stores) == 0 })
}

func (m *maker) usesShared(namespace string) bool {
	return slices.ContainsFunc(m.adopted(), func(s *store) bool { return s.clusterWide && slices.Contains(s.users, namespace) })
}

// namespacePatterns are what tenants may claim, no wider than what they have.
func (m *maker) namespacePatterns() []string {
	var patterns []string
	for _, t := range m.tenants {
		for namespace := range t.namespaces {
			switch {
			case t.name == "": // the Platform may have any
			case namespace == t.name:
				patterns = append(patterns, "{tenant}")
			case strings.HasPrefix(namespace, t.name+"-"):
				patterns = append(patterns, "{tenant}-.*")
			default:
				patterns = append(patterns, namespace)
			}
		}
	}
	return sorted(patterns)
}

// identityPatterns are the same for external identities, by catalogue entry.
func (m *maker) identityPatterns() map[string][]string {
	patterns := map[string][]string{}
	for _, e := range m.entries {
		if e.stores[0].method.Provider == "vault" {
			patterns[e.name] = []string{} // or the default would let tenants use what only the Platform does
		}
	}
	for _, t := range m.tenants {
		if t.name == "" {
			continue
		}
		for namespace, stores := range t.namespaces {
			for _, s := range stores {
				patterns[s.entry.name] = append(patterns[s.entry.name], s.identityPatterns(t.name, namespace)...)
			}
		}
	}
	for name, all := range patterns {
		patterns[name] = sorted(all)
	}
	return patterns
}

func (s *store) identityPatterns(tenant, namespace string) []string {
	var patterns []string
	for _, field := range s.method.Identity {
		value := s.identity[field.Name]
		if field.Name == "role" && s.method.Provider == "vault" && value == "" {
			value = namespace + "-" + s.object.Name
		}
		if field.Principal && value != "" {
			patterns = append(patterns, pattern(value, tenant, namespace))
		}
	}
	return patterns
}

// pattern is a value as a pattern: only the namespace's name in it, or the
// tenant's, stands for others.
func pattern(value, tenant, namespace string) string {
	for _, part := range []struct{ name, placeholder string }{{namespace, "{namespace}"}, {tenant, "{tenant}"}} {
		if before, after, found := cutWord(value, part.name); found {
			return quote(before) + part.placeholder + quote(after)
		}
	}
	return quote(value)
}

// quote is a text that matches itself only. A pattern has no spaces.
func quote(text string) string { return strings.ReplaceAll(regexp.QuoteMeta(text), " ", `\x20`) }

var letter = regexp.MustCompile(`^[A-Za-z0-9]$`)

// cutWord cuts a text around a word that is not a part of a longer one.
func cutWord(text, word string) (before, after string, found bool) {
	for from := 0; word != ""; {
		i := strings.Index(text[from:], word)
		if i < 0 {
			break
		}
		i += from
		before, after = text[:i], text[i+len(word):]
		if !letter.MatchString(before[max(0, len(before)-1):]) && !letter.MatchString(after[:min(1, len(after))]) {
			return before, after, true
		}
		from = i + 1
	}
	return "", "", false
}

func sorted(all []string) []string {
	slices.Sort(all)
	return slices.Compact(all)
}

// extra are fields of a store's spec that a specification does not have.
func extra(o *inventory.Object) []string {
	var fields []string
	for key, value := range o.Map("spec") {
		known := key == "provider" || key == "controller" || key == "conditions" && o.Kind == "ClusterSecretStore"
		if list, isList := value.([]any); !known && value != nil && (!isList || len(list) > 0) {
			fields = append(fields, "spec."+key)
		}
	}
	return sorted(fields)
}
