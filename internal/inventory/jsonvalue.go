package inventory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// jsonValues decodes one object in JSON, which is known to be well formed.
type jsonValues struct {
	heading
	data  []byte
	pos   int
	texts *texts
	line  int // of the first character

	ruleLines []int32
	rule      problem.Rule // what cannot be decoded, first of all
	why       string
	wrong     int // where that stands
}

// jsonPlace says which fields of an object are dropped unread.
type jsonPlace int

const (
	inRoot jsonPlace = iota
	inMetadata
	inAnnotations
	inFields
)

func (v *jsonValues) root() map[string]any {
	v.space()
	return v.object(0, inRoot)
}

// place is where something cannot be decoded, in a source where the object begins at a place.
func (v *jsonValues) place(at problem.Position) (line, column int) {
	read := v.data[:v.wrong]
	lines := bytes.Count(read, []byte("\n"))
	if lines == 0 {
		return at.Line, at.Column + len(read)
	}
	return at.Line + lines, len(read) - bytes.LastIndexByte(read, '\n')
}

func (v *jsonValues) fail(rule problem.Rule, why string) {
	if v.why == "" {
		v.rule, v.why, v.wrong = rule, why, min(v.pos, len(v.data))
	}
}

func (v *jsonValues) value(depth int, at jsonPlace) any {
	switch c := v.data[v.pos]; {
	case depth > maxDepth:
		v.fail(problem.YAMLTooDeep, fmt.Sprintf("values are nested more than %d deep", maxDepth))
		return nil
	case c == '{':
		return v.object(depth, at)
	case c == '[':
		return v.array(depth, false)
	case c == '"':
		return v.text()
	default:
		from := v.pos
		for v.pos < len(v.data) && jsonWordPart(v.data[v.pos]) {
			v.pos++
		}
		word, ok := jsonWord(v.data[from:v.pos])
		if !ok {
			v.fail(problem.YAMLSyntax, "this number is too large")
		}
		return word
	}
}

func (v *jsonValues) object(depth int, at jsonPlace) map[string]any {
	fields := make(map[string]any, 4)
	v.pos++
	for v.space() != '}' && v.why == "" {
		from := v.pos
		key, _ := v.text().(string)
		v.space()
		v.pos++ // the colon
		v.space()
		if v.dropped(key, at) {
			v.skip()
			v.comma()
			continue
		}
		before := len(fields)
		if fields[key] = v.field(key, depth, at); len(fields) == before && v.why == "" {
			v.pos = from
			v.fail(problem.YAMLDuplicateKey, "key "+problem.Quote(key)+" stands twice in this map")
		}
		v.comma()
	}
	v.pos++
	return fields
}

// dropped tells whether a field is never kept, so that it is not even decoded.
func (v *jsonValues) dropped(key string, at jsonPlace) bool {
	switch at {
	case inRoot:
		return v.isSecret() && isSecretField(key)
	case inMetadata:
		return key == managedFields
	case inAnnotations:
		return key == lastApplied
	default:
		return false
	}
}

// field decodes the value of a key.
func (v *jsonValues) field(key string, depth int, at jsonPlace) any {
	switch {
	case at == inRoot && key == "metadata":
		return v.value(depth+1, inMetadata)
	case at == inMetadata && key == "annotations":
		return v.value(depth+1, inAnnotations)
	case at == inRoot && key == "rules" && v.isRole() && v.data[v.pos] == '[':
		return v.array(depth+1, true)
	default:
		return v.value(depth+1, inFields)
	}
}

// array decodes a list, and notes the lines of its items if they are rules.
func (v *jsonValues) array(depth int, rules bool) []any {
	list := []any{}
	line, counted := v.line, 0
	v.pos++
	for v.space() != ']' && v.why == "" {
		if rules {
			line += bytes.Count(v.data[counted:v.pos], []byte("\n"))
			counted = v.pos
			v.ruleLines = append(v.ruleLines, line32(line))
		}
		list = append(list, v.value(depth+1, inFields))
		v.comma()
	}
	v.pos++
	return list
}

func (v *jsonValues) comma() {
	if v.why == "" && v.space() == ',' {
		v.pos++
	}
}

// space moves on to what is no space, and returns it; a bracket that closes
// nothing at the end, which well-formed text does not reach.
func (v *jsonValues) space() byte {
	for v.pos < len(v.data) {
		switch c := v.data[v.pos]; c {
		case ' ', '\t', '\r', '\n':
			v.pos++
		default:
			return c
		}
	}
	v.fail(problem.YAMLSyntax, "this is not JSON: it ends in the middle")
	return 0
}

// text decodes a text.
func (v *jsonValues) text() any {
	from := v.pos
	raw, simple := v.raw()
	if simple {
		return v.texts.value(raw[1 : len(raw)-1])
	}
	if !utf8.Valid(raw) {
		v.pos = from
		v.fail(problem.YAMLEncoding, "this text is not UTF-8")
		return ""
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		v.pos = from
		v.fail(problem.YAMLSyntax, "this is not JSON: this text has an escape that means nothing")
	}
	return text
}

// raw is a text in its quotes; simple if it means itself.
func (v *jsonValues) raw() (raw []byte, simple bool) {
	from := v.pos
	simple = true
	for v.pos++; v.pos < len(v.data); v.pos++ {
		switch c := v.data[v.pos]; {
		case c == '"':
			v.pos++
			return v.data[from:v.pos], simple
		case c == '\\':
			simple = false
			v.pos++
		case c >= utf8.RuneSelf:
			simple = false
		}
	}
	v.fail(problem.YAMLSyntax, "this is not JSON: it ends in the middle")
	return []byte(`""`), true
}

// skip walks a value without decoding it.
func (v *jsonValues) skip() {
	for depth := 0; v.pos < len(v.data); {
		switch v.data[v.pos] {
		case '"':
			v.raw()
		case '{', '[':
			depth++
			v.pos++
		case '}', ']':
			if depth == 0 {
				return
			}
			depth--
			v.pos++
		case ',':
			if depth == 0 {
				return
			}
			v.pos++
		default:
			v.pos++
		}
	}
}

// jsonWordPart tells whether a character is part of a number, true, false or null.
func jsonWordPart(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || c == '-' || c == '+' || c == '.' || c == 'E'
}

// jsonWord decodes a number, true, false or null.
func jsonWord(word []byte) (value any, ok bool) {
	switch string(word) {
	case "true":
		return true, true
	case "false":
		return false, true
	case "null":
		return nil, true
	case "":
		return nil, false
	}
	if !json.Valid(word) {
		return nil, false
	}
	number, err := strconv.ParseFloat(string(word), 64)
	return number, err == nil
}
