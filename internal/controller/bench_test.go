package controller

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/schema"
)

const benchTenants = 10_000

func benchFleet() map[string]string {
	names := make([]string, benchTenants)
	for i := range names {
		names[i] = fmt.Sprintf("t%05d", i)
	}
	return fleet(names...)
}

// plain keeps ExternalArtifacts in a map: the client in memory that other tests
// have takes more time than all that is measured. What a real API server costs
// comes on top, in it and in this process.
func plain(e *env) {
	var mu sync.Mutex
	all := map[string]*sourcev1.ExternalArtifact{}
	inner, _ := e.Client.(client.WithWatch)
	keep := func(o client.Object) bool {
		a, ours := o.(*sourcev1.ExternalArtifact)
		if ours {
			mu.Lock()
			defer mu.Unlock()
			a.UID, a.Generation = types.UID(a.Name), 1
			all[a.Name] = a.DeepCopy()
		}
		return ours
	}
	wrapped := interceptor.NewClient(inner, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if keep(o) {
				return nil
			}
			return c.Create(ctx, o, opts...)
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if a, ours := o.(*sourcev1.ExternalArtifact); ours {
				mu.Lock()
				defer mu.Unlock()
				patch, err := p.Data(o)
				if err != nil {
					return err
				}
				return json.Unmarshal(patch, all[a.Name])
			}
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
		List: func(ctx context.Context, c client.WithWatch, l client.ObjectList, opts ...client.ListOption) error {
			list, ours := l.(*sourcev1.ExternalArtifactList)
			if !ours {
				return c.List(ctx, l, opts...)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, a := range all {
				list.Items = append(list.Items, *a)
			}
			return nil
		},
	})
	e.Client, e.Writer = wrapped, clientWriter{wrapped}
}

// BenchmarkRender is what `render` does with ten thousand tenants, files left
// out: what the others are compared with.
func BenchmarkRender(b *testing.B) {
	files := benchFleet()
	for b.Loop() {
		var sources []schema.Source
		for name, data := range files {
			sources = append(sources, schema.Source{File: name, Data: []byte(data)})
		}
		rendering, problems := fn.Build(sources)
		if problems.Errors() > 0 {
			b.Fatal(problems)
		}
		if err := rendering.WriteStream(context.Background(), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFirstPublish publishes ten thousand tenants for the first time.
func BenchmarkFirstPublish(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		e := newEnv(b)
		plain(e)
		e.commit("1", benchFleet())
		b.StartTimer()
		e.settle()
	}
	report(b)
}

// BenchmarkOneTenant publishes a change to one of ten thousand tenants.
func BenchmarkOneTenant(b *testing.B) {
	e := newEnv(b)
	plain(e)
	files := benchFleet()
	e.commit("0", files)
	e.settle()
	n := 0
	for b.Loop() {
		b.StopTimer()
		n++
		files["tenants/t00042.yaml"] = tenantFile("t00042", fmt.Sprintf(", serviceAccount: sa-%d", n))
		e.commit(fmt.Sprint(n), files)
		e.take()
		b.StartTimer()
		e.settle()
	}
	report(b)
}

// report adds what the process holds.
func report(b *testing.B) {
	b.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc>>20), "MiB-held")
}
