package fn

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// appendYAML appends v as the body of one YAML document: keys in byte order at every level,
// two spaces of indentation, sequences not indented under their key, "\n" at the end.
// The same v gives the same bytes, always.
//
// The value is what encoding/json makes of v: it is encoded as JSON first, without escaping of
// HTML, and the JSON is then rewritten as YAML. So tags, embedding, omitempty, omitzero and
// marshalers mean here exactly what they mean there. Two keys of one object that are the same text
// (out of a marshaler, or by the replacement of invalid UTF-8) are an error.
//
// Three fields are left out, because Kubernetes types write them though nobody has set them:
//
//   - status of the document, whatever it holds: it belongs to the controller, not to the author;
//   - spec of the document when it is {}: a Namespace or an empty struct, never a decision;
//   - metadata.creationTimestamp of the document when it is null.
//
// They are left out of the document itself only, not of objects inside it: an item of a List and
// the template of a Deployment are written whole.
//
// If there is an error, dst is returned as it was.
func appendYAML(dst []byte, v any) ([]byte, error) {
	w, _ := yamlWriters.Get().(*yamlWriter)
	defer yamlWriters.Put(w)
	w.json.Reset()
	if err := w.enc.Encode(v); err != nil {
		return dst, fmt.Errorf("encoding %T as JSON: %w", v, err)
	}
	w.in, w.pos, w.members, w.err = w.json.Bytes(), 0, w.members[:0], nil
	w.out = dst
	w.value(-2, atRoot)
	out, err := w.out, w.err
	w.in, w.out = nil, nil
	if err != nil {
		return dst, fmt.Errorf("writing %T as YAML: %w", v, err)
	}
	return out, nil
}

// yamlWriters keeps the buffers of a run for its next object.
var yamlWriters = sync.Pool{New: func() any {
	w := new(yamlWriter)
	w.enc = json.NewEncoder(&w.json)
	w.enc.SetEscapeHTML(false) // the value is the same, but there is less to read back
	return w
}}

// yamlWriter rewrites one compact JSON value, which is known to be valid, as YAML.
type yamlWriter struct {
	json bytes.Buffer
	enc  *json.Encoder

	in      []byte // the JSON
	pos     int    // what of in is read
	out     []byte
	members []yamlMember // of all objects that are open, innermost last
	moved   []byte       // scratch of sortMembers
	err     error        // the first one
}

// yamlMember is one key with its value in out, without the indentation of its first line.
type yamlMember struct {
	key        []byte
	start, end int
}

func byYAMLKey(a, b yamlMember) int { return bytes.Compare(a.key, b.key) }

// yamlPlace is where a value stands: it decides how a collection begins and which members are left out.
type yamlPlace int

const (
	atRoot        yamlPlace = iota // the document
	atInline                       // after "- ", or after the ": " of an explicit key
	afterKey                       // after "key:", on whose line only a scalar or an empty collection fits
	afterMetadata                  // the same, the key being the document's metadata
)

// value writes the next value of in; indent is that of the collection around it.
func (w *yamlWriter) value(indent int, at yamlPlace) {
	c := w.in[w.pos]
	switch {
	case c == '{':
		w.object(indent+2, at)
		return
	case c == '[' && at >= afterKey:
		w.array(indent, at)
		return
	case c == '[':
		w.array(indent+2, at)
		return
	}
	if at >= afterKey {
		w.out = append(w.out, ' ')
	}
	if c == '"' {
		w.out = appendYAMLString(w.out, w.text(), max(indent, 0)+2)
	} else {
		w.out = appendYAMLWord(w.out, w.word())
	}
	w.out = append(w.out, '\n')
}

func (w *yamlWriter) array(indent int, at yamlPlace) {
	start := w.begin(indent, at)
	first := len(w.out)
	for w.pos++; w.in[w.pos] != ']'; w.comma() {
		if len(w.out) > first {
			w.out = appendYAMLIndent(w.out, indent)
		}
		w.out = append(w.out, "- "...)
		w.value(indent, atInline)
	}
	w.pos++
	if len(w.out) == first {
		w.empty(start, at, "[]\n")
	}
}

