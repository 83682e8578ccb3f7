package scaffold

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// add adds a tenant, and wants it to work without a warning.
func add(t *testing.T, dir string, a TenantAnswers) *Added {
	t.Helper()
	added, problems, err := AddTenant(t.Context(), dir, a)
	if err != nil || len(problems) > 0 {
		t.Fatalf("%v, %v", err, problems)
	}
	if len(added.Warnings) > 0 {
		t.Fatalf("warnings: %v", added.Warnings)
	}
	return added
}

func TestAddTenant(t *testing.T) {
	dir := repository(t, Answers{Owner: "@acme/platform"})
	write(t, dir, map[string]string{"kustomization.yaml": "# Mine.\nresources: # all\n- platform.yaml\n\n- tenants/team-a.yaml # first\ntransformers: [expand.yaml]\n"})
	added := add(t, dir, TenantAnswers{Name: "web", Owner: "@acme/web", Group: "web-devs", Namespace: "web-prod", Identity: []string{"role=web-prod-ro"}})
	want := []string{filepath.Join(dir, "tenants", "web.yaml"), filepath.Join(dir, "kustomization.yaml"), filepath.Join(dir, "CODEOWNERS")}
	if diff := cmp.Diff(want, added.Files); diff != "" {
		t.Error(diff)
	}
	add(t, dir, TenantAnswers{Name: "api"})
	vetted(t, dir)
	if out := kustomized(t, dir); strings.Count(out, "kind: SecretStore") != 3 || strings.Contains(out, "kind: Tenant") {
		t.Errorf("kustomize makes:\n%s", out)
	}
	tenant := read(t, dir, "tenants/web.yaml")
	for _, want := range []string{"{kind: Group, name: web-devs, role: view}\n", "    web-prod:\n", "            role: web-prod-ro\n", "$schema=../.eso-tenant/schema.json\n", "local-config"} {
		if !strings.Contains(tenant, want) {
			t.Errorf("there is no %q:\n%s", want, tenant)
		}
	}
	if got, want := read(t, dir, "kustomization.yaml"), "# Mine.\nresources: # all\n- platform.yaml\n\n- tenants/team-a.yaml # first\n- tenants/web.yaml\n- tenants/api.yaml\ntransformers: [expand.yaml]\n"; got != want {
		t.Errorf("kustomization.yaml:\n%s", got)
	}
	if got := read(t, dir, "CODEOWNERS"); !strings.HasSuffix(got, "\n/tenants/team-a.yaml @acme/team-a @acme/platform\n/tenants/web.yaml @acme/web @acme/platform\n") {
		t.Errorf("CODEOWNERS:\n%s", got)
	}
	if left := temporaries(t, dir); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// Every kind of provider takes a second tenant, with what it has to know.
func TestAddTenantIdentity(t *testing.T) {
	for kind, test := range map[string]struct {
		asks     string
		identity []string
	}{
		"vault":      {},
		"gcpsm":      {},
		"kubernetes": {},
		"aws":        {asks: `field "roleARN" is required`, identity: []string{"roleARN=arn:aws:iam::123456789012:role/web-x"}},
		"azurekv":    {asks: `field "clientID" is required`, identity: []string{"clientID=5e5f1f3e-0000-4000-8000-000000000000"}},
	} {
		t.Run(kind, func(t *testing.T) {
			dir := repository(t, Answers{Provider: kind})
			if test.asks != "" {
				_, _, err := AddTenant(t.Context(), dir, TenantAnswers{Name: "web"})
				if err == nil || !strings.HasPrefix(err.Error(), "--identity: "+test.asks) {
					t.Errorf("got %v", err)
				}
			}
			add(t, dir, TenantAnswers{Name: "web", Identity: test.identity})
			vetted(t, dir)
		})
	}
}

const (
	onePlatform = `apiVersion: eso-tenant.dev/v1alpha1
kind: Platform
metadata: {name: eu-1}
spec:
  externalSecrets: {version: v2.9.0}
  enforcement: enforce
  providers:
    vault: {audiences: [vault], vault: {server: "https://v.acme.dev", auth: {kubernetes: {}}}}
`
	oneTenant = `apiVersion: eso-tenant.dev/v1alpha1
kind: Tenant
metadata: {name: web}
spec:
  namespaces: {web: {}}
`
)

// second is another Platform, with a provider more.
var second = strings.NewReplacer("eu-1", "us-1").Replace(onePlatform) + `    extra: {audiences: [x], vault: {server: "https://x.acme.dev", auth: {kubernetes: {}}}}
`

// A repository that nobody's init has made.
func TestAddTenantElsewhere(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"platforms/eu.yaml": onePlatform, "platforms/us.yaml": second, "tenants/other.txt": "", "kustomization.yaml": "resources: [deployment.yaml]\n"})
	added := add(t, dir, TenantAnswers{Name: "web", Owner: "@acme/web", Clusters: []string{"us-1", "eu-1", "us-1"}})
	if diff := cmp.Diff([]string{filepath.Join(dir, "tenants", "web.yaml")}, added.Files); diff != "" {
		t.Error(diff)
	}
	tenant := read(t, dir, "tenants/web.yaml")
	if !strings.Contains(tenant, "  clusters: [eu-1, us-1]\n") || !strings.Contains(tenant, "provider: vault ") || strings.Contains(tenant, "$schema") || strings.Contains(tenant, "local-config") {
		t.Errorf("got:\n%s", tenant)
	}
	if notes := strings.Join(added.Notes, "\n"); !strings.Contains(notes, "lists none of the specifications") || !strings.Contains(notes, "no CODEOWNERS") {
		t.Errorf("notes: %s", notes)
	}
	// On one of them there is a choice.
	if _, _, err := AddTenant(t.Context(), dir, TenantAnswers{Name: "api", Clusters: []string{"us-1"}}); err == nil || !strings.HasPrefix(err.Error(), `--provider: there are several in the catalogue; name one of "extra", "vault"`) {
		t.Errorf("got %v", err)
	}
	add(t, dir, TenantAnswers{Name: "api", Clusters: []string{"us-1"}, Provider: "extra"})
	vetted(t, dir)
}

