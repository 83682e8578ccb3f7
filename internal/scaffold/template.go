package scaffold

import (
	"bytes"
	"embed"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"go.yaml.in/yaml/v3"
)

//go:embed files
var files embed.FS

// templates are text with values in [[ ]], because {{ }} and { } are common in
// what is written. A value gets into YAML through yaml, flow or list only.
func templates() (*template.Template, error) {
	all := template.New("").Delims("[[", "]]")
	part := func(name string) func(d repositoryData) (string, error) {
		return func(d repositoryData) (string, error) { return execute(all, name+"-"+d.Provider.Kind, d) }
	}
	all.Funcs(template.FuncMap{
		"yaml": encodeText, "flow": encodeFlow, "list": encodeList, "regexp": regexp.QuoteMeta,
		"provider": part("provider"), "policy": part("policy"),
	})
	parsed, err := all.ParseFS(files, "files/*.tmpl")
	if err != nil {
		return nil, fmt.Errorf("reading a template: %w", err)
	}
	return parsed, nil
}

func execute(all *template.Template, name string, data any) (string, error) {
	var out bytes.Buffer
	if err := all.ExecuteTemplate(&out, name, data); err != nil {
		return "", fmt.Errorf("filling in a template: %w", err)
	}
	return out.String(), nil
}

// encodeText is a text as YAML, where it stands alone on the rest of a line:
// quoted if it would be something else otherwise.
func encodeText(text string) (string, error) {
	out, err := encode(scalar(text))
	if err != nil || !strings.Contains(out, "\n") {
		return out, err
	}
	// The encoder would like lines of their own for it.
	return encode(&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text, Style: yaml.DoubleQuotedStyle})
}

// encodeFlow is a text as YAML inside brackets or braces.
func encodeFlow(text string) (string, error) {
	list, err := encodeList([]string{text})
	return strings.TrimSuffix(strings.TrimPrefix(list, "["), "]"), err
}

// encodeList is a list of texts on one line.
func encodeList(texts []string) (string, error) {
	list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, text := range texts {
		list.Content = append(list.Content, scalar(text))
	}
	return encode(list)
}

func scalar(text string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: text}
}

func encode(n *yaml.Node) (string, error) {
	out, err := yaml.Marshal(n)
	if err != nil {
		return "", fmt.Errorf("encoding a value: %w", err)
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
