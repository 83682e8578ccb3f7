package inventory

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/eso-tenant/eso-tenant/internal/problem"
)

// A dump is walked here without being decoded: Lists item by item, however
// large, and each object as the piece of text that it is. Only objects that are
// kept are decoded, by jsonvalue.go. encoding/json's Decoder would need ten
// times as long, takes a key that stands twice, and knows no lines.

// jsonReader walks the JSON of one source. Its methods return false once it
// cannot be read further, which has then been reported.
type jsonReader struct {
	*reader
	*window
	held      bool  // from start on
	line      int   // of pos
	lineStart int64 // where in the source that line begins
}

// json reads one JSON value after another.
func (r *reader) json() {
	j := &jsonReader{reader: r, window: &r.window, line: 1, lineStart: r.window.before + int64(r.window.pos)}
	j.max = maxObjectBytes
	for !r.full {
		if c, ok := j.peek(); !ok {
			return // the end, or what r.ended reports
		} else if !j.top(c) {
			return
		}
	}
}

func (j *jsonReader) top(c byte) bool {
	if c == '[' {
		return j.items(1, heading{})
	}
	return j.object(0, heading{})
}

// here is the place of pos. Columns count bytes: lines of a dump may be long.
func (j *jsonReader) here() problem.Position {
	return j.at(j.line, int(j.before+int64(j.pos)-j.lineStart)+1)
}

// refill reads on at the end of what is held.
func (j *jsonReader) refill() bool {
	if !j.held {
		j.start = j.pos
	}
	return j.more()
}

// peek is the next character that is no space; false at the end.
func (j *jsonReader) peek() (byte, bool) {
	for {
		for j.pos < len(j.buf) {
			switch c := j.buf[j.pos]; c {
			case '\n':
				j.line++
				j.lineStart = j.before + int64(j.pos) + 1
			case ' ', '\t', '\r':
			default:
				return c, true
			}
			j.pos++
		}
		if !j.refill() {
			return 0, false
		}
	}
}

// next is peek where something has to follow.
func (j *jsonReader) next() (byte, bool) {
	c, ok := j.peek()
	if !ok {
		j.cut()
	}
	return c, ok
}

// cut reports that the source does not go on, though it has to.
func (j *jsonReader) cut() {
	switch {
	case errors.Is(j.err, io.EOF):
		j.report(problem.YAMLSyntax, j.here(), "this is not JSON: it ends in the middle", "is the dump complete?")
	case errors.Is(j.err, errHeld):
		j.report(problem.SourceTooLarge, j.here(), fmt.Sprintf("up to here, this object has more than %d MiB", maxObjectBytes>>20), "no API server takes one of that size")
	}
}

// wrong reports what is no JSON.
func (j *jsonReader) wrong(what string) bool {
	j.report(problem.YAMLSyntax, j.here(), "this is not JSON: "+what, "")
	return false
}

// object reads an object, which may be a List. usual is what it is if it does
// not say.
func (j *jsonReader) object(lists int, usual heading) bool {
	if c, ok := j.next(); !ok {
		return false
	} else if c != '{' {
		at := j.here()
		if !j.skip(0) {
			return false
		}
		j.report(problem.ObjectUnreadable, at, "this is no object", "")
		return true
	}
	o := jsonObject{at: j.here(), lists: lists}
	j.start, j.held = j.pos, true
	if !j.members(&o) {
		return false
	}
	raw := j.buf[j.start:j.pos]
	j.held = false
	j.finish(&o, raw, usual)
	return true
}

// jsonObject is what is known of an object while it is walked.
type jsonObject struct {
	heading
	at    problem.Position
	lists int  // around it
	list  bool // it has items
	seen  [3]bool
}

func (j *jsonReader) finish(o *jsonObject, raw []byte, usual heading) {
	if o.heading == (heading{}) && !o.list {
		o.heading = usual
	}
	if o.list {
		j.listed(o.heading, o.at)
		return
	}
	if !j.headed(o.heading, o.at) || j.isItemless(o.heading, o.at) || !j.keeps(o.heading) {
		return
	}
	values := jsonValues{data: raw, texts: j.texts, heading: o.heading, line: o.at.Line}
	fields := values.root()
	if values.why != "" {
		line, column := values.place(o.at)
		j.report(values.rule, j.at(line, column), values.why, "")
		return
	}
	if usual == o.heading && fields["kind"] == nil {
		fields["apiVersion"], fields["kind"] = o.apiVersion, o.kind
	}
	j.add(o.heading, fields, o.at, values.ruleLines, len(raw))
}

// members walks the fields of an object and notes what it is.
func (j *jsonReader) members(o *jsonObject) bool {
	return j.each('}', func() bool {
		key, ok := j.key()
		if !ok {
			return false
		}
		return j.member(o, key)
	})
}

