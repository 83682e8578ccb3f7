package schema

import "strings"

// OpenAPI is the schema as a document of OpenAPI 3.0, which has every kind of
// document and what they are made of as components, and no paths.
//
// It is written by hand as JSONSchema is: encoding/openapi v0.17.1 ends with
// "unsupported op != for string type" for ours.
func OpenAPI() ([]byte, error) {
	x := &exporter{shaper: newShaper(), openAPI: true, refs: "#/components/schemas/", definitions: jsonMap{}}
	for _, kind := range documentKinds {
		x.reference(kind)
	}
	return encodeJSON(jsonMap{
		"openapi":    "3.0.3",
		"info":       jsonMap{"title": "eso-tenant", "version": APIVersion},
		"paths":      jsonMap{},
		"components": jsonMap{"schemas": x.definitions},
	})
}

// KustomizeOpenAPI has what kustomize has to know of our kinds, so that
// strategic-merge patches find the items of those lists that the schema has
// @merge behind: Swagger 2.0, which is what kyaml reads, with the ways that lead
// to such lists and nothing else. It is not for use as it is: see
// fn.KustomizeOpenAPI.
//
// Only lists are merged whose items have one field that is always there and
// never twice the same. Of others kustomize v5.8.2 loses some without a word. By
// kind and name, of two members that differ in their role or namespace, one goes
// with any patch; with these as keys too, "$patch: delete" has no effect where
// one item has a namespace and another has none. Of two lists of texts, it keeps
// the old items and loses the patch's.
func KustomizeOpenAPI() ([]byte, error) {
	shaper := newShaper()
	group, version, _ := strings.Cut(APIVersion, "/")
	definitions := jsonMap{}
	for _, kind := range documentKinds {
		definition := mergeable(shaper.definition(kind))
		if definition == nil {
			continue
		}
		definition["x-kubernetes-group-version-kind"] = []any{jsonMap{"group": group, "version": version, "kind": kind}}
		definitions["dev.eso-tenant."+version+"."+kind] = definition
	}
	return encodeJSON(jsonMap{
		"swagger":     "2.0",
		"info":        jsonMap{"title": "eso-tenant", "version": APIVersion},
		"paths":       jsonMap{},
		"definitions": definitions,
	})
}

// mergeable leads to the lists below s that are merged; nil where there is none.
func mergeable(s *shape) jsonMap {
	switch s.form {
	case recordForm:
		properties := jsonMap{}
		for _, f := range s.fields {
			if m := mergeable(f.shape); m != nil {
				properties[f.name] = m
			}
		}
		if len(properties) == 0 {
			return nil
		}
		return jsonMap{"type": "object", "properties": properties}
	case namesForm:
		if m := mergeable(s.value); m != nil {
			return jsonMap{"type": "object", "additionalProperties": m}
		}
	case listForm:
		return mergedList(s)
	default: // a scalar is replaced
	}
	return nil
}

func mergedList(s *shape) jsonMap {
	if s.merge == "" {
		return nil
	}
	return jsonMap{
		"type": "array", "items": jsonMap{"type": "object"},
		"x-kubernetes-patch-strategy":  "merge",
		"x-kubernetes-patch-merge-key": s.merge,
	}
}
