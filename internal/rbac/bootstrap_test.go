package rbac

import (
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

// Each file says where it is from, and nothing that this package does not read.
func TestBootstrapFiles(t *testing.T) {
	minors := Minors()
	if len(minors) == 0 {
		t.Fatal("there are none")
	}
	for i, minor := range minors {
		text, err := bootstrapFiles.ReadFile("bootstrap/" + minor + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var f bootstrapFile
		decoder := json.NewDecoder(strings.NewReader(string(text)))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&f); err != nil {
			t.Fatalf("%s: %v", minor, err)
		}
		if f.Minor != minor || !strings.HasPrefix(f.Source.Version, "v"+minor+".") || f.Source.Path != testdata || f.Source.Module != "k8s.io/kubernetes" {
			t.Errorf("%s: is of %s, from %v", minor, f.Minor, f.Source)
		}
		if i > 0 && minorNumber(minor) != minorNumber(minors[i-1])+1 {
			t.Errorf("%s follows %s; what is between is missing", minor, minors[i-1])
		}
		if len(f.Source.Files) < 6 {
			t.Errorf("%s: from %d files", minor, len(f.Source.Files))
		}
		for name, sum := range f.Source.Files {
			if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 {
				t.Errorf("%s: %s has no SHA-256: %q", minor, name, sum)
			}
		}
		for name, o := range f.Objects {
			if ref := parseRef(name); ref.String() != name || (o != nil && strings.HasSuffix(ref.Kind, "Binding") != (o.RoleRef != nil)) {
				t.Errorf("%s: %q cannot be read", minor, name)
			}
		}
	}
}

// What the fence rests on: edit mints and impersonates, view reads no Secret. Seen in every version.
func TestBootstrapRoles(t *testing.T) {
	ask := func(verb, resource string) Request {
		return Request{Verb: verb, Resource: resource, Namespace: "web"}
	}
	for _, minor := range Minors() {
		var w world
		for _, role := range []string{"view", "edit", "admin", "cluster-admin"} {
			w.bind("web", role, "ClusterRole", role, rbacv1.Subject{Kind: "User", Name: role})
		}
		a := New(w.Objects, Options{Minor: minor})
		if problems := a.Problems(); len(problems) > 0 {
			t.Errorf("%s: %v", minor, problems)
		}
		for _, want := range []struct {
			role, verb, resource string
			allowed              bool
		}{
			{"view", "get", "configmaps", true},
			{"view", "get", "secrets", false},
			{"view", "create", "serviceaccounts/token", false},
			{"edit", "get", "configmaps", true},
			{"edit", "get", "secrets", true},
			{"edit", "create", "serviceaccounts/token", true},
			{"edit", "impersonate", "serviceaccounts", true},
			{"edit", "update", "namespaces", false},
			{"admin", "create", "serviceaccounts/token", true},
			{"admin", "update", "namespaces", false},
			{"cluster-admin", "update", "namespaces", true},
		} {
			g, got := a.Allowed(User(want.role), ask(want.verb, want.resource))
			if got != want.allowed || (got && !g.Bootstrap) {
				t.Errorf("%s: %s may %s %s: %t by %+v, want %t", minor, want.role, want.verb, want.resource, got, g, want.allowed)
			}
		}
	}
}

func TestBootstrapOfAnotherVersion(t *testing.T) {
	newest, known := Bootstrap("1.99")
	last, lastKnown := Bootstrap(Minors()[len(Minors())-1])
	if known || !lastKnown {
		t.Errorf("known: 1.99 %t, the last %t", known, lastKnown)
	}
	if diff := cmp.Diff(last, newest); diff != "" {
		t.Errorf("an unknown version is not the newest:\n%s", diff)
	}
	oldest, _ := Bootstrap("1.28")
	if cmp.Equal(oldest, newest) {
		t.Error("the oldest version is the newest")
	}
}

// What a feature gate adds may be there, so it counts.
func TestBootstrapWithFeatureGates(t *testing.T) {
	var w world
	w.bindAll("p", "ClusterRole", "system:cluster-trust-bundle-discovery", esoSubject)
	a := New(w.Objects, Options{Minor: "1.36"})
	if _, ok := a.Allowed(eso, Request{Verb: "get", Group: "certificates.k8s.io", Resource: "clustertrustbundles", Name: "x"}); !ok {
		t.Errorf("a role that is there with a gate gives nothing: %v", a.Problems())
	}
}

// Nobody who is not bound by the objects has anything, unless the API server's own bindings are asked for.
func TestDefaultBindings(t *testing.T) {
	signer := ServiceAccount("kube-system", "token-cleaner")
	cleanup := Request{Verb: "delete", Resource: "secrets", Namespace: "kube-system", Name: "bootstrap-token-abcdef"}
	if got := New(Objects{}, Options{}).Subjects(); len(got) > 0 {
		t.Errorf("bound without a binding: %v", got)
	}
	a := New(Objects{}, Options{DefaultBindings: true})
	if g, ok := a.Allowed(signer, cleanup); !ok || !g.Bootstrap {
		t.Errorf("the token cleaner may clean up: %t by %v", ok, g)
	}
	if _, ok := a.Allowed(Group(Masters), Request{Verb: "escalate", Resource: "x"}); !ok {
		t.Error("masters may not do everything")
	}
	if problems := a.Problems(); len(problems) > 0 {
		t.Errorf("Kubernetes' own objects have problems: %v", problems)
	}
	var w world
	w.bindAll("cluster-admin", "ClusterRole", "cluster-admin")
	if _, ok := New(w.Objects, Options{DefaultBindings: true}).Allowed(Group(Masters), Request{Verb: "get", Resource: "x"}); ok {
		t.Error("a binding that the objects hold is replaced")
	}
}

// The API server puts back what is taken from its own roles, unless they say otherwise.
func TestRestored(t *testing.T) {
	mint := Request{Verb: "create", Resource: "serviceaccounts/token", Namespace: "web", Name: "x"}
	tests := map[string]struct {
		minor, annotation string
		restored          bool
	}{
		"taken away":            {"1.34", "", true},
		"and said so":           {"1.34", "false", false},
		"and said the opposite": {"1.34", "true", true},
		"of an unknown version": {"", "", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var w world
			cut := w.clusterRole("system:aggregate-to-edit", ruleOn("get", "pods"))
			label(cut, "rbac.authorization.k8s.io/aggregate-to-edit")
			cut.Annotations = map[string]string{rbacv1.AutoUpdateAnnotationKey: test.annotation}
			w.bind("web", "p", "ClusterRole", "edit", esoSubject)
			a := New(w.Objects, Options{Minor: test.minor})
			if _, ok := a.Allowed(eso, mint); ok != test.restored {
				t.Errorf("edit may mint: %t, want %t", ok, test.restored)
			}
			says := slices.ContainsFunc(a.Problems(), func(p Problem) bool { return p.Flaw == Restored && p.Object.Name == cut.Name })
			if says != test.restored || len(a.Problems()) > 1 {
				t.Errorf("problems: %v", a.Problems())
			}
		})
	}
}

// A cluster's own objects are as they should be, so nothing is said about them; with its version or without.
func TestRestoredIsQuietAboutClusters(t *testing.T) {
	for _, minor := range Minors() {
		o, _ := Bootstrap(minor)
		for _, options := range []Options{{}, {Minor: minor}} {
			if problems := New(o, options).Problems(); len(problems) > 0 {
				t.Errorf("%s with %v: %v", minor, options, problems)
			}
		}
	}
}

// An aggregated role that the objects hold, and that lost its selectors, gets them back.
func TestRestoredAggregation(t *testing.T) {
	var w world
	w.clusterRole("edit", ruleOn("get", "pods"))
	w.bind("web", "p", "ClusterRole", "edit", esoSubject)
	w.bind("web", "q", "ClusterRole", "admin", rbacv1.Subject{Kind: "User", Name: "ann"})
	a := New(w.Objects, Options{Minor: "1.34"})
	for _, s := range []Subject{eso, User("ann")} {
		if _, ok := a.Allowed(s, Request{Verb: "create", Resource: "serviceaccounts/token", Namespace: "web", Name: "x"}); !ok {
			t.Errorf("%v may not mint", s)
		}
	}
}
