package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	authenticationv1 "k8s.io/api/authentication/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// stillOpen are the bypasses that our policies do not close, and why. One that is closed fails the run until it is taken
// out of here, and one that is open, until it is put in.
var stillOpen = map[string]string{
	"E3":            "admission never sees reads, and ESO reads Secrets everywhere",
	"E6":            "only RBAC keeps ESO from writing stores",
	"E7":            "only RBAC keeps ESO from writing ExternalSecrets",
	"E8":            "only RBAC keeps ESO from writing bindings; it can give only what it holds",
	"E9":            "admission never sees reads",
	"E10":           "only RBAC keeps ESO from writing CustomResourceDefinitions",
	"E11 bind":      "only RBAC keeps ESO from binding roles",
	"E11 escalate":  "only RBAC keeps ESO from writing roles",
	"E12":           "admission sees whom somebody acts as, and not who does",
	"E12 bounded":   "admission sees whom somebody acts as, and not who does",
	"E13 other pod": "the policy is about fenced service accounts; only RBAC keeps ESO from running pods",
	"E14":           "admission does not see a kubelet's own requests",
	"E15":           "only RBAC keeps ESO from approving requests for certificates",
	"E16":           "policies are not asked about policies: only RBAC protects them",
	"T6 tenant":     "whoever may label Namespaces says whose they are, unless admission.writers says who may",
	"T8 unfence":    "admin may delete the fence's Roles, unless admission.writers says who may",
	"T12":           "acting as a fenced service account gives no token",
	"T12 bounded":   "acting as a fenced service account gives no token",
	"T13":           "who may delete a service account and make it again keeps its name, unless admission.writers says who may; trust that follows the UID ends",
	"T15":           "service accounts' annotations are anybody's, unless admission.writers says whose",
	"T16":           "what Vault trusts is Vault's: the token is of somebody else's own service account",
	"T20 unfenced":  "what another ESO may mint beside the fence is not ours to decide",
	"T23":           "the policy is about fenced service accounts, and ESO's own is none: only RBAC keeps pods out of ESO's namespace",
	"T23 exec":      "who may get into ESO's pods has its token, unless admission.writers says who may",
}

// closedByWriters are those of stillOpen that are closed as soon as the Platform's admission.writers says who delivers the
// fence. One that stays open then fails the run.
var closedByWriters = []string{"T6 tenant", "T8 unfence", "T13", "T15", "T23 exec"}

// ofWriters are attempts that only the policies refuse which come with writers, one for each. They change nothing where they
// are not refused.
var ofWriters = []func(ctx context.Context, b *bed.Bed, namespace string) error{
	func(ctx context.Context, b *bed.Bed, namespace string) error {
		return tryAs(b, func(api *bed.API) error {
			return api.Client.RbacV1().Roles(namespace).Delete(ctx, "eso-tenant-token-vault-access-sa", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
		})
	},
	func(ctx context.Context, b *bed.Bed, namespace string) error {
		return tryAs(b, func(api *bed.API) error {
			return api.Client.CoreV1().ServiceAccounts(namespace).Delete(ctx, "vault-access-sa", metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}})
		})
	},
	func(ctx context.Context, b *bed.Bed, namespace string) error {
		return tryAs(b, func(api *bed.API) error {
			_, err := api.Client.CoreV1().Namespaces().Patch(ctx, namespace, types.MergePatchType, []byte(`{"metadata": {"labels": {"eso-tenant.dev/tenant": "x"}}}`),
				metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
			return err
		})
	},
	func(ctx context.Context, b *bed.Bed, _ string) error {
		return tryAs(b, func(api *bed.API) error { return entersPod(ctx, api, bed.ESONamespace, "none") })
	},
}

// tryAs is an attempt of an administrator who is no writer.
func tryAs(b *bed.Bed, try func(*bed.API) error) error {
	api, err := b.As("another-admin", "system:masters")
	if err != nil {
		return err
	}
	return try(api)
}

