package audit

import (
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// reason is the authorizer's: which binding of which role allowed it.
func (e *event) reason() string { return e.Annotations["authorization.k8s.io/reason"] }

// who names the requester, and whom it acts as.
func (e *event) who() string {
	name := quote(e.User.Username)
	if e.ImpersonatedUser != nil {
		name += ", acting as " + quote(e.ImpersonatedUser.Username) + ","
	}
	return name
}

// quote repeats a name in a message. Service accounts' are longer than what
// problem.Quote shows.
func quote(name string) string { return `"` + problem.Clean(clip(name)) + `"` }

// softened is the severity of what enforcing would have kept from happening.
func (t *tally) softened() problem.Severity {
	if t.in.Observing {
		return problem.Warning
	}
	return ""
}

// judgeMint judges a request for a token.
func (t *tally) judgeMint(e *event, class Class, account Account, at place) {
	fence := t.fences[account]
	if e.granted() && e.RequestObject == nil && (class == ESO || fence != nil || !t.in.Specified) {
		t.find(at, observation{
			rule: problem.AuditLogLevel, says: "this log does not say which audiences tokens were asked for: it has requests for tokens without their body",
			hint: "log create of serviceaccounts/token at level Request: eso-tenant audit policy --merge POLICY",
		})
	}
	switch {
	case e.refused():
		t.judgeRefused(e, class, account, at)
	case !e.granted():
	case class == ESO:
		t.judgeOperator(e, fence, account, at)
	case fence != nil && class == Kubelet:
		t.find(at, observation{
			rule: problem.AuditRequester, severity: problem.Warning,
			says: "a node was given tokens of fenced service account " + quote(account.String()) + ": a pod runs as it", reason: e.reason(),
			hint: "give the pod a service account of its own",
		})
	case fence != nil:
		t.find(at, observation{
			rule: problem.AuditRequester, says: e.who() + " was given tokens of fenced service account " + quote(account.String()), reason: e.reason(),
			hint: "find out who that was and what for; then take the binding away: eso-tenant who-can mint " + clip(account.Name) + " -n " + clip(account.Namespace),
		})
	}
}

func (t *tally) judgeRefused(e *event, class Class, account Account, at place) {
	if class != ESO && t.fences[account] == nil && (t.in.Specified || class == Kubelet) {
		return // somebody else's business
	}
	hint := "who tried, and what for? nobody but External Secrets Operator needs tokens of this account"
	if class == ESO {
		hint = "a store or a generator names this account: which one says its events; if it is meant, write it into a tenant's file"
	}
	t.find(at, observation{
		rule: problem.AuditRefused, says: e.who() + " was refused tokens of service account " + quote(account.String()), hint: hint,
	})
}

// judgeOperator judges what ESO was given.
func (t *tally) judgeOperator(e *event, fence *Fence, account Account, at place) {
	if !t.in.Specified {
		return
	}
	if fence == nil {
		t.find(at, observation{
			rule: problem.AuditOutside, severity: t.softened(), reason: e.reason(),
			says: e.who() + " was given tokens of service account " + quote(account.String()) + ", which is no tenant's fenced one",
			hint: "a store names it, or somebody used the operator's right; the binding that allowed it has to go",
		})
		return
	}
	if e.RequestObject == nil || len(fence.Audiences) == 0 {
		return
	}
	asked := e.RequestObject.Spec.Audiences
	if len(asked) == 0 {
		asked = []string{apiServer}
	}
	for _, audience := range asked {
		if slices.Contains(fence.Audiences, audience) {
			continue
		}
		t.find(at, observation{
			rule: problem.AuditAudience, severity: t.softened(), reason: e.reason(),
			says: e.who() + " was given tokens of " + quote(account.String()) + " for audience " + quote(audience) + ", which is none of " + problem.QuoteAll(sorted(fence.Audiences)),
			hint: "a token for another server is good there: look at who wrote the store, and enforce the admission policies",
		})
	}
}

func sorted(texts []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(texts)))
}

