package e2e

import (
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

const steady = `
apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: steady}
spec: {namespaces: {steady: {stores: {vault: {provider: vault}, published: {provider: published}}}}}
`

// What we render is taken with strict field validation and without a warning, and applying it again changes nothing:
// Flux does so all the time.
func TestApplyingTwiceChangesNothing(t *testing.T) {
	b := bed.Start(t)
	rendered := b.Render(t, bed.Platform(), steady)
	before := len(b.Warnings())
	b.Apply(t, rendered)
	b.WaitReady(t, b.Furnish(t, rendered))
	versions := resourceVersions(t, b, rendered)
	b.Apply(t, rendered)
	for name, version := range resourceVersions(t, b, rendered) {
		if versions[name] != version {
			t.Errorf("%s was changed by applying it again", name)
		}
	}
	if warnings := b.Warnings()[before:]; len(warnings) > 0 {
		t.Errorf("the API server warns: %q", warnings)
	}

	// The other way round: another content is another version, and a field that there is not is refused.
	changed := rendered.Of("Namespace")[0].DeepCopy()
	changed.SetLabels(map[string]string{"changed": "true"})
	b.Apply(t, bed.Objects{changed})
	if got := resourceVersions(t, b, bed.Objects{changed}); got["Namespace /steady"] == versions["Namespace /steady"] {
		t.Error("a change does not show in the version")
	}
	unknown := rendered.Of("RoleBinding")[0].DeepCopy()
	unknown.Object["unknown"] = "field"
	if err := b.TryApply(t.Context(), bed.Objects{unknown}); err == nil {
		t.Error("a field that there is not was taken")
	}
}

// resourceVersions are those of objects. Status changes them too, so those that ESO writes to are left out.
func resourceVersions(t *testing.T, b *bed.Bed, objects bed.Objects) map[string]string {
	t.Helper()
	versions := map[string]string{}
	for _, object := range objects.Not("SecretStore", "ExternalSecret") {
		got, err := b.Get(t.Context(), object)
		if err != nil {
			t.Fatal(err)
		}
		versions[object.GetKind()+" "+object.GetNamespace()+"/"+object.GetName()] = got.GetResourceVersion()
	}
	return versions
}
