package problem

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A source may hold what nobody may see: somebody wrote a token into a header,
// or named a folder with Secrets in it. A line is shown only if neither it nor
// anything that it is a part of looks like that. Which lines those are is
// judged by indentation as long as every line above is complete in itself, and
// by everything above otherwise. Sources are not parsed for it: the lines that
// matter most are of sources that no parser takes.

const (
	snippetWidth    = 120     // columns of a terminal, all in all
	tabWidth        = 4       // columns that a tab is shown as
	maxSnippetBytes = 8 << 20 // of a source whose lines are shown
	maxLineBytes    = 4 << 10 // of a line that is looked at; in a longer one, anything may be
)

// snippets shows lines of sources.
type snippets struct {
	source func(file string) []byte // nil: shows none
	read   map[string]*sourceText
}

// write shows the line that a problem is about and marks the column, if the
// line is there and may be shown.
func (s *snippets) write(b *strings.Builder, p Problem, style Style) {
	line, ok := s.line(p)
	if !ok {
		return
	}
	number := "  " + strconv.Itoa(p.Position.Line)
	text, before := excerpt(line, p.Position.Column-1, snippetWidth-len(number)-len(" | "))
	b.WriteString(style.Dim + number + " | " + style.Reset + text + "\n")
	b.WriteString(style.Dim + strings.Repeat(" ", len(number)) + " | " + style.Reset +
		strings.Repeat(" ", before) + style.mark(p) + "^" + style.Reset + "\n")
}

// line is the line that a problem is about, if it may be shown.
func (s *snippets) line(p Problem) (string, bool) {
	if s.source == nil || p.Position.Line < 1 || p.Position.Column < 1 {
		return "", false
	}
	text, known := s.read[p.Position.File]
	if !known {
		text = readText(p.Position.File, s.source(p.Position.File))
		if s.read == nil {
			s.read = map[string]*sourceText{}
		}
		s.read[p.Position.File] = text
	}
	n := p.Position.Line - 1
	if n >= len(text.lines) || text.indents[n] < 0 || !text.harmless(n, p) {
		return "", false
	}
	// Of what a comment tells, nobody can say what it is.
	line, _, _ := strings.Cut(strings.ReplaceAll(text.lines[n], "\t"+text.comment, " "+text.comment), " "+text.comment)
	return line, p.Position.Column <= utf8.RuneCountInString(line)+1
}

// sourceText is a source in lines.
type sourceText struct {
	lines   []string
	indents []int // -1: nothing but a comment
	// open is the first line that leaves a bracket or a quote open. Below it,
	// indentation does not tell what a line is a part of; in CUE nowhere.
	open int
	// named is the first line that names a secret; -1: not looked for yet.
	named   int
	names   map[int]bool // lines that name a secret, and that do not, as far as they were looked at
	comment string       // what begins one
}

func readText(file string, data []byte) *sourceText {
	text := &sourceText{named: -1, names: map[int]bool{}, comment: "#"}
	cue := path.Ext(file) == ".cue"
	if cue {
		text.comment = "//"
	}
	if len(data) > maxSnippetBytes {
		return text
	}
	text.lines = strings.Split(string(bytes.TrimPrefix(data, []byte("\ufeff"))), "\n")
	for i, line := range text.lines {
		text.lines[i] = strings.TrimSuffix(line, "\r")
		text.indents = append(text.indents, text.indentOf(text.lines[i]))
	}
	text.open = -1
	if !cue {
		text.open = firstIndex(text.lines, func(line string) bool { return !complete(line) })
	}
	return text
}

// indentOf is how far a line is indented, or -1 if it is blank or a comment.
func (t *sourceText) indentOf(line string) int {
	text := strings.TrimLeft(line, " \t")
	if text == "" || strings.HasPrefix(text, t.comment) {
		return -1
	}
	return len(line) - len(text)
}

// firstIndex is the index of the first line of which is holds, or their number.
func firstIndex(lines []string, is func(string) bool) int {
	if i := slices.IndexFunc(lines, is); i >= 0 {
		return i
	}
	return len(lines)
}

