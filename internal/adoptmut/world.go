package adopt

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

const (
	esoGroup       = "external-secrets.io"
	generatorGroup = "generators.external-secrets.io"
	rbacGroup      = "rbac.authorization.k8s.io"
)

// world is the objects, by what is asked of them. An object that is there twice
// counts once.
type world struct {
	objects  []inventory.Object
	byKind   map[string][]*inventory.Object // group/kind
	named    map[objectName]*inventory.Object
	operator Operator
	mint     minting
	uses     map[objectName][]*inventory.Object // ExternalSecrets and the like, by the store that they name
}

type objectName struct{ kind, namespace, name string }

func newWorld(objects []inventory.Object) *world {
	w := &world{objects: objects, byKind: map[string][]*inventory.Object{}, named: map[objectName]*inventory.Object{}, uses: map[objectName][]*inventory.Object{}}
	for i := range objects {
		o := &objects[i]
		kind := o.Group() + "/" + o.Kind
		name := objectName{kind, o.Namespace, o.Name}
		if w.named[name] != nil && o.Name != "" {
			continue
		}
		w.named[name] = o
		w.byKind[kind] = append(w.byKind[kind], o)
	}
	return w
}

// index finds what depends on who the operator is.
func (w *world) index(operator Operator) {
	w.operator = operator
	w.mint = w.minting()
	w.findUses()
}

func (w *world) account(a verify.Account) *inventory.Object {
	return w.named[objectName{"/ServiceAccount", a.Namespace, a.Name}]
}

// dumpHint says how a good dump is made.
const dumpHint = "the dump needs all that `eso-tenant adopt --help` names, with -A and -o json"

// missing reports what no cluster is without, so that the dump is not whole.
func (w *world) missing() problem.List {
	var found problem.List
	for _, needed := range []struct {
		rule  problem.Rule
		kinds []string
		what  string
	}{
		{problem.SourceEmpty, []string{esoGroup + "/SecretStore", esoGroup + "/ClusterSecretStore"}, "no SecretStore and no ClusterSecretStore: there is nothing to adopt"},
		{problem.StoreAccountMissing, []string{"/ServiceAccount"}, "no ServiceAccount, so nobody can tell what stores log in as"},
		{problem.RBACOpen, []string{rbacGroup + "/ClusterRole"}, "no ClusterRole, so nobody can tell what External Secrets Operator may do"},
		{problem.RBACOpen, []string{rbacGroup + "/ClusterRoleBinding"}, "no ClusterRoleBinding, so nobody can tell what External Secrets Operator may do"},
	} {
		if !slices.ContainsFunc(needed.kinds, func(kind string) bool { return len(w.byKind[kind]) > 0 }) {
			found = append(found, problem.Problem{Rule: needed.rule, Position: w.anywhere(), Message: "the dump has " + needed.what, Hint: dumpHint})
		}
	}
	return found
}

// anywhere is a place for what is about the whole dump.
func (w *world) anywhere() problem.Position {
	if len(w.objects) > 0 {
		return problem.Position{File: w.objects[0].At.File, Subject: w.objects[0].At.Subject}
	}
	return problem.Position{Subject: "Dump/empty"}
}

// minting is for which service accounts ESO may mint.
type minting struct {
	blanket  bool
	grants   []rbac.Grant // of the right for all
	named    map[verify.Account]bool
	anywhere map[string]bool // by name, in every namespace
	all      map[string]bool // namespaces in which it may for all
}

// of says by what ESO may mint for an account. A right that is not for the
// whole cluster stays when that one goes.
func (m *minting) of(a verify.Account) Mint {
	switch {
	case m.anywhere[a.Name], m.all[a.Namespace]:
		return Named
	case m.blanket:
		return Blanket
	default:
		return Nothing
	}
}

func (w *world) minting() minting {
	m := minting{named: map[verify.Account]bool{}, anywhere: map[string]bool{}, all: map[string]bool{}}
	auth := rbac.New(w.rbacObjects(), rbac.Options{DefaultBindings: true})
	subject := rbac.ServiceAccount(w.operator.Namespace, w.operator.ServiceAccount)
	for _, place := range auth.Places(subject, "create", "", "serviceaccounts/token") {
		switch {
		case place.Everywhere && place.Names == nil:
			m.blanket = true
			m.grants = append(m.grants, place.Grant)
		case place.Names == nil:
			m.all[place.Namespace] = true
		}
		for _, name := range place.Names {
			if place.Everywhere {
				m.anywhere[name] = true
			} else {
				m.named[verify.Account{Namespace: place.Namespace, Name: name}] = true
			}
		}
	}
	return m
}

func (w *world) rbacObjects() rbac.Objects {
	return rbac.Objects{
		Roles:               typed[rbacv1.Role](w.byKind[rbacGroup+"/Role"]),
		ClusterRoles:        typed[rbacv1.ClusterRole](w.byKind[rbacGroup+"/ClusterRole"]),
		RoleBindings:        typed[rbacv1.RoleBinding](w.byKind[rbacGroup+"/RoleBinding"]),
		ClusterRoleBindings: typed[rbacv1.ClusterRoleBinding](w.byKind[rbacGroup+"/ClusterRoleBinding"]),
	}
}

// typed reads objects as Kubernetes has them. What does not read so would not
// be in a cluster, and grants nothing.
func typed[T any](objects []*inventory.Object) []*T {
	var all []*T
	for _, o := range objects {
		one := new(T)
		if data, err := json.Marshal(o.Fields); err == nil && json.Unmarshal(data, one) == nil {
			all = append(all, one)
		}
	}
	return all
}

// findUses finds what reads from, or writes to, each store.
func (w *world) findUses() {
	for _, kind := range []string{"ExternalSecret", "PushSecret"} {
		for _, o := range w.byKind[esoGroup+"/"+kind] {
			for _, ref := range storeReferences(o.Get("spec"), nil) {
				name := objectName{esoGroup + "/" + ref.kind, o.Namespace, ref.name}
				if ref.kind == "ClusterSecretStore" {
					name.namespace = ""
				}
				w.uses[name] = append(w.uses[name], o)
			}
		}
	}
}

type storeReference struct{ kind, name string }

// storeFields are what ESO calls a reference to a store.
var storeFields = []string{"secretStoreRef", "storeRef", "secretStoreRefs"}

func storeReferences(value any, found []storeReference) []storeReference {
	switch value := value.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(value)) {
			if slices.Contains(storeFields, key) {
				found = append(found, namedStores(value[key])...)
				continue
			}
			found = storeReferences(value[key], found)
		}
	case []any:
		for _, item := range value {
			found = storeReferences(item, found)
		}
	}
	return found
}

func namedStores(value any) []storeReference {
	items, ok := value.([]any)
	if !ok {
		items = []any{value}
	}
	var found []storeReference
	for _, item := range items {
		kind := inventory.Text(item, "kind")
		if kind == "" {
			kind = "SecretStore" // ESO's default
		}
		if name := inventory.Text(item, "name"); name != "" {
			found = append(found, storeReference{kind, name})
		}
	}
	return found
}

func (w *world) usesOf(o *inventory.Object) []*inventory.Object {
	return w.uses[objectName{esoGroup + "/" + o.Kind, o.Namespace, o.Name}]
}

func label(o *inventory.Object, key string) string { return o.Text("metadata", "labels", key) }

func plural(names []string) string {
	const shown = 3
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:shown], ", ") + " and " + problem.Plural(len(names)-shown, "other")
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
