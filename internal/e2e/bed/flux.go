package bed

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// FluxNamespace is where Flux's own objects are.
const FluxNamespace = "flux-system"

// TryStartFlux builds and starts Flux's source-controller and kustomize-controller, as cluster administrators, unless
// they run.
func (b *Bed) TryStartFlux(ctx context.Context) error {
	if b.flux {
		return nil
	}
	namespace, err := Parse("{apiVersion: v1, kind: Namespace, metadata: {name: " + FluxNamespace + "}}")
	if err != nil {
		return err
	}
	definitions := namespace
	for _, component := range []build.Component{build.SourceController, build.KustomizeController} {
		if b.built[component.Name], err = b.builder.Build(ctx, component); err != nil {
			return err
		}
		more, err := definitionsIn(filepath.Join(b.built[component.Name], "config", "crd", "bases"))
		if err != nil {
			return err
		}
		definitions = append(definitions, more...)
	}
	if err := b.TryApply(ctx, definitions); err != nil {
		return err
	}
	storage := filepath.Join(b.Folder, "source-controller")
	if err := os.MkdirAll(storage, 0o700); err != nil {
		return err
	}
	if err := b.startFlux(ctx, build.SourceController, 3, func(ports []int) []string {
		return []string{"--storage-path=" + storage, "--storage-addr=" + host(ports[2]), "--storage-adv-addr=" + host(ports[2])}
	}); err != nil {
		return err
	}
	err = b.startFlux(ctx, build.KustomizeController, 2, func([]int) []string {
		// ExternalArtifacts are behind a gate. What waits for another Kustomization looks again after 30 seconds else.
		return []string{"--feature-gates=ExternalArtifact=true", "--requeue-dependency=2s"}
	})
	b.flux = err == nil
	return err
}

func (b *Bed) startFlux(ctx context.Context, component build.Component, ports int, more func(ports []int) []string) error {
	var metrics string
	process, err := b.supervisor.StartOnPorts(ctx, ports, func(ports []int) supervise.Program {
		metrics = "http://" + host(ports[0]) + "/metrics"
		return supervise.Program{
			Name: component.Name, Path: b.binary(component, component.Name),
			Environment: []string{
				"HOME=" + b.Folder, "TMPDIR=" + b.Folder, "PATH=" + os.Getenv("PATH"),
				"KUBECONFIG=" + filepath.Join(b.Folder, "kubeconfig"), "RUNTIME_NAMESPACE=" + FluxNamespace,
				"HTTP_PROXY=" + b.proxy.url(), // an artifact's address may be a Service's
			},
			Arguments: append(more(ports), "--metrics-addr="+host(ports[0]), "--health-addr="+host(ports[1]), "--events-addr="),
			Ready:     get("http://" + host(ports[1]) + "/readyz"),
		}
	})
	if err == nil {
		b.fluxControllers[component.Name] = Measured{process, metrics}
	}
	return err
}

// FluxController is one of Flux's controllers, which runs.
func (b *Bed) FluxController(component build.Component) Measured {
	return b.fluxControllers[component.Name]
}

// Reconciliations returns how often kustomize-controller has come to the end of a Kustomization, by namespace/name.
func (b *Bed) Reconciliations() (map[string]int, error) {
	file, err := os.Open(filepath.Join(b.Logs(), build.KustomizeController.Name+".log"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	counts := map[string]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var line struct {
			Msg           string `json:"msg"`
			Kustomization struct{ Namespace, Name string }
		}
		// What is no JSON is not about a Kustomization.
		if json.Unmarshal(lines.Bytes(), &line) == nil && strings.HasPrefix(line.Msg, "Reconciliation finished") {
			counts[line.Kustomization.Namespace+"/"+line.Kustomization.Name]++
		}
	}
	return counts, lines.Err()
}

// TryReconcile asks Flux to reconcile objects now, as `flux reconcile` does, and waits until it has.
func (b *Bed) TryReconcile(ctx context.Context, objects Objects) error {
	token := time.Now().Format(time.RFC3339Nano)
	for _, object := range objects {
		patch := fmt.Sprintf(`{"metadata": {"annotations": {"reconcile.fluxcd.io/requestedAt": %q}}}`, token)
		if err := b.PatchAs(ctx, object, "flux", patch); err != nil {
			return err
		}
	}
	for _, object := range objects {
		err := b.eventually(ctx, time.Minute, func(ctx context.Context) error {
			got, err := b.Get(ctx, object)
			if err != nil {
				return err
			}
			handled, _, err := unstructured.NestedString(got.Object, "status", "lastHandledReconcileAt")
			if err == nil && handled != token {
				err = fmt.Errorf("%s %s/%s has not reconciled", got.GetKind(), got.GetNamespace(), got.GetName())
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