// complete tells whether a line of YAML leaves nothing open: no bracket, no
// quote, no key without its value. It is wrong on the safe side only.
func complete(line string) bool {
	depth := 0
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"', '\'':
			length := quoted(line[i:])
			if length == 0 || i > 0 && !strings.ContainsRune(" \t[{(,:-!\"'", rune(line[i-1])) {
				return false
			}
			i += length - 1
		case '#':
			if i == 0 || line[i-1] == ' ' || line[i-1] == '\t' {
				return depth == 0
			}
		}
		if depth < 0 {
			return false
		}
	}
	return depth == 0 && !strings.HasPrefix(strings.TrimLeft(line, " \t-"), "?")
}

// quoted is the length of the quoted text that s begins with, or 0 where its
// end is not on this line.
func quoted(s string) int {
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '\\' && s[0] == '"':
			i++
		case s[i] == s[0]:
			return i + 1
		}
	}
	return 0
}

// harmless tells whether a line may be shown.
func (t *sourceText) harmless(n int, p Problem) bool {
	line := t.lines[n]
	if namesSecret(line, keyed) || looksSecret(line) || namesSecret(pathKeys.Replace(p.Path)+":", keyed) {
		return false
	}
	if n > t.open || slices.Contains([]Rule{YAMLSyntax, YAMLEncoding, CUESyntax}, p.Rule) {
		return n <= t.firstNamed()
	}
	if !strings.Contains(line, ":") && !t.isItem(n) {
		return false // the inside of a text of several lines
	}
	return !t.enclosedBySecret(n)
}

// firstNamed is the first line that names a secret, however it does.
func (t *sourceText) firstNamed() int {
	if t.named < 0 {
		t.named = firstIndex(t.lines, func(line string) bool {
			return namesSecret(line, keyedOrLast) || strings.Contains(line, "-----BEGIN")
		})
	}
	return t.named
}

// enclosedBySecret tells whether a line that a line is a part of names a secret.
func (t *sourceText) enclosedBySecret(n int) bool {
	indent, item := t.indents[n], t.isItem(n)
	for i := n - 1; i >= 0 && (indent > 0 || item); i-- {
		if t.indents[i] < 0 {
			continue
		}
		// A list may be indented as its key is.
		if t.indents[i] < indent || t.indents[i] == indent && item && !t.isItem(i) {
			names, known := t.names[i]
			if !known {
				names = namesSecret(t.lines[i], keyed)
				t.names[i] = names
			}
			if names {
				return true
			}
			indent, item = t.indents[i], t.isItem(i)
		}
	}
	return false
}

func (t *sourceText) isItem(n int) bool {
	return strings.HasPrefix(t.lines[n][t.indents[n]:], "-")
}

// keyed finds what stands before a colon or an equals sign. keyedOrLast finds
// what stands at the end of a line as well: its colon may be on the next.
var (
	keyed       = regexp.MustCompile(`([^{}\[\],:="']+)["']?\s*[:=]`)
	keyedOrLast = regexp.MustCompile(`([^{}\[\],:="']+)["']?\s*(?:[:=]|$)`)
)

var (
	// secretWords in a key make its value one that is not shown.
	secretWords = regexp.MustCompile(`token|passw|passphrase|pwd|secret|credential|header|cabundle|certificate|key|` +
		`bearer|authorization|cookie|private|signature|session|externalid|kubeconfig|dockerconfig`)
	// secretKeys are too short to be looked for within others.
	secretKeys = regexp.MustCompile(`^(data|stringdata|binarydata|env|value|pass|pw|pin|pem|ca|cert|cabundle|auths)$`)
	// harmlessWords are this specification's own, and programs' names.
	harmlessWords = strings.NewReplacer("externalsecrets", "", "secretsmanager", "", "secretstore", "",
		"kubernetesserviceaccounttoken", "", "maxtokenseconds", "", "keycloak", "", "keyvault", "")
	pathKeys   = strings.NewReplacer(".", ":", "[", ":")
	separators = strings.NewReplacer("-", "", "_", "", ".", "", " ", "", "\t", "", "?", "")
)