// entersPod runs a command in a pod: as far as the answer that it runs nowhere, or that there is none.
func entersPod(ctx context.Context, api *bed.API, namespace, name string) error {
	err := api.Client.CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").Name(name).SubResource("exec").Param("command", "true").Do(ctx).Error()
	if err != nil && strings.Contains(err.Error(), "does not have a host assigned") {
		return nil
	}
	return err
}

// rights gives a subject rules, in a namespace or, without one, in the whole cluster. Rules are of the form
// "group:resource,resource verb,verb name".
func rights(subject, namespace string, rules ...string) string {
	kind, metadata := "ClusterRole", "{name: NS.plant}"
	if namespace != "" {
		kind, metadata = "Role", "{name: NS.plant, namespace: "+namespace+"}"
	}
	text := fmt.Sprintf("\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: %s\nmetadata: %s\nrules:\n", kind, metadata)
	for _, rule := range rules {
		fields := strings.Fields(rule)
		group, resources, _ := strings.Cut(fields[0], ":")
		names := ""
		if len(fields) > 2 {
			names = fmt.Sprintf(", resourceNames: [%s]", fields[2])
		}
		text += fmt.Sprintf("- {apiGroups: [%q], resources: [%s], verbs: [%s]%s}\n", group, quotedList(resources), quotedList(fields[1]), names)
	}
	return text + fmt.Sprintf("---\napiVersion: rbac.authorization.k8s.io/v1\nkind: %sBinding\nmetadata: %s\n"+
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: %s, name: NS.plant}\nsubjects: [%s]\n", kind, metadata, kind, subject)
}

func quotedList(list string) string { return `"` + strings.ReplaceAll(list, ",", `", "`) + `"` }

// holds binds the intruder to a ClusterRole that is there, in the tenant's namespace.
func holds(role string) string {
	return "\n---\napiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: NS.holds, namespace: NS}\n" +
		"roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: " + role + "}\nsubjects: [" + toIntruder + "]\n"
}

const (
	toESO         = "{kind: ServiceAccount, name: external-secrets, namespace: external-secrets}"
	toCertificate = "{kind: ServiceAccount, name: external-secrets-cert-controller, namespace: external-secrets}"
	toIntruder    = `{apiGroup: rbac.authorization.k8s.io, kind: Group, name: NS-intruders}`
	toOther       = "{kind: ServiceAccount, name: other-sa, namespace: OTHER}"
	toEverybody   = `{apiGroup: rbac.authorization.k8s.io, kind: Group, name: "system:serviceaccounts"}`
)

// writesStores are the rights of somebody who makes stores, and reads with them.
var writesStores = rights(toIntruder, "NS", "external-secrets.io:secretstores,externalsecrets,pushsecrets create,get,update,patch,delete",
	"generators.external-secrets.io:webhooks create,get,patch")

func of(rules ...problem.Rule) []problem.Rule { return rules }

// minted mints as somebody, and says with nil that it got a token that the API server or Vault would take.
func minted(as *bed.API, s *scene, namespace, account string, audiences []string, seconds int64) error {
	s.Helper()
	token, err := as.Mint(s.ctx, namespace, account, audiences, seconds)
	if err == nil && token == "" {
		return errors.New("there is no token")
	}
	return err
}

// mints is an attempt of ESO's, in the tenant's namespace, for Vault.
func mints(account string, seconds int64) func(*scene) error {
	return func(s *scene) error {
		s.Helper()
		return minted(s.eso, s, s.ns, account, []string{"vault"}, seconds)
	}
}

// applies is an attempt to write objects, by ESO or an intruder.
func applies(by func(*scene) *bed.API, text string) func(*scene) error {
	return func(s *scene) error { s.Helper(); return s.apply(by(s), text) }
}

// creates is applies without the right to change what is there.
func creates(by func(*scene) *bed.API, text string) func(*scene) error {
	return func(s *scene) error {
		s.Helper()
		for _, object := range s.parse(text) {
			resource, err := by(s).Resource(object.GroupVersionKind(), object.GetNamespace())
			if err != nil {
				return err
			}
			if _, err = resource.Create(s.ctx, object, metav1.CreateOptions{}); err != nil {
				return err
			}
		}
		return nil
	}
}

