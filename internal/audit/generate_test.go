package audit

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// generator writes a log as a kube-apiserver does: fields and their order are
// those of the type Event (internal/admissioncheck reads what the API server's
// own writer makes). The same seed writes the same log.
type generator struct {
	random *rand.Rand
	at     time.Time
	tokens int // of a thousand events
}

func newGenerator(seed uint64, tokens int) *generator {
	return &generator{
		random: rand.New(rand.NewPCG(seed, 1)), tokens: tokens,
		at: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC),
	}
}

// write writes a log of at least so many bytes.
func (g *generator) write(w io.Writer, size int64) error {
	out := bufio.NewWriterSize(w, 1<<20)
	for written := int64(0); written < size; {
		line := g.event()
		n, err := out.WriteString(line)
		if err != nil {
			return err
		}
		written += int64(n)
	}
	return out.Flush()
}

// TestWriteLog is how internal/bench has the log written that it measures.
func TestWriteLog(t *testing.T) {
	name := os.Getenv("AUDIT_LOG_FILE")
	if name == "" {
		t.Skip("writes AUDIT_LOG_MB megabytes to AUDIT_LOG_FILE, for internal/bench")
	}
	size, err := strconv.ParseInt(os.Getenv("AUDIT_LOG_MB"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := newGenerator(1, 20).write(file, size*1_000_000); err != nil {
		t.Fatal(err)
	}
}

func (g *generator) event() string {
	g.at = g.at.Add(time.Duration(g.random.IntN(2_000_000)) * time.Microsecond)
	if g.random.IntN(1000) < g.tokens {
		return g.token()
	}
	switch g.random.IntN(10) {
	case 0, 1, 2: // leases
		return g.line(logged{
			verb: "update", user: fmt.Sprintf("system:node:node-%02d", g.random.IntN(40)), groups: `"system:nodes","system:authenticated"`,
			agent: "kubelet/v1.36.3 (linux/amd64) kubernetes/4c4df77", resource: "leases", namespace: "kube-node-lease", name: fmt.Sprintf("node-%02d", g.random.IntN(40)), group: "coordination.k8s.io",
		})
	case 3, 4: // reads of Secrets
		return g.line(logged{
			verb: "get", user: accountPrefix + "external-secrets:external-secrets", groups: `"system:serviceaccounts","system:serviceaccounts:external-secrets","system:authenticated"`,
			agent: "external-secrets/v2.9.0 (linux/amd64)", resource: "secrets", namespace: fmt.Sprintf("team-%03d", g.random.IntN(300)), name: "db-credentials",
		})
	case 5: // not of a resource
		return g.line(logged{verb: "get", user: "system:anonymous", groups: `"system:unauthenticated"`, agent: "kube-probe/1.36", uri: "/readyz"})
	case 6: // a write with a body, as a catch-all at Request logs it
		return g.line(logged{
			level: "Request", verb: "patch", user: accountPrefix + "flux-system:kustomize-controller", groups: `"system:serviceaccounts","system:authenticated"`,
			agent: "kustomize-controller/v1.9.6", resource: "deployments", namespace: fmt.Sprintf("team-%03d", g.random.IntN(300)), name: "web", group: "apps",
			request: `{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"name":"web","labels":{"app":"web"}},"spec":{"template":{"spec":{"containers":[{"name":"web","image":"web:1","env":[` +
				strings.TrimSuffix(strings.Repeat(`{"name":"SETTING","value":"value"},`, 20), ",") + `]}]}}}}`,
		})
	default:
		return g.line(logged{
			verb: []string{"get", "list", "watch"}[g.random.IntN(3)], user: accountPrefix + "kube-system:replicaset-controller", groups: `"system:serviceaccounts","system:serviceaccounts:kube-system","system:authenticated"`,
			agent: "kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/4c4df77/system:serviceaccount:kube-system:replicaset-controller", resource: "pods", namespace: fmt.Sprintf("team-%03d", g.random.IntN(300)), name: "web-5d4f7c-x7k2p",
		})
	}
}

func (g *generator) token() string {
	namespace := fmt.Sprintf("team-%03d", g.random.IntN(300))
	e := logged{
		level: "Request", verb: "create", resource: "serviceaccounts", subresource: "token", namespace: namespace, name: "vault-access-sa", code: 201,
		user: accountPrefix + "external-secrets:external-secrets", groups: `"system:serviceaccounts","system:serviceaccounts:external-secrets","system:authenticated"`,
		agent: "external-secrets/v2.9.0 (linux/amd64)", reason: `RBAC: allowed by RoleBinding \"eso-tenant-token-vault-access-sa/` + namespace + `\" of Role \"eso-tenant-token-vault-access-sa\" to ServiceAccount \"external-secrets/external-secrets\"`,
		request: `{"kind":"TokenRequest","apiVersion":"authentication.k8s.io/v1","metadata":{},"spec":{"audiences":["vault"],"expirationSeconds":600,"boundObjectRef":null},"status":{"token":"","expirationTimestamp":null}}`,
	}
	if g.random.IntN(2) == 0 {
		e.user, e.agent, e.name = fmt.Sprintf("system:node:node-%02d", g.random.IntN(40)), "kubelet/v1.36.3", "default"
	}
	return g.line(e)
}

// logged is what differs between events.
type logged struct {
	level, verb, uri, user, as, groups, agent         string
	resource, subresource, namespace, name, group     string
	request, response, reason, annotations, stage, id string
	code                                              int
}

// line writes an event as one line, as of now.
func (g *generator) line(e logged) string {
	or := func(text, other string) string {
		if text == "" {
			return other
		}
		return text
	}
	if e.code == 0 {
		e.code = 200
	}
	stamp := g.at.Format("2006-01-02T15:04:05.000000Z")
	var b strings.Builder
	fmt.Fprintf(&b, `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":%q,"auditID":%q,"stage":%q,"requestURI":%q,"verb":%q,`,
		or(e.level, "Metadata"), or(e.id, fmt.Sprintf("%08x-%04x-4000-8000-%012x", g.random.Uint32(), g.random.Uint32()&0xffff, g.random.Uint64()&0xffffffffffff)), or(e.stage, "ResponseComplete"), or(e.uri, "/api/v1/namespaces/"+e.namespace+"/"+e.resource+"/"+e.name), e.verb)
	fmt.Fprintf(&b, `"user":{"username":%q,"uid":"b6b2d1b5-7c7e-4a39-9d2c-0d9c5b6f5a11","groups":[%s],"extra":{"authentication.kubernetes.io/credential-id":["JTI=1b1b6c1d-6c2e-4f0a-9d3c-b3b2a0a7b111"]}},`, e.user, e.groups)
	if e.as != "" {
		fmt.Fprintf(&b, `"impersonatedUser":{"username":%q,"groups":["system:authenticated"]},`, e.as)
	}
	fmt.Fprintf(&b, `"sourceIPs":["10.0.12.7"],"userAgent":%q,`, e.agent)
	if e.resource != "" {
		fmt.Fprintf(&b, `"objectRef":{"resource":%q,"namespace":%q,"name":%q,`, e.resource, e.namespace, e.name)
		if e.group != "" {
			fmt.Fprintf(&b, `"apiGroup":%q,`, e.group)
		}
		b.WriteString(`"apiVersion":"v1"`)
		if e.subresource != "" {
			fmt.Fprintf(&b, `,"subresource":%q`, e.subresource)
		}
		b.WriteString(`},`)
	}
	fmt.Fprintf(&b, `"responseStatus":{"metadata":{},"code":%d},`, e.code)
	if e.request != "" {
		b.WriteString(`"requestObject":` + e.request + `,`)
	}
	if e.response != "" {
		b.WriteString(`"responseObject":` + e.response + `,`)
	}
	decision := "allow"
	if e.code == 403 {
		decision = "forbid"
	}
	fmt.Fprintf(&b, `"requestReceivedTimestamp":%q,"stageTimestamp":%q,"annotations":{"authorization.k8s.io/decision":%q,"authorization.k8s.io/reason":"%s"%s}}`+"\n", stamp, stamp, decision, e.reason, e.annotations)
	return b.String()
}
