package admissioncheck

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"sigs.k8s.io/yaml"
)

// makes makes an object of any kind: its API version and kind, its namespace and name, and its fields as YAML.
func makes(who user.Info, kind, place, fields string) request {
	object := written(kind, place, fields)
	gvk := object.GroupVersionKind()
	return request{
		user: who, operation: admission.Create, namespace: object.GetNamespace(), name: object.GetName(),
		resource: strings.ToLower(gvk.Kind) + "s", object: object, gvk: gvk,
	}
}

// changes makes one of the other.
func changes(who user.Info, kind, place, before, after string) request {
	q := makes(who, kind, place, after)
	q.operation, q.old = admission.Update, written(kind, place, before)
	return q
}

// deletes deletes one.
func deletes(who user.Info, kind, place, fields string) request {
	q := makes(who, kind, place, fields)
	q.operation, q.object, q.old = admission.Delete, nil, q.object
	return q
}

// amongMany has no name in the request, as where all of a kind are deleted, or a name is generated.
func amongMany(q request) request {
	q.name = ""
	return q
}

// at is a request for a subresource.
func at(sub string, q request) request {
	q.sub = sub
	return q
}

// dry is the request as a dry run: nothing comes of it.
func dry(q request) request {
	q.dryRun = true
	return q
}

// enters connects to a pod, with the options that each way to do so has.
func enters(who user.Info, namespace, sub string) request {
	kind := map[string]string{"exec": "PodExecOptions", "attach": "PodAttachOptions", "portforward": "PodPortForwardOptions"}[sub]
	q := makes(who, "v1/"+kind, namespace+"/", "{}")
	q.operation, q.resource, q.sub, q.name = admission.Connect, "pods", sub, "p"
	return q
}

// written is an object. kind is its API version and kind, place its namespace and name.
func written(kind, place, fields string) *unstructured.Unstructured {
	object := map[string]any{}
	if err := yaml.Unmarshal([]byte(fields), &object); err != nil {
		panic(err)
	}
	u := &unstructured.Unstructured{Object: object}
	cut := strings.LastIndex(kind, "/")
	u.SetGroupVersionKind(schema.FromAPIVersionAndKind(kind[:cut], kind[cut+1:]))
	namespace, name, _ := strings.Cut(place, "/")
	u.SetNamespace(namespace)
	u.SetName(name)
	return u
}