// judgeBodies finds tokens and Secrets in the log itself.
func (t *tally) judgeBodies(e *event, at place) {
	const hint = "whoever reads this log has them: delete it, renew what is in it, and log at level Request (tokens) or Metadata (Secrets, TokenReviews): eso-tenant audit policy --merge POLICY"
	if b := e.ResponseObject; b != nil && bool(b.Status.Token) && e.mints() {
		t.find(at, observation{rule: problem.AuditLogSecret, says: "this log holds tokens of service accounts, which level RequestResponse writes into it", hint: hint})
	}
	if b := e.RequestObject; b != nil && bool(b.Spec.Token) && e.ObjectRef.Resource == "tokenreviews" {
		t.find(at, observation{rule: problem.AuditLogSecret, says: "this log holds tokens that were reviewed, which level " + quote(e.Level) + " writes into it", hint: hint})
	}
	if e.ObjectRef.Resource == "secrets" && (e.RequestObject.hasSecret() || e.ResponseObject.hasSecret()) {
		t.find(at, observation{rule: problem.AuditLogSecret, says: "this log holds the content of Secrets, which level " + quote(e.Level) + " writes into it", hint: hint})
	}
}

// judgeImpersonation finds who acts as ESO or as a fenced service account.
func (t *tally) judgeImpersonation(e *event, at place) {
	if e.ImpersonatedUser == nil {
		return
	}
	as := e.ImpersonatedUser.Username
	_, fenced := t.guarded[as]
	if !fenced && !t.eso[as] {
		return
	}
	o := observation{
		rule: problem.AuditImpersonation, says: quote(e.User.Username) + " acted as " + quote(as), reason: e.reason(),
		hint: "take the right to impersonate away: eso-tenant who-can impersonate serviceaccounts",
	}
	if e.ObjectRef.Resource == "selfsubjectaccessreviews" || e.ObjectRef.Resource == "selfsubjectrulesreviews" {
		o.severity, o.says = problem.Warning, o.says+" to ask what it may do"
	}
	t.find(at, o)
}

// tokenSecret is the type of the Secrets that Kubernetes fills with a token.
const tokenSecret = "kubernetes.io/service-account-token"

// Where the API server and Kubernetes' own controllers say of a Secret that it
// holds a service account's token.
const (
	legacyUsed     = "authentication.k8s.io/legacy-token"                    // and longer (pkg/serviceaccount/legacy.go)
	policyFailure  = "validation.policy.admission.k8s.io/validation_failure" // of policies that audit
	secretPolicy   = "-token-secret"                                         // what the name of ours ends in
	ofAccount      = "kubernetes.io/service-account.name"                    // annotation of a token Secret
	controllers    = "system:kube-controller-manager"                        // fills in token Secrets
	controllerName = "/tokens-controller"                                    // ends its user agent
)

// judgeLegacy finds tokens without end, which Secrets hold.
func (t *tally) judgeLegacy(e *event, at place) {
	if account, fenced := t.guarded[e.User.Username]; fenced {
		for key := range e.Annotations {
			if strings.HasPrefix(key, legacyUsed) {
				t.find(at, observation{
					rule: problem.AuditLegacyToken, says: "a token without end of fenced service account " + quote(account.String()) + " was used, which stands in a Secret",
					hint: "delete the Secret; ESO needs none",
				})
				break
			}
		}
	}
	if e.ObjectRef.Resource == "secrets" && (t.rooms[e.ObjectRef.Namespace] || !t.in.Specified) {
		t.judgeSecret(e, at)
	}
}

