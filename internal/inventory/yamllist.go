package inventory

import "bytes"

// piece is a part of a text, line lines below the text's first.
type piece struct {
	text []byte
	line int
}

// cutList cuts a List as kubectl and kustomize write it into the texts of its
// items, if the document is one: at the beginning of a line stand only fields
// that a List has, and "- " where items begin. rest is the document without
// them.
func cutList(text []byte) (rest []byte, items []piece, ok bool) {
	if !bytes.Contains(text, []byte("\nitems:\n")) && !bytes.HasPrefix(text, []byte("items:\n")) {
		return nil, nil, false
	}
	c := listCutter{from: -1}
	for line := range bytes.Lines(text) {
		if !c.take(text, line) {
			return nil, nil, false
		}
		c.at += len(line)
		c.line++
	}
	c.end(text)
	return c.rest, c.items, len(c.items) > 0
}

// listCutter cuts a List, line by line.
type listCutter struct {
	rest          []byte
	items         []piece
	at, line      int  // of the line at hand
	from          int  // where the last item begins; -1 when it has ended
	inItems, seen bool // in the items; there were some
}

// take takes one line, or tells that this is no List of the kind.
func (c *listCutter) take(text, line []byte) bool {
	switch {
	case line[len(line)-1] != '\n':
		return false // a document that was cut short
	case c.inItems && line[0] == ' ':
		return c.from >= 0 // or the items are indented
	case c.inItems && line[0] == '\n':
		return true
	case c.inItems && bytes.HasPrefix(line, []byte("- ")):
		c.end(text)
		c.from = c.at
		c.items = append(c.items, piece{line: c.line})
		return true
	}
	c.end(text)
	c.inItems = string(line) == "items:\n"
	if !isListLine(line) || c.inItems && c.seen {
		return false
	}
	c.seen = c.seen || c.inItems
	c.rest = append(c.rest, line...)
	return true
}

// end ends the last item before the line at hand.
func (c *listCutter) end(text []byte) {
	if c.from >= 0 {
		c.items[len(c.items)-1].text = text[c.from:c.at]
		c.from = -1
	}
}

// isListLine tells whether a line of a List stands outside of its items.
func isListLine(line []byte) bool {
	switch c := line[0]; c {
	case ' ', '\n', '#':
		return true
	case '-':
		return string(line) == "---\n"
	default:
		key, _, _ := bytes.Cut(line, []byte(":"))
		return string(key) == "apiVersion" || string(key) == "kind" || string(key) == "metadata" || string(line) == "items:\n"
	}
}
