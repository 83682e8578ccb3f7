package schema

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

// Bounds on what is read. Tenants' input is hostile; the largest honest input
// known is a stream of some ten thousand tenants of a kilobyte each.
const (
	MaxSourceBytes = 32 << 20 // of one file or stream
	maxDocuments   = 100_000  // of one run
	maxDepth       = 64       // of one document
	maxNodes       = 2 << 20  // of one source, aliases expanded
	maxMarks       = 1 << 20  // of one document: what a parser makes values of, all held at once
	maxObjectNodes = 20_000   // of one Platform or tenant; CUE needs a kilobyte for each
	maxScalarBytes = 64 << 10 // of one text; a CA bundle is the longest
	maxProblems    = 1_000    // reported in one run
)

// Source is one input: a file's content, or an item of a ResourceList.
type Source struct {
	File    string     // as the user named it; "-" for standard input
	Tree    string     // where it is from the folder that the user named, that one's own name first; else ""
	Data    []byte     // YAML documents, JSON, or CUE where the name ends in .cue
	Subject string     // Kind/name, where there is a Node instead of Data
	Node    *yaml.Node // an item already parsed
	Beside  bool       // of CUE: nobody named it; it is in or below the folder of a file that somebody did
	Module  Module     // of a cue.mod/module.cue above what the user named
}

// Module says where in a CUE module a folder is.
type Module struct {
	Folder string // as the user named it
	Path   string // from where the module begins
}

// tree is the part of the path that says whose a file is. What is above the
// folder that the user named says nothing.
func (s Source) tree() string {
	if s.Tree != "" {
		return slashed(s.Tree)
	}
	return slashed(s.File)
}

// document is one document as our own tree.
type document struct {
	file, subject string
	tree          string   // of its source
	others        []string // the files that nodes with a file of their own are in; a CUE package has several
	root          *node
}

// position is the place of a node for the reader.
func (d *document) position(n *node) problem.Position {
	switch {
	case d.file == "":
		return problem.Position{Subject: d.subject}
	case n.file > 0:
		return problem.Position{File: d.others[n.file-1], Line: int(n.line), Column: int(n.col)}
	default:
		return problem.Position{File: d.file, Line: int(n.line), Column: int(n.col)}
	}
}

// documents reads all documents of a source. What cannot be read is reported.
func (dec *decoder) documents(src Source) []*document {
	if src.Node != nil {
		return dec.itemDocument(src)
	}
	data, ok := dec.checkText(src)
	if !ok {
		dec.unread = true
		return nil
	}
	var docs []*document
	build := &builder{dec: dec, file: src.File}
	yamlDecoder := yaml.NewDecoder(bytes.NewReader(data))
	for {
		var parsed yaml.Node
		err := decodeYAML(yamlDecoder, &parsed)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			dec.unread = true
			dec.report(syntaxProblem(src, data, err))
			return docs
		}
		if dec.docs++; dec.docs > maxDocuments {
			dec.unread = true
			dec.report(problem.Problem{
				Rule: problem.SourceTooLarge, Position: at(src.File, parsed.Line, parsed.Column),
				Message: fmt.Sprintf("this is document %d of the run; at most %d are read", dec.docs, maxDocuments),
				Hint:    "split the run by cluster or by folder",
			})
			return nil // nothing is rendered, and to check that many would take a minute
		}
		root := build.document(&parsed)
		if build.stopped {
			// What was built of the document is not all of it.
			dec.unread = true
			return docs
		}
		if root != nil {
			docs = append(docs, &document{file: src.File, tree: src.tree(), root: root})
		}
	}
}

func (dec *decoder) itemDocument(src Source) []*document {
	build := &builder{dec: dec, subject: src.Subject}
	root := build.document(src.Node)
	if root == nil || build.stopped {
		dec.unread = build.stopped
		return nil
	}
	return []*document{{subject: src.Subject, root: root}}
}

