package schema

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/generators/eso"
)

// object is a map of a specification as plain values: object, []any, string, int, bool, nil.
type object = map[string]any

// specimen is a specification that Decode accepts, until mutations change it.
type specimen struct {
	platforms, tenants []object
}

func (s *specimen) documents() []object { return slices.Concat(s.platforms, s.tenants) }

// drawSpecimen draws a specification of one or two Platforms and some tenants. Tenants' names begin with a t and have no
// dash, so that none is reserved and none is the beginning of another's namespace.
func drawSpecimen(t *rapid.T) *specimen {
	return drawSpecimenOn(t, rapid.SampledFrom([][]string{{"eu-1"}, {"eu-1", "us-1"}}).Draw(t, "clusters"))
}

func drawSpecimenOn(t *rapid.T, clusters []string) *specimen {
	s := &specimen{}
	kinds := rapid.SliceOfNDistinct(rapid.SampledFrom(slices.Sorted(maps.Keys(drawnProviders))), 1, 3, rapid.ID).Draw(t, "providers")
	for _, name := range clusters {
		s.platforms = append(s.platforms, drawPlatform(t, name, kinds))
	}
	names := rapid.SliceOfNDistinct(rapid.StringMatching(`t[a-z0-9]{0,6}`), 1, 3, rapid.ID).Draw(t, "tenants")
	for i, name := range names {
		s.tenants = append(s.tenants, drawTenant(t, i, name, clusters, kinds))
	}
	return s
}

// drawnProviders are the provider kinds with their content; the key is also the provider's name.
var drawnProviders = map[string]func() object{
	"vault": func() object {
		return object{"audiences": []any{"vault"}, "vault": object{"server": "https://vault.example.com", "path": "kv", "auth": object{"kubernetes": object{"mountPath": "k8s"}}}}
	},
	"vault-jwt": func() object {
		return object{"audiences": []any{"bao"}, "vault": object{"server": "https://bao.example.com", "auth": object{"jwt": object{"path": "jwt"}}}}
	},
	"aws": func() object {
		return object{"aws": object{"service": "ParameterStore", "region": "eu-west-1"}}
	},
	"azure": func() object { return object{"azurekv": object{"vaultUrl": "https://acme.vault.azure.net"}} },
	"gcp": func() object {
		return object{"gcpsm": object{"projectID": "acme", "auth": object{"workloadIdentity": object{"clusterProjectID": "acme", "clusterLocation": "europe-west1", "clusterName": "eu-1"}}}}
	},
	"hub": func() object {
		return object{"audiences": []any{"hub"}, "kubernetes": object{"server": object{"url": "https://hub.example.com"}, "remoteNamespace": "shared"}}
	},
	"here": func() object {
		return object{"sameCluster": true, "secrets": []any{"{tenant}-db"}, "kubernetes": object{"remoteNamespace": "shared"}}
	},
}

func drawPlatform(t *rapid.T, name string, kinds []string) object {
	version := rapid.SampledFrom(eso.Versions()).Draw(t, "version")
	providers, identities := object{}, object{}
	for _, kind := range kinds {
		providers[kind] = drawnProviders[kind]()
		if !strings.HasPrefix(kind, "vault") {
			identities[kind] = []any{"(arn:aws:iam::123456789012:role/)?{tenant}-.*", "[0-9a-f-]{36}"}
		}
	}
	spec := object{
		"externalSecrets": object{"version": rapid.SampledFrom([]string{"", "v"}).Draw(t, "v") + version},
		"enforcement":     rapid.SampledFrom([]string{"observe", "enforce"}).Draw(t, "enforcement"),
		"providers":       providers,
		"tenantPolicy":    object{"identities": identities, "labels": []any{"cost-centre"}, "overrides": []any{"limits", "manage"}},
	}
	if rapid.Bool().Draw(t, "defaults") {
		spec["namespaceDefaults"] = object{"podSecurity": "restricted", "quota": object{"pods": 50, "cpu": "1500m"}, "network": object{"defaultDeny": true}}
	}
	if rapid.Bool().Draw(t, "network") {
		spec["network"] = object{
			"flavour": "Cilium", "apiServer": object{"ports": []any{6443}}, "metrics": object{"namespaces": []any{"monitoring"}},
			"internet": true, "podCIDRs": []any{"10.244.0.0/16"}, "serviceCIDRs": []any{"10.96.0.0/12"},
		}
	}
	if rapid.Bool().Draw(t, "flux") {
		spec["flux"] = object{"sourceRef": object{"kind": "GitRepository", "name": "fleet"}}
	}
	return kinded("Platform", name, spec)
}

