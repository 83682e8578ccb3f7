package generators

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/schema"
)

// Members that differ in anything have bindings that differ in name, and every name is one.
func TestMemberNames(t *testing.T) {
	text := rapid.OneOf(rapid.StringN(1, 80, -1), rapid.SampledFrom([]string{"devs", "Devs", "dev-s", "dev/s", "dev\x00s", "-", "ü"}))
	member := rapid.Custom(func(t *rapid.T) schema.Member {
		return schema.Member{
			Kind: rapid.SampledFrom([]string{"Group", "User", "ServiceAccount"}).Draw(t, "kind"),
			Name: text.Draw(t, "name"), Namespace: rapid.SampledFrom([]string{"", "devs", "a"}).Draw(t, "namespace"), Role: text.Draw(t, "role"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := member.Draw(t, "a"), member.Draw(t, "b")
		if same := nameMember(a) == nameMember(b); same != (a == b) {
			t.Fatalf("%+v and %+v: the same name is %v", a, b, same)
		}
		if errs := validation.IsDNS1123Subdomain(nameMember(a)); len(errs) > 0 {
			t.Fatalf("%q: %q", nameMember(a), errs)
		}
	})
}

// Names hold whatever the specification names, however long.
func TestRoleNamesFit(t *testing.T) {
	longest := strings.Repeat("a", 63)
	for _, name := range []string{nameToken(longest), nameRead(longest, longest)} {
		if errs := validation.IsDNS1123Subdomain(name); len(errs) > 0 {
			t.Errorf("%q: %q", name, errs)
		}
	}
	if nameRead("a", "b-c") == nameRead("a-b", "c") {
		t.Error("two service accounts have one read Role")
	}
}

// Names of tenants and of Flux Kustomizations are the same few, one to one, and fit into the label that Flux sets.
func TestFluxNames(t *testing.T) {
	long := strings.Repeat("a", 60)
	of := map[string]string{}
	tenants := []string{schema.PlatformTenant, "a", "payments", long, long + "b", long[:40] + "b" + long[:20]}
	for n := 48; n <= 63; n++ {
		tenants = append(tenants, strings.Repeat("t", n))
	}
	// What a tenant would be called that wants the name of one whose name is too long.
	for _, tenant := range slices.Clone(tenants) {
		tenants = append(tenants, strings.TrimPrefix(FluxName(tenant), prefix))
	}
	slices.Sort(tenants)
	for _, tenant := range slices.Compact(tenants) {
		name := FluxName(tenant)
		if errs := append(validation.IsDNS1123Subdomain(name), validation.IsValidLabelValue(name)...); len(errs) > 0 {
			t.Errorf("%q: %q", name, errs)
		}
		if other, taken := of[name]; taken {
			t.Errorf("tenants %q and %q have one Kustomization, %q", tenant, other, name)
		}
		of[name] = tenant
	}
}

// The file of a namespace is never kustomize's own, and no other namespace's.
func TestNamespaceFiles(t *testing.T) {
	if got := fileNamespace("kustomization"); got == "kustomization" || !strings.Contains(got, ".") {
		t.Errorf("namespace kustomization is written to %q", got)
	}
	if got := fileNamespace("payments"); got != "payments" {
		t.Errorf("namespace payments is written to %q", got)
	}
}
