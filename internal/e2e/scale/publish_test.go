package scale

import (
	"io"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

const manyTenants = 10_000

// BenchmarkPublish measures our controller's process beside that of `render`, on the same ten thousand tenants and in one
// run, against a real API server. It runs once, whatever -benchtime says otherwise, on a bed of its own.
func BenchmarkPublish(b *testing.B) {
	for range b.N {
		publish(b)
	}
}

func publish(b *testing.B) {
	b.Helper()
	on := start(b, bed.Options{Bare: true})
	files := fleet(manyTenants)
	folder := b.TempDir()
	write(b, folder, files)
	controller, err := on.TryStartAlone(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	source := newSource(b, on, "fleet")
	source.commit("0", map[string]string{"README.md": "nothing yet"})
	writes := func() float64 { return metric(b, controller.Metrics, "eso_tenant_artifact_writes_total") }
	requests := func() float64 { return metric(b, controller.Metrics, "rest_client_requests_total") }

	rendered, filed := render(b, on, folder), render(b, on, folder, "-o", filepath.Join(b.TempDir(), "rendered"))
	begin, asked := idle(b, controller.ID), requests()
	source.commit("1", files)
	generator := apply(b, on, `
apiVersion: flux.eso-tenant.dev/v1alpha1
kind: TenantGenerator
metadata: {name: fleet, namespace: flux-system}
spec: {sourceRef: {kind: GitRepository, name: fleet}, interval: 1h}
`)[0]
	at := time.Now()
	published(b, on, generator, "1")
	took := time.Since(at)
	first := idle(b, controller.ID) - begin
	asked, written := requests()-asked, writes()
	rendered = min(rendered, render(b, on, folder))

	change := time.Duration(0)
	for _, account := range []string{"one", "two"} {
		files["tenants/t00042.yaml"] = tenant("t00042", ", serviceAccount: "+account)
		begin = idle(b, controller.ID)
		source.commit(account, files)
		published(b, on, generator, account)
		used := idle(b, controller.ID) - begin
		if change == 0 || used < change {
			change = used
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(rendered.Seconds(), "s-render")
	b.ReportMetric(filed.Seconds(), "s-render-o")
	b.ReportMetric(first.Seconds(), "s-first")
	b.ReportMetric(first.Seconds()/rendered.Seconds(), "first/render")
	b.ReportMetric(first.Seconds()/filed.Seconds(), "first/render-o")
	b.ReportMetric(change.Seconds(), "s-change")
	b.ReportMetric(change.Seconds()/first.Seconds(), "change/first")
	b.ReportMetric(took.Seconds(), "s-wall-first")
	b.ReportMetric(peak(b, controller.ID), "MiB-peak")
	b.ReportMetric(asked, "requests-first")
	b.ReportMetric(written, "writes-first")
	b.ReportMetric(writes()-written, "writes-2-changes")
}

// start starts a bed that ends with the benchmark.
func start(b *testing.B, options bed.Options) *bed.Bed {
	b.Helper()
	on, err := bed.New(b.Context(), options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		on.Stop()
		if b.Failed() {
			b.Log("logs are in", on.Logs())
		} else if err := on.Remove(); err != nil {
			b.Error(err)
		}
	})
	return on
}

// render is what the process of `render` uses, the less of two.
func render(b *testing.B, on *bed.Bed, folder string, flags ...string) time.Duration {
	b.Helper()
	least := time.Duration(0)
	for range 2 {
		command := exec.CommandContext(b.Context(), on.ESOTenant(), append([]string{"render", folder}, flags...)...)
		command.Env, command.Stdout = []string{"HOME=" + on.Folder}, io.Discard
		if err := command.Run(); err != nil {
			b.Fatal(err)
		}
		used := command.ProcessState.UserTime() + command.ProcessState.SystemTime()
		if least == 0 || used < least {
			least = used
		}
	}
	return least
}
