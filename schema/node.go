package schema

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// node is a value of a document. It is our own, not the parser's, for three
// reasons: it has aliases expanded within bounds, it has only what every YAML
// parser reads alike, and it remembers that a problem was reported on it, so
// that one cause gives one problem.
type node struct {
	kind      nodeKind
	text      string // of a scalar
	entries   []entry
	items     []*node
	line, col int32
	file      uint16 // of CUE: its file among the document's others, from 1
	bad       bool
	secret    bool // not to be repeated in messages
}

type entry struct {
	key       string
	line, col int32
	value     *node
	file      uint16 // as a node's
	bad       bool   // the key itself has a problem
}

type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	intNode
	floatNode
	stringNode
	mapNode
	listNode
)

// String names the kind as a user would.
func (k nodeKind) String() string {
	return [...]string{"nothing", "a boolean", "a whole number", "a number", "a text", "a map", "a list"}[k]
}

// get returns the value of a key, or nil. It may be called on nil and on what
// is no map, so that reading goes on where the schema found a mistake.
func (n *node) get(key string) *node {
	if e := n.entry(key); e != nil {
		return e.value
	}
	return nil
}

func (n *node) entry(key string) *entry {
	if n == nil {
		return nil
	}
	for i := range n.entries {
		if n.entries[i].key == key {
			return &n.entries[i]
		}
	}
	return nil
}

// keys returns the entries of a map; none of nil.
func (n *node) keys() []entry {
	if n == nil {
		return nil
	}
	return n.entries
}

// list returns the items of a list; none of nil.
func (n *node) list() []*node {
	if n == nil {
		return nil
	}
	return n.items
}

// str returns a scalar's text; empty of nil, of a map and of a list.
func (n *node) str() string {
	if n == nil {
		return ""
	}
	return n.text
}

// isTrue tells whether the node is the boolean true.
func (n *node) isTrue() bool { return n != nil && n.kind == boolNode && n.text == "true" }

// strs returns the texts of a list that have no problem.
func (n *node) strs() []string {
	var texts []string
	for _, item := range n.list() {
		if !item.bad {
			texts = append(texts, item.text)
		}
	}
	return texts
}

// with copies a map with the value of key replaced, if it is a map and has it.
func (n *node) with(key string, replace func(*node) *node) *node {
	if n.entry(key) == nil {
		return n
	}
	copied := *n
	copied.entries = slices.Clone(n.entries)
	e := copied.entry(key)
	e.value = replace(e.value)
	return &copied
}

// builder makes our tree from the parser's.
type builder struct {
	dec           *decoder
	file, subject string
	nodes         int
	stopped       bool // a bound was hit: nothing more of this source is read
	secret        bool // what is being built is not to be repeated in messages
}

// document returns nil for an empty document.
func (b *builder) document(parsed *yaml.Node) *node {
	root := parsed
	if root.Kind == yaml.DocumentNode {
		if len(root.Content) == 0 {
			return nil
		}
		root = root.Content[0]
	}
	n := b.value(root, 0)
	if n == nil || n.kind == nullNode {
		return nil
	}
	return n
}

func (b *builder) position(y *yaml.Node) problem.Position {
	if b.file == "" {
		return problem.Position{Subject: b.subject}
	}
	return at(b.file, y.Line, y.Column)
}

func (b *builder) report(rule problem.Rule, y *yaml.Node, message, hint string) {
	b.dec.report(problem.Problem{Rule: rule, Position: b.position(y), Message: message, Hint: hint})
}

func (b *builder) stop(y *yaml.Node, message, hint string) {
	if !b.stopped {
		b.report(problem.YAMLTooDeep, y, message, hint)
	}
	b.stopped = true
}

// value converts one value; nil once a bound was hit.
func (b *builder) value(y *yaml.Node, depth int) *node {
	b.nodes++
	switch {
	case b.stopped:
		return nil
	case depth > maxDepth:
		b.stop(y, fmt.Sprintf("values are nested more than %d deep", maxDepth), "no field of the specification is")
		return nil
	case b.nodes > maxNodes:
		b.stop(y, fmt.Sprintf("this source has more than %d values, aliases expanded", maxNodes), "write the values out, or split the source")
		return nil
	}
	b.collectionTag(y)
	n := &node{line: int32(max(y.Line, 1)), col: int32(max(y.Column, 1))} //nolint:gosec // sources are bounded far below 2³¹ lines
	switch y.Kind {
	case yaml.AliasNode:
		// Where the alias stands is where the user has to look.
		if target := b.value(y.Alias, depth+1); target != nil {
			target.line, target.col = n.line, n.col
			return target
		}
		return nil
	case yaml.MappingNode:
		n.kind = mapNode
		b.mapping(n, y, depth)
	case yaml.SequenceNode:
		n.kind = listNode
		for _, item := range y.Content {
			if v := b.value(item, depth+1); v != nil {
				n.items = append(n.items, v)
			}
		}
	case yaml.ScalarNode:
		b.scalar(n, y)
	default:
		b.report(problem.YAMLUnsupported, y, "this is no value that the specification can hold", "")
		n.bad = true
	}
	return n
}

