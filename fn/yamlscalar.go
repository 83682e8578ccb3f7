package fn

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// The style of a scalar is go-yaml v2's, which sigs.k8s.io/yaml and therefore kubectl and kustomize
// write, but for what is quoted: every text that a parser of YAML 1.1 or of YAML 1.2 could take for
// something other than that text. In doubt it is quoted.
//
//	plain    nothing below applies
//	"..."    it reads as a null, bool, number, time, or as "=" or "<<"; or it has an unprintable character
//	'...'    it has an indicator where an indicator has a meaning, or a space at an end
//	|        more than one line, none of which begins or ends in a way that a block cannot keep

// maxSimpleYAMLKey is the length in bytes from which go-yaml writes "? key". Parsers refuse a simple key of more
// than 1,024 characters; a key of 128 bytes, every one escaped, has less.
const maxSimpleYAMLKey = 128

// appendYAMLString appends s as a value; the lines of a block have the indent.
func appendYAMLString(dst, s []byte, indent int) []byte {
	if bytes.IndexByte(s, '\n') < 0 || !yamlBlockable(s) {
		return appendYAMLKey(dst, s)
	}
	body := bytes.TrimRight(s, "\n")
	switch len(s) - len(body) {
	case 0:
		dst = append(dst, "|-"...)
	case 1:
		dst = append(dst, '|')
	default:
		dst = append(dst, "|+"...)
	}
	for line := range bytes.SplitSeq(body, []byte{'\n'}) {
		dst = append(dst, '\n')
		if len(line) > 0 {
			dst = append(appendYAMLIndent(dst, indent), line...)
		}
	}
	for n := len(s) - len(body); n > 1; n-- {
		dst = append(dst, '\n')
	}
	return dst // the caller ends the line
}

// yamlBlockable reports whether a literal block keeps s, which has more than one line.
func yamlBlockable(s []byte) bool {
	return s[0] != ' ' && s[0] != '\n' && s[len(s)-1] != ' ' && !bytes.Contains(s, []byte(" \n")) && yamlPrintable(s, true)
}

// appendYAMLKey appends s on one line.
func appendYAMLKey(dst, s []byte) []byte {
	switch {
	case yamlOrdinary(s): // most are
	case !yamlPrintable(s, false) || yamlAmbiguous(s):
		return appendYAMLDouble(dst, s)
	case yamlIndicated(s):
		return appendYAMLSingle(dst, s)
	}
	return append(dst, s...)
}