// patches is an attempt to change an object.
func patches(by func(*scene) *bed.API, of, patch string) func(*scene) error {
	return func(s *scene) error {
		s.Helper()
		objects, err := bed.Parse(s.fill(of))
		if err != nil {
			s.Fatal(err)
		}
		resource, err := by(s).Resource(objects[0].GroupVersionKind(), objects[0].GetNamespace())
		if err != nil {
			return err
		}
		_, err = resource.Patch(s.ctx, objects[0].GetName(), types.MergePatchType, []byte(s.fill(patch)), metav1.PatchOptions{})
		return err
	}
}

func eso(s *scene) *bed.API      { return s.eso }
func intruder(s *scene) *bed.API { s.Helper(); return s.intruder() }

func certController(s *scene) *bed.API {
	s.Helper()
	api, err := s.b.AsServiceAccount(bed.ESONamespace, "external-secrets-cert-controller")
	if err != nil {
		s.Fatal(err)
	}
	return api
}

// whoami returns who the API server says that somebody is.
func whoami(s *scene, as *bed.API) (string, error) {
	s.Helper()
	review, err := as.Client.AuthenticationV1().SelfSubjectReviews().Create(s.ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return review.Status.UserInfo.Username, nil
}

// tokenSecret makes a Secret with a token as somebody, and uses what the token controller puts in.
func tokenSecret(by func(*scene) *bed.API, namespace, account string) func(*scene) error {
	return func(s *scene) error {
		s.Helper()
		secret := s.parse("{apiVersion: v1, kind: Secret, type: kubernetes.io/service-account-token, metadata: {name: NS.token-RUN, namespace: " +
			namespace + ", annotations: {kubernetes.io/service-account.name: " + account + "}}}")[0]
		resource, err := by(s).Resource(secret.GroupVersionKind(), secret.GetNamespace())
		if err != nil {
			return err
		}
		if _, err := resource.Create(s.ctx, secret, metav1.CreateOptions{}); err != nil {
			return err
		}
		return uses(s, by(s), secret.GetNamespace(), secret.GetName(), account)
	}
}

// uses reads a Secret as somebody, and has the API server say whose token it holds.
func uses(s *scene, as *bed.API, namespace, name, account string) error {
	s.Helper()
	var token []byte
	s.b.Eventually(s.T, func(ctx context.Context) error {
		secret, err := as.Client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if token = secret.Data["token"]; len(token) == 0 {
			return errors.New("there is no token in the Secret")
		}
		return nil
	})
	other, err := s.b.WithToken(string(token))
	if err != nil {
		return err
	}
	who, err := whoami(s, other)
	for begin := time.Now(); apierrors.IsUnauthorized(err) && time.Since(begin) < 5*time.Second; time.Sleep(100 * time.Millisecond) {
		who, err = whoami(s, other) // the API server keeps Secrets, and may have this one as it was before the token was in it
	}
	if want := "system:serviceaccount:" + namespace + ":" + account; err == nil && who != want {
		return fmt.Errorf("the token is of %s, want %s", who, want)
	}
	return err
}

// actingAs is the API server as somebody with a token who acts as a service account of the tenant's.
func actingAs(s *scene, as *bed.API, account string) (*bed.API, error) {
	s.Helper()
	config := *as.Config
	config.Impersonate.UserName = "system:serviceaccount:" + s.ns + ":" + account
	return s.b.WithConfig(&config)
}

// readsAs reads, as ESO that acts as a service account, what only this one may.
func readsAs(account string) func(*scene) error {
	return func(s *scene) error {
		s.Helper()
		api, err := actingAs(s, s.eso, account)
		if err != nil {
			return err
		}
		_, err = api.Client.CoreV1().ConfigMaps(s.ns).Get(s.ctx, "kube-root-ca.crt", metav1.GetOptions{})
		return err
	}
}

// becomes lets another tenant's service account act as one of this tenant's.
func becomes(account string) func(*scene) error {
	return func(s *scene) error {
		s.Helper()
		token, err := s.b.Mint(s.ctx, s.ns+"-other", "other-sa", nil, 600)
		if err != nil {
			s.Fatal(err)
		}
		other, err := s.b.WithToken(token)
		if err != nil {
			return err
		}
		api, err := actingAs(s, other, account)
		if err != nil {
			return err
		}
		who, err := whoami(s, api)
		if err == nil && !strings.HasSuffix(who, ":"+account) {
			return errors.New("it is " + who)
		}
		return err
	}
}

// mayRead lets a service account of the tenant's read the ConfigMap that proves whom one acts as.
func mayRead(account string) string {
	return strings.ReplaceAll(rights("{kind: ServiceAccount, name: "+account+", namespace: NS}", "NS", ":configmaps get"), "NS.plant", "NS.reads")
}

// reads is a store's attempt: what its ExternalSecret gets is the answer, or what ESO says that it does not.
func reads(s *scene, as *bed.API, namespace, store, key string) error {
	s.Helper()
	name := s.fill("reads-RUN")
	kind, storeName := "SecretStore", s.fill(store)
	if strings.HasPrefix(storeName, "bypass-") {
		kind = "ClusterSecretStore"
	}
	text := strings.Replace(bed.ExternalSecret(s.fill(namespace), name, storeName, s.fill(key)), "kind: SecretStore,", "kind: "+kind+",", 1)
	if err := s.apply(as, text); err != nil {
		return err
	}
	var refusal error
	s.b.Eventually(s.T, func(ctx context.Context) error {
		refusal = nil
		if _, err := s.b.Client.CoreV1().Secrets(s.fill(namespace)).Get(ctx, name, metav1.GetOptions{}); err == nil {
			return nil
		}
		for _, about := range []string{name, storeName} {
			events, err := s.b.Client.CoreV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + about})
			if err != nil {
				return err
			}
			for _, event := range events.Items {
				in := event.InvolvedObject.Namespace
				if event.Type == corev1.EventTypeWarning && (in == s.fill(namespace) || in == "") &&
					(denied(event.Message) || strings.Contains(event.Message, "is forbidden") || strings.Contains(event.Message, "/var/run/secrets/")) {
					refusal = errors.New(event.Message)
					return nil
				}
			}
		}
		return errors.New("ESO says nothing yet")
	})
	return refusal
}

