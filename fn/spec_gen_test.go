package fn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
)

// doc is one document of a specification, as YAML has it.
type doc = map[string]any

// specification is a valid one, drawn at random: one document for each Platform and Tenant.
type specification struct {
	platforms, tenants []doc
	shape              shape
}

func (s specification) docs() []doc { return slices.Concat(s.platforms, s.tenants) }

// shape is what Platforms and Tenants have to agree on.
type shape struct {
	clusters       []string
	providers      []string // of all Platforms, so that every tenant can live on any
	azureDirectory bool     // the Platform names it, so no tenant may
}

// The pools that names come from. Among them are words that YAML takes for something else, the names of our own
// files and folders, and the longest. No tenant's name begins with another's and a "-": it could claim the other's namespaces.
var (
	clusterPool   = []string{"eu-1", "null", "0"}
	tenantPool    = []string{"payments", "web", "kustomization", "flux", "tenants", "true", "007", "1e3", "a", strings.Repeat("long-", 12) + "abc"}
	suffixPool    = []string{"", "-prod", "-dev", "-0", "-kustomization"}
	storePool     = []string{"vault", "main", "no", "12", "kustomization", strings.Repeat("s", 53)}
	accountPool   = []string{"vault-access-sa", "shared", "off", strings.Repeat("a", 63)}
	providerPool  = []string{"vault", "vault-jwt", "aws-eu", "azure", "gcp", "hub", "local"}
	rolePool      = []string{"view", "edit", "admin", "custom:reader"}
	quantityPool  = []any{"50", 10, "500m", "2Gi", 1.5, "0.25"}
	namespacePool = []string{"external-secrets", "eso-system"}
)

func drawSpec(t *rapid.T) specification { return drawSpecOn(t, len(clusterPool)) }

// drawSpecOn draws one for at most so many clusters.
func drawSpecOn(t *rapid.T, clusters int) specification {
	s := shape{
		clusters:       rapid.SliceOfNDistinct(rapid.SampledFrom(clusterPool), 1, clusters, rapid.ID[string]).Draw(t, "clusters"),
		providers:      rapid.SliceOfNDistinct(rapid.SampledFrom(providerPool), 1, len(providerPool), rapid.ID[string]).Draw(t, "providers"),
		azureDirectory: rapid.Bool().Draw(t, "azureDirectory"),
	}
	spec := specification{shape: s}
	for _, name := range s.clusters {
		spec.platforms = append(spec.platforms, drawPlatform(t, s, name))
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(tenantPool), 0, 6, rapid.ID[string]).Draw(t, "tenants") {
		spec.tenants = append(spec.tenants, drawTenant(t, s, name))
	}
	return spec
}

func envelope(kind, name string, spec doc) doc {
	return doc{"apiVersion": "eso-tenant.dev/v1alpha1", "kind": kind, "metadata": doc{"name": name}, "spec": spec}
}

func nameOf(d doc) string { return textIn(within(d, "metadata"), "name") }

// within is the map under a key; nil if there is none.
func within(d doc, key string) doc {
	inner, _ := d[key].(doc)
	return inner
}

func textIn(d doc, key string) string {
	text, _ := d[key].(string)
	return text
}

// subset draws some of the values, in their order.
func subset[T any](t *rapid.T, all []T, label string) []T {
	some := []T{}
	for i, v := range all {
		if rapid.Bool().Draw(t, fmt.Sprint(label, i)) {
			some = append(some, v)
		}
	}
	return some
}

// perhaps sets a field in half of all cases.
func perhaps(t *rapid.T, d doc, field string, value any) {
	if rapid.Bool().Draw(t, "has "+field) {
		d[field] = value
	}
}

