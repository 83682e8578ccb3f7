package bed

import (
	"context"
	"os"
	"path/filepath"

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
		more, err := parseFiles(filepath.Join(b.built[component.Name], "config", "crd", "bases"), "CustomResourceDefinition")
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
	err = b.startFlux(ctx, build.KustomizeController, 2, func([]int) []string { return nil })
	b.flux = err == nil
	return err
}

func (b *Bed) startFlux(ctx context.Context, component build.Component, ports int, more func(ports []int) []string) error {
	_, err := b.supervisor.StartOnPorts(ctx, ports, func(ports []int) supervise.Program {
		return supervise.Program{
			Name: component.Name, Path: b.binary(component, component.Name),
			Environment: []string{
				"HOME=" + b.Folder, "TMPDIR=" + b.Folder, "PATH=" + os.Getenv("PATH"),
				"KUBECONFIG=" + filepath.Join(b.Folder, "kubeconfig"), "RUNTIME_NAMESPACE=" + FluxNamespace,
			},
			Arguments: append(more(ports), "--metrics-addr="+host(ports[0]), "--health-addr="+host(ports[1]), "--events-addr="),
			Ready:     get("http://" + host(ports[1]) + "/readyz"),
		}
	})
	return err
}
