package inventory

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// maxKeyBytes bounds keys. Parsers refuse those of more than 1,024 characters;
// programs write longer ones than this after a question mark.
const maxKeyBytes = 128

// blockReader reads the YAML that programs write: maps and lists in blocks,
// scalars on one line or as literal blocks, comments on lines of their own. It
// gives what yaml.v3 gives or nothing: whatever is not plainly of that kind is
// left to yaml.v3, be it wrong, ambiguous or only rare.
type blockReader struct {
	texts *texts

	data   []byte // ends with a line end
	pos    int    // what is looked at
	line   int    // of pos
	indent int    // of the line where a value begins; -1 at the end
	depth  int
	bad    bool // not of the kind

	objectLine, objectColumn int     // where the object begins
	ruleLines                []int32 // of the items of its rules
}

// document reads one document that begins in a line: nil if it is empty, false
// if it is left to yaml.v3. The text has to be plainText.
func (b *blockReader) document(text []byte, line int) (map[string]any, bool) {
	if !b.begin(text, line) {
		return nil, false
	}
	if b.indent == 0 && bytes.HasPrefix(b.data[b.pos:], []byte("---\n")) {
		b.pos += 3
		b.next()
	}
	if b.indent < 0 {
		return nil, true
	}
	return b.object(0)
}

// item reads the one item of a list.
func (b *blockReader) item(text []byte, line int) (map[string]any, bool) {
	if !b.begin(text, line) || b.indent < 0 || !b.atItem() {
		return nil, false
	}
	b.pos += 2
	return b.object(2)
}

// begin goes to the first content of a text, which has to end with a line end:
// then looking at the next character is always possible.
func (b *blockReader) begin(text []byte, line int) bool {
	if !bytes.HasSuffix(text, []byte("\n")) {
		return false
	}
	b.data, b.pos, b.line, b.depth, b.bad, b.ruleLines = text, 0, line, 0, false, nil
	b.toContent()
	return true
}

// object reads the map that the text is, at its beginning or behind "- ".
func (b *blockReader) object(indent int) (map[string]any, bool) {
	if b.indent != 0 {
		return nil, false
	}
	b.objectLine, b.objectColumn = b.line, indent+1
	fields := b.mapping(indent)
	return fields, !b.bad && b.indent < 0
}

// next goes from the end of a line to the next line that has content.
func (b *blockReader) next() {
	b.pos++
	b.line++
	b.toContent()
}

// toContent goes from the beginning of a line to the next content.
func (b *blockReader) toContent() {
	for b.pos < len(b.data) {
		from := b.pos
		for b.pos < len(b.data) && b.data[b.pos] == ' ' {
			b.pos++
		}
		if b.pos == len(b.data) {
			b.fail()
			return
		}
		switch b.data[b.pos] {
		case '\n':
			b.pos++
		case '#':
			b.pos += bytes.IndexByte(b.data[b.pos:], '\n') + 1
		default:
			b.indent = b.pos - from
			return
		}
		b.line++
	}
	b.indent = -1
}

func (b *blockReader) fail() any {
	b.bad, b.indent = true, -1
	return nil
}

// atItem tells whether an item of a list begins here.
func (b *blockReader) atItem() bool { return b.data[b.pos] == '-' && b.data[b.pos+1] == ' ' }

// mapping reads a map whose keys are indented as far as said. The first is here.
func (b *blockReader) mapping(indent int) map[string]any {
	if b.depth++; b.depth > maxDepth {
		b.fail()
		return nil
	}
	fields := make(map[string]any, 4)
	for n := 1; !b.bad; n++ {
		key := b.key()
		if b.bad {
			return nil
		}
		fields[key] = b.afterKey(key, indent)
		if len(fields) < n {
			b.fail()
		}
		if b.indent != indent || b.atItem() {
			break
		}
	}
	if b.indent > indent {
		b.fail()
	}
	b.depth--
	return fields
}

// key reads a key and its colon.
func (b *blockReader) key() string {
	from := b.pos
	var key string
	switch b.data[b.pos] {
	case '"', '\'':
		key, _ = b.quoted().(string)
	default:
		end := b.plainKey()
		if end < 0 {
			b.fail()
			return ""
		}
		value, ok := b.texts.plainValue(b.data[b.pos:end])
		if key, _ = value.(string); !ok || key == "" || key == "<<" {
			b.fail()
		}
		b.pos = end
	}
	if b.bad || b.pos-from > maxKeyBytes || !b.atColon(b.pos) {
		b.fail()
		return ""
	}
	b.pos++
	return key
}

