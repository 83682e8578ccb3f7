// Package bed runs a cluster that is real but for its nodes: etcd, kube-apiserver, kube-controller-manager, External
// Secrets Operator (ESO), Vault and, when asked for, Flux. All of it listens on 127.0.0.1 only, keeps its state in a
// temporary folder, and ends with the process that started it.
//
// A test asks for the bed that a package's tests share with Start, and keeps to namespaces of its own. A test that
// changes what is the whole cluster's makes its own with New.
package bed

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// Options are what beds may differ in.
type Options struct {
	// Platform is the specification that ESO is installed for. Default: the bed's own, Platform().
	Platform string
	// Stock installs ESO as its chart does without values of ours, with the right to mint any service account's token.
	// Platform is then not applied.
	Stock bool
	// Bare leaves it at etcd and kube-apiserver: a cluster where nothing happens but what is asked for, and nobody collects
	// garbage. Platform is then not applied.
	Bare bool
	// Log is told what is built. Default: nobody is.
	Log io.Writer
}

// Bed is a running test bed.
type Bed struct {
	*API // as a cluster administrator

	ESO      *ESO
	Vault    *Vault
	Git      *Git
	Registry *Registry

	// Folder holds the bed's state and logs.
	Folder string
	// CA is the certificate authority of all of the bed's servers, PEM.
	CA []byte

	built      map[string]string // folders of what was built, by component
	esoTenant  string            // our binary, of this tree
	supervisor *supervise.Supervisor
	pki        *pki
	admin      string // the administrator's token
	manager    string // kube-controller-manager's token
	kubelet    string // the token of the bed's only node, which nothing runs on
	proxy      *proxy
	closers    []func()
	flux       bool
	bare       bool
	builder    *build.Builder

	apiserver       *supervise.Process
	fluxControllers map[string]Measured // by component

	controllers *supervise.Process // kube-controller-manager
}

// New builds what is not built yet, and starts a bed.
func New(ctx context.Context, options Options) (*Bed, error) {
	if options.Log == nil {
		options.Log = io.Discard
	}
	b, err := prepare(ctx, options.Log)
	if err != nil {
		return nil, err
	}
	if err := b.start(ctx, options); err != nil {
		return nil, err
	}
	return b, nil
}

// start starts a bed that was prepared. If it fails, nothing of it runs.
func (b *Bed) start(ctx context.Context, options Options) error {
	if options.Platform == "" {
		options.Platform = Platform()
	}
	if err := b.up(ctx, options); err != nil {
		b.Stop()
		return fmt.Errorf("starting the test bed: %w\nlogs are in %s", err, b.Logs())
	}
	return nil
}

// prepare builds what is not built yet, and makes a bed that has not started.
func prepare(ctx context.Context, log io.Writer) (*Bed, error) {
	builder, err := build.NewBuilder(log)
	if err != nil {
		return nil, err
	}
	b := &Bed{built: map[string]string{}, builder: builder, fluxControllers: map[string]Measured{}}
	for _, component := range build.Core() {
		if b.built[component.Name], err = builder.Build(ctx, component); err != nil {
			return nil, err
		}
	}
	const needed = 512 << 20 // etcd, logs and the audit log of a long run
	if err := build.Room(os.TempDir(), needed); err != nil {
		return nil, fmt.Errorf("making the test bed's folder: %w", err)
	}
	if b.Folder, err = os.MkdirTemp("", "eso-tenant-e2e-"); err != nil {
		return nil, err
	}
	if b.esoTenant, err = builder.Ours(ctx, "eso-tenant", b.Folder); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(b.Logs(), 0o700); err != nil {
		return nil, err
	}
	b.supervisor = supervise.New(b.Logs())
	b.pki, err = newPKI(filepath.Join(b.Folder, "pki"))
	if err != nil {
		return nil, err
	}
	b.CA = b.pki.caPEM
	return b, nil
}

// up starts everything. ESO comes last, as its installation needs the API server.
func (b *Bed) up(ctx context.Context, options Options) error {
	var err error
	if b.proxy, err = newProxy(); err != nil {
		return err
	}
	b.closers = append(b.closers, b.proxy.close)
	b.bare = options.Bare
	if err := b.startControlPlane(ctx); err != nil || options.Bare {
		return err
	}
	group, within := errgroup.WithContext(ctx)
	group.Go(func() error { return b.startControllerManager(within, true) })
	group.Go(func() error { return b.startVault(within) })
	group.Go(func() error { return b.startESO(within, options) })
	if err := group.Wait(); err != nil {
		return err
	}
	if b.Git, err = newGit(filepath.Join(b.Folder, "git")); err != nil {
		return err
	}
	b.closers = append(b.closers, b.Git.close)
	if b.Registry, err = newRegistry(); err != nil {
		return err
	}
	b.closers = append(b.closers, b.Registry.close)
	return nil
}

// Logs returns the folder with the programs' logs and the audit log.
func (b *Bed) Logs() string { return filepath.Join(b.Folder, "logs") }

// Context ends when a program of the bed ends by itself; its cause says which.
func (b *Bed) Context() context.Context { return b.supervisor.Context() }

// Stop ends all programs and servers. The folder stays; Remove removes it.
func (b *Bed) Stop() {
	b.supervisor.Stop()
	for _, closeServer := range b.closers {
		closeServer()
	}
}

// Remove removes the bed's folder.
func (b *Bed) Remove() error { return os.RemoveAll(b.Folder) }

// eventually asks until the answer is nil, and says the last answer when time is up, or at once what program died. A
// question that time ran out for is no answer: the one before it is said, too.
func (b *Bed) eventually(ctx context.Context, within time.Duration, ask func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	for {
		err := ask(limited)
		if err == nil {
			return nil
		}
		if limited.Err() == nil {
			last = err
		}
		select {
		case <-b.Context().Done():
			return context.Cause(b.Context())
		case <-limited.Done():
			return errors.Join(late(within, last, err), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// late says what was answered last while there was time, and what came of the question that was open when there was none
// left.
func late(within time.Duration, last, open error) error {
	if last == nil || last.Error() == open.Error() {
		return fmt.Errorf("not within %s: %w", within, open)
	}
	return fmt.Errorf("not within %s: %w\nthe last question: %w", within, last, open)
}

// environment is what programs get. With the proxy, names as in a cluster lead to the bed's servers.
func (b *Bed) environment(more ...string) []string {
	return append([]string{
		"HOME=" + b.Folder,
		"TMPDIR=" + b.Folder,
		"PATH=" + os.Getenv("PATH"),
		"SSL_CERT_FILE=" + filepath.Join(b.pki.folder, "ca.crt"),
		"HTTPS_PROXY=" + b.proxy.url(),
		"NO_PROXY=127.0.0.1",
	}, more...)
}

// host is an address as a host and a port.
func host(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// indent puts a text below a key of YAML.
func indent(text, by string) string {
	return by + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n"+by)
}
