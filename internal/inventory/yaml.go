package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// A source in YAML is cut into documents, and a List as kubectl writes it into
// its items, by looking at the beginnings of lines only. Each piece is read by
// blockReader if it is as plain as what programs write, and else by yaml.v3,
// which takes twenty times as long. A cut in the wrong place, such as in a
// quoted text of several lines, leaves pieces that neither takes.

// yaml reads one document after another.
func (r *reader) yaml() {
	for line := 1; !r.full; {
		text, ok := r.window.document()
		if !ok {
			if errors.Is(r.window.err, errHeld) {
				r.report(problem.SourceTooLarge, r.at(line, 1), fmt.Sprintf("this document has more than %d MiB", maxDocumentBytes>>20), "dump with -o json, which can be read piece by piece")
			}
			return
		}
		if !r.document(text, line) {
			return
		}
		line += bytes.Count(text, []byte("\n"))
	}
}

// document returns the next document with the line that begins it. It is valid
// until the next call.
func (w *window) document() ([]byte, bool) {
	const marker = "\n---"
	w.start = w.pos
	for looked := 0; ; {
		i := bytes.Index(w.buf[w.start+looked:], []byte(marker))
		if i >= 0 && w.start+looked+i+len(marker) < len(w.buf) {
			looked += i + 1
			if w.endsAt(w.start + looked) {
				w.pos = w.start + looked
				return w.buf[w.start:w.pos], true
			}
			continue
		}
		// What follows the marker, or the rest of it, may be yet to come.
		looked = max(looked, len(w.buf)-w.start-len(marker))
		if !w.more() {
			break
		}
	}
	w.pos = len(w.buf)
	return w.buf[w.start:], w.pos > w.start && (w.err == nil || errors.Is(w.err, io.EOF))
}

