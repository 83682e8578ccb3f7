package schema

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// JSONSchema is the schema as a JSON Schema of draft 7, for editors: one for
// every kind of document, told apart by kind. Draft 7 is what every release of
// yaml-language-server and of VS Code's JSON support takes in full.
//
// It is written by hand, since what cuelang.org/go/encoding/jsonschema v0.17.1
// generates cannot be used: where a definition embeds another one, the result
// demands both, each closed to the other's fields, so that it refuses every
// namespace and every label in metadata. It also knows nothing of what @want
// says, and nothing of #Providers and #Identities.
func JSONSchema() ([]byte, error) {
	x := &exporter{shaper: newShaper(), refs: "#/definitions/", definitions: jsonMap{}}
	var kinds []any
	for _, kind := range documentKinds {
		kinds = append(kinds, jsonMap{
			"if":   jsonMap{"properties": jsonMap{"kind": jsonMap{"const": kind}}, "required": []string{"kind"}},
			"then": x.reference(kind),
		})
	}
	return encodeJSON(jsonMap{
		"$schema":     "http://json-schema.org/draft-07/schema#",
		"description": "A specification of eso-tenant.",
		"type":        "object",
		"required":    []string{"apiVersion", "kind"},
		"properties": jsonMap{
			"apiVersion": jsonMap{"description": "The version of the specification.", "const": APIVersion},
			"kind":       jsonMap{"description": x.kinds(), "enum": documentKinds},
		},
		"allOf":       kinds,
		"definitions": x.definitions,
	})
}

// kinds says what the kinds of document are for.
func (x *exporter) kinds() string {
	var all []string
	for _, kind := range documentKinds {
		all = append(all, x.shaper.definition(kind).about)
	}
	return strings.Join(all, " ")
}

type jsonMap = map[string]any

// encodeJSON writes keys in byte order, so that the output is always the same.
func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("writing the schema as JSON: %w", err)
	}
	return b.Bytes(), nil
}

// exporter writes shapes as JSON Schema, or as the part of it that OpenAPI 3.0
// knows.
type exporter struct {
	shaper      *shaper
	openAPI     bool
	refs        string  // where the definitions are
	definitions jsonMap // those that are referred to
}

// reference refers to a definition, and writes it down the first time.
func (x *exporter) reference(name string) jsonMap {
	if _, known := x.definitions[name]; !known {
		x.definitions[name] = nil // no definition holds itself, but it is cheap to be sure
		x.definitions[name] = x.inline(x.shaper.definition(name))
	}
	return jsonMap{"$ref": x.refs + name}
}

// schema is what may stand at a place. Records are referred to where nothing
// else is said of the place: readers ignore what stands beside a $ref.
func (x *exporter) schema(s *shape) jsonMap {
	if s.form == recordForm && s.definition != "" && s.doc == "" && s.definition != identityDefinition {
		return x.reference(s.definition)
	}
	return x.inline(s)
}

func (x *exporter) inline(s *shape) jsonMap {
	m := x.form(s)
	if text := description(s); text != "" {
		m["description"] = text
	}
	return m
}

// description is what an editor shows: the comment, and what a pattern asks for.
func description(s *shape) string {
	text := s.comment()
	if s.want != "" {
		text = strings.TrimSpace(text + " It is " + s.want + ".")
	}
	return text
}

func (x *exporter) form(s *shape) jsonMap {
	switch s.form {
	case recordForm:
		return x.record(s)
	case namesForm:
		m := jsonMap{"type": "object", "additionalProperties": x.schema(s.value)}
		if s.key.pattern != "" && !x.openAPI {
			m["propertyNames"] = x.text(s.key)
		}
		return m
	case listForm:
		return jsonMap{"type": "array", "items": x.schema(s.value)}
	case textForm:
		return x.text(s)
	case boolForm:
		return jsonMap{"type": "boolean"}
	case wholeForm:
		return inRange(jsonMap{"type": "integer"}, s)
	case numberForm:
		return inRange(jsonMap{"type": "number"}, s)
	case eitherForm:
		return x.either(s)
	default:
		return jsonMap{}
	}
}

