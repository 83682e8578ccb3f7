package scaffold

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeKubectl answers as a cluster does; what it is asked is in asked.
const fakeKubectl = `
case "$*" in
"config current-context") echo eu-1 ;;
"get --raw /version"*) echo '{"major": "1", "minor": "34+", "gitVersion": "v1.34.2-eks"}' ;;
"get --raw /.well-known/openid-configuration"*) echo '{"issuer": "https://oidc.acme.dev/eu-1", "jwks_uri": "x"}' ;;
"get deployments --all-namespaces --selector=app.kubernetes.io/name=external-secrets --output=json"*) cat <<'JSON'
{"items": [{
  "metadata": {"namespace": "eso", "labels": {LABELS}},
  "spec": {"template": {"spec": {"serviceAccountName": "eso-external-secrets", "containers": [{"image": "IMAGE"}]}}}
}]}
JSON
;;
*) echo "unexpected: $*" >&2; exit 1 ;;
esac
`

func fake(labels, image string) string {
	return strings.NewReplacer("LABELS", labels, "IMAGE", image).Replace(fakeKubectl)
}

func TestAsk(t *testing.T) {
	const all = `"app.kubernetes.io/instance": "eso", "app.kubernetes.io/version": "v2.7.0", "helm.sh/chart": "external-secrets-2.6.0"`
	found := Live{
		Name: "eu-1", Kubernetes: "1.34", Issuer: "https://oidc.acme.dev/eu-1",
		ESO: Operator{Namespace: "eso", Release: "eso", ServiceAccount: "eso-external-secrets", Version: "v2.7.0"},
	}
	tests := map[string]struct {
		script, context string
		change          func(*Live)
		notes           []string
	}{
		"all of it":     {script: fake(all, "")},
		"by image":      {script: fake(`"app.kubernetes.io/instance": "eso"`, "external-secrets/external-secrets:v2.7.0-ubi@sha256:0")},
		"by chart":      {script: fake(`"app.kubernetes.io/instance": "eso", "helm.sh/chart": "external-secrets-2.7.0"`, "mirror/eso:latest")},
		"another label": {script: fake(`"app.kubernetes.io/instance": "eso", "app.kubernetes.io/version": "main", "helm.sh/chart": "external-secrets-2.7.0"`, "")},
		"no version":    {script: fake(`"app.kubernetes.io/instance": "eso"`, ""), change: func(l *Live) { l.ESO.Version = "" }},
		"a context": {
			script: strings.ReplaceAll(fake(all, ""), `in
`, `in
*" --context=prod") set -- ${*% --context=prod} ;; *) exit 9 ;;
esac
case "$*" in
`), context: "prod", change: func(l *Live) { l.Name = "prod" },
		},
		"a context that is no name": {script: fake(all, ""), context: "arn:aws:eks:x", change: func(l *Live) { l.Name = "" }},
		"nothing": {
			script: "echo 'Warning: x' >&2; printf 'no \\033[31mrights' >&2; exit 1", change: func(l *Live) { *l = Live{} },
			notes: []string{
				`the context's name is not known: kubectl says: no \x1b[31mrights`, `the version of Kubernetes is not known: kubectl says: no \x1b[31mrights`,
				`the issuer of tokens is not known: kubectl says: no \x1b[31mrights`, `External Secrets Operator is not known: kubectl says: no \x1b[31mrights`,
			},
		},
		"nonsense": {
			script: "echo '{\"major\": \"1\", \"minor\": \"x: y\", \"issuer\": \"kubernetes/serviceaccount\", \"items\": []}'", change: func(l *Live) { *l = Live{} },
			notes: []string{
				`the version of Kubernetes is not known: the API server says it is "1.x: y"`, `the issuer of tokens is not known: "kubernetes/serviceaccount" is no https URL`,
				`External Secrets Operator is not known: no Deployment has its label`,
			},
		},
		"several": {
			script: strings.ReplaceAll(fake(all, ""), `]}
JSON`, `, {"metadata": {"namespace": "b"}}]}
JSON`), change: func(l *Live) { l.ESO = Operator{} },
			notes: []string{`External Secrets Operator is not known: there are 2, in "b", "eso"; a Platform is for one of them`},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			program(t, "kubectl", test.script)
			want := found
			if test.change != nil {
				test.change(&want)
			}
			got, notes := Ask(t.Context(), test.context)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(test.notes, notes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// A cluster that talks without end costs no memory, and does not hang.
func TestAskBounded(t *testing.T) {
	program(t, "kubectl", "head -c 20000000 /dev/zero | tr '\\0' a")
	if _, notes := Ask(t.Context(), "x"); len(notes) != 3 || !strings.Contains(notes[0], "kubectl printed more than 8 MiB") {
		t.Errorf("got %q", notes)
	}
}

func TestAskNobody(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	if _, notes := Ask(t.Context(), ""); len(notes) != 1 || !strings.Contains(notes[0], "there is no kubectl on the PATH") {
		t.Errorf("got %q", notes)
	}
}

func TestAskInterrupted(t *testing.T) {
	program(t, "kubectl", "sleep 60")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, notes := Ask(ctx, ""); got != (Live{}) || len(notes) > 0 {
		t.Errorf("got %+v, %q", got, notes)
	}
}