func kinded(kind, name string, spec object) object {
	return object{"apiVersion": APIVersion, "kind": kind, "metadata": object{"name": name}, "spec": spec}
}

func drawTenant(t *rapid.T, index int, name string, clusters, kinds []string) object {
	spec := object{}
	if len(clusters) > 1 || rapid.Bool().Draw(t, "states clusters") {
		spec["clusters"] = []any{rapid.SampledFrom(clusters).Draw(t, "cluster")}
	}
	members := []any{}
	for i := range rapid.IntRange(0, 2).Draw(t, "members") {
		members = append(members, object{"kind": "Group", "name": name + strconv.Itoa(i), "role": rapid.SampledFrom([]string{"view", "edit"}).Draw(t, "role")})
	}
	spec["members"] = members
	namespaces := object{}
	for _, suffix := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"", "-prod", "-test", "-7"}), 1, 2, rapid.ID).Draw(t, "namespaces") {
		namespaces[name+suffix] = drawNamespace(t, index, name, name+suffix, kinds)
	}
	spec["namespaces"] = namespaces
	return kinded("Tenant", name, spec)
}

func drawNamespace(t *rapid.T, index int, tenant, name string, kinds []string) object {
	ns := object{}
	if rapid.Bool().Draw(t, "labelled") {
		ns["labels"] = object{"cost-centre": rapid.SampledFrom([]string{"4711", "yes", "a", ""}).Draw(t, "label")}
	}
	if rapid.Bool().Draw(t, "managed") {
		ns["manage"] = rapid.Bool().Draw(t, "manage")
		ns["limits"] = []any{object{"type": "Container", "default": object{"memory": "512Mi"}}}
	}
	stores := object{}
	for _, kind := range rapid.SliceOfNDistinct(rapid.SampledFrom(kinds), 0, 2, rapid.ID).Draw(t, "stores") {
		stores["s-"+kind] = drawStore(t, index, tenant, name, kind)
	}
	ns["stores"] = stores
	return ns
}

func drawStore(t *rapid.T, index int, tenant, namespace, kind string) object {
	store := object{"provider": kind}
	if rapid.Bool().Draw(t, "states account") {
		store["serviceAccount"] = kind + "-sa"
	}
	stated := rapid.Bool().Draw(t, "states identity")
	switch {
	case kind == "aws":
		store["identity"] = object{"roleARN": "arn:aws:iam::123456789012:role/" + tenant + "-" + kind}
	case kind == "azure":
		id := fmt.Sprintf("%08x-0000-4000-8000-000000000000", index)
		store["identity"] = object{"clientID": id, "tenantID": "5e5f1f3e-0000-4000-8000-000000000000"}
	case stated && kind == "gcp":
		store["identity"] = object{"serviceAccount": tenant + "-secrets@acme.iam.gserviceaccount.com"}
	case stated && strings.HasPrefix(kind, "vault"):
		store["identity"] = object{"role": namespace + "-role"}
	case stated:
		store["identity"] = object{}
	}
	return store
}

// layout writes values as YAML with the order of keys, and block or flow style, by chance.
type layout struct{ random *rand.Rand }

func drawLayout(t *rapid.T, label string) layout {
	return layout{rand.New(rand.NewPCG(rapid.Uint64().Draw(t, label), 0))}
}

