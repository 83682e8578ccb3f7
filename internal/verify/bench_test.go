package verify_test

import (
	"fmt"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// fleet is a cluster of many tenants, each a namespace with ten objects, as
// rendering makes them, and a group of its own with edit.
func fleet(tenants int) verify.Input {
	in := verify.Input{ESO: []rbac.Subject{rbac.ServiceAccount("external-secrets", "external-secrets")}, Specified: true, WritesMoved: true}
	operator := []any{fields{"kind": "ServiceAccount", "name": "external-secrets", "namespace": "external-secrets"}}
	add := func(version, kind, namespace, name string, body fields) {
		body["metadata"] = fields{"name": name, "namespace": namespace}
		at := problem.Position{File: "fleet.yaml", Line: 10 * len(in.Objects), Column: 1}
		in.Objects = append(in.Objects, inventory.Object{APIVersion: version, Kind: kind, Namespace: namespace, Name: name, Fields: body, At: at})
	}
	rights := func(group, resource string, verbs ...any) fields {
		return fields{"apiGroups": []any{group}, "resources": []any{resource}, "verbs": verbs}
	}
	bind := func(namespace, name, kind, role string, subjects []any) {
		add(rolesAPI+"/v1", "RoleBinding", namespace, name, fields{"roleRef": fields{"apiGroup": rolesAPI, "kind": kind, "name": role}, "subjects": subjects})
	}
	add(rolesAPI+"/v1", "ClusterRole", "", "eso", fields{"rules": []any{rights("", "secrets", "get", "list", "watch"), rights("external-secrets.io", "externalsecrets", "get", "list", "watch", "update", "patch")}})
	add(rolesAPI+"/v1", "ClusterRoleBinding", "", "eso", fields{"roleRef": fields{"apiGroup": rolesAPI, "kind": "ClusterRole", "name": "eso"}, "subjects": operator})
	for i := range tenants {
		ns := fmt.Sprintf("tenant-%05d", i)
		minting := rights("", token, "create")
		minting["resourceNames"] = []any{"vault"}
		add("v1", "Namespace", "", ns, fields{})
		add("v1", "ServiceAccount", ns, "vault", fields{})
		add(rolesAPI+"/v1", "Role", ns, "token-vault", fields{"rules": []any{minting}})
		bind(ns, "token-vault", "Role", "token-vault", operator)
		add(rolesAPI+"/v1", "Role", ns, "writes", fields{"rules": []any{rights("", "secrets", "create", "update", "patch", "delete")}})
		bind(ns, "writes", "Role", "writes", operator)
		bind(ns, "members", "ClusterRole", "edit", []any{fields{"kind": "Group", "apiGroup": rolesAPI, "name": ns + "-devs"}})
		bind(ns, "viewers", "ClusterRole", "view", []any{fields{"kind": "Group", "apiGroup": rolesAPI, "name": ns + "-guests"}})
		add("external-secrets.io/v1", "SecretStore", ns, "vault", fields{"spec": fields{"provider": fields{"vault": fields{
			"server": "https://vault", "auth": fields{"kubernetes": fields{"role": ns, "serviceAccountRef": fields{"name": "vault", "audiences": []any{"vault"}}}},
		}}}})
		add("apps/v1", "Deployment", ns, "web", fields{"spec": fields{"template": fields{"spec": fields{"serviceAccountName": "web"}}}})
		in.Fences = append(in.Fences, verify.Fence{Account: verify.Account{Namespace: ns, Name: "vault"}, Tenant: ns, Audiences: []string{"vault"}})
	}
	return in
}

type fields = map[string]any

// TestFleet: each tenant's group mints for its own, and nothing else is found.
func TestFleet(t *testing.T) {
	got := count(verify.Check(fleet(50)).Problems)
	want := map[problem.Rule]int{problem.ForeignMint: 50, problem.MintTokenSecret: 1, problem.ReadSecrets: 1}
	for rule, n := range got {
		if want[rule] != n {
			t.Errorf("%s: %d, want %d", rule, n, want[rule])
		}
	}
}

// BenchmarkCheck shows that the cost grows with the tenants and not with their square.
func BenchmarkCheck(b *testing.B) {
	for _, tenants := range []int{1_000, 10_000} {
		in := fleet(tenants)
		b.Run(fmt.Sprintf("tenants=%d", tenants), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				verify.Check(in)
			}
			b.ReportMetric(float64(len(in.Objects)), "objects")
		})
	}
}

// BenchmarkCheckGatekeeper is the same with Gatekeeper's Constraints, which decide namespace by namespace.
func BenchmarkCheckGatekeeper(b *testing.B) {
	for _, tenants := range []int{1_000, 10_000} {
		in := fleet(tenants)
		text, _ := constrainedWorld(b)
		for _, o := range objects(b, "rendered.yaml", text+installed(b)) {
			switch o.Kind {
			case "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "Namespace", "ServiceAccount", "SecretStore": // the fleet has its own
			default:
				in.Objects = append(in.Objects, o)
			}
		}
		b.Run(fmt.Sprintf("tenants=%d", tenants), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				verify.Check(in)
			}
		})
	}
}
