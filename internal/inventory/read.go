package inventory

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Bounds on what is read. A dump holds what anybody may create in a cluster, so
// it is hostile; the largest honest one known is of half a gigabyte.
const (
	maxSourceBytes   = 4 << 30  // of one source, which is streamed
	maxDocumentBytes = 64 << 20 // of one document of YAML, which is held whole
	maxObjectBytes   = 16 << 20 // of one object in JSON; API servers take a tenth of that
	maxKeptBytes     = 2 << 30  // of all objects kept, as they were written
	maxKept          = 4 << 20  // objects
	maxMarks         = 1 << 20  // of what is given to the YAML parser at once: it makes 200 bytes of each
	maxNodes         = 2 << 20  // of the same, aliases expanded
	maxDepth         = 256      // CRDs nest their schemas some 60 deep
	maxListDepth     = 8        // Lists within Lists
	maxHeadingBytes  = 253      // of a kind or an apiVersion
	maxKinds         = 1 << 12  // counted apart
	maxProblems      = 1_000    // reported in one run
)

// otherKinds is what kinds beyond the bound are counted as.
const otherKinds = "others"

// Source is one input. It is read to its end, but not closed.
type Source struct {
	File   string // as the user named it, "-" for standard input
	Reader io.Reader

	// Kustomization tells that the file is a kustomization by its name. Such a
	// one need not say what it is, and is no object of a cluster.
	Kustomization bool
}

// Set is what was read.
type Set struct {
	Objects []Object       // in the order read
	Files   int            // sources read, also those with problems
	Skipped map[string]int // objects by kind (Secret, Deployment.apps) that nobody asked for
}

// Read reads all sources to the end, whatever it finds: YAML documents, JSON
// objects one after another, Lists, and Lists within Lists. Of kinds for which
// keep is false, objects are counted only. Of a Secret neither data nor values
// that could be some are kept, of all others neither managedFields nor
// kubectl's last applied configuration.
//
// What cannot be read is a problem, and then the set is not all there is:
// nothing may be concluded from what it does not hold.
func Read(sources iter.Seq[Source], keep func(group, kind string) bool) (*Set, problem.List) {
	r := &reader{keep: keep, wanted: map[heading]bool{}, texts: newTexts(), set: Set{Skipped: map[string]int{}}}
	for src := range sources {
		if r.full {
			break
		}
		r.source(src)
	}
	return &r.set, r.problems
}

// heading says what an object is.
type heading struct{ apiVersion, kind string }

// item is what an item of a typed list is that does not say so itself.
func (h heading) item() heading {
	kind := strings.TrimSuffix(h.kind, "List")
	if kind == "" || kind == h.kind {
		return heading{}
	}
	return heading{h.apiVersion, kind}
}

func (h heading) group() string {
	o := Object{APIVersion: h.apiVersion}
	return o.Group()
}

// String is as kubectl writes it, Deployment.apps.
func (h heading) String() string {
	if group := h.group(); group != "" {
		return h.kind + "." + group
	}
	return h.kind
}

func (h heading) isSecret() bool { return h.kind == "Secret" && h.apiVersion == "v1" }

func (h heading) isRole() bool {
	return (h.kind == "Role" || h.kind == "ClusterRole") && h.group() == "rbac.authorization.k8s.io"
}

// reader reads sources into a set.
type reader struct {
	keep     func(group, kind string) bool
	wanted   map[heading]bool // what keep said
	set      Set
	problems problem.List
	texts    *texts
	window   window
	file     string // being read
	bare     bool   // it need not say what it is
	bytes    int64  // of the objects kept
	full     bool   // a bound of the run was hit: nothing more is read
}

func (r *reader) source(src Source) {
	r.set.Files++
	r.file, r.bare = src.File, src.Kustomization
	r.window.reset(src.Reader)
	defer r.window.reset(nil)
	switch first, second := r.window.begins(); {
	case first == 0 && errors.Is(r.window.err, io.EOF):
		// An empty dump is one that went wrong.
		r.report(problem.SourceEmpty, problem.Position{File: r.file}, "this is empty", "was the command that wrote it able to?")
	case first == 0xff || first == 0xfe:
		r.report(problem.YAMLEncoding, r.at(1, 1), "this is no UTF-8 text; it begins as UTF-16 does", "PowerShell writes that; save it as UTF-8")
	case first == '{' && (second == '"' || second == '}') || first == '[' && (second == '{' || second == ']'):
		r.json()
	default:
		r.yaml()
	}
	r.ended()
}

// ended reports why a source could not be read to its end.
func (r *reader) ended() {
	switch err := r.window.err; {
	case err == nil, errors.Is(err, io.EOF):
	case errors.Is(err, errHeld):
		// Reported by who knows what is too large.
	case errors.Is(err, errSource):
		r.report(problem.SourceTooLarge, problem.Position{File: r.file}, fmt.Sprintf("this source has more than %d MiB", maxSourceBytes>>20), "dump fewer kinds or namespaces at a time")
	default:
		r.report(problem.SourceUnreadable, problem.Position{File: r.file}, "this cannot be read to its end: "+err.Error(), "")
	}
}