// collectionTag refuses a tag on a map or a list that other parsers may act on.
func (b *builder) collectionTag(y *yaml.Node) {
	tagged := y.Style&yaml.TaggedStyle != 0 && (y.Kind == yaml.MappingNode || y.Kind == yaml.SequenceNode)
	if tag := y.ShortTag(); tagged && tag != "!!map" && tag != "!!seq" {
		b.report(problem.YAMLUnsupported, y, "tag "+problem.Quote(tag)+" is not read", "write a plain value")
	}
}

func (b *builder) mapping(n *node, y *yaml.Node, depth int) {
	n.entries = make([]entry, 0, len(y.Content)/2)
	seen := make(map[string]*yaml.Node, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content) && !b.stopped; i += 2 {
		key := y.Content[i]
		text, ok := b.key(key)
		if !ok {
			n.bad = true
			continue
		}
		if first, twice := seen[text]; twice {
			b.report(problem.YAMLDuplicateKey, key, "key "+problem.Quote(text)+" stands twice in this map; first at "+b.position(first).String(), "keep one of them")
			n.bad = true
			continue
		}
		seen[text] = key
		if v := b.field(text, y.Content[i+1], depth+1); v != nil {
			n.entries = append(n.entries, entry{key: text, line: int32(max(key.Line, 1)), col: int32(max(key.Column, 1)), value: v}) //nolint:gosec // as above
		}
	}
}

// field converts the value of a key. Headers can be tokens, and tokens get
// pasted where certificates go.
func (b *builder) field(key string, y *yaml.Node, depth int) *node {
	outer := b.secret
	defer func() { b.secret = outer }()
	b.secret = outer || secretField(key)
	return b.value(y, depth)
}

// secretField tells whether what stands under a key is not to be repeated.
func secretField(key string) bool { return key == "headers" || key == "caBundle" }

// key reads a key of a map, which has to be a text to every parser.
func (b *builder) key(y *yaml.Node) (string, bool) {
	if y.Kind == yaml.AliasNode && y.Alias != nil {
		y = y.Alias
	}
	switch {
	case y.Kind != yaml.ScalarNode:
		b.report(problem.YAMLUnsupported, y, "the key of a map is a text", "")
		return "", false
	case y.Tag == "!!merge" || y.Value == "<<":
		b.report(problem.YAMLUnsupported, y, "merge keys (<<) are not read", "write the fields out")
		return "", false
	}
	n := &node{}
	b.scalar(n, y)
	if n.kind != stringNode && !n.bad {
		b.report(problem.YAMLAmbiguous, y, "key "+problem.Quote(y.Value)+" is "+n.kind.String()+", not a text", "write it in quotes")
		return "", false
	}
	return n.text, !n.bad
}

// scalar reads a value that has to mean the same to kubectl, kustomize and CUE.
func (b *builder) scalar(n *node, y *yaml.Node) {
	n.text, n.secret = y.Value, b.secret
	if len(y.Value) > maxScalarBytes {
		b.report(problem.SourceTooLarge, y, fmt.Sprintf("this text is longer than %d KiB", maxScalarBytes>>10), "")
		n.bad = true
	}
	switch tag := y.ShortTag(); tag {
	case "!!str":
		n.kind = stringNode
		switch {
		case !plain(y):
		case yaml11Bool.MatchString(y.Value):
			b.ambiguous(n, y, "a boolean to YAML 1.1 and a text to YAML 1.2")
		case yaml11Base60.MatchString(y.Value):
			b.ambiguous(n, y, "a number to YAML 1.1 and a text to YAML 1.2")
		}
	case "!!null":
		n.kind = nullNode
	case "!!bool":
		n.kind = boolNode
		n.text = strings.ToLower(y.Value)
		if n.text != "true" && n.text != "false" { // !!bool yes
			b.ambiguous(n, y, "not a boolean to every YAML parser")
		}
	case "!!int":
		n.kind = intNode
		if !decimalInt.MatchString(y.Value) {
			b.ambiguous(n, y, "not the same number to every YAML parser")
		}
	case "!!float":
		n.kind = floatNode
		if !decimalFloat.MatchString(y.Value) {
			b.ambiguous(n, y, "not the same number to every YAML parser")
		}
	case "!!timestamp":
		n.kind = stringNode
		b.ambiguous(n, y, "a date to some YAML parsers and a text to others")
	default:
		n.kind = stringNode
		n.bad = true
		b.report(problem.YAMLUnsupported, y, "tag "+problem.Quote(tag)+" is not read", "write a plain value")
	}
}

func (b *builder) ambiguous(n *node, y *yaml.Node, why string) {
	b.report(problem.YAMLAmbiguous, y, quoteValue(n, "")+" is "+why, "write a text in quotes, a boolean as true or false, a number in plain decimals")
	n.bad = true
}

func plain(y *yaml.Node) bool {
	return y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0
}

var (
	yaml11Base60 = regexp.MustCompile(`^[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+([.][0-9_]*)?$`)
	yaml11Bool   = regexp.MustCompile(`^(?i:y|n|yes|no|on|off)$`)
	decimalInt   = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
	decimalFloat = regexp.MustCompile(`^-?(0|[1-9][0-9]*)\.[0-9]+$`)
)