// denied says whether ESO tells of a refusal by admission: by a policy, or by a webhook.
func denied(message string) bool {
	return strings.Contains(message, "denied request") || strings.Contains(message, "denied the request")
}

// approves makes a request for a certificate, and approves it.
func approves(s *scene) error {
	s.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "anybody"}}, key)
	if err != nil {
		return err
	}
	name := s.fill("NS.RUN")
	*s.made = append(*s.made, s.parse("{apiVersion: certificates.k8s.io/v1, kind: CertificateSigningRequest, metadata: {name: NS.RUN}}")...)
	requests := s.eso.Client.CertificatesV1().CertificateSigningRequests()
	request, err := requests.Create(s.ctx, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), SignerName: certificatesv1.KubeAPIServerClientSignerName,
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
	}, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		request, err = s.b.Client.CertificatesV1().CertificateSigningRequests().Get(s.ctx, name, metav1.GetOptions{})
	}
	if err != nil {
		return err
	}
	request.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{
		Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue, Reason: "Bypass", LastUpdateTime: metav1.Now(),
	}}
	_, err = requests.UpdateApproval(s.ctx, name, request, metav1.UpdateOptions{})
	return err
}

// podOf is a pod that the tenant's namespace takes, and that nothing runs.
func podOf(namespace, account string) string {
	return `
apiVersion: v1
kind: Pod
metadata: {name: pod-RUN, namespace: ` + namespace + `}
spec:
  serviceAccountName: ` + account + `
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
    - name: main
      image: localhost/none
      securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
`
}

// storeOf is a store in the tenant's namespace.
func storeOf(provider string) string {
	return "\n---\napiVersion: external-secrets.io/v1\nkind: SecretStore\nmetadata: {name: store-RUN, namespace: NS}\nspec: {provider: " + provider + "}\n"
}

