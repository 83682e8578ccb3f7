package verify_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/generators/eso"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/rbac"
	"github.com/eso-tenant/eso-tenant/internal/verify"
	"github.com/eso-tenant/eso-tenant/schema"
)

// worlds are the inputs for each cluster of a specification: what is rendered,
// and what of it is meant.
func worlds(t testing.TB, sources []schema.Source) map[string]verify.Input {
	t.Helper()
	spec, problems, _ := schema.Decode(sources)
	if problems.Errors() > 0 {
		t.Fatal(problems)
	}
	r, _ := fn.Build(sources)
	all := map[string]verify.Input{}
	for _, cluster := range spec.Clusters {
		p := cluster.Platform
		one, err := r.Select(fn.Selection{Clusters: []string{p.Name}})
		if err != nil {
			t.Fatal(err)
		}
		in := verify.Input{
			Objects: written(t, one), ESO: []rbac.Subject{rbac.ServiceAccount(p.ESO.Namespace, p.ESO.ServiceAccount)},
			Fences: fences(cluster), Specified: true, Minor: p.Kubernetes,
		}
		in.WritesMoved = p.ESO.RBAC == schema.Replace && p.Enforcement == schema.Enforce && slices.Contains(p.ESO.Options.Trims, eso.TrimSecretWrites)
		in.Observing = p.Enforcement == schema.Observe
		for i := range p.Admission.Exemptions {
			e := &p.Admission.Exemptions[i]
			in.Exemptions = append(in.Exemptions, verify.Exemption{
				Name: e.Name, Policy: e.Policy, Users: e.Users, Groups: e.Groups, Namespaces: e.Namespaces, Names: e.Names, End: e.End, Reason: e.Reason, At: e.Position,
			})
		}
		all[p.Name] = in
	}
	return all
}

func fences(c *schema.Cluster) []verify.Fence {
	var all []verify.Fence
	for _, tenant := range append([]*schema.Tenant{c.Platform.Own}, c.Tenants...) {
		if tenant == nil {
			continue
		}
		for _, namespace := range tenant.Namespaces {
			for _, store := range namespace.Stores {
				all = append(all, verify.Fence{Account: verify.Account{Namespace: namespace.Name, Name: store.ServiceAccount}, Tenant: tenant.Name, Shared: store.Shared})
			}
		}
	}
	for _, shared := range c.Platform.SharedStores {
		all = append(all, verify.Fence{Account: verify.Account{Namespace: c.Platform.ESO.Namespace, Name: shared.ServiceAccount}, Tenant: schema.PlatformTenant})
	}
	return all
}

// count is how many problems of each rule there are.
func count(problems problem.List) map[problem.Rule]int {
	all := map[problem.Rule]int{}
	for _, p := range problems {
		all[p.Rule]++
	}
	return all
}

// expected are the only rules that a rendered specification breaks: until there
// are admission policies, ESO makes token Secrets where it writes Secrets, and
// members with edit or admin mint for their own namespaces. Roles of members
// that are not Kubernetes' own are not among what is rendered.
func expected(in verify.Input) []problem.Rule {
	rules := []problem.Rule{problem.ReadSecrets, problem.MintTokenSecret, problem.ForeignMint, problem.RBACOpen}
	if !in.WritesMoved {
		rules = append(rules, problem.WriteSecrets)
	}
	if slices.ContainsFunc(in.Objects, func(o inventory.Object) bool { return o.Kind == "ConstraintTemplate" }) {
		rules = append(rules, problem.GatekeeperUnseen) // Gatekeeper itself is not rendered
	}
	if len(in.Exemptions) > 0 {
		rules = append(rules, problem.ExemptionOpen) // which is the point of them
	}
	if in.Observing {
		rules = append(rules, problem.MintAny) // ESO's role is as upstream has it
	}
	return rules
}

