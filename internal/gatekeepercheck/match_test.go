package gatekeepercheck

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// TestEveryMatch: every kind that a Constraint matches, and every operation and
// resource in its rules, is missed.
func TestEveryMatch(t *testing.T) {
	clusters := []*cluster{render(t)}
	all, count := rows(t), 0
	for _, constraint := range clusters[0].constraints {
		policy := word(constraint.GetName())
		want, err := outcomes(t, clusters, all, policy)
		if err != nil {
			t.Fatal(err)
		}
		try := func(list []any, what string) {
			for i, item := range list {
				if item == "*" {
					continue
				}
				count++
				list[i] = "Nothing"
				if got, err := outcomes(t, clusters, all, policy); err != nil || slices.Equal(got, want) {
					t.Errorf("%s: nobody misses %s %s (%v)", policy, what, item, err)
				}
				list[i] = item
			}
		}
		for _, m := range list(t, constraint, "spec", "match", "kinds") {
			try(m.(map[string]any)["kinds"].([]any), "kind")
			try(m.(map[string]any)["apiGroups"].([]any), "group")
		}
		for _, r := range list(t, constraint, "spec", "parameters", "rules") {
			try(r.(map[string]any)["operations"].([]any), "operation")
			try(r.(map[string]any)["resources"].([]any), "resource")
		}
	}
	t.Logf("%d changes", count)
}

// list is the very list that stands there; none, where nothing does.
func list(t testing.TB, o *unstructured.Unstructured, path ...string) []any {
	t.Helper()
	value, _, err := unstructured.NestedFieldNoCopy(o.Object, path...)
	if err != nil {
		t.Fatal(err)
	}
	items, _ := value.([]any)
	return items
}
