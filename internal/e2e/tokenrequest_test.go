package e2e

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/eso-tenant/eso-tenant/internal/e2e/bed"
)

// minting is a cluster where ESO mints, with policies or without.
type minting struct {
	b        *bed.Bed
	eso      *bed.API // by a token of its own, as it has
	bindings bed.Objects
}

// newMinting makes a cluster for the decision table's Platform, with policies that nothing binds.
func newMinting(b *testing.B) *minting {
	b.Helper()
	own := bed.Own(b, bed.Options{Bare: true})
	table, specification := decisionTable(b)
	rendered, err := own.TryRender(b.Context(), specification)
	if err != nil {
		b.Fatal(err)
	}
	m := &minting{b: own, bindings: rendered.Of("ValidatingAdmissionPolicyBinding")}
	applied := slices.Concat(
		permissiveKinds(table), namespacesOf(rendered), rendered.Not("ValidatingAdmissionPolicyBinding"),
		bed.Objects{plainObject("ServiceAccount", "eso", "blue-external-secrets")},
	)
	if err := own.TryApply(b.Context(), applied); err != nil {
		b.Fatal(err)
	}
	token, err := own.Mint(b.Context(), "eso", "blue-external-secrets", nil, 24*60*60)
	if err != nil {
		b.Fatal(err)
	}
	if m.eso, err = own.WithToken(token); err != nil {
		b.Fatal(err)
	}
	return m
}

// mint mints as ESO does for Vault, and returns how long it took.
func (m *minting) mint(ctx context.Context, audience string) (time.Duration, error) {
	begin := time.Now()
	_, err := m.eso.Mint(ctx, "web", "vault-access-sa", []string{audience}, 600)
	return time.Since(begin), err
}

// bind puts policies into force, or out of it, and waits until that is so.
func (m *minting) bind(b *testing.B, policies bool) {
	b.Helper()
	var err error
	if policies {
		err = m.b.TryApply(b.Context(), m.bindings)
	} else {
		err = remove(b.Context(), m.b, m.bindings)
	}
	if err != nil {
		b.Fatal(err)
	}
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		_, err := m.mint(b.Context(), "elsewhere")
		if by, _ := refusal(err); by == "mint" && policies || err == nil && !policies {
			break
		}
		if time.Since(begin) > 30*time.Second {
			b.Fatalf("with policies %t, another audience gets: %v", policies, err)
		}
	}
	for range 200 { // the first are slower: expressions, connections
		if _, err := m.mint(b.Context(), "vault"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkTokenRequest measures what the policies add to a TokenRequest. Two equal clusters run beside each other, one with
// the bindings and one without, and are asked in turns, so that whatever else the machine does hits both alike; at half time
// they change places, so that nothing of it is one cluster's. An operation is one request to each. How long a request takes is
// said by its client; how long the API server works for it, which other people's work changes less, by Linux. Run it with many
// thousands:
//
//	go test -run - -bench TokenRequest -benchtime 20000x .
func BenchmarkTokenRequest(b *testing.B) {
	one, other := newMinting(b), newMinting(b)
	b.Run("in turns", func(b *testing.B) { inTurns(b, one, other) })
}

func inTurns(b *testing.B, one, other *minting) {
	b.Helper()
	var with, without []time.Duration
	var worked [2]time.Duration // by API servers: without, with
	b.ResetTimer()
	for half := range 2 {
		b.StopTimer()
		one.bind(b, half == 0)
		other.bind(b, half == 1)
		turns := []*minting{one, other}
		if half == 1 {
			slices.Reverse(turns)
		}
		bound, free := turns[0], turns[1]
		before := [2]time.Duration{free.worked(b), bound.worked(b)}
		b.StartTimer()
		for range (b.N + 1 - half) / 2 {
			for _, m := range turns {
				took, err := m.mint(b.Context(), "vault")
				if err != nil {
					b.Fatal(err)
				}
				if m == bound {
					with = append(with, took)
				} else {
					without = append(without, took)
				}
			}
			slices.Reverse(turns) // who is first is last the next time
		}
		b.StopTimer()
		worked[0] += free.worked(b) - before[0]
		worked[1] += bound.worked(b) - before[1]
	}
	for _, quantile := range []struct {
		name string
		of   float64
	}{{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}} {
		a, z := at(with, quantile.of), at(without, quantile.of)
		b.ReportMetric(z, quantile.name+"-without-µs")
		b.ReportMetric(a, quantile.name+"-with-µs")
		b.ReportMetric(a-z, quantile.name+"-added-µs")
	}
	b.ReportMetric(float64(worked[0].Microseconds())/float64(len(without)), "CPU-without-µs")
	b.ReportMetric(float64(worked[1].Microseconds())/float64(len(with)), "CPU-with-µs")
	b.ReportMetric(0, "ns/op") // of two requests, which says nothing
}

// worked is how long processors have worked for the API server.
func (m *minting) worked(b *testing.B) time.Duration {
	b.Helper()
	worked, err := m.b.ProcessorTime()
	if err != nil {
		b.Fatal(err)
	}
	return worked
}

// at is a quantile of durations, in microseconds.
func at(durations []time.Duration, quantile float64) float64 {
	sorted := slices.Sorted(slices.Values(durations))
	return float64(sorted[int(quantile*float64(len(sorted)-1))].Microseconds())
}
