package fn

import (
	"strings"
	"testing"

	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/internal/verify"
)

// TestOverlaysAreProven: what an overlay does to a base is proven on what comes out of the build, and nothing else can be:
// inside the build, a validator never sees it.
func TestOverlaysAreProven(t *testing.T) {
	sources, _ := ReadSources([]string{"../examples/quickstart"}, nil)
	rendering, problems := Build(sources)
	if problems.Errors() > 0 {
		t.Fatal(problems)
	}
	var base strings.Builder
	if err := rendering.WriteStream(t.Context(), &base); err != nil {
		t.Fatal(err)
	}
	warnOnly := patchOf("kind: ValidatingAdmissionPolicyBinding", "{op: replace, path: /spec/validationActions, value: [Warn]}")
	const tokenRole, tokenBinding = "kind: Role, name: eso-tenant-token-vault-access-sa", "kind: RoleBinding, name: eso-tenant-token-vault-access-sa"
	const unnamed, unnamedGrants = "{op: remove, path: /rules/0/resourceNames}", "{op: remove, path: /rules/2/resourceNames}"
	const group = "{op: add, path: /subjects/-, value: {kind: Group, name: devs, apiGroup: rbac.authorization.k8s.io}}"
	const blanket = `{op: add, path: /rules/-, value: {apiGroups: [""], resources: [serviceaccounts/token], verbs: [create]}}`
	for name, test := range map[string]struct {
		overlay string
		broken  problem.Rule
	}{
		"nothing":                        {"labels: [{pairs: {team: a}}]\n", ""},
		"a prefix":                       {"namePrefix: x-\n", problem.StoreAccountMissing},
		"another namespace":              {"namespace: elsewhere\n", problem.StoreUnfenced},
		"policies that warn":             {warnOnly, problem.MintTokenSecret},
		"no names":                       {warnOnly + patchOf(tokenRole, unnamed), problem.MintAny},
		"no names, refused by a policy":  {patchOf(tokenRole, unnamed), ""},
		"no names of grants either":      {patchOf(tokenRole, unnamed, unnamedGrants), problem.MintAny},
		"another subject":                {warnOnly + patchOf(tokenBinding, group), problem.ForeignSubject},
		"a role without the right":       {patchOf(tokenRole, "{op: remove, path: /rules/0}"), problem.StoreCannotMint},
		"a store that names no account":  {patchOf("kind: SecretStore", "{op: remove, path: /spec/provider/vault/auth/kubernetes/serviceAccountRef}"), problem.StoreOwnIdentity},
		"the right back in ESO's role":   {warnOnly + patchOf("kind: ClusterRole, name: eso-tenant-external-secrets-controller", blanket), problem.MintAny},
		"a Role that the binding misses": {patchOf(tokenBinding, "{op: replace, path: /roleRef/name, value: gone}"), problem.RBACOpen},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"kustomization.yaml": "resources: [all.yaml]\n" + patchesOnce(test.overlay), "all.yaml": base.String()})
			set, unread := ReadObjects([]string{"-"}, strings.NewReader(build(t, dir)), verify.Kinds)
			in, err := rendering.Expectation()
			if err != nil || len(unread) > 0 {
				t.Fatal(err, unread)
			}
			in.Objects = set.Objects
			found := verify.Check(in).Problems
			rules := map[problem.Rule]bool{}
			for _, p := range found {
				if p.IsError() {
					rules[p.Rule] = true
				}
			}
			if test.broken == "" && len(rules) > 0 || test.broken != "" && !rules[test.broken] {
				t.Errorf("want %q, found %v", test.broken, found)
			}
		})
	}
}

// patchOf is an entry of patches.
func patchOf(target string, operations ...string) string {
	return "patches:\n- target: {" + target + "}\n  patch: |-\n    - " + strings.Join(operations, "\n    - ") + "\n"
}

// patchesOnce writes the field once, for all its entries.
func patchesOnce(overlay string) string {
	first, rest, found := strings.Cut(overlay, "patches:\n")
	if !found {
		return overlay
	}
	return first + "patches:\n" + strings.ReplaceAll(rest, "patches:\n", "")
}
