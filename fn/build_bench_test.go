package fn

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/schema"
)

// manyTenants is a Platform and n tenants of one namespace with two stores each.
func manyTenants(n int) []schema.Source {
	var text strings.Builder
	for i := range n {
		fmt.Fprintf(&text, "---\napiVersion: eso-tenant.dev/v1alpha1\nkind: Tenant\nmetadata: {name: t%d}\nspec:\n  members: [{kind: Group, name: t%d-devs, role: view}]\n  namespaces:\n    t%d:\n      stores:\n        vault: {provider: vault}\n        hub: {provider: hub}\n", i, i, i)
	}
	return []schema.Source{{File: "platform.yaml", Data: []byte(fuzzPlatform)}, {File: "tenants.yaml", Data: []byte(text.String())}}
}

func BenchmarkWriteStream1000(b *testing.B) {
	rendering, problems := Build(manyTenants(1000))
	if rendering == nil {
		b.Fatal(problems)
	}
	var bytes countingWriter
	for b.Loop() {
		bytes = 0
		if err := rendering.WriteStream(b.Context(), &bytes); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(int64(bytes))
}

func BenchmarkBuild1000(b *testing.B) {
	sources := manyTenants(1000)
	for b.Loop() {
		if rendering, problems := Build(sources); rendering == nil {
			b.Fatal(problems)
		}
	}
}

type countingWriter int64

var _ io.Writer = (*countingWriter)(nil)

func (w *countingWriter) Write(p []byte) (int, error) {
	*w += countingWriter(len(p))
	return len(p), nil
}
