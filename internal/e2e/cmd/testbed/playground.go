package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
)

// playground is a bed that outlives the command. Its server holds a lock as long as it lives, so that nobody is fooled by
// files that a killed one left behind.
type playground struct{ folder string }

// state is what a playground's server writes when all is ready.
type state struct {
	PID        int    `json:"pid"`
	Kubeconfig string `json:"kubeconfig"`
	Kubectl    string `json:"kubectl"`
	Logs       string `json:"logs"`
	Folder     string `json:"folder"`
}

// playgroundFolder is where a playground is known by, if not in the cache: so that a test's is none of yours.
const playgroundFolder = "TESTBED_PLAYGROUND"

func newPlayground() (playground, error) {
	if folder := os.Getenv(playgroundFolder); folder != "" {
		return playground{folder}, os.MkdirAll(folder, 0o755)
	}
	root, err := build.Root()
	if err != nil {
		return playground{}, err
	}
	p := playground{folder: filepath.Join(root, ".cache", "e2e", "playground")}
	return p, os.MkdirAll(p.folder, 0o755)
}

func (p playground) file(name string) string { return filepath.Join(p.folder, name) }

// state returns what the running server wrote, and an error that is fs.ErrNotExist if it has not yet.
func (p playground) state() (state, error) {
	content, err := os.ReadFile(p.file("state.json"))
	if err != nil {
		return state{}, err
	}
	var s state
	err = json.Unmarshal(content, &s)
	return s, err
}

