package schema

import (
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

const memoryPlatform = `apiVersion: eso-tenant.dev/v1alpha1
kind: Platform
metadata: {name: eu-1}
spec:
  externalSecrets: {version: v2.9.0}
  enforcement: enforce
  providers:
    vault:
      audiences: [vault]
      vault: {server: https://vault.example.com:8200, path: kv, version: v2, auth: {kubernetes: {mountPath: kubernetes}}}
`

const memoryTenant = `apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: web}
spec:
  namespaces:
    web-prod:
      stores:
        vault: {provider: vault}
`

// What CUE refuses, it refuses in every run, and says the same of it; what was
// accepted is not asked again, and forgotten when it goes.
func TestMemory(t *testing.T) {
	platform := Source{File: "platform.yaml", Data: []byte(memoryPlatform)}
	right := Source{File: "web.yaml", Data: []byte(memoryTenant)}
	wrong := Source{File: "web.yaml", Data: []byte(strings.Replace(memoryTenant, "stores:", "storse:", 1))}
	m := &Memory{}
	for i, run := range []struct {
		tenant Source
		kept   bool
	}{{right, true}, {right, true}, {wrong, false}, {wrong, false}, {right, true}} {
		_, want, _ := Decode([]Source{platform, run.tenant})
		_, got, _ := m.Decode([]Source{platform, run.tenant})
		if !slices.EqualFunc(want, got, func(a, b problem.Problem) bool { return a.Message == b.Message && a.Position == b.Position }) {
			t.Errorf("run %d: with a memory\n%v\nwithout\n%v", i, got, want)
		}
		root := (&decoder{}).documents(run.tenant)[0].root
		if _, kept := m.last[keyOf("#Tenant", root)]; kept != run.kept {
			t.Errorf("run %d: the tenant is kept: %t", i, kept)
		}
	}
	calls := m.used([]Source{platform, right})
	if calls != 0 {
		t.Errorf("CUE was asked %d times about what it knew", calls)
	}
}

// used tells how often a run asks CUE.
func (m *Memory) used(sources []Source) int {
	dec := &decoder{names: map[string]problem.Position{}, cue: maxCUE}
	dec.validator.memory = m
	dec.decode(sources)
	return dec.validator.used
}

// Two values that CUE tells apart have two keys.
func TestMemoryKeys(t *testing.T) {
	seen := map[memoryKey]string{}
	for _, text := range []string{"a: b", "a: [b]", "a: {b: }", "ab: ", "a: 1", "a: '1'", "a: true", "a: 'true'", "a: [b, c]", "a: [[b], c]", "a: [[b, c]]", "{a: b, c: d}", "a: {b: c, d: e}", "a: {b: {c: d}}"} {
		root := (&decoder{}).documents(Source{File: "x.yaml", Data: []byte(text)})[0].root
		for _, path := range []string{"#A", "#AB"} {
			key := keyOf(path, root)
			if other, twice := seen[key]; twice {
				t.Errorf("%s and %s of %s have one key", text, other, path)
			}
			seen[key] = text + " as " + path
		}
	}
}
