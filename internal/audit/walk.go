package audit

import (
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// walk reads a JSON object that begins here, and calls take for each field with
// what stands behind its colon; take gives where the value ends. It returns where
// the object ends. -1 of either says that it is not written plainly, or is wrong:
// then encoding/json decides. It is here because decoding is most of what a log
// costs, and of an event's fields a few matter.
func walk(b string, take func(key, rest string) int) int {
	if len(b) < 2 || b[0] != '{' {
		return -1
	}
	if b[1] == '}' {
		return 2
	}
	for at := 1; ; at++ {
		end := stringEnd(b[at:])
		if end < 0 {
			return -1
		}
		key := b[at+1 : at+end-1]
		if at += end; at == len(b) || b[at] != ':' || strings.IndexByte(key, '\\') >= 0 || !utf8.ValidString(key) {
			return -1
		}
		at++
		if end = take(key, b[at:]); end < 0 {
			return -1
		}
		if at += end; at == len(b) {
			return -1
		}
		switch b[at] {
		case ',':
		case '}':
			return at + 1
		default:
			return -1
		}
	}
}

// stringEnd is where a string that begins here ends, or -1.
func stringEnd(b string) int {
	if len(b) == 0 || b[0] != '"' {
		return -1
	}
	for at := 1; ; {
		i := strings.IndexByte(b[at:], '"')
		if i < 0 {
			return -1
		}
		if at += i + 1; closes(b, at-1) {
			return at
		}
	}
}

// valueEnd is where a value that begins here ends, or -1. Of objects and lists
// it sees to brackets and strings only.
func valueEnd(b string) int {
	if len(b) == 0 {
		return -1
	}
	switch b[0] {
	case '"':
		return stringEnd(b)
	case '{', '[':
		return nestedEnd(b)
	default:
		for i := range len(b) {
			c := b[i]
			if c == ',' || c == '}' || c == ']' {
				return i
			}
		}
		return -1
	}
}

func nestedEnd(b string) int {
	depth := 0
	for at := 0; at < len(b); at++ {
		switch b[at] {
		case '"':
			end := stringEnd(b[at:])
			if end < 0 {
				return -1
			}
			at += end - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return at + 1
			}
		}
	}
	return -1
}

// plain takes a string in which nothing but quotes and backslashes is escaped;
// others are decoded.
func plain(rest string, to *string) int {
	end := stringEnd(rest)
	if end < 0 {
		return decoded(rest, to)
	}
	text := rest[1 : end-1]
	if !utf8.ValidString(text) {
		return decoded(rest, to)
	}
	if strings.IndexByte(text, '\\') < 0 {
		*to = text
		return end
	}
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' {
			if i++; i == len(text) || text[i] != '"' && text[i] != '\\' {
				return decoded(rest, to)
			}
		}
		out = append(out, text[i])
	}
	*to = string(out)
	return end
}

// decoded has encoding/json take a value.
func decoded(rest string, to any) int {
	end := valueEnd(rest)
	if end < 0 || json.Unmarshal([]byte(rest[:end]), to) != nil {
		return -1
	}
	return end
}

// passed passes over a value of which nothing is read.
func passed(rest string, whether bool) int {
	if !whether {
		return -1
	}
	return valueEnd(rest)
}

// plainBody takes a TokenRequest with the fields that it has, and has others
// decoded.
func plainBody(rest string, to **body) int {
	if *to != nil {
		return -1 // twice: encoding/json makes one of both
	}
	b := &body{}
	end := walk(rest, func(key, rest string) int {
		switch key {
		case "kind", "apiVersion":
			return stringEnd(rest)
		case "metadata":
			end := valueEnd(rest)
			return passed(rest, end > 0 && (rest[:end] == "{}" || rest[:end] == `{"creationTimestamp":null}`))
		case "spec":
			return plainSpec(rest, b)
		case "status":
			return walk(rest, func(key, rest string) int {
				end := valueEnd(rest)
				if key == "token" && end > 0 {
					_ = b.Status.Token.UnmarshalJSON([]byte(rest[:end]))
					return end
				}
				return passed(rest, key == "expirationTimestamp")
			})
		default:
			return -1
		}
	})
	if end > 0 {
		*to = b
		return end
	}
	return decoded(rest, to)
}

