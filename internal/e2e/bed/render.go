package bed

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Platform returns a specification of this bed: what is to be fenced, and a catalogue of all ways to a secret that the
// bed has. `more` are further lines of its spec.
func Platform(more ...string) string { return PlatformWith("", more...) }

// PlatformWith is Platform with more to say of ESO, as `features: [pushSecrets]`.
func PlatformWith(externalSecrets string, more ...string) string {
	return `apiVersion: eso-tenant.dev/v1alpha1
kind: Platform
metadata: {name: e2e}
spec:
  cluster: {kubernetes: "1.36", issuer: "` + Issuer + `"}
  externalSecrets: {version: ` + ESOVersion + `, ` + externalSecrets + `}
  enforcement: enforce
  providers:
    vault:
      audiences: [vault]
      vault: {server: "` + VaultAddress + `", path: kv, version: v2, auth: {kubernetes: {mountPath: kubernetes}}}
    vault-jwt:
      audiences: [vault]
      vault: {server: "` + VaultAddress + `", path: kv, version: v2, auth: {jwt: {path: jwt}}}
    published:
      sameCluster: true
      secrets: ["{tenant}-published"]
      kubernetes: {remoteNamespace: published}
  namespaceDefaults: {podSecurity: restricted}
` + indent(strings.Join(more, "\n"), "  ") + "\n"
}

// TryRender returns what our binary renders of specifications, each a text with one or more documents.
func (b *Bed) TryRender(ctx context.Context, specifications ...string) (Objects, error) {
	stream, err := b.TryRun(ctx, strings.Join(specifications, "\n---\n"), "render", "-")
	if err != nil {
		return nil, err
	}
	return Parse(stream)
}

// TryRun runs our binary and returns its standard output, also if it fails; the error has what it said on the other.
func (b *Bed) TryRun(ctx context.Context, input string, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, b.esoTenant, arguments...)
	command.Stdin = strings.NewReader(input)
	command.Env = append(os.Environ(), // with the cluster's kubectl
		"KUBECONFIG="+filepath.Join(b.Folder, "kubeconfig"), "PATH="+filepath.Dir(b.Kubectl())+string(os.PathListSeparator)+os.Getenv("PATH"))
	var out, failure bytes.Buffer
	command.Stdout, command.Stderr = &out, &failure
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("running eso-tenant %s: %w\n%s", strings.Join(arguments, " "), err, failure.String())
	}
	return out.String(), nil
}

// Shell runs a line as somebody types it in a folder, with eso-tenant and kubectl in PATH and the administrator's
// kubeconfig. It returns standard output; an error has what was said on the other.
func (b *Bed) Shell(ctx context.Context, folder, line string) (string, error) {
	command := exec.CommandContext(ctx, "sh", "-euc", line)
	command.Dir = folder
	command.Env = append(b.Git.environment(), "TMPDIR="+b.Folder, "KUBECONFIG="+filepath.Join(b.Folder, "kubeconfig"),
		"PATH="+strings.Join([]string{filepath.Dir(b.esoTenant), filepath.Dir(b.Kubectl()), os.Getenv("PATH")}, ":"))
	var out, failure bytes.Buffer
	command.Stdout, command.Stderr = &out, &failure
	if err := command.Run(); err != nil {
		return out.String(), fmt.Errorf("running %s: %w\n%s", line, err, failure.String())
	}
	return out.String(), nil
}
