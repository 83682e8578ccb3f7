package inventory

import (
	"fmt"

	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// nodes makes objects of what yaml.v3 has parsed.
type nodes struct {
	*reader
	line  int // before the first one of the text
	size  int // of the text
	count int // values made, aliases expanded
	bad   bool
}

func (n *nodes) place(y *yaml.Node) problem.Position { return n.at(n.line+y.Line, y.Column) }

func (n *nodes) report(rule problem.Rule, y *yaml.Node, message, hint string) {
	n.bad = true
	n.reader.report(rule, n.place(y), message, hint)
}

// items makes objects of the items of a List.
func (n *nodes) items(y *yaml.Node, lists int, usual heading) {
	if n.tooNested(lists, n.place(y)) {
		return
	}
	for _, item := range y.Content {
		if n.full {
			return
		}
		n.object(item, lists, usual)
	}
}

// object makes one object, or all that are in a List.
func (n *nodes) object(y *yaml.Node, lists int, usual heading) {
	n.bad = false
	at := n.place(y)
	if n.crowded(y) {
		return // of Lists that are aliases of one another
	}
	y = target(y)
	if y.Kind != yaml.MappingNode {
		n.report(problem.ObjectUnreadable, y, "this is no object", "write Kubernetes objects only")
		return
	}
	o := n.look(y)
	if n.bad {
		return
	}
	assumed := o.apiVersion == nil && o.kind == nil && usual != (heading{})
	h := usual
	if !assumed {
		h = heading{scalarText(o.apiVersion), scalarText(o.kind)}
	}
	if items := target(o.items); !n.bad && items != nil && items.Kind == yaml.SequenceNode {
		if n.listed(h, at) {
			n.items(items, lists+1, h.item())
		}
		return
	}
	if n.bad || !n.headed(h, at) || n.isItemless(h, at) || !n.keeps(h) {
		return
	}
	fields, _ := n.value(y, 0).(map[string]any)
	if n.bad {
		return
	}
	if assumed {
		fields["apiVersion"], fields["kind"] = h.apiVersion, h.kind
	}
	n.add(h, fields, at, n.ruleLines(h, o.rules), n.size)
	n.size = 0 // it is counted once
}

// look finds what says what an object is, without making values of all of it.
type look struct{ apiVersion, kind, items, rules *yaml.Node }

func (n *nodes) look(y *yaml.Node) look {
	var o look
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := target(y.Content[i]), y.Content[i+1]
		if key == nil {
			return o
		}
		if isMerge(key) {
			n.report(problem.YAMLUnsupported, key, "merge keys (<<) are not read", "write the fields out")
			return o
		}
		var field **yaml.Node
		switch key.Value {
		case "apiVersion":
			field = &o.apiVersion
		case "kind":
			field = &o.kind
		case "items":
			field = &o.items
		case "rules":
			field = &o.rules
		default:
			continue
		}
		if *field != nil {
			n.twice(y.Content[i], key.Value)
			return o
		}
		*field = value
	}
	return o
}

func (n *nodes) twice(key *yaml.Node, text string) {
	n.report(problem.YAMLDuplicateKey, key, "key "+problem.Quote(text)+" stands twice in this map", "keep one of them")
}

// isMerge tells whether a key merges: in quotes it is a text like others.
func isMerge(key *yaml.Node) bool {
	quoted := key.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
	return key.Kind == yaml.ScalarNode && (key.Tag == "!!merge" || key.Value == "<<" && !quoted)
}

// target is what an alias stands for; nil where that is nothing. An alias may
// stand for one that contains it, but not for another alias.
func target(y *yaml.Node) *yaml.Node {
	if y == nil || y.Kind != yaml.AliasNode {
		return y
	}
	return y.Alias
}

// scalarText is the text that a node is, or "".
func scalarText(y *yaml.Node) string {
	if y = target(y); y == nil || y.Kind != yaml.ScalarNode || y.ShortTag() != "!!str" {
		return ""
	}
	return y.Value
}