func drawPlatform(t *rapid.T, s shape, name string) doc {
	version := rapid.SampledFrom(eso.Versions()).Draw(t, "version")
	release, err := eso.Lookup(version)
	if err != nil {
		t.Fatal(err)
	}
	operator := doc{"version": rapid.SampledFrom([]string{"", "v"}).Draw(t, "v") + version}
	perhaps(t, operator, "namespace", rapid.SampledFrom(namespacePool).Draw(t, "esoNamespace"))
	perhaps(t, operator, "serviceAccount", "eso.controller")
	perhaps(t, operator, "release", "my-eso")
	perhaps(t, operator, "rbac", "replace")
	perhaps(t, operator, "features", slices.DeleteFunc(subset(t, eso.Features(), "feature"), func(f eso.Feature) bool { return !release.Supports(f) }))
	perhaps(t, operator, "trim", append(subset(t, []string{"secretWrites", "configMaps"}, "trim"), "tokens"))
	providers := doc{}
	for _, p := range s.providers {
		providers[p] = drawProvider(t, s, p)
	}
	spec := doc{
		"externalSecrets": operator,
		"enforcement":     rapid.SampledFrom([]string{"enforce", "enforce", "enforce", "observe"}).Draw(t, "enforcement"),
		"providers":       providers,
		"tenantPolicy":    policyFor(s),
	}
	perhaps(t, spec, "cluster", doc{"apiAudiences": []string{"https://api.example.com"}, "issuer": "https://oidc.example.com/x", "kubernetes": "1.34"})
	perhaps(t, spec, "admission", doc{"maxTokenSeconds": 7200})
	perhaps(t, spec, "namespaceDefaults", drawSettings(t))
	perhaps(t, spec, "network", drawNetwork(t, s))
	if rapid.Bool().Draw(t, "has flux") {
		flux := doc{"sourceRef": doc{"kind": "GitRepository", "name": "fleet"}}
		if rapid.Bool().Draw(t, "has artifacts") {
			flux = doc{"oci": doc{"url": "oci://registry.example.com/fleet"}}
		} else {
			perhaps(t, flux, "path", "./rendered/")
		}
		perhaps(t, flux, "serviceAccountName", "applier")
		spec["flux"] = flux
	}
	return envelope("Platform", name, spec)
}

// drawNetwork is of either kind; a NetworkPolicy has to be told where the providers are that have names.
func drawNetwork(t *rapid.T, s shape) doc {
	d := doc{"flavour": "Cilium", "apiServer": doc{"ports": []int{6443, 443}}}
	if rapid.Bool().Draw(t, "plain") {
		providers := doc{}
		for _, name := range s.providers {
			if name != "local" {
				providers[name] = doc{"cidrs": []string{"198.51.100.0/24", "2001:db8::/32"}}
			}
		}
		d = doc{"flavour": "NetworkPolicy", "apiServer": doc{"cidrs": []string{"192.0.2.7/32"}, "ports": []int{6443}}, "webhook": doc{"any": true}, "providers": providers}
	}
	if rapid.Bool().Draw(t, "internet") {
		d["internet"], d["podCIDRs"], d["serviceCIDRs"] = true, []string{"10.244.0.0/16"}, []string{"10.96.0.0/12", "fd00:20::/112"}
	}
	perhaps(t, d, "dns", doc{"nodeLocal": []string{"169.254.20.10/32"}, "allPods": rapid.Bool().Draw(t, "allPods")})
	perhaps(t, d, "metrics", doc{"namespaces": []string{"monitoring", "a"}})
	return d
}

// policyFor lets tenants claim what drawTenant makes them claim.
func policyFor(s shape) doc {
	identities := doc{}
	for _, p := range s.providers {
		switch p {
		case "aws-eu":
			identities[p] = []string{"arn:aws:iam::123456789012:role/({namespace}\\..*|common)"}
		case "azure", "gcp":
			identities[p] = []string{".+"}
		case "hub":
			identities[p] = []string{"remote-{tenant}"}
		case "local":
			identities[p] = []string{"{tenant}(-.*)?"}
		}
	}
	return doc{
		"identities": identities, "podSecurity": "baseline", "memberKinds": []string{"Group", "User", "ServiceAccount"},
		"labels": []string{"cost-centre"}, "annotations": []string{"example.com/note"}, "overrides": []string{"quota", "limits", "network", "manage", "prune"},
	}
}

func drawProvider(t *rapid.T, s shape, name string) doc {
	switch name {
	case "vault":
		auth := doc{}
		perhaps(t, auth, "mountPath", "k8s/eu")
		p := doc{"server": "https://vault.example.com:8200", "auth": doc{"kubernetes": auth}}
		perhaps(t, p, "caProvider", doc{"type": "ConfigMap", "name": "ca", "key": "ca.crt"})
		return doc{"audiences": []string{"vault"}, "vault": p}
	case "vault-jwt":
		p := doc{"audiences": []string{"https://vault.example.com"}, "vault": doc{"server": "https://vault.example.com:8200", "path": "kv", "version": "v2", "auth": doc{"jwt": doc{}}}}
		perhaps(t, p, "audiences", []string{"vault", "other", "other"})
		return p
	case "aws-eu":
		service := rapid.SampledFrom([]string{"SecretsManager", "ParameterStore"}).Draw(t, "service")
		return doc{"aws": doc{"service": service, "region": "eu-west-1"}}
	case "azure":
		p := doc{"vaultUrl": "https://acme.vault.azure.net"}
		if s.azureDirectory {
			p["tenantId"] = "5e5f1f3e-0000-4000-8000-000000000000"
		}
		return doc{"azurekv": p}
	case "gcp":
		return doc{"gcpsm": doc{"projectID": "acme", "auth": doc{"workloadIdentity": doc{"clusterProjectID": "acme", "clusterLocation": "europe-west1", "clusterName": "eu-1"}}}}
	case "hub":
		return doc{"audiences": []string{"hub"}, "kubernetes": doc{"server": doc{"url": "https://hub.example.com:6443"}, "remoteNamespace": "shared"}}
	default:
		return doc{"sameCluster": true, "secrets": []string{"ca", "{tenant}.{namespace}"}, "kubernetes": doc{"remoteNamespace": "platform-shared"}}
	}
}

