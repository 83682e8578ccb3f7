package features

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// staysUp is longer than the two minutes after which ESO ends if it cannot list a kind that it reconciles: that is
// controller-runtime's CacheSyncTimeout, for which ESO has no flag. Nothing in ESO waits longer than that without having
// said so in its log, which is looked at too; a longer test would say no more. Measured: the one that ends does so 120 to
// 121 seconds after its start.
const staysUp = 140 * time.Second

// mismatches are chart values that do not go with the role beside them, which is trimmed for no feature.
var mismatches = []struct {
	name   string
	values map[string]any
	ends   bool
}{
	// Its reconciler is not ready in time, and takes ESO down.
	{"ends", map[string]any{"processPushSecret": false, "processClusterPushSecret": false}, true},
	// ESO keeps an index of PushSecrets, so that it waits for them before it starts anything, with no limit: it is up, says
	// that it is well, and does nothing.
	{"hangs", map[string]any{}, false},
}

// Every variant starts, and stays up, with the flags that its values give it: all at once, in one cluster that has nothing
// for them to do. The other way round beside them: those whose reconcilers are on and have no rights end, or never begin.
func TestEveryVariantStaysUp(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{Platform: bed.Platform(unfenced)})
	b.ESO.Stop()
	running := map[string]*bed.ESO{}
	for _, v := range variants {
		running[v.name] = start(t, b, v, b.Render(t, v.platform()))
	}
	wrong := map[string]*bed.ESO{}
	begun := map[string]time.Time{}
	for _, m := range mismatches {
		v := variant{name: m.name}
		m.values["rbac"] = map[string]any{"create": false}
		e, err := b.TryBeside(t.Context(), v.release(), b.Render(t, v.platform()), m.values, true)
		if err != nil {
			t.Fatal(err)
		}
		wrong[m.name], begun[m.name] = e, time.Now()
	}

	over := time.After(staysUp)
	select {
	case <-b.Context().Done():
		t.Fatal(context.Cause(b.Context()))
	case <-wrong["ends"].Ended():
		t.Logf("with a reconciler that it has no rights for, ESO ended after %.1f s", time.Since(begun["ends"]).Seconds())
	case <-over:
		t.Fatalf("with a reconciler that it has no rights for, ESO is up after %s: that others are shows nothing", staysUp)
	}
	select {
	case <-b.Context().Done(): // one has ended
		t.Fatal(context.Cause(b.Context()))
	case <-over:
	}
	for _, v := range variants {
		healthy(t, v, running[v.name].Log(t))
	}
	unhealthy(t, wrong["ends"].Log(t), wrong["hangs"])
	wrong["hangs"].Stop()
	stillWorks(t, b, running)
}

// working is what ESO logs of each reconciler that works.
func working(log, kind string) bool {
	for line := range strings.Lines(log) {
		if strings.Contains(line, "Starting workers") && strings.Contains(line, `"controller":"`+kind+`"`) {
			return true
		}
	}
	return false
}

// healthy sees in a variant's log that every reconciler that is on has begun, none that is off has, and nothing is amiss.
func healthy(t *testing.T, v variant, log string) {
	t.Helper()
	for kind, on := range map[string]bool{
		"secretstore": true, "externalsecret": true, "generatorstate": true,
		"clustersecretstore":    v.on("clusterSecretStores"),
		"clusterexternalsecret": v.on("clusterExternalSecrets"),
		"pushsecret":            v.on("pushSecrets") || v.on("clusterPushSecrets"), // which makes PushSecrets
		"clusterpushsecret":     v.on("clusterPushSecrets"),
	} {
		if working(log, kind) != on {
			t.Errorf("%s: the reconciler of %s works: %t, want %t", v.name, kind, !on, on)
		}
	}
	for _, word := range []string{"forbidden", "timed out", "leader election lost", "cache did not sync", "panic"} {
		if lines := linesWith(log, word); lines != "" {
			t.Errorf("%s: ESO's log says %q:\n%s", v.name, word, lines)
		}
	}
}

// unhealthy is the other way round.
func unhealthy(t *testing.T, ended string, hangs *bed.ESO) {
	t.Helper()
	if !strings.Contains(ended, "timed out waiting for cache to be synced") {
		t.Error("what has ended does not say that it waited for a kind")
	}
	select {
	case <-hangs.Ended():
		t.Error("what waits for PushSecrets has ended")
	default:
	}
	log := hangs.Log(t)
	if working(log, "externalsecret") || linesWith(log, "failed to list *v1alpha1.PushSecret") == "" {
		t.Error("what may not list PushSecrets works, and docs say that it does nothing")
	}
}

// stillWorks ends all ESOs but one, since they would all answer, and sees it work.
func stillWorks(t *testing.T, b *bed.Bed, running map[string]*bed.ESO) {
	t.Helper()
	const left = "everything"
	for name, e := range running {
		if name != left {
			e.Stop()
		}
	}
	for _, v := range variants {
		if v.name == left {
			rendered := b.Render(t, v.platform(), tenant(v))
			b.Apply(t, rendered)
			reading := b.Furnish(t, rendered)
			b.WaitReady(t, rendered)
			b.WaitReady(t, reading)
		}
	}
}

// linesWith returns the first lines of a log that have a word.
func linesWith(log, word string) string {
	var found []string
	for line := range strings.Lines(log) {
		if strings.Contains(line, word) && len(found) < 5 {
			found = append(found, line)
		}
	}
	return strings.Join(found, "")
}