// up starts a server in the background, and returns when it is ready.
func up(ctx context.Context, out, log io.Writer) error {
	if err := buildAll(ctx, log, build.Core()); err != nil {
		return err
	}
	p, err := newPlayground()
	if err != nil {
		return err
	}
	held, err := build.Held(p.file("lock"))
	if err != nil {
		return err
	}
	if held {
		return p.already(out)
	}
	server, ended, err := p.launch()
	if err != nil {
		return fmt.Errorf("starting the playground: %w", err)
	}
	for {
		s, err := p.state()
		if err == nil && s.PID == server.Pid {
			return explain(out, s)
		}
		select {
		case err := <-ended:
			said, _ := os.ReadFile(p.file("log"))
			return fmt.Errorf("starting the playground: %w\n%s", err, said)
		case <-ctx.Done():
			_ = server.Signal(syscall.SIGTERM)
			return errors.Join(ctx.Err(), <-ended)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// already says that there is a playground, and what to try.
func (p playground) already(out io.Writer) error {
	s, err := p.state()
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New("a playground is being started; look again in a minute")
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "The playground is up already.")
	return explain(out, s)
}

// launch starts the server in a session of its own: it goes on when the terminal is closed.
func (p playground) launch() (server *os.Process, ended <-chan error, err error) {
	if err := os.RemoveAll(p.file("state.json")); err != nil {
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	log, err := os.Create(p.file("log"))
	if err != nil {
		return nil, nil, err
	}
	defer log.Close()
	command := exec.Command(self, "serve") //nolint:noctx // it is to outlive us
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, nil, err
	}
	result := make(chan error, 1)
	go func() { result <- command.Wait() }()
	return command.Process, result, nil
}

// servePlayground runs a bed with the quickstart applied until it is asked to end.
func servePlayground(ctx context.Context, log io.Writer) error {
	p, err := newPlayground()
	if err != nil {
		return err
	}
	unlock, err := build.Lock(p.file("lock"))
	if err != nil {
		return err
	}
	defer unlock()
	defer os.Remove(p.file("state.json"))
	b, err := bed.New(ctx, bed.Options{Log: log})
	if err != nil {
		return err
	}
	defer b.Remove() //nolint:errcheck // what is left is in the folder for temporary files
	defer b.Stop()
	if err := furnish(ctx, b); err != nil {
		return fmt.Errorf("applying the quickstart: %w", err)
	}
	if err := p.ready(b); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case <-b.Context().Done():
		return context.Cause(b.Context())
	}
}

// ready writes the state, whole or not at all.
func (p playground) ready(b *bed.Bed) error {
	content, err := json.Marshal(state{
		PID: os.Getpid(), Kubeconfig: filepath.Join(b.Folder, "kubeconfig"), Kubectl: b.Kubectl(), Logs: b.Logs(), Folder: b.Folder,
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.file("state.new"), content, 0o600); err != nil {
		return err
	}
	return os.Rename(p.file("state.new"), p.file("state.json"))
}

// furnish applies the quickstart's tenant with a secret to read, and writes a store that is outside the fence to a file, to
// be tried.
func furnish(ctx context.Context, b *bed.Bed) error {
	root, err := build.Root()
	if err != nil {
		return err
	}
	tenant, err := os.ReadFile(filepath.Join(root, "examples", "quickstart", "tenants", "secure.yaml"))
	if err != nil {
		return err
	}
	objects, err := b.TryRender(ctx, bed.Platform(), string(tenant))
	if err != nil {
		return err
	}
	more, err := bed.Parse(extras)
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(outsideOf(b.Folder), []byte(outside), 0o600),
		b.Vault.TrySecret(ctx, "secure-ns/db", map[string]string{"password": "from-vault"}),
		b.Vault.TryConfigure(ctx, "secure-ns-vault", "secure-ns", "vault-access-sa", "secure-ns"),
		b.TryApply(ctx, append(objects, more...)),
	)
}

// outsideOf is the file with the store that is outside the fence.
func outsideOf(folder string) string { return filepath.Join(folder, "outside.yaml") }

// extras are an ExternalSecret that works, and a service account that no store of the tenant's file uses.
const extras = `
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: db, namespace: secure-ns}
spec:
  refreshInterval: 10s
  secretStoreRef: {kind: SecretStore, name: vault}
  target: {name: db}
  data: [{secretKey: password, remoteRef: {key: secure-ns/db, property: password}}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: other-sa, namespace: secure-ns}
`

// outside is a store as that service account.
const outside = `apiVersion: external-secrets.io/v1
kind: SecretStore
metadata: {name: outside, namespace: secure-ns}
spec:
  provider:
    vault:
      server: ` + bed.VaultAddress + `
      path: kv
      version: v2
      auth: {kubernetes: {mountPath: kubernetes, role: secure-ns-vault, serviceAccountRef: {name: other-sa, audiences: [vault]}}}
`

// explain prints what to try.
func explain(out io.Writer, s state) error {
	_, err := fmt.Fprintf(out, `
A cluster with External Secrets Operator, fenced, with examples/quickstart applied:

  export KUBECONFIG=%s PATH=%s:$PATH

  kubectl -n secure-ns get secretstores,externalsecrets     # ready
  kubectl -n secure-ns get secret db -o jsonpath='{.data.password}' | base64 -d
  kubectl apply --server-side -f %s  # refused: a store as another service account
  kubectl -n secure-ns create token vault-access-sa         # refused, even for you: the fence's admission policy
  kubectl auth can-i create serviceaccounts --subresource=token -A --as system:serviceaccount:external-secrets:external-secrets
  kubectl auth can-i create serviceaccounts/vault-access-sa --subresource=token -n secure-ns --as system:serviceaccount:external-secrets:external-secrets

Logs are in %s. make e2e-down ends it.
`, s.Kubeconfig, filepath.Dir(s.Kubectl), outsideOf(s.Folder), s.Logs)
	return err
}

// down ends the playground, and returns when all of it has ended.
func down(ctx context.Context, out io.Writer) error {
	p, err := newPlayground()
	if err != nil {
		return err
	}
	for asked := false; ; {
		held, err := build.Held(p.file("lock"))
		if err != nil {
			return err
		}
		if !held {
			if asked {
				_, err := fmt.Fprintln(out, "The playground has ended.")
				return err
			}
			return p.tidy(out)
		}
		// As long as the lock is held, the process that the state names lives.
		if s, err := p.state(); err == nil && !asked {
			if err := syscall.Kill(s.PID, syscall.SIGTERM); err != nil {
				return fmt.Errorf("ending the playground: %w", err)
			}
			asked = true
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tidy removes what a playground that was killed has left: the kernel has ended its programs, and nobody its folder.
func (p playground) tidy(out io.Writer) error {
	message := "No playground is up."
	s, err := p.state()
	if err == nil {
		message = "The playground had been killed; what it left behind is removed."
		// The name is a bed's, or it is not ours to remove.
		if ours, _ := filepath.Match(filepath.Join(os.TempDir(), "eso-tenant-e2e-*"), s.Folder); ours {
			err = os.RemoveAll(s.Folder)
		}
		err = errors.Join(err, os.Remove(p.file("state.json")))
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("tidying up after a playground: %w", err)
	}
	_, err = fmt.Fprintln(out, message)
	return err
}
