package bed

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// beds are those of this process, so that all end with it.
var beds struct {
	mutex sync.Mutex
	all   []*Bed
	log   io.Writer

	once   sync.Once
	shared *Bed
	err    error
}

// Main runs a package's tests, and ends all beds after them, whatever ends the tests: a signal, or the end of `go test`.
// A package that uses a bed calls it in TestMain. The log is told what is built, and where logs are kept.
func Main(m *testing.M, log io.Writer) {
	beds.log = log
	cancel := supervise.OnEnd(func(reason error) {
		fmt.Fprintln(log, "stopping the test bed:", reason)
		end(true)
		os.Exit(1) //nolint:forbidigo // the tests go on in other goroutines
	})
	defer cancel()
	end(m.Run() != 0)
}

// end stops all beds, and removes their folders unless they are worth keeping.
func end(keep bool) {
	beds.mutex.Lock()
	defer beds.mutex.Unlock()
	for _, b := range beds.all {
		b.Stop()
		if keep {
			fmt.Fprintln(beds.log, "logs of the test bed are in", b.Logs())
		} else if err := b.Remove(); err != nil {
			fmt.Fprintln(beds.log, "removing the test bed's folder:", err)
		}
	}
}

// Start returns the bed that a process's tests share. The first call starts it.
func Start(t *testing.T) *Bed {
	t.Helper()
	beds.once.Do(func() { beds.shared, beds.err = register(Options{}) })
	if beds.err != nil {
		t.Fatal(beds.err)
	}
	beds.shared.alive(t)
	return beds.shared
}

// Own starts a bed for one test or benchmark, which may change what is the whole cluster's. It is stopped after the test.
func Own(t testing.TB, options Options) *Bed {
	t.Helper()
	b, err := register(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	return b
}

// register makes a bed, notes it as one that has to be ended, and starts it.
func register(options Options) (*Bed, error) {
	options.Log = beds.log
	ctx := context.Background()
	b, err := prepare(ctx, options.Log)
	if err != nil {
		return nil, err
	}
	beds.mutex.Lock()
	beds.all = append(beds.all, b)
	beds.mutex.Unlock()
	if err := b.start(ctx, options); err != nil {
		return nil, err
	}
	return b, nil
}

// alive fails a test if a program of the bed has ended.
func (b *Bed) alive(t *testing.T) {
	t.Helper()
	if b.Context().Err() != nil {
		t.Fatal(context.Cause(b.Context()))
	}
}

// check fails a test at an error, and says if the reason is that a program of the bed has ended.
func (b *Bed) check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		b.alive(t)
		t.Fatal(err)
	}
}

// Render returns what our binary renders of specifications, each a text with one or more documents.
func (b *Bed) Render(t *testing.T, specifications ...string) Objects {
	t.Helper()
	objects, err := b.TryRender(t.Context(), specifications...)
	b.check(t, err)
	return objects
}

// Apply applies objects, as TryApply does.
func (b *Bed) Apply(t *testing.T, objects Objects) {
	t.Helper()
	b.check(t, b.TryApply(t.Context(), objects))
}

// ApplyYAML applies objects of a text, and returns them.
func (b *Bed) ApplyYAML(t *testing.T, stream string) Objects {
	t.Helper()
	objects, err := Parse(stream)
	b.check(t, err)
	b.Apply(t, objects)
	return objects
}

// Delete deletes objects, as TryDelete does.
func (b *Bed) Delete(t *testing.T, objects Objects) {
	t.Helper()
	b.check(t, b.TryDelete(t.Context(), objects))
}

// Furnish gives every store something to read, as TryFurnish does, and applies the ExternalSecrets that read it.
func (b *Bed) Furnish(t *testing.T, rendered Objects) Objects {
	t.Helper()
	reading, err := b.TryFurnish(t.Context(), rendered)
	b.check(t, err)
	b.Apply(t, reading)
	return reading
}

// WaitSecret waits for a Secret's key.
func (b *Bed) WaitSecret(t *testing.T, namespace, name, key, want string) {
	t.Helper()
	b.Eventually(t, func(ctx context.Context) error {
		secret, err := b.Client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if got := string(secret.Data[key]); got != want {
			return fmt.Errorf("%s of Secret %s/%s is %q, want %q", key, namespace, name, got, want)
		}
		return nil
	})
}

// WaitReady waits until the condition Ready of all objects that have one is True: those of ESO's and of Flux's kinds.
func (b *Bed) WaitReady(t *testing.T, objects Objects) {
	t.Helper()
	const within = time.Minute
	waited := 0
	for _, object := range objects.Of("SecretStore", "ClusterSecretStore", "ExternalSecret", "PushSecret",
		"Kustomization", "GitRepository", "OCIRepository", "ExternalArtifact", "TenantGenerator") {
		b.check(t, b.eventually(t.Context(), within, func(ctx context.Context) error {
			return b.condition(ctx, object, "Ready")
		}))
		waited++
	}
	if waited == 0 {
		t.Fatal("nothing among the objects has a condition Ready to wait for")
	}
}

