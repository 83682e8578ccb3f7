package admissioncheck

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	authnv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	auditlog "k8s.io/apiserver/plugin/pkg/audit/log"

	ours "github.com/eso-tenant/eso-tenant/internal/audit"
)

const operator = "system:serviceaccount:external-secrets:external-secrets"

// event is one as the API server has it in memory.
func event(verb, user string, ref auditinternal.ObjectReference, body string) *auditinternal.Event {
	at := metav1.NewMicroTime(time.Date(2026, 11, 24, 10, 0, 0, 123456000, time.UTC))
	e := &auditinternal.Event{
		Level: auditinternal.LevelRequest, AuditID: "0a1b", Stage: auditinternal.StageResponseComplete, Verb: verb, RequestURI: `/api/v1/x?fieldManager="objectRef":{"resource":"pods"}`,
		User:      authnv1.UserInfo{Username: user, Groups: []string{"system:authenticated"}, Extra: map[string]authnv1.ExtraValue{"objectRef": {`{"resource":"pods"}`}}},
		SourceIPs: []string{"10.0.0.1"}, UserAgent: `a"b`, ObjectRef: &ref,
		ResponseStatus:           &metav1.Status{Code: 201},
		RequestReceivedTimestamp: at, StageTimestamp: at,
		Annotations: map[string]string{"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": `RBAC: allowed by RoleBinding "a/b"`},
	}
	if body != "" {
		e.RequestObject = &runtime.Unknown{Raw: []byte(body), ContentType: runtime.ContentTypeJSON}
	}
	return e
}

// The API server's own writer of audit logs writes lines that are read: those
// that matter are decoded, and those in which a requester wrote what could be taken for them; others need not be.
func TestAuditLogOfAPIServer(t *testing.T) {
	token := auditinternal.ObjectReference{Resource: "serviceaccounts", Subresource: "token", Namespace: "web", Name: "sa", APIVersion: "v1"}
	acting := event("get", "alice", auditinternal.ObjectReference{Resource: "pods", Namespace: "web"}, "")
	acting.ImpersonatedUser = &authnv1.UserInfo{Username: operator}
	legacy := event("get", "system:serviceaccount:web:sa", auditinternal.ObjectReference{Resource: "pods"}, "")
	legacy.Annotations["authentication.k8s.io/legacy-token-manual-secret"] = "s"
	events := []*auditinternal.Event{
		event("create", operator, token, `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","metadata":{},"spec":{"audiences":["other"],"expirationSeconds":600,"boundObjectRef":null},"status":{"token":"","expirationTimestamp":null}}`),
		acting, legacy,
		event("patch", "alice", auditinternal.ObjectReference{Resource: "roles", APIGroup: "rbac.authorization.k8s.io", Namespace: "web", Name: "eso-tenant-writes"}, ""),
		event("get", operator, auditinternal.ObjectReference{Resource: "secrets", Namespace: "web", Name: "s"}, ""),
		event("patch", "alice", auditinternal.ObjectReference{Resource: "configmaps", Namespace: "web", Name: "c"}, `{"stageTimestamp":"2000-01-01T00:00:00.000000Z","objectRef":{"resource":"serviceaccounts"}}`),
	}
	plain := event("get", operator, auditinternal.ObjectReference{Resource: "secrets", Namespace: "web", Name: "s"}, "")
	plain.RequestURI, plain.User.Extra = "/api/v1/namespaces/web/secrets/s", nil
	events = append(events, plain)
	var log bytes.Buffer
	if !auditlog.NewBackend(&log, auditlog.FormatJson, auditv1.SchemeGroupVersion).ProcessEvents(events...) {
		t.Fatal("the backend did not write")
	}
	fence := ours.Account{Namespace: "web", Name: "sa"}
	report, err := ours.Read(t.Context(), []ours.Source{{Name: "audit.log", Open: func() (io.ReadCloser, error) { return io.NopCloser(&log), nil }}}, &ours.Input{
		ESO: []ours.Account{{Namespace: "external-secrets", Name: "external-secrets"}}, Fences: []ours.Fence{{Account: fence, Audiences: []string{"vault"}}}, Specified: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if c := report.Coverage; c.Events != 7 || c.Decoded != 6 || c.Skipped() != 0 || !c.First.Equal(events[0].StageTimestamp.Time) || !c.Last.Equal(c.First) {
		t.Errorf("%+v", c)
	}
	var rules []string
	for _, p := range report.Problems {
		rules = append(rules, string(p.Rule))
	}
	if got, want := strings.Join(rules, " "), "audit-audience audit-impersonation audit-legacy-token audit-fence-changed"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if len(report.Rows) != 1 || strings.Join(report.Rows[0].Audiences, " ") != "other" || report.Rows[0].Longest != 600 {
		t.Errorf("%+v", report.Rows)
	}
}