// each walks what stands between brackets, separated by commas.
func (j *jsonReader) each(end byte, element func() bool) bool {
	j.pos++ // the opening bracket
	c, ok := j.next()
	if ok && c == end {
		j.pos++
		return true
	}
	for ok {
		if !element() {
			return false
		}
		if c, ok = j.next(); !ok {
			return false
		}
		if c != ',' && c != end {
			return j.wrong("a comma is missing")
		}
		j.pos++
		if c == end {
			return true
		}
	}
	return false
}

// key reads a key and its colon.
func (j *jsonReader) key() (string, bool) {
	key, ok := j.text()
	if !ok {
		return "", false
	}
	if c, ok := j.next(); !ok {
		return "", false
	} else if c != ':' {
		return "", j.wrong("a colon is missing")
	}
	j.pos++
	return key, true
}

// member walks the value of one field.
func (j *jsonReader) member(o *jsonObject, key string) bool {
	c, ok := j.next()
	if !ok {
		return false
	}
	var (
		text  *string
		which int
	)
	switch {
	case key == "kind" && c == '"':
		which, text = 0, &o.kind
	case key == "apiVersion" && c == '"':
		which, text = 1, &o.apiVersion
	case key == "items" && c == '[':
		which = 2
	default:
		return j.skip(0)
	}
	if o.seen[which] {
		// Another reader may take the other one.
		j.report(problem.YAMLDuplicateKey, j.here(), "key "+problem.Quote(key)+" stands twice in this object", "keep one of them")
		return j.skip(0)
	}
	o.seen[which] = true
	if text != nil {
		*text, ok = j.text()
		return ok
	}
	o.list = true
	j.held = false // nothing else of a List matters
	return j.items(o.lists+1, o.item())
}

// items reads the items of a List, one by one.
func (j *jsonReader) items(lists int, usual heading) bool {
	if j.tooNested(lists, j.here()) {
		return j.skip(0)
	}
	return j.each(']', func() bool { return !j.full && j.object(lists, usual) })
}

// text reads a text.
func (j *jsonReader) text() (string, bool) {
	if c, ok := j.next(); !ok {
		return "", false
	} else if c != '"' {
		return "", j.wrong("here a text in quotes has to stand")
	}
	held := j.held
	if !held {
		j.start, j.held = j.pos, true
	}
	from := j.pos - j.start
	ok := j.skipText()
	text := ""
	if ok {
		text, ok = jsonText(j.buf[j.start+from:j.pos], j.texts)
		if !ok {
			j.wrong("this text has an escape that means nothing")
		}
	}
	j.held = held
	return text, ok
}

// jsonText decodes a text in its quotes.
func jsonText(raw []byte, known *texts) (string, bool) {
	for _, c := range raw[1 : len(raw)-1] {
		if c == '\\' || c >= 0x80 {
			var text string
			err := json.Unmarshal(raw, &text)
			return text, err == nil
		}
	}
	return known.text(raw[1 : len(raw)-1]), true
}

// skip walks a value without decoding it.
func (j *jsonReader) skip(depth int) bool {
	c, ok := j.next()
	switch {
	case !ok:
		return false
	case c == '"':
		return j.skipText()
	case (c == '{' || c == '[') && depth >= maxDepth:
		j.report(problem.YAMLTooDeep, j.here(), fmt.Sprintf("values are nested more than %d deep", maxDepth), "no object of Kubernetes is")
		return false
	case c == '[':
		return j.each(']', func() bool { return j.skip(depth + 1) })
	case c == '{':
		return j.each('}', func() bool { return j.skipKey() && j.skip(depth+1) })
	default:
		return j.skipWord()
	}
}

func (j *jsonReader) skipKey() bool {
	if c, ok := j.next(); !ok {
		return false
	} else if c != '"' {
		return j.wrong("here a key in quotes has to stand")
	}
	if !j.skipText() {
		return false
	}
	if c, ok := j.next(); !ok {
		return false
	} else if c != ':' {
		return j.wrong("a colon is missing")
	}
	j.pos++
	return true
}

func (j *jsonReader) skipText() bool {
	j.pos++
	for escaped := false; ; {
		for j.pos < len(j.buf) {
			c := j.buf[j.pos]
			switch {
			case c < ' ':
				return j.wrong("a control character stands in this text")
			case escaped:
				escaped = false
			case c == '\\':
				escaped = true
			case c == '"':
				j.pos++
				return true
			}
			j.pos++
		}
		if !j.refill() {
			j.cut()
			return false
		}
	}
}

// skipWord walks a number, true, false or null.
func (j *jsonReader) skipWord() bool {
	var word [64]byte // the longest number that says more than its digits
	n := 0
	for {
		for j.pos < len(j.buf) {
			c := j.buf[j.pos]
			if !jsonWordPart(c) {
				return j.word(word[:n])
			}
			if n == len(word) {
				return j.wrong("this number is too long")
			}
			word[n] = c
			n++
			j.pos++
		}
		if !j.refill() {
			j.cut() // a word ends inside of something, always
			return false
		}
	}
}

func (j *jsonReader) word(word []byte) bool {
	if _, ok := jsonWord(word); !ok {
		return j.wrong(problem.Quote(string(word)) + " is no value")
	}
	return true
}
