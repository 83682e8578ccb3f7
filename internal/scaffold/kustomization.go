package scaffold

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
)

// kustomizationNames are those that kustomize looks for.
var kustomizationNames = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// resourcesOf lists the resources of a kustomization.
func resourcesOf(kustomization []byte) ([]string, error) {
	var read struct{ Resources []string }
	if err := yaml.Unmarshal(kustomization, &read); err != nil {
		return nil, fmt.Errorf("reading its resources: %w", err)
	}
	return read.Resources, nil
}

// addResource adds a file to the resources of a kustomization. Where these are
// written line by line, as most are, nothing else of the text changes;
// otherwise kyaml writes it anew, with its comments.
func addResource(kustomization []byte, entry string) ([]byte, error) {
	want, err := resourcesOf(kustomization)
	if err != nil {
		return nil, err
	}
	want = append(want, entry)
	for _, add := range []func([]byte, string) ([]byte, error){addLine, addNode} {
		added, err := add(kustomization, entry)
		if err != nil {
			continue
		}
		if after, err := resourcesOf(added); err == nil && slices.Equal(after, want) {
			return added, nil
		}
	}
	return nil, errors.New("its resources are not a list of files")
}

var errNoLine = errors.New("no line is one resource")

// addLine repeats the line of the last resource with another name.
func addLine(kustomization []byte, entry string) ([]byte, error) {
	var parsed yaml.Node
	if err := yaml.Unmarshal(kustomization, &parsed); err != nil {
		return nil, err
	}
	list := lookup(&parsed, "resources")
	if list == nil || list.Style&yaml.FlowStyle != 0 || len(list.Content) == 0 {
		return nil, errNoLine
	}
	last := list.Content[len(list.Content)-1]
	lines := bytes.SplitAfter(kustomization, []byte("\n"))
	line := string(lines[last.Line-1])
	if last.Column > len(line) || strings.TrimSpace(line[:last.Column-1]) != "-" {
		return nil, errNoLine
	}
	text, err := encodeText(entry)
	if err != nil {
		return nil, err
	}
	end := "\n"
	if strings.HasSuffix(line, "\r\n") {
		end = "\r\n"
	}
	if !strings.HasSuffix(line, "\n") {
		lines[last.Line-1] = append(lines[last.Line-1], end...)
	}
	lines = slices.Insert(lines, last.Line, []byte(line[:last.Column-1]+text+end))
	return bytes.Join(lines, nil), nil
}

// lookup is the value of a key of a document's.
func lookup(document *yaml.Node, key string) *yaml.Node {
	if len(document.Content) == 0 || document.Content[0].Kind != yaml.MappingNode {
		return nil
	}
	entries := document.Content[0].Content
	for i := 0; i+1 < len(entries); i += 2 {
		if entries[i].Value == key {
			return entries[i+1]
		}
	}
	return nil
}

func addNode(kustomization []byte, entry string) ([]byte, error) {
	parsed, err := kyaml.Parse(string(kustomization))
	if err != nil {
		return nil, err
	}
	if err := parsed.PipeE(kyaml.LookupCreate(kyaml.SequenceNode, "resources"), kyaml.Append(kyaml.NewStringRNode(entry).YNode())); err != nil {
		return nil, err
	}
	text, err := parsed.String()
	return []byte(text), err
}
