package main

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// docs/scale.md has what the program prints. UPDATE_GOLDEN=1 writes it there.
func TestDocument(t *testing.T) {
	const path, begin, end = "../../docs/scale.md", "<!-- fluxload -->\n", "<!-- end -->"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(data), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the tables", path)
	}
	var tables strings.Builder
	if err := write(&tables); err != nil {
		t.Fatal(err)
	}
	want := before + begin + tables.String() + end + after
	if want == string(data) {
		return
	}
	if os.Getenv("UPDATE_GOLDEN") == "" {
		t.Fatalf("%s does not have the tables as they are now; UPDATE_GOLDEN=1 writes them:\n%s", path, tables.String())
	}
	if err := os.WriteFile(path, []byte(want), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A queue with room does what is asked of it, and one without does no more than it can: for any fleet and settings.
func TestSteady(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, s := fleetAndSettings(t)
		l := steady(f, s)
		seconds := f.interval.Seconds()
		asked := float64(f.tenants+1) * f.unchanged.wall.Seconds() / seconds / float64(s.concurrent)
		limit := max(asked, float64(f.tenants+1)*f.unchanged.cpu.Seconds()/seconds/float64(s.cores), float64(f.tenants+1)*f.unchanged.limited/s.qps/seconds)
		if limit < 0.5 && math.Abs(l.requests-float64(f.tenants+1)*f.unchanged.requests/seconds) > 0.2*l.requests+f.unchanged.requests*2/seconds {
			t.Errorf("%.2f requests/s, not those of each tenant once in an interval", l.requests)
		}
		if limit > 1.5 && l.longest < time.Duration(0.9*limit*float64(f.interval)) {
			t.Errorf("%.1f times too much to do, and the longest between two looks is %s", limit, l.longest)
		}
		if l.workers < 0.8*min(asked, 0.5) || l.workers > 1 {
			t.Errorf("workers are busy %.2f, and %.2f is asked", l.workers, asked)
		}
	})
}

// A change for all takes at least what the scarcest thing takes, and everybody gets it.
func TestPlatformChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f, s := fleetAndSettings(t)
		n := float64(f.tenants)
		least := max(n*f.changed.wall.Seconds()/float64(s.concurrent), n*f.changed.cpu.Seconds()/float64(s.cores), (n*f.changed.limited-s.burst)/s.qps, (n-1)/f.publish)
		got := platformChange(f, s)
		if got.took.Seconds() < 0.99*least {
			t.Errorf("took %s, and %.1f s is the least that is possible", got.took, least)
		}
		if got.took == patience {
			t.Errorf("not everybody got it")
		}
	})
}

func fleetAndSettings(t *rapid.T) (fleet, settings) {
	wall := time.Duration(rapid.IntRange(20, 500).Draw(t, "wall")) * time.Millisecond
	c := cost{wall: wall, cpu: wall / time.Duration(rapid.IntRange(1, 10).Draw(t, "cpu")), limited: float64(rapid.IntRange(1, 8).Draw(t, "limited")), requests: 20}
	waiting := cost{wall: 2 * time.Millisecond, cpu: time.Millisecond, limited: 1, requests: 2}
	f := fleet{tenants: rapid.IntRange(50, 400).Draw(t, "tenants"), interval: time.Duration(rapid.IntRange(1, 20).Draw(t, "interval")) * time.Minute, publish: 200, unchanged: c, changed: c, waiting: waiting}
	return f, settings{
		concurrent: rapid.IntRange(1, 20).Draw(t, "concurrent"), qps: float64(rapid.IntRange(20, 500).Draw(t, "qps")), burst: 20,
		requeueDependency: time.Duration(rapid.IntRange(1, 30).Draw(t, "requeue")) * time.Second, cores: rapid.IntRange(1, 4).Draw(t, "cores"),
	}
}

// A tenant that finds the platform at work is put off by --requeue-dependency: with two workers or more, its own new
// revision is what sets the platform to work.
func TestPutOff(t *testing.T) {
	f := fleet{tenants: 50, interval: time.Hour, publish: 100, unchanged: cost{wall: time.Second}, changed: cost{wall: time.Second}}
	s := settings{concurrent: 2, requeueDependency: 30 * time.Second, cores: 1}
	if got := tenantChange(f, s); got.took < 31*time.Second || got.took > 70*time.Second || got.putOff < trials {
		t.Errorf("two workers: %+v", got)
	}
	s.concurrent = 1
	if got := tenantChange(f, s); got.took > 10*time.Second || got.putOff > 0 {
		t.Errorf("one worker: %+v", got)
	}
}

// The simulation against the bed: BenchmarkFlux on a machine so busy that a worker had each of 102 Kustomizations for
// 9.2 seconds, 24 times what is calculated; a change for all took 240 s, and 102 were put off meanwhile.
func TestAsMeasured(t *testing.T) {
	busy := cost{wall: 9200 * time.Millisecond, cpu: changedCPU, limited: limited}
	waiting := measured.waiting
	waiting.wall *= 24
	f := fleet{tenants: 101, interval: time.Hour, publish: 150, unchanged: busy, changed: busy, waiting: waiting}
	got := platformChange(f, settings{concurrent: 4, qps: 50, burst: 300, requeueDependency: 2 * time.Second, cores: 2})
	if got.took < 200*time.Second || got.took > 280*time.Second {
		t.Errorf("took %s, and 240 s on the bed", got.took)
	}
	if got.putOff < 50 || got.putOff > 200 {
		t.Errorf("%d put off, and 102 on the bed", got.putOff)
	}
}
