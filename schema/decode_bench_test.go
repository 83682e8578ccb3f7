package schema

import (
	"fmt"
	"strings"
	"testing"
)

// benchTenants are n tenants of two namespaces and three stores, as many documents.
func benchTenants(n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = strings.ReplaceAll(tenantText(`  members: [{kind: Group, name: web-devs, role: view}]
  namespaces:
    web-prod:
      labels: {cost-centre: "4711"}
      stores:
        vault: {provider: vault, identity: {role: web-prod}}
        aws: {provider: aws-eu, identity: {roleARN: "arn:aws:iam::123456789012:role/web-prod"}}
    web-test:
      stores:
        vault: {provider: vault}
`), "web", fmt.Sprintf("t%04d", i))
	}
	return texts
}

func benchDecode(b *testing.B, sources []Source, tenants int) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		spec, problems, _ := Decode(sources)
		if len(problems) > 0 || len(spec.Clusters[0].Tenants) != tenants {
			b.Fatal(written(problems))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*tenants), "µs/tenant")
}

func BenchmarkDecode(b *testing.B) {
	const tenants = 1_000
	texts := append([]string{platformText(b)}, benchTenants(tenants)...)
	b.Run("stream", func(b *testing.B) {
		benchDecode(b, []Source{{File: "all.yaml", Data: []byte(strings.Join(texts, "---\n"))}}, tenants)
	})
	b.Run("files", func(b *testing.B) {
		var sources []Source
		for i, text := range texts {
			sources = append(sources, Source{File: fmt.Sprintf("%d.yaml", i), Data: []byte(text)})
		}
		benchDecode(b, sources, tenants)
	})
}

// BenchmarkValidateTenant is what reading one tenant and asking CUE takes: the hot spot of Decode.
func BenchmarkValidateTenant(b *testing.B) {
	for name, text := range map[string]string{"right": benchTenants(1)[0], "wrong": strings.Replace(benchTenants(1)[0], "members", "membrs", 1)} {
		b.Run(name, func(b *testing.B) {
			dec := &decoder{}
			b.ReportAllocs()
			for b.Loop() {
				dec.problems = nil
				for _, doc := range dec.documents(Source{File: "t.yaml", Data: []byte(text)}) { // anew, since what was found is marked
					dec.validate(doc, "#Tenant", "", doc.root)
				}
			}
		})
	}
}
