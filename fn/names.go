package fn

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"

	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/eso-tenant/eso-tenant/schema"
)

// NameOf says of what Names looks for the names.
type NameOf string

// What Names can look for.
const (
	ClusterNames  NameOf = "clusters"
	TenantNames   NameOf = "tenants"
	ProviderNames NameOf = "providers"
)

// maxParsed bounds a document that is parsed for its names, which takes a
// hundred times as long as looking through its lines.
const maxParsed = 512 << 10

// Names lists names that specifications have, sorted. It is for completion
// while somebody types: it looks at what ReadSources would read, and stops with
// what it has when ctx ends. But it only glances at each document, checks
// nothing, leaves out what it cannot read, and never reads standard input. So
// it must decide nothing.
func Names(ctx context.Context, of NameOf, paths []string) []string {
	scan := &nameScan{ctx: ctx, of: of, found: map[string]bool{}}
	for _, name := range paths {
		scan.path(name)
	}
	return slices.Sorted(maps.Keys(scan.found))
}

// nameScan collects names from paths.
type nameScan struct {
	ctx    context.Context // of the one call that the scan is for
	of     NameOf
	found  map[string]bool
	buffer bytes.Buffer // of the file at hand
}

func (s *nameScan) path(name string) {
	info, err := os.Stat(name)
	switch {
	case err != nil || name == "-":
	case info.IsDir():
		s.folder(name)
	case info.Mode().IsRegular(): // a pipe or a device might never end
		s.stream(s.read(func() (io.ReadCloser, error) { return os.Open(name) }))
	}
}

// folder goes through the files that ReadSources reads.
func (s *nameScan) folder(name string) {
	root, err := os.OpenRoot(name)
	if err != nil {
		return
	}
	defer root.Close()
	_ = fs.WalkDir(root.FS(), ".", func(inside string, entry fs.DirEntry, err error) error {
		hidden := inside != "." && strings.HasPrefix(entry.Name(), ".")
		switch {
		case s.ctx.Err() != nil:
			return fs.SkipAll
		case entry.IsDir() && (err != nil || hidden):
			return fs.SkipDir
		case err == nil && !entry.IsDir() && !hidden && isSource(inside) && isRegular(root, inside, entry):
			if data := s.read(func() (io.ReadCloser, error) { return root.Open(inside) }); !bytes.HasPrefix(data, []byte(header)) {
				s.stream(data)
			}
		}
		return nil
	})
}

// isRegular tells whether an entry, or what it links to inside the root, is a
// regular file. It asks for links only: a question takes as long as a small file.
func isRegular(root *os.Root, inside string, entry fs.DirEntry) bool {
	mode := entry.Type()
	if mode&fs.ModeSymlink != 0 {
		info, err := root.Stat(inside)
		if err != nil {
			return false
		}
		mode = info.Mode()
	}
	return mode.IsRegular()
}

// read returns a file's content, good until the next call; nothing of a file
// that cannot be read.
func (s *nameScan) read(open func() (io.ReadCloser, error)) []byte {
	f, err := open()
	if err != nil {
		return nil
	}
	defer f.Close()
	s.buffer.Reset()
	if _, err := s.buffer.ReadFrom(io.LimitReader(f, schema.MaxSourceBytes)); err != nil {
		return nil
	}
	return s.buffer.Bytes()
}

// stream looks at each document of a source.
func (s *nameScan) stream(data []byte) {
	for s.ctx.Err() == nil && len(data) > 0 {
		document := data
		if end := documentEnd(data); end >= 0 {
			document, data = data[:end], data[end+len("\n---"):]
		} else {
			data = nil
		}
		s.document(document)
	}
}

// documentEnd is where a line "---" ends the document, or -1.
func documentEnd(data []byte) int {
	for from := 0; ; {
		i := bytes.Index(data[from:], []byte("\n---"))
		if i < 0 {
			return -1
		}
		rest := data[from+i+len("\n---"):]
		if len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0 {
			return from + i
		}
		from += i + len("\n---")
	}
}

// document takes the names of one document, by its first lines if they tell.
func (s *nameScan) document(document []byte) {
	head := readHead(document)
	parse := false
	switch {
	case head.apiVersion != "" && !ours(head.apiVersion):
	case head.apiVersion == "", head.kind == "":
		parse = bytes.Contains(document, []byte("eso-tenant.dev/")) // {…}, or JSON
	case head.kind == "Tenant" && s.of == TenantNames, head.kind == "Platform" && s.of == ClusterNames:
		parse = !s.add(head.name)
	default:
		parse = head.kind == "TenantSet" || head.kind == "Platform" && s.of == ProviderNames
	}
	if parse && len(document) <= maxParsed {
		s.parsed(document)
	}
}

func ours(apiVersion string) bool { return strings.HasPrefix(apiVersion, "eso-tenant.dev/") }