// A kustomization in the tenants' own folder comes first.
func TestAddTenantToFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"platform.yaml": onePlatform, "kustomization.yaml": "resources: [platform.yaml, tenants]\n",
		"tenants/web.yaml": oneTenant, "tenants/kustomization.yml": "resources: [web.yaml] # all\n",
	})
	add(t, dir, TenantAnswers{Name: "api"})
	if got, want := read(t, dir, "tenants/kustomization.yml"), "resources: [web.yaml, api.yaml] # all\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestAddTenantNoProvider(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"platform.yaml": strings.Replace(onePlatform, "  providers:\n    vault:", "  providers: {}\n#", 1), "tenants/web.yaml": oneTenant})
	add(t, dir, TenantAnswers{Name: "api"})
	vetted(t, dir)
}

// What is refused leaves everything as it was.
func TestAddTenantRefuses(t *testing.T) {
	usage := func(err error) bool { return errors.As(err, new(UsageErrors)) }
	tests := map[string]struct {
		files   map[string]string
		answers TenantAnswers
		usage   bool
		rule    problem.Rule
		want    string
	}{
		"name":            {answers: TenantAnswers{Name: "../x"}, usage: true, want: `NAME: "../x" is no name`},
		"reserved":        {answers: TenantAnswers{Name: "platform"}, usage: true, want: `NAME: no tenant can be called "platform"`},
		"namespace":       {answers: TenantAnswers{Name: "api", Namespace: "x"}, usage: true, want: `--namespace: namespace "x" is outside`},
		"namespace's":     {answers: TenantAnswers{Name: "api", Namespace: "X"}, usage: true, want: `--namespace: "X" is no name`},
		"taken namespace": {files: map[string]string{"platform.yaml": onePlatform + "  tenantPolicy: {namespaces: [\".*\"]}\n"}, answers: TenantAnswers{Name: "api", Namespace: "web"}, usage: true, want: `--namespace: namespace "web" belongs to tenant`},
		"provider":        {answers: TenantAnswers{Name: "api", Provider: "vualt"}, usage: true, want: `--provider: "vualt" is no provider of Platform eu-1; did you mean "vault"?`},
		"identity":        {answers: TenantAnswers{Name: "api", Identity: []string{"role=x"}}, usage: true, want: `--identity: "x" is outside`},
		"identity's key":  {answers: TenantAnswers{Name: "api", Identity: []string{"rolle=x"}}, usage: true, want: `--identity: there is no field "rolle"; `},
		"identity's form": {answers: TenantAnswers{Name: "api", Identity: []string{"role"}}, usage: true, want: `--identity: "role" is not KEY=VALUE`},
		"identity twice":  {answers: TenantAnswers{Name: "api", Identity: []string{"role=api", "role=api-x"}}, usage: true, want: `--identity: "role" is there twice`},
		"group":           {answers: TenantAnswers{Name: "api", Group: "system:masters"}, usage: true, want: `--group: "system:masters" is one of`},
		"group's line":    {answers: TenantAnswers{Name: "api", Group: "a\nb: c"}, usage: true, want: `--group: "a\nb: c" is not`},
		"owner's line":    {answers: TenantAnswers{Name: "api", Owner: "@a\n* @evil"}, usage: true, want: `--owner: "@a\n* @evil" is no owner`},
		"cluster":         {answers: TenantAnswers{Name: "api", Clusters: []string{"us-1"}}, usage: true, want: `--clusters: "us-1" is none of the Platforms "eu-1"`},
		"which cluster":   {files: map[string]string{"us.yaml": second, "tenants/web.yaml": oneTenant + "  clusters: [eu-1]\n"}, answers: TenantAnswers{Name: "api"}, usage: true, want: `--clusters: there are several Platforms; name some of "eu-1", "us-1"`},
		"there already":   {answers: TenantAnswers{Name: "web"}, want: `tenant "web" is there already, at `},
		"place taken":     {files: map[string]string{"tenants/api/x.txt": ""}, answers: TenantAnswers{Name: "api"}, want: `is there already, and is tenant "api"'s place`},
		"broken":          {files: map[string]string{"tenants/bad.yaml": "a: [\n"}, answers: TenantAnswers{Name: "api"}, rule: problem.YAMLSyntax},
		"no Platform":     {files: map[string]string{"platform.yaml": "apiVersion: v1\nkind: List\n"}, answers: TenantAnswers{Name: "api"}, rule: problem.PlatformMissing},
		"kustomization":   {files: map[string]string{"kustomization.yaml": "resources: [\n"}, answers: TenantAnswers{Name: "api"}, want: "kustomization.yaml: reading its resources"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"platform.yaml": onePlatform, "tenants/web.yaml": oneTenant, "CODEOWNERS": "* @a\n"})
			write(t, dir, test.files)
			before := tree(t, dir)
			added, problems, err := AddTenant(t.Context(), dir, test.answers)
			switch {
			case added != nil:
				t.Errorf("added %v", added)
			case test.rule != "" && (len(problems) == 0 || problems[0].Rule != test.rule):
				t.Errorf("got %v, want %s", problems, test.rule)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || usage(err) != test.usage):
				t.Errorf("got %v, want %s", err, test.want)
			}
			if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
				t.Errorf("it changed:\n%s", diff)
			}
		})
	}
}