func (w *yamlWriter) object(indent int, at yamlPlace) {
	start, base := w.begin(indent, at), len(w.members)
	for w.pos++; w.in[w.pos] != '}'; w.comma() {
		w.member(indent, at, len(w.members) == base)
	}
	w.pos++
	if len(w.members) == base {
		w.empty(start, at, "{}\n")
		return
	}
	w.sortMembers(indent, base)
	w.members = w.members[:base]
}

// member writes the next key and its value, unless it is one of those that are left out.
func (w *yamlWriter) member(indent int, at yamlPlace, first bool) {
	before := len(w.out)
	if !first {
		w.out = appendYAMLIndent(w.out, indent)
	}
	m := yamlMember{key: w.text(), start: len(w.out)}
	w.pos++ // the colon
	from := w.pos
	if len(m.key) > maxSimpleYAMLKey {
		w.out = append(w.out, "? "...)
		w.out = appendYAMLKey(w.out, m.key)
		w.out = appendYAMLIndent(append(w.out, '\n'), indent)
		w.out = append(w.out, ": "...)
		w.value(indent, atInline)
	} else {
		w.out = append(appendYAMLKey(w.out, m.key), ':')
		if at == atRoot && string(m.key) == "metadata" {
			w.value(indent, afterMetadata)
		} else {
			w.value(indent, afterKey)
		}
	}
	if leftOutOfYAML(at, m.key, w.in[from:w.pos]) {
		w.out = w.out[:before]
		return
	}
	m.end = len(w.out)
	w.members = append(w.members, m)
}

func leftOutOfYAML(at yamlPlace, key, json []byte) bool {
	switch at {
	case atRoot:
		return string(key) == "status" || string(key) == "spec" && string(json) == "{}"
	case afterMetadata:
		return string(key) == "creationTimestamp" && string(json) == "null"
	default:
		return false
	}
}

// sortMembers puts the members of the innermost object, written in the order of the JSON, in order.
func (w *yamlWriter) sortMembers(indent, base int) {
	ms := w.members[base:]
	if !slices.IsSortedFunc(ms, byYAMLKey) {
		first := ms[0].start
		w.moved = append(w.moved[:0], w.out[first:]...)
		w.out = w.out[:first]
		slices.SortFunc(ms, byYAMLKey)
		for i, m := range ms {
			if i > 0 {
				w.out = appendYAMLIndent(w.out, indent)
			}
			w.out = append(w.out, w.moved[m.start-first:m.end-first]...)
		}
	}
	for i := range ms[1:] {
		if w.err == nil && bytes.Equal(ms[i].key, ms[i+1].key) {
			w.err = fmt.Errorf("two keys are %q", ms[i].key)
		}
	}
}

// begin starts a collection that is not empty, and returns where empty may take that back.
func (w *yamlWriter) begin(indent int, at yamlPlace) (start int) {
	start = len(w.out)
	if at >= afterKey {
		w.out = appendYAMLIndent(append(w.out, '\n'), indent)
	}
	return start
}

func (w *yamlWriter) empty(start int, at yamlPlace, s string) {
	w.out = w.out[:start]
	if at >= afterKey {
		w.out = append(w.out, ' ')
	}
	w.out = append(w.out, s...)
}

func appendYAMLIndent(dst []byte, n int) []byte {
	const spaces = "                                "
	for ; n > len(spaces); n -= len(spaces) {
		dst = append(dst, spaces...)
	}
	return append(dst, spaces[:n]...)
}

func (w *yamlWriter) comma() {
	if w.in[w.pos] == ',' {
		w.pos++
	}
}

// word reads a number, true, false or null.
func (w *yamlWriter) word() []byte {
	from := w.pos
	for w.pos < len(w.in) && strings.IndexByte(",]}\n", w.in[w.pos]) < 0 {
		w.pos++
	}
	return w.in[from:w.pos]
}

// text reads a string. Only one with an escape, or that may not be UTF-8, is not a part of in.
func (w *yamlWriter) text() []byte {
	from, simple := w.pos, true
	for w.pos++; w.in[w.pos] != '"'; w.pos++ {
		switch c := w.in[w.pos]; {
		case c == '\\':
			simple = false
			w.pos++
		case c >= utf8.RuneSelf:
			simple = false
		}
	}
	w.pos++
	if simple {
		return w.in[from+1 : w.pos-1]
	}
	var s string
	if err := json.Unmarshal(w.in[from:w.pos], &s); err != nil && w.err == nil {
		w.err = err
	}
	return []byte(s)
}
