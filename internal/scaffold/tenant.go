package scaffold

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// TenantAnswers is what a new tenant has to know, flag by flag.
type TenantAnswers struct {
	Name      string
	Namespace string // "" for the tenant's name
	Provider  string // "" for the only one
	Identity  []string
	Group     string // "" for no member
	Owner     string // "" for no line in CODEOWNERS
	Clusters  []string
}

// Added is what adding a tenant changed, or left alone.
type Added struct {
	Files    []string
	Notes    []string
	Warnings problem.List
}

// AddTenant adds a tenant to the repository in dir. The repository is checked
// before and with it; problems are those that it has already. Every file is
// made beside its place and moved there when all of them are whole.
func AddTenant(ctx context.Context, dir string, a TenantAnswers) (added *Added, problems problem.List, err error) {
	identity, err := a.check()
	if err != nil {
		return nil, nil, err
	}
	h, problems, err := readHome(dir)
	if err != nil || problems.Errors() > 0 {
		return nil, problems, err
	}
	if err := h.isNew(a.Name); err != nil {
		return nil, nil, err
	}
	d, err := h.data(a, identity)
	if err != nil {
		return nil, nil, err
	}
	added = &Added{}
	edits, err := h.edits(ctx, a, added)
	if err != nil {
		return nil, nil, err
	}
	d.LocalConfig = slices.ContainsFunc(edits, func(e edit) bool { return e.kustomization })
	content, err := tenantFile(d)
	if err != nil {
		return nil, nil, err
	}
	if added.Warnings, err = h.checkWith(a, content); err != nil {
		return nil, nil, err
	}
	edits = append([]edit{{name: h.path(tenantPath(a.Name)), data: content, mode: 0o644}}, edits...)
	if err := commit(ctx, edits); err != nil {
		return nil, nil, err
	}
	for _, e := range edits {
		added.Files = append(added.Files, e.name)
	}
	return added, nil, nil
}

// check looks at each answer by itself.
func (a *TenantAnswers) check() (identity []pair, err error) {
	var all UsageErrors
	if err := CheckName(a.Name); err != nil {
		all = append(all, wrong("NAME", "%s", err.Error()))
	}
	if a.Namespace == "" {
		a.Namespace = a.Name
	} else if err := CheckName(a.Namespace); err != nil {
		all = append(all, wrong("--namespace", "%s", err.Error()))
	}
	if a.Owner != "" {
		if err := CheckOwner(a.Owner); err != nil {
			all = append(all, wrong("--owner", "%s", err.Error()))
		}
	}
	for _, text := range a.Identity {
		key, value, _ := strings.Cut(text, "=")
		if key == "" || value == "" {
			all = append(all, wrong("--identity", "%s is not KEY=VALUE", problem.Quote(text)))
		}
		if slices.ContainsFunc(identity, func(p pair) bool { return p.Key == key }) {
			all = append(all, wrong("--identity", "%s is there twice", problem.Quote(key)))
		}
		identity = append(identity, pair{Key: key, Value: value})
	}
	if len(all) > 0 {
		return nil, all
	}
	return identity, nil
}

// home is the repository that a tenant comes to.
type home struct {
	dir     string
	sources []schema.Source
	spec    *schema.Spec
	known   problem.List // warnings that were there before
}

// readHome reads a repository, which has to be fine by itself.
func readHome(dir string) (*home, problem.List, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil, fmt.Errorf("there is no folder %s", problem.Quote(dir))
	case err != nil:
		return nil, nil, fmt.Errorf("looking at the folder: %w", err)
	case !info.IsDir():
		return nil, nil, fmt.Errorf("%s is a file, and a repository is a folder", problem.Quote(dir))
	}
	sources, unread := fn.ReadSources([]string{dir}, nil)
	spec, problems, _ := schema.Decode(sources)
	if problems = append(unread, problems...); problems.Errors() > 0 {
		return nil, problems, nil
	}
	h := &home{dir: dir, sources: sources, spec: spec, known: problems}
	if len(spec.Clusters) == 0 {
		return nil, nil, errNothing
	}
	if info, err := os.Lstat(h.path(tenantsFolder)); err != nil || !info.IsDir() {
		return nil, nil, fmt.Errorf("there is no folder %s, where tenants stand; make it, or name the folder that has it", problem.Quote(h.path(tenantsFolder)))
	}
	return h, nil, nil
}

func (h *home) path(name string) string { return filepath.Join(h.dir, filepath.FromSlash(name)) }