func (l layout) node(v any) *yaml.Node {
	switch v := v.(type) {
	case object:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Style: l.style()}
		keys := slices.Sorted(maps.Keys(v))
		l.random.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
		for _, key := range keys {
			n.Content = append(n.Content, l.node(key), l.node(v[key]))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: l.style()}
		for _, item := range v {
			n.Content = append(n.Content, l.node(item))
		}
		return n
	default:
		n := &yaml.Node{}
		if err := n.Encode(v); err != nil {
			panic(err) // scalars always encode
		}
		return n
	}
}

func (l layout) style() yaml.Style {
	if l.random.IntN(4) == 0 {
		return yaml.FlowStyle
	}
	return 0
}

func (l layout) document(doc object) string {
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	if err := encoder.Encode(l.node(doc)); err != nil {
		panic(err) // nodes made by l.node always encode
	}
	return b.String()
}

// sources puts documents, in an order by chance, into up to three files.
func (l layout) sources(docs []object) []Source {
	texts := make([]string, 1+l.random.IntN(3))
	for _, i := range l.random.Perm(len(docs)) {
		file := l.random.IntN(len(texts))
		texts[file] += "---\n" + l.document(docs[i])
	}
	var sources []Source
	for _, i := range l.random.Perm(len(texts)) {
		if texts[i] == "" {
			continue // an empty file is a problem
		}
		sources = append(sources, Source{File: fmt.Sprintf("f%d.yaml", i), Data: []byte(texts[i])})
	}
	return sources
}

// mutation is one mistake that can be planted. Of two in the same unit, one may hide the other.
type mutation struct {
	unit, what string
	plant      func()
}

// mutations lists the mistakes that can be planted in a specimen.
func (s *specimen) mutations() []mutation {
	var all []mutation
	for _, p := range s.platforms {
		all = append(all, platformMutations(p)...)
	}
	for _, tenant := range s.tenants {
		all = append(all, tenantMutations(tenant)...)
	}
	return all
}

// part is a value that is known to be a map.
func part(v any) object {
	m, ok := v.(object)
	if !ok {
		panic(fmt.Sprintf("%v is no map", v))
	}
	return m
}

func nameOf(doc object) string { return fmt.Sprint(part(doc["metadata"])["name"]) }

// set plants a value under a key.
func set(unit string, in object, key string, value any) mutation {
	return mutation{unit, key + " set", func() { in[key] = value }}
}

func platformMutations(doc object) []mutation {
	spec := part(doc["spec"])
	unit := "platform " + nameOf(doc)
	operator, policy := part(spec["externalSecrets"]), part(spec["tenantPolicy"])
	all := []mutation{
		set(unit, doc, "status", object{}),
		set(unit+" metadata", part(doc["metadata"]), "generation", 1),
		set(unit+" enforcement", spec, "enforcement", "enforced"),
		{unit + " enforcement", "removed", func() { delete(spec, "enforcement") }},
		set(unit+" eso version", operator, "version", "99.0.0"),
		set(unit+" eso version", operator, "version", 2),
		set(unit+" eso features", operator, "features", []any{"everything"}),
		set(unit+" eso other", operator, "namespce", "x"),
		set(unit+" retired", spec, "retired", "old"),
		set(unit+" network", spec, "network", object{}),
		set(unit+" flux", spec, "flux", object{"sourceRef": object{"kind": "Git", "name": "x"}}),
		set(unit+" policy labels", policy, "labels", []any{"cost-centre", "x.kubernetes.io/y"}),
		set(unit+" policy patterns", part(policy["identities"]), "nowhere", []any{}),
	}
	if network, ok := spec["network"].(object); ok {
		all = append(
			all,
			set(unit+" network", network, "flavour", "Calico"),
			set(unit+" network", part(network["apiServer"]), "ports", []any{}),
			set(unit+" network", part(network["metrics"]), "podLabels", object{}),
			set(unit+" network", network, "podCIDRs", []any{"10.244.0.0"}),
		)
	}
	for name, provider := range part(spec["providers"]) {
		unit := unit + " provider " + name
		provider := part(provider)
		all = append(all, set(unit, provider, "audience", "x"), set(unit, provider, "audiences", "x"))
		for key, content := range provider {
			if content, ok := content.(object); ok {
				all = append(all, set(unit+key, content, "unheard", 1), set(unit+key, content, "of", "x"))
			}
		}
	}
	return all
}

