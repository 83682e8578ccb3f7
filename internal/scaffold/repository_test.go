package scaffold

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/schema"
)

// providers are a --provider of every kind, and one with all its options.
var providers = []string{
	"vault", "aws", "azurekv", "gcpsm", "kubernetes",
	"vault=https://vault.acme.dev:8200", "aws=us-gov-west-1,account=999999999999",
	"azurekv=https://acme.vault.azure.net,tenant=5e5f1f3e-0000-4000-8000-000000000000",
	"gcpsm=acme,location=us-central1,cluster=prod", "kubernetes=https://hub.acme.dev:6443,namespace=shared",
}

func TestNewBuilds(t *testing.T) {
	if got := slices.Sorted(maps.Keys(kinds)); !slices.Equal(got, Kinds()) || len(got) != 5 {
		t.Errorf("kinds %q are not all tested", got)
	}
	for _, p := range providers {
		t.Run(p, func(t *testing.T) {
			dir := repository(t, Answers{Provider: p})
			var stream bytes.Buffer
			if err := vetted(t, dir).WriteStream(t.Context(), &stream); err != nil {
				t.Fatal(err)
			}
			if strings.Count(stream.String(), "kind: SecretStore") != 1 {
				t.Errorf("there is no store:\n%s", &stream)
			}
			// As values: kustomize wraps long lines.
			if diff := cmp.Diff(documents(t, stream.String()), documents(t, kustomized(t, dir))); diff != "" {
				t.Errorf("kustomize makes something else than render:\n%s", diff)
			}
		})
	}
}

// What CI does after a render: nothing of rendered/ is read as a specification,
// and a second render is the same.
func TestNewRendersTwice(t *testing.T) {
	dir := repository(t, Answers{})
	rendered := filepath.Join(dir, "rendered")
	if err := vetted(t, dir).WriteFolder(t.Context(), rendered); err != nil {
		t.Fatal(err)
	}
	before := tree(t, rendered)
	if err := vetted(t, dir).WriteFolder(t.Context(), rendered); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, tree(t, rendered)); diff != "" {
		t.Error(diff)
	}
	// The root of Flux leads to what was rendered.
	sync := read(t, dir, "flux/sync.yaml")
	path := regexp.MustCompile(`(?m)^  path: (.*)$`).FindStringSubmatch(sync)
	if path == nil {
		t.Fatalf("there is no path in:\n%s", sync)
	}
	if _, err := os.Stat(filepath.Join(dir, path[1], "kustomization.yaml")); err != nil {
		t.Error(err)
	}
}

var modeline = regexp.MustCompile(`^# yaml-language-server: \$schema=(\S+)\n`)

// Editors find the schema, and it has nothing against the file that it opens.
func TestNewInEditor(t *testing.T) {
	for _, p := range providers {
		dir := repository(t, Answers{Provider: p})
		for _, name := range []string{platformFile, "tenants/team-a.yaml"} {
			text := read(t, dir, name)
			found := modeline.FindStringSubmatch(text)
			if found == nil {
				t.Fatalf("%s has no modeline:\n%s", name, text)
			}
			compiled, err := jsonschema.NewCompiler().Compile(filepath.Join(dir, filepath.Dir(name), found[1]))
			if err != nil {
				t.Fatal(err)
			}
			var value any
			if err := yaml.Unmarshal([]byte(text), &value); err != nil {
				t.Fatal(err)
			}
			if err := compiled.Validate(value); err != nil {
				t.Errorf("%s with %s: %v", name, p, err)
			}
		}
	}
}

// Every YAML file is YAML, and nothing is left of a template.
func TestNewParses(t *testing.T) {
	for _, ci := range []CI{GitHub, GitLab} {
		for _, file := range made(t, Answers{CI: ci}, Repository{Prefix: "clusters/fences"}, Live{}) {
			if strings.Contains(string(file.Data), "[[") && file.Name != schemaFile {
				t.Errorf("%s:\n%s", file.Name, file.Data)
			}
			if !bytes.HasSuffix(file.Data, []byte("\n")) || bytes.Contains(file.Data, []byte(" \n")) || bytes.Contains(file.Data, []byte("\n\n\n")) {
				t.Errorf("%s has spaces or lines too many:\n%s", file.Name, file.Data)
			}
			if ext := filepath.Ext(file.Name); ext != ".yaml" && ext != ".yml" {
				continue
			}
			for decoder := yaml.NewDecoder(bytes.NewReader(file.Data)); ; {
				var value map[string]any
				err := decoder.Decode(&value)
				if errors.Is(err, io.EOF) {
					break
				}
				if err != nil || len(value) == 0 {
					t.Fatalf("%s: %v\n%s", file.Name, err, file.Data)
				}
			}
		}
	}
}