func (t *tally) judgeSecret(e *event, at place) {
	secret := quote(e.ObjectRef.Namespace + "/" + e.ObjectRef.Name)
	o := observation{
		rule: problem.AuditLegacyToken, reason: e.reason(),
		hint: "delete the Secret, and see who wrote it; the admission policy for token Secrets refuses them where it is enforced",
	}
	writes := e.Verb == "create" || e.Verb == "update" || e.Verb == "patch"
	switch {
	case !writes || !e.granted() || e.dryRun():
		return
	case e.Verb == "update" && e.User.Username == controllers && strings.HasSuffix(e.UserAgent, controllerName):
		o.says = "Kubernetes wrote a token without end into Secret " + secret
	case e.RequestObject != nil && e.RequestObject.Type == tokenSecret:
		o.says = e.who() + " wrote Secret " + secret + ", of the type that Kubernetes fills with a token without end"
		if name := e.RequestObject.Metadata.Annotations[ofAccount]; name != "" {
			o.says += " of service account " + quote(name)
		}
	case strings.Contains(e.Annotations[policyFailure], secretPolicy):
		o.says = e.who() + " wrote Secret " + secret + ", which the admission policy for token Secrets only warned of"
	default:
		return
	}
	t.find(at, o)
}

// ownKinds are the resources among which the fence's own objects are.
var ownKinds = map[string]string{
	"roles": "Role", "rolebindings": "RoleBinding", "clusterroles": "ClusterRole", "clusterrolebindings": "ClusterRoleBinding",
	"validatingadmissionpolicies": "ValidatingAdmissionPolicy", "validatingadmissionpolicybindings": "ValidatingAdmissionPolicyBinding",
	"serviceaccounts": "ServiceAccount",
}

// judgeChange finds changes of the fence's own objects by others than those who
// deliver them.
func (t *tally) judgeChange(e *event, at place) {
	kind := ownKinds[e.ObjectRef.Resource]
	if kind == "" || e.ObjectRef.Subresource != "" || !changes(e.Verb) || e.dryRun() || !t.ours(e) || t.delivers(e) {
		return
	}
	object := kind + " " + quote(strings.TrimPrefix(e.ObjectRef.Namespace+"/"+e.ObjectRef.Name, "/"))
	if e.Verb == "deletecollection" {
		object = "each " + kind + " of namespace " + quote(e.ObjectRef.Namespace)
	}
	switch {
	case e.granted():
		t.find(at, observation{
			rule: problem.AuditFenceChanged, says: e.who() + " did " + quote(e.Verb) + " " + object + ", which is the fence's", reason: e.reason(),
			hint: "put back what was rendered; if this user delivers it, say so with --writer",
		})
	case e.refused():
		t.find(at, observation{
			rule: problem.AuditRefused, says: e.who() + " was refused to " + e.Verb + " " + object + ", which is the fence's",
			hint: "who tried, and what for?",
		})
	}
}

func changes(verb string) bool {
	return verb == "create" || verb == "update" || verb == "patch" || verb == "delete" || verb == "deletecollection"
}

// ours tells whether the object is one of the fence's: by its name, or as one of
// all in a fenced namespace.
func (t *tally) ours(e *event) bool {
	ref := e.ObjectRef
	switch {
	case e.Verb == "deletecollection":
		return t.rooms[ref.Namespace] || ref.Namespace == "" && ref.Resource != "serviceaccounts"
	case ref.Resource == "serviceaccounts":
		return t.fences[Account{ref.Namespace, ref.Name}] != nil
	default:
		return strings.HasPrefix(ref.Name, prefix)
	}
}

// delivers tells whether the requester is one of those who write the fence, or
// a controller that takes away what goes with a namespace or its owner.
func (t *tally) delivers(e *event) bool {
	if e.ImpersonatedUser != nil {
		return slices.Contains(t.in.Writers, e.ImpersonatedUser.Username) && slices.Contains(t.in.Writers, e.User.Username)
	}
	name := e.User.Username
	collector := name == controllers || name == accountPrefix+"kube-system:namespace-controller" || name == accountPrefix+"kube-system:generic-garbage-collector"
	return slices.Contains(t.in.Writers, name) || collector && strings.HasPrefix(e.Verb, "delete")
}
