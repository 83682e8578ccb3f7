package generators

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/generators/eso"
)

// Objects have one order, whatever order they are made in.
func TestSorted(t *testing.T) {
	x := New(platformOn(t, "2.9.0", eso.Options{Trims: eso.Trims()}))
	place := func(o Object) string { return o.File + " " + o.Kind.Kind + " " + o.Namespace + "/" + o.Name }
	places := func(objects []Object) []string {
		var all []string
		for _, o := range objects {
			all = append(all, place(o))
		}
		return all
	}
	want := []string{
		"payments-prod Namespace /payments-prod",
		"payments-prod ResourceQuota payments-prod/eso-tenant-quota",
		"payments-prod LimitRange payments-prod/eso-tenant-limits",
		"payments-prod NetworkPolicy payments-prod/eso-tenant-allow-dns",
		"payments-prod NetworkPolicy payments-prod/eso-tenant-default-deny",
		"payments-prod ServiceAccount payments-prod/aws-access-sa",
		"payments-prod ServiceAccount payments-prod/vault-access-sa",
		"payments-prod Role payments-prod/eso-tenant-token-aws-access-sa",
		"payments-prod Role payments-prod/eso-tenant-token-vault-access-sa",
		"payments-prod Role payments-prod/eso-tenant-writes",
		"payments-prod Role shared/eso-tenant-read-payments-prod.vault-access-sa",
		"payments-prod RoleBinding payments-prod/eso-tenant-member-devs-",
		"payments-prod RoleBinding payments-prod/eso-tenant-token-aws-access-sa",
		"payments-prod RoleBinding payments-prod/eso-tenant-token-vault-access-sa",
		"payments-prod RoleBinding payments-prod/eso-tenant-writes",
		"payments-prod RoleBinding shared/eso-tenant-read-payments-prod.vault-access-sa",
		"payments-prod SecretStore payments-prod/aws",
		"payments-prod SecretStore payments-prod/local",
		"payments-prod SecretStore payments-prod/vault",
	}
	want[11] += nameMember(someTenant().Members[0])[len("eso-tenant-member-devs-"):]
	sorted := x.Tenant(someTenant())
	if diff := cmp.Diff(want, places(sorted)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	shuffled := slices.Clone(sorted)
	random := rand.New(rand.NewPCG(1, 2))
	for range 100 {
		random.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if diff := cmp.Diff(want, places(Sorted(shuffled))); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	}
	if rank("Nothing") <= rank("SecretStore") {
		t.Error("a kind that is not listed does not come last")
	}
}

// Stores of one provider are made from one specification, and none of them changes it.
func TestProviderIsNotShared(t *testing.T) {
	x := New(platformOn(t, "2.9.0", eso.Options{Trims: eso.Trims()}))
	tenant := someTenant()
	x.Tenant(tenant)
	for i, s := range tenant.Namespaces[0].Stores {
		if diff := cmp.Diff(someTenant().Namespaces[0].Stores[i].Provider.Spec, s.Provider.Spec); diff != "" {
			t.Errorf("store %s (-before +after):\n%s", s.Name, diff)
		}
	}
}