func (b *blockReader) atColon(i int) bool {
	return b.data[i] == ':' && (b.data[i+1] == ' ' || b.data[i+1] == '\n')
}

// plainKey is where a key without quotes ends, or -1 where none stands.
func (b *blockReader) plainKey() int {
	if !plainFirst(b.data[b.pos:]) || b.atMarker() {
		return -1
	}
	for i := b.pos; b.data[i] != '\n'; i++ {
		switch b.data[i] {
		case ':':
			if !b.atColon(i) {
				continue
			}
			if b.data[i-1] == ' ' {
				return -1
			}
			return i
		case '#':
			if b.data[i-1] == ' ' {
				return -1
			}
		}
	}
	return -1
}

// atMarker tells whether a document begins or ends here.
func (b *blockReader) atMarker() bool {
	rest := b.data[b.pos:]
	return (rest[0] == '-' || rest[0] == '.') && (b.pos == 0 || b.data[b.pos-1] == '\n') &&
		(bytes.HasPrefix(rest, []byte("---")) || bytes.HasPrefix(rest, []byte("...")))
}

// plainFirst tells whether text may begin a scalar without quotes.
func plainFirst(text []byte) bool {
	switch text[0] {
	case '-':
		return text[1] != ' ' && text[1] != '\n'
	case ' ', '\n', '?', ':', ',', '[', ']', '{', '}', '#', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`':
		return false
	}
	return true
}

// afterKey reads the value of a key in a map that is indented as far as said.
func (b *blockReader) afterKey(key string, indent int) any {
	rules := b.depth == 1 && key == "rules"
	if b.data[b.pos] != '\n' {
		b.pos++
		return b.inline(indent)
	}
	b.next()
	switch {
	case b.indent >= indent && b.atItem():
		return b.sequence(b.indent, rules)
	case b.indent > indent:
		return b.mapping(b.indent)
	default:
		return nil
	}
}

// sequence reads a list whose items are indented as far as said. The first is here.
func (b *blockReader) sequence(indent int, rules bool) any {
	if b.depth++; b.depth > maxDepth {
		return b.fail()
	}
	var list []any
	for !b.bad {
		if rules {
			b.ruleLines = append(b.ruleLines, line32(b.line))
		}
		b.pos += 2
		list = append(list, b.element(indent))
		if b.indent != indent || !b.atItem() {
			break
		}
	}
	if b.indent > indent {
		b.fail()
	}
	b.depth--
	return list
}

// element reads an item of a list that is indented as far as said.
func (b *blockReader) element(indent int) any {
	switch c := b.data[b.pos]; {
	case c == '-' && b.atItem():
		return b.sequence(indent+2, false)
	case c == '"' || c == '\'':
		from, line := b.pos, b.line
		b.quoted()
		key := !b.bad && b.atColon(b.pos)
		b.pos, b.line = from, line
		if key {
			return b.mapping(indent + 2)
		}
	case b.plainKey() >= 0:
		return b.mapping(indent + 2)
	}
	return b.inline(indent)
}

// inline reads a value that begins on this line, and goes to the next content.
// indent is that of the collection around it.
func (b *blockReader) inline(indent int) any {
	var value any
	switch b.data[b.pos] {
	case '"', '\'':
		value = b.quoted()
	case '{':
		b.literally("{}")
		value = map[string]any{}
	case '[':
		b.literally("[]")
		value = []any{}
	case '|':
		return b.literal(indent)
	default:
		value = b.plain()
	}
	if b.bad || b.data[b.pos] != '\n' {
		return b.fail()
	}
	b.next()
	return value
}

func (b *blockReader) literally(s string) {
	if !bytes.HasPrefix(b.data[b.pos:], []byte(s)) {
		b.fail()
	}
	b.pos += len(s)
}

// plain reads a scalar without quotes to the end of the line.
func (b *blockReader) plain() any {
	size := bytes.IndexByte(b.data[b.pos:], '\n')
	text := b.data[b.pos : b.pos+size]
	if !plainFirst(b.data[b.pos:]) || text[size-1] == ' ' || text[size-1] == ':' {
		return b.fail()
	}
	for i := 1; i < size; i++ {
		if c := text[i]; c == '#' && text[i-1] == ' ' || c == ' ' && text[i-1] == ':' {
			return b.fail()
		}
	}
	value, ok := b.texts.plainValue(text)
	if !ok {
		return b.fail()
	}
	b.pos += size
	return value
}

// quoted reads a scalar in quotes that ends on this line, to behind the quote.
func (b *blockReader) quoted() any {
	quote := b.data[b.pos]
	from := b.pos + 1
	escaped := false
	for i := from; b.data[i] != '\n'; i++ {
		switch c := b.data[i]; {
		case c == '\\' && quote == '"':
			escaped = true
			i++
			if b.data[i] == '\n' {
				return b.fail() // a text of several lines
			}
		case c == quote && quote == '\'' && b.data[i+1] == quote:
			escaped = true
			i++
		case c == quote:
			b.pos = i + 1
			return b.unescaped(b.data[from:i], quote, escaped)
		}
	}
	return b.fail()
}

func (b *blockReader) unescaped(raw []byte, quote byte, escaped bool) any {
	switch {
	case !escaped:
		return b.texts.value(raw)
	case quote == '\'':
		return string(bytes.ReplaceAll(raw, []byte("''"), []byte("'")))
	}
	text := make([]byte, 0, len(raw))
	for len(raw) > 0 {
		if raw[0] != '\\' {
			text = append(text, raw[0])
			raw = raw[1:]
			continue
		}
		r, size := unescape(raw)
		if size == 0 {
			return b.fail()
		}
		text = utf8.AppendRune(text, r)
		raw = raw[size:]
	}
	return string(text)
}

// unescape reads one escape; size 0 if it is not known here.
func unescape(raw []byte) (r rune, size int) {
	const names, means = `0abtnvfre"\N_LP`, "\x00\a\b\t\n\v\f\r\x1b\"\\\u0085\u00a0\u2028\u2029"
	var digits int
	switch raw[1] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	default:
		if i := bytes.IndexByte([]byte(names), raw[1]); i >= 0 {
			return []rune(means)[i], 2
		}
		return 0, 0
	}
	if len(raw) < 2+digits {
		return 0, 0
	}
	code, err := strconv.ParseUint(string(raw[2:2+digits]), 16, 32)
	if r = rune(code); err != nil || code > utf8.MaxRune || !utf8.ValidRune(r) { //nolint:gosec // bounded by the second condition
		return 0, 0
	}
	return r, 2 + digits
}