func TestNewForGit(t *testing.T) {
	files := made(t, Answers{}, Repository{
		URL: "https://gitlab.acme.dev/plat/fences.git", Branch: "trunk", Prefix: "clusters/eu", host: "gitlab.acme.dev", owner: "plat",
	}, Live{})
	for name, want := range map[string][]string{
		".gitlab-ci.yml": {"- cd clusters/eu\n", "eso-tenant@v1.2.3\n", "--format junit"},
		"flux/sync.yaml": {"url: https://gitlab.acme.dev/plat/fences.git\n", "branch: trunk}", "path: ./clusters/eu/rendered/main/flux\n"},
		"CODEOWNERS":     {"\n/clusters/eu/ @plat/platform-team\n", "\n/clusters/eu/tenants/team-a.yaml @plat/team-a @plat/platform-team\n"},
		"platform.yaml":  {"path: clusters/eu/rendered\n"},
	} {
		for _, text := range want {
			if got := content(t, files, name); !strings.Contains(got, text) {
				t.Errorf("%s has no %q:\n%s", name, text, got)
			}
		}
	}
}

func TestNewForGitHub(t *testing.T) {
	workflow := content(t, made(t, Answers{}, Repository{Branch: "trunk", Prefix: "eu"}, Live{}), ".github/workflows/eso-tenant.yaml")
	for _, want := range []string{"branches: [trunk]\n", "working-directory: eu\n", "contents: read\n", "eso-tenant@v1.2.3\n", "--format github\n"} {
		if !strings.Contains(workflow, want) {
			t.Errorf("there is no %q:\n%s", want, workflow)
		}
	}
	// A tag can be moved to other code; a commit cannot.
	for _, uses := range regexp.MustCompile(`uses: \S+`).FindAllString(workflow, -1) {
		if !regexp.MustCompile(`@[0-9a-f]{40}$`).MatchString(uses) {
			t.Errorf("%s is not pinned", uses)
		}
	}
}

func TestNewForLive(t *testing.T) {
	live := Live{
		Name: "eu-1", Kubernetes: "1.34", Issuer: "https://oidc.acme.dev/eu-1",
		ESO: Operator{Namespace: "eso", Release: "eso", ServiceAccount: "own", Version: "v2.7.0"},
	}
	files := made(t, Answers{}, Repository{}, live)
	platform := content(t, files, platformFile)
	for _, want := range []string{
		"  name: eu-1 ", "kubernetes: \"1.34\"\n", "issuer: https://oidc.acme.dev/eu-1 ", "version: v2.7.0 ",
		"namespace: eso\n", "release: eso\n", "serviceAccount: own\n", "enforcement: observe\n",
	} {
		if !strings.Contains(platform, want) {
			t.Errorf("there is no %q:\n%s", want, platform)
		}
	}
	if readme := content(t, files, "README.md"); !strings.Contains(readme, "helm upgrade eso external-secrets/external-secrets -n eso \\\n     --version 2.7.0 ") {
		t.Errorf("it upgrades another release:\n%s", readme)
	}
	// What is the default is not repeated, and what a flag says holds.
	live.ESO = Operator{Namespace: "external-secrets", Release: "external-secrets", ServiceAccount: "external-secrets", Version: "v2.7.0"}
	platform = content(t, made(t, Answers{Cluster: "other", ESOVersion: "v2.9.0"}, Repository{}, live), platformFile)
	if strings.Contains(platform, "namespace: external") || strings.Contains(platform, "release:") || !strings.Contains(platform, "name: other ") || !strings.Contains(platform, "version: v2.9.0 ") {
		t.Errorf("got:\n%s", platform)
	}
}

