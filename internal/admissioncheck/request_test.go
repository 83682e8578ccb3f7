package admissioncheck

import (
	"cmp"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
)

// request is one that RBAC has let through.
type request struct {
	user            user.Info
	operation       admission.Operation
	namespace, name string
	resource, sub   string
	object, old     runtime.Object
	gvk             schema.GroupVersionKind // of what is not of the core group
	dryRun          bool
}

func (q request) attributes() admission.Attributes {
	kind := q.kind()
	return admission.NewAttributesRecord(q.object, q.old, kind, q.namespace, q.name,
		schema.GroupVersionResource{Group: q.gvk.Group, Version: cmp.Or(q.gvk.Version, "v1"), Resource: q.resource}, q.sub, q.operation, nil, q.dryRun, q.user)
}

func (q request) kind() schema.GroupVersionKind {
	if q.object != nil {
		return q.object.GetObjectKind().GroupVersionKind()
	}
	return q.old.GetObjectKind().GroupVersionKind()
}

func account(namespace, name string) user.Info { return serviceaccount.UserInfo(namespace, name, "") }

func person(name string, groups ...string) user.Info {
	return &user.DefaultInfo{Name: name, Groups: append(groups, user.AllAuthenticated)}
}

// Who asks.
var (
	controller     = account("eso", "blue-external-secrets")
	webhook        = account("eso", "external-secrets-webhook")
	certController = account("eso", "blue-cert-controller")
	otherESO       = account("eso-green", "green-external-secrets")
	member         = person("alice", "web-devs") // with edit or admin in web
	administrator  = person("root", user.SystemPrivilegedGroup)
	kubelet        = person("system:node:one", user.NodesGroup)
	otherKubelet   = person("system:node:two", user.NodesGroup)
	nobodysNode    = person("system:node:one")
	tokens         = account("kube-system", "service-account-controller")
	managers       = person("system:kube-controller-manager")
	replicaSets    = account("kube-system", "replicaset-controller")
	itself         = account("web", "vault-access-sa")
	applier        = account("flux-system", "applier") // a writer
	// Flux's own, which all may mint for any service account.
	kustomizeController = account("flux-system", "kustomize-controller")
	sourceController    = account("flux-system", "source-controller")
	rescuer             = person("break-glass") // another
	emptier             = account("kube-system", "namespace-controller")
	collector           = account("kube-system", "generic-garbage-collector")
	openshift           = account("openshift-infra", "serviceaccount-pull-secrets-controller")
)

// A change to a token request.
type change func(*authenticationv1.TokenRequestSpec)

func audiences(list ...string) change {
	return func(s *authenticationv1.TokenRequestSpec) { s.Audiences = list }
}

func seconds(n int64) change {
	return func(s *authenticationv1.TokenRequestSpec) { s.ExpirationSeconds = &n }
}

func noSeconds(s *authenticationv1.TokenRequestSpec) { s.ExpirationSeconds = nil }

func boundTo(kind string) change {
	return func(s *authenticationv1.TokenRequestSpec) {
		s.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: kind, APIVersion: "v1", Name: "one"}
	}
}

// mint asks for a token of ten minutes for vault, as ESO does.
func mint(who user.Info, namespace, name string, changes ...change) request {
	token := &authenticationv1.TokenRequest{
		TypeMeta:   metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenRequest"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
	}
	for _, c := range append([]change{audiences("vault"), seconds(600)}, changes...) {
		c(&token.Spec)
	}
	return request{user: who, operation: admission.Create, namespace: namespace, name: name, resource: "serviceaccounts", sub: "token", object: token}
}

const (
	tokenType     = corev1.SecretTypeServiceAccountToken
	bootstrapType = corev1.SecretTypeBootstrapToken
)

// secret makes a Secret, for a service account if there is a name.
func secret(who user.Info, namespace string, kind corev1.SecretType, name string) request {
	return request{user: who, operation: admission.Create, namespace: namespace, name: "s", resource: "secrets", object: secretFor(namespace, kind, name)}
}

// secretChange makes a Secret of one service account another's.
func secretChange(who user.Info, namespace string, kind corev1.SecretType, before, after string) request {
	q := secret(who, namespace, kind, after)
	q.operation, q.old = admission.Update, secretFor(namespace, kind, before)
	return q
}

func secretFor(namespace string, kind corev1.SecretType, name string) *corev1.Secret {
	s := &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "s"}, Type: kind,
	}
	if name != "" {
		s.Annotations = map[string]string{corev1.ServiceAccountNameKey: name}
	}
	return s
}

// pod makes a pod that runs as a service account.
func pod(who user.Info, namespace, name string) request {
	return request{user: who, operation: admission.Create, namespace: namespace, name: "p", resource: "pods", object: &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}, Spec: corev1.PodSpec{ServiceAccountName: name},
	}}
}
