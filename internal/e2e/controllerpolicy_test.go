package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// hostileWrites are what whoever has the applier's token, or who writes Flux's objects, might try. RBAC refuses a role that
// deploy/ does not let it bind; all else it allows, and a policy of deploy/ refuses it.
func hostileWrites(t *testing.T, g *generator) {
	t.Helper()
	const policy, ownName = "ValidatingAdmissionPolicy 'eso-tenant-applier'", "eso-tenant-external-secrets-controller"
	const managed = "labels: {app.kubernetes.io/managed-by: eso-tenant}"
	const operator = "{kind: ServiceAccount, name: external-secrets, namespace: external-secrets}"
	bind := func(kind, name, namespace, role, subject string) string {
		return fmt.Sprintf("{apiVersion: rbac.authorization.k8s.io/v1, kind: %s, metadata: {name: %s, namespace: '%s', %s}, "+
			"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: %s}, subjects: [%s]}", kind, name, namespace, managed, role, subject)
	}
	token := func(namespace, rule string) string {
		return fmt.Sprintf("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: eso-tenant-token-x, namespace: %s, %s}, "+
			"rules: [{apiGroups: [''], resources: [serviceaccounts/token], verbs: [create], %s}]}", namespace, managed, rule)
	}
	applier, err := g.AsServiceAccount(bed.FluxNamespace, "eso-tenant-applier")
	if err != nil {
		t.Fatal(err)
	}
	for name, attempt := range map[string]struct{ object, says string }{
		"cluster-admin":            {bind("ClusterRoleBinding", ownName, "", "cluster-admin", operator), "not currently held"},
		"the operator for a group": {bind("ClusterRoleBinding", ownName, "", ownName, "{apiGroup: rbac.authorization.k8s.io, kind: Group, name: developers}"), policy},
		"admin for the operator":   {bind("RoleBinding", "eso-tenant-x", "ctl-a", "admin", operator), policy},
		"tokens of Flux's account": {token("flux-system", "resourceNames: [kustomize-controller]"), policy},
		"tokens of a controller":   {token("kube-system", "resourceNames: [generic-garbage-collector]"), policy},
		"tokens of the operator":   {token("external-secrets", "resourceNames: [external-secrets]"), policy},
		"a token Role for others": {"{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: eso-tenant-x, namespace: ctl-a, " + managed + "}, " +
			"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: eso-tenant-token-vault-access-sa}, subjects: [{kind: ServiceAccount, name: default, namespace: ctl-a}]}", policy},
		"tokens of any account": {token("ctl-a", "resourceNames: []"), policy},
		"a Kustomization that is Flux": {"{apiVersion: kustomize.toolkit.fluxcd.io/v1, kind: Kustomization, metadata: {name: x, namespace: flux-system, " + managed +
			"}, spec: {interval: 1h, prune: true, path: ./, sourceRef: {kind: GitRepository, name: tenants}}}", policy},
		"a Namespace that is not ours": {"{apiVersion: v1, kind: Namespace, metadata: {name: not-ours}}", policy},
	} {
		refused(t, name, applier, attempt.object, attempt.says)
	}
	// The other way round: the same account may write what eso-tenant makes.
	if err := applier.TryApply(t.Context(), mustParse(t, token("ctl-a", "resourceNames: [vault-access-sa]"))); err != nil {
		t.Error(err)
	}
	g.Delete(t, mustParse(t, token("ctl-a", "resourceNames: [vault-access-sa]")))
	hostileArtifacts(t, g)
}

// hostileArtifacts shows that nobody but the controller writes its ExternalArtifacts, not even the cluster's administrator,
// and that the controller itself names no other server.
func hostileArtifacts(t *testing.T, g *generator) {
	t.Helper()
	controller, err := g.AsServiceAccount(bed.FluxNamespace, "eso-tenant-controller")
	if err != nil {
		t.Fatal(err)
	}
	forged := "{apiVersion: source.toolkit.fluxcd.io/v1, kind: ExternalArtifact, metadata: {name: forged, namespace: flux-system}, spec: {sourceRef: {apiVersion: flux.eso-tenant.dev/v1alpha1, kind: TenantGenerator, name: tenants}}}"
	refused(t, "a forged artifact", g.API, forged, "written by eso-tenant-controller only")
	refused(t, "an artifact in Flux's namespace", g.API, strings.Replace(forged, "TenantGenerator", "Other", 1), "by the controllers that this policy lists only")
	mine := object("source.toolkit.fluxcd.io/v1", "ExternalArtifact", "flux-system", "tenants.ctl-a")
	for who, as := range map[string]*bed.API{"written by eso-tenant-controller only": g.API, "below its own name": controller} {
		resource, err := as.Resource(mine.GroupVersionKind(), "flux-system")
		if err != nil {
			t.Fatal(err)
		}
		for _, url := range []string{"http://attacker.example.com/x.tar.gz", "http://eso-tenant-controller.flux-system.svc.cluster.local./externalartifact/flux-system/tenants-platform/x.tar.gz"} {
			err := patchStatus(t.Context(), resource, mine.GetName(), `{"status": {"artifact": {"url": "`+url+`"}}}`)
			if !apierrors.IsForbidden(err) || !strings.Contains(fmt.Sprint(err), who) {
				t.Errorf("naming %s: %v, want %q", url, err, who)
			}
		}
	}
}

func mustParse(t *testing.T, text string) bed.Objects {
	t.Helper()
	objects, err := bed.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// refused checks that an object is refused, and that what is said has a text.
func refused(t *testing.T, name string, as *bed.API, text, says string) {
	t.Helper()
	err := as.TryApply(context.WithoutCancel(t.Context()), mustParse(t, text))
	if got := fmt.Sprint(err); err == nil || !strings.Contains(got, "forbidden") || !strings.Contains(got, says) {
		t.Errorf("%s: %v, want a refusal with %q", name, err, says)
	}
}

func patchStatus(ctx context.Context, resource dynamic.ResourceInterface, name, patch string) error {
	_, err := resource.Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
	return err
}