func drawSettings(t *rapid.T) doc {
	d := doc{}
	perhaps(t, d, "podSecurity", rapid.SampledFrom([]any{"baseline", "restricted", doc{"enforce": "baseline", "warn": "restricted"}}).Draw(t, "podSecurity"))
	perhaps(t, d, "labels", doc{"cost-centre": rapid.SampledFrom([]string{"4711", "", "true"}).Draw(t, "label")})
	perhaps(t, d, "annotations", doc{"example.com/note": rapid.SampledFrom([]string{"", "a: b", "two\nlines\n", "007"}).Draw(t, "note")})
	perhaps(t, d, "quota", doc{"pods": rapid.SampledFrom(quantityPool).Draw(t, "pods"), "requests.cpu": "4"})
	perhaps(t, d, "limits", []doc{{"type": "Container", "default": doc{"memory": rapid.SampledFrom(quantityPool).Draw(t, "memory")}, "max": doc{"cpu": "2"}}})
	perhaps(t, d, "network", doc{"defaultDeny": rapid.Bool().Draw(t, "deny"), "allowDNS": rapid.Bool().Draw(t, "dns")})
	return d
}

func drawTenant(t *rapid.T, s shape, name string) doc {
	spec := doc{"clusters": s.clusters[:rapid.IntRange(1, len(s.clusters)).Draw(t, "clusters")]}
	if len(s.clusters) == 1 && rapid.Bool().Draw(t, "no clusters") {
		delete(spec, "clusters")
	}
	namespaces := doc{}
	for _, suffix := range rapid.SliceOfNDistinct(rapid.SampledFrom(suffixPool), 0, 3, rapid.ID[string]).Draw(t, "namespaces") {
		if len(name+suffix) <= 63 {
			namespaces[name+suffix] = drawNamespace(t, s, name, name+suffix)
		}
	}
	spec["namespaces"] = namespaces
	perhaps(t, spec, "members", membersOf(t, name))
	return envelope("Tenant", name, spec)
}

// membersOf draws members that no other tenant has.
func membersOf(t *rapid.T, tenant string) []doc {
	all := []doc{
		{"kind": "Group", "name": tenant + "-devs"},
		{"kind": "Group", "name": "oidc:" + tenant + "/Ops & Ünï"},
		{"kind": "User", "name": tenant + "-devs"},
		{"kind": "User", "name": tenant + "@example.com"},
		{"kind": "ServiceAccount", "name": "deployer", "namespace": tenant},
	}
	members := []doc{}
	for _, m := range subset(t, all, "member") {
		m["role"] = rapid.SampledFrom(rolePool).Draw(t, "role")
		members = append(members, m)
	}
	return members
}

func drawNamespace(t *rapid.T, s shape, tenant, name string) doc {
	d := drawSettings(t)
	perhaps(t, d, "manage", rapid.Bool().Draw(t, "manage"))
	perhaps(t, d, "prune", rapid.Bool().Draw(t, "prune"))
	if len(s.clusters) > 1 && rapid.Bool().Draw(t, "own cluster") {
		d["clusters"] = []string{rapid.SampledFrom(s.clusters).Draw(t, "cluster")}
	}
	stores := doc{}
	for _, store := range rapid.SliceOfNDistinct(rapid.SampledFrom(storePool), 0, 3, rapid.ID[string]).Draw(t, "stores") {
		stores[store] = drawStore(t, s, tenant, name, store)
	}
	perhaps(t, d, "stores", stores)
	return d
}

