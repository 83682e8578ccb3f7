package admissioncheck

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/generators"
	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/schema"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apiserver/pkg/admission"
)

// TestRenderedPasses: whatever is rendered may be applied by who delivers it, and stores by anybody; as it is written, and with
// what ESO's CRD fills in.
func TestRenderedPasses(t *testing.T) {
	paths, err := filepath.Glob("../../golden/*/in.yaml")
	if err != nil || len(paths) < 20 {
		t.Fatalf("%d specifications: %v", len(paths), err)
	}
	stores := 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		spec, problems, _ := schema.Decode([]schema.Source{{File: path, Data: data}})
		if problems.Errors() > 0 || spec == nil {
			continue
		}
		for _, cluster := range spec.Clusters {
			cluster.Platform.Admission.Writers = []string{applier.GetName()}
			c := expanded(t, cluster)
			hooks := c.hooks()
			for _, q := range c.requests(t) {
				if _, there, _ := c.namespaces.GetByKey(q.namespace); !there && q.namespace != "" {
					c.add(t, generators.Object{Body: &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: q.namespace}}}) // not ours
				}
				if v := c.judge(t, hooks, q); v.refused != "" {
					t.Errorf("%s: %s: %s", path, q.resource, v.refused)
				}
				if q.resource == "secretstores" || q.resource == "clustersecretstores" {
					stores++
				}
			}
		}
	}
	if stores < 100 {
		t.Errorf("only %d stores", stores)
	}
}

// requests make all of a cluster's objects that policies look at.
func (c *cluster) requests(t *testing.T) []request {
	t.Helper()
	var all []request
	for _, o := range c.objects {
		if !slices.Contains([]string{"SecretStore", "ClusterSecretStore", "ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Namespace"}, o.Kind.Kind) {
			continue
		}
		written, err := json.Marshal(o.Body)
		if err != nil {
			t.Fatal(err)
		}
		object := &unstructured.Unstructured{}
		if err := object.UnmarshalJSON(written); err != nil {
			t.Fatal(err)
		}
		q := request{
			user: applier, operation: admission.Create, namespace: o.Namespace, name: o.Name,
			resource: strings.ToLower(o.Kind.Kind) + "s", object: object, gvk: object.GroupVersionKind(),
		}
		if q.gvk.Group != "external-secrets.io" {
			all = append(all, q)
			continue
		}
		filled := q
		filled.user, filled.object = member, withDefaults(object)
		all = append(all, filled)
		if !contains(object, "server") {
			all = append(all, q) // its url is filled in wherever there is a server
		}
	}
	return all
}

func contains(object *unstructured.Unstructured, field string) bool {
	text, _ := object.MarshalJSON()
	return strings.Contains(string(text), `"`+field+`":{`)
}

// withDefaults is a store as ESO's CRD completes it.
func withDefaults(object *unstructured.Unstructured) *unstructured.Unstructured {
	object = object.DeepCopy()
	providers, _, _ := unstructured.NestedMap(object.Object, "spec", "provider")
	for kind := range providers {
		for path, value := range eso.StoreDefaults(kind) {
			fields := append([]string{"spec", "provider", kind}, strings.Split(path, ".")...)
			_, parent, _ := unstructured.NestedMap(object.Object, fields[:len(fields)-1]...)
			if _, stated, _ := unstructured.NestedFieldNoCopy(object.Object, fields...); parent && !stated {
				if n, is := value.(int); is {
					value = int64(n)
				}
				_ = unstructured.SetNestedField(object.Object, value, fields...)
			}
		}
	}
	return object
}

// TestLargeCatalogue: many providers with long certificates stay within what the API server evaluates, reads and keeps.
func TestLargeCatalogue(t *testing.T) {
	var providers strings.Builder
	certificate := strings.Repeat("QUJD", 1000)
	for i := range 150 {
		fmt.Fprintf(&providers, "    v%d:\n      audiences: [vault]\n      vault: {server: https://vault.example.com, path: p%d, caBundle: %s, auth: {kubernetes: {mountPath: m%d}}}\n", i, i, certificate, i)
	}
	c := render(t, "  providers:\n", "  providers:\n"+providers.String())
	hooks := c.hooks()
	store := but(but(vault, "path: kv", "path: kv, caBundle: "+certificate), "mountPath: kubernetes", "mountPath: m149")
	for _, d := range []decision{
		{"the last", makes(member, secretStore, "web/x", store), ""},
		{"none", makes(member, secretStore, "web/x", but(store, "m149", "m150")), byCatalogue},
		{"another certificate", makes(member, secretStore, "web/x", but(store, "QUJD", "QUJE")), byCatalogue},
	} {
		d.check(t, c.judge(t, hooks, d.request))
	}
	for _, p := range c.policies {
		written, err := json.Marshal(p)
		if err != nil || len(written) > 1<<20 {
			t.Errorf("%s has %d bytes: %v", p.Name, len(written), err)
		}
		for _, v := range p.Spec.Variables {
			if len(v.Expression) > 100_000 {
				t.Errorf("%s: variable %s has %d characters", p.Name, v.Name, len(v.Expression))
			}
		}
	}
}

// TestRules: every operation on every resource of every rule is missed.
func TestRules(t *testing.T) {
	clusters := [2]*cluster{render(t), render(t).give(t, "*", "*", "use")}
	for _, p := range clusters[0].policies {
		want := outcomes(t, clusters, p)
		for i := range p.Spec.MatchConstraints.ResourceRules {
			rule := &p.Spec.MatchConstraints.ResourceRules[i]
			for j, operation := range rule.Operations {
				rule.Operations[j] = admissionNothing
				if slices.Equal(outcomes(t, clusters, p), want) {
					t.Errorf("%s: nobody misses %s", p.Name, operation)
				}
				rule.Operations[j] = operation
			}
			for j, resource := range rule.Resources {
				rule.Resources[j] = "nothing"
				if slices.Equal(outcomes(t, clusters, p), want) {
					t.Errorf("%s: nobody misses %s", p.Name, resource)
				}
				rule.Resources[j] = resource
			}
			for name, list := range map[string][]string{"group": rule.APIGroups, "version": rule.APIVersions} {
				before := list[0]
				list[0] = "nothing"
				if slices.Equal(outcomes(t, clusters, p), want) {
					t.Errorf("%s: nobody misses its %s", p.Name, name)
				}
				list[0] = before
			}
		}
	}
}

const admissionNothing = "NOTHING"

// expanded is a cluster with what one Platform and its tenants become.
func expanded(t testing.TB, spec *schema.Cluster) *cluster {
	t.Helper()
	c := newCluster()
	expander := generators.New(spec.Platform)
	c.add(t, expander.Platform()...)
	for _, tenant := range spec.Tenants {
		c.add(t, expander.Tenant(tenant)...)
	}
	return c
}
