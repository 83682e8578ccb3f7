package e2e

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// In names, E and a number is a way of whoever holds ESO, T and a number one of a tenant's; text and number are those of
// the prover's own tests. How far each is run is what its comment says; without one, it is run to its end.
var bypasses = append(ofESO, ofTenants...)

var ofESO = []bypass{
	{
		name: "E1", whole: true, plant: rights(toESO, "", ":serviceaccounts/token create"),
		try: mints("app", 600), rules: of(problem.MintAny),
	},
	{
		name: "E1 any token", whole: true, plant: rights(toEverybody, "", ":*/token create"),
		try: mints("app", 600), rules: of(problem.MintAny),
	},
	{
		name: "E2", whole: true, plant: rights(toESO, "", ":secrets create"),
		try: tokenSecret(eso, "kube-system", "default"), rules: of(problem.MintTokenSecret),
	},
	{
		name: "E2 tenant", try: tokenSecret(eso, "NS", "app"), standing: true, rules: of(problem.MintTokenSecret),
	},
	{
		name: "E3", nothing: true, plant: `
{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: NS.legacy, namespace: kube-system, annotations: {kubernetes.io/service-account.name: default}}}`,
		try:   func(s *scene) error { return uses(s, s.eso, "kube-system", s.fill("NS.legacy"), "default") },
		rules: of(problem.MintLegacySecret),
	},
	{
		// As far as the Secret: the bed's API server does not authenticate bootstrap tokens.
		name: "E4", whole: true, plant: rights(toESO, "kube-system", ":secrets create"),
		try: creates(eso, `
apiVersion: v1
kind: Secret
type: bootstrap.kubernetes.io/token
metadata: {name: bootstrap-token-abcdef, namespace: kube-system}
stringData: {token-id: abcdef, token-secret: 0123456789abcdef, usage-bootstrap-authentication: "true"}
`),
		rules: of(problem.MintBootstrapToken, problem.MintTokenSecret),
	},
	{
		name: "E5", whole: true, plant: clusterStore("[{namespaceSelector: {matchLabels: {team: web}}}]") + rights(toESO, "", ":namespaces update,patch"),
		try: patches(eso, "{apiVersion: v1, kind: Namespace, metadata: {name: OTHER}}", `{"metadata": {"labels": {"team": "web"}}}`), rules: of(problem.NamespaceWritable),
	},
	{
		name: "E6", whole: true, plant: rights(toESO, "", "external-secrets.io:secretstores update,patch"),
		try:   patches(eso, "{apiVersion: external-secrets.io/v1, kind: SecretStore, metadata: {name: vault, namespace: NS}}", `{"metadata": {"annotations": {"RUN": "x"}}}`),
		rules: of(problem.StoreWritable),
	},
	{
		name: "E7", whole: true, plant: rights(toESO, "", "external-secrets.io:externalsecrets create"),
		try: creates(eso, bed.ExternalSecret("NS", "made-RUN", "none", "none")), silent: "it gives ESO nothing that it could not read and write by itself",
	},
	{
		// Without ESO's flag for such targets, so by its own token. A policy keeps it from giving away its own role once there
		// are writers, and not from giving what everybody holds.
		name: "E8", whole: true, plant: rights(toESO, "", "rbac.authorization.k8s.io:rolebindings create"),
		try: func(s *scene) error {
			err := creates(eso, givenRole("eso-tenant-external-secrets-controller"))(s)
			if outcomeOf(err) == policy {
				return creates(eso, givenRole("system:basic-user"))(s)
			}
			return err
		},
		rules: of(problem.MintBind),
	},
	{
		name: "E9", whole: true, plant: rights(toCertificate, "", ":secrets get,list,watch"),
		try: func(s *scene) error {
			list, err := certController(s).Client.CoreV1().Secrets("").List(s.ctx, metav1.ListOptions{Limit: 1})
			if err == nil && len(list.Items) == 0 {
				return errors.New("there is no Secret")
			}
			return err
		},
		rules: of(problem.ReadSecrets),
	},
	{
		name: "E10", whole: true, plant: rights(toCertificate, "", "apiextensions.k8s.io:customresourcedefinitions update,patch"),
		try: patches(certController, "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: secretstores.external-secrets.io}}",
			`{"metadata": {"annotations": {"bypass": "RUN"}}}`),
		rules: of(problem.CRDWritable),
	},
	{
		name: "E11 bind", whole: true, plant: rights(toESO, "", "rbac.authorization.k8s.io:clusterrolebindings create", "rbac.authorization.k8s.io:clusterroles bind"),
		try: creates(eso, `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: NS.RUN}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: anybody}]
`),
		rules: of(problem.MintBind),
	},
	{
		name: "E11 escalate", whole: true, plant: rights(toESO, "", "rbac.authorization.k8s.io:clusterroles update,patch,escalate"),
		try: patches(eso, "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: NS.plant}}",
			`{"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}`),
		rules: of(problem.MintEscalate, problem.MintAny),
	},
	{
		name: "E12", whole: true, plant: rights(toESO, "", ":serviceaccounts impersonate") + mayRead("app"),
		try: readsAs("app"), rules: of(problem.MintImpersonate),
	},
	{
		// The constrained verbs, both halves.
		name: "E12 bounded", whole: true,
		plant: rights(toESO, "", "authentication.k8s.io:serviceaccounts impersonate:serviceaccount", ":configmaps impersonate-on:serviceaccount:get") + mayRead("app"),
		try:   readsAs("app"), rules: of(problem.MintImpersonate),
	},
	{
		// As far as the pod: nothing runs it.
		name: "E13", plant: rights(toESO, "NS", ":pods create"), try: creates(eso, podOf("NS", "vault-access-sa")),
		silent: "other accounts of the namespace can be had the same way, whatever is done about this one",
	},
	{name: "E13 other pod", plant: rights(toESO, "NS", ":pods create"), try: creates(eso, podOf("NS", "app")), rules: of(problem.MintPod)},
	{
		// As far as the API server's answer that there is no such node.
		name: "E14", whole: true, plant: rights(toESO, "", ":nodes/proxy get,create"),
		try: func(s *scene) error {
			err := s.eso.Client.CoreV1().RESTClient().Get().AbsPath("/api/v1/nodes/none/proxy/pods").Do(s.ctx).Error()
			return notFoundIsFine(err)
		},
		rules: of(problem.MintNodeProxy),
	},
	{
		// As far as the approval: the signer does not run.
		name: "E15", whole: true, try: approves, rules: of(problem.MintCSR),
		plant: rights(toESO, "", "certificates.k8s.io:certificatesigningrequests create", "certificates.k8s.io:certificatesigningrequests/approval update",
			"certificates.k8s.io:signers approve kubernetes.io/kube-apiserver-client"),
	},
	{
		name: "E16", whole: true, plant: rights(toESO, "", "admissionregistration.k8s.io:validatingadmissionpolicies create,delete,patch"),
		try: creates(eso, `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NS.RUN}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps], resourceNames: [NS]}]}
  validations: [{expression: "false"}]
`),
		rules: of(problem.AdmissionWritable),
	},
	{
		name: "E17", silent: "a fenced service account has no rights at the API server, so such a token is of no use",
		try: func(s *scene) error {
			token, err := s.eso.Mint(s.ctx, s.ns, "vault-access-sa", nil, 600)
			if err != nil {
				return err
			}
			fenced, err := s.b.WithToken(token)
			if err != nil {
				return err
			}
			_, err = whoami(s, fenced)
			return err
		},
	},
	{name: "E18", try: mints("vault-access-sa", 24*60*60), silent: "a lifetime is in requests, and no object has it"},
	{
		// Bound to an object: attesting tokens is not in this version of Kubernetes.
		name: "E19", silent: "what a token is bound to is in requests, and no object has it",
		try: func(s *scene) error { return mintsBound(s, s.eso, "vault-access-sa") },
	},
}