// isNew refuses a tenant that is there, or whose place is taken.
func (h *home) isNew(name string) error {
	for _, c := range h.spec.Clusters {
		for _, t := range c.Tenants {
			if t.Name == name {
				return fmt.Errorf("tenant %s is there already, at %s", problem.Quote(name), t.Position)
			}
		}
	}
	for _, taken := range []string{".yaml", ".yml", ".json", ""} {
		place := h.path(tenantsFolder + "/" + name + taken)
		if _, err := os.Lstat(place); !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is there already, and is tenant %s's place", problem.Quote(place), problem.Quote(name))
		}
	}
	return nil
}

// data chooses what nobody has answered, where there is one choice only.
func (h *home) data(a TenantAnswers, identity []pair) (tenantData, error) {
	d := tenantData{Name: a.Name, Namespace: a.Namespace, Group: a.Group, Clusters: slices.Compact(slices.Sorted(slices.Values(a.Clusters))), Provider: a.Provider, Identity: identity}
	if _, err := os.Stat(h.path(schemaFile)); err == nil {
		d.Schema = "../" + schemaFile
	}
	if len(h.spec.Clusters) > 1 && len(d.Clusters) == 0 {
		return d, UsageErrors{wrong("--clusters", "there are several Platforms; name some of %s", problem.QuoteAll(h.clusters()))}
	}
	for _, name := range d.Clusters {
		if !slices.Contains(h.clusters(), name) {
			return d, UsageErrors{wrong("--clusters", "%s is none of the Platforms %s", problem.Quote(name), problem.QuoteAll(h.clusters()))}
		}
	}
	shared := h.providers(d.Clusters)
	names := slices.Sorted(maps.Keys(shared))
	if d.Provider == "" {
		switch len(names) {
		case 0:
		case 1:
			d.Provider = names[0]
		default:
			return d, UsageErrors{wrong("--provider", "there are several in the catalogue; name one of %s", problem.QuoteAll(names))}
		}
	}
	if d.Provider == "" && len(identity) > 0 {
		return d, UsageErrors{wrong("--identity", "there is no provider that it could be for")}
	}
	if p := shared[d.Provider]; p != nil {
		d.Vault = p.Method.Provider == "vault"
	}
	return d, nil
}

func (h *home) clusters() []string {
	names := make([]string, len(h.spec.Clusters))
	for i, c := range h.spec.Clusters {
		names[i] = c.Platform.Name
	}
	return names
}

// providers are those that are in the catalogues of all the clusters.
func (h *home) providers(clusters []string) map[string]*schema.Provider {
	var shared map[string]*schema.Provider
	for _, c := range h.spec.Clusters {
		switch {
		case len(clusters) > 0 && !slices.Contains(clusters, c.Platform.Name):
		case shared == nil:
			shared = maps.Clone(c.Platform.Providers)
		default:
			maps.DeleteFunc(shared, func(name string, _ *schema.Provider) bool { return c.Platform.Providers[name] == nil })
		}
	}
	return shared
}

// checkWith has the repository read with the new tenant in it.
func (h *home) checkWith(a TenantAnswers, content []byte) (problem.List, error) {
	file := h.path(tenantPath(a.Name))
	_, problems := fn.Build(append(slices.Clone(h.sources), schema.Source{File: file, Data: content}))
	fresh := slices.DeleteFunc(problems, func(p problem.Problem) bool {
		return slices.ContainsFunc(h.known, func(old problem.Problem) bool { return old.Line() == p.Line() })
	})
	// What it does to others is told only where it is right by itself.
	own := slices.DeleteFunc(slices.Clone(fresh), func(p problem.Problem) bool { return p.Position.File != file })
	if own.Errors() > 0 {
		fresh = own
	}
	return blame(fresh, func(p problem.Problem) string { return tenantArgument(p.Path) })
}

// tenantArgument is where a field of a tenant is from.
func tenantArgument(field string) string {
	switch {
	case strings.Contains(field, ".identity"):
		return "--identity"
	case strings.Contains(field, ".stores."):
		return "--provider"
	case strings.HasPrefix(field, "spec.namespaces"):
		return "--namespace"
	case strings.HasPrefix(field, "spec.members"):
		return "--group"
	case strings.HasPrefix(field, "spec.clusters"):
		return "--clusters"
	default:
		return "NAME"
	}
}

// edit is one file as it is to be. Without old, it must not be there yet.
type edit struct {
	name          string
	data, old     []byte
	mode          fs.FileMode
	kustomization bool
}

