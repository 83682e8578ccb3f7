package bed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// Vault's place, as ESO sees it: the one of our examples.
const (
	vaultName = "vault.example.com"
	// VaultAddress is what a store says for its server.
	VaultAddress = "https://" + vaultName + ":8200"
)

// Vault is a running Vault with the secrets engine kv (version 2) at kv/, and the auth methods kubernetes at kubernetes/
// and jwt at jwt/, both of which know this cluster.
type Vault struct {
	// Address is where it listens.
	Address string
	token   string
	client  *http.Client
}

func (b *Bed) startVault(ctx context.Context) error {
	v := &Vault{client: b.pki.client()}
	tokenFile := filepath.Join(b.Folder, "vault.token")
	_, err := b.supervisor.StartOnPorts(ctx, 1, func(ports []int) supervise.Program {
		v.Address = "https://" + host(ports[0])
		return supervise.Program{
			Name: "vault", Path: b.binary(build.Vault, "vault"), Environment: []string{"HOME=" + b.Folder, "TMPDIR=" + b.Folder},
			Arguments: []string{
				"-address=" + host(ports[0]), "-root-token=" + tokenFile,
				"-certificate=" + b.pki.file("server.crt"), "-key=" + b.pki.file("server.key"),
			},
			Ready: b.getTLS(v.Address + "/v1/sys/health"),
		}
	})
	if err != nil {
		return err
	}
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		return err
	}
	v.token = string(token)
	b.proxy.route(vaultName+":8200", v.Address[len("https://"):])
	b.Vault = v
	return b.configureVault(ctx)
}

// configureVault mounts what there is, and lets Vault ask the API server about tokens as a service account of its own.
func (b *Bed) configureVault(ctx context.Context) error {
	reviewer, err := Parse(`
{apiVersion: v1, kind: Namespace, metadata: {name: vault}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: vault, namespace: vault}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: vault-reviewer}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:auth-delegator}
subjects: [{kind: ServiceAccount, name: vault, namespace: vault}]
`)
	if err != nil {
		return err
	}
	if err := b.TryApply(ctx, reviewer); err != nil {
		return err
	}
	token, err := b.Mint(ctx, "vault", "vault", nil, 24*60*60)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		path    string
		content map[string]any
	}{
		{"sys/mounts/kv", map[string]any{"type": "kv", "options": map[string]any{"version": "2"}}},
		{"sys/auth/kubernetes", map[string]any{"type": "kubernetes"}},
		{"sys/auth/jwt", map[string]any{"type": "jwt"}},
		{"auth/kubernetes/config", map[string]any{
			"kubernetes_host": b.Config.Host, "kubernetes_ca_cert": string(b.CA),
			"token_reviewer_jwt": token, "disable_local_ca_jwt": true,
		}},
		{"auth/jwt/config", map[string]any{
			"jwt_validation_pubkeys": []string{string(b.pki.saPEM)}, "bound_issuer": Issuer,
		}},
	} {
		if err := b.Vault.TryWrite(ctx, step.path, step.content); err != nil {
			return err
		}
	}
	return nil
}

// TryWrite writes to a path of Vault's API, as root.
func (v *Vault) TryWrite(ctx context.Context, path string, content map[string]any) error {
	_, err := v.request(ctx, http.MethodPost, v.token, path, content)
	return err
}

// TryRead reads a path of Vault's API with a token, or as root if that is empty. It returns the answer's `data`.
func (v *Vault) TryRead(ctx context.Context, token, path string) (map[string]any, error) {
	if token == "" {
		token = v.token
	}
	answer, err := v.request(ctx, http.MethodGet, token, path, nil)
	if err != nil {
		return nil, err
	}
	return answer.Data, nil
}

// TryLogin logs in by an auth method's mount with a service account's token, and returns Vault's own.
func (v *Vault) TryLogin(ctx context.Context, mount, role, token string) (string, error) {
	answer, err := v.request(ctx, http.MethodPost, "", "auth/"+mount+"/login", map[string]any{"role": role, "jwt": token})
	if err != nil {
		return "", err
	}
	return answer.Auth.ClientToken, nil
}

// answer is what Vault answers.
type answer struct {
	Data map[string]any
	Auth struct {
		ClientToken string `json:"client_token"`
	}
}

func (v *Vault) request(ctx context.Context, method, token, path string, content map[string]any) (got answer, err error) {
	body, err := json.Marshal(content)
	if err != nil {
		return got, err
	}
	request, err := http.NewRequestWithContext(ctx, method, v.Address+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return got, err
	}
	if token != "" {
		request.Header.Set("X-Vault-Token", token)
	}
	response, err := v.client.Do(request)
	if err != nil {
		return got, fmt.Errorf("asking Vault for %s: %w", path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return got, fmt.Errorf("asking Vault for %s: %w", path, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return got, fmt.Errorf("asking Vault for %s: %s: %s", path, response.Status, bytes.TrimSpace(text))
	}
	if len(text) > 0 {
		err = json.Unmarshal(text, &got)
	}
	return got, err
}

// TrySecret writes a secret of kv/.
func (v *Vault) TrySecret(ctx context.Context, path string, data map[string]string) error {
	return v.TryWrite(ctx, "kv/data/"+path, map[string]any{"data": data})
}

// TryConfigure gives a service account a role by both auth methods, for the audience `vault`, and the policy to read
// everything below a path of kv/.
func (v *Vault) TryConfigure(ctx context.Context, role, namespace, serviceAccount, path string) error {
	policy := fmt.Sprintf(`path "kv/data/%s/*" { capabilities = ["read"] }`, path)
	for _, step := range []struct {
		path    string
		content map[string]any
	}{
		{"sys/policies/acl/" + role, map[string]any{"policy": policy}},
		{"auth/kubernetes/role/" + role, map[string]any{
			"bound_service_account_names":      []string{serviceAccount},
			"bound_service_account_namespaces": []string{namespace},
			"audience":                         "vault", "token_policies": []string{role}, "token_ttl": "10m",
		}},
		{"auth/jwt/role/" + role, map[string]any{
			"role_type": "jwt", "user_claim": "sub", "bound_audiences": []string{"vault"},
			"bound_subject":  "system:serviceaccount:" + namespace + ":" + serviceAccount,
			"token_policies": []string{role}, "token_ttl": "10m",
		}},
	} {
		if err := v.TryWrite(ctx, step.path, step.content); err != nil {
			return err
		}
	}
	return nil
}