// drawStore draws a store. Stores on one service account have one cloud identity: it follows from the account.
func drawStore(t *rapid.T, s shape, tenant, namespace, name string) doc {
	provider := rapid.SampledFrom(s.providers).Draw(t, "provider")
	account := name + "-access-sa"
	d := doc{"provider": provider}
	if rapid.Bool().Draw(t, "own account") {
		account = rapid.SampledFrom(accountPool).Draw(t, "account")
		d["serviceAccount"] = account
	}
	sum := sha256.Sum256([]byte(namespace + "/" + account))
	digest := hex.EncodeToString(sum[:])
	switch provider {
	case "vault", "vault-jwt":
		perhaps(t, d, "identity", doc{"role": namespace + "-" + rapid.SampledFrom([]string{"a", "b"}).Draw(t, "vaultRole"), "path": "kv-" + tenant})
	case "aws-eu":
		role := namespace + "." + digest[:8]
		if sum[31]%4 == 0 { // a role of all tenants, each of whom says so
			role, d["shared"] = "common", true
		}
		d["identity"] = doc{"roleARN": "arn:aws:iam::123456789012:role/" + role}
	case "azure":
		identity := doc{"clientID": digest[:8] + "-0000-4000-8000-" + digest[8:20]}
		if !s.azureDirectory {
			identity["tenantID"] = "5e5f1f3e-0000-4000-8000-000000000000"
		}
		d["identity"] = identity
	case "gcp":
		if sum[30]%2 == 0 {
			d["identity"] = doc{"serviceAccount": "g" + digest[:20] + "@acme.iam.gserviceaccount.com"}
		}
	case "hub":
		if remote := "remote-" + tenant; len(remote) <= 63 {
			perhaps(t, d, "identity", doc{"remoteNamespace": remote})
		}
	case "local":
		perhaps(t, d, "identity", doc{"remoteNamespace": tenant})
	}
	return d
}

// fataler is a *testing.T, *testing.B, *testing.F or *rapid.T.
type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// blockText writes documents as people do.
func blockText(t fataler, docs []doc) []byte {
	t.Helper()
	var texts []string
	for _, d := range docs {
		text, err := yaml.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(text))
	}
	return []byte(strings.Join(texts, "---\n"))
}

// shuffledText writes the same documents in another order, their keys too, as JSON is written.
func shuffledText(t *rapid.T, docs []doc) []byte {
	var texts []string
	for _, d := range rapid.Permutation(docs).Draw(t, "documents") {
		plain, err := yaml.Marshal(d) // to maps and lists of the plainest types
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := yaml.Unmarshal(plain, &v); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, shuffledValue(t, v)+"\n")
	}
	return []byte(strings.Join(texts, "---\n"))
}

func shuffledValue(t *rapid.T, v any) string {
	var parts []string
	switch v := v.(type) {
	case map[string]any:
		for _, key := range rapid.Permutation(slices.Sorted(maps.Keys(v))).Draw(t, "keys") {
			parts = append(parts, quotedText(t, key)+": "+shuffledValue(t, v[key]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any: // the order of a list has a meaning
		for _, item := range v {
			parts = append(parts, shuffledValue(t, item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	default:
		return quotedText(t, v)
	}
}

func quotedText(t *rapid.T, v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rendered builds what has to be right.
func rendered(t fataler, data []byte) *Rendering {
	t.Helper()
	rendering, problems := Build([]schema.Source{{File: "spec.yaml", Data: data}})
	if rendering == nil {
		var b strings.Builder
		for _, p := range problems {
			b.WriteString(p.Line() + "\n")
		}
		t.Fatalf("refused:\n%s\n%s", b.String(), data)
	}
	return rendering
}

// streamOf is the stream of a selection.
func streamOf(t fataler, r *Rendering, s Selection) string {
	t.Helper()
	selected, err := r.Select(s)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := selected.WriteStream(context.Background(), &b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// streams is the stream of each cluster.
func streams(t fataler, r *Rendering) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, cluster := range r.Clusters() {
		all[cluster] = streamOf(t, r, Selection{Clusters: []string{cluster}})
	}
	return all
}

// TestDrawSpecReaches keeps the laws from holding over specifications that have nothing in them.
func TestDrawSpecReaches(t *testing.T) {
	var text strings.Builder
	for seed := range 100 {
		text.Write(blockText(t, rapid.Custom(drawSpec).Example(seed).docs()))
	}
	for _, word := range slices.Concat(providerPool, rolePool, storePool, accountPool, []string{
		"observe", "sameCluster: true", "shared: true", "remote-", "defaultDeny: true", "manage: false", "iam.gserviceaccount.com", "genericTargets", "version: 0.9", "version: v2",
	}) {
		if !strings.Contains(text.String(), word) {
			t.Errorf("no specification has %q", word)
		}
	}
}