// What is wrong is said by the flag that it comes from, and nothing is made.
func TestNewRefuses(t *testing.T) {
	tests := map[string]struct {
		answers Answers
		live    Live
		want    string
	}{
		"cluster":        {answers: Answers{Cluster: "Eu_1"}, want: `--cluster: "Eu_1" is no name`},
		"tenant":         {answers: Answers{Tenant: "../x"}, want: `--tenant: "../x" is no name`},
		"tenant's":       {answers: Answers{Tenant: "platform"}, want: `--tenant: no tenant can be called "platform"`},
		"reserved":       {answers: Answers{Tenant: "kube-x"}, want: `--tenant: namespace "kube-x" is the cluster's own`},
		"version":        {answers: Answers{ESOVersion: "v9"}, want: `--eso-version: the roles of External Secrets Operator "v9" are not known; known are 0.9.0 to`},
		"owner's line":   {answers: Answers{Owner: "x\n* @evil"}, want: `--owner: "x\n* @evil" is no owner`},
		"owner's second": {answers: Answers{Owner: "@a @evil"}, want: `--owner: "@a @evil" is no owner`},
		"url":            {answers: Answers{URL: "ftp://h/x"}, want: "--url: this is no repository"},
		"url's line":     {answers: Answers{URL: "https://h/x\nevil: 1"}, want: "--url: this is no repository"},
		"ci":             {answers: Answers{CI: "jenkins"}, want: `--ci: "jenkins" is neither github nor gitlab`},
		"kind":           {answers: Answers{Provider: "voult"}, want: `--provider: "voult" is no kind`},
		"no value":       {answers: Answers{Provider: "vault="}, want: "--provider: vault= is empty; write vault=URL"},
		"value":          {answers: Answers{Provider: "vault=vault.acme.dev"}, want: `--provider: "vault.acme.dev" is not an http or https URL`},
		"value's line":   {answers: Answers{Provider: "vault=https://a\nevil: 1"}, want: `--provider: "https://a\nevil: 1" is not`},
		"region":         {answers: Answers{Provider: "aws=mars"}, want: `--provider: "mars" is not an AWS region`},
		"account":        {answers: Answers{Provider: "aws=eu-west-1,account=12"}, want: `--provider: "arn:aws:iam::12:role/team-a-secrets" is not`},
		"option":         {answers: Answers{Provider: "aws=eu-west-1,acount=12"}, want: `--provider: aws has no option "acount"; it has account`},
		"option's value": {answers: Answers{Provider: "gcpsm=x,location=a: b"}, want: `--provider: option location of gcpsm is "a: b"`},
		"project":        {answers: Answers{Provider: "gcpsm=a: b"}, want: `--provider: "a: b" is no project`},
		"live":           {live: Live{ESO: Operator{Namespace: "a: b\nevil: 1"}}, want: `--live: "a: b\nevil: 1" is not a DNS label`},
		"live's version": {live: Live{ESO: Operator{Version: "v9.9.9"}}, want: "--eso-version: the roles of"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.answers.Complete(Repository{}, test.live)
			files, _, err := New(test.answers, Repository{}, test.live, "")
			usage := UsageErrors(nil)
			if !errors.As(err, &usage) || len(usage) != 1 || !strings.HasPrefix(usage[0].Error(), test.want) || files != nil {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// All mistakes are told in one run, and no password.
func TestNewRefusesAll(t *testing.T) {
	_, _, err := New(complete(Answers{Cluster: "A", Tenant: "B", URL: "https://joe:secret@h/x?token=secret"}), Repository{}, Live{}, "")
	if usage := UsageErrors(nil); !errors.As(err, &usage) || len(usage) != 3 || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestCheckURL(t *testing.T) {
	for url, fine := range map[string]bool{
		"https://github.com/acme/x": true, "ssh://git@github.com/acme/x.git": true, "http://git.lan:3000/x": true,
		"https://joe@h/x": false, "ssh://git:secret@h/x": false, "https://h/x?a": false, "https://h/x#a": false, "https://h/x?": false,
		"git@github.com:acme/x.git": false, "/srv/x": false, "https:///x": false, "https://h/a b": false, "": false,
	} {
		if got := CheckURL(url) == nil; got != fine {
			t.Errorf("%s: fine %t, want %t", url, got, fine)
		}
	}
}

func TestInstallable(t *testing.T) {
	for version, want := range map[string]string{
		"v1.2.3": "v1.2.3", "v1.2.3-rc.1": "v1.2.3-rc.1", "v0.0.0-20261124110000-0123456789ab": "v0.0.0-20261124110000-0123456789ab",
		"v1.2.4-0.20261124110000-0123456789ab": "v1.2.4-0.20261124110000-0123456789ab",
		// Builds of one's own, which no proxy has.
		"dev": "latest", "(devel)": "latest", "": "latest", "v1.2.3-5-g0123456": "latest", "v1.2.3-dirty": "latest", "v0.0.0-20261124110000-0123456789ab+dirty": "latest",
	} {
		if got := installable(version); got != want {
			t.Errorf("%s: got %s, want %s", version, got, want)
		}
	}
}

// The notes name what is made up, and nothing else.
func TestGuesses(t *testing.T) {
	a := Answers{}
	if got := strings.Join(a.Complete(Repository{}, Live{}), "\n"); !strings.Contains(got, "--owner") || !strings.Contains(got, "--url") {
		t.Errorf("got %q", got)
	}
	if got := strings.Join(a.MadeUp(), "\n"); !strings.Contains(got, "--provider vault=URL") {
		t.Errorf("got %q", got)
	}
	a = Answers{Owner: "@acme/platform", URL: "https://h/x", Provider: "aws=eu-west-1"}
	if got := a.Complete(Repository{}, Live{}); len(got) > 0 {
		t.Errorf("got %q", got)
	}
	if got := strings.Join(a.MadeUp(), "\n"); !strings.Contains(got, "--provider aws=REGION,account=…") {
		t.Errorf("got %q", got)
	}
	a.Provider = "aws=eu-west-1,account=999999999999"
	if got := a.MadeUp(); len(got) > 0 {
		t.Errorf("got %q", got)
	}
}

func TestSchemaFile(t *testing.T) {
	want, err := schema.JSONSchema()
	if err != nil {
		t.Fatal(err)
	}
	if got := content(t, made(t, Answers{}, Repository{}, Live{}), schemaFile); got != string(want) {
		t.Error("the schema is another one")
	}
}
