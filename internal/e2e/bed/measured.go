package bed

import (
	"context"
	"os"
	"path/filepath"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// Measured is a controller whose use of CPU and memory is asked for: ours, or one of Flux's.
type Measured struct {
	*supervise.Process
	Metrics string // URL
}

// TryStartAlone builds our controller and starts it without what deploy/ has besides, as a cluster administrator, with the
// memory that its Deployment gives it. Kinds of Flux's sources and our own are there after it.
func (b *Bed) TryStartAlone(ctx context.Context, arguments ...string) (Measured, error) {
	flux, err := b.builder.Build(ctx, build.SourceController)
	if err != nil {
		return Measured{}, err
	}
	definitions, err := Parse("{apiVersion: v1, kind: Namespace, metadata: {name: " + FluxNamespace + "}}")
	if err != nil {
		return Measured{}, err
	}
	root, err := build.Root()
	if err != nil {
		return Measured{}, err
	}
	for _, folder := range []string{filepath.Join(flux, "config", "crd", "bases"), filepath.Join(root, "deploy", "crd")} {
		more, err := definitionsIn(folder)
		if err != nil {
			return Measured{}, err
		}
		definitions = append(definitions, more...)
	}
	if err := b.TryApply(ctx, definitions); err != nil {
		return Measured{}, err
	}
	path, err := b.builder.Ours(ctx, controllerName, b.Folder)
	if err != nil {
		return Measured{}, err
	}
	storage := filepath.Join(b.Folder, "eso-tenant-controller.d")
	if err := os.MkdirAll(storage, 0o700); err != nil {
		return Measured{}, err
	}
	var c Measured
	c.Process, err = b.supervisor.StartOnPorts(ctx, 3, func(ports []int) supervise.Program {
		c.Metrics = "http://" + host(ports[0]) + "/metrics"
		return supervise.Program{
			Name: "eso-tenant-controller", Path: path,
			Environment: []string{
				"HOME=" + b.Folder, "TMPDIR=" + b.Folder, "KUBECONFIG=" + filepath.Join(b.Folder, "kubeconfig"),
				"RUNTIME_NAMESPACE=" + FluxNamespace, "GOMEMLIMIT=440MiB",
			},
			Arguments: append([]string{
				"--watch-all-namespaces=false", "--storage-path=" + storage, "--storage-addr=" + host(ports[2]), "--storage-adv-addr=" + host(ports[2]),
				"--metrics-addr=" + host(ports[0]), "--health-addr=" + host(ports[1]),
			}, arguments...),
			Ready: get("http://" + host(ports[1]) + "/readyz"),
		}
	})
	return c, err
}

// ESOTenant is the path of our own binary of this tree.
func (b *Bed) ESOTenant() string { return b.esoTenant }
