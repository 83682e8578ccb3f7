package features

import (
	"context"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// variant is a way to trim ESO, and what it is used for.
type variant struct {
	name     string
	trims    string // none: all that there are
	features string
}

// variants are the trims one by one and together (tokens is never left out: there is no fence without it), and the features
// one by one and together.
var variants = []variant{
	{name: "tokens", trims: "tokens"},
	{name: "writes", trims: "tokens, secretWrites"},
	{name: "maps", trims: "tokens, configMaps"},
	{name: "all-trims"},
	{name: "cluster-stores", features: "clusterSecretStores"},
	{name: "cluster-external", features: "clusterExternalSecrets"},
	{name: "push", features: "pushSecrets"},
	{name: "cluster-push", features: "clusterPushSecrets"},
	{name: "generators", features: "generators"},
	{name: "everything", features: "clusterSecretStores, clusterExternalSecrets, pushSecrets, clusterPushSecrets, generators"},
}

// trimmed and on say what a variant is.
func (v variant) trimmed(trim string) bool { return v.trims == "" || strings.Contains(v.trims, trim) }

func (v variant) on(feature string) bool {
	for part := range strings.SplitSeq(v.features, ", ") {
		if part == feature {
			return true
		}
	}
	return false
}

// unfenced makes no admission policies. Several ESOs share a cluster here, and the policies of each refuse the stores of the
// others' tenants; and what is to be shown is that ESO works, also where a policy does not stop a tenant before it.
const unfenced = "admission: {engine: none}"

// release is the Helm release, the namespace and the service account of a variant's ESO.
func (v variant) release() string { return "external-secrets-" + v.name }

func (v variant) platform(more ...string) string {
	eso := "namespace: " + v.release() + ", release: " + v.release()
	if v.trims != "" {
		eso += ", trim: [" + v.trims + "]"
	}
	return bed.PlatformWith(eso+", features: ["+v.features+"]", append(more, unfenced)...)
}

// user is the variant's ESO.
func (v variant) user() string { return "system:serviceaccount:" + v.release() + ":" + v.release() }

// may says whether a variant's ESO may do something, by the API server.
func may(t *testing.T, b *bed.Bed, v variant, verb, resource, namespace string) bool {
	t.Helper()
	resource, subresource, _ := strings.Cut(resource, "/")
	review, err := b.Client.AuthorizationV1().SubjectAccessReviews().Create(t.Context(), &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: v.user(), Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + v.release(), "system:authenticated"},
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Verb: verb, Resource: resource, Subresource: subresource, Namespace: namespace,
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return review.Status.Allowed
}

// start installs and starts a variant's ESO, with the roles, policies and values that we render for it.
func start(t *testing.T, b *bed.Bed, v variant, rendered bed.Objects) *bed.ESO {
	t.Helper()
	values, err := bed.Values(rendered)
	if err != nil {
		t.Fatal(err)
	}
	e, err := b.TryBeside(context.WithoutCancel(t.Context()), v.release(), rendered, values, false)
	if err != nil {
		t.Fatal(err)
	}
	return e
}
