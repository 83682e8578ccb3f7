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

// measured is what BenchmarkFlux of internal/e2e/scale gave.
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
	interval time.Duration
	shards   int
}

// variants are what kustomize-controller starts with (main.go and config/manager of 1.9.6), with an interval that is
// usual and with ours, and what we say for many tenants.
var variants = []variant{
	{"default, 10 minutes", settings{concurrent: 4, qps: 50, burst: 300, requeueDependency: 30 * time.Second, cores: 1}, 10 * time.Minute, 1},
	{"default", settings{concurrent: 4, qps: 50, burst: 300, requeueDependency: 30 * time.Second, cores: 1}, time.Hour, 1},
	{"large", settings{concurrent: 20, qps: 500, burst: 1000, requeueDependency: 5 * time.Second, cores: 2}, time.Hour, 1},
	{"large, 4 shards", settings{concurrent: 20, qps: 500, burst: 1000, requeueDependency: 5 * time.Second, cores: 2}, time.Hour, 4},
}

// sizes are the fleets of the tables.
var sizes = []int{1_000, 5_000, 10_000}

// write prints the tables.
func write(w io.Writer) error {
	var out strings.Builder
	out.WriteString("| tenants | settings | workers busy | processors | requests/s | longest between two looks |\n|---|---|---|---|---|---|\n")
	each(func(tenants int, v variant, f fleet) {
		l := steady(f, v.settings)
		shards := float64(v.shards)
		fmt.Fprintf(&out, "| %d | %s | %.0f %% | %.1f | %.0f | %s |\n", tenants, v.name, 100*l.workers, l.cores*shards, l.requests*shards, clock(l.longest))
	})
	out.WriteString("\n| tenants | settings | a change for all | tenants put off meanwhile | a change to one, at the longest |\n|---|---|---|---|---|\n")
	each(func(tenants int, v variant, f fleet) {
		all, one := platformChange(f, v.settings), tenantChange(f, v.settings)
		fmt.Fprintf(&out, "| %d | %s | %s | %d times | %s |\n", tenants, v.name, clock(all.took), all.putOff*v.shards, clock(one.took))
	})
	_, err := io.WriteString(w, out.String())
	return err
}

// each goes through all sizes with all settings. A shard has its part of the tenants.
func each(do func(tenants int, v variant, f fleet)) {
	for _, tenants := range sizes {
		for _, v := range variants {
			f := measured
			f.tenants, f.interval = tenants/v.shards, v.interval
			f.publish /= float64(v.shards)
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
