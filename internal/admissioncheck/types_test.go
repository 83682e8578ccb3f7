package admissioncheck

import (
	"reflect"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// resourceTokens stands for serviceaccounts/token, whose types the checker of the API server does not look at: it passes
// subresources by.
const resourceTokens = "tokenrequests"

// types knows the kinds that policies are about, and their fields, from Kubernetes' own Go types.
type types struct{ meta.RESTMapper }

var known = map[schema.GroupVersionKind]reflect.Type{
	authenticationv1.SchemeGroupVersion.WithKind("TokenRequest"): reflect.TypeFor[authenticationv1.TokenRequest](),
	corev1.SchemeGroupVersion.WithKind("Secret"):                 reflect.TypeFor[corev1.Secret](),
	corev1.SchemeGroupVersion.WithKind("Pod"):                    reflect.TypeFor[corev1.Pod](),
	corev1.SchemeGroupVersion.WithKind("ServiceAccount"):         reflect.TypeFor[corev1.ServiceAccount](),
	corev1.SchemeGroupVersion.WithKind("Namespace"):              reflect.TypeFor[corev1.Namespace](),
}

// KindsFor returns the kind that requests to a resource carry.
func (types) KindsFor(r schema.GroupVersionResource) ([]schema.GroupVersionKind, error) {
	kinds := map[string]schema.GroupVersionKind{
		resourceTokens:    authenticationv1.SchemeGroupVersion.WithKind("TokenRequest"),
		"secrets":         corev1.SchemeGroupVersion.WithKind("Secret"),
		"pods":            corev1.SchemeGroupVersion.WithKind("Pod"),
		"serviceaccounts": corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
		"namespaces":      corev1.SchemeGroupVersion.WithKind("Namespace"),
	}
	kind, found := kinds[r.Resource]
	if !found {
		return nil, &meta.NoResourceMatchError{PartialResource: r}
	}
	return []schema.GroupVersionKind{kind}, nil
}

// ResolveSchema returns a kind's schema.
func (types) ResolveSchema(kind schema.GroupVersionKind) (*spec.Schema, error) {
	t, found := known[kind]
	if !found {
		return nil, resolver.ErrSchemaNotFound
	}
	return schemaOf(t), nil
}

// texts are Go types that JSON has as a text.
var texts = []reflect.Type{
	reflect.TypeFor[metav1.Time](), reflect.TypeFor[metav1.FieldsV1](), reflect.TypeFor[[]byte](),
	reflect.TypeFor[resource.Quantity](), reflect.TypeFor[intstr.IntOrString](),
}

// schemaOf is the schema of a Go type, as its JSON has it.
func schemaOf(t reflect.Type) *spec.Schema {
	switch {
	case t.Kind() == reflect.Pointer:
		return schemaOf(t.Elem())
	case slices.Contains(texts, t) || t.Kind() == reflect.String:
		return spec.StringProperty()
	case t.Kind() == reflect.Bool:
		return spec.BooleanProperty()
	case t.Kind() == reflect.Slice:
		return spec.ArrayProperty(schemaOf(t.Elem()))
	case t.Kind() == reflect.Map:
		return spec.MapProperty(schemaOf(t.Elem()))
	case t.Kind() == reflect.Struct:
		s := &spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"object"}, Properties: map[string]spec.Schema{}}}
		addFields(s, t)
		return s
	default:
		return spec.Int64Property()
	}
}

func addFields(s *spec.Schema, t reflect.Type) {
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" && field.Anonymous {
			addFields(s, field.Type)
			continue
		}
		s.Properties[name] = *schemaOf(field.Type)
	}
}
