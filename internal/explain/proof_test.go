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
	in := world(t)
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

// world is the fence that PlatformYAML and TenantYAML are rendered to.
func world(t *testing.T) verify.Input {
	t.Helper()
	r, problems := fn.Build([]schema.Source{
		{File: "platform.yaml", Data: []byte(PlatformYAML)}, {File: "tenants/web.yaml", Data: []byte(TenantYAML)},
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
