package explain

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// ofProof tells whether a rule is one of the prover's: those whose group says so.
func ofProof(rule problem.Rule) bool {
	return slices.ContainsFunc(groups, func(g group) bool {
		return strings.HasPrefix(g.title, "The proof") && slices.Contains(g.rules, rule)
	})
}

// provenBeyondWorld are the problems that a side brings to the fenced world:
// those that the world does not have without it.
func provenBeyondWorld(t *testing.T, rule problem.Rule, s Side) problem.List {
	t.Helper()
	admission := withoutAdmission
	if aboutGatekeeper(rule) {
		admission = withGatekeeper
	}
	return beyond(t, world(t, PlatformYAML+admission), rule, s)
}

func aboutGatekeeper(rule problem.Rule) bool {
	return rule == problem.GatekeeperUnseen || rule == problem.GatekeeperInactive
}

func beyond(t *testing.T, in verify.Input, rule problem.Rule, s Side) problem.List {
	t.Helper()
	before := verify.Check(in).Problems
	in.Objects = s.addTo(t, in.Objects)
	if rule == problem.RequesterUnknown {
		in.ESO = nil // neither a Platform nor the command line names it
	}
	return slices.DeleteFunc(verify.Check(in).Problems, func(after problem.Problem) bool {
		i := slices.IndexFunc(before, func(b problem.Problem) bool { return b.Rule == after.Rule && b.Message == after.Message })
		if i < 0 {
			return false
		}
		before = slices.Delete(before, i, i+1) // one for one: a second of the same is new
		return true
	})
}

// closedByPolicies are the rules whose examples are closed by the policies that
// PlatformYAML is rendered to. Their pages say so.
var closedByPolicies = []problem.Rule{
	problem.MintAny, problem.MintTokenSecret, problem.MintBootstrapToken, problem.MintAttest,
	problem.ForeignMint, problem.ForeignSubject, problem.FencedRole, problem.FencedPod, problem.StoreWritable, problem.StoreAudience,
}

// What is wrong is so with admission policies, too, but for what they close.
func TestPoliciesClose(t *testing.T) {
	guarded := world(t, PlatformYAML)
	for rule := range problem.Rules() {
		if !ofProof(rule) || withoutExample[rule] != "" || aboutGatekeeper(rule) {
			continue
		}
		p := page(t, rule)
		wrong := beyond(t, guarded, rule, p.Wrong)
		is := slices.ContainsFunc(wrong, func(found problem.Problem) bool { return found.Rule == rule })
		if closed := slices.Contains(closedByPolicies, rule); is == closed {
			t.Errorf("%s: reported %t, closed by policies %t", rule, is, closed)
		} else if closed && !strings.Contains(strings.Join(p.Why, " "), "The rendered ") {
			t.Errorf("%s: the page does not say that a policy closes it", rule)
		}
	}
}

// world is the fence that a Platform and TenantYAML are rendered to. The
// examples' has no admission policies: these close ways that they are about.
func world(t *testing.T, platform string) verify.Input {
	t.Helper()
	r, problems := fn.Build([]schema.Source{
		{File: "platform.yaml", Data: []byte(platform)}, {File: "tenants/web.yaml", Data: []byte(TenantYAML)},
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	in, err := r.Expectation()
	if err != nil {
		t.Fatal(err)
	}
	var stream bytes.Buffer
	if err := r.WriteStream(t.Context(), &stream); err != nil {
		t.Fatal(err)
	}
	in.Objects = objects(t, "rendered.yaml", stream.String())
	return in
}

// objects reads what a prover looks at.
func objects(t *testing.T, file, text string) []inventory.Object {
	t.Helper()
	set, problems := inventory.Read(slices.Values([]inventory.Source{{File: file, Reader: strings.NewReader(text)}}), verify.Kinds)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set.Objects
}

// addTo adds the side's objects to others, in place of those of the same
// identity.
func (s Side) addTo(t *testing.T, all []inventory.Object) []inventory.Object {
	t.Helper()
	all = slices.Clone(all)
	for _, b := range s.Blocks {
		added := objects(t, b.File, b.Text)
		if len(added) == 0 {
			t.Errorf("%s has nothing that the prover looks at", b.File)
		}
		for i := range added {
			all = slices.DeleteFunc(all, func(o inventory.Object) bool { return identity(&o) == identity(&added[i]) })
			if added[i].Text("$patch") != "delete" {
				all = append(all, added[i])
			}
		}
	}
	return all
}

func identity(o *inventory.Object) string {
	return strings.Join([]string{o.Group(), o.Kind, o.Namespace, o.Name}, "/")
}