// edits are the changes to files that list tenants, where there are such.
func (h *home) edits(ctx context.Context, a TenantAnswers, added *Added) ([]edit, error) {
	var edits []edit
	kustomization, note, err := h.listed(a.Name)
	if err != nil {
		return nil, err
	}
	if kustomization != nil {
		edits = append(edits, *kustomization)
	}
	if note != "" {
		added.Notes = append(added.Notes, note)
	}
	if a.Owner == "" {
		return edits, nil
	}
	owners, err := h.first("CODEOWNERS", ".github/CODEOWNERS", "docs/CODEOWNERS", ".gitlab/CODEOWNERS")
	switch {
	case err != nil:
		return nil, err
	case owners == nil:
		added.Notes = append(added.Notes, "there is no CODEOWNERS to name "+a.Owner+" in")
	default:
		owners.data = addOwner(owners.old, Git(ctx, h.dir).Prefix, a.Name, a.Owner)
		edits = append(edits, *owners)
	}
	return edits, nil
}

// first reads the first of some files that is there; nil for none.
func (h *home) first(names ...string) (*edit, error) {
	for _, name := range names {
		full := h.path(name)
		info, err := os.Lstat(full)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return nil, fmt.Errorf("looking at %s: %w", full, err)
		case !info.Mode().IsRegular():
			return nil, fmt.Errorf("%s is no regular file", problem.Quote(full))
		}
		old, err := os.ReadFile(full)
		if err != nil {
			return nil, fmt.Errorf("reading a file: %w", err)
		}
		return &edit{name: full, old: old, mode: info.Mode().Perm()}, nil
	}
	return nil, nil //nolint:nilnil // no file is no mistake
}

// listed adds the tenant to the kustomization that lists the others, in the
// tenants' folder or beside it. One that lists none of them is for something
// else, and a Tenant among its resources would go to the cluster.
func (h *home) listed(tenant string) (found *edit, note string, err error) {
	for _, folder := range []string{tenantsFolder, "."} {
		var names []string
		for _, name := range kustomizationNames {
			names = append(names, path.Join(folder, name))
		}
		found, err = h.first(names...)
		if err != nil {
			return nil, "", err
		}
		if found == nil {
			continue
		}
		resources, err := resourcesOf(found.old)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", found.name, err)
		}
		if !slices.ContainsFunc(resources, func(r string) bool { return h.isSpecification(path.Join(folder, r)) }) {
			note = found.name + " lists none of the specifications, and stays as it is"
			continue
		}
		entry := tenant + ".yaml"
		if folder == "." {
			entry = tenantPath(tenant)
		}
		if found.data, err = addResource(found.old, entry); err != nil {
			return nil, "", fmt.Errorf("%s: %w", found.name, err)
		}
		found.kustomization = true
		return found, "", nil
	}
	return nil, note, nil
}

// isSpecification tells whether a file holds a Platform or a Tenant.
func (h *home) isSpecification(name string) bool {
	full := h.path(name)
	return slices.ContainsFunc(h.spec.Clusters, func(c *schema.Cluster) bool {
		return c.Platform.Position.File == full || slices.ContainsFunc(c.Tenants, func(t *schema.Tenant) bool { return t.Position.File == full })
	})
}

// commit makes all files beside their places, and then moves them. If one
// cannot be moved, those before it are put back.
func commit(ctx context.Context, edits []edit) (err error) {
	var staged []string
	defer func() {
		for _, name := range staged {
			_ = os.Remove(name)
		}
	}()
	for _, e := range edits {
		name, err := stageFile(e.name, e.data, e.mode)
		if err != nil {
			return err
		}
		staged = append(staged, name)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("adding the tenant: %w", err)
	}
	for i, e := range edits {
		if err := e.move(staged[i]); err != nil {
			return errors.Join(err, undo(edits[:i]))
		}
	}
	return nil
}

func (e edit) move(staged string) error {
	if e.old == nil {
		return moveNew(staged, e.name)
	}
	if now, err := os.ReadFile(e.name); err != nil || !bytes.Equal(now, e.old) {
		return fmt.Errorf("%s was changed meanwhile; run this once more", problem.Quote(e.name))
	}
	if err := os.Rename(staged, e.name); err != nil {
		return fmt.Errorf("moving a file into place: %w", err)
	}
	return nil
}

func undo(edits []edit) error {
	var all error
	for _, e := range slices.Backward(edits) {
		if e.old == nil {
			all = errors.Join(all, os.Remove(e.name))
			continue
		}
		staged, err := stageFile(e.name, e.old, e.mode)
		if err == nil {
			err = os.Rename(staged, e.name)
		}
		all = errors.Join(all, err)
	}
	return all
}
