package rbac

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// One file for each minor version. The first has everything, each later one what differs from the version before it, so
// that adding a version adds one small file. TestDeriveBootstrap writes them.
//
//go:embed bootstrap/*.json
var bootstrapFiles embed.FS

// bootstrapFile is such a file.
type bootstrapFile struct {
	Minor  string          `json:"minor"`
	Source bootstrapSource `json:"source"`
	// Objects by Ref.String(). An object that the version no longer has is null.
	Objects map[string]*bootstrapObject `json:"objects"`
}

// bootstrapSource is where a file is from.
type bootstrapSource struct {
	Module  string            `json:"module"`
	Version string            `json:"version"`
	Path    string            `json:"path"`
	Files   map[string]string `json:"files"` // SHA-256, in hexadecimal
}

// bootstrapObject is what matters of a role or a binding of any kind. All of them have the label bootstrapLabel as well.
type bootstrapObject struct {
	Labels      map[string]string       `json:"labels,omitempty"`
	Aggregation *rbacv1.AggregationRule `json:"aggregationRule,omitempty"`
	Rules       []rbacv1.PolicyRule     `json:"rules,omitempty"`
	Gated       []rbacv1.PolicyRule     `json:"gated,omitempty"` // that are there with some feature gate only
	RoleRef     *rbacv1.RoleRef         `json:"roleRef,omitempty"`
	Subjects    []rbacv1.Subject        `json:"subjects,omitempty"`
}

const bootstrapLabel, bootstrapValue = "kubernetes.io/bootstrapping", "rbac-defaults"

// Minors returns the minor versions of Kubernetes whose own roles are known, oldest first.
func Minors() []string {
	entries, err := bootstrapFiles.ReadDir("bootstrap")
	if err != nil {
		return nil // the folder is embedded, so this cannot be
	}
	var minors []string
	for _, e := range entries {
		minors = append(minors, strings.TrimSuffix(e.Name(), ".json"))
	}
	slices.SortFunc(minors, func(m, n string) int { return cmp.Compare(minorNumber(m), minorNumber(n)) })
	return minors
}

func minorNumber(minor string) int {
	_, number, _ := strings.Cut(minor, ".")
	n, err := strconv.Atoi(number)
	if err != nil {
		return -1
	}
	return n
}

// Bootstrap returns the roles and bindings that the API server of a minor version, as "1.34", makes by itself, and
// whether that version is known; for any other, the newest that is. Where a feature gate adds rules, they are among them.
// What is in the rules is shared between callers, who change none of it.
func Bootstrap(minor string) (Objects, bool) {
	d := newDefaults(minor)
	return d.objects(), d.known
}

// defaults are Kubernetes' own roles and bindings of one version, read when first needed.
type defaults struct {
	known bool
	read  func() map[Ref]*bootstrapObject
}

func newDefaults(minor string) *defaults {
	minors := Minors()
	return &defaults{
		known: slices.Contains(minors, minor),
		read:  sync.OnceValue(func() map[Ref]*bootstrapObject { return readUpTo(minor, minors) }),
	}
}

// readUpTo applies the files up to a version, or all.
func readUpTo(minor string, minors []string) map[Ref]*bootstrapObject {
	objects := map[Ref]*bootstrapObject{}
	for _, m := range minors {
		for name, object := range bootstraps()[m]().Objects {
			objects[parseRef(name)] = object
		}
		if m == minor {
			break
		}
	}
	maps.DeleteFunc(objects, func(_ Ref, o *bootstrapObject) bool { return o == nil })
	return objects
}

func (d *defaults) objects() (o Objects) {
	objects := d.read()
	for _, ref := range slices.SortedFunc(maps.Keys(objects), Ref.compare) {
		o.add(ref, objects[ref])
	}
	return o
}

// bootstraps read each embedded file once, by minor version: a proof asks for them several times, and reading costs more
// than many a proof.
var bootstraps = sync.OnceValue(func() map[string]func() bootstrapFile {
	all := map[string]func() bootstrapFile{}
	for _, minor := range Minors() {
		all[minor] = sync.OnceValue(func() bootstrapFile { return parseBootstrap(minor) })
	}
	return all
})

// parseBootstrap reads one embedded file. That each can be read, a test says.
func parseBootstrap(minor string) (f bootstrapFile) {
	text, err := bootstrapFiles.ReadFile("bootstrap/" + minor + ".json")
	if err == nil {
		err = json.Unmarshal(text, &f)
	}
	if err != nil {
		panic(fmt.Sprintf("rbac: embedded file for Kubernetes %s: %v", minor, err))
	}
	return f
}