// notFoundIsFine takes an answer that there is no such thing as one that one may ask.
func notFoundIsFine(err error) error {
	if err != nil && outcomeOf(err) != rbacSays {
		return nil
	}
	return err
}

var ofTenants = []bypass{
	{
		// As far as the attempt: there is no token of ESO's own in the file that it would send.
		name: "T1", plant: writesStores, rules: of(problem.StoreOwnIdentity),
		try: func(s *scene) error {
			if err := s.apply(s.intruder(), storeOf(`{vault: {server: "http://127.0.0.1:1", path: kv, version: v2, auth: {kubernetes: {mountPath: kubernetes, role: any}}}}`)); err != nil {
				return err
			}
			return ownToken(reads(s, s.intruder(), "NS", "store-RUN", "db"))
		},
	},
	// Those of providers and generators are run as far as that the object is taken.
	{name: "T2", plant: writesStores, try: applies(intruder, storeOf(`{kubernetes: {authRef: {name: kubeconfig}}}`)), rules: of(problem.StoreUnsafe)},
	{
		name: "T3", plant: writesStores, rules: of(problem.StoreUnsafe),
		try: applies(intruder, storeOf(`{gcpsm: {projectID: p, auth: {workloadIdentityFederation: {audience: a, credConfig: {name: c, key: k}}}}}`)),
	},
	{name: "T4", plant: writesStores, try: applies(intruder, storeOf(`{webhook: {url: "http://127.0.0.1:1/", result: {}}}`)), rules: of(problem.StoreUnsafe)},
	{
		name: "T4 generator", plant: writesStores, rules: of(problem.StoreUnsafe),
		try: applies(intruder, `{apiVersion: generators.external-secrets.io/v1alpha1, kind: Webhook, metadata: {name: generator-RUN, namespace: NS}, spec: {url: "http://127.0.0.1:1/", result: {}}}`),
	},
	{
		name: "T5", nothing: true, neighbour: true, plant: clusterStore("[]"), rules: of(problem.SharedStoreOpen),
		try: func(s *scene) error { return reads(s, s.b.API, "OTHER", "NS.store", "NS-vault/db") },
	},
	{
		name: "T6", neighbour: true, plant: clusterStore("[{namespaceSelector: {matchLabels: {team: web}}}]") + rights(toIntruder, "OTHER", ":namespaces update,patch"),
		try: func(s *scene) error {
			err := patches(intruder, "{apiVersion: v1, kind: Namespace, metadata: {name: OTHER}}", `{"metadata": {"labels": {"team": "web"}}}`)(s)
			if err != nil {
				return err
			}
			return reads(s, s.b.API, "OTHER", "NS.store", "NS-vault/db")
		},
		rules: of(problem.NamespaceWritable),
	},
	{
		// A Namespace that is given to another tenant, whose people and whose applier it then is.
		name: "T6 tenant", neighbour: true, plant: rights(toIntruder, "OTHER", ":namespaces update,patch"),
		silent: "whose a Namespace is, is taken from what is declared; the prover asks about labels that stores choose by",
		try:    patches(intruder, "{apiVersion: v1, kind: Namespace, metadata: {name: OTHER}}", `{"metadata": {"labels": {"eso-tenant.dev/tenant": "NS"}}}`),
	},
	{
		name: "T7", plant: givesRoles, rules: of(problem.MintAny),
		try: func(s *scene) error {
			if err := creates(intruder, gives(toESO, "app"))(s); err != nil {
				return err
			}
			return settles(s, mints("app", 600))
		},
	},
	{
		name: "T8", plant: givesRoles, rules: of(problem.ForeignMint),
		try: func(s *scene) error {
			if err := creates(intruder, gives(toOther, "vault-access-sa"))(s); err != nil {
				return err
			}
			return settles(s, func(s *scene) error {
				other, err := s.b.AsServiceAccount(s.ns+"-other", "other-sa")
				if err != nil {
					return err
				}
				return minted(other, s, s.ns, "vault-access-sa", []string{"vault"}, 600)
			})
		},
	},
	{
		name: "T8 unfence", plant: holds("admin"), rules: of(problem.ForeignMint),
		try: func(s *scene) error {
			err := s.intruder().Client.RbacV1().Roles(s.ns).Delete(s.ctx, "eso-tenant-token-vault-access-sa", metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return err
			}
			for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(100 * time.Millisecond) {
				if err = minted(s.intruder(), s, s.ns, "vault-access-sa", []string{"vault"}, 600); err == nil {
					break
				}
			}
			return err
		},
	},
	{
		name: "T9", plant: holds("edit"), rules: of(problem.ForeignMint),
		try: func(s *scene) error { return minted(s.intruder(), s, s.ns, "vault-access-sa", []string{"vault"}, 600) },
	},
	{name: "T10", plant: holds("edit"), try: creates(intruder, podOf("NS", "vault-access-sa")), rules: of(problem.ForeignMint, problem.FencedPod)},
	{name: "T11", plant: holds("edit"), try: tokenSecret(intruder, "NS", "vault-access-sa"), rules: of(problem.ForeignMint, problem.FencedSecrets)},
	{
		name: "T12", plant: rights(toOther, "NS", ":serviceaccounts impersonate"),
		try: becomes("vault-access-sa"), silent: "acting as a service account gives no token, and a fenced one has no rights",
	},
	{
		name: "T12 bounded",
		plant: rights(toOther, "NS", "authentication.k8s.io:serviceaccounts impersonate:serviceaccount") +
			strings.ReplaceAll(rights(toOther, "", "authentication.k8s.io:selfsubjectreviews impersonate-on:serviceaccount:create"), "NS.plant", "NS.on"),
		try: becomes("vault-access-sa"), silent: "acting as a service account gives no token, and a fenced one has no rights",
	},
	{
		name: "T13", plant: rights(toIntruder, "NS", ":serviceaccounts create,delete"), silent: "objects do not say what they were before",
		try: func(s *scene) error {
			err := s.intruder().Client.CoreV1().ServiceAccounts(s.ns).Delete(s.ctx, "vault-access-sa", metav1.DeleteOptions{})
			if err != nil {
				return err
			}
			return creates(intruder, "{apiVersion: v1, kind: ServiceAccount, metadata: {name: vault-access-sa, namespace: NS}}")(s)
		},
	},
	{
		name: "T15", plant: rights(toIntruder, "NS", ":serviceaccounts patch"), rules: of(problem.FencedIdentity),
		try: patches(intruder, "{apiVersion: v1, kind: ServiceAccount, metadata: {name: vault-access-sa, namespace: NS}}",
			`{"metadata": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/RUN"}}}`),
	},
	{
		name: "T16", plant: holds("edit"), silent: "what Vault trusts is in no object of the cluster",
		try: func(s *scene) error {
			role := s.fill("NS-any-RUN")
			err := s.b.Vault.TryWrite(s.ctx, "auth/kubernetes/role/"+role, map[string]any{
				"bound_service_account_names": "*", "bound_service_account_namespaces": s.ns, "token_policies": s.fill("NS-vault"), "token_ttl": "1m",
			})
			if err != nil {
				return err
			}
			token, err := s.intruder().Mint(s.ctx, s.ns, "app", nil, 600)
			if err != nil {
				return err
			}
			return s.b.Vault.TryWrite(s.ctx, "auth/kubernetes/login", map[string]any{"role": role, "jwt": token})
		},
	},
	{
		name: "T17", plant: writesStores, rules: of(problem.StoreAudience),
		try: func(s *scene) error {
			provider := fmt.Sprintf(`{vault: {server: %q, path: kv, version: v2, auth: {kubernetes: {mountPath: kubernetes, role: NS-vault, serviceAccountRef: {name: vault-access-sa, audiences: [vault, sts.amazonaws.com]}}}}}`, bed.VaultAddress)
			if err := s.apply(s.intruder(), storeOf(provider)); err != nil {
				return err
			}
			return requested(s, "vault-access-sa", "sts.amazonaws.com")
		},
	},
	{
		name: "T18", plant: writesStores, silent: "who may push, and that ESO does not, is in no problem",
		try: applies(intruder, `
apiVersion: external-secrets.io/v1alpha1
kind: PushSecret
metadata: {name: push-RUN, namespace: NS}
spec:
  secretStoreRefs: [{kind: SecretStore, name: vault}]
  selector: {secret: {name: vault-read}}
  data: [{match: {secretKey: password, remoteRef: {remoteKey: stolen}}}]
`),
	},
	{
		name: "T19", plant: writesStores, standing: true, rules: of(problem.MintTokenSecret),
		try: func(s *scene) error { return templated(s, s.intruder()) },
	},
	{
		name: "T20", plant: "{apiVersion: v1, kind: ServiceAccount, metadata: {name: eso, namespace: OTHER}}" + rights("{kind: ServiceAccount, name: eso, namespace: OTHER}", "", ":serviceaccounts/token create"),
		whole: true, try: mintsAsSecond("vault-access-sa"), rules: of(problem.ForeignMint),
	},
	{
		name: "T20 unfenced", plant: "{apiVersion: v1, kind: ServiceAccount, metadata: {name: eso, namespace: OTHER}}" + rights("{kind: ServiceAccount, name: eso, namespace: OTHER}", "", ":serviceaccounts/token create"),
		whole: true, try: mintsAsSecond("app"), silent: "the account is not fenced, and what mints is not this ESO",
	},
	{
		name: "T21", nothing: true, plant: writesStores + "\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: NS.remote, namespace: OTHER}\n" +
			"rules: [{apiGroups: [\"\"], resources: [secrets], verbs: [get, list, watch]}]\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: NS.remote, namespace: OTHER}\n" +
			"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: NS.remote}\nsubjects: [{kind: ServiceAccount, name: vault-access-sa, namespace: NS}]\n",
		try: func(s *scene) error {
			provider := fmt.Sprintf(`{kubernetes: {remoteNamespace: OTHER, server: {url: "https://kubernetes.default.svc", caProvider: {type: ConfigMap, name: kube-root-ca.crt, key: ca.crt}}, auth: {serviceAccount: {name: vault-access-sa, audiences: [%q]}}}}`, bed.Issuer)
			if err := s.apply(s.intruder(), storeOf(provider)); err != nil {
				return err
			}
			return reads(s, s.intruder(), "NS", "store-RUN", "db")
		},
		rules: of(problem.FencedRole),
	},
	{
		name: "T22", whole: true, rules: of(problem.StoreWritable),
		plant: "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: NS.edit, labels: {rbac.authorization.k8s.io/aggregate-to-edit: \"true\"}}, " +
			"rules: [{apiGroups: [external-secrets.io], resources: [secretstores], verbs: [create, patch]}]}" + holds("edit"),
		try: applies(intruder, storeOf(`{fake: {data: []}}`)),
	},
	{
		name: "T23", plant: rights(toIntruder, "external-secrets", ":pods create"), rules: of(problem.OperatorOpen),
		try: creates(intruder, podOf("external-secrets", "external-secrets")),
	},
	{
		// As far as the answer that the pod runs nowhere.
		name: "T23 exec", rules: of(problem.OperatorOpen),
		plant: rights(toIntruder, "external-secrets", ":pods/exec create") + "---\n" + strings.ReplaceAll(podOf("external-secrets", "external-secrets"), "pod-RUN", "NS"),
		try:   func(s *scene) error { return entersPod(s.ctx, s.intruder(), bed.ESONamespace, s.ns) },
	},
}

// givenRole binds somebody to a ClusterRole.
func givenRole(name string) string {
	return `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: given-RUN, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "` + name + `"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: anybody}]
`
}

// givesRoles are the rights of somebody who may give away what they hold, and not change what others gave.
var givesRoles = rights(toIntruder, "NS", "rbac.authorization.k8s.io:roles,rolebindings create", ":serviceaccounts/token create")

// gives is a Role to mint a service account's tokens, and whom it is bound to.
func gives(subject, account string) string {
	return "\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: given, namespace: NS}\n" +
		"rules: [{apiGroups: [\"\"], resources: [serviceaccounts/token], verbs: [create], resourceNames: [" + account + "]}]\n" +
		"---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: given, namespace: NS}\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: given}\nsubjects: [" + subject + "]\n"
}

func mintsAsSecond(account string) func(*scene) error {
	return func(s *scene) error {
		s.Helper()
		second, err := s.b.AsServiceAccount(s.ns+"-other", "eso")
		if err != nil {
			return err
		}
		return minted(second, s, s.ns, account, []string{"vault"}, 600)
	}
}
