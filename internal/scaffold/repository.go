package scaffold

import (
	"errors"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// The files that other files, and `init tenant`, speak of.
const (
	platformFile      = "platform.yaml"
	tenantsFolder     = "tenants"
	kustomizationFile = "kustomization.yaml"
	codeownersFile    = "CODEOWNERS"
	schemaFile        = ".eso-tenant/schema.json"
	renderedFolder    = "rendered"
)

// File is one file of a repository, its name with slashes.
type File struct {
	Name  string
	About string // what it is for
	Data  []byte
}

// repositoryData is what the templates of a new repository are filled in with.
type repositoryData struct {
	Answers
	Provider   provider
	Kubernetes string
	Issuer     string

	ESORuns                                     bool
	ESONamespace, ESORelease, ESOServiceAccount string // "" for the default
	HelmRelease, HelmNamespace                  string
	Branch, Prefix, Rendered, SyncPath          string
	NeedsKey                                    bool
	Everything, TenantLine                      string // of CODEOWNERS
	CIFile                                      string
	Version                                     string // of eso-tenant, as go install takes it
}

// tenantData is what a tenant's file is filled in with.
type tenantData struct {
	Schema          string // where the JSON schema is, from the tenant's file; "" for none
	LocalConfig     bool
	Name, Namespace string
	Group           string
	Clusters        []string
	Provider        string // "" for no store
	Vault           bool
	Identity        []pair
}

// New makes the files of a repository, and has them read by the same pipeline
// that will read them there. Answers are complete. version is eso-tenant's own.
// What is wrong with an answer is in UsageErrors; warnings are for the user.
func New(a Answers, r Repository, l Live, version string) (made []File, warnings problem.List, err error) {
	if err := a.Check(); err != nil {
		return nil, nil, err
	}
	d, err := newData(a, r, l, version)
	if err != nil {
		return nil, nil, err
	}
	if made, err = d.files(); err != nil {
		return nil, nil, err
	}
	if warnings, err = check(made); err != nil {
		return nil, nil, err
	}
	return made, warnings, nil
}

func newData(a Answers, r Repository, l Live, version string) (*repositoryData, error) {
	p, err := parseProvider(a.Provider)
	if err != nil {
		return nil, UsageErrors{wrong("--provider", "%s", err.Error())}
	}
	if _, stated := p.options["cluster"]; !stated && p.Kind == "gcpsm" {
		p.options["cluster"] = a.Cluster
	}
	stated := l.ESO.stated()
	d := &repositoryData{
		Answers: a, Provider: p, Kubernetes: l.Kubernetes, Issuer: l.Issuer,
		ESORuns: l.ESO.runs(), ESONamespace: stated.Namespace, ESORelease: stated.Release, ESOServiceAccount: stated.ServiceAccount,
		HelmRelease: l.ESO.helmRelease(), HelmNamespace: l.ESO.helmNamespace(),
		Branch: r.Branch, Prefix: r.Prefix, Version: installable(version),
		Rendered: path.Join(r.Prefix, renderedFolder), SyncPath: "./" + path.Join(r.Prefix, renderedFolder, a.Cluster, "flux"),
		NeedsKey:   strings.HasPrefix(a.URL, "ssh:"),
		Everything: everything(r.Prefix), TenantLine: tenantLine(r.Prefix, a.Tenant, tenantOwners(a)),
		CIFile: ciFile[a.CI],
	}
	if d.Branch == "" {
		d.Branch = defaultBranch
	}
	return d, nil
}

var ciFile = map[CI]string{GitHub: ".github/workflows/eso-tenant.yaml", GitLab: ".gitlab-ci.yml"}

// Chart is the version of ESO as its chart has it.
func (d *repositoryData) Chart() string { return strings.TrimPrefix(d.ESOVersion, "v") }

// installs are the versions that the module proxy has: releases, and go's own
// pseudo-versions of commits.
var installs = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-(alpha|beta|rc)[.0-9]*|-(0\.|[0-9a-z.]+\.0\.)?[0-9]+-[0-9a-f]+)?$`)

// installable is a version that go install takes; of a build of somebody's own
// there is none.
func installable(version string) string {
	if installs.MatchString(version) {
		return version
	}
	return "latest"
}

// files fills all templates in.
func (d *repositoryData) files() ([]File, error) {
	all, err := templates()
	if err != nil {
		return nil, err
	}
	jsonSchema, err := schema.JSONSchema()
	if err != nil {
		return nil, err
	}
	tenant, err := tenantFile(tenantData{
		Schema: "../" + schemaFile, LocalConfig: true, Name: d.Tenant, Namespace: d.Tenant,
		Provider: d.Provider.Entry(), Vault: d.Provider.Kind == "vault", Identity: d.Provider.identity(d.Tenant),
	})
	if err != nil {
		return nil, err
	}
	made := []File{
		{Name: platformFile, About: "ESO, its providers, and what tenants may claim"},
		{Name: tenantPath(d.Tenant), About: "an example of a tenant", Data: tenant},
		{Name: "flux/sync.yaml", About: "lets Flux apply what is rendered"},
		{Name: kustomizationFile, About: "the same with kustomize build"},
		{Name: "expand.yaml", About: "has kustomize run eso-tenant"},
		{Name: codeownersFile, About: "who approves a change"},
		{Name: d.CIFile, About: "checks every change"},
		{Name: ".pre-commit-config.yaml", About: "checks before a commit"},
		{Name: schemaFile, About: "for completion in editors", Data: jsonSchema},
		{Name: "README.md", About: "what comes next"},
	}
	for i, file := range made {
		if file.Data != nil {
			continue
		}
		text, err := execute(all, d.template(file.Name), d)
		if err != nil {
			return nil, err
		}
		made[i].Data = []byte(text)
	}
	return made, nil
}

// template is the one that a file is made from.
func (d *repositoryData) template(file string) string {
	if file == d.CIFile {
		return string(d.CI) + ".yaml.tmpl"
	}
	return strings.TrimPrefix(path.Base(file), ".") + ".tmpl"
}

// tenantPath is where a tenant stands, which the rule tenant-file holds it to.
func tenantPath(tenant string) string { return tenantsFolder + "/" + tenant + ".yaml" }

func tenantFile(d tenantData) ([]byte, error) {
	all, err := templates()
	if err != nil {
		return nil, err
	}
	text, err := execute(all, "tenant.yaml.tmpl", d)
	return []byte(text), err
}

// check has the specifications read as they will be, and says what is wrong by
// the flag that it comes from.
func check(made []File) (problem.List, error) {
	var sources []schema.Source
	for _, file := range made {
		if path.Ext(file.Name) == ".yaml" && (file.Name == platformFile || path.Dir(file.Name) == tenantsFolder) {
			sources = append(sources, schema.Source{File: file.Name, Data: file.Data})
		}
	}
	_, problems := fn.Build(sources)
	return blame(problems, func(p problem.Problem) string {
		if p.Position.File == platformFile {
			return platformArgument(p.Path)
		}
		if strings.Contains(p.Path, ".stores.") {
			return "--provider"
		}
		return "--tenant"
	})
}

// platformArgument is where a field of the Platform is from.
func platformArgument(field string) string {
	switch {
	case field == "spec.externalSecrets.version":
		return "--eso-version"
	case strings.HasPrefix(field, "spec.providers"), strings.HasPrefix(field, "spec.tenantPolicy"):
		return "--provider"
	case strings.HasPrefix(field, "spec.flux"):
		return "DIR"
	case strings.HasPrefix(field, "metadata"):
		return "--cluster"
	default:
		return "--live"
	}
}

// blame parts problems into warnings, and errors of the command line.
func blame(problems problem.List, argument func(problem.Problem) string) (warnings problem.List, err error) {
	var all UsageErrors
	for _, p := range problems {
		if !p.IsError() {
			warnings = append(warnings, p)
			continue
		}
		message := p.Message
		if p.Hint != "" {
			message += "; " + p.Hint
		}
		all = append(all, wrong(argument(p), "%s", message))
	}
	if len(all) > 0 {
		return nil, all
	}
	return warnings, nil
}

// OutsideRoot says what of a repository works at the root of its git repository
// only, or "" where that is where it is.
func (r Repository) OutsideRoot(a Answers) string {
	if r.Prefix == "" {
		return ""
	}
	return ciFile[a.CI] + ", " + codeownersFile + " and .pre-commit-config.yaml work at the root of the git repository only; move them there from " + filepath.FromSlash(r.Prefix)
}

// errNothing is for a repository that has nothing to add to.
var errNothing = errors.New("there is no Platform here; `eso-tenant init` makes a repository with one")
