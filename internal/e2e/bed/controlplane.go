package bed

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/csv"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// Issuer is the issuer of service accounts' tokens, and the first of the API server's own audiences, as kubeadm sets it.
const Issuer = "https://kubernetes.default.svc.cluster.local"

// auditPolicy notes every request for a token with what was asked for, and who touched what else, but reads and events.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    users: [system:apiserver, system:kube-controller-manager]
  - level: Request
    resources: [{group: "", resources: [serviceaccounts/token]}]
  - level: None
    resources: [{group: authorization.k8s.io, resources: [subjectaccessreviews]}] # asked by the ten thousand
  - level: Metadata
    resources: [{group: "", resources: [secrets]}]
  - level: None
    verbs: [get, list, watch]
  - level: None
    resources:
      - {group: "", resources: [events]}
      - {group: events.k8s.io, resources: [events]}
      - {group: coordination.k8s.io, resources: [leases]}
  - level: Metadata
`

func (b *Bed) startControlPlane(ctx context.Context) error {
	etcd, err := b.startEtcd(ctx)
	if err != nil {
		return err
	}
	b.admin = rand.Text()
	var tokens strings.Builder
	b.manager, b.kubelet = rand.Text(), rand.Text()
	records := [][]string{
		{b.admin, "admin", "admin", "system:masters"},
		{b.manager, managerUser, managerUser, ""},
		{b.kubelet, "system:node:" + nodeName, "system:node:" + nodeName, "system:nodes"},
	}
	if err := csv.NewWriter(&tokens).WriteAll(records); err != nil {
		return err
	}
	for name, content := range map[string]string{"tokens.csv": tokens.String(), "audit.yaml": auditPolicy} {
		if err := os.WriteFile(filepath.Join(b.Folder, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	b.apiserver, err = b.supervisor.StartOnPorts(ctx, 1, func(ports []int) supervise.Program {
		b.API = newAPI(b, &rest.Config{
			Host: "https://" + host(ports[0]), BearerToken: b.admin,
			TLSClientConfig: rest.TLSClientConfig{CAData: b.CA},
			QPS:             -1, // no limit: the server has one
			Timeout:         30 * time.Second,
		})
		return supervise.Program{
			Name: "kube-apiserver", Path: b.binary(build.Kubernetes, "kube-apiserver"), Arguments: b.apiserverArguments(etcd, ports[0]),
			Environment: []string{"HOME=" + b.Folder}, Ready: b.API.healthy,
		}
	})
	if err != nil {
		return err
	}
	if err := b.API.connect(); err != nil {
		return err
	}
	address := strings.TrimPrefix(b.Config.Host, "https://")
	for _, name := range []string{"kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"} {
		b.proxy.route(name+":443", address)
	}
	return b.Kubeconfig(filepath.Join(b.Folder, "kubeconfig"), b.admin)
}

// ProcessorTime returns how long processors have worked for kube-apiserver. Linux says so, in hundredths of a second: proc(5),
// fields 14 and 15 of stat.
func (b *Bed) ProcessorTime() (time.Duration, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", b.apiserver.ID))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // after the name, the third field comes
	fields := strings.Fields(rest)
	var sum time.Duration
	for _, i := range []int{11, 12} {
		ticks, err := strconv.Atoi(fields[i])
		if err != nil {
			return 0, fmt.Errorf("reading how long kube-apiserver has worked: %w", err)
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum, nil
}

// startEtcd returns etcd's address. It does not wait for the disk: nothing has to survive.
func (b *Bed) startEtcd(ctx context.Context) (url string, err error) {
	_, err = b.supervisor.StartOnPorts(ctx, 2, func(ports []int) supervise.Program {
		url = "http://" + host(ports[0])
		peers := "http://" + host(ports[1])
		return supervise.Program{
			Name: "etcd", Path: b.binary(build.Etcd, "etcd"), Environment: []string{"HOME=" + b.Folder},
			Arguments: []string{
				"--name=e2e", "--data-dir=" + filepath.Join(b.Folder, "etcd"), "--unsafe-no-fsync", "--log-level=warn",
				"--listen-client-urls=" + url, "--advertise-client-urls=" + url,
				"--listen-peer-urls=" + peers, "--initial-advertise-peer-urls=" + peers, "--initial-cluster=e2e=" + peers,
			},
			Ready: get(url + "/health"),
		}
	})
	return url, err
}

func (b *Bed) apiserverArguments(etcd string, port int) []string {
	plugins := "--enable-admission-plugins=NodeRestriction"
	if b.bare { // where only what is applied is to refuse
		plugins = "--disable-admission-plugins=NodeRestriction"
	}
	return []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", port),
		"--tls-cert-file=" + b.pki.file("server.crt"), "--tls-private-key-file=" + b.pki.file("server.key"),
		"--token-auth-file=" + filepath.Join(b.Folder, "tokens.csv"),
		"--authorization-mode=Node,RBAC", plugins, "--anonymous-auth=false",
		"--service-account-issuer=" + Issuer,
		"--service-account-key-file=" + b.pki.file("sa.pub"), "--service-account-signing-key-file=" + b.pki.file("sa.key"),
		"--api-audiences=" + Issuer + ",https://kubernetes.default.svc",
		"--service-cluster-ip-range=10.96.0.0/24",
		"--endpoint-reconciler-type=none", // nothing is behind the Service `kubernetes`
		"--audit-policy-file=" + filepath.Join(b.Folder, "audit.yaml"),
		"--audit-log-path=" + b.AuditLog(), "--audit-log-mode=blocking",
	}
}

// managerUser is who kube-controller-manager is. Kubernetes gives it what it needs as long as its controllers have service
// accounts of their own.
const managerUser = "system:kube-controller-manager"

// startControllerManager runs all controllers that a cluster without nodes has work for: tokens of service accounts,
// the ServiceAccount `default` and the CA's ConfigMap in each namespace, the end of namespaces, and garbage. With
// `accounts` each acts as a service account of its own, as kubeadm sets it; else all act as the manager's user, which is
// then given all rights, as in clusters that are run so.
func (b *Bed) startControllerManager(ctx context.Context, accounts bool) error {
	kubeconfig := filepath.Join(b.Folder, "controller-manager.kubeconfig")
	if err := b.Kubeconfig(kubeconfig, b.manager); err != nil {
		return err
	}
	if !accounts {
		rights, err := Parse(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: controller-manager-without-accounts}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "` + managerUser + `"}]
`)
		if err != nil {
			return err
		}
		if err := b.TryApply(ctx, rights); err != nil {
			return err
		}
	}
	var err error
	b.controllers, err = b.supervisor.StartOnPorts(ctx, 1, func(ports []int) supervise.Program {
		return supervise.Program{
			Name: "kube-controller-manager", Path: b.binary(build.Kubernetes, "kube-controller-manager"),
			Environment: []string{"HOME=" + b.Folder},
			Arguments: []string{
				"--kubeconfig=" + kubeconfig, "--leader-elect=false",
				"--bind-address=127.0.0.1", fmt.Sprintf("--secure-port=%d", ports[0]),
				"--tls-cert-file=" + b.pki.file("server.crt"), "--tls-private-key-file=" + b.pki.file("server.key"),
				"--authorization-always-allow-paths=/healthz",
				"--root-ca-file=" + b.pki.file("ca.crt"), "--service-account-private-key-file=" + b.pki.file("sa.key"),
				fmt.Sprintf("--use-service-account-credentials=%t", accounts),
				"--controllers=serviceaccount-token-controller,serviceaccount-controller,root-ca-certificate-publisher-controller," +
					"namespace-controller,garbage-collector-controller,clusterrole-aggregation-controller,resourcequota-controller",
			},
			Ready: b.getTLS("https://" + host(ports[0]) + "/healthz"),
		}
	})
	return err
}