// ruleLines are the lines of a role's rules.
func (n *nodes) ruleLines(h heading, rules *yaml.Node) []int32 {
	rules = target(rules)
	if !h.isRole() || rules == nil || rules.Kind != yaml.SequenceNode {
		return nil
	}
	var lines []int32
	for _, rule := range rules.Content {
		lines = append(lines, line32(n.line+rule.Line))
	}
	return lines
}

// crowded counts a value, and reports if there are too many.
func (n *nodes) crowded(y *yaml.Node) bool {
	if n.count++; n.count <= maxNodes {
		return false
	}
	n.report(problem.YAMLTooDeep, y, fmt.Sprintf("there are more than %d values, aliases expanded", maxNodes), "write the values out")
	return true
}

// value makes a value as JSON would have it.
func (n *nodes) value(y *yaml.Node, depth int) any {
	switch {
	case n.bad || n.crowded(y):
		return nil
	case depth > maxDepth:
		n.report(problem.YAMLTooDeep, y, fmt.Sprintf("values are nested more than %d deep", maxDepth), "no object of Kubernetes is")
		return nil
	case y.Kind == yaml.AliasNode:
		return n.value(y.Alias, depth+1)
	case y.Kind == yaml.MappingNode && n.tagged(y, "!!map"):
		return n.mapping(y, depth)
	case y.Kind == yaml.SequenceNode && n.tagged(y, "!!seq"):
		list := make([]any, 0, len(y.Content))
		for _, item := range y.Content {
			list = append(list, n.value(item, depth+1))
		}
		return list
	case y.Kind == yaml.ScalarNode:
		return n.scalar(y)
	}
	return nil
}

// tagged tells whether a collection has no other tag than its own.
func (n *nodes) tagged(y *yaml.Node, own string) bool {
	if y.ShortTag() == own {
		return true
	}
	n.report(problem.YAMLUnsupported, y, "tag "+problem.Quote(y.ShortTag())+" is not read", "write a plain value")
	return false
}

func (n *nodes) mapping(y *yaml.Node, depth int) any {
	fields := make(map[string]any, len(y.Content)/2)
	for i := 0; i+1 < len(y.Content) && !n.bad; i += 2 {
		key, ok := n.key(y.Content[i])
		if !ok {
			return nil
		}
		before := len(fields)
		fields[key] = n.value(y.Content[i+1], depth+1)
		if len(fields) == before && !n.bad {
			n.twice(y.Content[i], key)
		}
	}
	return fields
}

// key reads a key, which has to be a text to every reader.
func (n *nodes) key(y *yaml.Node) (string, bool) {
	key := target(y)
	switch {
	case key == nil || key.Kind != yaml.ScalarNode:
		n.report(problem.YAMLUnsupported, y, "the key of a map is a text", "")
		return "", false
	case isMerge(key):
		n.report(problem.YAMLUnsupported, y, "merge keys (<<) are not read", "write the fields out")
		return "", false
	}
	text, ok := n.scalar(key).(string)
	if !ok && !n.bad {
		n.report(problem.YAMLAmbiguous, y, "key "+problem.Quote(key.Value)+" is no text", "write it in quotes")
	}
	return text, !n.bad
}

func (n *nodes) scalar(y *yaml.Node) any {
	const plainStyles = yaml.SingleQuotedStyle | yaml.DoubleQuotedStyle | yaml.LiteralStyle | yaml.FoldedStyle | yaml.TaggedStyle
	value, why := scalarValue(y.ShortTag(), y.Value, y.Style&plainStyles == 0)
	switch why {
	case "":
		if text, ok := value.(string); ok {
			return n.texts.value([]byte(text))
		}
	case aTag:
		n.report(problem.YAMLUnsupported, y, "tag "+problem.Quote(y.ShortTag())+" is not read", "write a plain value")
	default:
		n.report(problem.YAMLAmbiguous, y, why, "write a text in quotes, a boolean as true or false, a number in plain decimals")
	}
	return value
}