func TestAddTenantNowhere(t *testing.T) {
	empty, foreign, alone := t.TempDir(), t.TempDir(), t.TempDir()
	write(t, foreign, map[string]string{"a.yaml": "apiVersion: v1\nkind: List\n"})
	write(t, alone, map[string]string{"platform.yaml": onePlatform})
	for dir, want := range map[string]string{
		filepath.Join(empty, "x"):             "there is no folder",
		filepath.Join(alone, "platform.yaml"): "is a file",
		foreign:                               "there is no Platform here",
		alone:                                 "where tenants stand",
	} {
		if _, _, err := AddTenant(t.Context(), dir, TenantAnswers{Name: "web"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", dir, err, want)
		}
	}
	if _, problems, _ := AddTenant(t.Context(), empty, TenantAnswers{Name: "web"}); len(problems) != 1 || problems[0].Rule != problem.SourceEmpty {
		t.Errorf("got %v", problems)
	}
}

// If the last file cannot be moved, those before it are put back.
func TestCommitUndoes(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"old": "old", "full/x": ""})
	if err := os.Chmod(filepath.Join(dir, "old"), 0o640); err != nil {
		t.Fatal(err)
	}
	before := tree(t, dir)
	err := commit(t.Context(), []edit{
		{name: filepath.Join(dir, "new"), data: []byte("new"), mode: 0o644},
		{name: filepath.Join(dir, "old"), data: []byte("new"), old: []byte("old"), mode: 0o640},
		{name: filepath.Join(dir, "full"), data: []byte("new"), old: []byte("old"), mode: 0o644}, // a folder meanwhile
	})
	if err == nil {
		t.Fatal("a file took a folder's place")
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("it changed:\n%s", diff)
	}
	if info, err := os.Stat(filepath.Join(dir, "old")); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	// Somebody else's change is not lost.
	err = commit(t.Context(), []edit{
		{name: filepath.Join(dir, "new"), data: []byte("new"), mode: 0o644},
		{name: filepath.Join(dir, "old"), data: []byte("new"), old: []byte("older"), mode: 0o640},
	})
	if err == nil || !strings.Contains(err.Error(), "was changed meanwhile") {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, tree(t, dir)); diff != "" {
		t.Errorf("it changed:\n%s", diff)
	}
	// What came into being meanwhile is nobody's to replace.
	write(t, dir, map[string]string{"theirs": "theirs"})
	if err := commit(t.Context(), []edit{{name: filepath.Join(dir, "theirs"), data: []byte("new"), mode: 0o644}}); err == nil || read(t, dir, "theirs") != "theirs" {
		t.Errorf("got %v", err)
	}
}