func tenantMutations(doc object) []mutation {
	spec := part(doc["spec"])
	unit := "tenant " + nameOf(doc)
	all := []mutation{
		set(unit, doc, "status", object{}),
		set(unit+" metadata", part(doc["metadata"]), "labels", []any{}),
		set(unit+" spec", spec, "namespace", "x"),
	}
	members, _ := spec["members"].([]any)
	for i, member := range members {
		all = append(all, memberMutations(fmt.Sprint(unit, " member ", i), part(member))...)
	}
	namespaces := part(spec["namespaces"])
	for name, namespace := range namespaces {
		all = append(all, namespaceMutations(unit+" namespace "+name, part(namespace))...)
	}
	for name, content := range map[string]any{"kube-system": object{}, "web_x": object{}, "other": object{}, "nothing": nil, "flux-system": object{}} {
		all = append(all, set(unit+" new namespace "+name, namespaces, name, content))
	}
	return all
}

func memberMutations(unit string, member object) []mutation {
	return []mutation{
		set(unit, member, "kind", "Grp"), set(unit, member, "kind", "User"), set(unit, member, "kind", true),
		set(unit, member, "name", "system:masters"), set(unit, member, "name", 5), set(unit, member, "nme", "x"),
		{unit, "role removed", func() { delete(member, "role") }},
	}
}

func namespaceMutations(unit string, ns object) []mutation {
	all := []mutation{
		set(unit+" manage", ns, "manage", "true"),
		set(unit+" podSecurity", ns, "podSecurity", "weak"),
		set(unit+" podSecurity", ns, "podSecurity", "privileged"),
		set(unit+" podSecurity", ns, "podSecurity", object{"enforce": "weak"}),
		set(unit+" quota", ns, "quota", object{"pods": "1"}),
		set(unit+" quota", ns, "quota", object{"pods": -1}),
		set(unit+" annotations", ns, "annotations", object{"x": "y"}),
		set(unit+" labels", ns, "labels", object{"a b": "y"}),
		set(unit+" labels", ns, "labels", object{"istio-injection": "disabled"}),
		set(unit+" labels", ns, "labels", object{"cost-centre": nil}),
		set(unit+" other", ns, "lables", object{}),
	}
	stores := part(ns["stores"])
	for name, store := range stores {
		unit, store := unit+" store "+name, part(store)
		all = append(all,
			mutation{unit, "provider removed", func() { delete(store, "provider") }},
			set(unit, store, "provider", "nowhere"),
			set(unit, store, "identity", object{"rle": "x"}),
			set(unit, store, "identity", "x"),
			set(unit+" account", store, "serviceAccount", "BAD"),
			set(unit+" account", store, "serviceAccount", "default"),
			set(unit+" shared", store, "shared", "yes"),
			set(unit+" other", store, "store", 1),
		)
	}
	return append(all, set(unit+" new store", stores, "Bad", object{"provider": "x"}))
}

// plantSome plants up to most mistakes, each in a unit of its own, and returns what they are.
func (s *specimen) plantSome(t *rapid.T, most int) []string {
	all := s.mutations()
	// Maps have no order, and what rapid draws has to mean the same again.
	slices.SortStableFunc(all, func(a, b mutation) int { return strings.Compare(a.unit+a.what, b.unit+b.what) })
	var planted []string
	taken := map[string]bool{}
	for range rapid.IntRange(0, most).Draw(t, "mistakes") {
		m := rapid.SampledFrom(all).Draw(t, "mistake")
		if !taken[m.unit] {
			taken[m.unit] = true
			m.plant()
			planted = append(planted, m.unit+": "+m.what)
		}
	}
	return planted
}