// parseRef is the inverse of Ref.String.
func parseRef(text string) Ref {
	kind, name, _ := strings.Cut(text, " ")
	if namespace, name, ok := strings.Cut(name, "/"); ok {
		return Ref{kind, namespace, name}
	}
	return Ref{Kind: kind, Name: name}
}

func (b *bootstrapObject) labels() map[string]string {
	labels := map[string]string{bootstrapLabel: bootstrapValue}
	maps.Copy(labels, b.Labels)
	return labels
}

func (o *Objects) add(ref Ref, b *bootstrapObject) {
	labels, rules := b.labels(), slices.Concat(b.Rules, b.Gated)
	meta := metav1.ObjectMeta{Namespace: ref.Namespace, Name: ref.Name, Labels: labels}
	switch ref.Kind {
	case clusterRole:
		o.ClusterRoles = append(o.ClusterRoles, &rbacv1.ClusterRole{ObjectMeta: meta, AggregationRule: b.Aggregation, Rules: rules})
	case plainRole:
		o.Roles = append(o.Roles, &rbacv1.Role{ObjectMeta: meta, Rules: rules})
	case clusterRoleBinding:
		o.ClusterRoleBindings = append(o.ClusterRoleBindings, &rbacv1.ClusterRoleBinding{ObjectMeta: meta, RoleRef: *b.RoleRef, Subjects: b.Subjects})
	case roleBinding:
		o.RoleBindings = append(o.RoleBindings, &rbacv1.RoleBinding{ObjectMeta: meta, RoleRef: *b.RoleRef, Subjects: b.Subjects})
	}
}

// withBindings adds bindings to objects that do not hold them.
func withBindings(o, own Objects) Objects {
	held := map[Ref]bool{}
	for _, b := range o.ClusterRoleBindings {
		held[Ref{clusterRoleBinding, "", b.Name}] = true
	}
	for _, b := range o.RoleBindings {
		held[Ref{roleBinding, b.Namespace, b.Name}] = true
	}
	o.ClusterRoleBindings, o.RoleBindings = slices.Clone(o.ClusterRoleBindings), slices.Clone(o.RoleBindings)
	for _, b := range own.ClusterRoleBindings {
		if !held[Ref{clusterRoleBinding, "", b.Name}] {
			o.ClusterRoleBindings = append(o.ClusterRoleBindings, b)
		}
	}
	for _, b := range own.RoleBindings {
		if !held[Ref{roleBinding, b.Namespace, b.Name}] {
			o.RoleBindings = append(o.RoleBindings, b)
		}
	}
	return o
}

// restore adds what the API server puts back, when it starts, into a given role that is called as one of its own, unless
// an annotation forbids it (k8s.io/component-helpers v0.37.2, auth/rbac/reconciliation): rules, labels and selectors that
// are missing. Only where the version is known, or each role of an older cluster would be taken for a cut one.
func (rs *roles) restore(own *defaults, report func(Problem)) {
	if !own.known {
		return
	}
	for ref, o := range own.read() {
		if r := rs.given[ref]; r != nil && r.restore(o) {
			report(Problem{Flaw: Restored, Object: ref, Detail: "has less than Kubernetes' own role of this name; the API server adds what is missing when it starts, unless it is annotated " + rbacv1.AutoUpdateAnnotationKey + `: "false"`})
		}
	}
}

// restore tells whether anything is missing.
func (r *role) restore(own *bootstrapObject) bool {
	var rules []rbacv1.PolicyRule
	labels, selectors := map[string]string{}, map[string]bool{}
	if !slices.ContainsFunc(r.definitions, func(d definition) bool { return !d.protected }) {
		return false
	}
	for _, d := range r.definitions {
		rules = append(rules, d.rules...)
		maps.Copy(labels, d.labels)
		if d.aggregation != nil {
			for _, s := range d.aggregation.ClusterRoleSelectors {
				selectors[encode(s)] = true
			}
		}
	}
	missing := definition{labels: own.labels()}
	_, missing.rules = Covers(rules, own.Rules)
	lacks := len(missing.rules) > 0
	for label, value := range own.Labels {
		lacks = lacks || labels[label] != value
	}
	if own.Aggregation != nil && !slices.ContainsFunc(own.Aggregation.ClusterRoleSelectors, func(s metav1.LabelSelector) bool { return selectors[encode(s)] }) {
		missing.aggregation, lacks = own.Aggregation, true
	}
	r.definitions = append(r.definitions, missing)
	return lacks
}
