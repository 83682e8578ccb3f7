package adopt

import (
	"bytes"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// field is a key and its value, in the order in which they are written. about
// is what a problem at the key, or below it, is about.
type field struct {
	key   string
	value any
	about any
	note  string // a comment above; never of the dump's text
}

type fields []field

// add adds a field, unless its value is empty.
func (f *fields) add(key string, value any) {
	switch v := value.(type) {
	case string:
		if v == "" {
			return
		}
	case []string:
		if len(v) == 0 {
			return
		}
	case fields:
		if len(v) == 0 {
			return
		}
	case map[string]string:
		if len(v) == 0 {
			return
		}
	default:
	}
	*f = append(*f, field{key: key, value: value})
}

const platformFile = "platform.yaml"

// write makes the files anew.
func (m *maker) write() error {
	m.files, m.places = nil, places{}
	if err := m.file(platformFile, "who runs ESO, and what tenants may claim", m.platform()); err != nil {
		return err
	}
	for _, t := range m.tenants {
		if t.name == "" {
			continue
		}
		if err := m.file(fileOf(t.name), "tenant "+t.name, t.document()); err != nil {
			return err
		}
	}
	return nil
}

// fileOf is a tenant's file. A folder's kustomization.yaml is read by nobody
// but kustomize.
func fileOf(tenant string) string {
	if tenant == "kustomization" {
		return "tenants/kustomization/tenant.yaml"
	}
	return "tenants/" + tenant + ".yaml"
}

func (m *maker) file(name, about string, document fields) error {
	var data bytes.Buffer
	encoder := yaml.NewEncoder(&data)
	encoder.SetIndent(2)
	err := encoder.Encode(nodeOf(document))
	if err == nil {
		err = encoder.Close()
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	m.files = append(m.files, File{Name: name, About: about, Data: data.Bytes()})
	return m.places.find(name, data.Bytes(), document)
}

func envelope(kind, name string, spec fields) fields {
	return fields{
		{key: "apiVersion", value: schema.APIVersion},
		{key: "kind", value: kind},
		{key: "metadata", value: fields{{key: "name", value: name}}},
		{key: "spec", value: spec},
	}
}

func (m *maker) platform() fields {
	var spec, cluster, shared fields
	cluster.add("kubernetes", m.in.Kubernetes)
	cluster.add("issuer", m.in.Issuer)
	spec.add("cluster", cluster)
	spec = append(spec,
		field{key: "externalSecrets", value: m.operatorFields()},
		field{key: "enforcement", value: string(m.enforcement()), note: "observe takes nothing from External Secrets Operator yet."},
		field{key: "providers", value: m.providers()},
	)
	spec.add("tenantPolicy", m.policy())
	for _, s := range m.adopted() {
		if s.clusterWide {
			shared = append(shared, field{key: s.object.Name, value: append(s.fields(), field{key: "namespaces", value: s.users}), about: s})
		}
	}
	spec.add("sharedStores", shared)
	spec.add("admission", m.admissionFields())
	for _, t := range m.tenants {
		if t.name == "" {
			spec.add("namespaces", t.fields())
		}
	}
	return envelope("Platform", m.cluster, spec)
}

// enforcement takes nothing away that is there; nor does it give back what is
// gone already.
func (m *maker) enforcement() schema.Enforcement {
	if m.operator.RBAC == schema.Replace && !m.mint.blanket {
		return schema.Enforce
	}
	return schema.Observe
}

// operatorFields say what is not the default.
func (m *maker) operatorFields() fields {
	op := m.operator
	var f fields
	f.add("version", "v"+op.version)
	if op.Namespace != chart {
		f.add("namespace", op.Namespace)
	}
	if op.HelmRelease != chart {
		f.add("release", op.HelmRelease)
	}
	if op.ServiceAccount != eso.FullName(op.HelmRelease) {
		f.add("serviceAccount", op.ServiceAccount)
	}
	f.add("rbac", string(op.RBAC))
	var features []string
	for _, feature := range op.Features {
		features = append(features, string(feature))
	}
	f.add("features", features)
	return f
}

func (m *maker) providers() fields {
	f := fields{}
	for _, e := range m.entries {
		f = append(f, field{key: e.name, value: e.fields(), about: e})
	}
	slices.SortFunc(f, func(a, b field) int { return slices.Compare([]byte(a.key), []byte(b.key)) })
	return f
}

func (e *entry) fields() fields {
	var f fields
	f.add("audiences", e.audiences)
	first := e.stores[0]
	if len(first.secrets) > 0 {
		f.add("sameCluster", true)
		f.add("secrets", first.secrets)
	}
	if first.method.ID == customMethod {
		f.add("custom", fields{
			{key: "provider", value: map[string]any{first.kind: e.content}},
			{key: "serviceAccountRef", value: first.kind + "." + first.method.Reference},
		})
		return f
	}
	f.add(first.kind, e.content)
	return f
}

func (m *maker) policy() fields {
	var f, identities fields
	f.add("namespaces", m.namespacePatterns())
	patterns := m.identityPatterns()
	for _, name := range slices.Sorted(maps.Keys(patterns)) {
		if all := patterns[name]; all != nil {
			identities = append(identities, field{key: name, value: all})
		}
	}
	f.add("identities", identities)
	if slices.ContainsFunc(m.tenants, func(t *tenant) bool { return t.name != "" }) {
		f = append(f, field{key: "overrides", value: []string{"manage"}, note: "Namespaces stay whose they are."})
	}
	return f
}

func (t *tenant) document() fields {
	return envelope("Tenant", t.name, fields{{key: "namespaces", value: t.fields()}})
}

func (t *tenant) fields() fields {
	var all fields
	for _, namespace := range slices.Sorted(maps.Keys(t.namespaces)) {
		var stores fields
		for _, s := range t.namespaces[namespace] {
			stores = append(stores, field{key: s.object.Name, value: s.fields(), about: s})
		}
		f := fields{{key: "manage", value: false}}
		f.add("stores", stores)
		all = append(all, field{key: namespace, value: f, about: namespaceName(namespace)})
	}
	return all
}

// namespaceName is a namespace as what a problem is about.
type namespaceName string

func (s *store) fields() fields {
	var f fields
	f.add("provider", s.entry.name)
	if s.account.Name != s.object.Name+"-access-sa" {
		f.add("serviceAccount", s.account.Name)
	}
	f.add("identity", s.identity)
	if s.shared && !s.clusterWide {
		f.add("shared", true)
	}
	return f
}

// plain is a text that every parser of YAML takes for one, but for some words.
var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9/._@-]*$|^https?://[A-Za-z0-9./_-]+(:[0-9]+)?[A-Za-z0-9/]*$`)

// words are something else to some parsers.
var words = []string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

func textNode(text string) *yaml.Node {
	n := scalar("!!str", text)
	if !plain.MatchString(text) || slices.Contains(words, strings.ToLower(text)) {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// nodeOf is a value as YAML.
func nodeOf(value any) *yaml.Node {
	switch v := value.(type) {
	case string:
		return textNode(v)
	case bool:
		return scalar("!!bool", strconv.FormatBool(v))
	case float64:
		if v == float64(int64(v)) {
			return scalar("!!int", strconv.FormatInt(int64(v), 10))
		}
		return scalar("!!float", strconv.FormatFloat(v, 'g', -1, 64))
	case []string:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		if len(v) <= 2 {
			list.Style = yaml.FlowStyle
		}
		for _, item := range v {
			list.Content = append(list.Content, nodeOf(item))
		}
		return list
	case []any:
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range v {
			list.Content = append(list.Content, nodeOf(item))
		}
		return list
	default:
		return mapNode(value)
	}
}

func mapNode(value any) *yaml.Node {
	node := &yaml.Node{Kind: yaml.MappingNode}
	put := func(key string, value any, note string) {
		k := textNode(key)
		k.HeadComment = note
		node.Content = append(node.Content, k, nodeOf(value))
	}
	switch v := value.(type) {
	case fields:
		for _, f := range v {
			put(f.key, f.value, f.note)
		}
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			put(key, v[key], "")
		}
	case map[string]string:
		node.Style = yaml.FlowStyle
		for _, key := range slices.Sorted(maps.Keys(v)) {
			put(key, v[key], "")
		}
	default:
		return scalar("!!null", "null")
	}
	return node
}
