package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/eso-tenant/eso-tenant/generators/eso"
	rbacv1 "k8s.io/api/rbac/v1"
)

// encode writes a release file: JSON with a line for each rule, so that two releases can be compared by eye.
func encode(r *eso.Release) []byte {
	w := &writer{}
	w.open("", "{")
	w.field("chart", r.Chart)
	w.field("app", r.App)
	w.open("source", "{")
	w.field("repository", r.Provenance.Repository)
	w.field("tag", r.Provenance.Tag)
	w.field("commit", r.Provenance.Commit)
	w.file("role", r.Provenance.Role)
	w.file("certController", r.Provenance.CertController)
	w.close("}")
	w.rules("controller", r.Controller)
	w.rules("leaderElection", r.LeaderElection)
	w.role("view", r.View)
	w.role("edit", r.Edit)
	w.open("values", "[")
	for _, value := range r.Values {
		w.line("", quote(value))
	}
	w.close("]")
	w.open("switches", "{")
	for _, feature := range slices.Sorted(maps.Keys(r.Switches)) {
		s := r.Switches[feature]
		w.line(string(feature), fmt.Sprintf(`{"value": %s, "flag": %s}`, quote(s.Value), quote(s.Flag)))
	}
	w.close("}")
	w.open("toggles", "{")
	for _, value := range slices.Sorted(maps.Keys(r.Toggles)) {
		w.toggle(value, r.Toggles[value])
	}
	w.close("}")
	w.close("}")
	return append(w.buffer.Bytes(), '\n')
}

// writer keeps track of depth and commas.
type writer struct {
	buffer bytes.Buffer
	depth  int
	filled bool // something stands in the innermost bracket already
}

func (w *writer) line(key, text string) {
	if w.filled {
		w.buffer.WriteByte(',')
	}
	if w.depth > 0 {
		w.buffer.WriteString("\n" + strings.Repeat("  ", w.depth))
	}
	if key != "" {
		w.buffer.WriteString(quote(key) + ": ")
	}
	w.buffer.WriteString(text)
	w.filled = true
}

func (w *writer) open(key, bracket string) {
	w.line(key, bracket)
	w.depth++
	w.filled = false
}

func (w *writer) close(bracket string) {
	w.depth--
	if w.filled {
		w.buffer.WriteString("\n" + strings.Repeat("  ", w.depth))
	}
	w.buffer.WriteString(bracket)
	w.filled = true
}

func (w *writer) field(key, value string) {
	w.line(key, quote(value))
}

func (w *writer) file(key string, f eso.File) {
	w.line(key, fmt.Sprintf(`{"path": %s, "sha256": %s}`, quote(f.Path), quote(f.SHA256)))
}

func (w *writer) rules(key string, rules []rbacv1.PolicyRule) {
	w.open(key, "[")
	for _, r := range rules {
		names := ""
		if len(r.ResourceNames) > 0 {
			names = fmt.Sprintf(`, "resourceNames": %s`, list(r.ResourceNames))
		}
		w.line("", fmt.Sprintf(`{"apiGroups": %s, "resources": %s%s, "verbs": %s}`, list(r.APIGroups), list(r.Resources), names, list(r.Verbs)))
	}
	w.close("]")
}

func (w *writer) role(key string, role eso.Role) {
	w.open(key, "{")
	w.open("labels", "{")
	for _, label := range slices.Sorted(maps.Keys(role.Labels)) {
		w.field(label, role.Labels[label])
	}
	w.close("}")
	w.rules("rules", role.Rules)
	w.close("}")
}

func (w *writer) toggle(value string, t eso.Toggle) {
	w.open(value, "{")
	w.line("setTo", strconv.FormatBool(t.SetTo))
	if len(t.Adds) > 0 {
		w.rules("adds", t.Adds)
	}
	if len(t.Removes) > 0 {
		w.rules("removes", t.Removes)
	}
	w.close("}")
}

func list(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = quote(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// quote is JSON's own; a string always has one.
func quote(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err)
	}
	return string(text)
}