// add offers a name, and tells whether it is one. What is none is kept from
// the shell and its terminal.
func (s *nameScan) add(name string) bool {
	if !label.MatchString(name) {
		return false
	}
	s.found[name] = true
	return true
}

// label is #Label of the schema.
var label = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// IsName tells whether a text can be the name of a tenant or a cluster.
func IsName(text string) bool { return label.MatchString(text) }

// head is what the lines of a document say about it.
type head struct{ apiVersion, kind, name string }

// enough tells whether more lines would change nothing.
func (h *head) enough() bool {
	return h.apiVersion != "" && (!ours(h.apiVersion) || h.kind != "" && h.name != "")
}

// readHead looks through lines up to where it knows enough. It reads YAML, and
// CUE that is alike, as people write it; what it does not understand, it does
// not say.
func readHead(document []byte) (h head) {
	const outside, unknown = -1, 0
	metadata := outside // else how far its keys are indented
	for len(document) > 0 && !h.enough() {
		var line []byte
		line, document, _ = bytes.Cut(document, []byte("\n"))
		indent := len(line) - len(bytes.TrimLeft(line, " \t"))
		key, value, ok := entryOf(line[indent:])
		switch {
		case !ok:
		case indent == 0 && key == "metadata":
			metadata, h.name = unknown, flowName(value)
		case indent == 0:
			metadata = outside
			h.set(key, value)
		case metadata == unknown || metadata == indent:
			metadata = indent
			if key == "name" {
				h.name = value
			}
		}
	}
	return h
}

func (h *head) set(key, value string) {
	switch key {
	case "apiVersion":
		h.apiVersion = value
	case "kind":
		h.kind = value
	}
}

// entryOf reads "key: value", either of them quoted or not.
func entryOf(line []byte) (key, value string, ok bool) {
	before, after, ok := strings.Cut(string(line), ":")
	if !ok || before == "" || before[0] == '#' || after != "" && strings.IndexByte(" \t\r", after[0]) < 0 {
		return "", "", false
	}
	if comment := strings.Index(after, " #"); comment >= 0 {
		after = after[:comment]
	}
	return unquote(before), unquote(after), true
}

func unquote(text string) string { return strings.Trim(text, " \t\r\"'") }

// flowName is the name in metadata such as {name: web}, where it stands first.
// CUE does without the braces.
func flowName(value string) string {
	first, _, _ := strings.Cut(strings.Trim(value, "{}"), ",")
	if key, name, ok := entryOf([]byte(first)); ok && key == "name" {
		return name
	}
	return ""
}

// parsed takes the names of a document that its lines do not tell.
func (s *nameScan) parsed(document []byte) {
	root := parseLoosely(document)
	apiVersion, kind := scalar(field(root, "apiVersion")), scalar(field(root, "kind"))
	if !ours(apiVersion) {
		return
	}
	name, spec := scalar(field(root, "metadata", "name")), field(root, "spec")
	switch {
	case kind == "TenantSet":
		s.tenantSet(spec)
	case kind == "Platform" && s.of == ProviderNames:
		s.keys(field(spec, "providers"))
	case kind == "Platform" && s.of == ClusterNames, kind == "Tenant" && s.of == TenantNames:
		s.add(name)
	}
}

func (s *nameScan) tenantSet(spec *kyaml.Node) {
	switch s.of {
	case ClusterNames:
		s.add(scalar(field(spec, "platform", "name")))
	case TenantNames:
		s.keys(field(spec, "tenants"))
	case ProviderNames:
		s.keys(field(spec, "platform", "providers"))
	}
}

func (s *nameScan) keys(mapping *kyaml.Node) {
	if mapping == nil || mapping.Kind != kyaml.MappingNode {
		return
	}
	for i := 0; i < len(mapping.Content); i += 2 {
		s.add(mapping.Content[i].Value)
	}
}

// parseLoosely is nil for what is no YAML. The parser has panicked on hostile
// input in the past.
func parseLoosely(document []byte) (root *kyaml.Node) {
	defer func() {
		if recover() != nil {
			root = nil
		}
	}()
	var parsed kyaml.Node
	if kyaml.Unmarshal(document, &parsed) != nil || len(parsed.Content) == 0 {
		return nil
	}
	return parsed.Content[0]
}

// field looks a path of keys up; nil where there is nothing.
func field(n *kyaml.Node, path ...string) *kyaml.Node {
	for _, key := range path {
		if n == nil || n.Kind != kyaml.MappingNode {
			return nil
		}
		var next *kyaml.Node
		for i := 0; i < len(n.Content); i += 2 {
			if n.Content[i].Value == key {
				next = n.Content[i+1]
			}
		}
		if next != nil && next.Kind == kyaml.AliasNode {
			next = next.Alias
		}
		n = next
	}
	return n
}

// scalar is a node's text.
func scalar(n *kyaml.Node) string {
	if n == nil || n.Kind != kyaml.ScalarNode {
		return ""
	}
	return n.Value
}