// clusterStore reads OTHER's Secrets as the tenant's service account, for whom its conditions say.
func clusterStore(conditions string) string {
	return `
---
apiVersion: external-secrets.io/v1
kind: ClusterSecretStore
metadata: {name: NS.store}
spec:
  conditions: ` + conditions + `
  provider:
    vault:
      server: "` + bed.VaultAddress + `"
      path: kv
      version: v2
      auth: {kubernetes: {mountPath: kubernetes, role: NS-vault, serviceAccountRef: {name: vault-access-sa, namespace: NS, audiences: [vault]}}}
`
}

// requested tells whether ESO got a token for an audience.
func requested(s *scene, account, audience string) error {
	s.Helper()
	var refusal error
	s.b.Eventually(s.T, func(context.Context) error {
		events, err := s.b.TryAuditEvents(bed.TokenRequests(s.ns, account))
		if err != nil {
			return err
		}
		for _, event := range events {
			if event.RequestObject == nil || !slices.Contains(event.RequestObject.Spec.Audiences, audience) {
				continue
			}
			if refusal = nil; event.ResponseStatus.Code >= 300 {
				refusal = errors.New(event.ResponseStatus.Message)
			}
			if event.Received.Time.After(s.begin) {
				return nil
			}
		}
		return errors.New("ESO has asked for no such token")
	})
	return refusal
}

// ownToken takes ESO's word that it has no token of its own in the usual file as the proof that it would send it.
func ownToken(err error) error {
	if err != nil && strings.Contains(err.Error(), "/var/run/secrets/kubernetes.io/serviceaccount/token") {
		return nil
	}
	return err
}

// settles asks again while what was just given has no effect yet.
func settles(s *scene, try func(*scene) error) error {
	s.Helper()
	var err error
	for begin := time.Now(); time.Since(begin) < 5*time.Second; time.Sleep(100 * time.Millisecond) {
		if err = try(s); outcomeOf(err) != rbacSays {
			break
		}
	}
	return err
}

// mintsBound mints a token that is bound to a Secret.
func mintsBound(s *scene, as *bed.API, account string) error {
	s.Helper()
	secret := s.parse("{apiVersion: v1, kind: Secret, metadata: {name: bound-RUN, namespace: NS}}")
	if err := s.b.TryApply(s.ctx, secret); err != nil {
		return err
	}
	seconds := int64(600)
	_, err := as.Client.CoreV1().ServiceAccounts(s.ns).CreateToken(s.ctx, account, &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{"vault"}, ExpirationSeconds: &seconds,
		BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Secret", APIVersion: "v1", Name: secret[0].GetName()},
	}}, metav1.CreateOptions{})
	return err
}

// templated has ESO make a Secret that the token controller fills with a token of another service account.
func templated(s *scene, as *bed.API) error {
	s.Helper()
	err := s.apply(as, `
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: legacy-RUN, namespace: NS}
spec:
  refreshInterval: 10s
  secretStoreRef: {kind: SecretStore, name: vault}
  target:
    name: legacy-RUN
    template:
      type: kubernetes.io/service-account-token
      metadata: {annotations: {kubernetes.io/service-account.name: app}}
      data: {extra: "{{ .password }}"}
  data: [{secretKey: password, remoteRef: {key: NS-vault/db, property: password}}]
`)
	if err != nil {
		return err
	}
	name := s.fill("legacy-RUN")
	var refusal error
	s.b.Eventually(s.T, func(ctx context.Context) error {
		refusal = nil
		if _, err := s.b.Client.CoreV1().Secrets(s.ns).Get(ctx, name, metav1.GetOptions{}); err == nil {
			return nil
		}
		events, err := s.b.Client.CoreV1().Events(s.ns).List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=" + name})
		if err != nil {
			return err
		}
		for _, event := range events.Items {
			if denied(event.Message) {
				refusal = errors.New(event.Message)
				return nil
			}
		}
		return errors.New("ESO says nothing yet")
	})
	if refusal != nil {
		return refusal
	}
	return uses(s, s.b.API, s.ns, name, "app")
}