// Eventually waits until an answer is nil, for 30 seconds, and fails with the last answer else.
func (b *Bed) Eventually(t *testing.T, ask func(context.Context) error) {
	t.Helper()
	b.check(t, b.eventually(t.Context(), 30*time.Second, ask))
}

// Condition returns an object's condition, with an empty status if it has none yet.
func (b *Bed) Condition(t *testing.T, object *unstructured.Unstructured, name string) (status, reason, message string) {
	t.Helper()
	got, err := b.Get(t.Context(), object)
	b.check(t, err)
	_, condition := conditionOf(got, name)
	return string(condition.Status), condition.Reason, condition.Message
}

// WaitSays waits until an object has a condition of a status with a text in its reason or message.
func (b *Bed) WaitSays(t *testing.T, object *unstructured.Unstructured, name, status, text string) {
	t.Helper()
	b.Eventually(t, func(ctx context.Context) error {
		got, err := b.Get(ctx, object)
		if err != nil {
			return err
		}
		_, condition := conditionOf(got, name)
		said := condition.Reason + ": " + condition.Message
		if string(condition.Status) != status || !strings.Contains(said, text) {
			return fmt.Errorf("%s %s/%s is %s=%q, %s; want %s with %q", object.GetKind(), object.GetNamespace(), object.GetName(),
				name, condition.Status, said, status, text)
		}
		return nil
	})
}

// MintAs asks for a service account's token as another service account. What goes wrong is the answer.
func (b *Bed) MintAs(t *testing.T, minter, minterNamespace, namespace, serviceAccount string, audiences []string, seconds int64) (string, error) {
	t.Helper()
	as, err := b.AsServiceAccount(minterNamespace, minter)
	b.check(t, err)
	return as.Mint(t.Context(), namespace, serviceAccount, audiences, seconds)
}

// AuditEvents returns the requests so far that a filter takes.
func (b *Bed) AuditEvents(t *testing.T, take func(AuditEvent) bool) []AuditEvent {
	t.Helper()
	events, err := b.TryAuditEvents(take)
	b.check(t, err)
	return events
}

// StartFlux starts Flux's controllers, unless they run.
func (b *Bed) StartFlux(t *testing.T) {
	t.Helper()
	b.check(t, b.TryStartFlux(t.Context()))
}

// RestartControllerManager starts kube-controller-manager anew. Without accounts, its controllers have no service accounts
// of their own and all act as one user.
func (b *Bed) RestartControllerManager(t *testing.T, accounts bool) {
	t.Helper()
	b.check(t, b.restartControllerManager(t.Context(), accounts))
}

// Reconcile has Flux reconcile objects now, as TryReconcile does.
func (b *Bed) Reconcile(t *testing.T, objects Objects) {
	t.Helper()
	b.check(t, b.TryReconcile(t.Context(), objects))
}

// Restart starts ESO anew with arguments in place of those it had.
func (e *ESO) Restart(t *testing.T, arguments ...string) {
	t.Helper()
	e.bed.check(t, e.restart(t.Context(), arguments))
}

// Install is what an upgrade of ESO's Helm release with other values does.
func (e *ESO) Install(t *testing.T, values map[string]any) {
	t.Helper()
	e.bed.check(t, e.install(t.Context(), values))
}

// Upgrade is Install with spec.postRenderers of a HelmRelease, as YAML.
func (e *ESO) Upgrade(t *testing.T, values map[string]any, postRenderers string) {
	t.Helper()
	e.bed.check(t, e.upgrade(t.Context(), values, postRenderers))
}

// RunKubectl runs kubectl as the cluster's administrator, and returns its standard output.
func (b *Bed) RunKubectl(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := b.kubectl(t.Context(), arguments...)
	b.check(t, err)
	return out
}

// Log returns all that ESO has logged.
func (e *ESO) Log(t *testing.T) string {
	t.Helper()
	content, err := os.ReadFile(e.process.Log)
	e.bed.check(t, err)
	return string(content)
}

// Configure gives a service account roles and a policy in Vault, as TryConfigure does.
func (v *Vault) Configure(t *testing.T, role, namespace, serviceAccount, path string) {
	t.Helper()
	if err := v.TryConfigure(t.Context(), role, namespace, serviceAccount, path); err != nil {
		t.Fatal(err)
	}
}

// Secret writes a secret of kv/.
func (v *Vault) Secret(t *testing.T, path string, data map[string]string) {
	t.Helper()
	if err := v.TrySecret(t.Context(), path, data); err != nil {
		t.Fatal(err)
	}
}

// Commit makes a folder's content the next commit of a repository, and returns the commit.
func (g *Git) Commit(t *testing.T, name, content, message string) string {
	t.Helper()
	commit, err := g.TryCommit(t.Context(), name, content, message)
	if err != nil {
		t.Fatal(err)
	}
	return commit
}

// Push pushes a folder as Flux's own artifact, and returns its digest.
func (r *Registry) Push(t *testing.T, repository, tag, folder string) string {
	t.Helper()
	digest, err := r.TryPush(repository, tag, folder)
	if err != nil {
		t.Fatal(err)
	}
	return digest
}
