package gatekeepercheck

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
)

// row is a line of the table that the API server's own policies are held to.
type row struct {
	Name    string                        `json:"name"`
	Request *admissionv1.AdmissionRequest `json:"request"`
	Policy  string                        `json:"policy"`
	Says    string                        `json:"says"`
}

func rows(t testing.TB) []row {
	t.Helper()
	text, err := os.ReadFile(table + "decisions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	var all []row
	for line := range bytes.Lines(text) {
		var r row
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) < 400 {
		t.Fatalf("%d rows", len(all))
	}
	return append(all, more(t, all)...)
}

// TestEnforced: every request is decided on as by the API server's policies, by
// the same policy, in the same words.
func TestEnforced(t *testing.T) {
	c := render(t)
	engine := c.engine(t)
	for _, r := range rows(t) {
		r.check(t, c.judge(t, engine, r.Request), "deny")
	}
}

// TestObserved: with enforcement: observe, the same requests are warned of.
func TestObserved(t *testing.T) {
	c := render(t, "enforcement: enforce", "enforcement: observe")
	engine := c.engine(t)
	for _, r := range rows(t) {
		r.check(t, c.judge(t, engine, r.Request), "warn")
	}
}

func (r row) check(t *testing.T, all []refusal, action string) {
	t.Helper()
	if r.Policy == "" && len(all) > 0 {
		t.Errorf("%s: refused: %v", r.Name, all)
	}
	if r.Policy != "" && !slices.ContainsFunc(all, func(f refusal) bool { return f.policy == r.Policy && strings.Contains(f.says, r.Says) }) {
		t.Errorf("%s: %v, want %s: %q", r.Name, all, r.Policy, r.Says)
	}
	for _, f := range all {
		if f.action != action {
			t.Errorf("%s: %s, want %s", r.Name, f.action, action)
		}
	}
}
