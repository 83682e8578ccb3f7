package generators

import (
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/eso-tenant/eso-tenant/schema"
)

// serviceAccount is a fenced service account and the stores that use it.
type serviceAccount struct {
	name   string
	stores []*schema.Store
}

// accounts groups a namespace's stores by service account, by name.
func accounts(ns *schema.Namespace) []serviceAccount {
	var all []serviceAccount
	for _, s := range ns.Stores {
		i := slices.IndexFunc(all, func(a serviceAccount) bool { return a.name == s.ServiceAccount })
		if i < 0 {
			all = append(all, serviceAccount{name: s.ServiceAccount})
			i = len(all) - 1
		}
		all[i].stores = append(all[i].stores, s)
	}
	return all
}

// audiences are all that tokens of the service account may carry, sorted.
func (a serviceAccount) audiences(namespace string) []string {
	var all []string
	for _, s := range a.stores {
		all = append(all, s.TokenAudiences(namespace)...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// annotations are what ESO and the clouds' workload identity need.
func (a serviceAccount) annotations() map[string]string {
	annotations := map[string]string{}
	for _, s := range a.stores {
		maps.Copy(annotations, s.Annotations())
	}
	if len(annotations) == 0 {
		return nil
	}
	return annotations
}

// serviceAccounts makes the restricted service accounts: no token in any pod
// that does not ask for one by name, no Secrets, no rights of their own.
func serviceAccounts(in input) []Object {
	var objects []Object
	automount := false
	for _, a := range accounts(in.namespace) {
		meta := in.object(kindServiceAccount, a.name)
		meta.Annotations = a.annotations()
		objects = append(objects, Object{Meta: meta, File: fileNamespace(in.namespace.Name), Body: &corev1.ServiceAccount{
			TypeMeta: meta.typeMeta(), ObjectMeta: meta.objectMeta(), AutomountServiceAccountToken: &automount,
		}})
	}
	return objects
}