// namesSecret tells whether one of the keys of a line says that its value may
// be secret. A reference, such as secretRef, holds a name only.
func namesSecret(line string, keys *regexp.Regexp) bool {
	if len(line) > maxLineBytes || strings.Contains(line, `\u`) || strings.Contains(line, `\x`) {
		return true // there may be a key in disguise
	}
	for _, match := range keys.FindAllStringSubmatch(line, -1) {
		key := harmlessWords.Replace(separators.Replace(strings.ToLower(match[1])))
		if strings.HasSuffix(key, "ref") || strings.HasSuffix(key, "refs") {
			continue
		}
		if secretWords.MatchString(key) || secretKeys.MatchString(key) {
			return true
		}
	}
	return false
}

var (
	// secretText does not stand in a line that is shown: passwords that are
	// called so, keys, and what may be a part of a URL that is not for others.
	secretText = regexp.MustCompile(`(?i)passw|passphrase|bearer|-----BEGIN|private.?key|api.?key|access.?key|` +
		`://\S*[?#@]|[^\s"':]:[^\s"']+@`)
	// runs are where keys and tokens may be.
	runs = regexp.MustCompile(`[A-Za-z0-9+/=_-]{16,}`)
)

// looksSecret tells whether a line itself may hold a secret.
func looksSecret(line string) bool {
	if secretText.MatchString(line) {
		return true
	}
	return slices.ContainsFunc(runs.FindAllString(line, -1), func(run string) bool {
		return len(run) >= 32 || strings.ContainsAny(run, "0123456789") && strings.ContainsFunc(run, unicode.IsLetter) && !strings.Contains(run, "-")
	})
}

// cell is a character as a terminal shows it.
type cell struct {
	text  string
	width int
}

// excerpt is a line as a terminal shows it, cut to a width around the character
// at column, which counts from 0; and how many columns there are before that.
func excerpt(line string, column, width int) (text string, before int) {
	var all []cell
	for i, r := range line {
		all = append(all, cellOf(line[i:], r))
	}
	column = min(column, len(all))
	from, to := window(all, column, width)
	var b strings.Builder
	if from > 0 {
		b.WriteString("…")
		before = 1
	}
	for i, c := range all[from:to] {
		b.WriteString(c.text)
		if from+i < column {
			before += c.width
		}
	}
	if to < len(all) {
		b.WriteString("…")
	}
	return strings.TrimRight(b.String(), " "), before
}

func cellOf(s string, r rune) cell {
	switch {
	case r == '\t':
		return cell{strings.Repeat(" ", tabWidth), tabWidth}
	case r == utf8.RuneError && !strings.HasPrefix(s, string(utf8.RuneError)):
		return cell{Clean(s[:1]), len(`\xff`)}
	case unprintable(r):
		escaped := Clean(string(r))
		return cell{escaped, len(escaped)}
	case unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Me, r):
		return cell{string(r), 0}
	case isWide(r):
		return cell{string(r), 2}
	default:
		return cell{string(r), 1}
	}
}

// isWide tells whether a terminal needs two columns for a character, as it does
// for most of East Asia's and for emoji (Unicode's annex 11, roughly).
func isWide(r rune) bool {
	switch {
	case r < 0x1100, r >= 0xff61 && r <= 0xffdc:
		return false
	case r >= 0x3000 && r <= 0x303e, r >= 0xff01 && r <= 0xff60, r >= 0xffe0 && r <= 0xffe6, r >= 0x1f300 && r <= 0x1faff:
		return true
	default:
		return unicode.In(r, unicode.Han, unicode.Hangul, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Yi)
	}
}

// window is the part of a line, around one cell, that fits in a width. Where
// something is cut, there is room for a sign that says so.
func window(all []cell, at, width int) (from, to int) {
	total := 0
	for _, c := range all {
		total += c.width
	}
	if total <= width {
		return 0, len(all)
	}
	width -= len("..") // one sign on each side
	from, to = at, at
	used := 0
	for from > 0 && used+all[from-1].width <= width/2 {
		from--
		used += all[from].width
	}
	for to < len(all) && used+all[to].width <= width {
		used += all[to].width
		to++
	}
	for from > 0 && used+all[from-1].width <= width {
		from--
		used += all[from].width
	}
	return from, to
}
