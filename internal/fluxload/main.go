// Command fluxload calculates what a fleet asks of Flux's kustomize-controller: how busy its workers are, what the API
// server gets, and how long a change takes to reach all tenants. It simulates the controller's queue, with what one
// reconciliation was measured to cost on the test bed (internal/e2e/scale), and prints the tables of docs/scale.md:
//
//	go run ./internal/fluxload
//
// It is the same each time, to the byte.
package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

func main() {
	if err := write(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "fluxload:", err)
		os.Exit(3)
	}
}

// What BenchmarkFlux of internal/e2e/scale gave, on 2026-11-24, for tenants with one namespace and one store: CPU of
// kustomize-controller's process and its requests, for each reconciliation. That machine was too busy to take its times, so
// how long a worker has a Kustomization is calculated: its CPU, and latency for each request, one after another.
const (
	latency        = 5 * time.Millisecond // of a request to an API server nearby
	firstCPU       = 140 * time.Millisecond
	unchangedCPU   = 132 * time.Millisecond
	changedCPU     = 143 * time.Millisecond
	firstAsked     = 53
	unchangedAsked = 40
	changedAsked   = 47
	// Read in its source (kustomization_controller.go): four notes of progress, the end, and a look at the platform. They
	// go by the client that --kube-api-qps limits, the others by one that is made anew for each reconciliation.
	limited = 6
	// The store is not Ready yet at the first look, and the next is 5 s later (checkHealth).
	healthLook = 5 * time.Second
)

func taking(cpu time.Duration, requests int, more time.Duration) cost {
	return cost{wall: cpu + time.Duration(requests)*latency + more, cpu: cpu, limited: limited, requests: float64(requests)}
}

// measured is a fleet without its size.
var measured = fleet{
	unchanged: taking(unchangedCPU, unchangedAsked, 0),
	changed:   taking(changedCPU, changedAsked, 0),
	// A look at the platform, and the end.
	waiting: cost{wall: 15 * time.Millisecond, cpu: 5 * time.Millisecond, limited: 2, requests: 3},
	publish: 150, // BenchmarkPublish: ten thousand in 68 s
}

// first is what a tenant takes the first time.
var first = taking(firstCPU, firstAsked, healthLook)

// variant are settings with a name for the tables.
type variant struct {
	name string
	settings
	interval time.Duration
}

// variants are what kustomize-controller starts with (main.go and config/manager of 1.9.6), with an interval that is
// usual and with ours, and what we say for many tenants.
var variants = []variant{
	{"default, every 10 minutes", settings{concurrent: 4, qps: 50, burst: 300, requeueDependency: 30 * time.Second, cores: 1}, 10 * time.Minute},
	{"default, every hour", settings{concurrent: 4, qps: 50, burst: 300, requeueDependency: 30 * time.Second, cores: 1}, time.Hour},
	{"large, every hour", settings{concurrent: 20, qps: 500, burst: 1000, requeueDependency: 5 * time.Second, cores: 4}, time.Hour},
	{"large, every 6 hours", settings{concurrent: 20, qps: 500, burst: 1000, requeueDependency: 5 * time.Second, cores: 4}, 6 * time.Hour},
}

// sizes are the fleets of the tables.
var sizes = []int{1_000, 5_000, 10_000}

// write prints the tables.
func write(w io.Writer) error {
	var out strings.Builder
	out.WriteString("| tenants | settings | workers busy | processors | requests/s | longest between two looks |\n|---|---|---|---|---|---|\n")
	each(func(tenants int, v variant, f fleet) {
		l := steady(f, v.settings)
		fmt.Fprintf(&out, "| %d | %s | %.0f %% | %.1f | %.0f | %s |\n", tenants, v.name, 100*l.workers, l.cores, l.requests, clock(l.longest))
	})
	out.WriteString("\n| tenants | settings | all for the first time | a change for all | tenants put off meanwhile | a change to one, at the longest |\n|---|---|---|---|---|---|\n")
	each(func(tenants int, v variant, f fleet) {
		anew := f
		anew.changed = first
		begin, all, one := platformChange(anew, v.settings), platformChange(f, v.settings), tenantChange(f, v.settings)
		fmt.Fprintf(&out, "| %d | %s | %s | %s | %d times | %s |\n", tenants, v.name, clock(begin.took), clock(all.took), all.putOff, clock(one.took))
	})
	_, err := io.WriteString(w, out.String())
	return err
}

// each goes through all sizes with all settings.
func each(do func(tenants int, v variant, f fleet)) {
	for _, tenants := range sizes {
		for _, v := range variants {
			f := measured
			f.tenants, f.interval = tenants, v.interval
			do(tenants, v, f)
		}
	}
}

// clock writes a time for people.
func clock(d time.Duration) string {
	switch {
	case d >= patience:
		return "more than a day"
	case d < time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.1f h", d.Hours())
	}
}
