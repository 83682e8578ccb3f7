// Package schema reads the specification: YAML or JSON sources in, a resolved
// Spec and a list of problems out. The schema itself is CUE, in schema.cue,
// embedded and exported as CUE; what CUE cannot say (what holds between
// documents, what a Platform allows its tenants) is checked here in Go.
package schema

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// The kinds that are read.
const (
	kindPlatform  = "Platform"
	kindTenant    = "Tenant"
	kindTenantSet = "TenantSet"
)

// decoder collects what the sources of one run hold.
type decoder struct {
	problems  problem.List
	dropped   int // problems beyond maxProblems
	docs      int
	unread    bool // something that could have been a Platform was not read
	foreign   int
	validator validator
	platforms []*Platform
	tenants   []*claim
	names     map[string]problem.Position // kind/name → where it was first seen
	cue       cueBounds
}

// claim is a tenant as its file states it, before any Platform looked at it.
type claim struct {
	name     string
	spec     *node
	doc      *document
	path     string // of spec, in its document
	position problem.Position
	clusters []string // of a TenantSet: the set's own Platform
	trusted  bool     // the Platform's own: no policy holds it
	on       []string // the Platforms it was found to live on
}

// Decode reads the sources and resolves them. It returns a Spec in any case,
// with what could be read, and all problems found; where one of them is an
// error, the Spec must not be rendered. Documents of other kinds are left
// alone and counted in foreign.
func Decode(sources []Source) (spec *Spec, problems problem.List, foreign int) {
	return (&Memory{}).Decode(sources)
}

// Decode is as the function of that name, and asks CUE only about what it has
// not accepted already in the call before.
func (m *Memory) Decode(sources []Source) (spec *Spec, problems problem.List, foreign int) {
	dec := &decoder{names: map[string]problem.Position{}, cue: maxCUE}
	dec.validator.memory = m
	if m.MaxCUEBytes > 0 {
		dec.cue.memory = m.MaxCUEBytes
	}
	defer m.turn()
	return dec.decode(sources)
}

func (dec *decoder) decode(sources []Source) (spec *Spec, problems problem.List, foreign int) {
	for _, src := range sources {
		if isCUE(src) {
			continue
		}
		for _, doc := range dec.documents(src) {
			dec.document(doc)
		}
	}
	cueSources := dec.readCUE(sources)
	folders := cueSources.platforms(dec.platformFolders())
	for _, folder := range folders {
		for _, doc := range cueSources.documents(folder) {
			dec.document(doc)
		}
	}
	spec = dec.resolve()
	for _, folder := range folders {
		cueSources.rules(folder)
	}
	cueSources.unused()
	if dec.dropped > 0 {
		dec.problems = append(dec.problems, problem.Problem{
			Rule: problem.TooManyProblems, Position: dec.problems[len(dec.problems)-1].Position,
			Message: fmt.Sprintf("%d more problems are not shown", dec.dropped),
		})
	}
	return spec, dec.problems.Sorted(), dec.foreign
}

// platformFolders are the folders of the files that Platforms were read from.
func (dec *decoder) platformFolders() map[string]bool {
	dirs := map[string]bool{}
	for _, p := range dec.platforms {
		if p.doc.file != "" && p.doc.file != "-" {
			dirs[path.Dir(slashed(p.doc.file))] = true
		}
	}
	return dirs
}

func (dec *decoder) report(p problem.Problem) {
	if len(dec.problems) >= maxProblems {
		dec.dropped++
		return
	}
	dec.problems = append(dec.problems, p)
}

// document sorts one document by its kind.
func (dec *decoder) document(doc *document) {
	kind, ok := dec.kindOf(doc)
	if !ok {
		return
	}
	if doc.file == "" {
		doc.subject = kind + "/" + doc.root.get("metadata").get("name").str()
	}
	switch kind {
	case kindPlatform:
		dec.validate(doc, "#Platform", "", doc.root)
		dec.platform(doc, doc.root.get("metadata").get("name"), doc.root.get("spec"), "spec")
	case kindTenant:
		dec.validate(doc, "#Tenant", "", doc.root)
		dec.tenant(doc, doc.root.get("metadata").get("name"), doc.root.get("spec"), "spec", nil)
	case kindTenantSet:
		dec.tenantSet(doc)
	}
}

// kindOf tells which of our kinds a document is. A document of another API
// group is left alone, unless it looks like one of ours gone wrong: a tenant
// that is silently not read would be a tenant that is silently taken away.
func (dec *decoder) kindOf(doc *document) (string, bool) {
	apiVersion, kind := doc.root.get("apiVersion"), doc.root.get("kind")
	foundGroup, foundVersion, _ := strings.Cut(apiVersion.str(), "/")
	ourKind := slices.Contains([]string{kindPlatform, kindTenant, kindTenantSet}, kind.str())
	switch {
	case doc.root.kind != mapNode:
		dec.reportKind(doc, doc.root, problem.KindUnknown, "there is "+doc.root.kind.String()+" here; a document is a Platform, a Tenant or a TenantSet", "")
	case foundGroup == group && apiVersion.str() != APIVersion:
		dec.reportKind(doc, apiVersion, problem.VersionUnsupported, "version "+problem.Quote(foundVersion)+" of "+group+" is not known", "write apiVersion: "+APIVersion)
	case apiVersion.str() == "" || kind.str() == "":
		dec.reportKind(doc, doc.root, problem.KindUnknown, "this document has no apiVersion or no kind", "a specification begins with apiVersion: "+APIVersion)
	case foundGroup == group && ourKind:
		return kind.str(), true
	case foundGroup == group && slices.Contains(functionKinds, kind.str()):
		// It tells kustomize how to run the function, and says nothing of tenants.
	case foundGroup == group:
		hint := "kinds are Platform, Tenant and TenantSet"
		if near := Nearest(kind.str(), []string{kindPlatform, kindTenant, kindTenantSet}); near != "" {
			hint = "did you mean " + near + "?"
		}
		dec.reportKind(doc, kind, problem.KindUnknown, "kind "+problem.Quote(kind.str())+" is not one of "+group, hint)
	case editDistance(foundGroup, group, 5) < 5:
		dec.reportKind(doc, apiVersion, problem.KindUnknown, "API group "+problem.Quote(foundGroup)+" is not known", "did you mean "+APIVersion+"?")
	default:
		dec.foreign++
	}
	return "", false
}

