package inventory

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// benchmarkRead reads a source again and again, and says what an object costs.
func benchmarkRead(b *testing.B, in []byte, keep func(string, string) bool) {
	b.Helper()
	objects := 0
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		set, problems := Read(slices.Values([]Source{{File: "in", Reader: bytes.NewReader(in)}}), keep)
		if problems != nil {
			b.Fatal(problems)
		}
		objects = len(set.Objects)
		for _, n := range set.Skipped {
			objects += n
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(objects), "ns/object")
}

// tenantDocuments are the documents of n tenants, each with names of its own.
func tenantDocuments(b *testing.B, n int) []string {
	b.Helper()
	var all []string
	stream := string(rendered(b)["../../golden/members/stream-eu-1.yaml"])
	for i := range n {
		for document := range strings.SplitSeq(stream, "\n---\n") {
			all = append(all, strings.ReplaceAll(document, "web", fmt.Sprintf("t%06d", i))+"\n")
		}
	}
	return all
}

func jsonDump(b *testing.B, documents []string, indented bool) []byte {
	b.Helper()
	var dump bytes.Buffer
	dump.WriteString(`{"apiVersion":"v1","items":[`)
	for i, document := range documents {
		asJSON, err := yaml.YAMLToJSON([]byte(document))
		if err != nil {
			b.Fatal(err)
		}
		dump.Write(bytes.Repeat([]byte(","), min(i, 1)))
		if indented {
			asJSON = bytes.ReplaceAll(asJSON, []byte(`,"`), []byte(",\n        \""))
		}
		dump.Write(asJSON)
	}
	dump.WriteString(`],"kind":"List"}`)
	return dump.Bytes()
}

func BenchmarkReadOurs(b *testing.B) {
	benchmarkRead(b, []byte(strings.Join(tenantDocuments(b, 100), "---\n")), everything)
}

func BenchmarkReadKustomize(b *testing.B) {
	output := filesLike(b, "testdata/kustomize.yaml")["testdata/kustomize.yaml"]
	benchmarkRead(b, bytes.Repeat(append(output, "---\n"...), 50), everything)
}

func BenchmarkReadList(b *testing.B) {
	var list strings.Builder
	list.WriteString("apiVersion: v1\nitems:\n")
	for _, document := range tenantDocuments(b, 100) {
		list.WriteString("- " + strings.ReplaceAll(strings.TrimSuffix(document, "\n"), "\n", "\n  ") + "\n")
	}
	benchmarkRead(b, []byte(list.String()+"kind: List\n"), everything)
}

// BenchmarkReadSlow is what yaml.v3 takes.
func BenchmarkReadSlow(b *testing.B) {
	benchmarkRead(b, []byte(strings.Join(tenantDocuments(b, 100), "x: &a yyyy # c\n---\n")), everything)
}

func BenchmarkReadJSON(b *testing.B) {
	benchmarkRead(b, jsonDump(b, tenantDocuments(b, 100), true), everything)
}

// BenchmarkReadSkipped is a dump of which nothing is kept.
func BenchmarkReadSkipped(b *testing.B) {
	benchmarkRead(b, jsonDump(b, tenantDocuments(b, 100), true), func(string, string) bool { return false })
}

// BenchmarkReadHuge streams 256 MiB of ConfigMaps.
func BenchmarkReadHuge(b *testing.B) {
	object := `{"apiVersion":"v1","data":{"a":"` + strings.Repeat("some text\\n", 400) + `"},"kind":"ConfigMap","metadata":{"name":"c"}}`
	n := 256 << 20 / len(object)
	b.SetBytes(256 << 20)
	b.ReportAllocs()
	for b.Loop() {
		set, problems := Read(slices.Values([]Source{{File: "in", Reader: dump(n, object)}}), noConfigMaps)
		if set.Skipped["ConfigMap"] != n || problems != nil {
			b.Fatal(problems)
		}
	}
}

func BenchmarkFromTyped(b *testing.B) {
	set, _ := Read(slices.Values([]Source{{File: "in", Reader: io.Reader(strings.NewReader(strings.Join(tenantDocuments(b, 1), "---\n")))}}), everything)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		for _, o := range set.Objects {
			n++
			if _, err := FromTyped(o.APIVersion, o.Kind, o.Namespace, o.Name, o.Fields, problem.Position{}); err != nil {
				b.Fatal(err)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/object")
}