// checkText refuses what is no text before a parser sees it.
func (dec *decoder) checkText(src Source) ([]byte, bool) {
	data := bytes.TrimPrefix(src.Data, []byte("\ufeff"))
	if len(data) > MaxSourceBytes {
		dec.report(problem.Problem{
			Rule: problem.SourceTooLarge, Position: at(src.File, 1, 1),
			Message: fmt.Sprintf("this source has more than %d MiB", MaxSourceBytes>>20),
			Hint:    "split it into files, one tenant each",
		})
		return nil, false
	}
	if i, what := badText(data); what != "" {
		dec.report(problem.Problem{
			Rule: problem.YAMLEncoding, Position: placeOf(src.File, data, i),
			Message: what,
			Hint:    "is this a YAML file? save it as UTF-8 without control characters",
		})
		return nil, false
	}
	if i := crowded(data); i >= 0 {
		dec.report(problem.Problem{
			Rule: problem.SourceTooLarge, Position: placeOf(src.File, data, i),
			Message: fmt.Sprintf("this document has more than %d values up to here", maxMarks),
			Hint:    "split it into documents, one tenant each",
		})
		return nil, false
	}
	return data, true
}

// placeOf is the place of the byte at i.
func placeOf(file string, data []byte, i int) problem.Position {
	line := 1 + bytes.Count(data[:i], []byte("\n"))
	return at(file, line, 1+utf8.RuneCount(data[bytes.LastIndexByte(data[:i], '\n')+1:i]))
}

// Crowded tells whether a document of the text has more values than are read.
// It is for those that hand items over already parsed, and asked before that.
func Crowded(data []byte) bool { return crowded(data) >= 0 }

// crowded is where a document has more than maxMarks of the characters that
// separate values, or -1. The parser needs some 200 bytes for each value, and
// holds a whole document before its values can be counted.
func crowded(data []byte) int {
	marks := 0
	for i, c := range data {
		switch c {
		case '\n':
			if bytes.HasPrefix(data[i+1:], []byte("---")) {
				marks = 0
			}
		case '-', '?':
			if i+1 < len(data) && data[i+1] > ' ' {
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

// badText is the index of the first character that cannot stand in a source,
// and what is wrong with it; "" where there is none.
func badText(data []byte) (index int, what string) {
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			return i, fmt.Sprintf("byte 0x%02x is no part of UTF-8 text", data[i])
		case r == '\r' && !bytes.HasPrefix(data[i+1:], []byte("\n")), r == 0x85, r == 0x2028, r == 0x2029:
			// Lines would be counted differently here than in the user's editor.
			return i, fmt.Sprintf("%U is the end of a line to YAML 1.1, and none to other parsers", r)
		case !yamlCharacter(r):
			return i, fmt.Sprintf("control character %U stands in this text", r)
		}
		i += size
	}
	return 0, ""
}

// yamlCharacter tells whether YAML takes a character, see
// https://yaml.org/spec/1.2.2/#51-character-set.
func yamlCharacter(r rune) bool {
	switch {
	case r < ' ':
		return r == '\t' || r == '\n' || r == '\r'
	case r == 0xfeff: // a byte order mark in the middle of a text
		return false
	default:
		return r < 0x7f || (r >= 0xa0 && r < 0xfffe) || r > 0xffff
	}
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

// syntaxProblem finds the place in the text of a parser's error.
func syntaxProblem(src Source, data []byte, err error) problem.Problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if m := yamlLine.FindStringSubmatch(message); m != nil {
		line, _ = strconv.Atoi(m[1])
		message = message[len(m[0]):]
	}
	hint := "the mistake may stand a line above"
	if strings.HasPrefix(message, "did not find expected") {
		line++ // the parser, unlike its scanner, counts from 0 here
		hint = "look for a bracket that is not closed, or a line that is not indented as its neighbours are"
	}
	line = min(max(line, 1), 1+bytes.Count(bytes.TrimSuffix(data, []byte("\n")), []byte("\n")))
	if text := bytes.Split(data, []byte("\n"))[line-1]; bytes.HasPrefix(bytes.TrimLeft(text, " "), []byte("\t")) {
		hint = "indent with spaces; this line is indented with a tab"
	}
	place := at(src.File, line, 1)
	if anchor := unknownAnchor.FindStringSubmatch(message); anchor != nil {
		place = placeOf(src.File, data, max(bytes.Index(data, []byte("*"+anchor[1])), 0))
		hint = "write the value out, or name it with & further above"
	}
	return problem.Problem{Rule: problem.YAMLSyntax, Position: place, Message: "this is not YAML: " + message, Hint: hint}
}

var unknownAnchor = regexp.MustCompile(`^unknown anchor '(.+)' referenced$`)

func at(file string, line, column int) problem.Position {
	return problem.Position{File: file, Line: max(line, 1), Column: max(column, 1)}
}
