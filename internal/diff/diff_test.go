package diff_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eso-tenant/eso-tenant/internal/diff"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
)

// read reads YAML documents.
func read(t *testing.T, text string) []inventory.Object {
	t.Helper()
	sources := []inventory.Source{{File: "test.yaml", Reader: strings.NewReader(text)}}
	set, problems := inventory.Read(slices.Values(sources), func(string, string) bool { return true })
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return set.Objects
}

// lines are changes as short texts.
func lines(changes []diff.Change) []string {
	var all []string
	for _, c := range changes {
		all = append(all, string(c.Op)+" "+c.Ref.String())
		for _, f := range c.Fields {
			all = append(all, f.Path+": "+f.Old+" -> "+f.New)
		}
	}
	return all
}

func between(t *testing.T, before, after []inventory.Object, options diff.Options) []string {
	t.Helper()
	a, twice := diff.NewIndex(before)
	b, alsoTwice := diff.NewIndex(after)
	if len(twice)+len(alsoTwice) > 0 {
		t.Fatal(twice, alsoTwice)
	}
	return lines(diff.Between(a, b, options))
}

const object = "apiVersion: %v\nkind: %k\nmetadata: {name: x, namespace: ns}\n"

func role(text string) string {
	return strings.NewReplacer("%v", "rbac.authorization.k8s.io/v1", "%k", "Role").Replace(object) + text
}

func binding(text string) string {
	return strings.NewReplacer("%v", "rbac.authorization.k8s.io/v1", "%k", "RoleBinding").Replace(object) + text
}

func thing(text string) string {
	return strings.NewReplacer("%v", "example.org/v1", "%k", "Thing").Replace(object) + text
}