func TestAddResource(t *testing.T) {
	for name, test := range map[string]struct{ before, after string }{
		"lines":           {"a: 1\nresources:\n  - x.yaml # why\n\n# end\nb: 2\n", "a: 1\nresources:\n  - x.yaml # why\n  - t.yaml\n\n# end\nb: 2\n"},
		"not indented":    {"resources:\n- x.yaml\nb: 2\n", "resources:\n- x.yaml\n- t.yaml\nb: 2\n"},
		"wide":            {"resources:\n    -   x.yaml\n", "resources:\n    -   x.yaml\n    -   t.yaml\n"},
		"no end of line":  {"resources:\n- x.yaml", "resources:\n- x.yaml\n- t.yaml\n"},
		"from Windows":    {"resources:\r\n- x.yaml\r\n", "resources:\r\n- x.yaml\r\n- t.yaml\r\n"},
		"quoted":          {"resources:\n- 'x.yaml'\n- \"y.yaml\"\n", "resources:\n- 'x.yaml'\n- \"y.yaml\"\n- t.yaml\n"},
		"in brackets":     {"# a\nresources: [x.yaml, y.yaml] # b\nc: 1\n", "# a\nresources: [x.yaml, y.yaml, t.yaml] # b\nc: 1\n"},
		"none":            {"a: 1 # b\n", "a: 1 # b\nresources:\n- t.yaml\n"},
		"an empty list":   {"resources: []\n", "resources: [t.yaml]\n"},
		"across brackets": {"resources: [\n  x.yaml, # a\n  y.yaml,\n]\n", ""},
		"a text":          {"resources:\n- |\n  x\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := addResource([]byte(test.before), "t.yaml")
			if err != nil {
				t.Fatal(err)
			}
			if test.after != "" && string(got) != test.after {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.after)
			}
			if list, err := resourcesOf(got); err != nil || list[len(list)-1] != "t.yaml" {
				t.Errorf("got %q, %v", list, err)
			}
		})
	}
	for _, bad := range []string{"resources: x\n", "resources: {a: b}\n", "resources: [\n", "resources: [{a: b}]\n"} {
		if got, err := addResource([]byte(bad), "t.yaml"); err == nil {
			t.Errorf("%q became %q", bad, got)
		}
	}
}

func TestAddOwner(t *testing.T) {
	for name, test := range map[string]struct{ before, after string }{
		"nobody behind it": {"", "/tenants/web.yaml @acme/web\n"},
		"the last star":    {"* @a\n* @b @c # d\n", "* @a\n* @b @c # d\n/tenants/web.yaml @acme/web @b @c\n"},
		"no end of line":   {"/x @a", "/x @a\n/tenants/web.yaml @acme/web\n"},
		"the same":         {"* @acme/web\n", "* @acme/web\n/tenants/web.yaml @acme/web\n"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := string(addOwner([]byte(test.before), "", "web", "@acme/web")); got != test.after {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.after)
			}
		})
	}
}
