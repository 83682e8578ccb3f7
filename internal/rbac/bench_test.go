package rbac

import (
	"fmt"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// tenants makes a cluster as eso-tenant leaves it: in each namespace a Role that names what ESO may mint for, one for
// what it may write, and people with Kubernetes' own edit.
func tenants() Objects {
	operator := rbacv1.Subject{Kind: "ServiceAccount", Namespace: "external-secrets", Name: "external-secrets"}
	var o Objects
	meta := func(namespace, name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: namespace, Name: name}
	}
	bind := func(namespace, name, kind, role string, s rbacv1.Subject) {
		o.RoleBindings = append(o.RoleBindings, &rbacv1.RoleBinding{
			ObjectMeta: meta(namespace, name), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role}, Subjects: []rbacv1.Subject{s},
		})
	}
	for i := range 10_000 {
		namespace := fmt.Sprintf("tenant-%05d", i)
		o.Roles = append(o.Roles,
			&rbacv1.Role{ObjectMeta: meta(namespace, "tokens"), Rules: []rbacv1.PolicyRule{
				{Verbs: []string{"create"}, APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{"vault", "aws"}},
			}},
			&rbacv1.Role{ObjectMeta: meta(namespace, "secrets"), Rules: []rbacv1.PolicyRule{
				{Verbs: []string{"create", "update", "patch", "delete"}, APIGroups: []string{""}, Resources: []string{"secrets"}},
			}})
		bind(namespace, "tokens", "Role", "tokens", operator)
		bind(namespace, "secrets", "Role", "secrets", operator)
		bind(namespace, "members", "ClusterRole", "edit", rbacv1.Subject{Kind: "Group", Name: "team-" + namespace})
	}
	for i := range 100 {
		name := fmt.Sprintf("addon-%d", i)
		o.ClusterRoles = append(o.ClusterRoles, &rbacv1.ClusterRole{ObjectMeta: meta("", name), Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"", "apps"}, Resources: []string{"pods", "deployments", "configmaps"}},
		}})
		o.ClusterRoleBindings = append(o.ClusterRoleBindings, &rbacv1.ClusterRoleBinding{
			ObjectMeta: meta("", name), RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "addons", Name: name}},
		})
	}
	return o
}

var (
	benchOperator = ServiceAccount("external-secrets", "external-secrets")
	benchMint     = Request{Verb: "create", Resource: "serviceaccounts", Subresource: "token", Namespace: "tenant-04999", Name: "vault"}
)

func BenchmarkNew(b *testing.B) {
	o := tenants()
	b.ReportAllocs()
	for b.Loop() {
		New(o, Options{})
	}
}

func BenchmarkAllowed(b *testing.B) {
	a := New(tenants(), Options{})
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := a.Allowed(benchOperator, benchMint); !ok {
			b.Fatal("it is not allowed")
		}
	}
}

func BenchmarkDenied(b *testing.B) {
	a := New(tenants(), Options{})
	r := benchMint
	r.Name = "default"
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := a.Allowed(benchOperator, r); ok {
			b.Fatal("it is allowed")
		}
	}
}

func BenchmarkWhoCan(b *testing.B) {
	a := New(tenants(), Options{})
	b.ReportAllocs()
	for b.Loop() {
		if len(a.WhoCan(benchMint)) != 2 {
			b.Fatal("not ESO and the team")
		}
	}
}

// Everybody has a ClusterRole and a ClusterRoleBinding of their own, which all count in every namespace.
func BenchmarkWhoCanOfManyClusterRoles(b *testing.B) {
	o := tenants()
	for i := range 10_000 {
		name := fmt.Sprintf("reader-%d", i)
		o.ClusterRoles = append(o.ClusterRoles, &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"get", "list", "watch"}, APIGroups: []string{"", "apps"}, Resources: []string{"pods", "deployments", "configmaps"}},
			{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"namespaces"}, ResourceNames: []string{name}},
		}})
		o.ClusterRoleBindings = append(o.ClusterRoleBindings, &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
			Subjects: []rbacv1.Subject{{Kind: "User", Name: name}},
		})
	}
	a := New(o, Options{})
	b.ReportAllocs()
	for b.Loop() {
		if len(a.WhoCan(benchMint)) != 2 {
			b.Fatal("not ESO and the team")
		}
	}
}

func BenchmarkPlaces(b *testing.B) {
	a := New(tenants(), Options{})
	b.ReportAllocs()
	for b.Loop() {
		if len(a.Places(benchOperator, "create", "", "serviceaccounts/token")) != 10_000 {
			b.Fatal("not all")
		}
	}
}

// Everybody who is bound, and where they can mint: what a proof asks.
func BenchmarkPlacesOfAll(b *testing.B) {
	a := New(tenants(), Options{})
	b.ReportAllocs()
	for b.Loop() {
		for _, s := range a.Subjects() {
			a.Places(s, "create", "", "serviceaccounts/token")
		}
	}
}

func BenchmarkBootstrap(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Bootstrap("")
	}
}
