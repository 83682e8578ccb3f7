package admissioncheck

import (
	"bytes"
	"cmp"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
)

// tablePath holds the decisions as text, for an engine that is not linked here: a line for each, with the request as a webhook
// is sent it, in the cluster that testdata/spec.yaml becomes.
const tablePath = "testdata/decisions.jsonl"

// row is a line of the table.
type row struct {
	Name    string                        `json:"name"`
	Request *admissionv1.AdmissionRequest `json:"request"`
	// Policy is the one that refuses, by the word in its name; none lets it through.
	Policy string `json:"policy,omitempty"`
	// Says is in the refusal.
	Says string `json:"says,omitempty"`
}

// TestTable: the table is what is decided here.
func TestTable(t *testing.T) {
	c := render(t)
	hooks := c.hooks()
	var table bytes.Buffer
	names, refused := map[string]bool{}, map[string]int{}
	all := slices.Concat(aboutPolicies(), clusterDecisions([]user.Info{replicaSets, administrator}))
	slices.SortFunc(all, func(a, b decision) int { return cmp.Compare(a.name, b.name) })
	for _, d := range all {
		if names[d.name] {
			t.Errorf("two rows are called %q", d.name)
		}
		names[d.name] = true
		r := row{Name: d.name, Request: d.review(t), Says: d.refusal}
		if found := refuser.FindStringSubmatch(c.judge(t, hooks, d.request).refused); found != nil {
			r.Policy = found[1]
		}
		refused[r.Policy]++
		line, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		table.Write(line)
		table.WriteByte('\n')
	}
	if len(names) < 150 {
		t.Errorf("the table has %d rows", len(names))
	}
	for _, p := range c.policies {
		if short := strings.TrimPrefix(p.Name, "eso-tenant-blue-"); refused[short] < 2 {
			t.Errorf("%s refuses %d rows", short, refused[short])
		}
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(tablePath, table.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if have, err := os.ReadFile(tablePath); err != nil || !bytes.Equal(have, table.Bytes()) {
		t.Errorf("%s is not what is decided; UPDATE_GOLDEN=1 writes it anew (%v)", tablePath, err)
	}
}

var refuser = regexp.MustCompile(`ValidatingAdmissionPolicy 'eso-tenant-blue-([a-z-]+)'`)

// review is the request as a webhook is sent it.
func (q request) review(t *testing.T) *admissionv1.AdmissionRequest {
	t.Helper()
	a := q.attributes()
	kind, resource := a.GetKind(), a.GetResource()
	var dryRun *bool
	if q.dryRun {
		dryRun = &q.dryRun
	}
	return &admissionv1.AdmissionRequest{
		DryRun:      dryRun,
		Kind:        metav1.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind},
		Resource:    metav1.GroupVersionResource{Group: resource.Group, Version: resource.Version, Resource: resource.Resource},
		SubResource: q.sub, Name: q.name, Namespace: q.namespace, Operation: admissionv1.Operation(q.operation),
		UserInfo: authenticationv1.UserInfo{Username: q.user.GetName(), Groups: q.user.GetGroups()},
		Object:   raw(t, q.object), OldObject: raw(t, q.old),
	}
}

func raw(t *testing.T, object runtime.Object) runtime.RawExtension {
	t.Helper()
	if object == nil {
		return runtime.RawExtension{}
	}
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return runtime.RawExtension{Raw: text}
}
