// Package inventory holds the objects of a cluster, or of what would become
// one: read from rendered manifests, from the output of kustomize, from dumps
// of kubectl, each with the place where it stands.
package inventory

import (
	"strings"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// Object is one Kubernetes object.
type Object struct {
	APIVersion, Kind, Namespace, Name string

	// At is the object's first line; with a Subject instead of a file where it
	// was rendered and never written.
	At problem.Position

	// Fields is the object as JSON decodes it: maps, slices, strings, float64,
	// bool and nil. The data of a Secret is left out, whatever else it has.
	Fields map[string]any

	// RuleLines are the lines of a Role's or ClusterRole's rules, where known.
	RuleLines []int32
}

// Qualified is "namespace/name", or the name of what is in no namespace.
func Qualified(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// FullName is Qualified of the object's own.
func (o *Object) FullName() string { return Qualified(o.Namespace, o.Name) }

// Group is the API group of the object, "" for the core.
func (o *Object) Group() string {
	group, _, found := strings.Cut(o.APIVersion, "/")
	if !found {
		return ""
	}
	return group
}

// RuleAt is the place of a role's rule, or of the role where that is not known.
func (o *Object) RuleAt(i int) problem.Position {
	at := o.At
	if i >= 0 && i < len(o.RuleLines) {
		at.Line, at.Column = int(o.RuleLines[i]), 1
	}
	return at
}

// Get follows keys through maps; nil where one is not there.
func (o *Object) Get(keys ...string) any { return Get(o.Fields, keys...) }

// Get follows keys through maps; nil where one is not there.
func Get(value any, keys ...string) any {
	for _, key := range keys {
		fields, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = fields[key]
	}
	return value
}

// Text is the text at the end of keys, or "".
func (o *Object) Text(keys ...string) string { return Text(o.Fields, keys...) }

// Text is the text at the end of keys, or "".
func Text(value any, keys ...string) string {
	text, _ := Get(value, keys...).(string)
	return text
}

// List is the list at the end of keys, or nil.
func (o *Object) List(keys ...string) []any { return List(o.Fields, keys...) }

// List is the list at the end of keys, or nil.
func List(value any, keys ...string) []any {
	list, _ := Get(value, keys...).([]any)
	return list
}

// Map is the map at the end of keys, or nil.
func (o *Object) Map(keys ...string) map[string]any {
	fields, _ := o.Get(keys...).(map[string]any)
	return fields
}

// Texts are the texts in the list at the end of keys.
func Texts(value any, keys ...string) []string {
	var texts []string
	for _, item := range List(value, keys...) {
		if text, ok := item.(string); ok {
			texts = append(texts, text)
		}
	}
	return texts
}
