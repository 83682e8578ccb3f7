package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// alone are arguments of a replica that has no other beside it, so that a new process need not wait for the lease of one
// that was killed. What is out of use is removed as soon as may be.
var alone = []string{"--enable-leader-election=false", "--artifact-retention-ttl=1s"}

// killed kills the controller at random moments while commits go on. Nothing that is named is ever missing, and in the end
// the cluster is as the last commit has it.
func killed(t *testing.T, g *generator) {
	t.Helper()
	r := g.controller.First
	const rounds = 8
	seed := uint64(time.Now().UnixNano())
	random := rand.New(rand.NewPCG(seed, 0))
	r.Stop()
	r.Restart(t, alone...)
	// kustomize-controller 1.9.6 begins from what its cache holds of a Kustomization, and does not know yet what it applied a
	// moment ago if the next revision is there already: it then prunes at the next interval only.
	if err := g.PatchAs(t.Context(), g.kustomization(g.name), "kubectl", `{"spec": {"interval": "5s"}}`); err != nil {
		t.Fatal(err)
	}
	poller, stop := poll(t, g, fromReplica(r))
	var commit string
	for round := range rounds {
		g.simple(t, "ctl-a", member(fmt.Sprintf("round-%d", round)))
		if round > 0 {
			g.remove(t, fmt.Sprintf("ctl-%d", round-1))
		}
		g.simple(t, fmt.Sprintf("ctl-%d", round))
		g.furnish(t)
		commit = g.revise(t, "while it is killed")
		pause := time.Duration(random.IntN(400)) * time.Millisecond
		time.Sleep(pause)
		r.Kill()
		r.Restart(t, alone...)
	}
	g.publishes(t, commit)
	g.applied(t)
	stop()
	fetched, missing := poller.counts()
	for _, one := range missing {
		t.Error(one)
	}
	t.Logf("killed %d times (seed %d), %d artifacts fetched", rounds, seed, fetched)
	if fetched < 10*rounds {
		t.Errorf("only %d artifacts were fetched", fetched)
	}
	want := []string{"tenants-flux", "tenants-platform", fmt.Sprintf("tenants.ctl-%d", rounds-1), "tenants.ctl-a", "tenants.ctl-c"}
	if got := slices.Sorted(maps.Keys(g.artifacts(t))); !slices.Equal(got, want) {
		t.Errorf("published are %q", got)
	}
	for round := range rounds - 1 {
		g.gone(t, g.kustomization(fmt.Sprintf("eso-tenant-ctl-%d", round)))
	}
	onlyWhatIsNamed(t, g, r)
}

// onlyWhatIsNamed waits until the storage has what is named, and nothing that was in use before.
func onlyWhatIsNamed(t *testing.T, g *generator, r *bed.Replica) {
	t.Helper()
	g.Eventually(t, func(context.Context) error {
		named := map[string]bool{}
		for _, one := range g.artifacts(t) {
			named[one.Path] = true
		}
		files, err := filepath.Glob(filepath.Join(r.Storage, "externalartifact", g.namespace, g.name+"*", "*"))
		for _, file := range files {
			name, err := filepath.Rel(r.Storage, file)
			if err != nil || !named[filepath.ToSlash(name)] {
				return fmt.Errorf("%s is still there (%w)", name, err)
			}
		}
		if err == nil && len(files) != len(named) {
			err = fmt.Errorf("there are %d files for %d artifacts", len(files), len(named))
		}
		return err
	})
}

// storageLost shows that a storage that is gone is made again before anything is fetched of it, without a write to the
// cluster; and that a poller does notice what is missing.
func storageLost(t *testing.T, g *generator) {
	t.Helper()
	r := g.controller.First
	versions, artifacts := g.writes(t), g.artifacts(t)
	empty := func() {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(r.Storage, "externalartifact")); err != nil {
			t.Fatal(err)
		}
	}
	noticing, stop := poll(t, g, fromReplica(r))
	empty()
	g.Eventually(t, func(context.Context) error {
		if _, missing := noticing.counts(); len(missing) == 0 {
			return errors.New("nobody notices that the storage is gone")
		}
		return nil
	})
	stop()
	r.Kill()
	empty()
	poller, stop := poll(t, g, fromService(g.controller))
	r.Restart(t, alone...)
	g.Eventually(t, r.Ready)
	for name, one := range artifacts {
		if status, _, err := r.Fetch(t.Context(), one.Path); status != 200 {
			t.Errorf("it is ready, and answers %d (%v) for %s", status, err, name)
		}
	}
	g.Eventually(t, func(context.Context) error {
		if fetched, _ := poller.counts(); fetched < 2*len(artifacts) {
			return fmt.Errorf("%d artifacts were fetched", fetched)
		}
		return nil
	})
	stop()
	if _, missing := poller.counts(); len(missing) > 0 {
		t.Errorf("the Service led to a replica that has not all: %q", missing)
	}
	if got := changed(versions, g.writes(t)); len(got) > 0 {
		t.Errorf("%q were written", got)
	}
}

// theOtherTakesOver shows what happens when the leader of two replicas is killed. Leases are shorter than by default, where
// it takes up to 40 seconds.
func theOtherTakesOver(t *testing.T, g *generator) {
	t.Helper()
	first := g.controller.First
	leases := []string{"--leader-election-lease-duration=6s", "--leader-election-renew-deadline=4s", "--leader-election-retry-period=1s"}
	first.Stop()
	first.Restart(t, leases...)
	g.Eventually(t, first.Ready)
	second := g.controller.Replica(t, "controller-2", "eso-tenant-controller", leases...)
	versions := g.writes(t)
	if err := second.Ready(t.Context()); err == nil {
		t.Error("both replicas are ready")
	}
	for _, one := range g.artifacts(t) {
		if status, _, err := second.Fetch(t.Context(), one.Path); err == nil {
			t.Errorf("who does not lead answers %d", status)
		}
	}
	poller, stop := poll(t, g, fromService(g.controller))
	first.Kill()
	began := time.Now()
	g.Eventually(t, second.Ready)
	t.Logf("the other leads after %.1f s", time.Since(began).Seconds())
	if got := changed(versions, g.writes(t)); len(got) > 0 {
		t.Errorf("the new leader wrote %q", got)
	}
	g.simple(t, "ctl-a", member("second"))
	commit := g.revise(t, "for the second")
	g.publishes(t, commit)
	if got := changed(versions, g.writes(t)); !slices.Equal(got, []string{"tenants.ctl-a"}) {
		t.Errorf("the new leader wrote %q", got)
	}
	g.applied(t)
	stop()
	if _, missing := poller.counts(); len(missing) > 0 {
		t.Errorf("missing: %q", missing)
	}
	// Stopped in order, it gives the lease back, and the first need not wait for it.
	first.Restart(t, leases...)
	second.Stop()
	g.Eventually(t, first.Ready)
	first.Stop()
}