// yamlOrdinary reports whether s is a name that is too long for the words of YAML, and no number.
func yamlOrdinary(s []byte) bool {
	if len(s) <= len("false") || s[0] < 'A' || s[1] < 'A' {
		return false
	}
	for _, c := range s {
		if !('a' <= c && c <= 'z' || '-' <= c && c <= '9' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return true
}

// yamlIndicated reports whether s, not empty and printable, is YAML's syntax when it is not quoted.
func yamlIndicated(s []byte) bool {
	switch s[0] {
	case ' ', '#', ',', '[', ']', '{', '}', '&', '*', '!', '|', '>', '\'', '"', '%', '@', '`', '?', ':':
		return true
	case '-', '.':
		if len(s) == 1 || s[1] == ' ' || s[1] == s[0] && len(s) > 2 && s[2] == s[0] {
			return true
		}
	}
	for i, c := range s {
		last := i == len(s)-1
		if c == ' ' && (last || s[i+1] == '#') || c == ':' && (last || s[i+1] == ' ') {
			return true
		}
	}
	return false
}

// yamlAmbiguous reports whether s, when it is not quoted, is something else than a string to some parser.
func yamlAmbiguous(s []byte) bool {
	if len(s) == 0 {
		return true
	}
	if c := s[0]; c >= '0' && c <= '9' || c == '+' || c == '-' || c == '.' || c == 'e' || c == 'E' {
		return yamlDated(s) || len(bytes.Trim(s, "0123456789abcdefABCDEFxXoOpPinINtT_,.:+-")) == 0 && yamlNumeric.Match(s)
	}
	if len(s) > len("false") {
		return false
	}
	var lower [len("false")]byte
	for i, c := range s {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	switch string(lower[:len(s)]) {
	case "~", "null", "true", "false", "y", "yes", "n", "no", "on", "off", "=", "<<":
		return true
	}
	return false
}

// yamlNumeric is any number of YAML 1.1, YAML 1.2, Go, Python, Ruby or JavaScript, and a little more. In this
// order: integers with a base, decimals, fractions, exponents alone (npm's yaml), sexagesimals, infinities.
var yamlNumeric = regexp.MustCompile(`(?i)^([-+]?_*0_*[xob][0-9a-fp_.+-]*` +
	`|[-+]?[_,]*[0-9][0-9_,]*(\.[0-9_]*)?(e[-+]?[0-9_]*)?` +
	`|[-+]?_*\.[0-9_]*(e[-+]?[0-9_]*)?` +
	`|[-+]?_*e[-+]?[0-9_]+` +
	`|[-+]?[0-9_]+(:[0-9_]+)+(\.[0-9_]*)?` +
	`|[-+]?\.(inf|nan))$`)

// yamlDated reports whether s begins as a date does, "2001-0".
func yamlDated(s []byte) bool {
	s = bytes.TrimPrefix(s, []byte("-"))
	for i := range min(len(s), len("2001-0")) {
		if digit := '0' <= s[i] && s[i] <= '9'; digit == (i == len("2001")) || !digit && s[i] != '-' {
			return false
		}
	}
	return len(s) >= len("2001-0")
}

// yamlPrintable reports whether s is UTF-8 of characters that show, none of which is a tab or a space of
// another kind, a break, or of more than 16 bits (go-yaml escapes those).
func yamlPrintable(s []byte, breaks bool) bool {
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c < ' ' && !(breaks && c == '\n') || c == 0x7F {
				return false
			}
			i++
			continue
		}
		r, n := utf8.DecodeRune(s[i:])
		if !yamlBare(r) {
			return false
		}
		i += n
	}
	return true
}

// yamlBare reports whether r, not ASCII, may stand as it is: not NEL, NBSP, the spaces, breaks and marks of direction
// of General Punctuation, BOM, or a noncharacter.
func yamlBare(r rune) bool {
	switch {
	case r <= 0xA0, r == 0xAD, 0x2000 <= r && r <= 0x200F, 0x2028 <= r && r <= 0x202F, 0x205F <= r && r <= 0x206F:
		return false
	case r == 0x3000, r == 0xFEFF, r > utf8.RuneError:
		return false
	}
	return true
}

func appendYAMLSingle(dst, s []byte) []byte {
	dst = append(dst, '\'')
	for _, c := range s {
		if c == '\'' {
			dst = append(dst, c)
		}
		dst = append(dst, c)
	}
	return append(dst, '\'')
}

func appendYAMLDouble(dst, s []byte) []byte {
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRune(s[i:])
		i += n
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r >= ' ' && r < 0x7F, r > 0x7F && yamlBare(r):
			dst = utf8.AppendRune(dst, r)
		default:
			dst = appendYAMLEscape(dst, r)
		}
	}
	return append(dst, '"')
}

func appendYAMLEscape(dst []byte, r rune) []byte {
	const named = "\x00\a\b\t\n\v\f\r\x1b"
	switch i := strings.IndexRune(named, r); {
	case r < ' ' && i >= 0:
		return append(dst, '\\', "0abtnvfre"[i])
	case r == 0x85:
		return append(dst, `\N`...)
	case r == 0xA0:
		return append(dst, `\_`...)
	case r == 0x2028:
		return append(dst, `\L`...)
	case r == 0x2029:
		return append(dst, `\P`...)
	case r <= 0xFF:
		return fmt.Appendf(dst, `\x%02X`, r)
	case r <= 0xFFFF:
		return fmt.Appendf(dst, `\u%04X`, r)
	}
	return fmt.Appendf(dst, `\U%08X`, r)
}

// appendYAMLWord appends a number, true, false or null of JSON. A number with an exponent gets the point and the
// sign without which it is a string to YAML 1.1.
func appendYAMLWord(dst, s []byte) []byte {
	e := bytes.IndexAny(s, "eE")
	if e < 0 || s[0] > '9' {
		return append(dst, s...)
	}
	dst = append(dst, s[:e]...)
	if bytes.IndexByte(s[:e], '.') < 0 {
		dst = append(dst, ".0"...)
	}
	dst = append(dst, 'e')
	if c := s[e+1]; c != '-' && c != '+' {
		dst = append(dst, '+')
	}
	return append(dst, s[e+1:]...)
}
