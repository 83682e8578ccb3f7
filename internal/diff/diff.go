// Package diff compares Kubernetes objects, by identity and then by field. It
// only reads them, and what it returns is safe to show: no value that may be a
// secret, no query of a URL, nothing long.
package diff

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Ref identifies an object. Its API's version is not part of it: v1beta1 and v1
// are two ways of writing the same object.
type Ref struct{ Group, Kind, Namespace, Name string }

// String is "Role web-prod/x" or "SecretStore.external-secrets.io web-prod/x",
// the group left out where Kubernetes itself has the kind.
func (r Ref) String() string {
	kind := r.Kind
	if strings.Contains(r.Group, ".") && !strings.HasSuffix(r.Group, ".k8s.io") {
		kind += "." + r.Group
	}
	return problem.Clean(kind + " " + inventory.Qualified(r.Namespace, r.Name))
}

func (r Ref) compare(o Ref) int {
	return cmp.Or(
		cmp.Compare(r.Namespace, o.Namespace), cmp.Compare(r.Kind, o.Kind),
		cmp.Compare(r.Group, o.Group), cmp.Compare(r.Name, o.Name),
	)
}

func refOf(o *inventory.Object) Ref { return Ref{o.Group(), o.Kind, o.Namespace, o.Name} }

// Op is what happens to an object.
type Op string

// The operations.
const (
	Added   Op = "added"
	Removed Op = "removed"
	Changed Op = "changed"
)

// Change is one object that differs.
type Change struct {
	Op Op
	Ref
	Fields []Field // of a changed one, by path
	More   int     // how many fields differ beyond those
}

// Field is a value that differs, as text to show. An empty text is a value that
// is not there. Two that look alike differ in what is not for showing, or beyond
// where they are cut.
type Field struct{ Path, Old, New string }

// maxFields bounds what is listed of one object.
const maxFields = 200

// Index are objects by identity.
type Index map[Ref]*inventory.Object

// Has tells whether there is an object of the same identity.
func (x Index) Has(o *inventory.Object) bool { return x[refOf(o)] != nil }

// Double is an object that is there twice, in two forms: which one a cluster
// would have is not known.
type Double struct {
	Ref
	First, Second problem.Position
}

// NewIndex sorts objects by identity. An object that is there twice in the same
// form counts once.
func NewIndex(objects []inventory.Object) (Index, []Double) {
	index := make(Index, len(objects))
	var doubles []Double
	for i := range objects {
		o := &objects[i]
		first, twice := index[refOf(o)]
		switch {
		case !twice:
			index[refOf(o)] = o
		case len(fields(first, o, false).fields) > 0:
			doubles = append(doubles, Double{refOf(o), first.At, o.At})
		default: // the same again
		}
	}
	return index, doubles
}

// Options say how objects are compared.
type Options struct {
	// Live says that the objects after are a cluster's: fields that only they
	// have are defaults and notes of the API server's and of controllers, but for
	// the rules and subjects of RBAC.
	Live bool
}

// Between lists what changes from one index to another, by namespace, kind and
// name.
func Between(before, after Index, options Options) []Change {
	var all []Change
	for ref, o := range before {
		now, still := after[ref]
		if !still {
			all = append(all, Change{Op: Removed, Ref: ref})
			continue
		}
		if w := fields(o, now, options.Live); len(w.fields) > 0 {
			all = append(all, Change{Op: Changed, Ref: ref, Fields: w.fields, More: w.more})
		}
	}
	for ref := range after {
		if before[ref] == nil {
			all = append(all, Change{Op: Added, Ref: ref})
		}
	}
	slices.SortFunc(all, func(a, b Change) int { return a.compare(b.Ref) })
	return all
}

// fields compares two forms of an object.
func fields(before, after *inventory.Object, live bool) *walk {
	w := &walk{group: before.Group(), live: live}
	w.maps("", keyed{}, own(before.Fields), own(after.Fields))
	slices.SortStableFunc(w.fields, func(a, b Field) int { return cmp.Compare(a.Path, b.Path) })
	return w
}

// own is an object without what the API server and others note in it. What is
// the same in both is not looked at, so copying two maps is cheap enough.
func own(object map[string]any) map[string]any {
	trimmed := maps.Clone(object)
	delete(trimmed, "status")
	delete(trimmed, "kind")
	if spec, ok := trimmed["spec"].(map[string]any); ok && len(withoutNil(spec)) == 0 {
		delete(trimmed, "spec") // Kubernetes' own types write it though nobody has set it
	}
	metadata, ok := trimmed["metadata"].(map[string]any)
	if !ok {
		return trimmed
	}
	metadata = maps.Clone(metadata)
	for _, noted := range noted {
		delete(metadata, noted)
	}
	for field, key := range notedIn {
		if inner, ok := metadata[field].(map[string]any); ok {
			inner = maps.Clone(inner)
			delete(inner, key)
			metadata[field] = inner
			if len(inner) == 0 {
				delete(metadata, field)
			}
		}
	}
	trimmed["metadata"] = metadata
	return trimmed
}

var noted = []string{"name", "namespace", "managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink"}

var notedIn = map[string]string{
	"annotations": "kubectl.kubernetes.io/last-applied-configuration",
	"labels":      "kubernetes.io/metadata.name", // set on every Namespace
}
