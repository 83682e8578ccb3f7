package features

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// staysUp is longer than the two minutes after which ESO ends if it cannot list a kind that it reconciles: that is
// controller-runtime's CacheSyncTimeout, for which ESO has no flag. Nothing in ESO waits longer than that without having
// said so in its log, which is looked at too; a longer test would say no more. Measured: the one that ends does so 120 to
// 121 seconds after its start.
const staysUp = 140 * time.Second

// Every variant starts, and stays up, with the flags that its values give it: all at once, in one cluster that has nothing
// for them to do. The other way round beside them: one whose reconcilers are on, by the chart's own values, and whose role is
// trimmed for none of them, ends.
func TestEveryVariantStaysUp(t *testing.T) {
	t.Parallel()
	b := bed.Own(t, bed.Options{})
	b.ESO.Stop()
	running := map[string]*bed.ESO{}
	for _, v := range variants {
		running[v.name] = start(t, b, v, b.Render(t, v.platform()))
	}
	mismatch := variant{name: "mismatch"}
	withoutRole := map[string]any{"rbac": map[string]any{"create": false}}
	wrong, err := b.TryBeside(t.Context(), mismatch.release(), b.Render(t, mismatch.platform()), withoutRole, true)
	if err != nil {
		t.Fatal(err)
	}
	started := time.Now()

	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-wrong.Ended():
			t.Logf("with reconcilers that it has no rights for, ESO ended after %.1f s", time.Since(started).Seconds())
		case <-time.After(staysUp):
			t.Errorf("with reconcilers that it has no rights for, ESO is up after %s: that others are shows nothing", staysUp)
		}
		return nil
	})
	group.Go(func() error {
		select {
		case <-b.Context().Done(): // one has ended
			return context.Cause(b.Context())
		case <-time.After(staysUp):
			return nil
		}
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(wrong.Log(t), "timed out waiting for cache to be synced") {
		t.Error("what has ended does not say that it waited for a kind")
	}
	for _, v := range variants {
		log := running[v.name].Log(t)
		for _, word := range []string{"forbidden", "timed out", "leader election lost", "cache did not sync", "panic"} {
			if strings.Contains(log, word) {
				t.Errorf("%s: ESO's log says %q:\n%s", v.name, word, linesWith(log, word))
			}
		}
	}
	stillWorks(t, b, running)
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
