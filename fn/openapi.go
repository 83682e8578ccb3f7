package fn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/openapi"

	"github.com/eso-tenant/eso-tenant/schema"
)

// KustomizeOpenAPI is a file for the field openapi of a kustomization: how the
// lists of our kinds are merged, beside what kustomize knows of Kubernetes'.
//
// Kubernetes' has to be in it, since kustomize takes such a file in place of its
// own: with ours alone, a patch over one container of a Deployment takes the
// others away, without a word, and in every overlay as well.
func KustomizeOpenAPI() ([]byte, error) {
	ours, err := schema.KustomizeOpenAPI()
	if err != nil {
		return nil, err
	}
	var document map[string]any
	if err := json.Unmarshal(ours, &document); err != nil {
		return nil, fmt.Errorf("reading our own OpenAPI: %w", err)
	}
	definitions, _ := document["definitions"].(map[string]any)
	theirs, err := kubernetesDefinitions()
	if err != nil {
		return nil, err
	}
	for name, definition := range theirs {
		definitions[name] = patching(definition)
	}
	return toJSON(document)
}

// kubernetesDefinitions are those that this kustomize's library has built in.
func kubernetesDefinitions() (map[string]any, error) {
	builtin, err := json.Marshal(openapi.Schema().Definitions)
	if err != nil {
		return nil, fmt.Errorf("writing Kubernetes' OpenAPI: %w", err)
	}
	var definitions map[string]any
	if err := json.Unmarshal(builtin, &definitions); err != nil {
		return nil, fmt.Errorf("reading Kubernetes' OpenAPI: %w", err)
	}
	return definitions, nil
}

// patching is the part of a schema that decides how a patch is applied: a third
// of all, since most of it is descriptions.
func patching(schema any) any {
	all, isMap := schema.(map[string]any)
	if !isMap {
		return schema // additionalProperties: true
	}
	kept := map[string]any{}
	for key, value := range all {
		switch {
		case key == "properties":
			kept[key] = patchingEach(value)
		case key == "items", key == "additionalProperties":
			kept[key] = patching(value)
		case key == "type", key == "$ref", strings.HasPrefix(key, "x-kubernetes-"):
			kept[key] = value
		}
	}
	return kept
}

func patchingEach(properties any) map[string]any {
	all, _ := properties.(map[string]any)
	kept := make(map[string]any, len(all))
	for name, property := range all {
		kept[name] = patching(property)
	}
	return kept
}

func toJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("writing the OpenAPI as JSON: %w", err)
	}
	return b.Bytes(), nil
}