// restartControllerManager ends kube-controller-manager and starts it anew, as startControllerManager does.
func (b *Bed) restartControllerManager(ctx context.Context, accounts bool) error {
	b.controllers.Stop()
	return b.startControllerManager(ctx, accounts)
}

func (b *Bed) binary(component build.Component, name string) string {
	return filepath.Join(b.built[component.Name], name)
}

// Kubectl is the path of the kubectl that goes with the API server.
func (b *Bed) Kubectl() string { return b.binary(build.Kubernetes, "kubectl") }

// kubectl runs it as the cluster's administrator, and returns its standard output.
func (b *Bed) kubectl(ctx context.Context, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, b.Kubectl(), arguments...)
	command.Env = []string{"HOME=" + b.Folder, "KUBECONFIG=" + filepath.Join(b.Folder, "kubeconfig")}
	var out, failure bytes.Buffer
	command.Stdout, command.Stderr = &out, &failure
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("running kubectl %s: %w\n%s", strings.Join(arguments, " "), err, failure.String())
	}
	return out.String(), nil
}

// Kubeconfig writes a file for kubectl and other clients, which authenticate with a token.
func (b *Bed) Kubeconfig(path, token string) error {
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: e2e, cluster: {server: %q, certificate-authority: %q}}]
users: [{name: e2e, user: {token: %q}}]
contexts: [{name: e2e, context: {cluster: e2e, user: e2e}}]
current-context: e2e
`, b.Config.Host, b.pki.file("ca.crt"), token)
	return os.WriteFile(path, []byte(text), 0o600)
}

// get asks an address and takes any good answer.
func get(url string) func(context.Context) error {
	return getWith(http.DefaultClient, url)
}

func (b *Bed) getTLS(url string) func(context.Context) error { return getWith(b.pki.client(), url) }

func getWith(client *http.Client, url string) func(context.Context) error {
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("%s answers %s", url, response.Status)
		}
		return nil
	}
}