func (dec *decoder) reportKind(doc *document, n *node, rule problem.Rule, message, hint string) {
	dec.unread = true
	dec.report(problem.Problem{Rule: rule, Position: doc.position(n), Message: message, Hint: hint})
}

// tenantSet takes a TenantSet apart. Its tenants are checked one by one, so
// that a mistake in one hides nothing in another.
func (dec *decoder) tenantSet(doc *document) {
	spec := doc.root.get("spec")
	tenants, platform := spec.get("tenants"), spec.get("platform")
	dec.validate(doc, "#TenantSetEnvelope", "", envelope(doc.root))
	var clusters []string
	if platform != nil && platform.kind == mapNode {
		dec.validate(doc, "#SetPlatform", "spec.platform", platform)
		dec.platform(doc, platform.get("name"), platform, "spec.platform")
		clusters = []string{platform.get("name").str()}
	} else {
		dec.unread = true
	}
	for _, e := range tenants.keys() {
		at := join("spec.tenants", e.key)
		name := keyNode(&e)
		if e.value.kind == mapNode {
			dec.validate(doc, "#TenantSpec", at, e.value)
		}
		dec.tenant(doc, name, e.value, at, clusters)
	}
}

// envelope copies a TenantSet with the content of its platform and of each
// tenant left out.
func envelope(root *node) *node {
	return root.with("spec", func(spec *node) *node {
		return spec.with("platform", emptied).with("tenants", func(tenants *node) *node {
			copied := *tenants
			copied.entries = slices.Clone(tenants.entries)
			for i := range copied.entries {
				copied.entries[i].value = emptied(copied.entries[i].value)
			}
			return &copied
		})
	})
}

// emptied is a map without its entries, or the value itself where it is none.
func emptied(n *node) *node {
	if n.kind != mapNode {
		return n
	}
	copied := *n
	copied.entries = nil
	return &copied
}

// platform reads a Platform, whether or not the schema found mistakes in it.
func (dec *decoder) platform(doc *document, name, spec *node, path string) {
	if name.str() == "" || spec == nil || spec.kind != mapNode {
		dec.unread = true
		return
	}
	if dec.duplicate(doc, kindPlatform, name) {
		return
	}
	dec.checkPlatformFile(doc, name)
	dec.platforms = append(dec.platforms, dec.readPlatform(doc, name, spec, path))
}

// tenant keeps a Tenant until all Platforms are known.
func (dec *decoder) tenant(doc *document, name, spec *node, at string, clusters []string) {
	if name.str() == "" || spec == nil || spec.kind != mapNode {
		return
	}
	if dec.duplicate(doc, kindTenant, name) {
		return
	}
	dec.checkFile(doc, name)
	dec.tenants = append(dec.tenants, &claim{
		name: name.str(), spec: spec, doc: doc, path: at, position: doc.position(name), clusters: clusters,
	})
}

// duplicate reports the second object of a kind and name.
func (dec *decoder) duplicate(doc *document, kind string, name *node) bool {
	key := kind + "/" + name.str()
	first, twice := dec.names[key]
	if !twice {
		dec.names[key] = doc.position(name)
		return false
	}
	dec.report(problem.Problem{
		Rule: problem.NameDuplicate, Position: doc.position(name), Path: "metadata.name",
		Message: kind + " " + problem.Quote(name.str()) + " is there twice; first at " + first.String(),
		Hint:    "give it another name, or put both into one document",
	})
	return true
}

// checkFile holds a tenant to its own file. Below a folder called tenants the
// path names the tenant, because that is what CODEOWNERS guards.
func (dec *decoder) checkFile(doc *document, name *node) {
	owner := doc.owner()
	if owner == "" || owner == name.str() || name.bad {
		return
	}
	dec.report(problem.Problem{
		Rule: problem.TenantFile, Position: doc.position(name), Path: "metadata.name",
		Message: "tenant " + problem.Quote(name.str()) + " stands in a file of " + problem.Quote(owner),
		Hint:    "move it to tenants/" + name.str() + ".yaml, where its owners review it",
	})
}

// checkPlatformFile keeps Platforms out of the tenants' own files: whoever
// writes one says what tenants may claim.
func (dec *decoder) checkPlatformFile(doc *document, name *node) {
	if owner := doc.owner(); owner != "" {
		dec.report(problem.Problem{
			Rule: problem.TenantFile, Position: doc.position(name), Path: "metadata.name",
			Message: "Platform " + problem.Quote(name.str()) + " stands in a file of tenant " + problem.Quote(owner),
			Hint:    "move it out of the folder called tenants, to where the platform team reviews it",
		})
	}
}

// owner is the tenant that the path of a document names, or "".
func (d *document) owner() string {
	parts := strings.Split(d.tree, "/")
	i := slices.Index(parts, "tenants")
	if i < 0 || i+1 >= len(parts) {
		return ""
	}
	if i+2 < len(parts) {
		return parts[i+1]
	}
	return strings.TrimSuffix(parts[i+1], path.Ext(parts[i+1]))
}