// literal reads a literal block, and goes to the next content. indent is that
// of the collection around it.
func (b *blockReader) literal(indent int) any {
	chomp := b.data[b.pos+1]
	if b.pos++; chomp == '-' || chomp == '+' {
		b.pos++
	}
	if b.data[b.pos] != '\n' {
		return b.fail()
	}
	b.pos++
	b.line++
	within := b.spaces()
	if within <= indent || b.pos+within == len(b.data) || b.data[b.pos+within] == '\n' {
		return b.fail() // empty, or with blank lines in front
	}
	text, blank := b.literalLines(within)
	if b.bad {
		return nil
	}
	b.toContent()
	switch chomp {
	case '-':
		text = text[:len(text)-1]
	case '+':
		text = append(text, bytes.Repeat([]byte{'\n'}, blank)...)
	}
	return string(text)
}

// literalLines reads the lines of a literal block, and how many blank ones
// follow it.
func (b *blockReader) literalLines(within int) (text []byte, blank int) {
	for b.pos < len(b.data) {
		if b.data[b.pos] == '\n' {
			blank++
			b.pos++
			b.line++
			continue
		}
		size := bytes.IndexByte(b.data[b.pos:], '\n') + 1
		spaces := b.spaces()
		if spaces+1 == size { // nothing but spaces
			b.fail()
			return nil, 0
		}
		if spaces < within {
			break
		}
		for ; blank > 0; blank-- {
			text = append(text, '\n')
		}
		text = append(text, b.data[b.pos+within:b.pos+size]...)
		b.pos += size
		b.line++
	}
	return text, blank
}

// spaces counts the spaces here.
func (b *blockReader) spaces() int {
	n := 0
	for b.pos+n < len(b.data) && b.data[b.pos+n] == ' ' {
		n++
	}
	return n
}