func TestBaselines(t *testing.T) {
	for _, where := range []string{"../../examples/*", "../../golden/*"} {
		paths, err := filepath.Glob(where)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			base := filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
			for name, in := range rendering(t, path) {
				for _, specified := range []bool{true, false} {
					in, allowed := in, expected(in)
					if !specified {
						if slices.ContainsFunc(in.Fences, func(f verify.Fence) bool { return f.Shared }) {
							allowed = append(allowed, problem.IdentityShared) // nobody says that it is meant
						}
						in.Fences, in.Specified = nil, false
					}
					t.Run(fmt.Sprintf("%s/%s/%t", base, name, specified), func(t *testing.T) { noFalseAlarm(t, in, allowed) })
				}
			}
		}
	}
}

func noFalseAlarm(t *testing.T, in verify.Input, allowed []problem.Rule) {
	t.Helper()
	report := verify.Check(in)
	for _, p := range report.Problems {
		if !slices.Contains(allowed, p.Rule) {
			t.Errorf("%s", text(problem.List{p}))
		}
		if p.Rule == problem.RBACOpen && !strings.Contains(p.Message, "eso-tenant-member") {
			t.Errorf("not the role of a member, which the platform team has: %s", text(problem.List{p}))
		}
		if p.Rule == problem.ForeignMint && !strings.Contains(strings.Join(p.Because, "\n"), "ClusterRole edit") && !strings.Contains(strings.Join(p.Because, "\n"), "ClusterRole admin") {
			t.Errorf("not of a member with edit or admin: %s", text(problem.List{p}))
		}
	}
	// The API server's own roles, in a dump, change nothing.
	dumped := in
	dumped.Objects = append(slices.Clone(in.Objects), bootstrap(t, in.Minor)...)
	if diff := cmp.Diff(count(report.Problems), count(verify.Check(dumped).Problems)); diff != "" {
		t.Errorf("with Kubernetes' own roles among the objects (-without +with):\n%s", diff)
	}
}

// rendering is what a folder's specification becomes; nothing if it has none,
// or is about what is refused.
func rendering(t *testing.T, path string) map[string]verify.Input {
	t.Helper()
	if _, err := os.Stat(filepath.Join(path, "problems.txt")); err == nil {
		if spec, problems, _ := schema.Decode(sourcesOf(t, path)); spec == nil || problems.Errors() > 0 {
			return nil
		}
	}
	sources := sourcesOf(t, path)
	if spec, problems, _ := schema.Decode(sources); spec == nil || problems.Errors() > 0 || len(spec.Clusters) == 0 {
		return nil
	}
	return worlds(t, sources)
}

func sourcesOf(t testing.TB, path string) []schema.Source {
	t.Helper()
	if in := filepath.Join(path, "in.yaml"); exists(in) {
		path = in
	}
	sources, _ := fn.ReadSources([]string{path}, nil)
	return sources
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func text(l problem.List) string {
	var b strings.Builder
	_ = l.WriteText(&b, problem.Style{})
	return b.String()
}

func written(t testing.TB, r *fn.Rendering) []inventory.Object {
	t.Helper()
	var stream bytes.Buffer
	if err := r.WriteStream(t.Context(), &stream); err != nil {
		t.Fatal(err)
	}
	return objects(t, "rendered.yaml", stream.String())
}

// bootstrap are the API server's own roles and bindings, as a dump has them.
func bootstrap(t testing.TB, minor string) []inventory.Object {
	t.Helper()
	own, _ := rbac.Bootstrap(minor)
	var all []inventory.Object
	add := func(kind string, object any) {
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := json.Unmarshal(text, &fields); err != nil {
			t.Fatal(err)
		}
		o := inventory.Object{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: kind, Fields: fields}
		o.Namespace, o.Name = o.Text("metadata", "namespace"), o.Text("metadata", "name")
		o.At = problem.Position{File: "bootstrap.json", Line: len(all) + 1, Column: 1}
		all = append(all, o)
	}
	for _, o := range own.Roles {
		add("Role", o)
	}
	for _, o := range own.ClusterRoles {
		add("ClusterRole", o)
	}
	for _, o := range own.RoleBindings {
		add("RoleBinding", o)
	}
	for _, o := range own.ClusterRoleBindings {
		add("ClusterRoleBinding", o)
	}
	return all
}