// keeps tells whether objects of a kind are kept, and counts those that are not.
func (r *reader) keeps(h heading) bool {
	wanted, known := r.wanted[h]
	if !known {
		wanted = r.keep(h.group(), h.kind)
		if len(r.wanted) < maxKinds {
			r.wanted[h] = wanted
		}
	}
	if !wanted {
		r.skipped(h.String())
	}
	return wanted
}

func (r *reader) skipped(kind string) {
	if _, known := r.set.Skipped[kind]; !known && len(r.set.Skipped) >= maxKinds {
		kind = otherKinds
	}
	r.set.Skipped[kind]++
}

// headed tells whether what an object says that it is can be read, and reports
// if it cannot.
func (r *reader) headed(h heading, at problem.Position) bool {
	var missing string
	switch {
	case r.bare && h.apiVersion == "" && (h.kind == "" || h.kind == "Kustomization" || h.kind == "Component"):
		return false
	case h.kind == "" && h.apiVersion == "":
		missing = "this has neither apiVersion nor kind"
	case h.kind == "":
		missing = "this has no kind"
	case h.apiVersion == "":
		missing = "this has no apiVersion"
	case len(h.kind) > maxHeadingBytes || len(h.apiVersion) > maxHeadingBytes:
		missing = fmt.Sprintf("the apiVersion or kind of this has more than %d characters", maxHeadingBytes)
	default:
		return true
	}
	r.report(problem.ObjectUnreadable, at, missing+", so nobody can tell what it is", "write Kubernetes objects only, each whole; a value for them is a text")
	return false
}

// listed tells whether a List can be one, and reports if it cannot.
func (r *reader) listed(h heading, at problem.Position) bool {
	if !r.headed(h, at) {
		return false
	}
	if !strings.HasSuffix(h.kind, "List") {
		r.report(problem.ObjectUnreadable, at, "this has items, as a List has, but is of kind "+problem.Quote(h.kind), "")
		return false
	}
	return true
}

// isItemless tells whether something is a List but has no items, and reports it.
func (r *reader) isItemless(h heading, at problem.Position) bool {
	if h.kind != "List" {
		return false
	}
	r.report(problem.ObjectUnreadable, at, "this List has no items", "is the dump complete? an empty List has items: []")
	return true
}

// tooNested tells whether Lists are nested too deep, and reports it.
func (r *reader) tooNested(lists int, at problem.Position) bool {
	if lists <= maxListDepth {
		return false
	}
	r.report(problem.YAMLTooDeep, at, fmt.Sprintf("Lists are nested more than %d deep", maxListDepth), "dump the objects into one List")
	return true
}

// add keeps an object, of which size bytes were read.
func (r *reader) add(h heading, fields map[string]any, at problem.Position, ruleLines []int32, size int) {
	if r.bytes += int64(size); r.bytes > maxKeptBytes || len(r.set.Objects) >= maxKept {
		r.full = true
		r.report(problem.SourceTooLarge, at, fmt.Sprintf("more than %d MiB or %d objects of kinds that matter are to be held", maxKeptBytes>>20, maxKept), "dump fewer namespaces at a time")
		return
	}
	o := Object{APIVersion: h.apiVersion, Kind: h.kind, At: at, Fields: fields, RuleLines: ruleLines}
	if why := o.name(); why != "" {
		r.report(problem.ObjectUnreadable, at, problem.Clean(h.kind)+" "+why, "")
		return
	}
	trim(h, fields)
	r.set.Objects = append(r.set.Objects, o)
}

// name takes an object's name and namespace out of its fields, or says why not.
func (o *Object) name() (why string) {
	metadata, ok := o.Fields["metadata"].(map[string]any)
	if !ok {
		return "has no metadata"
	}
	o.Name, _ = metadata["name"].(string)
	o.Namespace, ok = metadata["namespace"].(string)
	switch generated := Text(metadata, "generateName"); {
	case o.Name == "" && generated == "":
		return "has no name, or one that is no text"
	case !ok && metadata["namespace"] != nil:
		return problem.Quote(o.Name) + " has a namespace that is no text"
	}
	return ""
}

func (r *reader) at(line, column int) problem.Position {
	return problem.Position{File: r.file, Line: max(line, 1), Column: max(column, 1)}
}

func (r *reader) report(rule problem.Rule, at problem.Position, message, hint string) {
	switch n := len(r.problems); {
	case n < maxProblems:
		r.problems = append(r.problems, problem.Problem{Rule: rule, Position: at, Message: message, Hint: hint})
	case n == maxProblems:
		r.full = true
		r.problems = append(r.problems, problem.Problem{
			Rule: problem.TooManyProblems, Position: problem.Position{File: r.file},
			Message: fmt.Sprintf("there are more than %d problems; nothing was read after this", maxProblems),
		})
	}
}

// line32 is a line as RuleLines holds it.
func line32(line int) int32 { return int32(min(line, math.MaxInt32)) } //nolint:gosec // bounded here