// endsAt tells whether the document ends before the dashes at i.
func (w *window) endsAt(i int) bool {
	return isSpace(w.buf[i+len("---")]) && !isPrelude(w.buf[w.start:i])
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// isPrelude tells whether lines are comments, directives or blank: they belong
// to the document after them.
func isPrelude(text []byte) bool {
	for line := range bytes.Lines(text) {
		if c := line[0]; c != '#' && c != '%' && len(bytes.TrimSpace(line)) > 0 {
			return false
		}
	}
	return true
}

// document reads one document that begins in a line. False: nothing that
// follows can be read.
func (r *reader) document(text []byte, line int) bool {
	b := blockReader{texts: r.texts}
	if !plainText(text) {
		return r.slow(text, line)
	}
	if rest, items, ok := cutList(text); ok {
		return r.cutList(&b, rest, items, line)
	}
	object, ok := b.document(text, line)
	if !ok || isList(object) {
		return r.slow(text, line)
	}
	if object != nil {
		r.block(&b, object, heading{}, len(text))
	}
	return true
}

// isList tells whether an object has items, each of which has a place of its
// own that blockReader does not know.
func isList(object map[string]any) bool {
	_, items := object["items"].([]any)
	return items
}

// block takes an object that blockReader has read.
func (r *reader) block(b *blockReader, fields map[string]any, usual heading, size int) {
	at := r.at(b.objectLine, b.objectColumn)
	h := heading{Text(fields, "apiVersion"), Text(fields, "kind")}
	if fields["apiVersion"] == nil && fields["kind"] == nil && usual != (heading{}) {
		h = usual
		fields["apiVersion"], fields["kind"] = h.apiVersion, h.kind
	}
	if !r.headed(h, at) || r.isItemless(h, at) || !r.keeps(h) {
		return
	}
	var lines []int32
	if h.isRole() {
		lines = b.ruleLines
	}
	r.add(h, fields, at, lines, size)
}

// cutList reads a List that was cut into its items. What is left of it says
// what it is.
func (r *reader) cutList(b *blockReader, rest []byte, items []piece, line int) bool {
	list, ok := b.document(rest, line)
	at := r.at(line, 1)
	if !ok || list == nil {
		r.report(problem.YAMLSyntax, at, "this List has fields beside its items that cannot be read", "write a List as kubectl does")
		return true
	}
	at = r.at(b.objectLine, b.objectColumn)
	h := heading{Text(list, "apiVersion"), Text(list, "kind")}
	r.listed(h, at)
	for _, item := range items {
		object, ok := b.item(item.text, line+item.line)
		if ok && !isList(object) {
			r.block(b, object, h.item(), len(item.text))
		} else if !r.slowItem(item.text, line+item.line, h.item()) {
			return false
		}
		if r.full {
			return false
		}
	}
	return true
}

// slow reads text as yaml.v3 does.
func (r *reader) slow(text []byte, line int) bool {
	return r.parse(text, line, func(n *nodes, root *yaml.Node) {
		if root.Kind == yaml.SequenceNode {
			n.items(root, 1, heading{})
			return
		}
		if root.Kind != yaml.ScalarNode || root.ShortTag() != "!!null" {
			n.object(root, 0, heading{})
		}
	})
}

// slowItem reads one item of a List, which is a list of one.
func (r *reader) slowItem(text []byte, line int, usual heading) bool {
	return r.parse(text, line, func(n *nodes, root *yaml.Node) {
		if root.Kind != yaml.SequenceNode || len(root.Content) != 1 {
			n.report(problem.YAMLSyntax, root, "this item of a List is not one thing", "write a List as kubectl does")
			return
		}
		n.items(root, 1, usual)
	})
}

// parse has yaml.v3 read text that begins in a line. False: it is not YAML, so
// that where its documents end is not known either.
func (r *reader) parse(text []byte, line int, read func(*nodes, *yaml.Node)) bool {
	if i, what := badText(text); what != "" {
		r.report(problem.YAMLEncoding, r.placeOf(text, i, line), what, "is this a YAML file? save it as UTF-8 without control characters")
		return false
	}
	if i := crowded(text); i >= 0 {
		r.report(problem.SourceTooLarge, r.placeOf(text, i, line), fmt.Sprintf("this document has more than %d values up to here", maxMarks), "dump with -o json, which can be read piece by piece")
		return true
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for !r.full {
		var parsed yaml.Node
		err := decodeYAML(decoder, &parsed)
		if errors.Is(err, io.EOF) {
			return true
		}
		if err != nil {
			r.syntax(text, line, err)
			return false
		}
		if parsed.Kind == yaml.DocumentNode && len(parsed.Content) == 1 {
			read(&nodes{reader: r, line: line - 1, size: len(text)}, parsed.Content[0])
		}
	}
	return true
}

// decodeYAML turns a panic of the parser, as hostile input has caused in the
// past, into an error of its own.
func decodeYAML(d *yaml.Decoder, n *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("yaml: %v", r)
		}
	}()
	return d.Decode(n)
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// syntax reports an error of the parser at its line.
func (r *reader) syntax(text []byte, line int, err error) {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	found := 1
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		found, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	if strings.HasPrefix(message, "did not find expected") {
		found++ // the parser, unlike its scanner, counts from 0 here
	}
	found = min(found, 1+bytes.Count(bytes.TrimSuffix(text, []byte("\n")), []byte("\n")))
	r.report(problem.YAMLSyntax, r.at(line+found-1, 1), "this is not YAML: "+message, "the mistake may stand a line above; in what a template makes, look for values that are not quoted")
}

// placeOf is the place of the byte at i of text that begins in a line.
func (r *reader) placeOf(text []byte, i, line int) problem.Position {
	return r.at(line+bytes.Count(text[:i], []byte("\n")), 1+utf8.RuneCount(text[bytes.LastIndexByte(text[:i], '\n')+1:i]))
}

// crowded is where text has more than maxMarks of the characters that separate
// values, or -1. The parser needs some 200 bytes for each value, and holds all
// before they can be counted.
func crowded(text []byte) int {
	if len(text) <= maxMarks {
		return -1
	}
	marks := 0
	for i, c := range text {
		switch c {
		case '-', '?':
			if i+1 < len(text) && text[i+1] > ' ' {
				continue // inside a word
			}
			marks++
		case ',', ':', '[', '{':
			marks++
		}
		if marks > maxMarks {
			return i
		}
	}
	return -1
}

// badText is the index of the first character that cannot stand in YAML, or
// that ends a line for some readers only, and what is wrong with it.
func badText(text []byte) (index int, what string) {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return i, fmt.Sprintf("byte 0x%02x is no part of UTF-8 text", text[i])
		case r == '\r' && !bytes.HasPrefix(text[i+1:], []byte("\n")), r == 0x85, r == 0x2028, r == 0x2029:
			return i, fmt.Sprintf("%U is the end of a line to YAML 1.1, and none to other parsers", r)
		case r != '\t' && r != '\n' && r != '\r' && !yamlCharacter(r):
			return i, fmt.Sprintf("control character %U stands in this text", r)
		}
		i += size
	}
	return 0, ""
}

// yamlCharacter tells whether YAML takes a character that is neither a tab nor
// the end of a line, see https://yaml.org/spec/1.2.2/#51-character-set.
func yamlCharacter(r rune) bool {
	switch {
	case r < ' ', r == 0xfeff: // a byte order mark in the middle of a text
		return false
	default:
		return r < 0x7f || r >= 0xa0 && r < 0xfffe || r > 0xffff
	}
}

// plainText tells whether text has only characters that blockReader takes.
func plainText(text []byte) bool {
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c < ' ' && c != '\n' || c == 0x7f {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError || r == 0x2028 || r == 0x2029 || !yamlCharacter(r) {
			return false
		}
		i += size
	}
	return true
}