func plainSpec(rest string, b *body) int {
	return walk(rest, func(key, rest string) int {
		switch key {
		case "audiences":
			return plainList(rest, &b.Spec.Audiences)
		case "expirationSeconds":
			end := valueEnd(rest)
			if end < 1 || end >= 10 {
				return -1
			}
			n, ok := digits(rest[:end])
			b.Spec.ExpirationSeconds = &n
			return passed(rest, ok)
		default:
			return passed(rest, key == "boundObjectRef")
		}
	})
}

// plainList takes a list of strings.
func plainList(rest string, to *[]string) int {
	switch {
	case strings.HasPrefix(rest, "null"):
		return passed(rest, *to == nil)
	case *to != nil || len(rest) < 2 || rest[0] != '[': // twice, or no list
		return -1
	}
	*to = []string{}
	if rest[1] == ']' {
		return 2
	}
	for at := 1; ; at++ { // behind the bracket, or a comma
		var text string
		end := plain(rest[at:], &text)
		if at += end; end < 0 || at >= len(rest) {
			return -1
		}
		*to = append(*to, text)
		switch rest[at] {
		case ',':
		case ']':
			return at + 1
		default:
			return -1
		}
	}
}

// decodePlain reads an event that the API server wrote, or gives up. Its texts
// are parts of one copy of the line: whoever keeps one for long copies it.
func decodePlain(data []byte) (*event, bool) {
	e := &event{}
	line := string(data)
	end := walk(line, func(key, rest string) int {
		if to := e.text(key); to != nil {
			return plain(rest, to)
		}
		switch key {
		case "user":
			return plainUser(rest, &e.User)
		case "impersonatedUser":
			if e.ImpersonatedUser != nil {
				return -1
			}
			e.ImpersonatedUser = &user{}
			return plainUser(rest, e.ImpersonatedUser)
		case "objectRef":
			return plainRef(rest, &e.ObjectRef)
		case "responseStatus":
			return plainStatus(rest, &e.ResponseStatus)
		case "requestObject":
			return plainBody(rest, &e.RequestObject)
		case "responseObject":
			return plainBody(rest, &e.ResponseObject)
		case "annotations":
			return plainAnnotations(rest, &e.Annotations)
		default:
			end := valueEnd(rest)
			return passed(rest, end > 0 && (key == "authenticationMetadata" || key == "sourceIPs") && json.Valid([]byte(rest[:end])))
		}
	})
	return e, end == len(line)
}

func plainAnnotations(rest string, to *map[string]string) int {
	if *to != nil {
		return -1
	}
	all := map[string]string{}
	*to = all
	return walk(rest, func(key, rest string) int {
		var text string
		end := plain(rest, &text)
		all[key] = text
		return end
	})
}

// text is where the field of this name goes, if it is a text.
func (e *event) text(key string) *string {
	switch key {
	case "kind":
		return &e.Kind
	case "apiVersion":
		return &e.APIVersion
	case "level":
		return &e.Level
	case "auditID":
		return &e.AuditID
	case "stage":
		return &e.Stage
	case "requestURI":
		return &e.RequestURI
	case "verb":
		return &e.Verb
	case "userAgent":
		return &e.UserAgent
	case "requestReceivedTimestamp":
		return &e.Received
	case "stageTimestamp":
		return &e.StageTimestamp
	default:
		return nil
	}
}

func plainUser(rest string, to *user) int {
	return walk(rest, func(key, rest string) int {
		switch key {
		case "username":
			return plain(rest, &to.Username)
		case "uid", "groups", "extra":
			return valueEnd(rest)
		default: // encoding/json takes names in other cases as well
			return -1
		}
	})
}

func plainStatus(rest string, to *responseStatus) int {
	return walk(rest, func(key, rest string) int {
		switch key {
		case "code":
			end := valueEnd(rest)
			if n, ok := digits(rest[:max(0, end)]); ok && end == 3 && rest[0] > '0' {
				to.Code = int(n)
				return end
			}
			return decoded(rest, &to.Code)
		case "kind", "apiVersion", "metadata", "status", "message", "reason", "details":
			return valueEnd(rest)
		default:
			return -1
		}
	})
}

func plainRef(rest string, to *objectRef) int {
	return walk(rest, func(key, rest string) int {
		switch key {
		case "resource":
			return plain(rest, &to.Resource)
		case "subresource":
			return plain(rest, &to.Subresource)
		case "namespace":
			return plain(rest, &to.Namespace)
		case "name":
			return plain(rest, &to.Name)
		case "apiGroup":
			return plain(rest, &to.APIGroup)
		case "uid", "apiVersion", "resourceVersion":
			return valueEnd(rest)
		default:
			return -1
		}
	})
}
