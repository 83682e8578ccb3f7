package adopt

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/schema"
)

// The dump's role is the chart's.
func TestDumpIsOfTheChart(t *testing.T) {
	release, err := eso.Lookup("0.20.4")
	if err != nil {
		t.Fatal(err)
	}
	role := typed[rbacv1.ClusterRole]([]*inventory.Object{named(chartDump(t), "ClusterRole", "external-secrets-controller")})[0]
	if diff := cmp.Diff(release.Controller, role.Rules); diff != "" {
		t.Error(diff)
	}
}

// What adopt writes, rendered beside what was there, leaves every store as it
// was and working, with the right to mint for everybody gone.
func TestRoundTrip(t *testing.T) {
	dump := chartDump(t)
	r, _ := made(t, Input{Objects: dump})
	after := rendered(t, r)
	fenced := authorizer(t, slices.Concat(withoutMint(dump), after))
	checked := 0
	for i := range dump {
		was := &dump[i]
		if was.Kind != "SecretStore" && was.Kind != "ClusterSecretStore" || was.Name == "legacy" {
			continue
		}
		checked++
		title := was.Kind + " " + was.Namespace + "/" + was.Name
		is := slices.IndexFunc(after, func(o inventory.Object) bool {
			return o.Kind == was.Kind && o.Namespace == was.Namespace && o.Name == was.Name
		})
		if is < 0 {
			t.Errorf("%s is not rendered", title)
			continue
		}
		before, now := selectors(was.Get("spec", "provider")), selectors(after[is].Get("spec", "provider"))
		if diff := cmp.Diff(before.rest, now.rest); diff != "" {
			t.Errorf("%s: %s", title, diff)
		}
		for _, audience := range before.audiences {
			if !slices.Contains(now.audiences, audience) {
				t.Errorf("%s: audience %q is lost", title, audience)
			}
		}
		namespace := was.Namespace
		if namespace == "" {
			namespace = "external-secrets"
		}
		if !mints(fenced, namespace, before.account) {
			t.Errorf("%s: ESO may not mint for %s/%s", title, namespace, before.account)
		}
	}
	if checked < 12 {
		t.Errorf("%d stores are no dozen", checked)
	}
	if mints(fenced, "kube-system", "default") || mints(fenced, "web", "default") {
		t.Error("ESO may mint for others as well, so nothing was shown")
	}
}

// selector is a store's reference to its account, and the rest of the provider.
type selector struct {
	account   string
	audiences []string
	rest      any
}

func selectors(provider any) selector {
	s := selector{rest: clone(provider)}
	var find func(value any)
	find = func(value any) {
		fields, _ := value.(map[string]any)
		for _, key := range []string{"serviceAccountRef", "serviceAccount"} {
			if ref, ok := fields[key].(map[string]any); ok {
				s.account, s.audiences = inventory.Text(ref, "name"), inventory.Texts(ref, "audiences")
				delete(ref, "audiences")
			}
		}
		for _, inner := range fields {
			find(inner)
		}
	}
	find(s.rest)
	return s
}

// withoutMint is the dump with ESO's ClusterRole as the post-renderers leave it.
func withoutMint(dump []inventory.Object) []inventory.Object {
	all := slices.Clone(dump)
	i := slices.IndexFunc(all, func(o inventory.Object) bool {
		return o.Kind == "ClusterRole" && o.Name == "external-secrets-controller"
	})
	fields, _ := clone(all[i].Fields).(map[string]any)
	fields["rules"] = slices.DeleteFunc(inventory.List(fields, "rules"), func(rule any) bool {
		return slices.Contains(inventory.Texts(rule, "resources"), "serviceaccounts/token")
	})
	all[i].Fields = fields
	return all
}

func authorizer(t *testing.T, objects []inventory.Object) *rbac.Authorizer {
	t.Helper()
	return rbac.New(newWorld(objects).rbacObjects(), rbac.Options{DefaultBindings: true})
}

func mints(a *rbac.Authorizer, namespace, account string) bool {
	_, allowed := a.Allowed(rbac.ServiceAccount("external-secrets", "external-secrets"), rbac.Request{
		Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: namespace, Name: account,
	})
	return allowed
}

func TestWhatTheDumpSays(t *testing.T) {
	r, problems := made(t, Input{Objects: chartDump(t)})
	want := Operator{Namespace: "external-secrets", ServiceAccount: "external-secrets", HelmRelease: "external-secrets", RBAC: schema.HelmValues, Features: []eso.Feature{"clusterSecretStores"}}
	got := r.Operator
	if got.Namespace != want.Namespace || got.ServiceAccount != want.ServiceAccount || got.HelmRelease != want.HelmRelease || got.RBAC != want.RBAC ||
		!slices.Equal(got.Features, want.Features) || got.Release.Chart != "0.20.4" {
		t.Errorf("got %+v", got)
	}
	legacy := storeOf(t, r, "SecretStore", "crm/legacy")
	if legacy.Why == "" || legacy.Breaks || legacy.Today != Unused {
		t.Errorf("got %+v", legacy)
	}
	if shared := storeOf(t, r, "ClusterSecretStore", "shared-vault"); shared.Tenant != "platform" || shared.Today != Blanket {
		t.Errorf("got %+v", shared)
	}
	var rules []string
	for _, p := range problems {
		rules = append(rules, string(p.Rule))
	}
	slices.Sort(rules)
	if diff := cmp.Diff([]string{
		"audience-missing", "audience-missing", "fenced-pod", "fenced-secrets", "field-unknown", "provider-own-identity", "shared-store-open",
	}, rules); diff != "" {
		t.Errorf("%s\n%s", diff, lines(problems))
	}
}

// The order of the dump has no influence.
func TestOrder(t *testing.T) {
	dump := chartDump(t)
	r, _ := made(t, Input{Objects: dump})
	backwards := slices.Clone(dump)
	slices.Reverse(backwards)
	other, _ := made(t, Input{Objects: backwards})
	if diff := cmp.Diff(specification(r)+string(r.Plan().Data), specification(other)+string(other.Plan().Data)); diff != "" {
		t.Error(diff)
	}
}
