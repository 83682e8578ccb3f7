package rbac

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// What Kubernetes' own tests hold its bootstrap policy to, object by object.
const testdata = "plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata"

// TestDeriveBootstrap holds the files below bootstrap to sources of Kubernetes. KUBERNETES lists folders of the module
// k8s.io/kubernetes, as `go mod download -json k8s.io/kubernetes@v1.38.0` names them, oldest first; UPDATE_GOLDEN=1
// writes the files.
func TestDeriveBootstrap(t *testing.T) {
	folders := filepath.SplitList(os.Getenv("KUBERNETES"))
	if len(folders) == 0 {
		t.Skip("KUBERNETES names no folder of the module k8s.io/kubernetes")
	}
	for _, folder := range folders {
		_, version, _ := strings.Cut(filepath.Base(folder), "@")
		parts := strings.Split(strings.TrimPrefix(version, "v"), ".")
		if len(parts) != 3 {
			t.Fatalf("%s: the folder's name ends with no version", folder)
		}
		minor := parts[0] + "." + parts[1]
		file := derive(t, folder, minor, version)
		name := "bootstrap/" + minor + ".json"
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(name, file, 0o600); err != nil {
				t.Fatal(err)
			}
			continue
		}
		golden, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(golden), string(file)); diff != "" {
			t.Errorf("%s (-golden +got):\n%s", name, diff)
		}
	}
}

// derive makes the file of a version from its sources and the file before it.
func derive(t *testing.T, folder, minor, version string) []byte {
	t.Helper()
	source := bootstrapSource{"k8s.io/kubernetes", version, testdata, map[string]string{}}
	objects := map[string]*bootstrapObject{}
	names, err := filepath.Glob(filepath.Join(folder, testdata, "*.yaml"))
	if err != nil || len(names) == 0 {
		t.Fatalf("%s: no files in %s: %v", folder, testdata, err)
	}
	// Sorted differently than the files are named: with feature gates, roles have more rules; the usual come first.
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(gatesLast(a), gatesLast(b)) })
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text)
		source.Files[filepath.Base(name)] = hex.EncodeToString(sum[:])
		readObjects(t, text, objects, strings.Contains(name, gates))
	}
	before := filesBefore(t, minor)
	return writeBootstrap(t, minor, source, difference(before, objects))
}

// gates is in the name of the file that has roles as they are with all feature gates on.
const gates = "-featuregates"

func gatesLast(name string) string { return strings.ReplaceAll(name, gates, "\xff") }

// filesBefore reads the objects of the version before, from the folder and not from what is embedded.
func filesBefore(t *testing.T, minor string) map[string]*bootstrapObject {
	t.Helper()
	objects := map[string]*bootstrapObject{}
	names, err := filepath.Glob("bootstrap/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		m := strings.TrimSuffix(filepath.Base(name), ".json")
		if minorNumber(m) >= minorNumber(minor) {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var f bootstrapFile
		if err := json.Unmarshal(text, &f); err != nil {
			t.Fatal(err)
		}
		maps.Copy(objects, f.Objects)
	}
	maps.DeleteFunc(objects, func(_ string, o *bootstrapObject) bool { return o == nil })
	return objects
}

func readObjects(t *testing.T, text []byte, objects map[string]*bootstrapObject, gated bool) {
	t.Helper()
	var list struct {
		Items []struct {
			metav1.TypeMeta   `json:",inline"`
			metav1.ObjectMeta `json:"metadata"`

			AggregationRule *rbacv1.AggregationRule
			Rules           []rbacv1.PolicyRule
			RoleRef         *rbacv1.RoleRef
			Subjects        []rbacv1.Subject
		}
		metav1.TypeMeta `json:",inline"`
		Metadata        map[string]any
	}
	if err := yaml.UnmarshalStrict(text, &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		item := &list.Items[i]
		if item.Labels[bootstrapLabel] != bootstrapValue {
			t.Fatalf("%s %s has no label %s", item.Kind, item.Name, bootstrapLabel)
		}
		delete(item.Labels, bootstrapLabel)
		name := Ref{item.Kind, item.Namespace, item.Name}.String()
		if !gated {
			objects[name] = &bootstrapObject{item.Labels, item.AggregationRule, item.Rules, nil, item.RoleRef, item.Subjects}
			continue
		}
		if objects[name] == nil {
			objects[name] = &bootstrapObject{Labels: item.Labels, Aggregation: item.AggregationRule}
		}
		objects[name].addGated(item.Rules)
	}
}

// addGated adds the rules that a role has with feature gates only.
func (b *bootstrapObject) addGated(rules []rbacv1.PolicyRule) {
	for i := range rules {
		same := func(r rbacv1.PolicyRule) bool { return key(&r) == key(&rules[i]) }
		if !slices.ContainsFunc(b.Rules, same) {
			b.Gated = append(b.Gated, rules[i])
		}
	}
}

func difference(before, now map[string]*bootstrapObject) map[string]*bootstrapObject {
	changed := map[string]*bootstrapObject{}
	for name, o := range now {
		if before[name] == nil || encode(before[name]) != encode(o) {
			changed[name] = o
		}
	}
	for name := range before {
		if now[name] == nil {
			changed[name] = nil
		}
	}
	return changed
}

// writeBootstrap puts each object on a line of its own, so that a difference can be read.
func writeBootstrap(t *testing.T, minor string, source bootstrapSource, objects map[string]*bootstrapObject) []byte {
	t.Helper()
	line := func(v any) []byte {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\n  \"minor\": %q,\n  \"source\": %s,\n  \"objects\": {", minor, line(source))
	for i, name := range slices.Sorted(maps.Keys(objects)) {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "\n    %s: %s", line(name), line(objects[name]))
	}
	b.WriteString("\n  }\n}\n")
	return b.Bytes()
}