func inRange(m jsonMap, s *shape) jsonMap {
	if s.low != nil {
		m["minimum"] = *s.low
	}
	if s.high != nil {
		m["maximum"] = *s.high
	}
	return m
}

func (x *exporter) record(s *shape) jsonMap {
	m := jsonMap{"type": "object"}
	if s.open {
		return m
	}
	properties, required := jsonMap{}, []string{}
	for _, f := range s.fields {
		if x.told(s, f.name) {
			properties[f.name] = true
			continue
		}
		properties[f.name] = x.schema(f.shape)
		if f.required {
			required = append(required, f.name)
		}
	}
	m["properties"], m["additionalProperties"] = properties, false
	if len(required) > 0 {
		m["required"] = required
	}
	if len(s.kinds) > 0 {
		x.exactlyOne(m, s.kinds)
	}
	return m
}

// told tells whether a field is looked at outside the definition, where the
// kinds are told apart, so that a mistake in it is reported once.
func (x *exporter) told(s *shape, field string) bool {
	return !x.openAPI && slices.Contains(documentKinds, s.definition) && (field == "apiVersion" || field == "kind")
}

// exactlyOne asks for one of the fields. An editor is told to say so, instead of
// naming the first of them as missing, and to say nothing of what is no map.
func (x *exporter) exactlyOne(m jsonMap, fields []string) {
	var each []jsonMap
	for _, field := range fields {
		each = append(each, jsonMap{"required": []string{field}})
	}
	if x.openAPI {
		m["oneOf"] = each
		return
	}
	for _, alternative := range each {
		alternative["errorMessage"] = "state exactly one of " + strings.Join(fields, ", ")
	}
	m["if"], m["then"] = jsonMap{"type": "object"}, jsonMap{"oneOf": each}
}

func (x *exporter) text(s *shape) jsonMap {
	switch {
	case len(s.words) == 1 && !x.openAPI:
		return jsonMap{"const": s.words[0]}
	case len(s.words) > 0 && !x.openAPI:
		return jsonMap{"enum": s.words} // with a type, an editor would complain twice
	case len(s.words) > 0:
		return jsonMap{"type": "string", "enum": s.words}
	}
	m := jsonMap{"type": "string"}
	if s.pattern != "" {
		m["pattern"] = ecmaPattern(s.pattern)
		if s.want != "" && !x.openAPI {
			// Both yaml-language-server and VS Code show it in place of the pattern.
			m["patternErrorMessage"] = "this is not " + s.want
		}
	}
	if s.refused != "" {
		m["not"] = jsonMap{"type": "string", "pattern": ecmaPattern(s.refused)}
	}
	if s.nonEmpty {
		m["minLength"] = 1
	}
	return m
}

// ecmaPattern is a pattern of RE2 as one of ECMA-262, where \s is more than
// RE2's: without it an editor would refuse what eso-tenant takes. Our patterns
// have \s in brackets only, and nothing else that differs.
func ecmaPattern(pattern string) string {
	return strings.ReplaceAll(pattern, `\s`, `\t\n\f\r `)
}

// either writes one schema with several types where they are scalars, since an
// editor then has one thing to complain about; and alternatives otherwise.
func (x *exporter) either(s *shape) jsonMap {
	if x.openAPI || slices.ContainsFunc(s.choice, func(c *shape) bool { return c.form == recordForm }) {
		var all []any
		for _, choice := range s.choice {
			all = append(all, x.form(choice))
		}
		return jsonMap{"anyOf": all}
	}
	m, types := jsonMap{}, []string{}
	for _, choice := range s.choice {
		worded := *choice
		worded.want = s.want
		maps.Copy(m, x.form(&worded))
		types = append(types, scalarType(choice.form))
	}
	slices.Sort(types)
	m["type"] = slices.Compact(types)
	return m
}

func scalarType(f form) string {
	switch f {
	case boolForm:
		return "boolean"
	case wholeForm, numberForm:
		return "number" // a whole one as well, where the other may stand
	default:
		return "string"
	}
}
