package verify

import (
	"slices"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
)

// closing is a decision of admission that closes a way.
type closing uint8

const (
	notClosed          closing = iota
	closingMint                // ESO mints for fenced accounts only
	closingAudience            // … and only with the audiences declared
	closingTokenSecret         // nobody makes token Secrets of fenced accounts, and ESO none at all
	closingForeignMint         // nobody else mints for fenced accounts
	closingPod                 // no pod runs as a fenced account
)

// policies are the admission policies among the objects.
type policies struct {
	objects []*inventory.Object
	counted []recognized
	looked  bool
}

func (ps *policies) take(o *inventory.Object) { ps.objects = append(ps.objects, o) }

// closes returns the policy that takes a decision, for all of ESO's accounts,
// and can fire; nil where there is none.
func (ps *policies) closes(c closing, eso []rbac.Subject) *inventory.Object {
	if c == notClosed {
		return nil
	}
	if !ps.looked {
		ps.counted, ps.looked = recognize(ps.objects), true
	}
	for i := range ps.counted {
		if r := &ps.counted[i]; slices.Contains(r.closings, c) && r.aboutESO(eso) {
			return r.object
		}
	}
	return nil
}

// close notes a bypass that a policy closes.
func (w *world) close(rule problem.Rule, policy *inventory.Object) {
	for _, c := range w.closed {
		if c.Rule == rule && c.Policy.Name == policy.Name {
			return
		}
	}
	w.closed = append(w.closed, Closed{Rule: rule, Policy: *policy})
}
