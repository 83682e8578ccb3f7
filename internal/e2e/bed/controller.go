package bed

import (
	"context"
	"os"
	"path/filepath"

	"github.com/eso-tenant/eso-tenant/internal/e2e/build"
	"github.com/eso-tenant/eso-tenant/internal/e2e/supervise"
)

// Controller is a controller that runs: ours, or one of Flux's.
type Controller struct {
	*supervise.Process
	Metrics string // URL
}

// TryStartController builds our controller and starts it, as a cluster administrator, with the memory that its Deployment
// gives it. Kinds of Flux's sources and our own are there after it.
func (b *Bed) TryStartController(ctx context.Context, arguments ...string) (Controller, error) {
	flux, err := b.builder.Build(ctx, build.SourceController)
	if err != nil {
		return Controller{}, err
	}
	definitions, err := Parse("{apiVersion: v1, kind: Namespace, metadata: {name: " + FluxNamespace + "}}")
	if err != nil {
		return Controller{}, err
	}
	root, err := build.Root()
	if err != nil {
		return Controller{}, err
	}
	for _, folder := range []string{filepath.Join(flux, "config", "crd", "bases"), filepath.Join(root, "deploy", "crd")} {
		more, err := parseFiles(folder, "CustomResourceDefinition")
		if err != nil {
			return Controller{}, err
		}
		definitions = append(definitions, more...)
	}
	if err := b.TryApply(ctx, definitions); err != nil {
		return Controller{}, err
	}
	path, err := b.builder.Controller(ctx, b.Folder)
	if err != nil {
		return Controller{}, err
	}
	storage := filepath.Join(b.Folder, "eso-tenant-controller.d")
	if err := os.MkdirAll(storage, 0o700); err != nil {
		return Controller{}, err
	}
	var c Controller
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
