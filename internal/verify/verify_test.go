package verify_test

import (
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/fn"
	"github.com/eso-tenant/eso-tenant/internal/inventory"
	"github.com/eso-tenant/eso-tenant/internal/problem"
	"github.com/eso-tenant/eso-tenant/schema"
)

// objects reads YAML documents.
func objects(t testing.TB, file, text string) []inventory.Object {
	t.Helper()
	var all []inventory.Object
	for decoder := yaml.NewDecoder(strings.NewReader(text)); ; {
		var doc yaml.Node
		err := decoder.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]any
		if err := doc.Decode(&fields); err != nil {
			t.Fatal(err)
		}
		o := inventory.Object{Fields: fields, At: problem.Position{File: file, Line: doc.Line, Column: doc.Column}}
		o.APIVersion, o.Kind = o.Text("apiVersion"), o.Text("kind")
		o.Namespace, o.Name = o.Text("metadata", "namespace"), o.Text("metadata", "name")
		o.RuleLines = ruleLines(doc.Content[0])
		all = append(all, o)
	}
}

// ruleLines are the lines of a role's rules.
func ruleLines(fields *yaml.Node) []int32 {
	var lines []int32
	for i := 0; i < len(fields.Content); i += 2 {
		if fields.Content[i].Value == "rules" {
			for _, rule := range fields.Content[i+1].Content {
				lines = append(lines, int32(rule.Line))
			}
		}
	}
	return lines
}

func example(t testing.TB, name string) []schema.Source {
	t.Helper()
	sources, unread := fn.ReadSources([]string{filepath.Join("..", "..", "examples", name)}, nil)
	if len(unread) > 0 {
		t.Fatal(unread)
	}
	return sources
}