func TestBetween(t *testing.T) {
	const changedThing = "changed Thing.example.org ns/x"
	tests := map[string]struct {
		before, after string
		want          []string
	}{
		"added and removed": {
			thing(""), strings.Replace(thing(""), "name: x", "name: w", 1),
			[]string{"added Thing.example.org ns/w", "removed Thing.example.org ns/x"},
		},
		"the version alone": {
			thing(""), strings.Replace(thing(""), "/v1", "/v1beta1", 1),
			[]string{changedThing, `apiVersion: "example.org/v1" -> "example.org/v1beta1"`},
		},
		"the group is another object": {
			thing(""), strings.Replace(thing(""), "example.org", "example.com", 1),
			[]string{"added Thing.example.com ns/x", "removed Thing.example.org ns/x"},
		},
		"what a cluster notes": {
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: {a: b}}\nspec: {}\n",
			"apiVersion: v1\nkind: Namespace\nmetadata: {name: x, labels: {a: b, kubernetes.io/metadata.name: x}, uid: u, resourceVersion: '1', " +
				"generation: 3, creationTimestamp: '2026-01-01T00:00:00Z', annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}'}, managedFields: [{a: b}]}\nstatus: {phase: Active}\n",
			nil,
		},
		"order of keys, and null": {thing("a: 1\nb: null\nc: {d: 1, e: 2}\n"), thing("c: {e: 2, d: 1}\na: 1\n"), nil},
		"scalars": {
			thing("a: 1\nb: x\nc: true\n"), thing("a: 2\nb: w\nd: 1.5\n"),
			[]string{changedThing, `a: 1 -> 2`, `b: "x" -> "w"`, `c: true -> `, `d:  -> 1.5`},
		},
		"a text for a number": {thing("a: 1\n"), thing("a: '1'\n"), []string{changedThing, `a: 1 -> "1"`}},
		"something else altogether": {
			thing("a: {b: 1}\n"), thing("a: [1]\n"),
			[]string{changedThing, "a.b: 1 -> ", "a[0]:  -> 1"},
		},
		"nothing in it": {thing("a: {}\n"), thing("b: []\n"), []string{changedThing, "a: {} -> ", "b:  -> []"}},
		"a key that is no word": {
			thing("a: {}\n"), thing("a: {x.y/z: 1}\n"), []string{changedThing, `a["x.y/z"]:  -> 1`},
		},
		"texts in a list": {
			thing("a: [x, w, w]\n"), thing("a: [w, z]\n"),
			[]string{changedThing, `a[]:  -> "z"`, `a[]: "w" -> `, `a[]: "x" -> `},
		},
		"their order": {thing("a: [x, w]\n"), thing("a: [w, x]\n"), []string{changedThing, `a: in the order "x", "w" -> in the order "w", "x"`}},
		"elements with names": {
			thing("a: [{name: x, b: 1}, {name: w}]\n"), thing("a: [{name: w}, {name: x, b: 2}, {name: z}]\n"),
			[]string{changedThing, "a: in the order x, w -> in the order w, x", `a["x"].b: 1 -> 2`, `a["z"].name:  -> "z"`},
		},
		"elements without": {
			thing("a: [{b: 1}, {b: 2}, {b: 3}]\n"), thing("a: [{b: 1}, {b: 4}, {b: 5}, {b: 3}]\n"),
			[]string{changedThing, "a[1].b: 2 -> 4", "a[2].b:  -> 5"},
		},
		"rules in another order": {
			role("rules:\n- {apiGroups: [''], resources: [pods, secrets], verbs: [get, list]}\n- {apiGroups: [apps], resources: [deployments], verbs: [get]}\n"),
			role("rules:\n- {apiGroups: [apps], resources: [deployments], verbs: [get]}\n- {verbs: [list, get], apiGroups: [''], resources: [secrets, pods]}\n"),
			nil,
		},
		"a name more in a rule": {
			role("rules:\n- {apiGroups: [''], resources: [serviceaccounts/token], verbs: [create], resourceNames: [a]}\n"),
			role("rules:\n- {apiGroups: [''], resources: [serviceaccounts/token], verbs: [create], resourceNames: [b, a]}\n"),
			[]string{"changed Role ns/x", "rules[]:  -> create serviceaccounts/token, only a, b", "rules[]: create serviceaccounts/token, only a -> "},
		},
		"names that look like two": {
			role("rules:\n- {apiGroups: [''], resources: [pods], verbs: [get], resourceNames: ['a, b']}\n"),
			role("rules:\n- {apiGroups: [''], resources: [pods], verbs: [get], resourceNames: [a, b]}\n"),
			[]string{"changed Role ns/x", "rules[]:  -> get pods, only a, b", `rules[]: get pods, only "a, b" -> `},
		},
		"subjects": {
			binding("subjects: [{kind: Group, name: a, apiGroup: rbac.authorization.k8s.io}, {kind: User, name: b}]\n"),
			binding("subjects: [{kind: User, name: b, apiGroup: rbac.authorization.k8s.io}, {kind: ServiceAccount, namespace: ns, name: c}]\n"),
			[]string{"changed RoleBinding ns/x", "subjects[]:  -> ServiceAccount ns/c", "subjects[]: Group a -> "},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := between(t, read(t, test.before), read(t, test.after), diff.Options{})
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// What only a cluster has is a default or a note, but for what RBAC gives.
func TestBetweenLive(t *testing.T) {
	tests := map[string]struct {
		before, after string
		want          []string
	}{
		"defaults":   {thing("a: {b: 1}\n"), thing("a: {b: 1, c: 2}\nd: 1\n"), nil},
		"a change":   {thing("a: {b: 1}\n"), thing("a: {b: 2}\n"), []string{"changed Thing.example.org ns/x", "a.b: 1 -> 2"}},
		"taken away": {thing("a: {b: 1}\n"), thing("a: {}\n"), []string{"changed Thing.example.org ns/x", "a.b: 1 -> "}},
		"rules": {
			role(""), role("rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]\n"),
			[]string{"changed Role ns/x", "rules[]:  -> get pods"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := between(t, read(t, test.before), read(t, test.after), diff.Options{Live: true})
			if d := cmp.Diff(test.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// Nothing that may be a secret, no query of a URL, nothing long and nothing that
// moves a terminal's cursor is in what is shown; that it differs is.
func TestBetweenShowsNoSecret(t *testing.T) {
	values := map[string]string{
		"password":               "hunter2a",
		"apiKey":                 "hunter2a",
		"clientSecret":           "hunter2a",
		"url":                    "https://u:hunter2a@example.org/x",
		"server":                 "https://example.org/x?sig=hunter2a",
		"hook":                   "see https://example.org/x#hunter2a for more",
		"args":                   "--token=hunter2a",
		"header":                 "Authorization: hunter2a",
		"notes":                  strings.Repeat("x", 200) + "hunter2a",
		"script":                 "one\ntwo hunter2a\nthree",
		"jwt":                    "eyJhbGciOiJodW50ZXIyYSJ9.hunter2a",
		"pem":                    "-----BEGIN KEY----- hunter2a",
		"\"\\u001b[31mhunter2\"": "x\x1b[31m",
	}
	for key, value := range values {
		t.Run(key, func(t *testing.T) {
			text := strings.NewReplacer("\n", `\n`, "\x1b", `\u001b`).Replace(value)
			before := read(t, thing("a: {"+key+`: "`+text+`"}`+"\n"))
			after := read(t, thing("a: {"+key+`: "`+strings.ReplaceAll(text, "2a", "2b")+`"}`+"\n"))
			if !strings.Contains(value, "2a") {
				after = read(t, thing("a: {}\n"))
			}
			got := strings.Join(between(t, before, after, diff.Options{}), "\n")
			if got == "" {
				t.Error("the difference is not told")
			}
			if strings.Contains(got, "hunter2a") || strings.Contains(got, "\x1b") || len(got) > 500 {
				t.Errorf("shown: %q", got)
			}
		})
	}
	env := `spec: {containers: [{name: c, env: [{name: DB_PASSWORD, value: %s}]}]}` + "\n"
	got := between(t, read(t, thing(strings.Replace(env, "%s", "hunter2a", 1))), read(t, thing(strings.Replace(env, "%s", "hunter2b", 1))), diff.Options{})
	if len(got) != 2 || strings.Contains(got[1], "hunter") {
		t.Errorf("of a variable called so: %q", got)
	}
	// References are names.
	got = between(t, read(t, thing("secretRef: a\nsecretName: a\n")), read(t, thing("secretRef: b\nsecretName: b\n")), diff.Options{})
	if d := cmp.Diff([]string{"changed Thing.example.org ns/x", `secretName: "a" -> "b"`, `secretRef: "a" -> "b"`}, got); d != "" {
		t.Error(d)
	}
}

func TestNewIndexDoubles(t *testing.T) {
	one := role("rules: [{apiGroups: [''], resources: [pods], verbs: [get, list]}]\n")
	again := role("rules: [{apiGroups: [''], resources: [pods], verbs: [list, get]}]\n")
	other := role("rules: [{apiGroups: [''], resources: [pods], verbs: ['*']}]\n")
	if _, twice := diff.NewIndex(read(t, one+"---\n"+again)); len(twice) > 0 {
		t.Errorf("the same object twice is reported: %v", twice)
	}
	_, twice := diff.NewIndex(read(t, one+"---\n"+other))
	if len(twice) != 1 || twice[0].First.Line != 1 || twice[0].Second.Line <= 1 {
		t.Errorf("two forms of one object: %v", twice)
	}
}

func TestBetweenIsBounded(t *testing.T) {
	var text strings.Builder
	for range 1000 {
		text.WriteString("- {a: 1}\n")
	}
	a, _ := diff.NewIndex(read(t, thing("list:\n"+text.String())))
	b, _ := diff.NewIndex(read(t, thing("list:\n"+strings.ReplaceAll(text.String(), "1", "2"))))
	changes := diff.Between(a, b, diff.Options{})
	if len(changes) != 1 || len(changes[0].Fields)+changes[0].More != 1000 || changes[0].More == 0 {
		t.Errorf("%d fields, %d more; want 1000 together", len(changes[0].Fields), changes[0].More)
	}
}
