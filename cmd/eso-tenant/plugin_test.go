package main

import (
	"slices"
	"testing"
)

func TestInvoked(t *testing.T) {
	for file, want := range map[string][]string{
		"eso-tenant":                            {"eso-tenant", "vet"},
		"/usr/bin/eso-tenant.exe":               {"eso-tenant", "vet"},
		"anything":                              {"eso-tenant", "vet"},
		"/home/a/.fluxcd/plugins/" + fluxPlugin: {"flux eso-tenant", "vet"},
		"./" + kubectlPlugin + ".exe":           {"kubectl eso-tenant", "vet"},
		kubectlComplete:                         {"kubectl eso-tenant", "__complete", "vet"},
	} {
		program, args := invoked(file, []string{"vet"})
		if got := append([]string{program}, args...); !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", file, got, want)
		}
	}
}
