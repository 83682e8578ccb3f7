package verify

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// TestWhoMintsMissesNobody: only those are asked who are near; nobody else has a way. A way is there whoever asks for it.
func TestWhoMintsMissesNobody(t *testing.T) {
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		in := inputOf(rapid.SliceOfN(rapid.Custom(drawBound), 1, 8).Draw(t, "bound"))
		account := Account{rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "namespace"), rapid.SampledFrom([]string{"x", "y"}).Draw(t, "name")}
		minters := WhoMints(in, account)
		round += len(minters.Round)
		told := map[rbac.Subject]bool{}
		for _, answer := range slices.Concat(minters.Direct, minters.Round) {
			told[answer.Subject] = true
		}
		not := map[rbac.Subject]bool{}
		for _, answer := range minters.Not {
			not[answer.Subject] = true
		}
		request := rbac.Request{Verb: "create", Resource: "serviceaccounts/token", Namespace: account.Namespace, Name: account.Name}
		w := newWorld(in)
		for _, s := range w.auth.Subjects() {
			p := &prover{world: w, requester: []rbac.Subject{s}}
			if slices.Contains(w.eso, s) {
				p.requester, p.isESO = w.eso, true
			}
			p.run()
			_, direct := w.auth.Allowed(s, request)
			if can := direct || p.wayTo(account) != nil; can == not[s] || told[s] && !can {
				t.Fatalf("%s of %s: can is %v, told %v, not %v", s, account, can, told[s], not[s])
			}
		}
	})
	if round == 0 {
		t.Error("no way round was drawn")
	}
}
